"""What changed between two plans over the steps that both know, in words and numbers.

    last plan   ├────────────────────────────┤
    new plan        ├────────────────────────────┤
    compared        ├────────────────────────┤

Plans of different steps are compared on the finer one; costs only where both cover the same span, for
otherwise they are costs of different hours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats, Horizon
from vpp.model.schedule import Schedule
from vpp.model.time import Interval

NOTHING_KW = 0.05
"""A power that moves by less is the same."""

NOTHING_COST = 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """What is compared of a plan: of a `Schedule`, or of one that was written down before."""

    plan_id: str
    horizon: Horizon
    power_kw: Mapping[str, Floats]
    """Net injection by resource, shape (T,) each."""

    net_kw: Floats
    starts: Mapping[str, tuple[datetime, ...]]
    """Starts of runs and calls."""

    cost_by_cause: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerChange:
    """How the plan of one resource moved."""

    resource_id: str
    moved_kwh: float
    """Σ |difference| over the common steps."""

    most_at: datetime
    """Start of the step that changed most."""

    before_kw: float
    """Net injection in that step."""

    now_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChange:
    """Starts that came, and starts that went, within the common steps."""

    resource_id: str
    before: tuple[datetime, ...]
    now: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A plan against an older one."""

    since: str
    """Id of the older plan."""

    span: Interval | None
    """What both cover; None where they do not meet."""

    powers: tuple[PowerChange, ...] = ()
    """Most moved first."""

    starts: tuple[StartChange, ...] = ()
    net: PowerChange | None = None
    """The same for the park's net injection; its id is `net`."""

    cost_by_cause: Mapping[str, float] | None = None
    """New less old, causes that differ; None where the plans cover different spans."""

    def sentences(self, zone: ZoneInfo, currency: str) -> tuple[str, ...]:
        """The same in words, times on the clock of `zone`."""
        return tuple(_sentences(self, zone, currency))


def planned(schedule: Schedule) -> Planned:
    """What is compared of a schedule."""
    starts = schedule.horizon.starts()
    return Planned(
        plan_id=schedule.plan_id,
        horizon=schedule.horizon,
        power_kw=dict(zip(schedule.resource_ids, schedule.power_kw, strict=True)),
        net_kw=schedule.net_kw,
        starts={name: tuple(starts[k] for k in steps) for name, steps in schedule.starts.items()},
        cost_by_cause=schedule.cost_by_cause,
    )


def changes(old: Planned, new: Planned) -> Changes:
    """What `new` does otherwise than `old`. A resource that only one of them has is left out."""
    first, last = max(old.horizon.start, new.horizon.start), min(old.horizon.end, new.horizon.end)
    if first >= last:
        return Changes(since=old.plan_id, span=None)
    span = Interval(first, last)
    grid = _grid(old.horizon, new.horizon, span)
    was_at, is_at = _places(old.horizon, grid), _places(new.horizon, grid)
    powers = [
        change
        for name, power_kw in new.power_kw.items()
        if name in old.power_kw
        and (change := _power(name, old.power_kw[name][was_at], power_kw[is_at], grid))
    ]
    return Changes(
        since=old.plan_id,
        span=span,
        powers=tuple(sorted(powers, key=lambda change: -change.moved_kwh)),
        starts=tuple(_starts(old, new, span)),
        net=_power("net", old.net_kw[was_at], new.net_kw[is_at], grid),
        cost_by_cause=_costs(old, new),
    )


def _grid(old: Horizon, new: Horizon, span: Interval) -> Horizon:
    """The coarsest steps that lie within steps of both."""
    lengths = (old.step, new.step, span.start - old.start, span.start - new.start)
    step = timedelta(seconds=gcd(*(length // timedelta(seconds=1) for length in lengths)))
    return Horizon.over(span, step)


def _places(horizon: Horizon, grid: Horizon) -> NDArray[np.intp]:
    """Which step of `horizon` each step of `grid` lies in, shape (T,)."""
    return np.array([horizon.index(start) for start in grid.starts()], dtype=np.intp)


def _power(name: str, was: Floats, is_now: Floats, grid: Horizon) -> PowerChange | None:
    """How far one power moves, both on `grid`; None where it does not."""
    apart = np.abs(is_now - was)
    most = int(apart.argmax())
    if apart[most] < NOTHING_KW:
        return None
    return PowerChange(
        resource_id=name,
        moved_kwh=float(apart.sum()) * grid.step_hours,
        most_at=grid.start + most * grid.step,
        before_kw=float(was[most]),
        now_kw=float(is_now[most]),
    )


def _starts(old: Planned, new: Planned, span: Interval) -> list[StartChange]:
    found = []
    for name in sorted(old.starts.keys() | new.starts.keys()):
        before, now = (
            tuple(start for start in plan.starts.get(name, ()) if start in span)
            for plan in (old, new)
        )
        if before != now:
            found.append(StartChange(resource_id=name, before=before, now=now))
    return found


def _costs(old: Planned, new: Planned) -> Mapping[str, float] | None:
    if old.horizon.span != new.horizon.span:
        return None
    apart = {
        cause: new.cost_by_cause.get(cause, 0.0) - old.cost_by_cause.get(cause, 0.0)
        for cause in sorted(old.cost_by_cause.keys() | new.cost_by_cause.keys())
    }
    return {cause: cost for cause, cost in apart.items() if abs(cost) >= NOTHING_COST}


# ---------------------------------------------------------------- words


def _sentences(of: Changes, zone: ZoneInfo, currency: str) -> list[str]:
    if of.span is None:
        return [f"{of.since} covers other hours: nothing to compare."]

    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%a %H:%M}"

    told = []
    for start in of.starts:
        now, was = (", ".join(map(clock, times)) for times in (start.now, start.before))
        does = f"starts at {now}" if now else "does not start"
        told.append(f"{start.resource_id} {does}, before {f'at {was}' if was else 'not at all'}.")
    told += [f"{change.resource_id} {_moved(change, clock)}" for change in of.powers]
    if of.net is not None:
        told.append(f"The park {_moved(of.net, clock)}")
    if of.cost_by_cause:
        causes = ", ".join(f"{cause} {cost:+,.2f}" for cause, cost in of.cost_by_cause.items())
        total = sum(of.cost_by_cause.values())
        told.append(f"The cost changes by {total:+,.2f} {currency}: {causes}.")
    if not told:
        told.append(f"Nothing changed since {of.since}.")
    return told


def _moved(change: PowerChange, clock: Callable[[datetime], str]) -> str:
    return (
        f"moves {change.moved_kwh:,.1f} kWh, most at {clock(change.most_at)}:"
        f" {change.now_kw:+,.1f} kW, before {change.before_kw:+,.1f} kW."
    )
