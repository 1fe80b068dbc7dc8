"""When the park is steered: on a grid that gets finer while a product asks for it, and at once when asked to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.patience import PATIENCE_S
from tests.service.conftest import NOW
from vpp.clock import Nudge, SimulatedClock, WallClock
from vpp.model.time import isoformat
from vpp.service import cycle
from vpp.service.calls import activations, limits
from vpp.service.events import MOST_ALIKE
from vpp.service.plant import Plant
from vpp.service.run import Loop
from vpp.service.steering import overrides
from vpp.service.steering.acting import period_at, sharing_at
from vpp.service.steering.pace import acting
from vpp.service.steering.schema import ControlSettings
from vpp.wire import ActivationRequest, LimitRequest
from vpp.wirecontrol import OverrideRequest

MINUTE = timedelta(minutes=1)


def steered(plant: Plant, **control: object) -> Plant:
    settings = ControlSettings.model_validate(plant.file.control.model_dump() | control)
    plant.file = replace(plant.file, control=settings)
    return plant


async def alive(loop: Loop, stop: asyncio.Event) -> None:
    await loop(stop)


async def call(plant: Plant, now: datetime) -> None:
    """One megawatt of the day-ahead product is called from now to the end of the hour."""
    request = ActivationRequest.model_validate(
        {
            "activation_id": "a-1",
            "revision": 1,
            "start": "2025-12-02T10:00:00Z",
            "end": "2025-12-02T11:00:00Z",
            "direction": "up",
            "quantity_mw": "1",
            "source": "the grid",
        }
    )
    await activations.take(plant, plant.file.packs[0].product_id, request, now=now)


def test_what_waits_for_the_next_cycle_is_told_when_there_is_none_any_more(plant: Plant) -> None:
    for n in range(MOST_ALIKE + 2):
        plant.events.emit_of_one("setpoint_refused", f"b{n} refuses", at=NOW, resource_id=f"b{n}")

    async def run() -> None:
        stop = asyncio.Event()
        stop.set()
        await acting(plant, WallClock())(stop)

    asyncio.run(run())

    assert plant.events.recent()[-1].data["count"] == 2


def test_a_product_that_runs_makes_the_cycle_faster_and_brings_its_own_rule(plant: Plant) -> None:
    product = plant.file.packs[0].product_id
    rule = {"rule": "equal_level", "kinds": ["storage", "generator"]}
    steered(plant, products=[{"product": product, "period_s": 4, "sharing": rule}])
    assert period_at(plant, NOW) == MINUTE
    assert sharing_at(plant, NOW).rule == "merit_order"

    asyncio.run(call(plant, NOW))

    assert period_at(plant, NOW) == timedelta(seconds=4)
    assert sharing_at(plant, NOW).rule == "equal_level"
    assert period_at(plant, NOW + 60 * MINUTE) == MINUTE, "its hour is over"


def test_a_call_that_counts_now_is_acted_upon_at_once_and_the_grid_stays(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[datetime] = []

    async def act(plant: Plant, now: datetime) -> None:
        at.append(now)

    monkeypatch.setattr(cycle, "act", act)

    async def play() -> None:
        clock = SimulatedClock(NOW)
        stop = asyncio.Event()
        world = clock.seat("world")
        loop = acting(plant, clock.seat("act"))

        async def living() -> None:
            await world.wait_until(NOW + timedelta(seconds=90), stop)
            await call(plant, clock.now())
            await world.wait_until(NOW + 3 * MINUTE, stop)
            stop.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(living())
            group.create_task(alive(loop, stop))
            group.create_task(clock.run(stop))

    asyncio.run(play())
    assert [(moment - NOW).total_seconds() for moment in at] == [0, 60, 90, 120]


def test_an_override_that_ends_and_an_order_that_begins_wait_for_no_tick(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken in hand until 10:01:20; the grid's order is of 10:02:30 to 10:02:45."""
    at: list[datetime] = []

    async def act(plant: Plant, now: datetime) -> None:
        at.append(now)

    monkeypatch.setattr(cycle, "act", act)

    async def play() -> None:
        clock = SimulatedClock(NOW)
        stop = asyncio.Event()
        world = clock.seat("world")
        await overrides.take(
            plant,
            "office-battery",
            OverrideRequest.model_validate(
                {"power_kw": 0, "end": "2025-12-02T10:01:20Z", "by": "Li", "reason": "a drill"}
            ),
            now=NOW,
        )
        point = plant.file.park.connection_points[0].connection_point_id
        order = {
            "place": point,
            "import_kw": 100,
            "start": "2025-12-02T10:02:30Z",
            "end": "2025-12-02T10:02:45Z",
            "source": "the grid",
        }
        await limits.put_order(plant, "o-1", LimitRequest.model_validate(order), now=NOW)
        plant.acting.nudge.spend()
        loop = acting(plant, clock.seat("act"))

        async def living() -> None:
            await world.wait_until(NOW + 3 * MINUTE, stop)
            stop.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(living())
            group.create_task(alive(loop, stop))
            group.create_task(clock.run(stop))

    asyncio.run(play())
    assert [(moment - NOW).total_seconds() for moment in at] == [0, 60, 80, 120, 150, 165]


def test_ticks_that_a_cycle_overruns_are_told_and_not_made_up_for(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[datetime] = []

    async def play() -> None:
        clock = SimulatedClock(NOW)
        stop = asyncio.Event()
        seat, slow = clock.seat("act"), clock.seat("slow")

        async def act(plant: Plant, now: datetime) -> None:
            at.append(now)
            if len(at) == 2:  # from 10:01 to 10:04:30
                await seat.wait_until(NOW + timedelta(seconds=270), stop)
            if len(at) == 4:
                stop.set()

        monkeypatch.setattr(cycle, "act", act)
        slow.leave()
        async with asyncio.TaskGroup() as group:
            group.create_task(alive(acting(plant, seat), stop))
            group.create_task(clock.run(stop))

    asyncio.run(play())
    assert [(moment - NOW) // MINUTE for moment in at] == [0, 1, 4, 5]
    (skipped,) = [e for e in plant.events.recent() if e.kind == "skipped"]
    assert skipped.text == f"the act cycle of {isoformat(NOW + MINUTE)} overran: 2 skipped"


@pytest.mark.parametrize("asked", ["before", "while"])
def test_a_nudge_ends_a_wait_of_the_wall_clock_once(asked: str) -> None:
    async def play() -> None:
        clock, nudge, stop = WallClock(), Nudge(), asyncio.Event()
        if asked == "before":
            nudge.ask()
        else:
            asyncio.get_running_loop().call_soon(nudge.ask)
        far = clock.now() + timedelta(hours=1)
        assert await asyncio.wait_for(clock.wait_until(far, stop, nudge), PATIENCE_S)
        waiting = asyncio.create_task(clock.wait_until(far, stop, nudge))
        await asyncio.wait({waiting}, timeout=0.05)
        assert not waiting.done(), "it is spent"
        stop.set()
        assert await asyncio.wait_for(waiting, PATIENCE_S) is False

    asyncio.run(play())
