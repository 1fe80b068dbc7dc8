"""What each device may do while a command is in force: its command, and what it does beside it.

    command ─┬─ a power to run at ─────── the device is there, or on its way (ramp, delay)
             ├─ a cap (sun, cars, a load turned down) ── anything between now and the cap
             └─ a word (hold, start, stop) ── the whole profile, or nothing

The guard reckons with the lowest and the highest of it at every node.
"""

from __future__ import annotations

from math import inf
from typing import TypeAlias

import numpy as np

from vpp.act.branches import Places
from vpp.act.parts import Part
from vpp.act.units import Bools, Kind, Phase, Seen, Units
from vpp.model.horizon import Floats

Some: TypeAlias = Places | slice
"""Numbers of units; `EVERYBODY` for all of them, without a copy."""

EVERYBODY = slice(None)


class Reach:
    """The range of powers of each unit under any command, for one cycle; N units.

    Most units do what they are told, no more and no less. The caps and floors of the others stand in
    columns of their own (`Units.beside`, `Units.late`).
    """

    def __init__(self, units: Units, seen: Seen, heard: Bools) -> None:
        """`heard` tells whose reading counts."""
        self._units, self._seen, self._heard = units, seen, heard
        size = len(units.beside.at)
        self._low_cap, self._low_floor = np.full(size, inf), np.full(size, -inf)
        self._high_cap, self._high_floor = np.full(size, inf), np.full(size, -inf)
        self._note_caps(units, seen)
        self._step_kw: Floats | None = None
        """How far each of `Units.late` can go until the next command."""
        self._lingers_kw: Floats | None = None

    def note(self, *, period_s: float, lingers_kw: Floats) -> None:
        """Reckon with time: `period_s` until the next command, and what old commands still say."""
        at = self._units.late.at
        self._lingers_kw = lingers_kw
        if at.size and period_s > 0:
            moving_s = np.maximum(period_s - self._units.delay_s[at], 0.0)
            step_kw = self._units.ramp_kw_per_s[at] * np.maximum(moving_s, 1e-9)
            self._step_kw = np.where(moving_s > 0, step_kw, 0.0)

    def still_kw(self, at: Places) -> tuple[Floats, Floats]:
        """Lowest and highest power of who is not commanded.

        As measured, or on the way to what an old command says; at its worst where nobody knows.
        """
        units, heard, now = self._units, self._heard[at], self._seen.power_kw[at]
        last = now if self._lingers_kw is None else self._lingers_kw[at]
        return (
            np.where(heard, np.fmin(now, last), units.worst_low_kw[at]),
            np.where(heard, np.fmax(now, last), units.worst_high_kw[at]),
        )

    def range_kw(self, some: Some, kw: Floats) -> tuple[Floats, Floats]:
        """Lowest and highest power of `some` under the commands `kw`, as many."""
        low, high = kw.copy(), kw.copy()
        place, row = _of(self._units.beside, some)
        if place.size:
            low[place], high[place] = self._beside_kw(row, kw[place])
        if self._step_kw is not None:
            place, row = _of(self._units.late, some)
            now, step = self._seen.power_kw[self._units.late.at[row]], self._step_kw[row]
            by_then = np.minimum(np.maximum(kw[place], now - step), now + step)
            low[place] = np.fmin(low[place], by_then)
            high[place] = np.fmax(high[place], by_then)
        return low, high

    def _beside_kw(self, row: Some, kw: Floats) -> tuple[Floats, Floats]:
        low = np.maximum(np.minimum(kw, self._low_cap[row]), self._low_floor[row])
        high = np.maximum(np.minimum(kw, self._high_cap[row]), self._high_floor[row])
        starts_kw = self._units.starts_kw[row]  # once started it runs through its whole profile
        np.copyto(low, starts_kw, where=(kw < 0) & (starts_kw <= 0))
        ready_kw = self._units.beside_ready_kw[row]  # off, but ready
        off = (kw == 0) & (ready_kw > 0)
        np.copyto(low, -ready_kw, where=off)
        np.copyto(high, -ready_kw, where=off)
        return low, high

    def _note_caps(self, units: Units, seen: Seen) -> None:
        """What is beside a command, kind by kind; each kind is a slice of `Units.beside`."""
        span, kind = units.beside.span, units.by_kind
        for some in (Kind.EV_FLEET, Kind.FLEXIBLE_LOAD):
            # They may draw, or feed, less than they are allowed.
            now = seen.power_kw[kind[some]]
            self._low_cap[span[some]] = np.maximum(now, 0.0)
            self._high_floor[span[some]] = np.minimum(now, 0.0)
        at, here = kind[Kind.CURTAILABLE_LOAD], span[Kind.CURTAILABLE_LOAD]
        # It draws what cannot be turned down, whatever is said; called, it is turned down already.
        stays = np.where(seen.phase[at] == Phase.CALLED, 1.0, 1 - units.curtailable_share[at])
        drawn = np.minimum(seen.power_kw[at], 0.0)
        self._low_cap[here], self._high_floor[here] = drawn * stays, drawn
        at, here = kind[Kind.GENERATOR], span[Kind.GENERATOR]
        # The command is a cap; sun, ramp and start decide what is below it.
        fed = np.maximum(seen.power_kw[at], 0.0)
        has = np.where(
            units.weather_driven[at], np.fmax(fed, seen.available_kw[at]), units.feed_kw[at]
        )
        must = units.must_run_share[at] * has
        self._low_cap[here], self._low_floor[here] = fed, must
        self._high_cap[here], self._high_floor[here] = has, must
        # It may take a while to stop.
        self._low_cap[span[Kind.INTERRUPTIBLE_LOAD]] = seen.power_kw[kind[Kind.INTERRUPTIBLE_LOAD]]
        here = span[Kind.SHIFTABLE_RUN]
        self._low_floor[here] = self._high_floor[here] = 0.0


def _of(part: Part, some: Some) -> tuple[Places, Some]:
    """Which places of `some` belong to a part, and the rows of these in its columns."""
    if isinstance(some, slice):
        return part.at, EVERYBODY
    row = part.row[some]
    place = np.flatnonzero(row >= 0)
    return place, row[place]


def runnable_kw(units: Units, at: Places, kw: Floats, *, slack_kw: Floats | float = 0.0) -> Floats:
    """The nearest powers towards 0 that the machines `at` know: a band, or off below their least.

    What lacks no more than `slack_kw` of one is that one: the solver's rounding stops no machine.
    """
    size = np.abs(kw)
    least = np.where(kw > 0, units.least_feed_kw[at], units.least_draw_kw[at])
    found = np.where(size + slack_kw >= least, np.maximum(size, least), 0.0)
    row = units.band_row[at]
    if (banded := np.flatnonzero(row >= 0)).size:
        enough, below = (size + slack_kw)[banded], np.zeros(banded.size)
        for band in units.bands_kw.T:  # rising
            at_band = band[row[banded]]
            np.copyto(below, at_band, where=at_band <= enough)
        found[banded] = below
    return np.copysign(found, kw) + 0.0  # no -0.0
