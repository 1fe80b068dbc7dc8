"""Activations: on disk, once, owed beside what is sold, in the plan, taken back by a revision of 0 MW."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vpp.errors import UnavailableError
from vpp.model.horizon import Horizon
from vpp.model.market import Side
from vpp.model.time import QUARTER
from vpp.service.calls import activations
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.trade import callrecords
from vpp.trade.book import BidBook

PATH = "/v1/markets/se3-day-ahead/activations"
CALL = {
    "activation_id": "dso-17",
    "revision": 1,
    "start": "2025-12-02T17:00:00Z",
    "end": "2025-12-02T18:00:00Z",
    "direction": "up",
    "quantity_mw": "0.8",
    "source": "the grid operator",
}


async def post(client: Any, **changes: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post(PATH, json=CALL | changes)
    return answer.status, await answer.json()


def called_kw(plant: Plant, book: BidBook | None = None) -> list[float]:
    """What is owed of calls from 16:45 to 18:15, by quarter-hour."""
    start = plant.clock.now().replace(hour=16, minute=45)
    position = (book or plant.book).position()
    return list(position.committed_kw(Horizon(start, QUARTER, 6)))


def test_a_call_is_owed_in_its_quarter_hours_and_asks_for_a_plan_at_once(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            status, view = await post(client)
            listed = (await (await client.get(PATH)).json())["activations"]
            query = "?start=2025-12-02T16:45:00Z&end=2025-12-02T17:30:00Z"
            path = PATH.replace("activations", "deliveries") + query
            shown = (await (await client.get(path)).json())["deliveries"]
        assert (status, view["status"]) == (200, "booked")
        assert listed == [view]
        assert [d["start"][11:16] for d in shown] == ["17:00", "17:15"]
        # 13 fixed loads of 100 kW each are planned then: 325 kWh a quarter-hour.
        assert shown[0]["activated_kwh"] == shown[0]["owed_kwh"] == 200
        assert shown[0]["baseline_kwh"] == -25 * fixed_loads(plant)

    asyncio.run(run())
    assert called_kw(plant) == [0, 800, 800, 800, 800, 0]
    assert plant.replan is not None
    assert "0.8 MW up" in plant.replan


def fixed_loads(plant: Plant) -> float:
    schedule = plant.schedule
    assert schedule is not None
    return -float(schedule.net_kw[0]) / 100


def test_the_same_call_again_changes_nothing_and_other_numbers_are_a_conflict(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            first = await post(client)
            assert await post(client) == first
            status, refused = await post(client, quantity_mw="0.9")
            assert (status, refused["code"]) == (409, "conflict")

    asyncio.run(run())
    assert len(list(plant.journal.entries(tradelog.ACTIVATION))) == 1
    assert called_kw(plant)[1] == 800


def test_a_higher_revision_replaces_a_call_one_of_0_mw_takes_it_back_and_a_late_one_moves_nothing(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client)
            assert (await post(client, revision=2, direction="down"))[1]["status"] == "booked"
            assert called_kw(plant)[1] == -800
            assert (await post(client, revision=4, quantity_mw="0"))[1]["status"] == "withdrawn"
            assert called_kw(plant)[1] == 0
            assert (await post(client, revision=3))[1]["status"] == "superseded"
            assert called_kw(plant)[1] == 0

    asyncio.run(run())


def test_a_restart_finds_every_call_and_its_baseline(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client)
            await post(client, activation_id="b", end="2025-12-02T17:15:00Z", direction="down")
            await post(client, revision=2, start="2025-12-02T17:30:00Z", quantity_mw="1")

    asyncio.run(run())
    before = called_kw(plant)
    calls = plant.book.calls.standing()
    plant.book = BidBook()
    tradelog.recover(plant)
    assert called_kw(plant) == before == [0, -800, 0, 1000, 1000, 0]
    for one, again in zip(calls, plant.book.calls.standing(), strict=True):
        assert one.same_order(again)
        assert one.baseline_kw is not None
        assert again.baseline_kw is not None
        np.testing.assert_array_equal(again.baseline_kw.values, one.baseline_kw.values)


def test_what_is_not_on_disk_is_not_owed(plant: Plant, serving: Any) -> None:
    class FullDisk:
        async def append_all(self, entries: Any, *, now: Any) -> None:
            raise UnavailableError("disk full", where="journal", fix="free it")

        def find(self, kind: str, key: str) -> None:
            return None

    plant.journal = FullDisk()  # type: ignore[assignment]

    async def run() -> None:
        async with serving(plant) as client:
            status, refused = await post(client)
            assert (status, refused["code"]) == (503, "unavailable")

    asyncio.run(run())
    assert called_kw(plant) == [0] * 6


@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
def test_a_plan_keeps_to_what_was_planned_before_plus_what_is_called(
    plant: Plant, serving: Any, direction: str, sign: int
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client, direction=direction)

    asyncio.run(run())
    schedule = plant.schedule
    assert schedule is not None
    horizon = Horizon(schedule.horizon.start, QUARTER, 4 * 10)
    (cap,) = activations.terms(plant, horizon)
    first = horizon.index(plant.clock.now().replace(hour=17))
    owed = schedule.net_kw[first] + sign * 800
    bound = cap.import_kw if sign > 0 else cap.export_kw
    assert bound is not None
    # At least so much is fed (import at most its negative), or at most.
    assert list(bound[first : first + 4]) == [-sign * owed] * 4
    assert np.isposinf(np.delete(bound, range(first, first + 4))).all()
    assert (cap.export_kw if sign > 0 else cap.import_kw) is None
    assert cap.excess_per_kwh == 10


def caps_at_17(plant: Plant) -> list[float]:
    """What may be drawn from 17:00 to 18:30 by the caps of all calls, by quarter-hour, less what was planned."""
    assert plant.schedule is not None
    horizon = Horizon(plant.clock.now().replace(hour=17), QUARTER, 6)
    (cap,) = activations.terms(plant, horizon)
    assert cap.import_kw is not None
    first = plant.schedule.horizon.index(horizon.start)
    return list(cap.import_kw + plant.schedule.net_kw[first : first + 6])


def test_two_calls_that_no_plan_knows_yet_are_kept_together(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client)
            await post(client, activation_id="second", start="2025-12-02T17:30:00Z")

    asyncio.run(run())
    assert caps_at_17(plant) == [-800, -800, -1600, -1600, np.inf, np.inf]


def test_a_call_that_a_plan_has_in_it_is_no_part_of_the_next_ones_baseline(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client)
            plant.calls_planned = plant.book.calls.keys()
            await post(client, activation_id="second")

    asyncio.run(run())
    first, second = plant.book.calls.standing()
    moment = first.interval.start
    assert activations.baseline_kw(first, moment) is not None
    # The plan of this test stands still: with 800 kW in it already it would have been 800 kW lower.
    assert activations.baseline_kw(second, moment) == activations.baseline_kw(first, moment) - 800  # type: ignore[operator]


def test_a_revision_that_lasts_longer_is_planned_for_to_its_end(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await post(client)
            await post(client, revision=2, end="2025-12-02T18:30:00Z")

    asyncio.run(run())
    assert caps_at_17(plant) == [-800] * 6


def test_a_call_that_began_before_the_plan_is_planned_for_from_the_plan_on(
    plant: Plant, serving: Any
) -> None:
    assert plant.schedule is not None
    start = plant.schedule.horizon.start

    async def run() -> None:
        async with serving(plant) as client:
            await post(
                client, start=(start - QUARTER).isoformat(), end=(start + QUARTER).isoformat()
            )

    asyncio.run(run())
    (call,) = plant.book.calls.standing()
    assert activations.baseline_kw(call, start - QUARTER) is None
    assert activations.baseline_kw(call, start) == plant.schedule.net_kw[0]
    assert plant.replan is not None
    assert "no plan reached 1 of its 2 quarter-hours" in plant.replan
    record = callrecords.activation_to_record(call)
    again = callrecords.activation_from_record("dso-17/1", record, call.received_at)
    assert again.baseline_kw is not None
    np.testing.assert_array_equal(again.baseline_kw.values, call.baseline_kw.values)  # type: ignore[union-attr]


def test_nothing_is_bid_for_a_delivery_that_a_call_changed_until_a_plan_knows_of_it(
    plant: Plant, serving: Any
) -> None:
    day = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}

    async def run() -> None:
        async with serving(plant) as client:
            bids = PATH.replace("activations", "bids")
            await post(client, start="2025-12-03T10:00:00Z", end="2025-12-03T11:00:00Z")
            answer = await client.post(bids, json={"request_id": "early", "delivery": day})
            assert (answer.status, (await answer.json())["code"]) == (503, "plan_stale")
            plant.calls_planned = plant.book.calls.keys()
            answer = await client.post(bids, json={"request_id": "late", "delivery": day})
            assert answer.status == 200

    asyncio.run(run())


def test_a_call_activates_the_bids_that_were_awarded_for_it(plant: Plant, serving: Any) -> None:
    day = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}

    async def run() -> None:
        async with serving(plant) as client:
            market = PATH.removesuffix("/activations")
            made = await (
                await client.post(f"{market}/bids", json={"request_id": "r", "delivery": day})
            ).json()
            bid = next(b for b in made["bids"] if b["side"] == Side.BUY.value)
            step = bid["offer"]["steps"][0]
            line = {"bid_id": bid["bid_id"], "start": bid["start"], "end": bid["end"]}
            line |= {"quantity_mw": step["quantity_mw"], "price_per_mwh": step["price_per_mwh"]}
            award = {"award_id": "a", "revision": 1, "final": True, "cleared": [line]}
            await client.post(f"{market}/awards", json=award | {"bid_set_id": made["bid_set_id"]})
            await post(client, direction="down", start=bid["start"], end=bid["end"])
            states = plant.book.states(made["bid_set_id"])
            assert states["activated"] == 1
            assert Decimal(step["quantity_mw"]) > 0

    asyncio.run(run())
