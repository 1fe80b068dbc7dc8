"""Two settlements and an imbalance in one sum; gaps filled by a dated rule and mended later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.account.settlement import (
    GapRule,
    SettledPrice,
    claw_back_lines,
    corrections,
    gap_rule_on,
    settle_interval,
)
from vpp.errors import DataError
from vpp.model.market import ClawBack
from vpp.model.settlement import LineKind, SettlementLine
from vpp.model.time import QUARTER, Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
FIRST = Interval(NOON, NOON + QUARTER)
CENT = Decimal("0.01")


def settle(
    *,
    sold: list[tuple[LineKind, str, str]],
    metered_net_wh: int,
    short: str = "110",
    long: str = "30",
    interval: Interval = FIRST,
    gap: bool = False,
) -> tuple[SettlementLine, ...]:
    return settle_interval(
        interval,
        [(kind, Decimal(mw), Decimal(price)) for kind, mw, price in sold],
        metered_net_wh,
        Decimal(short),
        Decimal(long),
        CENT,
        gap=gap,
    )


def total(lines: tuple[SettlementLine, ...]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


def test_golden_6_a_buyer_with_two_settlements_pays_40_500() -> None:
    hour = Interval(NOON, NOON + timedelta(hours=1))

    lines = settle(
        sold=[(LineKind.DAY_AHEAD, "-100", "400"), (LineKind.QUARTER_HOUR, "-10", "350")],
        metered_net_wh=-105_000_000,
        short="600",
        long="600",
        interval=hour,
    )

    assert [line.amount for line in lines] == [-40_000, -3_500, 3_000]
    assert total(lines) == -40_500


@pytest.mark.parametrize(
    ("sold_mwh", "metered_mwh", "day_ahead", "real_time", "amount"),
    [
        pytest.param("-130", -100, "300", "500", "-2000", id="golden 7: bought too much, then dearer"),
        pytest.param("-120", -100, "300", "500", None, id="at the upper edge of the band"),
        pytest.param("-130", -100, "500", "300", None, id="bought too much, then cheaper: a loss stays"),
        pytest.param("-70", -100, "500", "300", "-2000", id="bought too little, then cheaper"),
        pytest.param("-80", -100, "500", "300", None, id="at the lower edge of the band"),
        pytest.param("-70", -100, "300", "500", None, id="bought too little, then dearer: a loss stays"),
        pytest.param("-10", 20, "300", "500", "-2000", id="bought, and fed instead"),
        pytest.param("0", 20, "500", "300", None, id="fed what was not sold: no user's gain"),
    ],
)  # fmt: skip
def test_a_declaration_that_lay_off_loses_its_gain_beyond_the_band(
    sold_mwh: str, metered_mwh: int, day_ahead: str, real_time: str, amount: str | None
) -> None:
    lines = claw_back_lines(
        FIRST,
        Decimal(sold_mwh),
        metered_mwh * 1_000_000,
        Decimal(day_ahead),
        Decimal(real_time),
        ClawBack(band=Decimal("0.2"), k=Decimal(1)),
        CENT,
        gap=True,
    )

    assert [line.amount for line in lines] == ([] if amount is None else [Decimal(amount)])
    assert all(line.kind is LineKind.DEVIATION and line.provisional for line in lines)


def test_the_example_of_the_module() -> None:
    lines = settle(
        sold=[(LineKind.DAY_AHEAD, "2", "80"), (LineKind.QUARTER_HOUR, "-0.5", "95")],
        metered_net_wh=300_000,
    )

    assert [(line.kind, line.energy_mwh, line.amount) for line in lines] == [
        (LineKind.DAY_AHEAD, Decimal("0.5"), Decimal("40.00")),
        (LineKind.QUARTER_HOUR, Decimal("-0.125"), Decimal("-11.88")),
        (LineKind.IMBALANCE, Decimal("-0.075"), Decimal("-8.25")),
    ]


@pytest.mark.parametrize(
    ("metered_net_wh", "amounts"),
    [
        pytest.param(250_000, [20], id="as sold: no imbalance line"),
        pytest.param(350_000, [20, 3], id="fed too much: the long price"),
        pytest.param(150_000, [20, -11], id="fed too little: the short price"),
        pytest.param(250_001, [20, 0], id="one Wh is a line, of no amount"),
    ],
)
def test_the_imbalance_is_priced_by_its_direction(metered_net_wh: int, amounts: list[int]) -> None:
    lines = settle(sold=[(LineKind.DAY_AHEAD, "1", "80")], metered_net_wh=metered_net_wh)

    assert [line.amount for line in lines] == amounts


def test_without_a_position_everything_metered_is_imbalance() -> None:
    (line,) = settle(sold=[], metered_net_wh=-1_000_000)

    assert (line.kind, line.amount) == (LineKind.IMBALANCE, Decimal(-110))


def test_only_the_price_that_is_missing_makes_a_line_provisional() -> None:
    lines = settle(sold=[(LineKind.DAY_AHEAD, "1", "80")], metered_net_wh=0, gap=True)

    assert [line.provisional for line in lines] == [False, True]


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity"])
def test_a_price_that_is_no_number_is_refused(price: str) -> None:
    with pytest.raises(DataError):
        settle(sold=[(LineKind.DAY_AHEAD, "1", price)], metered_net_wh=0)
    with pytest.raises(DataError):
        settle(sold=[], metered_net_wh=0, short=price)


MEGAWATTS = st.decimals(-50, 50, places=1)
PRICES = st.decimals(-500, 4000, places=2)


@given(
    sold=st.lists(st.tuples(st.sampled_from(list(LineKind)[:2]), MEGAWATTS, PRICES), max_size=4),
    metered_net_wh=st.integers(-20_000_000, 20_000_000),
    short=PRICES,
    long=PRICES,
)
def test_the_energy_of_all_lines_is_what_was_metered_and_each_amount_is_whole_cents(
    sold: list[tuple[LineKind, Decimal, Decimal]],
    metered_net_wh: int,
    short: Decimal,
    long: Decimal,
) -> None:
    lines = settle_interval(FIRST, sold, metered_net_wh, short, long, CENT, gap=False)

    assert sum((line.energy_mwh for line in lines), Decimal(0)) * 1_000_000 == metered_net_wh
    for line in lines:
        assert line.amount % CENT == 0
        assert abs(line.amount - line.energy_mwh * line.price_per_mwh) <= CENT / 2


@given(
    first=st.tuples(PRICES, st.integers(-(10**6), 10**6)),
    second=st.tuples(PRICES, st.integers(-(10**6), 10**6)),
)
def test_booked_lines_and_corrections_add_up_to_the_new_settlement(
    first: tuple[Decimal, int], second: tuple[Decimal, int]
) -> None:
    sold = [(LineKind.DAY_AHEAD, Decimal(1), Decimal(80))] * 2
    booked, settled = (
        settle_interval(FIRST, sold, metered, price, price, CENT, gap=price is first[0])
        for price, metered in (first, second)
    )

    both = booked + corrections(booked, settled)

    assert total(both) == total(settled)
    assert sum(line.energy_mwh for line in both) == sum(line.energy_mwh for line in settled)
    assert corrections(settled, settled) == ()


def test_a_price_that_comes_late_reverses_the_provisional_line_and_books_the_final_one() -> None:
    booked = settle(sold=[], metered_net_wh=-1_000_000, short="100", gap=True)
    settled = settle(sold=[], metered_net_wh=-1_000_000, short="130")

    assert [(one.amount, one.provisional) for one in corrections(booked, settled)] == [
        (Decimal(100), False),
        (Decimal(-130), False),
    ]


RULE = GapRule(valid_from=date(2025, 1, 1), max_age=timedelta(hours=4))


@pytest.mark.parametrize(
    ("published", "day_ahead", "price", "provisional", "origin"),
    [
        pytest.param({0: "55"}, "40", "55", False, "published", id="there is a price"),
        pytest.param(
            {-1: "50", -2: "49"},
            "40",
            "50",
            True,
            "carried from 2025-12-03 11:45:00+00:00",
            id="the most recent one is carried on",
        ),
        pytest.param(
            {-16: "50"},
            "40",
            "50",
            True,
            "carried from 2025-12-03 08:00:00+00:00",
            id="four hours old is young enough",
        ),
        pytest.param({-17: "50"}, "40", "40", True, "day-ahead", id="older: the day-ahead price"),
        pytest.param({1: "50"}, "40", "40", True, "day-ahead", id="later prices are not looked at"),
    ],
)
def test_a_missing_price_settles_by_the_gap_rule(
    published: dict[int, str], day_ahead: str, price: str, provisional: bool, origin: str
) -> None:
    prices = {NOON + i * QUARTER: Decimal(value) for i, value in published.items()}

    assert RULE.price(NOON, prices, QUARTER, Decimal(day_ahead)) == SettledPrice(
        price_per_mwh=Decimal(price), provisional=provisional, origin=origin
    )


def test_without_any_price_nothing_is_settled() -> None:
    with pytest.raises(DataError, match="no price"):
        RULE.price(NOON, {}, QUARTER, None)


def test_the_rule_of_the_delivery_day_counts() -> None:
    newer = GapRule(valid_from=date(2025, 12, 3), max_age=timedelta(hours=1))

    assert gap_rule_on([newer, RULE], date(2025, 12, 2)) is RULE
    assert gap_rule_on([newer, RULE], date(2025, 12, 3)) is newer
    with pytest.raises(DataError, match="no gap rule"):
        gap_rule_on([newer, RULE], date(2024, 12, 31))
