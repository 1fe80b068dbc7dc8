"""Bids on request, awards and deliveries, through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from vpp.service.api.markets import request_digest
from vpp.service.plant import Plant
from vpp.wire import BidRequest, BidSetResponse

DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
BIDS = "/v1/markets/se3-day-ahead/bids"
AWARDS = "/v1/markets/se3-day-ahead/awards"


def ask(request_id: str = "r1", **changes: Any) -> dict[str, Any]:
    return {"request_id": request_id, "delivery": DAY} | changes


def award(bid_set: dict[str, Any], *, revision: int = 1, mw: str | None = None) -> dict[str, Any]:
    """All that was offered in the first bid, at its own last price."""
    bid = bid_set["bids"][0]
    offered = bid["offer"]["steps"]
    return {
        "award_id": "award-1",
        "revision": revision,
        "final": True,
        "bid_set_id": bid_set["bid_set_id"],
        "cleared": [
            {
                "bid_id": bid["bid_id"],
                "start": bid["start"],
                "end": bid["end"],
                "quantity_mw": mw or offered[0]["quantity_mw"],
                "price_per_mwh": offered[0]["price_per_mwh"],
            }
        ],
        "rejected": [other["bid_id"] for other in bid_set["bids"][1:]],
    }


def test_a_market_reads_its_calendar_from_the_list(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            products = (await (await client.get("/v1/markets")).json())["products"]
            first = await (await client.get("/v1/markets/se3-day-ahead")).json()
        assert [p["product"] for p in products] == ["se3-day-ahead", "se3-quarter-hour"]
        assert products[0] == first
        assert first["next_delivery"] == {
            "delivery": DAY,
            "opens_at": first["next_delivery"]["opens_at"],
            "closes_at": "2025-12-02T11:00:00Z",
        }
        assert isinstance(first["lot_mw"], str)

    asyncio.run(run())


def test_the_same_request_gives_the_same_bytes_and_another_a_conflict(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            first = await client.post(BIDS, json=ask())
            again = await client.post(BIDS, json=ask())
            spelled = {"start": "2025-12-03T00:00:00+01:00", "end": "2025-12-03T23:00:00.000Z"}
            otherwise = await client.post(BIDS, json=ask(delivery=spelled))
            other = await client.post(BIDS, json=ask(prices_per_mwh=["40"]))

            assert first.status == 200, await first.text()
            body = await first.read()
            assert await again.read() == body
            assert await otherwise.read() == body
            assert (other.status, (await other.json())["code"]) == (409, "conflict")
        response = BidSetResponse.model_validate_json(body)
        assert response.bids
        assert response.revision == 1

    asyncio.run(run())


def test_a_bid_set_is_shown_listed_and_withdrawn(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
            raw = f"{BIDS}/{made['bid_set_id']}"
            escaped = f"{BIDS}/{quote(made['bid_set_id'], safe='')}"
            shown = await (await client.get(raw)).json()
            assert shown == made | {"reasons": shown["reasons"]}
            assert await (await client.get(escaped)).json() == shown
            assert (await (await client.delete(escaped)).json())["status"] == "withdrawn"
            assert (await (await client.delete(raw)).json())["status"] == "withdrawn"
            listed = (await (await client.get(BIDS)).json())["bid_sets"]
            elsewhere = await client.get(raw.replace("day-ahead", "quarter-hour", 1))
        assert [one["status"] for one in listed] == ["withdrawn"]
        assert float(listed[0]["offered_sell_mwh"]) + float(listed[0]["offered_buy_mwh"]) > 0
        assert elsewhere.status == 404

    asyncio.run(run())


def test_a_dry_run_leaves_nothing_behind(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            tried = await (await client.post(BIDS, json=ask(dry_run=True))).json()
            listed = (await (await client.get(BIDS)).json())["bid_sets"]
        assert tried["status"] == "dry_run"
        assert listed == []

    asyncio.run(run())


def test_an_award_is_booked_once_and_owed(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
            booked = await (await client.post(AWARDS, json=award(made))).json()
            again = await (await client.post(AWARDS, json=award(made))).json()
            other = await (await client.post(AWARDS, json=award(made, mw="0.1"))).json()
            owed = await (await client.get("/v1/markets/se3-day-ahead/deliveries")).json()
            none = await (await client.get("/v1/markets/se3-quarter-hour/deliveries")).json()
            listed = (await (await client.get(BIDS)).json())["bid_sets"][0]
        expected = {"award_id": "award-1", "revision": 1, "status": "booked"}
        assert booked == again == expected
        assert (other["status"], other["code"]) == (409, "conflict")
        bid = made["bids"][0]
        sign = 1 if bid["side"] == "sell" else -1
        sold_kwh = sign * float(bid["offer"]["steps"][0]["quantity_mw"]) * 250
        assert [d["owed_kwh"] for d in owed["deliveries"]] == [pytest.approx(sold_kwh)]
        assert none["deliveries"][0]["owed_kwh"] == 0
        assert none["deliveries"][0]["owed_all_kwh"] == pytest.approx(sold_kwh)
        traded = float(listed["sold_mwh"]) - float(listed["bought_mwh"])
        assert traded == pytest.approx(sold_kwh / 1000)
        assert listed["status"] == "awarded"

    asyncio.run(run())


def test_an_award_that_fits_no_bid_is_quarantined_and_acknowledged(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
            stray = award(made) | {"bid_set_id": "nobody-knows"}
            answer = await (await client.post(AWARDS, json=stray)).json()
        assert answer["status"] == "quarantined"

    asyncio.run(run())


def test_a_refused_request_is_counted_by_code(plant: Plant, serving: Any) -> None:
    plant.schedule = None

    async def run() -> None:
        async with serving(plant) as client:
            refused = await client.post(BIDS, json=ask())
            assert (refused.status, (await refused.json())["code"]) == (503, "no_plan")
            assert "Retry-After" in refused.headers

    asyncio.run(run())
    count = plant.metrics.registry.get_sample_value(
        "vpp_bid_requests_refused_total", {"code": "no_plan"}
    )
    assert count == 1


def test_a_digest_is_of_what_was_asked_not_of_how_it_was_written() -> None:
    one = BidRequest.model_validate_json(
        '{"request_id":"r","delivery":{"start":"2025-12-03T00:00:00+01:00","end":"2025-12-03T23:00Z"}}'
    )
    other = BidRequest.model_validate_json(
        '{"delivery":{"end":"2025-12-03T23:00:00Z","start":"2025-12-02T23:00:00Z"},"request_id":"r"}'
    )

    assert request_digest(one) == request_digest(other)
    assert request_digest(one) != request_digest(other.model_copy(update={"dry_run": True}))
