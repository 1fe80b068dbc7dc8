"""What each device may do while a command is in force: its command, and what it does beside it.

    command ─┬─ a power to run at ─────── the device is there, or on its way (ramp, delay)
             ├─ a cap (sun, cars, a load turned down) ── anything between now and the cap
             └─ a word (hold, start, stop) ── the whole profile, or nothing

The guard reckons with the lowest and the highest of it at every node.
"""

from __future__ import annotations

from math import inf, nan
from typing import TypeAlias

import numpy as np

from vpp.act.branches import Places
from vpp.act.units import Bools, Kind, Phase, Seen, Units
from vpp.model.horizon import Floats

Some: TypeAlias = Places | slice
"""Numbers of units; `EVERYBODY` for all of them, without a copy."""

EVERYBODY = slice(None)


class Reach:
    """The range of powers of each unit under any command, for one cycle; N units."""

    def __init__(self, units: Units, seen: Seen, heard: Bools, *, period_s: float) -> None:
        """`heard` tells whose reading counts; `period_s` is the time until the next command."""
        now = seen.power_kw
        self.still_low_kw = np.where(heard, now, units.worst_low_kw)
        """Of who is not commanded: as measured, or at its worst where nobody knows."""
        self.still_high_kw = np.where(
            heard, now, np.where(units.kind == Kind.INTERRUPTIBLE_LOAD, 0.0, units.feed_kw)
        )
        n = len(units)
        self._low_cap, self._low_floor = np.full(n, inf), np.full(n, -inf)
        self._high_cap, self._high_floor = np.full(n, inf), np.full(n, -inf)
        self._note_caps(units, seen)
        self._start_kw = np.full(n, nan)
        """What a run that is started draws at most; NaN for others."""
        runs = units.by_kind[Kind.SHIFTABLE_RUN]
        self._start_kw[runs] = -units.draw_kw[runs]
        self._ready_kw = units.ready_kw
        self._runs, self._ready = len(runs) > 0, bool((units.ready_kw > 0).any())
        self._now, self._step_kw = now, _step_kw(units, period_s)

    def range_kw(self, some: Some, kw: Floats) -> tuple[Floats, Floats]:
        """Lowest and highest power of `some` under the commands `kw`, as many."""
        low = np.maximum(np.minimum(kw, self._low_cap[some]), self._low_floor[some])
        high = np.maximum(np.minimum(kw, self._high_cap[some]), self._high_floor[some])
        if self._runs:
            start_kw = self._start_kw[some]
            np.copyto(low, start_kw, where=(kw < 0) & (start_kw <= 0))
        if self._ready:
            ready_kw = self._ready_kw[some]
            off = (kw == 0) & (ready_kw > 0)
            np.copyto(low, -ready_kw, where=off)
            np.copyto(high, -ready_kw, where=off)
        if self._step_kw is not None:
            now, step = self._now[some], self._step_kw[some]
            by_then = np.minimum(np.maximum(kw, now - step), now + step)
            low, high = np.fmin(low, by_then), np.fmax(high, by_then)
        return low, high

    def _note_caps(self, units: Units, seen: Seen) -> None:
        drawn, fed = np.minimum(seen.power_kw, 0.0), np.maximum(seen.power_kw, 0.0)
        kind = units.by_kind
        for at in (kind[Kind.EV_FLEET], kind[Kind.FLEXIBLE_LOAD]):
            # They may draw, or feed, less than they are allowed.
            self._low_cap[at], self._high_floor[at] = fed[at], drawn[at]
        at = kind[Kind.CURTAILABLE_LOAD]
        # It draws what cannot be turned down, whatever is said; called, it is turned down already.
        stays = np.where(seen.phase[at] == Phase.CALLED, 1.0, 1 - units.curtailable_share[at])
        self._low_cap[at], self._high_floor[at] = drawn[at] * stays, drawn[at]
        at = kind[Kind.GENERATOR]
        # The command is a cap; sun, ramp and start decide what is below it.
        most = np.where(
            units.weather_driven[at], np.fmax(fed[at], seen.available_kw[at]), units.feed_kw[at]
        )
        must = units.must_run_share[at] * most
        self._low_cap[at], self._low_floor[at] = fed[at], must
        self._high_cap[at], self._high_floor[at] = most, must
        at = kind[Kind.INTERRUPTIBLE_LOAD]
        self._low_cap[at] = seen.power_kw[at]  # it may take a while to stop
        at = kind[Kind.SHIFTABLE_RUN]
        self._low_floor[at] = self._high_floor[at] = 0.0


def _step_kw(units: Units, period_s: float) -> Floats | None:
    """How far each can go in a period; inf for who is there at once. None where all are."""
    if not len(units.late) or period_s <= 0:
        return None
    step = np.full(len(units), inf)
    at = units.late
    moving_s = np.maximum(period_s - units.delay_s[at], 0.0)
    step[at] = np.where(moving_s > 0, units.ramp_kw_per_s[at] * np.maximum(moving_s, 1e-9), 0.0)
    return step


def runnable_kw(units: Units, at: Places, kw: Floats, *, slack_kw: Floats | float = 0.0) -> Floats:
    """The nearest powers towards 0 that the machines `at` know: a band, or off below their least.

    What lacks no more than `slack_kw` of one is that one: the solver's rounding stops no machine.
    """
    size = np.abs(kw)
    least = np.where(kw > 0, units.least_feed_kw[at], units.least_draw_kw[at])
    found = np.where(size + slack_kw >= least, np.maximum(size, least), 0.0)
    row = units.band_row[at]
    if (banded := np.flatnonzero(row >= 0)).size:
        bands = units.bands_kw[row[banded]]
        reached = (bands <= (size + slack_kw)[banded, np.newaxis]).sum(axis=1)
        found[banded] = bands[np.arange(banded.size), reached - 1]
    return np.copysign(found, kw) + 0.0  # no -0.0
