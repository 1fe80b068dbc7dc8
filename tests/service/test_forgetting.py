"""What bids are compared by is dropped once nothing is compared to it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from vpp.model.ids import ProductId
from vpp.model.time import Interval
from vpp.service.plant import Plant
from vpp.service.trading import trading
from vpp.service.trading.desk import HeldBid
from vpp.service.trading.facts import offered_by

DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}


def test_what_bids_are_compared_by_goes_with_its_days_and_stays_until_then(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            asked = {"request_id": "r1", "delivery": DAY}
            answer = await client.post("/v1/markets/se3-day-ahead/bids", json=asked)
            assert answer.status == 200, await answer.text()

    asyncio.run(run())
    (bid_set,) = plant.book.live_sets()
    desk, end = plant.trade, bid_set.delivery.end
    offered_by(plant, bid_set)
    desk.contents["refused.1"] = "never came into the book"
    desk.held["h"] = HeldBid(
        held_id="h",
        product_id=ProductId("se3-day-ahead"),
        unit_id=bid_set.unit_id,
        delivery=Interval(bid_set.delivery.start, end),
        at=bid_set.issued_at,
        why="strange",
        profile={},
    )
    days = timedelta(days=plant.file.trading.limits.novelty_days + 1)

    trading.forget_offers(plant, end - timedelta(minutes=1))
    assert (set(desk.contents), set(desk.offered)) == ({bid_set.bid_set_id},) * 2
    trading.forget_offers(plant, end + days - timedelta(minutes=1))
    assert (set(desk.contents), set(desk.offered), set(desk.held)) == (
        set(), {bid_set.bid_set_id}, {"h"}
    )  # fmt: skip
    trading.forget_offers(plant, end + days)
    assert (desk.offered, desk.held) == ({}, {})
