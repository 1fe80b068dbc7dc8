"""Our ten bands in a NEM-like dispatch of strangers: nempy and the simulated market agree, and so does our book.

The offer of `au.nem.energy.bdu` as it is made for a park of two batteries goes into regional dispatches of nempy,
which runs in an environment of its own (`nempy/`), among generators that are drawn by seed. Its MW and prices are
held against our clearing, and booked as an award. Needs the registry of packages once, so it runs where VPP_PEERS
is set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.service.test_packoffers import NOW, PACKS
from tests.trade.conftest import battery, park, schedule
from vpp.model.horizon import Horizon
from vpp.model.market import BidSet, Binding, Side
from vpp.model.offer import PriceBandsOffer
from vpp.model.resource import Storage
from vpp.model.time import QUARTER
from vpp.simulate import strangers
from vpp.simulate.clearing import Step, auction, read_bid
from vpp.trade.awards import Book
from vpp.trade.book import BidBook
from vpp.trade.offering import offer_for
from vpp.trade.position import Position
from vpp.trade.records import award_from_wire, bid_set_to_bytes
from vpp.wire import AwardRequest

NEMPY = Path(__file__).parent / "nempy"
CENT, CAP = Decimal("0.01"), Decimal(20_300)
EVERY = 6
"""Every half hour of the day is dispatched."""

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ, reason="installs nempy: set VPP_PEERS=1 to run it"
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds nempy, made here or named by VPP_PEERS_NEMPY."""
    if (made := os.environ.get("VPP_PEERS_NEMPY")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("nempy") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", NEMPY / "requirements.txt"], check=True)
    return home / "bin/python"


@pytest.fixture(scope="module")
def bid_set() -> BidSet:
    """Two batteries of 40 and 100 MW whose energy is worth 50 and 60 AUD/MWh, with losses: none buys dearer than one sells."""
    pack = PACKS["au.nem.energy.bdu"]
    product = pack.product()
    assert product is not None
    made = park([_battery("bess", 40_000.0), _battery("other", 100_000.0)], declared_kw=200_000)
    (unit,) = made.bidding_units
    unit = replace(unit, product_ids=(pack.product_id,))
    delivery = product.delivery_at(NOW + timedelta(days=2))
    plan = schedule(
        made,
        Horizon(delivery.start, QUARTER, (delivery.end - delivery.start) // QUARTER + 4),
        stored_kwh=2_000_000.0,
        stored_value={"bess": 0.05, "other": 0.06},
    )
    bids = offer_for(
        product, unit, delivery, plan, Position(), replace(made, bidding_units=(unit,)),
        Binding(product_id=pack.product_id), {product.product_id: product}, revision=1,
    )  # fmt: skip
    gate = product.gate_closes_at(delivery)
    return BidSet(
        bid_set_id="nem-1",
        request_id="r-1",
        product_id=product.product_id,
        unit_id=unit.unit_id,
        delivery=delivery,
        revision=1,
        issued_at=gate - timedelta(minutes=1),
        valid_until=gate,
        plan_id="plan-1",
        strategy_version="v",
        pack_digest=pack.digest,
        bids=bids,
    )


def _battery(name: str, kw: float) -> Storage:
    return battery(
        name,
        capacity_kwh=4_000_000.0,
        max_charge_kw=kw,
        max_discharge_kw=kw,
        charge_efficiency=0.9,
        discharge_efficiency=0.9,
    )


@dataclass(frozen=True, kw_only=True)
class Dispatched:
    """One interval by both."""

    bids: list[dict[str, Any]]
    supply: list[Step]
    demand: list[Step]
    price: Decimal
    mw: dict[str, Decimal]
    """Of our bids, by bid id, as nempy has it."""


@pytest.fixture(scope="module")
def dispatched(python: Path, bid_set: BidSet) -> list[Dispatched]:
    """Half-hours of the day, each among strangers of its own."""
    plain = json.loads(bid_set_to_bytes(bid_set, "open"))["bids"]
    starts = sorted({bid["start"] for bid in plain})[::EVERY]
    cases, asked = [], []
    for number, start in enumerate(starts):
        bids = [bid for bid in plain if bid["start"] == start]
        dice = strangers.dice_of(1, "nem", bid_set.delivery.start + number * timedelta(minutes=30))
        around = Decimal(dice.choice((20, 40, 60, 80)))
        supply, demand = strangers.region(dice, around, Decimal(600), Decimal(70), CENT, CAP)
        cases.append((bids, supply, demand))
        asked.append(_for_nempy(bids, supply, demand))
    done = subprocess.run(
        [python, NEMPY / "dispatch.py"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [
        Dispatched(
            bids=bids,
            supply=supply,
            demand=demand,
            price=Decimal(str(round(told["price"], 2))),
            mw={b["bid_id"]: Decimal(str(round(told["dispatch"][_row(b)], 3))) for b in bids},
        )
        for (bids, supply, demand), told in zip(cases, json.loads(done.stdout), strict=True)
    ]


def _row(bid: dict[str, Any]) -> str:
    return "ours/generator" if bid["side"] == "sell" else "ours/load"


def _for_nempy(
    bids: list[dict[str, Any]], supply: list[Step], demand: list[Step]
) -> dict[str, Any]:
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for step in supply:
        name = step.owner.split("/")[0]
        rows.setdefault((name, "generator"), []).append([str(step.quantity_mw), str(step.price)])
    for bid in bids:
        unit, kind = _row(bid).split("/")
        rows[unit, kind] = [
            [band["quantity_mw"], band["price_per_mwh"]] for band in bid["offer"]["bands"]
        ]
    (region,) = demand
    bands = [[unit, kind, found] for (unit, kind), found in rows.items()]
    return {"demand": str(region.quantity_mw), "bands": bands}


def test_the_offer_has_ten_bands_each_way_at_prices_of_two_batteries(bid_set: BidSet) -> None:
    for bid in bid_set.bids:
        assert isinstance(bid.offer, PriceBandsOffer)
        assert len(bid.offer.bands) == 10
    first = {bid.side: bid.offer for bid in bid_set.bids[:2]}
    sold = first[Side.SELL]
    assert isinstance(sold, PriceBandsOffer)
    assert [band.quantity_mw for band in sold.bands if band.quantity_mw] == [40, 100]


def test_nempy_and_the_simulated_market_find_the_same_price_and_the_same_mw(
    dispatched: list[Dispatched],
) -> None:
    took = 0
    for one in dispatched:
        bids = [read_bid(bid, str(bid["bid_id"])) for bid in one.bids]
        price, won = auction(bids, one.supply, one.demand, tick=CENT, at_kink="next")
        assert price == one.price
        ours = {line.name: line.quantity_mw for line in won}
        for name, mw in one.mw.items():
            assert float(ours.get(name, Decimal(0))) == pytest.approx(float(mw), abs=0.0011)
        took += len(won)
    assert len(dispatched) == 48
    assert took > 20


def test_what_nempy_dispatched_is_booked_to_the_mwh_and_to_the_cent(
    bid_set: BidSet, dispatched: list[Dispatched]
) -> None:
    lines = [
        {
            "bid_id": bid["bid_id"],
            "start": bid["start"],
            "end": bid["end"],
            "quantity_mw": str(one.mw[bid["bid_id"]]),
            "price_per_mwh": str(one.price),
        }
        for one in dispatched
        for bid in one.bids
        if one.mw[bid["bid_id"]]
    ]
    body = {
        "award_id": "nem", "revision": 1, "final": False, "bid_set_id": "nem-1", "cleared": lines,
    }  # fmt: skip
    award = award_from_wire(
        AwardRequest.model_validate(body), bid_set.product_id, bid_set.valid_until
    )
    book = BidBook(frozenset({bid_set.product_id}))
    book.add(bid_set, bid_set_to_bytes(bid_set, "open"), "digest")
    assert isinstance(book.check_award(award), Book)
    book.apply(award)

    energy_mwh = money = Decimal(0)
    for trade in book.position().all_trades():
        energy_mwh += trade.sold_mw / 12
        money += trade.sold_mw / 12 * trade.price_per_mwh
    signs = {"sell": 1, "buy": -1}
    theirs_mwh = theirs = Decimal(0)
    for one in dispatched:
        for bid in one.bids:
            sold_mw = signs[bid["side"]] * one.mw[bid["bid_id"]]
            theirs_mwh += sold_mw / 12
            theirs += sold_mw / 12 * one.price
    assert len(lines) > 20
    assert energy_mwh.quantize(CENT) == theirs_mwh.quantize(CENT)
    assert money.quantize(CENT) == theirs.quantize(CENT)
