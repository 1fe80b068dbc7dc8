"""A small park of every kind of resource, and readings of it, with round numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.act.guard import Clip, guard
from vpp.act.share import share
from vpp.act.units import Seen, Units
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ConnectionPointId, EnterpriseId, FeederId, NodeId, ParkId, ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, Unknown
from vpp.model.network import Carrier, Node
from vpp.model.park import ConnectionPoint, Enterprise, Feeder, Limits, Park, PowerGroup
from vpp.model.resource import (
    EVERY_DAY,
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Port,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Schedule, Size
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER, Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)  # a Wednesday, 13:00 in Stockholm
FREE = Limits()
HEAT = NodeId("heat")


def named(name: str, point: str = "cp") -> dict[str, Any]:
    return {
        "resource_id": ResourceId(name),
        "enterprise_id": EnterpriseId("mill"),
        "connection_point_id": ConnectionPointId(point),
    }


def resource(kind: str, name: str | None = None, point: str = "cp", **changes: Any) -> Resource:
    """One of each kind: 1000 kW / 1000 kWh lossless battery, 1000 kW of sun, 100 kW of the rest."""
    who = named(name or kind, point)
    match kind:
        case "base":
            return FixedLoad(**who, **({"max_draw_kw": 5000.0} | changes))
        case "bess":
            sizes = {
                "capacity_kwh": 1000.0,
                "max_charge_kw": 1000.0,
                "max_discharge_kw": 1000.0,
                "charge_efficiency": 1.0,
                "discharge_efficiency": 1.0,
            }
            return Storage(**who, **(sizes | changes))
        case "pv":
            return Generator(**who, **({"max_feed_kw": 1000.0} | changes))
        case "saw":
            rules: dict[str, Any] = {
                "rated_draw_kw": 100.0,
                "operating_from": time(6),
                "operating_to": time(22),
                "call_length": timedelta(hours=1),
                "callable_hours": (13,),
                "call_cost_per_kwh": 0.1,
            }
            return InterruptibleLoad(**who, **(rules | changes))
        case "oven":
            rules = {
                "profile_kw": (0.0, 100.0, 50.0),
                "earliest_start": time(6),
                "latest_end": time(22),
                "default_start": time(13),
            }
            return ShiftableRun(**who, **(rules | changes))
        case "cold":
            rules = {
                "heating": False,
                "max_draw_kw": 100.0,
                "cop": 3.0,
                "resistance_degc_per_kw": 0.5,
                "capacity_kwh_per_degc": 50.0,
                "min_degc": -22.0,
                "max_degc": -18.0,
                "target_degc": -20.0,
                "discomfort_cost_per_degc_h": 1.0,
                "outdoor_series_id": "outdoor",
            }
            return ThermalZone(**who, **(rules | changes))
        case "cars":
            rules = {"charger_kw": 10.0, "max_draw_kw": 100.0, "unserved_cost_per_kwh": 1.0}
            return EvFleet(**who, **(rules | changes))
        case _:
            return machine(kind, who, changes)


def machine(kind: str, who: dict[str, Any], changes: dict[str, Any]) -> Resource:
    """100 kW each, an engine of 1000 kW; `tank`, `boiler` and `pump` stand at the heat node."""
    match kind:
        case "shop":
            rules: dict[str, Any] = {
                "max_draw_kw": 100.0,
                "curtailable_share": 0.5,
                "curtailment_cost_per_kwh": 0.1,
            }
            return CurtailableLoad(**who, **(rules | changes))
        case "mixer":
            rules = {"max_draw_kw": 100.0, "windows": ()}
            return FlexibleLoad(**who, **(rules | changes))
        case "engine":
            return Generator(**who, max_feed_kw=1000.0, weather_driven=False, **changes)
        case "boiler":
            ports = (Port(node_id=None), Port(node_id=HEAT))
            return Converter(**who, ports=ports, points_kw=((-100.0, 95.0),), **changes)
        case "pump":  # no electricity: it lifts heat with heat
            ports = (Port(node_id=HEAT), Port(node_id=HEAT))
            return Converter(**who, ports=ports, points_kw=((-100.0, 60.0),), **changes)
        case "tank":
            sizes = {"capacity_kwh": 100.0, "max_charge_kw": 100.0, "max_discharge_kw": 100.0}
            return Storage(**who, node_id=HEAT, **(sizes | changes))
        case _:
            raise AssertionError(kind)


def park(
    *resources: Resource,
    park_limits: Limits = FREE,
    feeder: Limits = FREE,
    points: Mapping[str, Limits] | None = None,
    enterprise: Limits = FREE,
    groups: tuple[PowerGroup, ...] = (),
) -> Park:
    """These resources; all their connection points hang on one feeder."""
    names = sorted({r.connection_point_id for r in resources})
    return Park(
        park_id=ParkId("park"),
        name="Park",
        timezone=ZoneInfo("Europe/Stockholm"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=park_limits,
        feeders=(Feeder(feeder_id=FeederId("f"), limits=feeder),),
        enterprises=(
            Enterprise(enterprise_id=EnterpriseId("mill"), name="Mill", limits=enterprise),
        ),
        nodes=(Node(node_id=HEAT, carrier=Carrier.HEAT),),
        groups=groups,
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=name,
                enterprise_id=EnterpriseId("mill"),
                feeder_id=FeederId("f"),
                limits=(points or {}).get(name, FREE),
                meter_id=ResourceId(f"meter-{name}"),
                tariff_id="t",
            )
            for name in names
        ),
        resources=resources,
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(
                    TouBand(
                        name="all",
                        start=time(),
                        end=time(),
                        days=EVERY_DAY,
                        price_per_kwh=Decimal(0),
                    ),
                ),
                demand=ActualDemand(price_per_kw_month=Decimal(0)),
            ),
        ),
        grid_kgco2_per_kwh=0.03,
    )


def reading(of: Resource, power_kw: float = 0.0, **fields: Any) -> Reading:
    """Measured at noon; a storage is half full unless told otherwise."""
    told: dict[str, Any] = {
        "measured_at": NOON,
        "received_at": NOON,
        "seq": 1,
        "quality": Quality.GOOD,
    }
    if isinstance(of, Storage):
        told["soc"] = 0.5
    return Reading(
        resource_id=of.resource_id,
        enterprise_id=of.enterprise_id,
        power_kw=power_kw,
        **(told | fields),
    )


def state(of: Park, *readings: Reading, taken_at: datetime = NOON) -> ParkState:
    """Resources without a reading are unknown."""
    known = {r.resource_id: r for r in readings}
    return ParkState(
        taken_at=taken_at,
        resources=tuple(
            known.get(r.resource_id, Unknown(resource_id=r.resource_id, reason="never heard"))
            for r in of.resources
        ),
    )


def schedule(
    of: Park,
    planned_kw: Mapping[str, float | Floats],
    *,
    starts: Mapping[str, tuple[int, ...]] | None = None,
    net_value: float = 0.05,
    point_value: float | None = None,
    begins: datetime = NOON,
    steps: int = 96,
    curtailed_kw: Mapping[str, float | Floats] | None = None,
    lengths: Mapping[str, tuple[int, ...]] | None = None,
    longer_until: Mapping[str, int] | None = None,
    port_kw: Mapping[str, float] | None = None,
) -> Schedule:
    """`port_kw` is what each converter feeds into the heat node."""
    horizon = Horizon(begins, timedelta(minutes=15), steps)
    power = np.array(
        [np.broadcast_to(planned_kw.get(r.resource_id, 0.0), steps) for r in of.resources],
        dtype=float,
    )
    at = {p.connection_point_id: np.zeros(steps) for p in of.connection_points}
    for row, one in enumerate(of.resources):
        at[one.connection_point_id] = at[one.connection_point_id] + power[row]
    return Schedule(
        plan_id="plan-1",
        issued_at=begins,
        horizon=horizon,
        resource_ids=tuple(r.resource_id for r in of.resources),
        power_kw=power,
        stored_kwh={},
        temperature_degc={},
        connection_point_kw=at,
        net_kw=power.sum(axis=0),
        committed_kw=np.zeros(steps),
        trade_kw={},
        stored_value_per_kwh={},
        net_value_per_kwh=np.full(steps, net_value),
        point_value_per_kwh={
            name: np.full(steps, point_value) for name in at if point_value is not None
        },
        starts={ResourceId(name): at_steps for name, at_steps in (starts or {}).items()},
        curtailed_kw={
            ResourceId(name): np.broadcast_to(kw, steps)
            for name, kw in (curtailed_kw or {}).items()
        },
        start_lengths={ResourceId(name): some for name, some in (lengths or {}).items()},
        longer_until={ResourceId(name): step for name, step in (longer_until or {}).items()},
        port_kw={
            ResourceId(name): {HEAT: np.full(steps, kw)} for name, kw in (port_kw or {}).items()
        },
        unserved_kwh={},
        cost_by_cause={},
        gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0),
        build_s=0.0,
        solve_s=0.0,
        strategy_version="s1",
        input_digest="i",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the guard allows, by name."""

    power_kw: dict[ResourceId, float]
    clipped: tuple[Clip, ...]


def granted(of: Park, seen: ParkState, wanted: Mapping[ResourceId, float], **more: Any) -> Granted:
    """Guard wishes by name; one that is NaN was asked for all the same."""
    units = Units.of(of)
    asked = np.zeros(len(units), dtype=np.bool_)
    asked[[units.index[name] for name in wanted]] = True
    told: dict[str, Any] = {"now": seen.taken_at, "stopped": np.zeros_like(asked), "asked": asked}
    result = guard(units, Seen.of(units, seen), units.powers_kw(wanted), **(told | more))
    return Granted(power_kw=units.by_name(result.power_kw), clipped=result.clipped)


def shared_out(
    of: Park,
    seen: ParkState,
    planned: Schedule | None,
    *,
    now: datetime = NOON,
    owed_kw: float | None = None,
    metered_kwh: float = 0.0,
    **more: Any,
) -> dict[ResourceId, float]:
    """What is wanted of whom in the quarter-hour from noon, where every kWh owed is still to be had by its end."""
    units, minute = Units.of(of), timedelta(minutes=1)
    rest_hours = max(NOON + QUARTER - now, minute) / timedelta(hours=1)
    found = share(
        of,
        units,
        seen,
        Seen.of(units, seen),
        planned,
        now=now,
        interval=Interval(NOON, NOON + QUARTER),
        target_kw=None if owed_kw is None else (owed_kw * 0.25 - metered_kwh) / rest_hours,
        control_period=minute,
        **more,
    )
    return units.by_name(found.wanted_kw)


@pytest.fixture(scope="session")
def share_of() -> Callable[..., dict[ResourceId, float]]:
    return shared_out


@pytest.fixture(scope="session")
def guard_of() -> Callable[..., Granted]:
    return granted


@pytest.fixture(scope="session")
def a_resource() -> Callable[..., Resource]:
    return resource


@pytest.fixture(scope="session")
def a_park() -> Callable[..., Park]:
    return park


@pytest.fixture(scope="session")
def a_reading() -> Callable[..., Reading]:
    return reading


@pytest.fixture(scope="session")
def a_state() -> Callable[..., ParkState]:
    return state


@pytest.fixture(scope="session")
def a_schedule() -> Callable[..., Schedule]:
    return schedule
