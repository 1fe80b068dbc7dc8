"""Offers of which anything may be taken: by hand on small parks, and delivered on simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from benchmarks._delivering import (
    faults,
    offered,
    products,
    random_taken,
    sold_before,
    worst_taken,
)
from benchmarks._randomparks import Case, random_case
from vpp.model import offer as forms
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, ResourceId, UnitId
from vpp.model.market import Bid, Binding, Call, Direction, MarketProduct, PriceGrid, Side
from vpp.model.offer import PriceUnit, most_mw
from vpp.model.park import Limits, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Reserve, Schedule
from vpp.model.time import QUARTER, Interval
from vpp.trade.calendar import TradeRefusal
from vpp.trade.offering import offer_for
from vpp.trade.position import Position, Trade

MIDNIGHT = datetime(2025, 12, 3, 23, tzinfo=UTC)
DAY = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=1))
HORIZON = Horizon(MIDNIGHT, QUARTER, 96)
Builder = Callable[..., Any]


@dataclass(frozen=True)
class Make:
    """The builders of conftest, in one argument."""

    product: Callable[..., MarketProduct]
    battery: Callable[..., Storage]
    park: Callable[..., Park]
    schedule: Callable[..., Schedule]


@pytest.fixture(scope="session")
def make(a_product: Builder, a_battery: Builder, a_park: Builder, a_schedule: Builder) -> Make:
    return Make(a_product, a_battery, a_park, a_schedule)


def bids_of(
    product: MarketProduct,
    park: Park,
    schedule: Schedule,
    position: Position | None = None,
    others: Mapping[ProductId, MarketProduct] | None = None,
) -> tuple[Bid, ...]:
    (unit,) = park.bidding_units
    binding = Binding(product_id=product.product_id)
    return offer_for(
        product,
        unit,
        DAY,
        schedule,
        position or Position(),
        park,
        binding,
        others or {},
        revision=1,
    )


def mwh(bids: tuple[Bid, ...], side: Side) -> float:
    return float(sum(bid.most_mwh for bid in bids if bid.side is side))


def hours(bids: tuple[Bid, ...], side: Side) -> set[int]:
    """Quarter-hours of the day in which there is a bid."""
    return {(b.interval.start - MIDNIGHT) // QUARTER for b in bids if b.side is side}


def prices(dear: int, cheap: int) -> np.ndarray[Any, Any]:
    """0.05 all day but for four dear and four cheap quarter-hours."""
    worth = np.full(96, 0.05)
    worth[dear : dear + 4] = 0.2
    worth[cheap : cheap + 4] = 0.01
    return worth


# ---------------------------------------------------------------- energy


def test_what_a_store_holds_is_sold_once_where_it_is_worth_most(make: Make) -> None:
    park = make.park([make.battery()])  # 1 MW, 2 MWh, half full
    bids = bids_of(make.product(), park, make.schedule(park, HORIZON, net_value=prices(70, 10)))

    assert (mwh(bids, Side.SELL), hours(bids, Side.SELL)) == (1.0, {70, 71, 72, 73})
    assert (mwh(bids, Side.BUY), hours(bids, Side.BUY)) == (1.0, {10, 11, 12, 13})


def test_energy_that_would_have_to_be_bought_first_is_not_sold(make: Make) -> None:
    park = make.park([make.battery()])
    charging = np.zeros(96)
    charging[10:14], charging[70:78] = -1000.0, 1000.0
    stored = 1000 - np.cumsum(charging) / 4
    schedule = make.schedule(
        park, HORIZON, storage_kw={"bess": charging}, stored_kwh=stored, net_value=prices(70, 10)
    )

    # The plan sells 2 MWh; 1 of them is bought first, and may not be.
    assert mwh(bids_of(make.product(), park, schedule), Side.SELL) == 1.0


def test_the_level_that_must_be_there_in_the_end_is_kept(make: Make) -> None:
    park = make.park([make.battery(final_soc=0.4)])
    bids = bids_of(make.product(), park, make.schedule(park, HORIZON))
    assert mwh(bids, Side.SELL) == pytest.approx(0.2)


def test_no_more_is_sold_than_a_limit_of_the_tree_lets_through(make: Make) -> None:
    park = make.park([make.battery()], feeder=Limits(import_kw=300, export_kw=400))
    bids = bids_of(make.product(), park, make.schedule(park, HORIZON))
    assert max(most_mw(bid.offer) for bid in bids if bid.side is Side.SELL) == Decimal("0.4")
    assert max(most_mw(bid.offer) for bid in bids if bid.side is Side.BUY) == Decimal("0.3")


def test_what_the_plan_cannot_leave_is_offered_whatever_the_price(make: Make) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    bids = bids_of(make.product(), park, make.schedule(park, HORIZON, base_kw=-350))
    assert {bid.offer.priced_mw for bid in bids} == {((Decimal("0.3"), Decimal("4000.00")),)}
    assert len(bids) == 96


def test_energy_that_another_market_took_is_kept_for_it(make: Make) -> None:
    park = make.park([make.battery()])
    evening = Interval(MIDNIGHT + 70 * QUARTER, MIDNIGHT + 73 * QUARTER)
    position = Position([sold("da", evening, "1.0")])
    discharge = np.zeros(96)
    discharge[70:73] = 1000.0
    stored = 1000 - np.cumsum(discharge) / 4
    schedule = make.schedule(park, HORIZON, storage_kw={"bess": discharge}, stored_kwh=stored)
    product = replace(make.product(), product_id=ProductId("qh"))

    bids = bids_of(product, park, schedule, position, {ProductId("da"): make.product()})

    assert mwh(bids, Side.SELL) == 0.25  # 1 MWh is stored, three quarters of it are sold


def test_what_a_strategy_keeps_in_a_store_is_not_for_sale(make: Make) -> None:
    """1 of 2 MWh is stored; 0.7 MWh are to stay from six o'clock on."""
    park = make.park([make.battery()])
    schedule = make.schedule(park, HORIZON)
    kept = np.full(96, np.nan)
    kept[24:] = 700.0
    schedule = replace(schedule, kept_kwh={ResourceId("bess"): kept})
    assert mwh(bids_of(make.product(), park, schedule), Side.SELL) == pytest.approx(0.3)


def test_nothing_of_a_store_that_is_left_alone_is_for_sale(make: Make) -> None:
    park = make.park([make.battery()])
    schedule = make.schedule(park, HORIZON, net_value=prices(70, 10))
    alone = np.zeros(96, dtype=bool)
    alone[68:80] = True
    bids = bids_of(make.product(), park, replace(schedule, left_alone={ResourceId("bess"): alone}))
    assert hours(bids, Side.SELL) & set(range(68, 80)) == set()
    assert hours(bids, Side.BUY) == {10, 11, 12, 13}


def test_headroom_that_a_strategy_keeps_for_itself_is_not_for_sale(make: Make) -> None:
    """400 kW are kept upwards for the park itself: 0.6 of 1 MW are left to sell."""
    park = make.park([make.battery()])
    schedule = make.schedule(park, HORIZON)
    kept = Reserve(
        kept_kw={ResourceId("bess"): np.full(96, 400.0)},
        sold_kw=np.zeros(96),
        lacking_kw=np.zeros(96),
        call_hours=1.0,
    )
    bids = bids_of(make.product(), park, replace(schedule, reserve={"storm up": kept}))
    assert mwh(bids, Side.SELL) == pytest.approx(0.6)
    assert max(most_mw(bid.offer) for bid in bids if bid.side is Side.SELL) <= Decimal("0.6")


def test_reserve_that_is_sold_leaves_no_energy_to_sell(make: Make) -> None:
    park = make.park([make.battery()])
    held = capacity(make, Direction.UP, delivery_interval=timedelta(hours=1))
    hour = Interval(MIDNIGHT + 4 * QUARTER, MIDNIGHT + 8 * QUARTER)

    bids = bids_of(
        make.product(),
        park,
        make.schedule(park, HORIZON),
        Position([sold("cap", hour, "0.6")]),
        {ProductId("cap"): held},
    )

    # 0.6 MWh may be called, in that hour beside what is sold in it.
    assert mwh(bids, Side.SELL) == pytest.approx(0.4)


def test_a_plan_with_numbers_that_are_none_is_refused(make: Make) -> None:
    park = make.park([make.battery()])
    broken = make.schedule(park, HORIZON, base_kw=np.full(96, np.nan))
    with pytest.raises(TradeRefusal) as told:
        bids_of(make.product(), park, broken)
    assert told.value.code == "no_plan"


# ---------------------------------------------------------------- what is called


def capacity(make: Make, direction: Direction, **changes: Any) -> MarketProduct:
    given: dict[str, Any] = {
        "product_id": ProductId("cap"),
        "kind": "reserve_capacity",
        "direction": direction,
        "form": "single",
        "delivery_interval": timedelta(hours=4),
        "price": PriceGrid(
            unit=PriceUnit.CAPACITY_HOUR, least=Decimal(0), most=Decimal(100), tick=Decimal("0.01")
        ),
        "call": Call(longest=timedelta(hours=1)),
    }
    return replace(make.product(), **(given | changes))


def sold(name: str, interval: Interval, mw: str) -> Trade:
    return Trade(
        award_id="a",
        bid_id=f"b-{name}",
        product_id=ProductId(name),
        unit_id=UnitId("unit"),
        interval=interval,
        side=Side.SELL,
        quantity_mw=Decimal(mw),
        price_per_mwh=Decimal(0),
        quarantined=False,
    )


def test_every_block_may_be_called_for_as_long_as_a_call_lasts(make: Make) -> None:
    park = make.park([make.battery()])
    bids = bids_of(capacity(make, Direction.UP), park, make.schedule(park, HORIZON))
    assert sum(most_mw(bid.offer) for bid in bids) == 1  # 1 MWh, an hour a block
    assert all(bid.side is Side.SELL for bid in bids)


def test_as_much_is_offered_up_as_down(make: Make) -> None:
    park = make.park([make.battery(capacity_kwh=1250.0)])  # 1000 kWh to give, 250 kWh to take
    bids = bids_of(capacity(make, Direction.SYMMETRIC), park, make.schedule(park, HORIZON))
    assert sum(most_mw(bid.offer) for bid in bids) == Decimal("0.2")


def test_the_rest_suffices_where_the_largest_may_fail(make: Make) -> None:
    small = make.battery("small", max_discharge_kw=400.0, capacity_kwh=20_000.0)
    park = make.park([make.battery(capacity_kwh=20_000.0), small])
    schedule = make.schedule(park, HORIZON, stored_kwh=10_000.0)
    product = capacity(make, Direction.UP)
    survivor = replace(product, call=Call(longest=timedelta(hours=1), survives_largest=True))

    assert {most_mw(b.offer) for b in bids_of(product, park, schedule)} == {Decimal("1.4")}
    assert {most_mw(b.offer) for b in bids_of(survivor, park, schedule)} == {Decimal("0.4")}


def test_no_more_is_offered_than_the_plan_keeps_for_the_product(make: Make) -> None:
    park = make.park([make.battery(capacity_kwh=20_000.0)])
    schedule = make.schedule(park, HORIZON, stored_kwh=10_000.0)
    kept = Reserve(
        kept_kw={ResourceId("bess"): np.full(96, 300.0)},
        sold_kw=np.full(96, 300.0),
        lacking_kw=np.zeros(96),
    )
    bids = bids_of(capacity(make, Direction.UP), park, replace(schedule, reserve={"cap up": kept}))
    assert {most_mw(bid.offer) for bid in bids} == {Decimal("0.3")}


def test_a_demand_response_lasts_as_many_hours_as_a_day_may_call(make: Make) -> None:
    park = make.park([make.battery()])
    event = replace(
        capacity(make, Direction.UP, kind="dr_event", delivery_interval=QUARTER),
        call=Call(longest=None, most_hours_per_day=2.5),
    )
    bids = bids_of(event, park, make.schedule(park, HORIZON))
    assert {most_mw(bid.offer) for bid in bids} == {Decimal("0.4")}  # 1 MWh over 2.5 hours
    assert len(bids) == 96


def test_nothing_beyond_the_tested_capability_is_offered(make: Make) -> None:
    park = make.park([make.battery(capacity_kwh=20_000.0)])
    (unit,) = park.bidding_units
    tested = replace(park, bidding_units=(replace(unit, tested_kw=250.0),))
    schedule = make.schedule(tested, HORIZON, stored_kwh=10_000.0)
    bids = bids_of(capacity(make, Direction.UP), tested, schedule)
    assert {most_mw(bid.offer) for bid in bids} == {Decimal("0.2")}


# ---------------------------------------------------------------- forms


def test_prices_that_hold_for_the_day_are_the_same_in_every_interval(make: Make) -> None:
    park = make.park([make.battery(), make.battery("other", wear_cost_per_kwh=0.01)])
    product = replace(
        make.product(),
        form="price_bands",
        kind="energy_rt",
        direction=Direction.BOTH_SEPARATE,
        least_steps=10,
        most_steps=10,
        prices_per_day=True,
    )
    bids = bids_of(product, park, make.schedule(park, HORIZON, base_kw=-500))
    for side in Side:
        ladders = {tuple(p for _, p in b.offer.priced_mw) for b in bids if b.side is side}
        assert len(ladders) == (1 if side is Side.BUY else len(ladders))
        assert all(len(ladder) == len(set(ladder)) == 10 for ladder in ladders)


def test_a_demand_curve_has_the_segments_that_it_must_have(make: Make) -> None:
    park = make.park([make.battery(max_charge_kw=0, max_discharge_kw=0)])
    product = replace(
        make.product(), form="segments", least_steps=3, most_steps=10, only_bought=True
    )
    bids = bids_of(product, park, make.schedule(park, HORIZON, base_kw=-500))
    (offer,) = {bid.offer for bid in bids}
    assert isinstance(offer, forms.SegmentsOffer)
    assert [str(s.to_mw) for s in offer.segments] == ["0.2", "0.3", "0.5"]


def test_an_envelope_begins_with_what_is_drawn_whatever_the_price(make: Make) -> None:
    park = make.park([make.battery()])
    product = replace(make.product(), form="envelope", only_bought=True)
    bids = bids_of(
        product, park, make.schedule(park, HORIZON, base_kw=-2000, net_value=prices(70, 10))
    )
    by_quarter = {(b.interval.start - MIDNIGHT) // QUARTER: b.offer for b in bids}

    def limits(quarter: int) -> tuple[str, str]:
        offer = by_quarter[quarter]
        assert isinstance(offer, forms.EnvelopeOffer)
        return str(offer.lower_mw), str(offer.upper_mw)

    assert (limits(0), limits(10), limits(70)) == (("2.0", "2.0"), ("2.0", "3.0"), ("1.0", "2.0"))


def test_pairs_go_up_and_down_from_the_schedule(make: Make) -> None:
    park = make.park([make.battery()])
    product = replace(
        make.product(),
        form="bid_offer_pairs",
        kind="energy_bm",
        direction=Direction.BOTH_SEPARATE,
        most_steps=5,
    )
    bids = bids_of(product, park, make.schedule(park, HORIZON, base_kw=-2000))
    numbers = {
        b.side: b.offer.pairs[0].number
        for b in bids
        if isinstance(b.offer, forms.BidOfferPairsOffer)
    }
    assert numbers == {Side.SELL: 1, Side.BUY: -1}
    assert mwh(bids, Side.SELL) == mwh(bids, Side.BUY) == 1.0  # the load is not for sale


# ---------------------------------------------------------------- delivered on devices

SAMPLE = range(3)


@pytest.fixture(scope="module")
def cases() -> dict[int, Case]:
    return {seed: random_case(seed) for seed in SAMPLE}


@pytest.mark.parametrize("name", products())
def test_whatever_is_taken_of_a_form_is_delivered_on_simulated_devices(
    cases: dict[int, Case], name: str
) -> None:
    dice = np.random.default_rng(len(name))
    for case in cases.values():
        position = sold_before(case, dice) if "sold before" in name else Position()
        offer = offered(case, products()[name], position)
        for number in range(3):
            assert faults(offer, random_taken(offer, dice), dice) == []
            assert faults(offer, worst_taken(offer, number), None) == []


def test_what_is_beyond_an_offer_is_seen_not_to_be_delivered(cases: dict[int, Case]) -> None:
    offer = offered(cases[0], products()["curve_step"], Position())
    taken = worst_taken(offer, 2)  # all that is sold, and nothing bought that need not be
    assert faults(offer, taken, None) == []
    beyond = {key: kw + (100 if key[1] is Side.SELL else 0) for key, kw in taken.items()}
    assert faults(offer, beyond, None)
    greedy = [
        replace(one, up=tuple(replace(p, kw=3 * p.kw) for p in one.up)) for one in offer.freedoms
    ]
    tripled = {key: 3 * kw if key[1] is Side.SELL else kw for key, kw in taken.items()}
    assert faults(replace(offer, freedoms=tuple(greedy)), tripled, None)
