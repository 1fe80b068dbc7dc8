"""The last hand on every set-point: nothing leaves beyond a limit, whatever the optimiser says.

    wanted ─▶ device: fresh, a number, inside its rating, ramp, store, dwell ─▶ tree ─▶ allowed
                 │ no                                                            │ too much
                 ▼                                                               ▼
              released (no command; the device goes to its own default)    less of it, storage first

What is not commanded counts as measured, or, where nobody knows, at its worst.

Written so that NaN never passes: a value is used only where `low <= value <= high` holds. A `Guarded` is
made here alone, and only a `Guarded` can be sent (`tests/test_layers.py` holds both): there is no way
around. Everything is arrays over the N units of the park; a cycle of 100 000 takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Places
from vpp.act.cuts import EXPORT, Cutter
from vpp.act.parts import Ramps, blocks
from vpp.act.reach import Reach, runnable_kw
from vpp.act.units import Bools, Codes, Kind, Phase, Seen, Units
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId

AHEAD_S = 5.0
"""A device's clock may run a little ahead of ours."""

LEAST_NUMBER_KW = float(np.finfo(np.float64).tiny)
"""A smaller size beside 0 is no number that somebody meant."""

LEAST_HOURS = 1e-9


class Why(IntEnum):
    """Why a wish was not granted as it was."""

    GRANTED = 0
    UNKNOWN = 1
    TOO_OLD = 2
    NOT_WITHIN = 3
    FIXED = 4
    STOPPED = 5
    NO_SOC = 6
    EMPTY = 7
    FULL = 8
    STARTED = 9
    RAMP = 10
    TOO_LITTLE = 11
    STAYS_ON = 12
    STAYS_OFF = 13
    NODE = 14


WORDS = {
    Why.UNKNOWN: "its state is unknown",
    Why.TOO_OLD: "its reading is too old",
    Why.FIXED: "a fixed load is never commanded",
    Why.STOPPED: "it is stopped",
    Why.NO_SOC: "its state of charge is unknown",
    Why.EMPTY: "the store is empty: what is left must stay",
    Why.FULL: "the store is full",
    Why.STARTED: "a run is not commanded once it has started",
    Why.RAMP: "faster than its ramp",
    Why.TOO_LITTLE: "less than it can run at",
    Why.STAYS_ON: "it was started too short a time ago to stop",
    Why.STAYS_OFF: "it was stopped too short a time ago to start",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Before:
    """What is in force when the next commands are made; all arrays have shape (N,)."""

    period_s: float
    """Time until the commands after these."""

    power_kw: Floats
    """What the guard last allowed each; NaN where no command is in force."""

    age_s: Floats
    """How long ago that was."""

    switched_s: Floats
    """Since when its commands have it on, or off; NaN where nobody knows."""

    lingers_kw: Floats
    """What a command says that has not ended, of who is asked for nothing any more; NaN for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One wish that was not granted as it was."""

    resource_id: ResourceId
    wanted_kw: float
    allowed_kw: float | None
    """None: the resource is released."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guarded:
    """What may be sent. Made by `guard` alone; nothing in it can be written."""

    units: Units
    wanted_kw: Floats
    power_kw: Floats
    """What each is to be told; NaN: no command."""

    reason: Codes
    """`Why` of each."""

    node: NDArray[np.int32]
    """The node that cut it, where the reason is one; -1 elsewhere."""

    side: Codes
    """Which limit of that node: `cuts.IMPORT` or `cuts.EXPORT`."""

    @property
    def clipped(self) -> tuple[Clip, ...]:
        """The wishes that were not granted, in park order."""
        return tuple(
            Clip(
                resource_id=self.units.names[at],
                wanted_kw=float(self.wanted_kw[at]),
                allowed_kw=None if np.isnan(self.power_kw[at]) else float(self.power_kw[at]),
                why=self.why(at),
            )
            for at in np.flatnonzero(self.reason).tolist()
        )

    def why(self, at: int) -> str:
        """Why the wish of unit number `at` was not granted as it was; empty where it was."""
        match Why(self.reason[at]):
            case Why.GRANTED:
                return ""
            case Why.NOT_WITHIN:
                low, high = -self.units.draw_kw[at], self.units.feed_kw[at]
                return f"not within {low:g} … {high:g} kW"
            case Why.NODE:
                side = "export" if self.side[at] == EXPORT else "import"
                return f"{side} of {self.units.tree.names[self.node[at]]}"
            case told:
                return WORDS[told]


def guard(
    units: Units,
    seen: Seen,
    wanted_kw: Floats,
    *,
    now: datetime,
    stopped: Bools,
    before: Before | None = None,
    asked: Bools | None = None,
    reserved_kwh: Floats | None = None,
) -> Guarded:
    """Let through of `wanted_kw` what breaks no limit of device or tree.

    Args:
        units: The park, under the limit orders in force.
        seen: What is measured. Its age is judged here, at `now`.
        wanted_kw: Net injection wished of each unit; NaN: no command. Shape (N,).
        now: The moment at which the commands leave.
        stopped: Whose set-points are stopped by people: released, whatever is wished.
        before: What is in force; None: ramps and dwell are not judged, as where nothing is sent.
        asked: Whose wish was to be a command: where it is NaN all the same, the wish is refused by name.
        reserved_kwh: Energy that must stay in each store above its least charge, for what was sold of it.
    """
    return _Guard(units, seen, now, before).of(
        np.array(wanted_kw, dtype=np.float64), stopped, asked, reserved_kwh
    )


class _Guard:
    """One call of the guard."""

    def __init__(self, units: Units, seen: Seen, now: datetime, before: Before | None) -> None:
        self._units, self._seen, self._before = units, seen, before
        self._since_s = (now - seen.taken_at).total_seconds()
        self._heard = np.empty(len(units), dtype=np.bool_)
        for some in blocks(len(units)):
            age_s = seen.measured_age_s[some] + self._since_s
            fresh = (age_s >= -AHEAD_S) & (age_s <= units.max_age_s[some])
            np.logical_and(fresh, np.isfinite(seen.power_kw[some]), out=self._heard[some])
        self._reason = np.zeros(len(units), dtype=np.int8)
        self._floor_kw = np.zeros(len(units))
        """What each must keep at least: machines that may not stop yet."""

    def of(
        self, wanted_kw: Floats, stopped: Bools, asked: Bools | None, reserved_kwh: Floats | None
    ) -> Guarded:
        units = self._units
        kw = self._admitted(wanted_kw, stopped, asked)
        self._ramp(kw)
        self._store(kw, reserved_kwh)
        runs = units.by_kind[Kind.SHIFTABLE_RUN]
        self._release(kw, runs[self._seen.phase[runs] != Phase.WAITING], Why.STARTED)
        self._run(kw)
        self._dwell(kw)
        reach = Reach(units, self._seen, self._heard)
        if self._before is not None:
            reach.note(period_s=self._before.period_s, lingers_kw=self._before.lingers_kw)
        cutter = Cutter(units, reach, kw, self._floor_kw)
        cutter.cut()
        np.copyto(self._reason, Why.NODE, where=cutter.node >= 0)
        guarded = Guarded(
            units=units,
            wanted_kw=wanted_kw,
            power_kw=kw,
            reason=self._reason,
            node=cutter.node,
            side=cutter.side,
        )
        for array in (wanted_kw, kw, guarded.reason, guarded.node, guarded.side):
            array.flags.writeable = False
        return guarded

    # ------------------------------------------------------------ one device at a time

    def _admitted(self, wanted_kw: Floats, stopped: Bools, asked: Bools | None) -> Floats:
        """What is a number inside the rating, of who is heard and may be told; NaN for the rest."""
        units, admitted_kw = self._units, np.empty(len(wanted_kw))
        for some in blocks(len(wanted_kw)):
            kw, kind, out = wanted_kw[some], units.kind[some], stopped[some]
            wished = kw == kw if asked is None else asked[some]
            within = (kw >= units.least_told_kw[some]) & (kw <= units.most_told_kw[some])
            within &= (np.abs(kw) >= LEAST_NUMBER_KW) | (kw == 0)
            good = wished & within & self._heard[some] & (kind != Kind.FIXED_LOAD) & ~out
            if (at := np.flatnonzero(wished & ~good)).size:
                unknown = ~np.isfinite(self._seen.power_kw[some][at])
                fixed = kind[at] == Kind.FIXED_LOAD
                causes = (unknown, ~self._heard[some][at], ~within[at], fixed, out[at])
                codes = (Why.UNKNOWN, Why.TOO_OLD, Why.NOT_WITHIN, Why.FIXED, Why.STOPPED)
                self._reason[some][at] = np.select(causes, codes)
            inside = np.minimum(np.maximum(kw, units.low_kw[some]), units.feed_kw[some])
            admitted_kw[some] = np.where(good, inside, np.nan)
        return admitted_kw

    def _ramp(self, kw: Floats) -> None:
        """No faster from what was allowed before than the device can follow until the next command."""
        if self._before is not None:
            for ramps in self._units.ramps.blocks():
                self._ramp_some(kw, ramps, self._before)

    def _ramp_some(self, kw: Floats, ramps: Ramps, before: Before) -> None:
        at = ramps.at
        wish_kw, from_kw, followed_s = kw[at], before.power_kw[at], before.age_s[at]
        new = from_kw != from_kw  # nothing is in force: from where it is, for as long as it has
        from_kw = np.where(new, self._seen.power_kw[at], from_kw)
        followed_s = np.where(new, before.period_s, followed_s)
        span_kw = ramps.kw_per_s * np.minimum(np.maximum(followed_s, 0.0), before.period_s)
        beyond = np.flatnonzero(np.abs(wish_kw - from_kw) > span_kw)
        if not beyond.size:
            return
        at, wish_kw, from_kw, span_kw = (
            at[beyond], wish_kw[beyond], from_kw[beyond], span_kw[beyond]
        )  # fmt: skip
        draws, feeds = ramps.least_draw_kw[beyond], ramps.least_feed_kw[beyond]
        low_kw, high_kw = from_kw - span_kw, from_kw + span_kw
        # Starting and stopping are free of the ramp.
        np.copyto(low_kw, np.minimum(low_kw, -draws), where=(draws > 0) & (from_kw > -draws))
        np.copyto(high_kw, np.maximum(high_kw, feeds), where=(feeds > 0) & (from_kw < feeds))
        slow_kw = np.minimum(np.maximum(wish_kw, low_kw), high_kw)
        slow_kw = np.minimum(np.maximum(slow_kw, ramps.low_kw[beyond]), ramps.high_kw[beyond])
        np.copyto(slow_kw, 0.0, where=(wish_kw == 0) & ((draws > 0) | (feeds > 0)))
        self._change(kw, at, wish_kw, slow_kw, Why.RAMP)

    def _store(self, kw: Floats, reserved_kwh: Floats | None) -> None:
        """No store is emptied below what must stay, nor filled above its size, before the next command."""
        hours = LEAST_HOURS if self._before is None else self._before.period_s / 3600
        for stores in self._units.stores.blocks():
            at, soc = stores.at, self._seen.soc[stores.at]
            self._release(kw, at[~((soc >= 0) & (soc <= 1))], Why.NO_SOC)
            wish_kw, spare = kw[at], soc - stores.min_soc
            if reserved_kwh is not None:
                capacity_kwh = np.maximum(self._units.capacity_kwh[at], LEAST_NUMBER_KW)
                spare -= np.maximum(reserved_kwh[at], 0.0) / capacity_kwh
            most_kw = np.maximum(spare / hours, 0.0) * stores.out_kwh
            least_kw = (soc - 1) / hours * stores.in_kwh
            self._change(kw, at, wish_kw, np.minimum(wish_kw, most_kw), Why.EMPTY)
            self._change(kw, at, wish_kw, np.maximum(wish_kw, least_kw), Why.FULL)

    def _run(self, kw: Floats) -> None:
        """Machines are told only what they can run at."""
        at = self._told(self._units.stepped, kw)
        slack_kw, wish_kw = self._units.slack_kw[at], kw[at]
        runs_kw = runnable_kw(self._units, at, wish_kw, slack_kw=slack_kw)
        little = np.abs(runs_kw - wish_kw) > slack_kw
        kw[at] = runs_kw
        self._reason[at[little]] = Why.TOO_LITTLE

    def _dwell(self, kw: Floats) -> None:
        """A machine that was switched lately stays on, at its least, or off."""
        if self._before is None:
            return
        units, seen, before = self._units, self._seen, self._before
        at = units.switched
        phase = seen.phase[at]
        told = phase != Phase.NONE
        age_s = np.where(told, seen.phase_age_s[at] + self._since_s, before.switched_s[at])
        lately = (age_s < units.longest_dwell_s) & (kw[at] == kw[at])
        if not lately.any():
            return
        at, phase, told, age_s = at[lately], phase[lately], told[lately], age_s[lately]
        on = np.where(told, phase == Phase.RUNNING, np.abs(before.power_kw[at]) > 0)
        stays_on = on & (age_s < units.min_up_s[at])
        stays_off = ~on & (age_s < units.min_down_s[at])
        feeds_kw = units.least_feed_kw[at]
        least_kw = np.where(feeds_kw > 0, feeds_kw, -units.least_draw_kw[at])
        self._floor_kw[at[stays_on]] = least_kw[stays_on]
        below = stays_on & (kw[at] * np.sign(least_kw) < np.abs(least_kw))
        wish_kw = kw[at]
        self._change(kw, at, wish_kw, np.where(below, least_kw, wish_kw), Why.STAYS_ON)
        self._change(kw, at, wish_kw, np.where(stays_off, 0.0, wish_kw), Why.STAYS_OFF)

    # ------------------------------------------------------------ hands

    def _told(self, some: Places, kw: Floats) -> Places:
        """Who of `some` has a command."""
        told: Places = some[kw[some] == kw[some]]
        return told

    def _release(self, kw: Floats, some: Places, why: Why) -> None:
        at = self._told(some, kw)
        kw[at], self._reason[at] = np.nan, why

    def _change(self, kw: Floats, at: Places, from_kw: Floats, to_kw: Floats, why: Why) -> None:
        """Note what differs; NaN, which is no command, stays so."""
        changed = np.flatnonzero(np.abs(to_kw - from_kw) > 0)
        if changed.size:
            kw[at[changed]] = to_kw[changed] + 0.0  # no -0.0
            self._reason[at[changed]] = why
