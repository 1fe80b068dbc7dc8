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

Which units take the higher power: those nearest to it, where one that stands there already, or would
have to leave the lower one, counts `SWITCH` of the step more or less: two units do not swap places
for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpp.act.rules import MEET_HOURS, Order, Room, Rule, Shared, hand_out
from vpp.errors import DataError
from vpp.model.horizon import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SWITCH = 0.25
"""What a switch counts, as a part of the step: the wishes must differ by half a step for a swap."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """What each of n units can do at all; compiled once, arrays of shape (n,) unless said.

    Raises:
        DataError: A value is NaN or negative, or the levels of a unit do not ascend.
    """

    levels_from: Ints
    """Unit i knows the powers `level_kw[levels_from[i]:levels_from[i + 1]]`; none: any. Shape (n + 1,)."""

    level_kw: Floats
    """Net injection, ascending within each unit, 0 among them where it can be off."""

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
        for name in (
            "least_kw",
            "dead_kw",
            "least_on_s",
            "least_off_s",
            "notice_s",
            "ramp_kw_per_s",
        ):
            if not np.all(getattr(self, name) >= 0):
                raise DataError(
                    f"{name} is NaN or below 0",
                    where="Steps",
                    fix="Give sizes, 0 where there is none",
                )
        within = np.ones(len(self.level_kw), dtype=bool)
        within[self.levels_from[:-1][np.diff(self.levels_from) > 0]] = False
        if not (
            np.isfinite(self.level_kw).all() and (np.diff(self.level_kw)[within[1:]] > 0).all()
        ):
            raise DataError(
                "levels of a unit do not ascend, or are not finite",
                where="Steps.level_kw",
                fix="Sort each unit's powers, each once, as net injection",
            )

    @classmethod
    def none(cls, size: int) -> Steps:
        """Units that can do anything at once: `dataclasses.replace` what is otherwise."""
        zeros = np.zeros(size)
        return cls(
            levels_from=np.zeros(size + 1, dtype=np.int64),
            level_kw=np.zeros(0),
            least_kw=zeros,
            dead_kw=zeros,
            least_on_s=zeros,
            least_off_s=zeros,
            notice_s=zeros,
            ramp_kw_per_s=np.full(size, np.inf),
            once=np.zeros(size, dtype=bool),
        )

    @property
    def has_levels(self) -> Bools:
        return np.diff(self.levels_from) > 0


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
    meet_hours: float = MEET_HOURS,
) -> Stepped:
    """Share `total_kw` by `rule` among units that know steps; see `hand_out`.

    Raises:
        DataError: As `hand_out`, or the period is not above 0, or a standing power is not finite.
    """
    within, held = reachable(steps, standing, room, period_s=period_s)

    def shared(within: Room, order: Order | None) -> Shared:
        return hand_out(rule, within, total_kw, order, meet_hours=meet_hours)

    final = shared(within, order)
    if len(steps.level_kw) or steps.least_kw.any():
        within = _on_steps(steps, standing, within, final.power_kw)
        final = shared(within, final.order)
    if steps.dead_kw.any():
        within = _out_of_dead_band(steps, standing, within, final.power_kw)
        final = shared(within, final.order)
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
    low, high = _by_ramp(steps, at_kw, period_s)
    switched = steps.least_kw > 0
    on = at_kw != 0
    stays_on = switched & on & (standing.since_s < steps.least_on_s)
    low = np.where(stays_on & (at_kw > 0), np.maximum(low, steps.least_kw), low)
    high = np.where(stays_on & (at_kw < 0), np.minimum(high, -steps.least_kw), high)
    stays_off = switched & ~on & (standing.since_s < steps.least_off_s)
    noticed = steps.notice_s > 0
    told = noticed & ~np.isnan(standing.told_kw) & (standing.told_s >= steps.notice_s)
    held = stays_off | noticed | (steps.once & on)
    fixed_kw = np.where(told, standing.told_kw, at_kw)
    low, high = np.where(held, fixed_kw, low), np.where(held, fixed_kw, high)
    return (
        replace(
            room, low_kw=np.clip(room.low_kw, low, high), high_kw=np.clip(room.high_kw, low, high)
        ),
        held | stays_on,
    )


def to_tell(steps: Steps, standing: Standing, coming_kw: Floats) -> Bools:
    """Who must be told now what it is to do when its notice is over, shape (n,).

    `coming_kw` is the power wanted of each at the moment its notice ends if it is told now.
    """
    expected_kw = np.where(np.isnan(standing.told_kw), standing.power_kw, standing.told_kw)
    return (steps.notice_s > 0) & (np.abs(coming_kw - expected_kw) > steps.dead_kw)


def _by_ramp(steps: Steps, at_kw: Floats, period_s: float) -> tuple[Floats, Floats]:
    way_kw = np.where(steps.has_levels, np.inf, steps.ramp_kw_per_s * period_s)
    low, high = at_kw - way_kw, at_kw + way_kw
    least = steps.least_kw
    low = np.where((at_kw > 0) & (low < least), np.minimum(low, 0.0), low)
    high = np.where((at_kw < 0) & (high > -least), np.maximum(high, 0.0), high)
    off = at_kw == 0
    return np.where(off, np.minimum(low, -least), low), np.where(off, np.maximum(high, least), high)


def _on_steps(steps: Steps, standing: Standing, within: Room, wish_kw: Floats) -> Room:
    """`within` where every unit with levels, or below its least power, is put on a power it knows."""
    low, high = within.low_kw.copy(), within.high_kw.copy()
    least = np.where(steps.has_levels, 0.0, steps.least_kw)
    runs = (least > 0) & (np.abs(wish_kw) >= least)
    low[runs] = np.where(wish_kw > 0, np.maximum(low, least), low)[runs]
    high[runs] = np.where(wish_kw < 0, np.minimum(high, -least), high)[runs]
    stuck = low == high
    stepped = np.flatnonzero(~stuck & (steps.has_levels | ((least > 0) & ~runs)))
    lower, upper = wish_kw.copy(), wish_kw.copy()
    _between_levels(steps, within, wish_kw, lower, upper)
    _between_off_and_least(least, within, wish_kw, lower, upper)
    chosen = _chosen(lower, upper, wish_kw, standing.power_kw, stepped, low, high)
    low[stepped] = high[stepped] = chosen
    return replace(within, low_kw=low, high_kw=high)


def _between_levels(
    steps: Steps, within: Room, wish_kw: Floats, lower: Floats, upper: Floats
) -> None:
    """Write the levels on both sides of each wish, no further than the room."""
    rows = np.flatnonzero(steps.has_levels & (within.low_kw < within.high_kw))
    if not len(rows):
        return
    begin, end = steps.levels_from[:-1], steps.levels_from[1:]
    counts = end - begin

    def below(limit_kw: Floats, *, inclusive: bool) -> Ints:
        """How many of its levels each of `rows` has below a limit of its own."""
        limits = np.repeat(limit_kw, counts)
        hit = steps.level_kw <= limits if inclusive else steps.level_kw < limits
        total = np.concatenate(([0], np.cumsum(hit)))
        return (total[end] - total[begin])[rows]

    first = begin[rows] + below(within.low_kw, inclusive=False)
    last = begin[rows] + below(within.high_kw, inclusive=True) - 1
    at = begin[rows] + below(wish_kw, inclusive=True) - 1
    # No level in the room: of the two around it the one nearer to 0.
    none = first > last
    around = np.clip(np.stack((first, last)), begin[rows], end[rows] - 1)
    nearer = np.where(
        np.abs(steps.level_kw[around[0]]) < np.abs(steps.level_kw[around[1]]), around[0], around[1]
    )
    first, last = np.where(none, nearer, first), np.where(none, nearer, last)
    at = np.clip(at, first, last)
    lower[rows] = steps.level_kw[at]
    more = (steps.level_kw[at] < wish_kw[rows]) & (at < last)
    upper[rows] = steps.level_kw[at + more]


def _between_off_and_least(
    least: Floats, within: Room, wish_kw: Floats, lower: Floats, upper: Floats
) -> None:
    """Write 0 and the least power for wishes between both, or the one of them that the room has."""
    rows = np.flatnonzero((least > 0) & (np.abs(wish_kw) < least))
    side = np.where(wish_kw[rows] < 0, -1.0, 1.0)
    runs_kw = side * least[rows]
    may_rest = (within.low_kw[rows] <= 0) & (within.high_kw[rows] >= 0)
    may_run = (within.low_kw[rows] <= runs_kw) & (runs_kw <= within.high_kw[rows])
    may_run &= wish_kw[rows] != 0
    rests = np.where(may_rest | ~may_run, 0.0, runs_kw)
    runs = np.where(may_run, runs_kw, 0.0)
    lower[rows], upper[rows] = np.minimum(rests, runs), np.maximum(rests, runs)


def _out_of_dead_band(steps: Steps, standing: Standing, within: Room, wish_kw: Floats) -> Room:
    """`within` where a unit either keeps its power or moves by its dead band at least."""
    at_kw, low, high = standing.power_kw, within.low_kw.copy(), within.high_kw.copy()
    banded = (steps.dead_kw > 0) & (low < high) & (low <= at_kw) & (at_kw <= high)
    up, down = banded & (wish_kw > at_kw), banded & (wish_kw < at_kw)
    # The last bit to a bound may be smaller, or nobody would ever reach its bound.
    low[up] = np.minimum(at_kw + steps.dead_kw, high)[up]
    high[down] = np.maximum(at_kw - steps.dead_kw, low)[down]
    doubtful = np.flatnonzero(
        banded & ((up & (wish_kw < low)) | (down & (wish_kw > high)) | (wish_kw == at_kw))
    )
    lower, upper = np.where(down, high, at_kw), np.where(up, low, at_kw)
    chosen = _chosen(lower, upper, wish_kw, at_kw, doubtful, low, high)
    stays = chosen == at_kw[doubtful]
    low[doubtful[stays]] = high[doubtful[stays]] = chosen[stays]
    return replace(within, low_kw=low, high_kw=high)


def _chosen(
    lower: Floats,
    upper: Floats,
    wish_kw: Floats,
    at_kw: Floats,
    rows: Ints,
    low: Floats,
    high: Floats,
) -> Floats:
    """The lower or the upper power for each of `rows`, so that their sum is near that of the wishes.

    As near as it can be where the others, who have `low` and `high`, can make up for the rest.
    """
    below, above, wish = lower[rows], upper[rows], wish_kw[rows]
    gap = above - below
    can = gap > 0
    part = np.divide(wish - below, gap, out=np.zeros(len(rows)), where=can)
    lean = (at_kw[rows] >= above) * SWITCH - (at_kw[rows] <= below) * SWITCH
    order = np.argsort(-(part + lean), kind="stable")
    order = order[can[order]]
    others = np.ones(len(wish_kw), dtype=bool)
    others[rows] = False
    up_kw = float((high - wish_kw)[others].sum())
    down_kw = float((wish_kw - low)[others].sum())
    rest_kw = float((wish - below).sum()) - np.concatenate(([0.0], np.cumsum(gap[order])))
    beyond_kw = np.maximum(rest_kw - up_kw, 0.0) + np.maximum(-rest_kw - down_kw, 0.0)
    fits = beyond_kw <= beyond_kw.min() + 1e-9
    count = int(np.argmin(np.where(fits, np.abs(rest_kw), np.inf)))
    chosen = below.copy()
    chosen[order[:count]] = above[order[:count]]
    return chosen
