"""An answer that is lost is not a request that failed: the same id gets the same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Any

import aiohttp

MINUTE = timedelta(minutes=1)
BIDS, AWARDS = (b"POST /v1/markets/se3-quarter-hour/%b" % leaf for leaf in (b"bids", b"awards"))


def body_of(answer: bytes) -> Any:
    """The JSON of a raw HTTP answer."""
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def test_a_lost_answer_to_a_bid_request_comes_again_byte_for_byte(laboratory: Any) -> None:
    async def play() -> None:
        async with laboratory() as lab:
            lab.proxy.drops = {BIDS: 3}
            await lab.start()
            await lab.until(lab.now + 20 * MINUTE)  # over the first quarter-hour bids
            assert len(lab.proxy.dropped) == 3
            lost = {answer.split(b"\r\n\r\n", 1)[1] for answer in lab.proxy.dropped}
            assert len(lost) == 1
            received = [e for e in lab.ledger if e["kind"] == "received"]
            assert [e["digest"] for e in received] == [hashlib.sha256(lost.pop()).hexdigest()]

    asyncio.run(play())


def test_a_lost_acknowledgement_books_an_award_once(laboratory: Any) -> None:
    async def play() -> None:
        async with laboratory() as lab:
            lab.proxy.drops = {AWARDS: 3}
            await lab.start()
            await lab.until(lab.now + 30 * MINUTE)
            assert [body_of(answer)["status"] for answer in lab.proxy.dropped] == ["booked"] * 3
            [cleared] = [e for e in lab.ledger if e["kind"] == "cleared"]
            acknowledged = [e["key"] for e in lab.ledger if e["kind"] == "award_acknowledged"]
            assert acknowledged == [cleared["award_id"]]
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{lab.service}/v1/markets/se3-quarter-hour/deliveries") as answer,
            ):
                said = [d["owed_kwh"] for d in (await answer.json())["deliveries"]]
            assert said == [sum(float(trade[4]) for trade in cleared["trades"]) * 250]

    asyncio.run(play())


def test_a_known_request_id_with_another_request_is_refused(laboratory: Any) -> None:
    async def play() -> None:
        async with laboratory() as lab:
            await lab.start()
            await lab.until(lab.now + 20 * MINUTE)
            [asked] = [e for e in lab.ledger if e["kind"] == "asked"]
            request = {
                "request_id": asked["request_id"],
                "unit": "park",
                "delivery": {"start": asked["start"], "end": asked["end"]},
            }
            url = f"{lab.service}/v1/markets/se3-quarter-hour/bids"
            async with aiohttp.ClientSession() as session:
                async with session.post(url, json=request) as same:
                    assert same.status == 200
                    digest = hashlib.sha256(await same.read()).hexdigest()
                [received] = [e for e in lab.ledger if e["kind"] == "received"]
                assert digest == received["digest"]
                other = request | {"prices_per_mwh": ["1"]}
                async with session.post(url, json=other) as refused:
                    assert refused.status == 409
                    assert (await refused.json())["code"] == "conflict"

    asyncio.run(play())
