"""Calendars of prices, and the three forms of a demand charge; sums of the field by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.demand import (
    ActualDemand,
    CapacityCharge,
    ContractDemand,
    Contracted,
    DemandCharge,
    LoadFactorDiscount,
    Measuring,
)
from vpp.model.horizon import Horizon
from vpp.model.hours import Hours
from vpp.model.tariff import TouBand, TwoPartTariff, floating_price
from vpp.model.time import local_moment

SHANGHAI = ZoneInfo("Asia/Shanghai")
KOLKATA = ZoneInfo("Asia/Kolkata")
FREE = ActualDemand(price_per_kw_month=Decimal(0))


def band(name: str, price: str, start: int = 0, end: int = 0, **more: Any) -> TouBand:
    return TouBand(
        name=name, price_per_kwh=Decimal(price), start=time(start), end=time(end), **more
    )


def tariff(*bands: TouBand, demand: DemandCharge = FREE, **more: Any) -> TwoPartTariff:
    return TwoPartTariff(tariff_id="t", bands=bands, demand=demand, **more)


def name_at(one: TwoPartTariff, *at: int) -> str:
    local = datetime(*at, tzinfo=SHANGHAI)  # type: ignore[misc, arg-type]
    return one.band_at(local.astimezone(UTC), SHANGHAI).name


# ---------------------------------------------------------------- the calendar


SPRING_FESTIVAL = frozenset({date(2026, 2, 17), date(2026, 2, 21)})
YEAR = tariff(
    band("festival", "0.1", holidays=True),
    band("summer evening", "1.2", 18, 22, months=(7, 8), days=(0, 1, 2, 3, 4), holidays=False),
    band("day", "0.8", 8, 22, days=(0, 1, 2, 3, 4)),
    band("other", "0.3"),
    holidays=SPRING_FESTIVAL,
)


@pytest.mark.parametrize(
    ("at", "name"),
    [
        pytest.param((2026, 7, 1, 18), "summer evening", id="a Wednesday evening in July"),
        pytest.param((2026, 7, 1, 22), "other", id="its end is not its own"),
        pytest.param((2026, 6, 30, 18), "day", id="the evening before, in June"),
        pytest.param((2026, 7, 4, 18), "other", id="a Saturday in July"),
        pytest.param((2026, 2, 17, 12), "festival", id="a Tuesday that is a holiday"),
        pytest.param((2026, 2, 21, 12), "festival", id="a Saturday that is one"),
        pytest.param((2026, 2, 18, 12), "day", id="a Wednesday that is none"),
    ],
)
def test_the_first_band_that_fits_month_weekday_holiday_and_clock_gives_the_price(
    at: tuple[int, ...], name: str
) -> None:
    assert name_at(YEAR, *at) == name


@pytest.mark.parametrize(
    ("ratio", "price"),
    [
        pytest.param("2.0", "1.13597", id="sharp"),
        pytest.param("1.7", "0.98555", id="peak"),
        pytest.param("1.0", "0.63457", id="flat"),
        pytest.param("0.3", "0.28359", id="valley"),
        pytest.param("0.1", "0.18331", id="deep valley"),
    ],
)
def test_golden_shandong_2026_a_floating_base_and_what_does_not_float(
    ratio: str, price: str
) -> None:
    base = Decimal("0.4") + Decimal("0.0705") + Decimal("0.01") + Decimal("0.0209")
    fixed = Decimal("0.106") + Decimal("0.02717")

    assert base == Decimal("0.5014")
    assert floating_price(base, Decimal(ratio), fixed) == Decimal(price)


def test_a_calendar_becomes_prices_on_a_horizon() -> None:
    start = local_moment(date(2026, 7, 1), time(17), SHANGHAI)

    prices = YEAR.import_per_kwh(Horizon(start, timedelta(hours=1), 6), SHANGHAI)

    assert prices.values.tolist() == [0.8, 1.2, 1.2, 1.2, 1.2, 0.3]


@pytest.mark.parametrize(
    ("bands", "what"),
    [
        pytest.param([band("day", "1", 0, 22)], "weekday 0 at 22:00", id="the late evening"),
        pytest.param([band("a", "1", days=(0, 1, 2, 3, 4, 5))], "weekday 6 at 00:00", id="Sundays"),
        pytest.param(
            [band("a", "1", months=tuple(range(1, 12)))], "at 00:00 in month 12", id="December"
        ),
        pytest.param([band("a", "1", holidays=False)], "at 00:00 on a holiday", id="holidays"),
    ],
)
def test_an_hour_of_the_year_without_a_price_is_refused(bands: list[TouBand], what: str) -> None:
    with pytest.raises(DataError, match=what):
        tariff(*bands)


@pytest.mark.parametrize(
    "wrong", [{"start": 22, "end": 6}, {"months": (0,)}, {"days": (7,)}], ids=str
)
def test_hours_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="hours of a tariff"):
        band("night", "1", **wrong)


# ---------------------------------------------------------------- the demand charge


DISCOUNT = LoadFactorDiscount(least_kwh_per_kva=Decimal(260), times=Decimal("0.9"))
CONTRACT = ContractDemand(
    price_per_kw_month=Decimal(40),
    least_share_of_capacity=Decimal("0.4"),
    free_share=Decimal("1.05"),
    excess_times=Decimal(2),
    discount=DISCOUNT,
)


@pytest.mark.parametrize(
    ("demand", "contract_kw", "peak_kw", "month_kwh", "month_costs"),
    [
        pytest.param(
            ActualDemand(price_per_kw_month=Decimal(40), discount=DISCOUNT),
            None,
            1500,
            480_000,
            60_000,
            id="golden 8: 240 kWh for each kVA",
        ),
        pytest.param(
            ActualDemand(price_per_kw_month=Decimal(40), discount=DISCOUNT),
            None,
            1500,
            520_000,
            54_000,
            id="golden 8: 260 kWh for each kVA",
        ),
        pytest.param(CONTRACT, 1000, 700, None, 40_000, id="a contract, hardly used"),
        pytest.param(CONTRACT, 1000, 1050, None, 40_000, id="up to 105 % of it"),
        pytest.param(CONTRACT, 1000, 1200, None, 40_000 + 150 * 80, id="the excess is double"),
        pytest.param(CONTRACT, 500, 400, None, 800 * 40, id="not below 40 % of the capacity"),
        pytest.param(
            CONTRACT, 1000, 1200, 520_000, 0.9 * (40_000 + 150 * 80), id="a contract used well"
        ),
        pytest.param(
            CapacityCharge(price_per_kva_month=Decimal(25)),
            None,
            1500,
            None,
            50_000,
            id="the capacity, whatever the peak",
        ),
    ],
)
def test_a_month_costs_what_stands_and_what_its_peak_adds(
    demand: DemandCharge,
    contract_kw: int | None,
    peak_kw: int,
    month_kwh: int | None,
    month_costs: float,
) -> None:
    """2000 kVA."""
    at = Contracted(
        capacity_kva=Decimal(2000),
        contract_kw=None if contract_kw is None else Decimal(contract_kw),
    )
    kwh = None if month_kwh is None else Decimal(month_kwh)

    total = demand.standing(at, kwh) + demand.rising(at, Decimal(peak_kw), kwh)

    assert total == pytest.approx(Decimal(month_costs))


@pytest.mark.parametrize(
    ("demand", "free_kw", "rise_per_kw"),
    [
        pytest.param(ActualDemand(price_per_kw_month=Decimal(40)), 0.0, 40, id="actual"),
        pytest.param(CONTRACT, 1050.0, 80, id="contract"),
        pytest.param(CapacityCharge(price_per_kva_month=Decimal(25)), inf, 0, id="capacity"),
    ],
)
def test_a_plan_sees_what_is_free_and_what_one_more_kw_costs(
    demand: DemandCharge, free_kw: float, rise_per_kw: int
) -> None:
    at = Contracted(capacity_kva=Decimal(2000), contract_kw=Decimal(1000))

    assert demand.free_kw(at) == free_kw
    assert demand.rise_per_kw == rise_per_kw


def test_a_contract_that_nobody_gave_is_asked_for() -> None:
    with pytest.raises(DataError, match="contract_kw is not given"):
        CONTRACT.standing(Contracted(capacity_kva=Decimal(2000)))


def test_what_was_agreed_is_a_size() -> None:
    with pytest.raises(DataError, match="capacity_kva is -1"):
        Contracted(capacity_kva=Decimal(-1))


# ---------------------------------------------------------------- how it is measured


@pytest.mark.parametrize(
    ("minutes", "zone", "began"),
    [
        pytest.param(15, SHANGHAI, (4, 45), id="the quarter-hour"),
        pytest.param(30, SHANGHAI, (4, 30), id="the half hour"),
        pytest.param(60, SHANGHAI, (4, 0), id="the hour"),
        pytest.param(60, KOLKATA, (4, 30), id="the hour of a clock that is half an hour off"),
    ],
)
def test_a_measuring_interval_begins_by_the_local_clock(
    minutes: int, zone: ZoneInfo, began: tuple[int, int]
) -> None:
    moment = datetime(2026, 7, 1, 4, 50, tzinfo=UTC)

    measuring = Measuring(interval=timedelta(minutes=minutes))

    assert measuring.began(moment, zone) == datetime(2026, 7, 1, *began, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [0, 25, 120])
def test_an_interval_that_does_not_divide_the_hour_is_refused(minutes: int) -> None:
    with pytest.raises(DataError, match="15, 30 or 60"):
        Measuring(interval=timedelta(minutes=minutes))


def test_peaks_count_in_their_windows_only() -> None:
    window = Hours(start=time(8), end=time(22), days=(0, 1, 2, 3, 4), holidays=False)
    one = tariff(
        band("all", "1"),
        demand=ActualDemand(price_per_kw_month=Decimal(40), measuring=Measuring(windows=(window,))),
        holidays=SPRING_FESTIVAL,
    )
    at = [
        datetime(2026, 2, 16, 8, tzinfo=SHANGHAI),
        datetime(2026, 2, 16, 22, tzinfo=SHANGHAI),
        datetime(2026, 2, 17, 8, tzinfo=SHANGHAI),
        datetime(2026, 2, 22, 8, tzinfo=SHANGHAI),
    ]

    counts = [one.makes_peak(moment.astimezone(UTC), SHANGHAI) for moment in at]

    assert np.array(counts).tolist() == [True, False, False, False]
