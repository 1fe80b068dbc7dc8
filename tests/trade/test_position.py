from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval
from vpp.trade.position import Position, Trade

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DA, QH = ProductId("da"), ProductId("qh")


def a_trade(
    mw: str, *, product: ProductId = DA, at: datetime = NOON, length: timedelta = QUARTER
) -> Trade:
    """Sold above 0, bought below, at 40 a MWh."""
    return Trade(
        award_id="a",
        bid_id=f"{product}/{at}",
        product_id=product,
        unit_id=UnitId("unit"),
        interval=Interval(at, at + length),
        side=Side.SELL if Decimal(mw) > 0 else Side.BUY,
        quantity_mw=abs(Decimal(mw)),
        price_per_mwh=Decimal(40),
        quarantined=False,
    )


def test_sold_less_bought_by_product_and_interval() -> None:
    position = Position(
        [a_trade("2.5"), a_trade("-0.7", product=QH), a_trade("0.3", product=QH, at=NOON + HOUR)]
    )
    noon = Interval(NOON, NOON + QUARTER)

    assert position.sold_mw(DA, noon) == Decimal("2.5")
    assert position.sold_mw(QH, noon) == Decimal("-0.7")
    assert position.trades(noon) == (
        (DA, Decimal("2.5"), Decimal(40)),
        (QH, Decimal("-0.7"), Decimal(40)),
    )
    assert position.trades(Interval(NOON - QUARTER, NOON)) == ()


def test_commitments_in_kw_on_a_horizon() -> None:
    position = Position([a_trade("2.5"), a_trade("-0.7", product=QH), a_trade("9", at=NOON - HOUR)])
    horizon = Horizon(NOON - QUARTER, QUARTER, 3)

    assert position.committed_kw(horizon).tolist() == [0, 1800, 0]
    assert position.committed_kw(horizon, [DA]).tolist() == [0, 2500, 0]
    assert position.committed_kw(horizon, []).tolist() == [0, 0, 0]


def test_an_hour_sold_holds_in_each_of_its_quarters() -> None:
    position = Position([a_trade("1", length=HOUR)])
    late = Horizon(NOON + 2 * QUARTER, QUARTER, 4)

    assert position.committed_kw(late).tolist() == [1000, 1000, 0, 0]
    assert position.sold_mw(DA, Interval(NOON + QUARTER, NOON + 2 * QUARTER)) == 1


def test_a_quarter_sold_is_a_quarter_of_its_hour() -> None:
    position = Position([a_trade("1", at=NOON + QUARTER)])

    assert position.committed_kw(Horizon(NOON, HOUR, 1)).tolist() == [250]
    assert position.sold_mw(DA, Interval(NOON, NOON + HOUR)) == Decimal("0.25")


def test_a_position_that_grew_award_by_award_is_the_one_built_at_once() -> None:
    trades = [
        a_trade("2.5", at=NOON + HOUR),
        a_trade("-0.7", product=QH, at=NOON, length=HOUR),
        a_trade("0.3", product=QH, at=NOON + HOUR),
        a_trade("0.1", at=NOON),
    ]
    at_once, grown = Position(trades), Position()
    for trade in trades:
        grown = grown.with_more([trade])
    day = Horizon(NOON - HOUR, QUARTER, 16)

    for interval in day.intervals():
        assert grown.trades(interval) == at_once.trades(interval)
    assert (grown.committed_kw(day) == at_once.committed_kw(day)).all()
