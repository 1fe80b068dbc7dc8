"""One local day's result, split: from what was put on record of it to the five courses of `attribution`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import numpy as np

from vpp.account.attribution import NO_PEAK, Attribution, Courses, PointTerms, attribute
from vpp.account.statements import AccountedInterval
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.money import exact
from vpp.model.park import ConnectionPoint
from vpp.model.settlement import LineKind
from vpp.model.time import QUARTER, Interval, isoformat, local_date
from vpp.service.plant import Plant
from vpp.service.results.noting import CAME, EXPECTED, WH_PER_KW, Came, Expected, is_free

Energies = dict[ConnectionPointId, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDay:
    """A day's result and the plan it is held against."""

    attribution: Attribution
    expected: Expected


def expected_of(plant: Plant, day: Interval) -> Expected | None:
    """The plan that a local day was bid by; None where it is not on record."""
    key = local_date(day.start, plant.file.park.timezone).isoformat()
    entry = plant.journal.find(EXPECTED, key)
    return None if entry is None else msgspec.json.decode(entry.body, type=Expected)


def split_day(
    plant: Plant, day: Interval, settled: list[AccountedInterval], total: Decimal
) -> SplitDay:
    """Split what the statements of a whole local day come to.

    Raises:
        DataError: It cannot be split; says why.
    """
    expected = expected_of(plant, day)
    if expected is None:
        raise DataError(
            "the plan that it was bid by is not on record",
            where="report",
            fix="Let the service plan before the gate of the day ahead",
        )
    starts = [quarter.start for quarter in day.split(QUARTER)]
    if [one.interval.start for one in settled] != starts:
        raise DataError(
            f"{len(settled)} of {len(starts)} quarter-hours are settled",
            where="report",
            fix="Wait until all of the day is metered",
        )
    if len(expected.spot_per_mwh) != len(starts):
        raise DataError("the plan is of another day", where="report", fix="Look at the journal")
    courses = _courses(plant, day, expected)
    spot = [one.day_ahead_per_mwh or Decimal(0) for one in settled]
    return SplitDay(
        attribution=attribute(
            courses,
            _terms(plant, day),
            expected_per_mwh=[exact(price) for price in expected.spot_per_mwh],
            came_per_mwh=spot,
            imbalance_beyond=_beyond(settled),
            total=total,
            minor_unit=plant.file.park.minor_unit,
        ),
        expected=expected,
    )


def planned_kw(plant: Plant, expected: Expected) -> list[float]:
    """Net injection of the whole park, as the plan that was bid on had it; shape (T,)."""
    rows = [wh for wh in expected.resources_wh.values() if wh]
    return [] if not rows else (np.sum(rows, axis=0) / WH_PER_KW).tolist()


# ---------------------------------------------------------------- courses


def _courses(plant: Plant, day: Interval, expected: Expected) -> Courses:
    park = plant.file.park
    made: dict[str, Energies] = {
        name: {point: [] for point in park.behind_point}
        for name in ("planned", "came", "replanned", "held", "metered")
    }
    for step, quarter in enumerate(day.split(QUARTER)):
        entry = plant.journal.find(CAME, isoformat(quarter.start))
        came = None if entry is None else msgspec.json.decode(entry.body, type=Came)
        planned = {ResourceId(n): wh[step] for n, wh in expected.resources_wh.items()}
        for point, names in park.behind_point.items():
            four = _of_point(plant, point, names, planned, came)
            for name, wh in zip(("planned", "came", "replanned", "held"), four, strict=True):
                made[name][point].append(wh)
            energy = plant.meters.energy_wh(park.point_by_id[point].meter_id, quarter)
            if energy is None:
                raise DataError(
                    f"the meter of {point} was not read at {isoformat(quarter.start)}",
                    where="report",
                    fix="Wait until all of the day is metered",
                )
            made["metered"][point].append(energy.net_wh)
    return Courses(**made)


def _of_point(
    plant: Plant,
    point: ConnectionPointId,
    names: tuple[ResourceId, ...],
    planned: Mapping[ResourceId, int],
    came: Came | None,
) -> tuple[int, int, int, int]:
    """Planned, came, replanned and held, in Wh. Where nothing is on record it went as planned."""
    by_plan = sum(planned.get(name, 0) for name in names)
    if came is None:
        return by_plan, by_plan, by_plan, by_plan
    resources, turned_down = plant.file.park.resource_by_id, set(came.turned_down)
    free = [n for n in names if is_free(resources[n]) and n not in turned_down]
    heard = [n for n in free if n not in came.silent]
    silent_wh = sum(planned.get(name, 0) for name in free) - sum(planned.get(n, 0) for n in heard)
    steered_wh = by_plan - sum(planned.get(name, 0) for name in free)
    free_wh = came.free_wh.get(point, 0) + silent_wh
    if came.plan_id is None:
        return by_plan, free_wh + steered_wh, free_wh + steered_wh, free_wh + steered_wh
    held = [name for name in names if name in came.held_wh]
    wanted_wh = free_wh + came.wanted_wh.get(point, 0)
    return (
        by_plan,
        free_wh + steered_wh,
        wanted_wh + sum(planned.get(name, 0) for name in held),
        wanted_wh + sum(came.held_wh[name] for name in held),
    )


# ---------------------------------------------------------------- what is paid


def _terms(plant: Plant, day: Interval) -> dict[ConnectionPointId, PointTerms]:
    return {
        name: _terms_of(plant, plant.file.park.point_by_id[name], day)
        for name in plant.file.park.behind_point
    }


def _terms_of(plant: Plant, point: ConnectionPoint, day: Interval) -> PointTerms:
    zone = plant.file.park.timezone
    tariff = plant.file.park.tariff_by_id[point.tariff_id]
    measuring, starts = tariff.demand.measuring, [q.start for q in day.split(QUARTER)]
    begun = dict.fromkeys(measuring.began(start, zone) for start in starts)
    numbers = {moment: number for number, moment in enumerate(begun)}
    rise = tariff.demand.rise_per_kw
    included_kw = tariff.demand.free_kw(point.contracted) if rise else 0.0
    paid_kw = plant.peaks.peak_kw(point.connection_point_id, day.start)
    return PointTerms(
        network_per_kwh=[tariff.band_at(start, zone).price_per_kwh for start in starts],
        peak_of=[
            numbers[measuring.began(start, zone)] if tariff.makes_peak(start, zone) else NO_PEAK
            for start in starts
        ],
        rise_per_kw=rise,
        paid_kw=exact(max(included_kw, paid_kw)),
    )


def _beyond(settled: list[AccountedInterval]) -> Decimal:
    """What imbalance, and what was taken back of declarations, brought beyond the day-ahead price."""
    total = Decimal(0)
    for one in settled:
        spot = one.day_ahead_per_mwh or Decimal(0)
        for line in one.lines:
            if line.kind in (LineKind.IMBALANCE, LineKind.DEVIATION):
                total += line.amount - line.energy_mwh * spot
    return total
