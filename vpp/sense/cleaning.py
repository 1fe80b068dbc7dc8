"""Defects of a measured series, found before a model learns from it.

    raw ─▶ zeros that say missing ─▶ spikes ─▶ stuck meter ─▶ nights ─▶ short gaps bridged ─▶ clean
                  └──────────────────────┴───────────┴──────────┴───────────┴──▶ findings

Nothing is mended silently: every step that is taken out, filled or only looks odd stands in a
`Finding`. What is unknown stays NaN; a gap is bridged only where the rules say up to which length.
Prices have rules of their own: -10,000 EUR/MWh was really paid, and it stays.

"Habit" below is what the series itself does about once a week. Without it a night price that
repeats, or a works that draws its base load all Sunday, would pass for a broken meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import Interval, isoformat

Flags: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)

HELD_AT_LEAST = timedelta(days=2)
"""Shorter spans of equal quarter-hours happen by themselves."""

NEAR_ZERO = 0.02
"""Beside a missing night the sun gives no more than this share of its most."""

AT_ITS_MOST = 0.98
"""Share of the highest value from which on a machine runs at its rating."""

FAR_FROM_ZERO = 0.3
"""A series never comes near 0 that stays above this share of its median in 99 % of its steps."""

LONGEST_NIGHT = timedelta(hours=20)


class Defect(StrEnum):
    """What may be wrong with a series."""

    GAP = "gap"
    ZERO = "zero"
    """0 where the series never comes near 0 otherwise: a reading that failed."""
    SPIKE = "spike"
    STUCK = "stuck"
    NIGHT = "night"
    """Rows of a PV series are missing at night."""
    HELD = "held"
    """Coarser values, each repeated over the finer steps of its interval."""
    MIXED_STEPS = "mixed_steps"
    DOUBLED = "doubled"
    CLOCK_CHANGE = "clock_change"
    WALL_CLOCK = "wall_clock"
    """Stamps say one offset all year and follow the wall clock in summer."""


class Action(StrEnum):
    """What was done about it."""

    KEPT = "kept"
    TAKEN_OUT = "taken out"
    """The steps are unknown now."""
    FILLED = "filled"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of defect in one series: what, where, how many steps, and what was done."""

    defect: Defect
    action: Action
    spans: tuple[Interval, ...]
    steps: int
    what: str

    def __str__(self) -> str:
        first, last = self.spans[0], self.spans[-1]
        places = f", {len(self.spans)} places" if len(self.spans) > 1 else ""
        span = f"{isoformat(first.start)} … {isoformat(last.end)}"
        return f"{self.what}: {self.steps} steps {self.action} ({span}{places})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningRules:
    """What counts as a defect of one series. The defaults suit loads."""

    zero_is_missing: bool = False
    night_is_zero: bool = False
    """The sun makes the series: where it lacks a night, it was 0."""

    spike_ratio: float = 5.0
    """A step is a spike that lies so many times as far from the median as 95 % of the steps do,"""

    spike_hours: float = 2.0
    """and is over within this time: what lasts is a furnace, not a fault."""

    keep_spikes: bool = False
    """They are real, however odd: prices."""

    stuck_hours: float = 6.0
    stuck_ratio: float = 3.0
    """A meter is stuck that repeats one value for `stuck_hours`, and so many times as long as is habit."""

    keep_stuck: bool = False
    """A value may stand still: prices, and whatever is set by hand."""

    bridge: timedelta = timedelta(0)
    """Gaps up to this length are filled with a straight line."""

    def __post_init__(self) -> None:
        for name in ("spike_ratio", "spike_hours", "stuck_hours", "stuck_ratio"):
            if not getattr(self, name) > 0:
                raise DataError(
                    f"{name} is {getattr(self, name)}",
                    where="CleaningRules",
                    fix="Give a number above 0",
                )


PRICES = CleaningRules(keep_spikes=True, keep_stuck=True)

MEASURED = ("power.", "net.", "available.")
"""Beginnings of series that meters make, and spoil; the others are looked at by those who send them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cleaned:
    """A series to learn from, and what was found in it."""

    profile: Profile
    findings: tuple[Finding, ...]


def rules_for(series_id: str) -> CleaningRules:
    """The rules that suit a series by the beginning of its name."""
    return PRICES if series_id.startswith("price.") else CleaningRules()


def clean(profile: Profile, rules: CleaningRules) -> Cleaned:
    """Take defects out of a series (NaN), fill what the rules allow, and say all of it.

    Raises:
        DataError: A value is infinite.
    """
    if np.isinf(profile.values).any():
        raise DataError("a value is infinite", where="series", fix="Give NaN where unknown")
    work = _Work(profile.horizon, profile.values.copy(), rules)
    work.zeros()
    work.spikes()
    work.stuck()
    work.held()
    work.nights()
    work.bridge()
    work.gaps()
    return Cleaned(profile=Profile(work.horizon, work.values), findings=tuple(work.findings))


def filled(profile: Profile, rules: CleaningRules) -> Floats:
    """What the rules fill by what the series itself knows: nights and short gaps, shape (T,)."""
    work = _Work(profile.horizon, profile.values.copy(), rules)
    work.nights()
    work.bridge()
    return work.values


class _Work:
    """The series under the knife."""

    def __init__(self, horizon: Horizon, values: Floats, rules: CleaningRules) -> None:
        self.horizon = horizon
        self.values = values
        self.rules = rules
        self.findings: list[Finding] = []

    def zeros(self) -> None:
        zero = self.values == 0
        sizes = np.abs(self.values[~zero & ~np.isnan(self.values)])
        if not zero.any() or not sizes.size:
            return
        if self.rules.zero_is_missing:
            self._take_out(Defect.ZERO, zero, "0 says that the reading is missing")
        elif np.quantile(sizes, 0.01) > FAR_FROM_ZERO * np.median(sizes):
            what = "0 in a series that never comes near it (see zero_is_missing)"
            self._note(Defect.ZERO, Action.KEPT, zero, what)

    def spikes(self) -> None:
        known = self.values[~np.isnan(self.values)]
        if not known.size:
            return
        median = np.median(known)
        usual = float(np.quantile(np.abs(known - median), 0.95))
        if usual == 0:  # it hardly ever moves: no measure of what is far
            return
        far = np.abs(self.values - median) > self.rules.spike_ratio * usual
        first, length = _runs(far.astype(np.float64))
        short = far[first] & (length * self.horizon.step_hours <= self.rules.spike_hours)
        spike = _spread(first[short], length[short], self.horizon.steps)
        what = f"more than {self.rules.spike_ratio:g} times as far from the median as is usual"
        if self.rules.keep_spikes:
            self._note(Defect.SPIKE, Action.KEPT, far, what)
        else:
            self._take_out(Defect.SPIKE, spike, what)

    def stuck(self) -> None:
        first, length = _runs(self.values)
        still = ~np.isnan(self.values[first]) & (self.values[first] != 0)
        first, length = first[still], length[still]
        known = int((~np.isnan(self.values)).sum())
        weeks = ceil(self.horizon.steps * self.horizon.step / WEEK)
        habit = int(np.sort(length)[::-1][weeks]) if length.size > weeks else 1
        least = max(
            self.rules.stuck_hours / self.horizon.step_hours, self.rules.stuck_ratio * habit
        )
        # What stands still most of the time is no meter that broke, nor is a machine at its most.
        far = (length >= least) & (2 * length <= known)
        far &= self.values[first] < AT_ITS_MOST * np.nanmax(self.values, initial=0.0)
        stuck = _spread(first[far], length[far], self.horizon.steps)
        what = f"one value repeated for {least * self.horizon.step_hours:g} h or longer"
        if self.rules.keep_stuck:
            self._note(Defect.STUCK, Action.KEPT, stuck, what)
        else:
            self._take_out(Defect.STUCK, stuck, what)

    def held(self) -> None:
        each = HOUR // self.horizon.step
        if each < 2 or HOUR % self.horizon.step:
            return
        skip = self.horizon.next_index(self.horizon.start.replace(minute=0, second=0))
        skip %= each
        hours = self.values[skip : skip + (self.horizon.steps - skip) // each * each]
        if not hours.size:  # not one whole hour
            return
        blocks = hours.reshape(-1, each)
        flat = (blocks == blocks[:, :1]).all(axis=1)
        first, length = _runs(flat.astype(np.float64))
        held = np.zeros(self.horizon.steps, dtype=bool)
        for start, count in zip(first[flat[first]], length[flat[first]], strict=True):
            moves = np.mean(np.diff(blocks[start : start + count, 0]) != 0) if count > 1 else 0.0
            if count * HOUR >= HELD_AT_LEAST and moves > 0.5:  # else the meter stands, not the step
                held[skip + start * each : skip + (start + count) * each] = True
        self._note(Defect.HELD, Action.KEPT, held, f"hourly values, each repeated {each} times")

    def nights(self) -> None:
        if not self.rules.night_is_zero or np.isnan(self.values).all():
            return
        little = NEAR_ZERO * np.nanmax(self.values)
        night = self._gaps(LONGEST_NIGHT, beside=little)
        self.values[night] = 0.0
        self._note(Defect.NIGHT, Action.FILLED, night, "nights are missing, and were dark")

    def bridge(self) -> None:
        short = self._gaps(self.rules.bridge)
        known = ~np.isnan(self.values)
        steps = np.arange(self.horizon.steps)
        if short.any():
            self.values[short] = np.interp(steps[short], steps[known], self.values[known])
        what = f"gaps up to {self.rules.bridge}, filled with a straight line"
        self._note(Defect.GAP, Action.FILLED, short, what)

    def gaps(self) -> None:
        self._note(Defect.GAP, Action.KEPT, np.isnan(self.values), "unknown")

    def _gaps(self, longest: timedelta, *, beside: float = np.inf) -> Flags:
        """Steps of gaps inside the series up to so long, between values no larger than `beside`."""
        first, length = _runs(np.isnan(self.values).astype(np.float64))
        inside = np.isnan(self.values[first]) & (first > 0)
        inside &= (first + length < self.horizon.steps) & (length <= longest // self.horizon.step)
        first, length = first[inside], length[inside]
        low = (self.values[first - 1] <= beside) & (self.values[first + length] <= beside)
        return _spread(first[low], length[low], self.horizon.steps)

    def _take_out(self, defect: Defect, where: Flags, what: str) -> None:
        self.values[where] = np.nan
        self._note(defect, Action.TAKEN_OUT, where, what)

    def _note(self, defect: Defect, action: Action, where: Flags, what: str) -> None:
        if where.any():
            self.findings.append(finding(defect, action, self.horizon, where, what))


def finding(defect: Defect, action: Action, horizon: Horizon, where: Flags, what: str) -> Finding:
    """The record of steps of a horizon; at least one of `where` is set."""
    first, length = _runs(where.astype(np.float64))
    spans = tuple(
        Interval(horizon.start + int(a) * horizon.step, horizon.start + int(a + n) * horizon.step)
        for a, n in zip(first[where[first]], length[where[first]], strict=True)
    )
    return Finding(defect=defect, action=action, spans=spans, steps=int(where.sum()), what=what)


def _runs(values: Floats) -> tuple[Ints, Ints]:
    """First step and length of each run of one value; a NaN is a run of its own."""
    first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return first, np.diff(np.append(first, values.size))


def _spread(first: Ints, length: Ints, steps: int) -> Flags:
    """Which steps lie in these runs."""
    flags = np.zeros(steps, dtype=bool)
    for a, n in zip(first, length, strict=True):
        flags[a : a + n] = True
    return flags
