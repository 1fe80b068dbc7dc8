"""What the park has to do now so that its connection meters show what is owed when the interval ends.

        metered          in flight        still to be had
    ├────────────────┼───────────────┼─────────────────────────┤
    start           now        a command shows                end

    gap     meters − everybody's command or reading: what nobody told us, as far as no delay explains it
    due     (owed − metered − in flight) over the time that a command still changes, at least one period
    target  due − gap: what everybody together is to be expected to do, in the frame that shares are made in

Three rules hold it still. A difference that lies within what commands of the last seconds may still be causing is
no news, so a delay is never taken for disobedience: the estimate only moves towards what all delays agree on. A
share that found no room is not in `Expected`, so nothing winds up where nobody has room. Energy is owed to one
interval and forgotten with it; the gap belongs to the park and goes on, and fades where no meter is heard.

A regulation signal asks for power, not energy: it stands on top of the target at once, and what it asked for
so far is not made up for a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vpp.model.time import Interval

HOUR = timedelta(hours=1)
GAIN = 0.5
"""Of the way to what the meters say now that the estimate of the gap goes with each reading: half is noise."""

FADES = timedelta(minutes=5)
"""Half of the gap is forgotten in so long without a reading of the meters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What the park owes its market in one interval; mean net injection in kW."""

    interval: Interval
    mean_kw: float
    """Sold, and called for; without what a signal asks."""

    next_kw: float | None = None
    """The same of the interval after it; None where nothing is known of it."""

    signal_kw: float = 0.0
    """What a signal asks on top at this moment."""

    signalled_kwh: float = 0.0
    """What it asked in this interval until now."""


@dataclass(frozen=True, slots=True)
class Metered:
    """Net injection of all main meters since the interval began, as far as it is known."""

    kwh: float
    until: datetime
    """Not before the interval's start; there 0 kWh, where no meter was heard."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What all main meters show together."""

    kw: float
    at: datetime
    """Of the oldest of their readings."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What everybody should have been doing since the last call."""

    steered_kw: float
    """By the commands in force, all of them together."""

    others_kw: float
    """By the newest readings of all that no command holds."""

    turned_kw: float = 0.0
    """By how much that changed for no other reason than that somebody is known otherwise than at the last call:
    not heard any more, heard again, left to itself. Nothing changed at the meters, so the gap makes up for it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How late a command shows at the meters."""

    period: timedelta
    """Between two calls."""

    first: timedelta = timedelta(0)
    """No part of a command shows earlier."""

    last: timedelta = timedelta(0)
    """All of it shows then: the longest delay and ramp, and what the meters lag."""

    @property
    def middle(self) -> timedelta:
        """When half of it shows."""
        return (self.first + self.last) / 2


@dataclass(frozen=True, slots=True)
class _Step:
    """What was in force in the time until `at`."""

    at: datetime
    steered_kw: float
    others_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one call leaves to the next; a process begins with an empty one."""

    gap_kw: float = 0.0
    seen_at: datetime | None = None
    """Of the newest reading that was used."""

    signal_kw: float = 0.0
    """What a signal asked then."""

    steps: tuple[_Step, ...] = ()
    """Oldest first: of the time since the meters were read, and of commands that may not show yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What to share out, and why."""

    target_kw: float | None
    """What everybody together is to be expected to do from now on; None where nothing is owed."""

    due_kw: float | None
    """What the meters are to show."""

    delivered_kwh: float | None
    """Net injection since the interval began, by the meters and, since they were heard, by what was expected."""

    gap_kw: float
    """What the meters show beyond what is expected of everybody."""

    blind: bool
    """Whether no reading of the meters is fresh enough to correct by."""

    memory: Memory


def correct(
    memory: Memory,
    *,
    now: datetime,
    owed: Owed | None,
    metered: Metered | None,
    shown: Shown | None,
    expected: Expected,
    timing: Timing,
) -> Corrected:
    """What is to be done from `now` on, with what was learnt from the meters.

    Args:
        memory: Of the call before.
        now: The moment of the cycle, within the interval.
        owed: What is owed; None where nothing is: the meters are watched all the same.
        metered: Energy since the interval began; None counts as nothing heard since then.
        shown: The newest power of the meters; None where one of them is missing.
        expected: What should have been done until now, before new commands.
        timing: The period, and how late commands show.
    """
    step = _Step(now, expected.steered_kw, expected.others_kw)
    steps = (*(one for one in memory.steps if one.at < now), step)
    if not _blind(memory.seen_at, now, timing):
        memory = replace(memory, gap_kw=memory.gap_kw - expected.turned_kw)
    gap_kw, seen_at = _gap(memory, steps, shown, now, timing)
    known = metered or Metered(0.0, now if owed is None else owed.interval.start)
    oldest = min(known.until, now - timing.last - 2 * timing.period)
    kept = Memory(
        gap_kw=gap_kw,
        seen_at=seen_at,
        signal_kw=0.0 if owed is None else owed.signal_kw,
        steps=tuple(one for one in steps if one.at > oldest),
    )
    blind = _blind(seen_at, now, timing)
    if owed is None:
        return Corrected(
            target_kw=None,
            due_kw=None,
            delivered_kwh=None,
            gap_kw=gap_kw,
            blind=blind,
            memory=kept,
        )
    delivered_kwh = known.kwh + _acted_kwh(steps, gap_kw, known.until, now, timing)
    due_kw = _due_kw(owed, delivered_kwh, steps, gap_kw, memory.signal_kw, timing)
    return Corrected(
        target_kw=due_kw - gap_kw,
        due_kw=due_kw,
        delivered_kwh=delivered_kwh,
        gap_kw=gap_kw,
        blind=blind,
        memory=kept,
    )


def _blind(seen_at: datetime | None, now: datetime, timing: Timing) -> bool:
    return seen_at is None or now - seen_at > timing.last + 2 * timing.period


def _due_kw(
    owed: Owed,
    delivered_kwh: float,
    steps: tuple[_Step, ...],
    gap_kw: float,
    signal_kw: float,
    timing: Timing,
) -> float:
    """Mean power that the meters are to show for the rest of the interval, the signal of this moment on top.

    `signal_kw` is what the signal asked when the commands in force were made. A command that can only show after
    the interval's end belongs to the next one. Being early there would take from this interval what nobody can
    give back; being late is made up for in the next.
    """
    now = steps[-1].at
    rest = owed.interval.end - now
    if rest <= timing.first:
        return (owed.mean_kw if owed.next_kw is None else owed.next_kw) + owed.signal_kw
    flight = min(timing.middle, rest)
    asked_kwh = owed.mean_kw * owed.interval.hours + owed.signalled_kwh
    asked_kwh += owed.signal_kw * (flight / HOUR)
    missing_kwh = asked_kwh - delivered_kwh - _acted_kwh(steps, gap_kw, now, now + flight, timing)
    changeable = rest - flight
    calm = max(timing.period, timing.last - timing.first)
    if changeable >= calm:
        return missing_kwh / (changeable / HOUR) + owed.signal_kw
    # Too short for anybody to act on: half of a device's delay would be answered by twice the power.
    level_kw = steps[-1].steered_kw + steps[-1].others_kw + gap_kw - signal_kw
    off_kwh = missing_kwh - level_kw * (changeable / HOUR)
    return level_kw + off_kwh / (calm / HOUR) + owed.signal_kw


def _gap(
    memory: Memory,
    steps: tuple[_Step, ...],
    shown: Shown | None,
    now: datetime,
    timing: Timing,
) -> tuple[float, datetime | None]:
    """The gap, and of when its newest reading is: moved by a new reading, faded without one."""
    if shown is None or _blind(shown.at, now, timing):
        since = now - (memory.steps[-1].at if memory.steps else now)
        return memory.gap_kw * 0.5 ** (since / FADES), memory.seen_at
    if memory.seen_at is not None and shown.at <= memory.seen_at:
        return memory.gap_kw, memory.seen_at
    then = next(one for one in steps if one.at >= min(shown.at, now))
    if timing.last and steps[0].at > then.at - timing.last:
        return memory.gap_kw, shown.at  # commands of before our memory may still be acting
    acting = [
        one.steered_kw for one in steps if then.at - timing.last <= one.at <= then.at - timing.first
    ] or [then.steered_kw]
    unsteered_kw = shown.kw - then.others_kw
    nearest = min(max(memory.gap_kw, unsteered_kw - max(acting)), unsteered_kw - min(acting))
    return memory.gap_kw + GAIN * (nearest - memory.gap_kw), shown.at


def _acted_kwh(
    steps: tuple[_Step, ...], gap_kw: float, start: datetime, end: datetime, timing: Timing
) -> float:
    """What is fed from `start` to `end` as far as anybody knows: commands act half a delay after they are in force.

    Beyond the newest step everything stays as it is; before the oldest, as it was then.
    """
    return (
        _held_kwh([(one.at, one.others_kw + gap_kw) for one in steps], start, end)
        + _held_kwh([(one.at + timing.middle, one.steered_kw) for one in steps], start, end)
    )  # fmt: skip


def _held_kwh(levels: Sequence[tuple[datetime, float]], start: datetime, end: datetime) -> float:
    """Energy of a course of levels, each held until its moment, the last one on and on."""
    total, begin = 0.0, start
    for at, kw in levels:
        if begin < at:
            until = min(at, end)
            total += kw * max((until - begin) / HOUR, 0.0)
            begin = max(begin, until)
    return total + levels[-1][1] * max((end - begin) / HOUR, 0.0)
