"""Each clearing style by hand: a few bids, one or two prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from vpp.simulate import strangers
from vpp.simulate.clearing import Step, Taken, auction, meet, pay_as_bid, pay_as_cleared, read_bid

CENT = Decimal("0.01")


def bid(name: str, side: str, *steps: tuple[str, str], **more: Any) -> Any:
    offer = {"form": "curve_step", "steps": [_step(mw, price) for mw, price in steps], **more}
    return read_bid({"bid_id": name, "side": side, "offer": offer}, name)


def _step(mw: str, price: str) -> dict[str, str]:
    return {"quantity_mw": mw, "price_per_mwh": price}


def steps(*found: tuple[str, str]) -> list[Step]:
    """Strangers: MW and price."""
    return [
        Step(f"stranger-{n}", Decimal(mw), Decimal(price)) for n, (mw, price) in enumerate(found)
    ]


def said(lines: Sequence[Taken]) -> list[str]:
    return [f"{line.name} {line.quantity_mw} at {line.price}" for line in lines]


# ---------------------------------------------------------------- against a price


def test_pay_as_cleared_pays_everybody_the_price() -> None:
    seller = bid("s", "sell", ("1", "40"), ("2", "50"), ("4", "60"))
    buyer = bid("b", "buy", ("1", "60"), ("2", "50"), ("4", "40"))

    assert said(pay_as_cleared(seller, Decimal(50))) == ["s 3 at 50"]
    assert said(pay_as_cleared(buyer, Decimal(50))) == ["b 3 at 50"]
    assert said(pay_as_cleared(seller, Decimal(39))) == []


def test_pay_as_bid_pays_each_step_its_own_price() -> None:
    seller = bid("s", "sell", ("1", "40"), ("2", "50"), ("4", "60"))
    buyer = bid("b", "buy", ("1", "60"), ("2", "50"), ("4", "40"))

    assert said(pay_as_bid(seller, Decimal(55))) == ["s 1 at 40", "s 2 at 50"]
    assert said(pay_as_bid(buyer, Decimal(50))) == ["b 1 at 60", "b 2 at 50"]


def test_steps_of_one_price_are_one_line_when_paid_as_bid() -> None:
    assert said(pay_as_bid(bid("s", "sell", ("1", "40"), ("2", "40")), Decimal(50))) == [
        "s 3 at 40"
    ]


@pytest.mark.parametrize(
    ("offer", "taken"),
    [
        pytest.param(
            {"form": "curve_linear", "points": [_step("0", "40"), _step("2", "40"), _step("5", "60")]},
            "2", id="a line, point by point",
        ),
        pytest.param(
            {"form": "segments", "segments": [
                {"from_mw": "0", "to_mw": "3", "price_per_mwh": "30"},
                {"from_mw": "3", "to_mw": "4", "price_per_mwh": "70"}]},
            "3", id="segments",
        ),
        pytest.param(
            {"form": "envelope", "lower_mw": "3", "upper_mw": "4", "segments": [
                {"from_mw": "3", "to_mw": "4", "price_per_mwh": "70"}]},
            "3", id="an envelope, its lower limit whatever the price",
        ),
        pytest.param(
            {"form": "price_bands", "bands": [
                _step("0", "10"), _step("2", "50"), _step("1", "90")]},
            "2", id="bands, one of them empty",
        ),
        pytest.param(
            {"form": "price_bands", "bands": [
                {"quantity_mw": "2", "capacity_price_per_mw_h": "50"}]},
            "2", id="bands of reserve",
        ),
        pytest.param(
            {"form": "bid_offer_pairs", "pairs": [
                {"number": 1, **_step("1", "45"), "undo_price_per_mwh": "45"},
                {"number": 2, **_step("2", "55"), "undo_price_per_mwh": "55"}]},
            "1", id="pairs",
        ),
        pytest.param(
            {"form": "single", "quantity_mw": "2", "price_per_mwh": "900",
             "capacity_price_per_mw_h": "5"},
            "2", id="one quantity, cleared by its price for capacity",
        ),
        pytest.param({"form": "single", "quantity_mw": "2", "mileage_price_per_mw": "51"}, "0", id="mileage"),
        pytest.param({"form": "self_schedule", "quantity_mw": "2"}, "2", id="a schedule"),
        pytest.param({"form": "quantity_only", "quantity_mw": "2"}, "2", id="a quantity"),
    ],
)  # fmt: skip
def test_each_form_is_read_from_what_the_contract_says(offer: dict[str, Any], taken: str) -> None:
    read = read_bid({"side": "sell", "offer": offer}, "s")
    lines = pay_as_cleared(read, Decimal(50))
    assert sum((line.quantity_mw for line in lines), Decimal(0)) == Decimal(taken)


# ---------------------------------------------------------------- among others


def test_the_marginal_offer_sets_the_price_and_is_shared() -> None:
    # 5 MW wanted; 3 at 20, then ours 4 and a stranger's 4 at 30 share the other 2.
    price, won = auction(
        [bid("a", "sell", ("4", "30"))],
        steps(("3", "20"), ("4", "30")),
        steps(("5", "100")),
        tick=CENT,
    )
    assert price == 30
    assert said(won) == ["a 1.000 at 30.00"]


def test_a_marginal_buyer_sets_the_price() -> None:
    # Supply 20 (3 MW), ours 30 (2 MW), 40 (4 MW); demand 100 (4 MW), 35 (3 MW): 5 MW trade, the last buyer gets 1.
    met = meet(
        [*steps(("3", "20"), ("4", "40")), Step("a", Decimal(2), Decimal(30))],
        [Step("rich", Decimal(4), Decimal(100)), Step("poor", Decimal(3), Decimal(35))],
        tick=CENT,
    )
    assert met.price == 35
    assert met.volume_mw == 5
    assert met.taken_mw["a"] == 2
    assert met.taken_mw["poor"] == 1


def test_shares_at_the_margin_are_rounded_down_to_lots() -> None:
    ours = [bid("a", "sell", ("2", "30")), bid("b", "sell", ("1", "30"))]
    _, won = auction(ours, [], steps(("2", "50")), tick=CENT)
    assert said(won) == ["a 1.333 at 30.00", "b 0.666 at 30.00"]


@pytest.mark.parametrize(("at_kink", "price"), [("middle", "37.5"), ("next", "40")])
def test_where_both_sides_end_together_an_exchange_takes_the_middle_and_a_dispatch_the_next_mw(
    at_kink: Any, price: str
) -> None:
    met = meet(
        steps(("5", "30"), ("5", "40")), steps(("5", "60"), ("5", "35")), tick=CENT, at_kink=at_kink
    )
    assert met.price == Decimal(price)
    assert met.volume_mw == 5


def test_all_or_nothing_is_left_out_where_it_would_be_cut() -> None:
    whole = {"form": "single", "quantity_mw": "2", "price_per_mwh": "30", "min_share": "1"}
    ours = [
        read_bid({"side": "sell", "offer": whole}, "whole"),
        bid("b", "sell", ("1", "30")),
    ]
    price, won = auction(ours, [], steps(("2", "50")), tick=CENT)
    assert price == 50  # one MW is missing: the buyer's price
    assert said(won) == ["b 1 at 50.00"]


def test_where_nobody_agrees_nobody_trades() -> None:
    assert auction([bid("a", "sell", ("1", "30"))], [], steps(("5", "20")), tick=CENT) == (None, [])


def test_a_dispatch_takes_bands_until_its_demand_is_met() -> None:
    # 6 MW wanted at the cap. Bands: 2 at 10, ours 3 at 40 and 3 at 80, 2 at 60: 10, 40, then 1 of the 2 at 60.
    price, won = auction(
        [bid("gen", "sell", ("3", "40"), ("3", "80")), bid("load", "buy", ("1", "20"))],
        steps(("2", "10"), ("2", "60")),
        steps(("6", "20300")),
        tick=CENT,
        at_kink="next",
    )
    assert price == 60
    assert said(won) == ["gen 3.000 at 60.00"]


def test_too_little_supply_costs_what_demand_pays_at_most() -> None:
    price, won = auction(
        [bid("gen", "sell", ("3", "40"))], [], steps(("6", "20300")), tick=CENT, at_kink="next"
    )
    assert price == 20300
    assert said(won) == ["gen 3 at 20300.00"]


@pytest.mark.parametrize("seed", range(60))
def test_whoever_is_better_than_the_price_is_taken_and_both_sides_are_equal(seed: int) -> None:
    dice = Random(seed)
    supply = steps(*((str(dice.randint(1, 5)), str(dice.randint(0, 9))) for _ in range(6)))
    demand = [
        Step(f"buyer-{n}", Decimal(dice.randint(1, 5)), Decimal(dice.randint(0, 9)))
        for n in range(6)
    ]
    met = meet(supply, demand, tick=CENT)
    for side, sign in ((supply, 1), (demand, -1)):
        taken = [met.taken_mw.get(step.owner, Decimal(0)) for step in side]
        assert sum(taken) == pytest.approx(met.volume_mw)
        for step, got in zip(side, taken, strict=True):
            assert met.price is not None
            assert step.price is not None
            if step.price * sign < met.price * sign:
                assert got == step.quantity_mw
            if step.price * sign > met.price * sign:
                assert got == 0


# ---------------------------------------------------------------- strangers


def test_strangers_are_the_same_for_the_same_interval_and_meet_about_the_price() -> None:
    start = datetime(2025, 12, 1, 23, tzinfo=UTC)
    found = []
    for seed in range(40):
        dice = strangers.dice_of(seed, "da", start)
        supply, demand = strangers.exchange(dice, Decimal(50), Decimal(60), Decimal(20), CENT)
        again = strangers.exchange(
            strangers.dice_of(seed, "da", start), Decimal(50), Decimal(60), Decimal(20), CENT
        )
        assert again == (supply, demand)
        found.append(meet(supply, demand, tick=CENT).price)
    assert all(price is not None and 30 <= price <= 70 for price in found)
    assert len(set(found)) > 30
    assert sum(p for p in found if p is not None) / 40 == pytest.approx(50, abs=5)


def test_a_region_has_ten_bands_a_generator_and_a_demand_that_pays_the_cap() -> None:
    dice = strangers.dice_of(1, "nem", datetime(2025, 12, 1, 23, tzinfo=UTC))
    supply, demand = strangers.region(
        dice, Decimal(50), Decimal(400), Decimal(20), CENT, Decimal(20_300)
    )
    bands = [step for step in supply if step.owner.startswith("generator-0/")]
    prices = [step.price for step in bands if step.price is not None]
    assert len(bands) == 10
    assert prices == sorted(prices)
    [wanted] = demand
    assert wanted.price == 20_300
    met = meet(supply, demand, tick=CENT, at_kink="next")
    assert met.volume_mw == wanted.quantity_mw
    assert met.price is not None
    assert 30 <= met.price <= 70
