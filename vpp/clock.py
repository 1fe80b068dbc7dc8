"""Whose time it is: the wall's, a faster one, or a simulated one in lockstep.

Code that lives in time is given a `Clock` and cannot tell which:

    async def every(...):
        while await clock.wait_until(due, stop):
            await cycle(due)

`SimulatedClock` hands out *seats*, one for each participant (devices, market, plan, act, …). Time
moves only when every seat waits; then the seat with the earliest due time goes on alone, ties in
the order in which the seats were taken:

    12:00 devices ▸ 12:00 market ▸ 12:00 plan ▸ 12:00 act ▸ ┊barriers┊ ▸ 12:01 devices ▸ …

Before time moves, *barriers* make sure that what was sent has arrived (messages in flight take no
simulated time). So the same inputs give the same run whatever the machine does meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from vpp.errors import DataError
from vpp.model.time import require_utc

WORN_OFF = 0.1
"""Share of its rate that a clock gives up while it runs ahead of a machine that was set back."""

_NOTED = timedelta(seconds=1)
"""A leap of the machine's clock below this is its usual keeping of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a clock stands to the machine's."""

    ahead: timedelta = timedelta(0)
    """So far it runs ahead of the machine's, which was set back; never below 0."""

    leaps: int = 0
    """How often the machine's was set forward by more than a second, or slept."""

    leap: timedelta = timedelta(0)
    """The newest of these."""


class Watch(Protocol):
    """The time, to be read only."""

    def now(self) -> datetime:
        """The present, aware UTC."""
        ...


class Clock(Watch, Protocol):
    """The time, and a way to wait for it."""

    async def wait_until(
        self, moment: datetime, stop: asyncio.Event, nudge: Nudge | None = None
    ) -> bool:
        """Return True at `moment` (at once where it has passed), False as soon as `stop` is set.

        Before `moment` too, as soon as `nudge` is asked; that one is spent then.
        """
        ...


class Nudge:
    """Lets whoever waits go on before its turn: asked by one side, spent by the one that waits.

    Asked while nobody waits it is kept, so that the next wait ends at once.
    """

    def __init__(self) -> None:
        self._asked = False
        self._wake: Callable[[], None] | None = None

    def ask(self) -> None:
        """Let whoever waits, or is the next to wait, go on at once."""
        self._asked = True
        if self._wake is not None:
            self._wake()

    def listen(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called at each asking, and now where it was asked already; None: nobody waits."""
        self._wake = wake
        if wake is not None and self._asked:
            wake()

    def spend(self) -> None:
        """What was asked for happens now."""
        self._asked = False


class _SteadyWall:
    """The machine's time, which may leap forward, but never falls back.

    Ages, deadlines and what was promised until when are differences of times: a clock that falls
    back would let them stand still. One that was set back by 5 s is followed again after 50 s.
    """

    def __init__(self, wall: Callable[[], datetime], elapsed_s: Callable[[], float]) -> None:
        self._wall, self._elapsed_s = wall, elapsed_s
        self._now, self._read_s = wall(), elapsed_s()
        self.drift = Drift()

    def now(self) -> datetime:
        wall, read_s = self._wall(), self._elapsed_s()
        passed = timedelta(seconds=max(read_s - self._read_s, 0.0))
        held = self._now + passed * (1 - WORN_OFF)
        leap, before = wall - self._now - passed, self.drift
        self._now, self._read_s = max(wall, held), read_s
        leapt = leap > _NOTED and not before.ahead
        self.drift = Drift(
            ahead=self._now - wall,
            leaps=before.leaps + leapt,
            leap=leap if leapt else before.leap,
        )
        return self._now


class WallClock:
    """The machine's clock. `speed` 60 lets a simulated hour pass in a minute from `start` on."""

    def __init__(
        self,
        *,
        start: datetime | None = None,
        speed: float = 1.0,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at `start` (now, where None) and run `speed` times as fast as the wall.

        `wall` tells the machine's time, aware UTC, and may leap; `elapsed_s` counts seconds and never does.

        Raises:
            DataError: `start` is not UTC, or `speed` not above 0.
        """
        if start is not None:
            require_utc(start, where="WallClock.start")
        if not speed > 0:
            raise DataError(f"speed is {speed}", where="WallClock", fix="Give a number above 0")
        self._steady = _SteadyWall(wall, elapsed_s)
        self._origin = self._steady.now()
        self._start = start or self._origin
        self._speed = speed

    @property
    def speed(self) -> float:
        """Seconds of this clock per second of the wall."""
        return self._speed

    def now(self) -> datetime:
        return self._start + (self._steady.now() - self._origin) * self._speed

    def drift(self) -> Drift:
        """How it stood to the machine's clock when it was read last."""
        return self._steady.drift

    async def wait_until(
        self, moment: datetime, stop: asyncio.Event, nudge: Nudge | None = None
    ) -> bool:
        if nudge is not None:
            return await self._wait_nudged(moment, stop, nudge)
        while not stop.is_set() and (left := (moment - self.now()) / self._speed) > timedelta(0):
            try:
                # At most a minute at a time, so that a machine set forward is noticed.
                await asyncio.wait_for(stop.wait(), min(left.total_seconds(), 60.0))
            except TimeoutError:
                continue
        return not stop.is_set()

    async def _wait_nudged(self, moment: datetime, stop: asyncio.Event, nudge: Nudge) -> bool:
        woken = asyncio.Event()
        stopped = asyncio.create_task(stop.wait(), name="clock-stop")
        stopped.add_done_callback(lambda _: woken.set())
        nudge.listen(woken.set)
        try:
            await self.wait_until(moment, woken)
        finally:
            nudge.listen(None)
            stopped.cancel()
        nudge.spend()
        return not stop.is_set()


class SimulatedClock:
    """Time that moves only when everybody waits for it."""

    def __init__(self, start: datetime) -> None:
        require_utc(start, where="SimulatedClock.start")
        self._now = start
        self._seats: list[_Seat] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    def seat(self, name: str) -> _Seat:
        """A place in the round, after all seats taken before. Time stands until it waits or leaves."""
        seat = _Seat(self, name)
        self._seats.append(seat)
        return seat

    async def run(self, stop: asyncio.Event) -> None:
        """Move time from seat to seat until `stop` is set; then wake everybody."""
        stopped = asyncio.create_task(stop.wait(), name="clock-stop")
        try:
            while not stop.is_set():
                await self._until_all_wait(stopped)
                waiting = [seat for seat in self._seats if seat.due is not None]
                if stop.is_set() or not waiting:
                    break
                first = min(waiting, key=lambda seat: (seat.due, self._seats.index(seat)))
                assert first.due is not None
                if first.due > self._now:
                    self._now = first.due
                first.release()
        finally:
            stopped.cancel()
            for seat in self._seats:
                seat.release()

    async def _until_all_wait(self, stopped: asyncio.Task[bool]) -> None:
        while any(seat.due is None for seat in self._seats) and not stopped.done():
            self._changed.clear()
            changed = asyncio.create_task(self._changed.wait(), name="clock-seats")
            try:
                await asyncio.wait({changed, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()

    def _seat_changed(self) -> None:
        self._changed.set()

    def _leave(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        self._changed.set()


class _Seat:
    """One participant's view of a simulated clock."""

    def __init__(self, clock: SimulatedClock, name: str) -> None:
        self.name = name
        self.due: datetime | None = None
        """When it wants to go on; None while it is busy."""
        self._clock = clock
        self._wake: asyncio.Event = asyncio.Event()

    def now(self) -> datetime:
        return self._clock.now()

    async def wait_until(
        self, moment: datetime, stop: asyncio.Event, nudge: Nudge | None = None
    ) -> bool:
        if stop.is_set():
            return False
        self._wake.clear()
        self.due = max(moment, self._clock.now())
        if nudge is not None:
            nudge.listen(self._hasten)
        self._clock._seat_changed()
        await self._wake.wait()
        if nudge is not None:
            nudge.listen(None)
            nudge.spend()
        return not stop.is_set()

    def _hasten(self) -> None:
        """Take the turn at this very moment, after those that have theirs now."""
        if self.due is not None:  # None: its turn has come already
            self.due = self._clock.now()

    def release(self) -> None:
        """Let the participant go on."""
        self.due = None
        self._wake.set()

    def leave(self) -> None:
        """Give the seat up, so that time no longer waits for it."""
        self._clock._leave(self)
