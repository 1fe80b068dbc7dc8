"""The machine's clock leaps: ours never falls back, it is told, and nothing new is offered meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.ladder import SafeState
from vpp.clock import Drift, WallClock
from vpp.service.clockwatch import ClockTeller
from vpp.service.plant import Plant
from vpp.service.run import every
from vpp.service.safestate import rung

NOON = datetime(2026, 7, 14, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Machine:
    """A machine whose clock is set by hand; what has elapsed is not."""

    def __init__(self) -> None:
        self.elapsed_s, self.off_s = 0.0, 0.0

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed_s + self.off_s)

    def clock(self, speed: float = 1.0) -> WallClock:
        return WallClock(speed=speed, wall=self.wall, elapsed_s=lambda: self.elapsed_s)

    def later(self, clock: WallClock, seconds: int) -> datetime:
        """Read the clock once a second, as a service does."""
        for _ in range(seconds):
            self.elapsed_s += 1.0
            clock.now()
        return clock.now()


def test_a_clock_that_was_set_back_by_five_seconds_is_followed_again_after_fifty() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.off_s = -5.0
    assert machine.later(clock, 10) == NOON + 9 * SECOND, "nine seconds for ten"
    assert clock.drift().ahead == 4 * SECOND
    assert machine.later(clock, 40) == machine.wall() == NOON + 45 * SECOND
    assert clock.drift() == Drift()


def test_a_clock_that_was_set_forward_is_followed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.off_s = 3600.0
    assert machine.later(clock, 1) == NOON + timedelta(hours=1) + SECOND
    assert clock.drift() == Drift(leaps=1, leap=timedelta(hours=1))
    machine.later(clock, 100)
    assert clock.drift().leaps == 1


def test_a_machine_that_is_set_right_again_before_we_caught_up_has_not_leapt_for_us() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.off_s = -3600.0
    machine.later(clock, 60)
    machine.off_s = 0.0
    assert machine.later(clock, 60) == machine.wall()
    assert clock.drift() == Drift()


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(-86_400, 86_400)), max_size=30))
def test_time_never_falls_back_and_never_lags_the_machine(script: list[tuple[int, float]]) -> None:
    machine = Machine()
    clock = machine.clock()
    seen = clock.now()
    for seconds, off_s in script:
        machine.off_s = off_s
        machine.elapsed_s += seconds
        now = clock.now()
        assert now >= seen + seconds * SECOND * 0.9 - timedelta(microseconds=2)
        assert now >= machine.wall()
        assert clock.drift().ahead == now - machine.wall()
        seen = now


def test_cycles_go_on_in_step_while_the_machine_is_an_hour_behind(plant: Plant) -> None:
    machine, stop, at = Machine(), asyncio.Event(), list[datetime]()
    clock = machine.clock()

    class Jumping:
        """The wall's clock, with waits that take no time."""

        now = staticmethod(clock.now)

        async def wait_until(
            self, moment: datetime, stop: asyncio.Event, nudge: object = None
        ) -> bool:
            while clock.now() < moment and machine.elapsed_s < 3600:
                machine.elapsed_s += 0.5
            return not stop.is_set()

    async def cycle(_: Plant, due: datetime) -> None:
        at.append(due)
        if len(at) == 2:
            machine.off_s = -3600.0
        if len(at) == 5:
            stop.set()

    asyncio.run(every(timedelta(minutes=1), cycle, plant, clock=Jumping(), stop=stop))
    assert at == [NOON + timedelta(minutes=n) for n in range(5)]
    assert machine.elapsed_s < 400, "and no hour passed in between"


@pytest.mark.parametrize(
    ("ahead_s", "state"), [(29.9, SafeState.NORMAL), (30.0, SafeState.NO_NEW_BIDS)]
)
def test_half_a_minute_ahead_of_the_machine_nothing_new_is_offered(
    plant: Plant, ahead_s: float, state: SafeState
) -> None:
    assert plant.schedule is not None
    plant.reconciled = True
    plant.drift = lambda: Drift(ahead=timedelta(seconds=ahead_s))
    found = rung(plant, plant.schedule.issued_at)
    assert found.state is state
    assert ("set back: ours runs 30 s ahead" in found.reason) is (ahead_s >= 30)


def test_a_leap_is_told_once_and_that_it_is_over_too(plant: Plant) -> None:
    teller, machine = ClockTeller(), Machine()
    clock = machine.clock()

    def look() -> list[str]:
        teller.look(plant, clock.drift(), clock.now())
        return [event.text for event in plant.events.recent() if event.kind == "clock"]

    assert look() == []
    machine.off_s = -5.0
    clock.now()
    assert look() == look() == ["the machine's clock was set back by 5.0 s; ours wears it off"]
    machine.later(clock, 60)
    assert look()[-1] == "the machine's clock and ours are in step again"
    machine.off_s = 55.0
    clock.now()
    assert look()[-1] == "the machine's clock was set forward by 60.0 s, or slept"
    assert len(look()) == 3
