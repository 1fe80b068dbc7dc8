"""Sizes, limits and states of random parks: what `Lab.random` makes its resources of."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import numpy as np

from vpp.model.measurement import EvSession, RunPhase
from vpp.model.park import Limits
from vpp.model.resource import (
    EvFleet,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.time import QUARTER


def limits(rng: np.random.Generator, scale: float) -> Limits:
    if rng.random() < 0.4:
        return Limits()
    return Limits(
        import_kw=float(rng.uniform(0.1, 1)) * scale, export_kw=float(rng.uniform(0, 0.5)) * scale
    )


def battery(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "capacity_kwh": float(rng.uniform(10, 100)),
        "max_charge_kw": float(rng.uniform(5, 60)),
        "max_discharge_kw": float(rng.uniform(5, 60)),
        "charge_efficiency": float(rng.choice([1.0, 0.95, 0.8])),
        "discharge_efficiency": float(rng.choice([1.0, 0.95, 0.9])),
        "min_soc": float(rng.choice([0.0, 0.1, 0.4])),
        "wear_cost_per_kwh": float(rng.choice([0.0, 0.002, 0.02])),
    }


def process(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "rated_draw_kw": float(rng.uniform(5, 60)),
        "callable_hours": tuple(sorted(rng.choice(np.arange(7, 20), 6, replace=False).tolist())),
        "call_length": int(rng.integers(1, 7)) * QUARTER,
        "max_calls_per_day": int(rng.integers(0, 4)),
        "call_cost_per_kwh": float(rng.uniform(0, 0.4)),
    }


def run(rng: np.random.Generator) -> dict[str, Any]:
    length, opens = int(rng.integers(1, 6)), int(rng.integers(2, 60))
    quarters = int(rng.integers(length, 24))
    default = int(rng.integers(0, quarters - length + 1))

    def clock(quarter: int) -> time:
        return time(quarter // 4, quarter % 4 * 15)

    return {
        "profile_kw": tuple(np.round(rng.uniform(0, 50, length), 2).tolist()),
        "earliest_start": clock(opens),
        "latest_end": clock(opens + quarters),
        "default_start": clock(opens + default),
    }


def zone(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "max_draw_kw": float(rng.uniform(2, 15)),
        "cop": float(rng.uniform(1, 4)),
        "internal_gain_kw": float(rng.uniform(0, 4)),
        "capacity_kwh_per_degc": float(rng.uniform(2, 30)),
        "heating": bool(rng.random() < 0.7),
        "discomfort_cost_per_degc_h": float(rng.choice([0.05, 2.0])),
    }


def cars(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "max_draw_kw": float(rng.uniform(8, 40)),
        "charge_efficiency": float(rng.choice([1.0, 0.9])),
        "unserved_cost_per_kwh": float(rng.choice([0.1, 2.0])),
    }


def state(rng: np.random.Generator, start: datetime, resource: Resource) -> dict[str, Any]:
    said: dict[str, Any] = {"measured_at": start, "received_at": start}
    match resource:
        case Storage() if rng.random() < 0.9:
            said["soc"] = float(np.round(rng.uniform(0, 1), 3))
        case ThermalZone() if rng.random() < 0.8:
            said["temperature_degc"] = float(rng.uniform(16, 26))
        case InterruptibleLoad():
            said["calls_today"] = int(rng.integers(0, 2))
            if rng.random() < 0.2:
                said["phase"] = RunPhase.CALLED
                said["phase_since"] = start - QUARTER
        case ShiftableRun():
            said["phase"] = RunPhase(rng.choice(["waiting", "waiting", "running", "done"]))
            said["phase_since"] = start - QUARTER
        case EvFleet():
            said["sessions"] = tuple(
                EvSession(
                    session_id=str(number),
                    departs_at=start + timedelta(minutes=int(rng.integers(-10, 500))),
                    wanted_kwh=float(rng.uniform(0, 30)),
                )
                for number in range(int(rng.integers(0, 4)))
            )
        case _:
            pass
    return said
