"""What is to be traded again, by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval
from vpp.trade.delta import DeltaLine, DeltaPoint, delta_curve

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)


def a_line(
    planned: str, owed: str, *, before: str | None = "2", value: str | None = "61.5"
) -> DeltaLine:
    point = DeltaPoint(
        interval=Interval(NOON, NOON + QUARTER),
        before_mw=None if before is None else Decimal(before),
        planned_mw=Decimal(planned),
        owed_mw=Decimal(owed),
        value_per_mwh=None if value is None else Decimal(value),
    )
    return delta_curve([point], Decimal("0.1"))[0]


def test_what_is_planned_beyond_what_is_sold_is_sold_at_the_marginal_of_the_plan() -> None:
    line = a_line("2.5", "2")
    assert (line.delta_mw, line.side, line.price_per_mwh) == (
        Decimal("0.5"), Side.SELL, Decimal("61.5")
    )  # fmt: skip
    assert line.moved_mw == Decimal("0.5")


def test_what_is_sold_beyond_the_plan_is_bought_back_whole() -> None:
    line = a_line("0.75", "2")
    assert (line.delta_mw, line.side) == (Decimal("-1.25"), Side.BUY)


def test_within_the_dead_band_nothing_is_traded_and_just_beyond_it_everything() -> None:
    assert a_line("2.1", "2").side is None
    assert a_line("2.1", "2").price_per_mwh is None
    assert a_line("1.9", "2").delta_mw == 0
    assert a_line("2.11", "2").delta_mw == Decimal("0.11")


def test_without_an_older_plan_or_marginals_the_quantity_is_told_alone() -> None:
    line = a_line("3", "2", before=None, value=None)
    assert (line.delta_mw, line.moved_mw, line.price_per_mwh) == (Decimal(1), None, None)
