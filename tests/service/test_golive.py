"""SEC-B10: a new park bids in the shadow; going live is somebody's act, for one build, on record."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading.schema import TradingSection

DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
PRODUCT = "/v1/markets/se3-day-ahead"
ACT = {"live": True, "by": "Li", "reason": "four weeks in the shadow without a fault"}


def set_mode(plant: Plant, mode: Any, *, verified: bool = True) -> None:
    """The demo park as if its market were a stranger's."""
    packs = plant.file.packs
    if verified:
        packs = tuple(replace(pack, open_fields=()) for pack in packs)
    plant.file = replace(plant.file, trading=TradingSection(mode=mode), packs=packs)


async def ask(client: Any, request_id: str) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"{PRODUCT}/bids", json={"request_id": request_id, "delivery": DAY})
    return answer.status, await answer.json()


def test_shadow_is_what_a_park_file_that_says_nothing_gets() -> None:
    assert TradingSection().mode == "shadow"


@pytest.mark.parametrize("mode", ["shadow", "live"])
def test_bids_in_the_shadow_are_on_record_and_shown_and_given_to_nobody(
    plant: Plant, serving: Any, mode: str
) -> None:
    set_mode(plant, mode)

    async def run() -> None:
        async with serving(plant) as client:
            status, refused = await ask(client, "r1")
            again = await ask(client, "r1")
            shown = (await (await client.get(f"{PRODUCT}/bids")).json())["bid_sets"]
            one = await (await client.get(f"{PRODUCT}/bids/{shown[0]['bid_set_id']}")).json()
            product = await (await client.get(PRODUCT)).json()
        assert (status, refused["code"]) == (409, "shadow")
        assert again[1]["code"] == "shadow"
        assert "bids" not in refused
        assert [s["status"] for s in shown] == ["shadow"]
        assert shown[0]["states"] == {"shadow": shown[0]["bids"]}
        assert one["status"] == "shadow"
        assert one["bids"]
        assert product["market"] == "shadow"
        assert product["shadow_because"]

    asyncio.run(run())
    assert len(list(plant.journal.entries(tradelog.BID_SET))) == 1


def test_a_person_takes_a_product_live_and_it_holds_for_that_build(
    plant: Plant, serving: Any
) -> None:
    set_mode(plant, "live")

    async def run() -> None:
        async with serving(plant) as client:
            await ask(client, "r1")
            act = await client.post(f"{PRODUCT}/live", json=ACT)
            assert act.status == 200, await act.text()
            told = await act.json()
            assert (told["market"], told["by"]) == ("live", "Li")
            stayed = await ask(client, "r1")
            assert stayed[1]["code"] == "shadow"  # it was made before

            status, bid_set = await ask(client, "r2")
            assert (status, bid_set["status"], bid_set["revision"]) == (200, "open", 2)

            file = plant.file
            plant.file = replace(file, digest="0" * 64)  # its limits may be others
            status, refused = await ask(client, "r3")
            assert (status, refused["code"]) == (409, "shadow")
            assert "another build" in refused["detail"]
            plant.file = file
            listed = (await (await client.get(f"{PRODUCT}/bids")).json())["bid_sets"]
        # What is in the market stays there while the new build bids in the shadow.
        assert [s["status"] for s in listed] == ["shadow", "open", "superseded"]

    asyncio.run(run())


def test_another_version_of_the_strategies_leaves_a_product_live_and_stands_on_the_bids_of_its_plans(
    plant: Plant, serving: Any
) -> None:
    set_mode(plant, "live")
    assert plant.schedule is not None
    by_now = plant.schedule.strategy_version

    async def run() -> None:
        async with serving(plant) as client:
            await client.post(f"{PRODUCT}/live", json=ACT)
            plant.file = replace(
                plant.file, strategies=replace(plant.file.strategies, version="another")
            )
            status, before = await ask(client, "r1")  # of the plan that stands, made by the old one
            assert plant.schedule is not None
            plant.schedule = replace(plant.schedule, strategy_version="another")
            again, after = await ask(client, "r2")
        assert (status, again) == (200, 200)
        assert (before["strategy_version"], after["strategy_version"]) == (by_now, "another")

    asyncio.run(run())


def test_the_act_is_on_record_and_holds_after_a_restart(plant: Plant, serving: Any) -> None:
    set_mode(plant, "live")

    async def run() -> None:
        async with serving(plant) as client:
            await client.post(f"{PRODUCT}/live", json=ACT)
            before = dict(plant.trade.live)
            plant.trade.live.clear()
            tradelog.recover(plant)
            assert plant.trade.live == before
            assert (await ask(client, "r1"))[0] == 200
            back = await client.post(f"{PRODUCT}/live", json=ACT | {"live": False})
            assert (await back.json())["market"] == "shadow"
            assert (await ask(client, "r2"))[1]["code"] == "shadow"

    asyncio.run(run())
    (entry, _) = plant.journal.entries("go_live")
    assert b"four weeks" in entry.body


@pytest.mark.parametrize(
    ("mode", "verified", "told"),
    [
        ("shadow", True, "trading.mode of the park file is shadow"),
        ("live", False, "unverified and neither cleared nor waived"),
    ],
    ids=["the file says shadow", "rules that nobody has verified or waived"],
)
def test_a_product_cannot_be_taken_live(
    plant: Plant, serving: Any, mode: str, verified: bool, told: str
) -> None:
    set_mode(plant, mode, verified=verified)

    async def run() -> None:
        async with serving(plant) as client:
            refused = await client.post(f"{PRODUCT}/live", json=ACT)
            body = await refused.json()
        assert (refused.status, body["code"]) == (422, "not_biddable")
        assert told in body["detail"]

    asyncio.run(run())
    assert not plant.trade.live
