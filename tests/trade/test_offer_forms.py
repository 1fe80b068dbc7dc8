"""Every form of an offer: what makes it valid, its message, and what an award may take of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.model import offer as forms
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid, BidSet, Cleared, Side
from vpp.model.offer import Offer, most_mw, offered_mw
from vpp.model.time import QUARTER, Interval
from vpp.trade.awards import QuarantineReason, fits, overreach, tied
from vpp.trade.offerforms import offer_from_wire, offer_to_wire
from vpp.trade.records import (
    bid_set_from_record,
    bid_set_to_bytes,
    bid_set_to_record,
    to_bytes,
)
from vpp.wire import BidSetResponse, WireOffer

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
FIRST = Interval(NOON, NOON + QUARTER)
SECOND = Interval(NOON + QUARTER, NOON + 2 * QUARTER)
D = Decimal


def steps(*pairs: tuple[str, str]) -> forms.StepCurveOffer:
    return forms.StepCurveOffer(
        steps=tuple(forms.CurveStep(quantity_mw=D(mw), price_per_mwh=D(at)) for mw, at in pairs)
    )


def line(*points: tuple[str, str]) -> forms.LinearCurveOffer:
    return forms.LinearCurveOffer(
        points=tuple(forms.CurvePoint(price_per_mwh=D(at), quantity_mw=D(mw)) for at, mw in points)
    )


def stack(*segments: tuple[str, str, str]) -> tuple[forms.Segment, ...]:
    return tuple(
        forms.Segment(from_mw=D(low), to_mw=D(high), price_per_mwh=D(at))
        for low, high, at in segments
    )


def bands(*pairs: tuple[str, str], **more: Any) -> forms.PriceBandsOffer:
    return forms.PriceBandsOffer(
        bands=tuple(forms.PriceBand(quantity_mw=D(mw), price_per_mwh=D(at)) for mw, at in pairs),
        **more,
    )


def pair(number: int, mw: str, at: str, undo: str) -> forms.PricePair:
    return forms.PricePair(
        number=number, quantity_mw=D(mw), price_per_mwh=D(at), undo_price_per_mwh=D(undo)
    )


def block(*mw: str, at: str = "50", **more: Any) -> forms.BlockOffer:
    spans = (FIRST, SECOND)[: len(mw)]
    return forms.BlockOffer(
        parts=tuple(
            forms.BlockPart(interval=span, quantity_mw=D(one))
            for span, one in zip(spans, mw, strict=True)
        ),
        price_per_mwh=D(at),
        **more,
    )


TRAPEZIUM = forms.Trapezium(
    enablement_min_mw=D(2),
    low_breakpoint_mw=D(4),
    high_breakpoint_mw=D(8),
    enablement_max_mw=D(10),
    max_available_mw=D(3),
)
RESERVE = forms.PriceBandsOffer(
    bands=(forms.PriceBand(quantity_mw=D(3), capacity_price_per_mw_h=D("5.50")),),
    trapezium=TRAPEZIUM,
)
EVERY: dict[str, Offer] = {
    "curve_step": steps(("1.0", "40"), ("0.5", "60")),
    "curve_linear": line(("40", "0.0"), ("60", "1.0")),
    "segments": forms.SegmentsOffer(segments=stack(("0", "1", "40"), ("1", "1.5", "60"))),
    "envelope": forms.EnvelopeOffer(lower_mw=D(2), upper_mw=D(3), segments=stack(("2", "3", "40"))),
    "price_bands": bands(("0", "-1000"), ("3", "50"), ("0", "20300")),
    "price_bands of reserve": RESERVE,
    "single": forms.SingleOffer(
        quantity_mw=D(1), capacity_price_per_mw_h=D("7.25"), price_per_mwh=D(90)
    ),
    "single, all or none": forms.SingleOffer(
        quantity_mw=D(1), min_share=D(1), mileage_price_per_mw=D(8)
    ),
    "bid_offer_pairs": forms.BidOfferPairsOffer(
        pairs=(pair(1, "1", "60", "50"), pair(2, "2", "80", "70"))
    ),
    "block": block("1", "2", exclusive_group="evening", linked_to="da/unit/20251203T1000Z/buy/1"),
    "self_schedule": forms.SelfScheduleOffer(quantity_mw=D(1)),
    "quantity_only": forms.QuantityOnlyOffer(quantity_mw=D("0.3")),
}


def a_bid(offer: Offer, side: Side = Side.SELL, span: Interval = FIRST) -> Bid:
    if isinstance(offer, forms.BlockOffer):
        span = Interval(offer.parts[0].interval.start, offer.parts[-1].interval.end)
    name = f"da/unit/{span.start:%Y%m%dT%H%MZ}/{side}/1"
    return Bid(bid_id=name, interval=span, side=side, offer=offer)


def a_set(*bids: Bid) -> BidSet:
    return BidSet(
        bid_set_id="bs",
        request_id="r",
        product_id=ProductId("da"),
        unit_id=UnitId("unit"),
        delivery=Interval(NOON, NOON + 2 * QUARTER),
        revision=1,
        issued_at=NOON - timedelta(hours=1),
        valid_until=NOON - QUARTER,
        plan_id="p",
        strategy_version="s",
        pack_digest="d",
        bids=bids,
    )


def took(mw: str, at: str = "100", span: Interval = FIRST) -> Cleared:
    return Cleared(bid_id="b", interval=span, quantity_mw=D(mw), price_per_mwh=D(at))


# ---------------------------------------------------------------- valid once it exists


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: steps(), id="no step"),
        pytest.param(lambda: steps(("0", "40")), id="a step of 0 MW"),
        pytest.param(lambda: steps(("NaN", "40")), id="a step of NaN"),
        pytest.param(lambda: line(("40", "1")), id="one point"),
        pytest.param(lambda: line(("40", "1"), ("60", "0.5")), id="less at a better price"),
        pytest.param(lambda: line(("40", "0"), ("60", "0")), id="a line of nothing"),
        pytest.param(lambda: forms.SegmentsOffer(segments=()), id="no segment"),
        pytest.param(
            lambda: forms.SegmentsOffer(segments=stack(("0", "1", "4"), ("2", "3", "5"))),
            id="a gap",
        ),
        pytest.param(
            lambda: forms.SegmentsOffer(segments=stack(("1", "2", "4"))), id="from above 0 MW"
        ),
        pytest.param(
            lambda: forms.EnvelopeOffer(
                lower_mw=D(2), upper_mw=D(4), segments=stack(("2", "3", "4"))
            ),
            id="segments end below the upper limit",
        ),
        pytest.param(
            lambda: forms.EnvelopeOffer(lower_mw=D(-1), upper_mw=D(4), segments=()),
            id="a lower limit below 0",
        ),
        pytest.param(lambda: bands(("0", "40")), id="bands of nothing"),
        pytest.param(lambda: bands(("-1", "40"), ("2", "50")), id="a band below 0"),
        pytest.param(lambda: forms.PriceBand(quantity_mw=D(1)), id="a band without a price"),
        pytest.param(lambda: replace(TRAPEZIUM, low_breakpoint_mw=D(9)), id="corners that fall"),
        pytest.param(lambda: forms.SingleOffer(quantity_mw=D(1)), id="no price"),
        pytest.param(
            lambda: forms.SingleOffer(
                quantity_mw=D(1), mileage_price_per_mw=D(1), call_price_per_mw=D(1)
            ),
            id="cleared by two prices",
        ),
        pytest.param(
            lambda: forms.SingleOffer(quantity_mw=D(1), price_per_mwh=D(1), min_share=D("1.1")),
            id="more than all of it at least",
        ),
        pytest.param(
            lambda: forms.BidOfferPairsOffer(pairs=(pair(2, "1", "60", "50"),)), id="no pair 1"
        ),
        pytest.param(
            lambda: forms.BidOfferPairsOffer(pairs=(pair(1, "1", "60", "61"),)),
            id="undoing earns more than doing costs",
        ),
        pytest.param(lambda: block(), id="a block of nothing"),
        pytest.param(
            lambda: forms.BlockOffer(parts=block("1", "1").parts[::-1], price_per_mwh=D(1)),
            id="parts out of order",
        ),
        pytest.param(lambda: block("1", min_share=D(-1)), id="a share below 0"),
        pytest.param(lambda: forms.SelfScheduleOffer(quantity_mw=D(0)), id="a schedule of nothing"),
        pytest.param(lambda: forms.QuantityOnlyOffer(quantity_mw=D("Infinity")), id="without end"),
    ],
)
def test_an_offer_that_breaks_a_rule_of_its_form_does_not_come_to_be(
    make: Callable[[], object],
) -> None:
    with pytest.raises(DataError):
        make()


@pytest.mark.parametrize("name", [n for n in EVERY if n not in ("self_schedule", "quantity_only")])
def test_a_price_that_is_no_number_is_in_no_bid(name: str) -> None:
    def spoil(value: Any) -> Any:
        for field in ("steps", "points", "segments", "bands", "pairs"):
            if hasattr(value, field):
                first, *rest = getattr(value, field)
                return replace(value, **{field: (spoil(first), *rest)})
        for field in forms.PriceUnit:
            if getattr(value, field, None) is not None:
                return replace(value, **{str(field): D("NaN")})
        raise AssertionError(value)

    with pytest.raises(DataError):
        a_bid(spoil(EVERY[name]))


@pytest.mark.parametrize("name", ["curve_step", "curve_linear", "segments", "price_bands"])
def test_a_buyers_prices_fall_and_a_sellers_rise(name: str) -> None:
    a_bid(EVERY[name])
    with pytest.raises(DataError, match="order"):
        a_bid(EVERY[name], Side.BUY)


def test_pairs_upwards_are_sold_and_pairs_downwards_bought() -> None:
    down = forms.BidOfferPairsOffer(pairs=(pair(-1, "1", "40", "45"), pair(-2, "1", "30", "45")))
    a_bid(down, Side.BUY)
    with pytest.raises(DataError, match="other side"):
        a_bid(forms.BidOfferPairsOffer(pairs=(pair(-1, "1", "40", "45"),)))


def test_prices_of_bands_hold_for_the_whole_delivery() -> None:
    one = a_bid(bands(("1", "40"), ("1", "60")))
    a_set(one, a_bid(bands(("0", "40"), ("2", "60")), span=SECOND))
    with pytest.raises(DataError, match="interval before"):
        a_set(one, a_bid(bands(("1", "41"), ("1", "60")), span=SECOND))


def test_a_bid_of_a_block_is_for_its_whole_span() -> None:
    bid = a_bid(block("1", "2"))
    assert (bid.interval.end, bid.most_mwh) == (SECOND.end, D("0.75"))
    with pytest.raises(DataError, match="span"):
        replace(bid, interval=FIRST)


# ---------------------------------------------------------------- as a message


@pytest.mark.parametrize("name", EVERY)
def test_each_form_comes_back_from_its_record_with_the_very_bytes(name: str) -> None:
    bid_set = a_set(a_bid(EVERY[name]))
    response = bid_set_to_bytes(bid_set, "open")
    again, kept, *_ = bid_set_from_record(bid_set_to_record(response, "sha"))
    assert (again, kept) == (bid_set, response)
    assert to_bytes(BidSetResponse.model_validate_json(response)) == response
    assert f'"form":"{name.split(" ")[0].rstrip(",")}"'.encode() in response
    assert b"null" not in response


# ---------------------------------------------------------------- what an award may take


@pytest.mark.parametrize(
    ("name", "at", "mw"),
    [
        ("curve_step", "39.99", "0"),
        ("curve_step", "40", "1.0"),
        ("curve_step", "60", "1.5"),
        ("curve_linear", "40", "0"),
        ("curve_linear", "50", "0.5"),
        ("curve_linear", "51", "0.6"),  # 0.55, in the digits of the points
        ("curve_linear", "4000", "1.0"),
        ("segments", "50", "1"),
        ("envelope", "-500", "2"),
        ("envelope", "40", "3"),
        ("price_bands", "50", "3"),
        ("single", "7.25", "1"),
        ("bid_offer_pairs", "79", "1"),
        ("self_schedule", "-500", "1"),
        ("quantity_only", "0", "0.3"),
    ],
)
def test_what_a_price_takes_of_each_form(name: str, at: str, mw: str) -> None:
    assert offered_mw(EVERY[name], D(at), 1) == D(mw)


@pytest.mark.parametrize("name", [n for n in EVERY if n != "block"])
def test_all_may_be_taken_at_a_good_price_and_not_a_kilowatt_more(name: str) -> None:
    bid = a_bid(EVERY[name])
    most = str(most_mw(bid.offer))
    assert overreach(bid, [took(most, "30000")]) is None
    above = [took(most, "30000"), took("0.001", "30000")]
    assert overreach(bid, above) is QuarantineReason.ABOVE_BID


def test_a_line_is_taken_no_further_than_the_price_reaches() -> None:
    bid = a_bid(EVERY["curve_linear"])
    assert overreach(bid, [took("0.5", "50")]) is None
    assert overreach(bid, [took("0.6", "50")]) is QuarantineReason.PRICE_WORSE_THAN_LIMIT


def test_a_part_below_the_least_share_is_no_award() -> None:
    bid = a_bid(forms.SingleOffer(quantity_mw=D(2), min_share=D("0.5"), price_per_mwh=D(40)))
    assert overreach(bid, [took("1", "40")]) is None
    assert overreach(bid, [took("0.9", "40")]) is QuarantineReason.BELOW_LEAST_SHARE


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        pytest.param([took("1"), took("2", span=SECOND)], None, id="all"),
        pytest.param([], None, id="nothing"),
        pytest.param([took("0.5"), took("1", span=SECOND)], None, id="half of each part"),
        pytest.param([took("1")], QuarantineReason.UNEVEN_BLOCK, id="one part alone"),
        pytest.param(
            [took("0.4"), took("0.8", span=SECOND)],
            QuarantineReason.BELOW_LEAST_SHARE,
            id="too little",
        ),
        pytest.param(
            [took("1.1"), took("2.2", span=SECOND)], QuarantineReason.ABOVE_BID, id="too much"
        ),
        pytest.param(
            [took("1", "49"), took("2", "51", SECOND)],
            QuarantineReason.PRICE_WORSE_THAN_LIMIT,
            id="too cheap",
        ),
    ],
)
def test_a_block_is_taken_by_one_share_or_not_at_all(
    lines: list[Cleared], reason: QuarantineReason | None
) -> None:
    assert overreach(a_bid(block("1", "2", min_share=D("0.5"))), lines) is reason


def test_an_award_speaks_of_the_parts_of_a_block_and_of_the_interval_of_any_other_bid() -> None:
    bid = a_bid(block("1", "2"))
    single = a_bid(EVERY["single"])
    assert [fits(bid, SECOND), fits(bid, bid.interval)] == [True, False]
    assert [fits(single, FIRST), fits(single, SECOND)] == [True, False]


def test_one_block_of_an_exclusive_group_is_taken_and_a_linked_one_after_its_parent() -> None:
    early = a_bid(block("2", exclusive_group="g", min_share=D(0)))
    late = a_bid(
        forms.BlockOffer(
            parts=(forms.BlockPart(interval=SECOND, quantity_mw=D(2)),),
            price_per_mwh=D(50),
            min_share=D(0),
            exclusive_group="g",
            linked_to=early.bid_id,
        )
    )
    both = (early, late)
    half, rest = took("1"), took("1", span=SECOND)
    assert tied(both, {early.bid_id: [half], late.bid_id: [rest]}) is None
    more = took("1.2", span=SECOND)
    assert tied(both, {early.bid_id: [half], late.bid_id: [more]}) == late.bid_id
    assert tied(both, {late.bid_id: [rest]}) == late.bid_id  # linked to what was not taken


# ---------------------------------------------------------------- as the docs show them


def test_the_docs_show_an_example_of_each_form_that_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "offers.md").read_text()
    shown = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    wire: TypeAdapter[WireOffer] = TypeAdapter(WireOffer)
    read = [offer_from_wire(wire.validate_python(one)) for one in shown]
    assert [offer.form for offer in read] == [one["form"] for one in shown]
    assert {offer.form for offer in read} == {form.form for form in EVERY.values()}
    for offer, one in zip(read, shown, strict=True):
        again = json.loads(offer_to_wire(offer).model_dump_json())
        assert again == one
