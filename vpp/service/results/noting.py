"""What is put on record while it can be seen, so that a day's result can be split afterwards.

    expected   once a day, key the local day      the plan that bids are made of: prices and each resource
    came       each quarter-hour, key its start   what was measured, what the newest plan wanted, what was held

The plan is the first one made within a planning period of the day-ahead gate. Energies are net injection in whole
Wh, by quarter-hour.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date, datetime, timedelta

import msgspec
import numpy as np

from vpp.errors import ConflictError, UnavailableError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.resource import CurtailableLoad, FixedLoad, Generator, Resource
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, isoformat, local_date, local_day
from vpp.service.inputs import reference_product
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.calendar import deliveries_from

EXPECTED, CAME = "expected", "came"
"""Kinds of journal entries."""

WH_PER_KW = 250
"""Of a quarter-hour."""


class Expected(msgspec.Struct, frozen=True):
    """What a plan expected of a local day."""

    plan_id: str
    strategy_version: str
    spot_per_mwh: list[float]
    resources_wh: dict[str, list[int]]
    """Of electric resources."""


class Came(msgspec.Struct, frozen=True):
    """One quarter-hour as it was seen at its end."""

    plan_id: str | None
    """The newest plan when it began; None where there was none for it."""

    free_wh: dict[str, int]
    """By connection point, measured: of what nobody steers."""

    silent: list[str]
    """Resources of these that were not measured."""

    turned_down: list[str]
    """Loads that were steered, though most of the time nobody does."""

    wanted_wh: dict[str, int]
    """By connection point: what the plan wanted of what is steered, and nobody holds."""

    held_wh: dict[str, int]
    """By resource: what those in an operator's hand were told."""


async def note_plan(plant: Plant, schedule: Schedule, now: datetime) -> None:
    """Put on record what a new plan expects of the day that is bid next, where it is the one to do so."""
    day = local_date(now, plant.file.park.timezone) + timedelta(days=1)
    if plant.view is None or schedule.horizon.step != QUARTER or not is_bid_next(plant, day, now):
        return
    span = local_day(day, plant.file.park.timezone)
    horizon = schedule.horizon
    if not Interval(horizon.start, horizon.end).covers(span):
        return
    first = horizon.index(span.start)
    steps = slice(first, first + (span.end - span.start) // QUARTER)
    spot = plant.view.spot_per_kwh.values[steps]
    body = await asyncio.to_thread(_expected, plant.file.park, schedule, spot, steps)
    await _append(plant, EXPECTED, day.isoformat(), body, now)


def _expected(park: Park, schedule: Schedule, spot_per_kwh: Floats, steps: slice) -> bytes:
    """An `Expected` as JSON: ten million numbers of a fleet, written beside the event loop."""
    electric = {name for names in park.behind_point.values() for name in names}
    rows = [row for row, name in enumerate(schedule.resource_ids) if name in electric]
    wh = np.rint(schedule.power_kw[rows, steps] * WH_PER_KW).astype(int)
    return msgspec.json.encode(
        Expected(
            plan_id=schedule.plan_id,
            strategy_version=schedule.strategy_version,
            spot_per_mwh=[round(float(p) * 1000, 4) for p in spot_per_kwh],
            resources_wh={
                schedule.resource_ids[row]: each.tolist()
                for row, each in zip(rows, wh, strict=True)
            },
        )
    )


def is_bid_next(plant: Plant, day: date, now: datetime) -> bool:
    """Whether the gate of a local day closes before the next plan after `now`."""
    span = local_day(day, plant.file.park.timezone)
    product = reference_product(plant)
    delivery = next(deliveries_from(product, span.start))
    return now < product.gate_closes_at(delivery) <= now + plant.file.planning.every


async def note_quarter(plant: Plant, interval: Interval, now: datetime) -> None:
    """Put on record what was measured of a quarter-hour, and what was wanted in it."""
    closed = plant.closed
    if closed is None or closed.interval != interval:
        return  # it was not seen whole
    park, wanted = plant.file.park, _wanted(plant.schedule, interval)
    held = {
        name: one
        for name, one in plant.acting.overrides.items()
        if one.holds(interval.end - timedelta.resolution)
    }
    free_wh: dict[str, int] = {}
    wanted_wh: dict[str, int] = {}
    held_wh: dict[str, int] = {}
    silent: list[str] = []
    for point, names in park.behind_point.items():
        free_wh[point], wanted_wh[point] = 0, 0
        for name in names:
            if is_free(park.resource_by_id[name]) and name not in closed.turned_down:
                mean = closed.means.get(name)
                if mean is None:
                    silent.append(name)
                else:
                    free_wh[point] += round(mean.power_kw * WH_PER_KW)
            elif name in held:
                told_kw = min(max(wanted.get(name, 0.0), held[name].low_kw), held[name].high_kw)
                held_wh[name] = round(told_kw * WH_PER_KW)
            else:
                wanted_wh[point] += round(wanted.get(name, 0.0) * WH_PER_KW)
    entry = Came(
        plan_id=plant.schedule.plan_id if plant.schedule is not None and wanted else None,
        free_wh=free_wh,
        silent=silent,
        turned_down=sorted(closed.turned_down),
        wanted_wh=wanted_wh,
        held_wh=held_wh,
    )
    await _append(plant, CAME, isoformat(interval.start), msgspec.json.encode(entry), now)


def is_free(resource: Resource) -> bool:
    """Whether nobody steers it most of the time: its power is forecast, not planned."""
    match resource:
        case FixedLoad() | CurtailableLoad():
            return True
        case Generator():
            return resource.weather_driven
        case _:
            return False


def _wanted(schedule: Schedule | None, interval: Interval) -> dict[ResourceId, float]:
    """What the plan wants of each resource, kW; nothing where it says nothing of that quarter-hour."""
    if schedule is None or schedule.horizon.step != QUARTER:
        return {}
    step = schedule.horizon.index(interval.start)
    if not 0 <= step < schedule.horizon.steps:
        return {}
    column = schedule.power_kw[:, step].tolist()
    return dict(zip(schedule.resource_ids, column, strict=True))


async def _append(plant: Plant, kind: str, key: str, body: bytes, now: datetime) -> None:
    # Unavailable: said and counted there; the report will tell that it is missing. Conflict: who begins
    # again within a quarter-hour, or plans twice before a gate, has it on record already.
    with suppress(UnavailableError, ConflictError):
        await append(plant, kind, key, body, now=now)
