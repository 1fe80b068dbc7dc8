"""Contracts, outside trades and the net position: round numbers, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from vpp.errors import ConflictError, DataError
from vpp.model.activation import Activation
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Direction, MarketProduct, Side
from vpp.model.outside import CONTRACTS, Obligation, OutsideTrade
from vpp.model.time import QUARTER, Interval
from vpp.trade.book import BidBook
from vpp.trade.netposition import NetLine, held_mw, net_position
from vpp.trade.outside import changed_from
from vpp.trade.outsiderecords import outside_from_record, outside_to_record

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNIT = UnitId("unit")


def a_trade(
    mw: str,
    *,
    name: str = "t",
    revision: int = 1,
    product: ProductId = CONTRACTS,
    at: datetime = NOON,
    length: timedelta = HOUR,
    reference: str | None = None,
    price: str = "40",
) -> OutsideTrade:
    """Sold above 0, bought below; financial where it has a reference."""
    return OutsideTrade(
        trade_id=name,
        revision=revision,
        name="mlt-2026",
        product_id=product,
        unit_id=UNIT,
        interval=Interval(at, at + length),
        side=Side.SELL if Decimal(mw) >= 0 else Side.BUY,
        quantity_mw=abs(Decimal(mw)),
        price_per_mwh=Decimal(price),
        obligation=Obligation.PHYSICAL if reference is None else Obligation.FINANCIAL,
        reference_series_id=reference,
        counterparty="a trader",
        reason="a deal by telephone",
        by="Ada",
        received_at=NOON - HOUR,
    )


def told(*numbers: Decimal | None) -> list[float]:
    return [float(number) for number in numbers if number is not None]


def lines(book: BidBook, products: dict[ProductId, MarketProduct], planned: str) -> list[NetLine]:
    """The hour from noon on, each quarter planned alike and metered at 1 MW."""
    return list(
        net_position(
            Interval(NOON, NOON + HOUR).split(QUARTER),
            book.position(),
            book.outside,
            products,
            planned_mw=lambda interval: Decimal(planned),
            metered_mw=lambda interval: Decimal(1),
        )
    )


def test_what_is_owed_is_contracts_markets_and_calls_and_the_rest_of_the_plan_is_open(
    a_product: Callable[..., MarketProduct],
) -> None:
    da, qh = a_product(), a_product("energy_id")
    book = BidBook()
    book.trade_outside(a_trade("2"))
    book.trade_outside(a_trade("1", name="portal", product=da.product_id, length=QUARTER))
    book.trade_outside(a_trade("-0.5", name="late", product=qh.product_id, length=2 * QUARTER))
    book.trade_outside(a_trade("7", name="cfd", reference="price.da"))
    book.activate(
        Activation(
            activation_id="call", revision=1, product_id=da.product_id, unit_id=UNIT,
            interval=Interval(NOON, NOON + QUARTER), side=Side.SELL, quantity_mw=Decimal("0.25"),
            source="grid", received_at=NOON, baseline_kw=None,
        )
    )  # fmt: skip

    first, second, third, _ = lines(book, {p.product_id: p for p in (da, qh)}, planned="3")

    assert told(first.contracts_mw, first.day_ahead_mw, first.intraday_mw) == [2, 1, -0.5]
    assert told(first.activated_mw, first.financial_mw, first.metered_mw) == [0.25, 7, 1]
    assert told(first.owed_mw, first.open_mw) == [2.75, 0.25]
    assert told(second.owed_mw, second.open_mw) == [1.5, 1.5]
    assert told(third.owed_mw, third.open_mw) == [2, 1]


def test_a_contract_is_owed_beside_the_products_whichever_are_asked_for(
    a_product: Callable[..., MarketProduct],
) -> None:
    book = BidBook()
    book.trade_outside(a_trade("2"))
    horizon = Horizon(NOON - QUARTER, QUARTER, 3)

    assert book.position(UNIT).committed_kw(horizon, {CONTRACTS}).tolist() == [0, 2000, 2000]
    assert book.position(UNIT).committed_kw(horizon, {ProductId("da")}).tolist() == [0, 0, 0]
    assert book.position(UnitId("other")).committed_kw(horizon).tolist() == [0, 0, 0]


def test_reserve_is_told_as_a_size_in_the_direction_in_which_it_is_held() -> None:
    up, down, both, net = Direction.UP, Direction.DOWN, Direction.SYMMETRIC, Direction.BOTH_SEPARATE
    one = Decimal(1)

    assert told(*held_mw(up, one)) == [1, 0]
    assert told(*held_mw(down, one)) == [0, 1]
    assert told(*held_mw(both, one)) == [1, 1]
    assert told(*held_mw(net, one)) == [1, 0]
    assert told(*held_mw(net, -one)) == [0, 1]


def test_reserve_is_held_and_not_owed_and_a_lost_product_is_told_and_not_owed(
    a_product: Callable[..., MarketProduct],
) -> None:
    reserve = replace(
        a_product(),
        product_id=ProductId("fcr"),
        kind="reserve_capacity",
        direction=Direction.SYMMETRIC,
    )
    book = BidBook()
    book.trade_outside(a_trade("2", product=reserve.product_id))
    book.trade_outside(a_trade("5", name="gone", product=ProductId("gone")))

    line = lines(book, {reserve.product_id: reserve}, planned="0")[0]

    assert told(line.reserve_up_mw, line.reserve_down_mw, line.unlisted_mw) == [2, 2, 5]
    assert line.owed_mw == 0


def test_a_higher_revision_takes_the_place_of_a_lower_one_however_they_come() -> None:
    book = BidBook()
    horizon = Horizon(NOON, QUARTER, 1)
    book.trade_outside(a_trade("3", revision=3))
    book.trade_outside(a_trade("2", revision=2))
    assert book.position().committed_kw(horizon).tolist() == [3000]
    book.trade_outside(a_trade("0", revision=4))
    assert book.position().committed_kw(horizon).tolist() == [0]
    with pytest.raises(ConflictError, match="other content"):
        book.trade_outside(a_trade("9", revision=4))


def test_a_month_is_told_day_by_day_and_owed_in_each_quarter_hour() -> None:
    book = BidBook()
    book.trade_outside(a_trade("2", length=timedelta(days=30)))
    last = Interval(NOON + timedelta(days=30) - QUARTER, NOON + timedelta(days=30))

    assert book.position().sold_mw(CONTRACTS, last) == 2
    assert len(book.position().trades(last)) == 1
    assert book.position().trades(Interval(last.end, last.end + QUARTER)) == ()


def test_swaps_are_found_in_their_interval_by_their_unit_and_are_owed_to_nobody() -> None:
    book = BidBook()
    book.trade_outside(a_trade("2", name="a", reference="price.da", length=timedelta(days=3)))
    book.trade_outside(a_trade("-1", name="b", reference="price.da", at=NOON + HOUR))
    late = Interval(NOON + HOUR, NOON + HOUR + QUARTER)

    found = book.outside.swaps(late)
    assert {one.trade_id: float(mw) for one, mw in found} == {"a": 2, "b": -1}
    assert book.outside.swaps(late, UnitId("other")) == ()
    assert book.outside.swaps(Interval(NOON - QUARTER, NOON)) == ()
    assert book.position().trades(late) == ()
    book.trade_outside(a_trade("0", name="b", revision=2, reference="price.da", at=NOON + HOUR))
    assert [mw for _, mw in book.outside.swaps(late)] == [2]


def test_a_trade_is_a_size_and_has_a_reference_where_it_moves_money_only() -> None:
    with pytest.raises(DataError, match="quantity_mw is -1"):
        replace(a_trade("1"), quantity_mw=Decimal(-1))
    with pytest.raises(DataError, match="financial with reference None"):
        replace(a_trade("1"), obligation=Obligation.FINANCIAL)


def test_a_trade_is_the_same_after_it_was_written_and_read() -> None:
    trade = a_trade("-1.25", reference="price.da", price="-0.01")
    assert outside_from_record("t/1", outside_to_record(trade), NOON - HOUR) == trade


def test_a_curve_that_goes_on_differs_by_what_was_added_alone() -> None:
    march = a_trade("1", length=1440 * HOUR)
    longer = a_trade("1", length=1464 * HOUR)
    added = Interval(march.interval.end, longer.interval.end)

    assert changed_from([march], [longer]) == changed_from([longer], [march]) == added
    assert changed_from([march], [march]) is None
    dearer = a_trade("1", at=NOON + HOUR, price="41")
    parts = [a_trade("1"), dearer, a_trade("1", at=NOON + 2 * HOUR, length=1438 * HOUR)]
    assert changed_from([march], parts) == dearer.interval
