"""The peak of a billing month that is still to come, in the demand charges of a plan.

    PaidPeak of a month ─┐
    PeakQuota: the days  ├─▶ peak_steps ─▶ a PaidPeak for each step ─▶ what strategies ask for
    after the horizon    ┘

A plan sees a day or two of a month. By itself it would pay the whole charge for its own peak, on the
first of a month as on the last; the days behind it say what they will make of the peak anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.ids import ConnectionPointId
from vpp.model.time import local_date, local_day
from vpp.plan.quota import DaysOfPeak, peak_steps
from vpp.plan.view import PaidPeak
from vpp.service.quotas.schema import AnyQuota, PeakDay, PeakQuota, Period
from vpp.service.quotas.tally import Days, days_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakState:
    """How the peak of a month stands, and what a plan is told it costs."""

    quota_id: str
    connection_point_id: ConnectionPointId
    days: Days
    paid_kw: float
    free_kw: float
    """Up to this the plan's peak costs nothing: it is paid, or a later day makes as much."""

    price_per_kw: float
    """Of each kW above it."""


def coming(
    peaks: Iterable[PaidPeak], quotas: Sequence[AnyQuota], horizon: Horizon, zone: ZoneInfo
) -> tuple[tuple[PaidPeak, ...], tuple[PeakState, ...]]:
    """The peaks as the rest of each month prices them; those of points without a quota as they are.

    Raises:
        PlanError: A coarse model has no solution, which is a fault of the solver.
    """
    by_point = {q.connection_point: q for q in quotas if isinstance(q, PeakQuota)}
    found: list[PaidPeak] = []
    states = []
    for peak in peaks:
        quota = by_point.get(peak.connection_point_id)
        if quota is None:
            found.append(peak)
            continue
        month = days_of(
            Period.MONTH, local_date(horizon.start + peak.first_step * horizon.step, zone)
        )
        steps = peak_steps(
            _rest(quota, month, horizon, zone),
            price_per_kw=peak.price_per_kw,
            paid_kw=peak.paid_kw,
        )
        found += [
            replace(peak, paid_kw=step.free_kw, price_per_kw=step.price_per_kw) for step in steps
        ]
        states.append(
            PeakState(
                quota_id=quota.id,
                connection_point_id=peak.connection_point_id,
                days=month,
                paid_kw=peak.paid_kw,
                free_kw=steps[0].free_kw,
                price_per_kw=steps[0].price_per_kw,
            )
        )
    return tuple(found), tuple(states)


def faults_of(
    quotas: Sequence[AnyQuota], points: Collection[str]
) -> Iterator[tuple[int, str, str]]:
    """(place, key, what) that is wrong with quotas of peaks in a park of these connection points."""
    first: dict[str, str] = {}
    for place, quota in enumerate(quotas):
        if not isinstance(quota, PeakQuota):
            continue
        name = quota.connection_point
        if name not in points:
            yield place, "connection_point", f"unknown connection point {name!r}"
        elif name in first:
            what = f"the peak of {name} is that of quota {first[name]!r} already"
            yield place, "connection_point", what
        first.setdefault(name, quota.id)


def _rest(quota: PeakQuota, month: Days, horizon: Horizon, zone: ZoneInfo) -> DaysOfPeak:
    """The days of the month that the horizon does not show to their end."""
    count = (month.end - month.first).days
    days = [month.first + timedelta(days=n) for n in range(count)]
    rows = [_of(quota, day) for day in days if local_day(day, zone).end > horizon.end]
    blocks = max((len(row.less) for row in rows), default=0)
    shave, cost = np.zeros((len(rows), blocks)), np.zeros((len(rows), blocks))
    for n, row in enumerate(rows):
        shave[n, : len(row.less)] = [block.kw for block in row.less]
        cost[n, : len(row.less)] = [block.cost_per_kw for block in row.less]
    return DaysOfPeak(
        expected_kw=np.array([row.import_kw for row in rows], dtype=float),
        shave_kw=shave,
        cost_per_kw=cost,
    )


def _of(quota: PeakQuota, day: date) -> PeakDay:
    return next(one for one in quota.expected if one.fits(day))
