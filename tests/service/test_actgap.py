"""What comes in the one moment in which a control cycle gives way: that cycle is of one piece, the next comes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.commandsread import commands_of
from tests.service.test_act import EVENING, METAL, OFFICE, PLANNED, STEEL, Evening, owed
from vpp.clock import SimulatedClock
from vpp.service.calls import activations, limits
from vpp.service.plant import Plant
from vpp.service.steering import acting, overrides, pace, setpoints, share
from vpp.service.steering.acting import Picture
from vpp.service.steering.schema import ControlSettings
from vpp.wire import ActivationRequest, LimitRequest
from vpp.wirecontrol import OverrideRequest

Comes = Callable[[Plant], Coroutine[Any, Any, object]]


class Gap:
    """Lets something come right after the first picture is taken, and sees what it was when shares are made."""

    def __init__(self, comes: Comes, monkeypatch: pytest.MonkeyPatch) -> None:
        self._comes = comes
        self._come: asyncio.Task[object] | None = None
        self.owed_kw = list[float]()
        """Of each cycle, by its picture; nobody shares before what comes has come."""
        self._look, self._share = acting.picture, share.share_out
        monkeypatch.setattr(acting, "picture", self._picture)
        monkeypatch.setattr(share, "share_out", self._share_out)

    def _picture(self, plant: Plant, now: datetime) -> Picture:
        picture = self._look(plant, now)
        if self._come is None:
            self._come = asyncio.get_running_loop().create_task(self._comes(plant))
        return picture

    def _share_out(self, plant: Plant, picture: Picture, *, may_plan: bool) -> share.Wanted:
        assert self._come is not None
        assert self._come.done(), "the cycle does not give way"
        assert picture.owed is not None
        self.owed_kw.append(picture.owed.mean_kw)
        return self._share(plant, picture, may_plan=may_plan)


async def call(plant: Plant) -> None:
    """A megawatt more is called, from now to the end of the hour."""
    request = ActivationRequest.model_validate(
        {
            "activation_id": "a-1",
            "revision": 1,
            "start": "2025-12-03T18:00:00Z",
            "end": "2025-12-03T19:00:00Z",
            "direction": "up",
            "quantity_mw": "1",
            "source": "the grid",
        }
    )
    await activations.take(plant, plant.file.packs[0].product_id, request, now=EVENING)


async def order(plant: Plant) -> None:
    """The grid lets the steel works feed no more than 100 kW."""
    point = plant.file.park.resource_by_id[STEEL].connection_point_id
    request = LimitRequest.model_validate(
        {
            "place": point,
            "start": "2025-12-03T17:00:00Z",
            "end": "2025-12-03T23:00:00Z",
            "source": "the grid",
            "export_kw": 100.0,
        }
    )
    await limits.put_order(plant, "o-1", request, now=EVENING)


async def hand(plant: Plant) -> None:
    """An operator holds the steel works' battery at 0."""
    request = OverrideRequest.model_validate(
        {"power_kw": 0.0, "for_minutes": 60, "by": "Li", "reason": "a drill"}
    )
    await overrides.take(plant, STEEL, request, now=EVENING)


def lived(plant: Plant) -> list[list[dict[str, Any]]]:
    """Half a minute with the loop of the act cycle on a clock in lockstep: the commands of each cycle."""
    evening = Evening(plant)
    owed(plant, 0.0)
    evening.hear(**{name.replace("-", "_"): kw for name, kw in PLANNED.items()})

    async def play() -> None:
        clock, stop = SimulatedClock(EVENING), asyncio.Event()
        world, seat = clock.seat("world"), clock.seat("act")

        async def over() -> None:
            await world.wait_until(EVENING.replace(second=30), stop)
            stop.set()

        async def acts() -> None:
            await pace.acting(plant, seat)(stop)

        async with asyncio.TaskGroup() as group:
            group.create_task(over())
            group.create_task(acts())
            group.create_task(clock.run(stop))

    asyncio.run(play())
    return [commands_of(entry.body) for entry in plant.journal.entries(setpoints.SETPOINTS)]


def test_a_call_is_no_part_of_the_cycle_that_did_not_see_it_and_the_next_delivers_it_at_once(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owed is nothing at first: two of the four batteries give what the others take."""
    gap = Gap(call, monkeypatch)

    first, second = lived(plant)

    assert gap.owed_kw == [0.0, 1000.0]
    moved = {one["resource_id"]: (one["power_kw"], one["by"]) for one in first}
    assert moved[METAL] == moved[OFFICE] == (-500.0, "balance")
    assert {one["by"] for one in first} == {"balance", "plan-1"}
    assert sum(one["power_kw"] - moved[one["resource_id"]][0] for one in second) == 1000.0
    assert plant.replan is not None


def test_its_own_rule_of_sharing_begins_with_the_cycle_that_delivers_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"rule": "equal_level", "kinds": ["storage"]}
    asks = {"product": plant.file.packs[0].product_id, "sharing": rule}
    control = plant.file.control.model_dump() | {"products": [asks]}
    plant.file = replace(plant.file, control=ControlSettings.model_validate(control))
    rules = list[str]()
    share_out = share.share_out

    def noting(plant: Plant, picture: Picture, *, may_plan: bool) -> share.Wanted:
        rules.append(picture.sharing.rule)
        return share_out(plant, picture, may_plan=may_plan)

    monkeypatch.setattr(share, "share_out", noting)
    Gap(call, monkeypatch)

    lived(plant)

    assert rules == ["merit_order", "equal_level"]


@pytest.mark.parametrize(("comes", "steel_kw"), [(order, [500.0, 100.0]), (hand, [0.0])])
def test_an_order_is_kept_by_the_next_cycle_at_the_same_moment_and_a_hand_holds_in_this_one(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, comes: Comes, steel_kw: list[float]
) -> None:
    Gap(comes, monkeypatch)

    cycles = lived(plant)

    told = [c for cycle in cycles for c in cycle if c["resource_id"] == STEEL]
    assert [one["power_kw"] for one in told] == steel_kw
    assert {one["expires_at"] for one in told} == {"2025-12-03T18:05:00Z"}
