"""Shares for units that cannot do any power at any time: steps, dead bands, dwell, notice, ramps.

    room ─▶ reachable in this period ─▶ rule ─▶ each stepped unit between two powers it knows
                                                          │ as many at the higher one as the sum asks
                                                          ▼
                                     what rounding leaves ─▶ the others, by the same rule

What a unit may do in the period that begins:

* ramp: no further from where it stands than its ramp goes in the period. A switch is no ramp: a unit
  that is off may come on at its least power, one with levels may take any of them.
* dwell: one that came on stays on for its least time, one that went off stays off.
* notice: it stays where it is until its notice is over, then does what it was told, nothing else.
* once: a run that has started is not stopped.

These bind before the room does: where they leave nothing of it, the unit stands at the nearest power
they allow. A dead band is a step too: a unit either keeps its power or moves by at least so much, so
a small correction is made by a few units, not by a move of everybody that nobody carries out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Branches
from vpp.act.rounding import Choice, choose
from vpp.act.rules import MEET_HOURS, Order, Room, Rule, Shared, hand_out
from vpp.act.undernodes import hand_out_under
from vpp.errors import DataError
from vpp.model.horizon import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SIZES = ("least_kw", "dead_kw", "least_on_s", "least_off_s", "notice_s", "ramp_kw_per_s")
"""Columns of `Steps` that are never negative."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """What each of n units can do at all; compiled once, arrays of shape (n,) unless said.

    Raises:
        DataError: A value is NaN or negative, or the levels of a unit do not ascend.
    """

    level_rows: Ints
    """The m units that know some powers only, ascending; shape (m,)."""

    level_kw: Floats
    """Their powers, net injection, ascending, 0 among them where it can be off, infinite where a unit
    has no more; shape (most levels of one unit, m)."""

    least_kw: Floats
    """What it does at least while it is on, a size; with levels the smallest one. 0: any little."""

    dead_kw: Floats
    """A move by less is not made."""

    least_on_s: Floats
    least_off_s: Floats
    notice_s: Floats
    """How long before it moves it must be told; 0: not at all."""

    ramp_kw_per_s: Floats
    """Infinite: at once."""

    once: Bools
    """Whether a start cannot be taken back: it starts now, later or never."""

    def __post_init__(self) -> None:
        first, rest = self.level_kw[:1], self.level_kw[1:]
        with np.errstate(invalid="ignore"):  # no more after no more
            ascends = (np.diff(self.level_kw, axis=0) > 0) | np.isposinf(rest)
        if not (np.isfinite(first).all() and ascends.all()):
            raise DataError(
                "levels of a unit do not ascend, or are not finite",
                where="Steps.level_kw",
                fix="Sort each unit's powers, each once, as net injection",
            )
        for name in SIZES:
            if not (getattr(self, name) >= 0).all():
                raise DataError(
                    f"{name} is NaN or below 0",
                    where="Steps",
                    fix="Give sizes, 0 where there is none",
                )

    @classmethod
    def none(cls, size: int) -> Steps:
        """Units that can do anything at once: `dataclasses.replace` what is otherwise."""
        zeros = np.zeros(size)
        return cls(
            level_rows=np.zeros(0, dtype=np.int64),
            level_kw=np.zeros((1, 0)),
            least_kw=zeros,
            dead_kw=zeros,
            least_on_s=zeros,
            least_off_s=zeros,
            notice_s=zeros,
            ramp_kw_per_s=np.full(size, np.inf),
            once=np.zeros(size, dtype=bool),
        )

    def with_levels(self, levels_kw: Mapping[int, Sequence[float]]) -> Steps:
        """These, where each row of `levels_kw` knows those powers only (net injection, at least one).

        Raises:
            DataError: One is not finite or comes twice.
        """
        rows = sorted(levels_kw)
        most = max((len(levels_kw[row]) for row in rows), default=1)
        table = np.full((most, len(rows)), np.inf)
        least_kw = self.least_kw.copy()
        for at, row in enumerate(rows):  # once a park, not once a cycle
            known = sorted(levels_kw[row])
            table[: len(known), at] = known
            least_kw[row] = min((abs(kw) for kw in known if kw), default=0.0)
        rows_of = np.array(rows, dtype=np.int64)
        return replace(self, level_rows=rows_of, level_kw=table, least_kw=least_kw)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """How each of n units stands when the period begins; shape (n,)."""

    power_kw: Floats
    """The command in force; where there is none, what it does. 0: it is off."""

    since_s: Floats
    """How long it has been on, or off; infinite where nobody knows of a change."""

    told_kw: Floats
    """What it was told to do when its notice is over; NaN: nothing."""

    told_s: Floats
    """How long ago that was; any value where it was told nothing."""

    closes_s: Floats
    """`once` only: how long it may still be started; infinite where that never ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stepped:
    """What came out."""

    power_kw: Floats
    """Powers that each unit can do, shape (n,)."""

    left_kw: float
    """The total less the sum of powers: what no unit can do in this period."""

    order: Order
    held: Bools
    """Whether dwell, notice or a run that has started fixes it, shape (n,)."""

    missed: Bools
    """`once` only: it was not started in the last period in which it could be, shape (n,)."""


def hand_out_steps(
    rule: Rule,
    room: Room,
    total_kw: float,
    order: Order | None,
    *,
    steps: Steps,
    standing: Standing,
    period_s: float,
    tree: Branches | None = None,
    meet_hours: float = MEET_HOURS,
) -> Stepped:
    """Share `total_kw` by `rule` among units that know steps; see `hand_out`.

    Args:
        rule: Which of the five.
        room: What each unit may do.
        total_kw: What all of them together are to do.
        order: What the last call gave back, of the same units; None: there was none.
        steps: What each can do at all.
        standing: How each stands.
        period_s: Until the next call.
        tree: Limits that are kept as `hand_out_under` keeps them; None: there are none. What is rounded
            up behind a full node and finds nobody there to make room is left to the guard.
        meet_hours: As for `hand_out`.

    Raises:
        DataError: As `hand_out`, or the period is not above 0, or a standing power is not finite.
    """
    within, held = reachable(steps, standing, room, period_s=period_s)

    def shared(order: Order | None) -> Shared:
        if tree is None:
            return hand_out(rule, within, total_kw, order, meet_hours=meet_hours)
        return hand_out_under(tree, rule, within, total_kw, order, meet_hours=meet_hours)

    final = shared(order)
    if steps.least_kw.any() or len(steps.level_rows):
        within = _on_steps(steps, standing, within, final.power_kw)
        final = shared(final.order)
    if steps.dead_kw.any():
        within = _out_of_dead_band(steps, standing, within, final.power_kw)
        final = shared(final.order)
    idle = steps.once & (standing.power_kw == 0) & (final.power_kw == 0)
    return Stepped(
        power_kw=final.power_kw,
        left_kw=total_kw - float(final.power_kw.sum()),
        order=final.order,
        held=held,
        missed=idle & (standing.closes_s <= period_s),
    )


def reachable(
    steps: Steps, standing: Standing, room: Room, *, period_s: float
) -> tuple[Room, Bools]:
    """What of `room` each unit can reach in the period that begins, and who is held where it is.

    Raises:
        DataError: The period is not above 0, or a standing power is not finite.
    """
    at_kw = standing.power_kw
    if not (0 < period_s < np.inf and np.isfinite(at_kw).all()):
        raise DataError(
            f"a period of {period_s} s, or a standing power that is not finite",
            where="reachable",
            fix="Give what each unit was last told, or does; leave out who is not known",
        )
    low, high = np.full(room.size, -np.inf), np.full(room.size, np.inf)
    held = np.zeros(room.size, dtype=bool)
    _ramp(steps, at_kw, period_s, low, high)
    _dwell(steps, standing, low, high, held)
    rows = np.flatnonzero((steps.notice_s > 0) | (steps.once & (at_kw != 0)))
    due = standing.told_s[rows] >= steps.notice_s[rows]
    due &= ~np.isnan(standing.told_kw[rows]) & (steps.notice_s[rows] > 0)
    low[rows] = high[rows] = np.where(due, standing.told_kw[rows], at_kw[rows])
    held[rows] = True
    narrowed = replace(
        room,
        low_kw=np.clip(room.low_kw, low, high),
        high_kw=np.clip(room.high_kw, low, high),
    )
    return narrowed, held


def to_tell(steps: Steps, standing: Standing, coming_kw: Floats) -> Bools:
    """Who must be told now what it is to do when its notice is over, shape (n,).

    `coming_kw` is the power wanted of each at the moment its notice ends if it is told now.
    """
    expected_kw = np.where(np.isnan(standing.told_kw), standing.power_kw, standing.told_kw)
    return (steps.notice_s > 0) & (np.abs(coming_kw - expected_kw) > steps.dead_kw)


def _ramp(steps: Steps, at_kw: Floats, period_s: float, low: Floats, high: Floats) -> None:
    """Narrow `low` and `high` to what the ramps reach."""
    rows = np.flatnonzero(np.isfinite(steps.ramp_kw_per_s))
    at, least = at_kw[rows], steps.least_kw[rows]
    way = steps.ramp_kw_per_s[rows] * period_s
    down, up = at - way, at + way
    # A switch is no ramp: on at the least power, off from it.
    down = np.where((at > 0) & (down < least), np.minimum(down, 0.0), down)
    up = np.where((at < 0) & (up > -least), np.maximum(up, 0.0), up)
    off = at == 0
    low[rows] = np.where(off, np.minimum(down, -least), down)
    high[rows] = np.where(off, np.maximum(up, least), up)
    low[steps.level_rows], high[steps.level_rows] = -np.inf, np.inf


def _dwell(steps: Steps, standing: Standing, low: Floats, high: Floats, held: Bools) -> None:
    """Narrow `low` and `high` of those that have not been on, or off, for long enough."""
    rows = np.flatnonzero((steps.least_on_s > 0) | (steps.least_off_s > 0))
    at, since = standing.power_kw[rows], standing.since_s[rows]
    young = rows[(at != 0) & (since < steps.least_on_s[rows])]
    feeds = standing.power_kw[young] > 0
    least = steps.least_kw[young]
    low[young] = np.where(feeds, np.maximum(low[young], least), low[young])
    high[young] = np.where(feeds, high[young], np.minimum(high[young], -least))
    rests = rows[(at == 0) & (since < steps.least_off_s[rows])]
    low[rests] = high[rests] = 0.0
    held[young] = held[rests] = True


def _on_steps(steps: Steps, standing: Standing, within: Room, wish_kw: Floats) -> Room:
    """`within` where every unit with levels, or below its least power, is put on a power it knows."""
    low, high = within.low_kw.copy(), within.high_kw.copy()
    graded, lower, upper = _between_levels(steps, within, wish_kw)
    has_least = steps.least_kw > 0
    has_least[steps.level_rows] = False
    rows = np.flatnonzero(has_least)
    wish, least = wish_kw[rows], steps.least_kw[rows]
    runs = np.abs(wish) >= least
    low[rows] = np.where(runs & (wish > 0), np.maximum(low[rows], least), low[rows])
    high[rows] = np.where(runs & (wish < 0), np.minimum(high[rows], -least), high[rows])
    small = rows[~runs & (low[rows] < high[rows])]
    off, on = _between_off_and_least(steps.least_kw[small], wish_kw[small], low[small], high[small])
    none = np.zeros(len(graded))
    choice = Choice(
        rows=np.concatenate((graded, small)),
        lower_kw=np.concatenate((lower, np.minimum(off, on))),
        upper_kw=np.concatenate((upper, np.maximum(off, on))),
        # Whoever runs may do more than its least.
        down_kw=np.concatenate((none, np.where(on < 0, on - low[small], 0.0))),
        up_kw=np.concatenate((none, np.where(on > 0, high[small] - on, 0.0))),
    )
    choose(choice, wish_kw, standing.power_kw, low, high)
    return replace(within, low_kw=low, high_kw=high)


def _between_levels(steps: Steps, within: Room, wish_kw: Floats) -> tuple[Ints, Floats, Floats]:
    """Units that know levels and have a choice, and the levels on both sides of each wish."""
    free = np.flatnonzero(within.low_kw[steps.level_rows] < within.high_kw[steps.level_rows])
    rows, levels = steps.level_rows[free], steps.level_kw[:, free]
    column = np.arange(len(rows))
    low, high, wish = within.low_kw[rows], within.high_kw[rows], wish_kw[rows]
    first = (levels < low).sum(axis=0)
    last = (levels <= high).sum(axis=0) - 1
    # No level in the room: of the two around it the one nearer to 0.
    known = np.isfinite(levels).sum(axis=0) - 1
    above, below = np.clip(first, 0, known), np.clip(last, 0, known)
    nearer = np.where(np.abs(levels[above, column]) < np.abs(levels[below, column]), above, below)
    first, last = np.where(first > last, nearer, first), np.where(first > last, nearer, last)
    at = np.clip((levels <= wish).sum(axis=0) - 1, first, last)
    lower = levels[at, column]
    return rows, lower, levels[at + ((lower < wish) & (at < last)), column]


def _between_off_and_least(
    least: Floats, wish: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """0 and the least power on the side of each wish; twice the same where the room has one only."""
    on = np.where(wish < 0, -least, least)
    may_run = (wish != 0) & (low <= on) & (on <= high)
    may_rest = (low <= 0) & (high >= 0)
    return np.where(may_rest | ~may_run, 0.0, on), np.where(may_run, on, 0.0)


def _out_of_dead_band(steps: Steps, standing: Standing, within: Room, wish_kw: Floats) -> Room:
    """`within` where a unit either keeps its power or moves by its dead band at least."""
    at_kw, low, high = standing.power_kw, within.low_kw.copy(), within.high_kw.copy()
    rows = np.flatnonzero((steps.dead_kw > 0) & (low < high) & (low <= at_kw) & (at_kw <= high))
    at, wish, dead = at_kw[rows], wish_kw[rows], steps.dead_kw[rows]
    up, down = wish > at, wish < at
    # The last bit to a bound may be smaller, or nobody would ever reach its bound.
    lower = np.where(down, np.maximum(at - dead, low[rows]), at)
    upper = np.where(up, np.minimum(at + dead, high[rows]), at)
    low[rows] = np.where(up, upper, low[rows])
    high[rows] = np.where(down, lower, high[rows])
    near = (lower <= wish) & (wish <= upper)
    choice = Choice(
        rows=rows[near],
        lower_kw=lower[near],
        upper_kw=upper[near],
        down_kw=np.where(down, lower - within.low_kw[rows], 0.0)[near],
        up_kw=np.where(up, within.high_kw[rows] - upper, 0.0)[near],
    )
    choose(choice, wish_kw, at_kw, low, high)
    return replace(within, low_kw=low, high_kw=high)
