"""Every bid says why: beside the answer, never in it, and still after a restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from vpp.model.bidcurve import BidCurves, CurveCheck, Rise
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import BidMode, Binding
from vpp.model.time import QUARTER, Interval, parse_utc
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.trade.reasonmessages import BidReasons

PRODUCT = ProductId("se3-day-ahead")
DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
BIDS = f"/v1/markets/{PRODUCT}/bids"


def in_mode_expected(file: ParkFile) -> ParkFile:
    return replace(
        file,
        bindings={PRODUCT: Binding(product_id=PRODUCT, mode=BidMode.EXPECTED)},
        curves={PRODUCT: CurveSettings()},
    )


def with_curves(plant: Plant) -> None:
    """Two scenarios, 20 and 60 EUR/MWh: 500 kW are bought at the one, 1500 sold at the other."""
    assert plant.schedule is not None
    day = Interval(parse_utc(DAY["start"], where="test"), parse_utc(DAY["end"], where="test"))
    many = 96
    prices = np.array([[0.020] * many, [0.060] * many])
    curves = BidCurves(
        product_id=PRODUCT,
        horizon=Horizon.over(day, QUARTER),
        status="expected",
        scenario_per_kwh=prices,
        planned_kw=np.array([[-500.0] * many, [1500.0] * many]),
        value_per_kwh=np.array([[0.025] * many, [0.055] * many]),
        lowest_kw=np.full(many, -500.0),
        rises=((Rise(0.040, 2000.0, 0.041),),) * many,
        check=CurveCheck(
            paths=200,
            asked=200,
            undelivered_share=0.01,
            share_before_cut=0.01,
            kept=1.0,
            paths_short=3,
            mean_cost=100.0,
            worst_cost=200.0,
        ),
        cvar_weight=0.1,
        cvar_level=0.8,
    )
    plant.schedule = replace(plant.schedule, bid_curves=(curves,))
    plant.file = in_mode_expected(plant.file)


def ask(request_id: str = "r1") -> dict[str, Any]:
    return {"request_id": request_id, "delivery": DAY}


def test_bids_of_the_mode_expected_come_from_the_plans_curves(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        with_curves(plant)
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
        buy, sell = made["bids"][:2]
        assert (buy["side"], sell["side"]) == ("buy", "sell")
        assert buy["offer"]["steps"] == [{"quantity_mw": "0.5", "price_per_mwh": "40.00"}]
        assert sell["offer"]["steps"] == [{"quantity_mw": "1.5", "price_per_mwh": "40.00"}]

    asyncio.run(run())


def test_a_bid_set_is_shown_with_its_reasons_and_answered_without(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        with_curves(plant)
        async with serving(plant) as client:
            first = await (await client.post(BIDS, json=ask())).read()
            again = await (await client.post(BIDS, json=ask())).read()
            made = await (await client.post(BIDS, json=ask("r2"))).json()
            shown = await (await client.get(f"{BIDS}/{made['bid_set_id']}")).json()
        assert first == again
        assert b"reasons" not in first
        told = shown.pop("reasons")
        assert shown == made
        why = BidReasons.model_validate(told)
        assert (why.mode, why.note, why.plan_id) == ("expected", "", made["plan_id"])
        assert why.strategy_version == "s1", "of the plan"
        assert why.curves is not None
        assert (why.curves.scenarios, why.curves.paths, why.curves.kept) == (2, 200, 1.0)
        assert len(why.bids) == len(made["bids"])
        buy, sell = why.bids[:2]
        assert sell.bid_id == made["bids"][1]["bid_id"].rsplit("/", 1)[0]
        assert [level.price_per_mwh for level in sell.price_levels] == [24, 40, 56]
        assert [step.shadow_price_per_mwh for step in sell.steps] == [41]
        assert [step.shadow_price_per_mwh for step in buy.steps] == [41]
        # The unit is declared for 12 MW; the park may feed 5 MW and draw 14.5.
        assert sell.headroom_mw == Decimal("3.5")
        assert buy.headroom_mw == Decimal("11.5")

    asyncio.run(run())


def test_reasons_stand_in_the_record_once_for_an_offer_and_bid_sets_name_them(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        with_curves(plant)
        async with serving(plant) as client:
            for number in range(3):
                await client.post(BIDS, json=ask(f"r{number}"))
        (told,) = plant.journal.entries(tradelog.REASONS)
        sets = list(plant.journal.entries(tradelog.BID_SET))
        assert len(sets) == 3
        assert all(told.key.encode() in entry.body for entry in sets)
        assert told.number < sets[0].number
        assert tradelog.reasons_of(plant, sets[2].key) == told.body

    asyncio.run(run())


def test_a_record_that_is_older_than_reasons_is_shown_without(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
            plant.offers.clear()
            entry = plant.journal.find(tradelog.BID_SET, made["bid_set_id"])
            assert entry is not None
            old = entry.body[: entry.body.index(b',"reasons"')] + b"}"
            await plant.journal.append(tradelog.BID_SET, "old", old, now=entry.recorded_at)
        assert tradelog.reasons_of(plant, "old") is None

    asyncio.run(run())


def test_where_the_plan_has_no_curves_the_bid_is_the_plans_and_says_so(
    plant: Plant, serving: Any
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            plain = await (await client.post(BIDS, json=ask())).json()
            plant.file = in_mode_expected(plant.file)
            plant.offers.clear()
            made = await (await client.post(BIDS, json=ask("r2"))).json()
            shown = await (await client.get(f"{BIDS}/{made['bid_set_id']}")).json()
        assert [bid["offer"] for bid in made["bids"]] == [bid["offer"] for bid in plain["bids"]]
        assert shown["reasons"]["mode"] == "robust"
        assert shown["reasons"]["note"] == "the plan was not asked for curves"
        assert shown["reasons"]["curves"] is None

    asyncio.run(run())


def test_what_was_sold_since_the_plan_is_not_offered_again(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        with_curves(plant)
        async with serving(plant) as client:
            made = await (await client.post(BIDS, json=ask())).json()
            sell = made["bids"][1]
            award = {
                "award_id": "a1",
                "revision": 1,
                "final": True,
                "bid_set_id": made["bid_set_id"],
                "cleared": [
                    {
                        "bid_id": sell["bid_id"],
                        "start": sell["start"],
                        "end": sell["end"],
                        "quantity_mw": "1.0",
                        "price_per_mwh": "50",
                    }
                ],
                "rejected": [],
            }
            await client.post(f"/v1/markets/{PRODUCT}/awards", json=award)
            again = await (await client.post(BIDS, json=ask("r2"))).json()
        first = {bid["side"]: bid["offer"]["steps"] for bid in again["bids"][:2]}
        assert first["sell"] == [{"quantity_mw": "0.5", "price_per_mwh": "40.00"}]
        assert first["buy"] == [{"quantity_mw": "1.5", "price_per_mwh": "40.00"}]

    asyncio.run(run())
