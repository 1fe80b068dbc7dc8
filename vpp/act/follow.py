"""Where an obedient device can be by now: the band in which its power is looked for.

    kW   asked ┌───────────────────────          the band opens at once to what is asked,
               │        ╱ slowest                 and closes behind the slowest device that obeys:
               │      ╱                           after its delay and a settling time, on its ramp
         was ──┴─────╯
               │ W  │

A device may be quicker than its data sheet, and a little slower; it is found out when its power lies
outside the band in two readings in a row. All times are those of its readings, so late telemetry accuses
nobody, and a device that is asked for another value every second is judged as well: the band then holds
what was asked in the last one to two windows W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Places
from vpp.act.units import Bools, Kind, Phase, Seen, Units
from vpp.errors import DataError
from vpp.model.horizon import Floats

SAME_S = 1e-3
"""Readings nearer to each other are one: their times are differences of floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What a device is forgiven."""

    tolerance_kw: float = 5.0
    """So far beside what is asked it obeys still; at least."""

    tolerance_share: float = 0.01
    """The same as a share of its larger size; the greater of the two holds."""

    settle_s: float = 10.0
    """Beside its own delay, before its power must move: the way there and the way back."""

    slower: float = 1.5
    """Its ramp may take so many times as long as its data say."""

    strikes: int = 2
    """Readings in a row outside the band before it is said not to follow."""

    def __post_init__(self) -> None:
        sizes = (self.tolerance_kw, self.tolerance_share, self.settle_s)
        if not (min(sizes) >= 0 and max(sizes) < np.inf and 1 <= self.slower < np.inf):
            raise DataError(f"{self}", where="Patience", fix="Give sizes, and slower from 1 on")
        if self.strikes < 1:
            raise DataError(f"{self.strikes} strikes", where="Patience", fix="Give at least 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What new readings of some units say."""

    at: Places
    there: Bools
    """Whether each does what it is asked."""

    stray: Bools
    """Whether each has struck out."""


class Follower:
    """The band of each of N units."""

    def __init__(self, units: Units, patience: Patience) -> None:
        n = len(units)
        self._units, self._patience = units, patience
        self._tolerance_kw = np.maximum(
            patience.tolerance_kw,
            patience.tolerance_share * np.maximum(units.draw_kw, units.feed_kw),
        )
        self._window_s = units.delay_s + patience.settle_s
        self._ramp_kw_per_s = units.ramp_kw_per_s / patience.slower
        self._asked_kw = np.full(n, np.nan)
        self._asked_s, self._begun_s = np.full(n, -np.inf), np.full(n, -np.inf)
        self._asked_seq = np.zeros(n, dtype=np.int64)
        self._low_kw, self._high_kw = np.full(n, np.nan), np.full(n, np.nan)
        # What was asked in this window and in the one before: lowest and highest.
        self._now_low, self._now_high = np.full(n, np.nan), np.full(n, np.nan)
        self._old_low, self._old_high = np.full(n, np.nan), np.full(n, np.nan)
        self._window_began_s = np.full(n, -np.inf)
        self._window_seq = np.zeros(n, dtype=np.int64)
        self._seen_kw, self._seen_s = np.full(n, np.nan), np.full(n, -np.inf)
        self._strikes = np.zeros(n, dtype=np.int64)

    def ask(
        self, at: Places, kw: Floats, seq: NDArray[np.int64], now_s: float, fresh: Bools
    ) -> None:
        """Units `at` are asked for other powers than before; `fresh`: they were asked for nothing."""
        begins = at[fresh]
        for low, high in self._spans():
            low[begins] = high[begins] = self._seen_kw[begins]
        self._strikes[begins], self._begun_s[begins] = 0, now_s
        self._window_began_s[begins], self._window_seq[begins] = now_s, seq[fresh]
        for low, high in ((self._low_kw, self._high_kw), (self._now_low, self._now_high)):
            low[at], high[at] = np.fmin(low[at], kw), np.fmax(high[at], kw)
        self._asked_kw[at], self._asked_s[at], self._asked_seq[at] = kw, now_s, seq

    def look(self, seen: Seen, taken_seq: NDArray[np.int64], watched: Bools) -> Look:
        """Judge the new readings of who is `watched`: asked for something that he has taken.

        `taken_seq` is the newest command that each is known to have.
        """
        seen_s = seen.taken_at.timestamp() - seen.measured_age_s
        at = np.flatnonzero(seen_s > self._seen_s + SAME_S)
        passed_s = seen_s[at] - self._seen_s[at]
        self._seen_s[at], self._seen_kw[at] = seen_s[at], seen.power_kw[at]
        asked = watched[at]
        at, passed_s = at[asked], passed_s[asked]
        self._narrow(at, passed_s, taken_seq[at])
        early = self._seen_s[at] < self._asked_s[at] + self._window_s[at]
        within = self._within(at, seen, self._low_kw[at], self._high_kw[at], forgiven=early)
        self._strikes[at] = np.where(within, 0, self._strikes[at] + 1)
        asked_kw = self._asked_kw[at]
        return Look(
            at=at,
            there=self._within(at, seen, asked_kw, asked_kw, forgiven=np.zeros_like(early)),
            stray=self._strikes[at] >= self._patience.strikes,
        )

    # ------------------------------------------------------------ the band

    def _spans(self) -> tuple[tuple[Floats, Floats], ...]:
        return (
            (self._low_kw, self._high_kw),
            (self._now_low, self._now_high),
            (self._old_low, self._old_high),
        )

    def _narrow(self, at: Places, passed_s: Floats, taken_seq: NDArray[np.int64]) -> None:
        """Let the band close as far as the slowest obedient device has come by now."""
        seen_s, window_s = self._seen_s[at], self._window_s[at]
        unknown = self._old_low[at] != self._old_low[at]
        begins = at[(seen_s < self._begun_s[at] + window_s) | unknown]
        for low, high in self._spans():  # where it was when it was first asked
            low[begins] = np.fmin(low[begins], self._seen_kw[begins])
            high[begins] = np.fmax(high[begins], self._seen_kw[begins])
        asked_kw, has = self._asked_kw[at], taken_seq >= self._asked_seq[at]
        since_s = seen_s - (self._asked_s[at] + window_s)
        steady = has & (since_s >= 0)
        rolls = steady | (
            (seen_s - self._window_began_s[at] >= window_s) & (taken_seq >= self._window_seq[at])
        )
        for old, now in ((self._old_low, self._now_low), (self._old_high, self._now_high)):
            old[at] = np.where(steady, asked_kw, np.where(rolls, now[at], old[at]))
            now[at] = np.where(rolls, asked_kw, now[at])
        self._window_began_s[at] = np.where(rolls, seen_s, self._window_began_s[at])
        self._window_seq[at] = np.where(rolls, self._asked_seq[at], self._window_seq[at])
        moved_s = np.where(steady, np.minimum(passed_s, since_s), passed_s)
        step_kw = np.where(moved_s > 0, self._ramp_kw_per_s[at] * np.maximum(moved_s, 1e-9), 0.0)
        least = np.fmin(self._old_low[at], self._now_low[at])
        most = np.fmax(self._old_high[at], self._now_high[at])
        self._low_kw[at] = np.fmin(self._low_kw[at] + step_kw, least)
        self._high_kw[at] = np.fmax(self._high_kw[at] - step_kw, most)

    def _within(
        self, at: Places, seen: Seen, low_kw: Floats, high_kw: Floats, *, forgiven: Bools
    ) -> Bools:
        """Whether each power is what a command from `low_kw` to `high_kw` means to its kind.

        Of words, such as a start, there is no band: there who is `forgiven` may still have time.
        """
        units, kind, kw = self._units, self._units.kind[at], seen.power_kw[at]
        asked_kw, tolerance_kw = self._asked_kw[at], self._tolerance_kw[at]
        stays_kw = units.draw_kw[at] * (1 - units.curtailable_share[at])
        turned = kind == Kind.CURTAILABLE_LOAD  # what cannot be turned down comes by itself
        low_kw = np.where(turned, np.minimum(low_kw, -stays_kw), low_kw)
        above = (kw >= low_kw - tolerance_kw) | (kind == Kind.GENERATOR)  # less sun than the cap
        # Cars may want less than they are allowed, and a load draw less than its cap.
        below = (kw <= high_kw + tolerance_kw) | turned | (kind == Kind.EV_FLEET)
        stores = kind == Kind.STORAGE
        soc = seen.soc[at]
        spent = (asked_kw > 0) & (soc <= units.min_soc[at]) | (asked_kw < 0) & (soc >= 1)
        # What its network leaves over is what a store of heat takes.
        free = stores & (spent | (units.tree.point_of[at] >= units.tree.points))
        within = above & below | free
        phase = seen.phase[at]
        starts = (kind == Kind.SHIFTABLE_RUN) & (asked_kw < 0)
        began = (phase == Phase.RUNNING) | (phase == Phase.DONE)
        called = (phase == Phase.CALLED) | (seen.calls_today[at] > 0)  # it ends by itself
        within = np.where(starts, began | forgiven, within)
        return np.asarray(
            np.where(kind == Kind.INTERRUPTIBLE_LOAD, called | forgiven, within), dtype=np.bool_
        )
