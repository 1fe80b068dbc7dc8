"""From the budget of a period, what is used of it and what is expected, to a price in the plan.

    section of the file ─┐
    Tally (by local day) ┼──▶ Quota + RestOfPeriod ──▶ price_of ──▶ QuotaState ──▶ terms
    now                  ┘

Where the next period begins within the horizon, its steps have a price of their own: of a budget that is
still whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from math import inf
from typing import Literal, TypeAlias, TypeVar, assert_never
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.resource import Generator, Resource
from vpp.model.time import local_date, local_day, local_moment
from vpp.plan.priced import can_be_counted
from vpp.plan.quota import (
    GreenEnergy,
    GreenRules,
    Quota,
    RestOfPeriod,
    Unreachable,
    green_quotas,
    price_of,
)
from vpp.plan.terms import Activity, ActivityPrice, CarbonPrice, Term, uniform
from vpp.plan.view import PlanningView
from vpp.service.quotas import schema
from vpp.service.quotas.tally import (
    EXPORT,
    IMPORT,
    UNMEASURED_H,
    UNMETERED_H,
    Days,
    Tally,
    beginnings,
    counter,
    days_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaState:
    """How a budget stands, and what its last unit is worth."""

    quota_id: str
    counts: Activity | Literal["carbon"]
    resource_id: ResourceId | None
    days: Days
    used: float
    least: float
    """-inf where nothing is asked for."""
    most: float
    price_per_unit: float
    unreachable_by: float | None
    """By how much it will be missed at least; None where it can be kept."""

    uncounted_h: float = 0.0
    """Hours of the period since the service began of which nobody knows how much was used."""

    @property
    def status(self) -> Literal["free", "scarce", "unreachable"]:
        """In one word."""
        if self.unreachable_by is not None:
            return "unreachable"
        return "free" if self.price_per_unit == 0 else "scarce"


# ---------------------------------------------------------------- states


def states_of(
    section: schema.Budget, park: Park, tally: Tally, now: datetime, *, from_start: bool
) -> tuple[QuotaState, ...]:
    """How a quota stands at `now`: one state, or one of green use and one of exports.

    `from_start` says whether `used_at_start` belongs to the running period.

    Raises:
        PlanError: The coarse model has no solution, which is a fault of the solver.
    """
    days = days_of(section.period, local_date(now, park.timezone))

    def total(name: str) -> float:
        return tally.total(name, days)

    rest = _Rest.at(now, park.timezone, days)
    if isinstance(section, schema.GreenRatiosQuota):
        states = _green_states(section, rest, _green_energy(section, park, total, from_start))
    else:
        used = _used(section, park, total, from_start)
        quota = Quota(reason=section.id, used=used, least=_least(section), most=_most(section))
        states = (_state(section, days, quota, rest.of(section.expected), _counts(section)),)
    unknown_h = max(total(UNMETERED_H), total(UNMEASURED_H))
    by_resource = isinstance(section, schema.DischargeQuota | schema.CallsQuota | schema.HoursQuota)
    return tuple(replace(s, uncounted_h=0.0 if by_resource else unknown_h) for s in states)


def states_until(
    section: schema.Budget,
    park: Park,
    tally: Tally,
    now: datetime,
    until: datetime,
    *,
    from_start: bool,
) -> tuple[QuotaState, ...]:
    """As `states_of`, of the running period and of each that begins before `until`."""
    found = states_of(section, park, tally, now, from_start=from_start)
    for begins in beginnings(section.period, now, until, park.timezone):
        found += states_of(section, park, tally, begins, from_start=False)
    return found


def _state(
    section: schema.Budget,
    days: Days,
    quota: Quota,
    rest: RestOfPeriod,
    counts: Activity | Literal["carbon"],
) -> QuotaState:
    outcome = price_of(quota, rest)
    resource = getattr(section, "resource", None)
    return QuotaState(
        quota_id=section.id,
        counts=counts,
        resource_id=None if resource is None else ResourceId(resource),
        days=days,
        used=quota.used,
        least=quota.least,
        most=quota.most,
        price_per_unit=outcome.price_per_unit,
        unreachable_by=outcome.by if isinstance(outcome, Unreachable) else None,
    )


SimpleQuota: TypeAlias = (
    schema.EnergyQuota
    | schema.GreenUseQuota
    | schema.DischargeQuota
    | schema.CallsQuota
    | schema.HoursQuota
    | schema.CarbonQuota
)


def _counts(section: SimpleQuota) -> Activity | Literal["carbon"]:
    return "carbon" if section.counts == "carbon" else Activity(section.counts)


def _least(section: SimpleQuota) -> float:
    return section.least_kwh if isinstance(section, schema.GreenUseQuota) else -inf


def _most(section: SimpleQuota) -> float:
    match section:
        case schema.EnergyQuota() | schema.DischargeQuota():
            return section.most_kwh
        case schema.CallsQuota():
            return section.most_calls
        case schema.HoursQuota():
            return section.most_hours
        case schema.CarbonQuota():
            return section.most_kgco2
        case schema.GreenUseQuota():
            return inf
        case _:
            assert_never(section)


def _used(
    section: SimpleQuota, park: Park, total: Callable[[str], float], from_start: bool
) -> float:
    """So far in the period, in the quota's own unit."""
    match section:
        case schema.EnergyQuota():
            start, counted = section.used_at_start_kwh, total(section.counts)
        case schema.GreenUseQuota():
            green = _fed_kwh(park, total, dict.fromkeys(_green(park), 1.0))
            start, counted = section.used_at_start_kwh, green - total(EXPORT)
        case schema.DischargeQuota():
            start = section.used_at_start_kwh
            counted = total(counter("discharged", ResourceId(section.resource)))
        case schema.CallsQuota():
            start = section.used_at_start_calls
            counted = total(counter("calls", ResourceId(section.resource)))
        case schema.HoursQuota():
            start = section.used_at_start_hours
            counted = total(counter("hours_on", ResourceId(section.resource)))
        case schema.CarbonQuota():
            own = {r.resource_id: r.kgco2_per_kwh for r in _generators(park)}
            start = section.used_at_start_kgco2
            counted = total(IMPORT) * park.grid_kgco2_per_kwh + _fed_kwh(park, total, own)
        case _:
            assert_never(section)
    return counted + (start if from_start else 0.0)


def _fed_kwh(park: Park, total: Callable[[str], float], times: Mapping[ResourceId, float]) -> float:
    return sum(weight * total(counter("fed", name)) for name, weight in times.items())


def _generators(park: Park) -> Iterator[Generator]:
    return (r for r in park.resources if isinstance(r, Generator))


def _green(park: Park) -> list[ResourceId]:
    return [r.resource_id for r in _generators(park) if r.green]


# ---------------------------------------------------------------- green direct connection


def _green_energy(
    section: schema.GreenRatiosQuota,
    park: Park,
    total: Callable[[str], float],
    from_start: bool,
) -> GreenEnergy:
    """Of the period so far; what is consumed is what came in less what went out and was lost."""
    green = _green(park)
    fed = sum(total(counter("fed", name)) for name in green)
    every = sum(total(counter("fed", r.resource_id)) for r in _generators(park))
    stores = (r.resource_id for r in park.electric)
    lost = max(sum(total(counter("kept", name)) for name in stores), 0.0)
    counted = GreenEnergy(
        fed_kwh=fed,
        curtailed_kwh=sum(total(counter("unfed", name)) for name in green),
        exported_kwh=total(EXPORT),
        storage_loss_kwh=lost,
        load_kwh=total(IMPORT) + every - total(EXPORT) - lost,
    )
    start = section.used_at_start
    return counted + GreenEnergy(**start.model_dump()) if from_start else counted


def _green_states(
    section: schema.GreenRatiosQuota, rest: _Rest, so_far: GreenEnergy
) -> tuple[QuotaState, ...]:
    """Of green use, and of exports.

    Either asks that less be exported, so a plan that keeps the tighter one keeps both: the other
    has no price of its own.
    """
    rules = GreenRules(
        least_self_use_share=section.least_self_use_share,
        least_green_share=section.least_green_share,
        most_export_share=section.most_export_share,
    )
    days = rest.days
    use, exports = green_quotas(so_far, rest.green(section.expected), rules)
    first = _state(section, days, use, rest.of(section.expected), Activity.GREEN_USE)
    second = _state(section, days, exports, rest.exports(section.expected), Activity.EXPORT)
    if -first.price_per_unit >= second.price_per_unit:
        return first, replace(second, price_per_unit=0.0)
    return replace(first, price_per_unit=0.0), second


# ---------------------------------------------------------------- the days that are left


@dataclass(frozen=True, slots=True)
class _Rest:
    """The days that are left of a period, today first, and how much of today."""

    days: Days
    left: tuple[date, ...]
    today_share: float

    @staticmethod
    def at(now: datetime, zone: ZoneInfo, days: Days) -> _Rest:
        today = local_date(now, zone)
        span = local_day(today, zone)
        count = (days.end - today).days
        return _Rest(
            days,
            tuple(today + timedelta(days=k) for k in range(count)),
            (span.end - now) / (span.end - span.start),
        )

    def of(self, expected: Sequence[schema.ExpectedDay]) -> RestOfPeriod:
        """What a quota's own days say."""
        rows = [_fitting(expected, day) for day in self.left]
        return self._model([(row.must, list(row.blocks)) for row in rows])

    def exports(self, expected: Sequence[schema.GreenDay]) -> RestOfPeriod:
        """Exports, of which what could be used at home is worth what that costs."""
        rows = [_fitting(expected, day) for day in self.left]
        model = []
        for row in rows:
            blocks = [(b.kwh_per_day, b.cost_per_kwh) for b in reversed(row.less_export)]
            model.append((row.exported_kwh_per_day - sum(kwh for kwh, _ in blocks), blocks))
        return self._model(model)

    def green(self, expected: Sequence[schema.GreenDay]) -> GreenEnergy:
        """All energies of the days that are left."""
        shares = [self.today_share, *(1.0 for _ in self.left[1:])]
        rows = [_fitting(expected, day) for day in self.left]

        def total(name: str) -> float:
            return sum(s * float(getattr(row, name)) for s, row in zip(shares, rows, strict=True))

        return GreenEnergy(
            fed_kwh=total("fed_kwh_per_day"),
            curtailed_kwh=total("curtailed_kwh_per_day"),
            exported_kwh=total("exported_kwh_per_day"),
            storage_loss_kwh=total("storage_loss_kwh_per_day"),
            load_kwh=total("load_kwh_per_day"),
        )

    def _model(self, rows: list[tuple[float, list[schema.Block]]]) -> RestOfPeriod:
        """Rows of one length: empty blocks fill up those of fewer."""
        most = max(1, *(len(blocks) for _, blocks in rows))
        full = [
            blocks + [(0.0, blocks[-1][1] if blocks else 0.0)] * (most - len(blocks))
            for _, blocks in rows
        ]
        share = np.ones(len(rows))
        share[0] = self.today_share
        numbers = np.array(full)
        return RestOfPeriod(
            must=np.array([must for must, _ in rows]) * share,
            could=numbers[:, :, 0] * share[:, None],
            worth_per_unit=numbers[:, :, 1],
        )


_Day = TypeVar("_Day", bound=schema.ExpectedDay)


def _fitting(expected: Sequence[_Day], day: date) -> _Day:
    return next(one for one in expected if one.fits(day))


# ---------------------------------------------------------------- terms, faults


def terms_of(states: Iterable[QuotaState], view: PlanningView) -> tuple[Term, ...]:
    """The prices as terms of a plan, each in the steps that begin in its period.

    What is worth nothing asks for nothing.
    """
    found: list[Term] = []
    starts, zone = view.horizon.starts(), view.park.timezone
    for state in states:
        first, last = (
            bisect_left(starts, local_moment(day, time(), zone))
            for day in (state.days.first, state.days.end)
        )
        if state.price_per_unit == 0 or first == last:
            continue
        if state.counts == "carbon":
            grid = view.grid_kgco2_per_kwh
            found.append(
                CarbonPrice(
                    price_per_kgco2=state.price_per_unit,
                    grid_kgco2_per_kwh=uniform(view.park.grid_kgco2_per_kwh, view.horizon.steps)
                    if grid is None
                    else grid.values,
                    first_step=first,
                    last_step=last,
                )
            )
        else:
            found.append(
                ActivityPrice(
                    activity=state.counts,
                    resource_id=state.resource_id,
                    price_per_unit=state.price_per_unit,
                    reason=state.quota_id,
                    first_step=first,
                    last_step=last,
                )
            )
    return tuple(found)


def faults_of(
    section: schema.AnyQuota, resources: Mapping[str, Resource], known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(key, what) that is wrong with a quota in a park of these resources.

    `known` are all that are named: of one that is not valid by itself nothing else is said.
    """
    match section:
        case schema.DischargeQuota() | schema.CallsQuota() | schema.HoursQuota():
            resource = resources.get(section.resource)
            if section.resource not in known:
                yield "resource", f"unknown resource {section.resource!r}"
            elif resource is not None and not can_be_counted(resource, Activity(section.counts)):
                kind = type(resource).__name__
                yield "resource", f"{section.resource} is a {kind}: nobody counts {section.counts}"
        case schema.GreenUseQuota() | schema.GreenRatiosQuota():
            green = any(isinstance(r, Generator) and r.green for r in resources.values())
            if not green and len(resources) == len(known):
                yield "counts", "no generator is green"
        case _:
            pass  # every park imports, exports and has carbon
