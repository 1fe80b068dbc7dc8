"""Every market file that is shipped: what a large battery beside a load is offered as, and that it may leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.trade.conftest import battery, park, schedule
from vpp.model.horizon import Horizon
from vpp.model.ids import ResourceId
from vpp.model.market import BidSet, Binding, Side
from vpp.model.offer import EnvelopeOffer, PriceBandsOffer, SelfScheduleOffer, SingleOffer
from vpp.model.park import Park
from vpp.model.time import QUARTER, latest_boundary
from vpp.service.markets.pack import Pack, shipped_packs
from vpp.trade.limits import check_bid_set
from vpp.trade.offering import offer_for
from vpp.trade.position import Position

PACKS = {str(pack.product_id): pack for pack in shipped_packs()}
NOW = datetime(2026, 1, 12, tzinfo=UTC)


def a_park(pack: Pack) -> Park:
    """100 MW and 2 GWh beside 30 MW of load: enough for the least that any product asks for."""
    large = battery(capacity_kwh=2_000_000.0, max_charge_kw=100_000.0, max_discharge_kw=100_000.0)
    made = park([large, replace(large, resource_id=ResourceId("other"))], declared_kw=200_000)
    (unit,) = made.bidding_units
    return replace(made, bidding_units=(replace(unit, product_ids=(pack.product_id,)),))


def offered(pack: Pack) -> BidSet:
    product = pack.product()
    assert product is not None
    made = a_park(pack)
    (unit,) = made.bidding_units
    delivery = product.delivery_at(NOW + timedelta(days=2))
    start = latest_boundary(delivery.start, QUARTER)
    plan = schedule(
        made,
        Horizon(start, QUARTER, (delivery.end - start) // QUARTER + 4),
        base_kw=-30_000.0,
        stored_kwh=1_000_000.0,
    )
    bids = offer_for(
        product, unit, delivery, plan, Position(), made, Binding(product_id=pack.product_id),
        {product.product_id: product}, revision=1,
    )  # fmt: skip
    gate = product.gate_closes_at(delivery)
    bid_set = BidSet(
        bid_set_id="s",
        request_id="r",
        product_id=product.product_id,
        unit_id=unit.unit_id,
        delivery=delivery,
        revision=1,
        issued_at=gate - timedelta(minutes=1),
        valid_until=gate,
        plan_id="p",
        strategy_version="v",
        pack_digest=pack.digest,
        bids=bids,
    )
    assert check_bid_set(bid_set, product, unit, made) == ()
    return bid_set


@pytest.mark.parametrize("name", PACKS)
def test_each_shipped_product_gets_an_offer_that_passes_the_last_look(name: str) -> None:
    bid_set = offered(PACKS[name])
    assert bid_set.bids
    assert {bid.offer.form for bid in bid_set.bids} == {PACKS[name].form}


def test_a_self_schedule_passes_the_last_look_too() -> None:
    pack = PACKS["eu.sdac.de.da15"]
    offer = pack.section.offer.model_copy(
        update={"form": "self_schedule", "price": None, "segments": None}
    )
    bid_set = offered(replace(pack, section=pack.section.model_copy(update={"offer": offer})))
    assert [bid.offer for bid in bid_set.bids] == [
        SelfScheduleOffer(quantity_mw=Decimal("30.0"))
    ] * 96
    assert {bid.side for bid in bid_set.bids} == {Side.BUY}


def test_a_load_in_guangdong_bids_its_demand_between_two_limits_each_hour() -> None:
    bids = offered(PACKS["cn.gd.spot.da.load_vpp"]).bids
    assert (len(bids), {bid.side for bid in bids}) == (24, {Side.BUY})
    for bid in bids:
        assert isinstance(bid.offer, EnvelopeOffer)
        assert bid.offer.lower_mw < bid.offer.upper_mw or bid.offer.lower_mw == 30


def test_reserve_in_germany_is_one_quantity_a_block_with_the_price_of_its_energy() -> None:
    bids = offered(PACKS["de.afrr.capacity.pos"]).bids
    assert len(bids) <= 6
    for bid in bids:
        assert isinstance(bid.offer, SingleOffer)
        assert bid.offer.capacity_price_per_mw_h == 0
        assert bid.offer.price_per_mwh == Decimal("50.00")  # what its energy is worth in the store
    assert {
        b.offer.min_share
        for b in offered(PACKS["de.mfrr.energy.pos"]).bids
        if isinstance(b.offer, SingleOffer)
    } == {1}


def test_bands_of_reserve_come_with_the_trapezium_of_the_unit() -> None:
    bid = offered(PACKS["au.nem.fcas.raise6s"]).bids[0]
    assert isinstance(bid.offer, PriceBandsOffer)
    shape = bid.offer.trapezium
    assert shape is not None
    assert [shape.enablement_min_mw, shape.enablement_max_mw] == [-200, 200]
    assert shape.enablement_max_mw - shape.high_breakpoint_mw == shape.max_available_mw > 0
    assert bid.offer.bands[0].capacity_price_per_mw_h is not None
