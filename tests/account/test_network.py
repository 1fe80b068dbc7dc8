"""Peaks by local month and the two-part tariff, with the golden sums of the field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from vpp.account.network import demand_charge, network_energy, standing_charge
from vpp.account.peaks import MonthlyPeaks, PeakIncrease
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
from vpp.model.hours import Hours
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.park import ConnectionPoint, Limits
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER, Interval, local_moment

STOCKHOLM = ZoneInfo("Europe/Stockholm")
POINT = ConnectionPointId("cp-1")


def a_point(capacity_kva: str | None = None, contract_kw: str | None = None) -> ConnectionPoint:
    return ConnectionPoint(
        connection_point_id=POINT,
        enterprise_id=EnterpriseId("a"),
        feeder_id=None,
        limits=Limits(),
        meter_id=ResourceId("meter"),
        tariff_id="t",
        contracted=Contracted(
            capacity_kva=None if capacity_kva is None else Decimal(capacity_kva),
            contract_kw=None if contract_kw is None else Decimal(contract_kw),
        ),
    )


CENT = Decimal("0.01")


def a_tariff(*, peak: str = "0.20", rest: str = "0.10", demand: str = "40") -> TwoPartTariff:
    return TwoPartTariff(
        tariff_id="t",
        bands=(
            TouBand(name="peak", start=time(8), end=time(20), price_per_kwh=Decimal(peak)),
            TouBand(name="rest", start=time(), end=time(), price_per_kwh=Decimal(rest)),
        ),
        demand=ActualDemand(price_per_kw_month=Decimal(demand)),
    )


def a_quarter(day: date, at: time) -> Interval:
    start = local_moment(day, at, STOCKHOLM)
    return Interval(start, start + QUARTER)


def some_peaks(opening_kw: float = 0.0) -> MonthlyPeaks:
    started_at = local_moment(date(2025, 12, 3), time(), STOCKHOLM)
    return MonthlyPeaks(STOCKHOLM, {POINT: opening_kw}, started_at)


def test_the_peak_starts_from_the_park_files_figure_and_only_rises() -> None:
    peaks, third = some_peaks(500.0), date(2025, 12, 3)
    noon = a_quarter(third, time(12))
    assert peaks.peak_kw(POINT, noon.start) == 500.0

    peaks.add(POINT, noon, 450.0)
    assert peaks.peak_kw(POINT, noon.end) == 500.0
    peaks.add(POINT, a_quarter(third, time(13)), 620.0)

    assert peaks.peak_kw(POINT, a_quarter(third, time(13)).start) == 500.0
    assert peaks.peak_kw(POINT, a_quarter(third, time(13)).end) == 620.0


def test_the_month_ends_at_local_midnight_and_the_next_one_starts_at_nothing() -> None:
    peaks = some_peaks(500.0)
    last = a_quarter(date(2025, 12, 31), time(23, 45))
    first = a_quarter(date(2026, 1, 1), time())
    assert last.end == first.start == datetime(2025, 12, 31, 23, tzinfo=UTC)

    peaks.add(POINT, last, 700.0)
    peaks.add(POINT, first, 90.0)

    assert peaks.peak_kw(POINT, last.end - timedelta(seconds=1)) == 700.0
    assert peaks.peak_kw(POINT, first.start) == 0.0
    assert peaks.peak_kw(POINT, first.end) == 90.0


def test_a_span_pays_for_the_increase_in_each_month_it_touches() -> None:
    peaks = some_peaks(500.0)
    peaks.add(POINT, a_quarter(date(2025, 12, 20), time(9)), 600.0)
    peaks.add(POINT, a_quarter(date(2025, 12, 31), time(9)), 650.0)
    peaks.add(POINT, a_quarter(date(2026, 1, 1), time(9)), 80.0)
    span = Interval(
        local_moment(date(2025, 12, 31), time(), STOCKHOLM),
        local_moment(date(2026, 1, 2), time(), STOCKHOLM),
    )

    increases = peaks.increases(POINT, span)

    assert increases == (
        PeakIncrease(month=date(2025, 12, 1), before_kw=600.0, after_kw=650.0),
        PeakIncrease(month=date(2026, 1, 1), before_kw=0.0, after_kw=80.0),
    )
    assert [one.amount for one in demand_charge(a_point(), a_tariff(), increases, CENT)] == [
        Decimal("-2000.00"),
        Decimal("-3200.00"),
    ]


def test_a_figure_that_comes_late_or_again_counts_as_if_it_had_come_in_time() -> None:
    third = date(2025, 12, 3)
    peaks, evening = some_peaks(), a_quarter(third, time(18))
    for hour, kw in ((18, 70.0), (9, 50.0), (12, 90.0)):
        peaks.add(POINT, a_quarter(third, time(hour)), kw)

    assert peaks.peak_kw(POINT, a_quarter(third, time(10)).start) == 50.0
    assert peaks.peak_kw(POINT, evening.end) == 90.0

    peaks.add(POINT, a_quarter(third, time(12)), 60.0)  # the meter was read again

    assert peaks.peak_kw(POINT, evening.start) == 60.0
    assert peaks.peak_kw(POINT, evening.end) == 70.0


def test_a_corrected_reading_lowers_the_peak_again() -> None:
    peaks, noon = some_peaks(), a_quarter(date(2025, 12, 3), time(12))
    peaks.add(POINT, noon, 9000.0)
    peaks.add(POINT, noon, 90.0)

    assert peaks.peak_kw(POINT, noon.end) == 90.0


def test_forgotten_months_are_those_that_ended() -> None:
    peaks, noon = some_peaks(), a_quarter(date(2025, 12, 3), time(12))
    peaks.add(POINT, noon, 90.0)

    peaks.forget(noon.end)
    assert peaks.peak_kw(POINT, noon.end) == 90.0
    peaks.forget(local_moment(date(2026, 1, 1), time(), STOCKHOLM))

    assert peaks.peak_kw(POINT, noon.end) == 0.0


@pytest.mark.parametrize("import_kw", [-1.0, float("nan"), float("inf")])
def test_a_peak_that_is_no_size_is_refused(import_kw: float) -> None:
    with pytest.raises(DataError):
        some_peaks().add(POINT, a_quarter(date(2025, 12, 3), time(12)), import_kw)


def test_golden_8_1500_kw_at_40_are_60_000() -> None:
    rise = PeakIncrease(month=date(2025, 12, 1), before_kw=0.0, after_kw=1500.0)

    (line,) = demand_charge(a_point(), a_tariff(demand="40"), [rise], CENT)

    assert line.amount == Decimal("-60000.00")
    assert line.item == "demand_charge"


def a_demand_tariff(demand: DemandCharge) -> TwoPartTariff:
    return replace(a_tariff(), demand=demand)


CONTRACT = ContractDemand(
    price_per_kw_month=Decimal(40),
    least_share_of_capacity=Decimal("0.4"),
    free_share=Decimal("1.05"),
    excess_times=Decimal(2),
)
DECEMBER = date(2025, 12, 1)


@pytest.mark.parametrize(
    ("month_kwh", "amount"),
    [
        pytest.param(480_000, "-60000.00", id="240 kWh for each kVA"),
        pytest.param(520_000, "-54000.00", id="260 kWh for each kVA: nine tenths"),
        pytest.param(None, "-60000.00", id="a month that is not over"),
    ],
)
def test_golden_8_demand_is_cheaper_where_the_transformers_are_used_well(
    month_kwh: int | None, amount: str
) -> None:
    tariff = a_demand_tariff(
        ActualDemand(
            price_per_kw_month=Decimal(40),
            discount=LoadFactorDiscount(least_kwh_per_kva=Decimal(260), times=Decimal("0.9")),
        )
    )
    rise = PeakIncrease(month=DECEMBER, before_kw=0.0, after_kw=1500.0)
    known = {} if month_kwh is None else {DECEMBER: Decimal(month_kwh)}

    (line,) = demand_charge(a_point(capacity_kva="2000"), tariff, [rise], CENT, known)

    assert line.amount == Decimal(amount)


@pytest.mark.parametrize(
    ("before_kw", "after_kw", "amount"),
    [
        pytest.param(0.0, 1050.0, "0.00", id="105 % are included"),
        pytest.param(0.0, 1200.0, "-12000.00", id="150 kW beyond at twice 40"),
        pytest.param(1100.0, 1200.0, "-8000.00", id="100 kW more beyond"),
    ],
)
def test_beyond_a_contract_the_peak_is_charged_double(
    before_kw: float, after_kw: float, amount: str
) -> None:
    point = a_point(capacity_kva="2000", contract_kw="1000")
    rise = PeakIncrease(month=DECEMBER, before_kw=before_kw, after_kw=after_kw)

    (line,) = demand_charge(point, a_demand_tariff(CONTRACT), [rise], CENT)

    assert line.amount == Decimal(amount)


@pytest.mark.parametrize(
    ("demand", "contract_kw", "days", "amounts"),
    [
        pytest.param(CONTRACT, "1000", 31, ["-40000.00"], id="the contract"),
        pytest.param(CONTRACT, "500", 31, ["-32000.00"], id="at least two fifths of 2000 kVA"),
        pytest.param(CONTRACT, "1000", 32, ["-40000.00", "-1290.32"], id="a day of January too"),
        pytest.param(
            CapacityCharge(price_per_kva_month=Decimal(25)),
            None,
            31,
            ["-50000.00"],
            id="the capacity",
        ),
        pytest.param(
            ActualDemand(price_per_kw_month=Decimal(40)), None, 31, [], id="nothing stands"
        ),
    ],
)
def test_what_was_agreed_is_charged_by_days(
    demand: DemandCharge, contract_kw: str | None, days: int, amounts: list[str]
) -> None:
    span = Interval(
        local_moment(DECEMBER, time(), STOCKHOLM),
        local_moment(DECEMBER + timedelta(days=days), time(), STOCKHOLM),
    )
    point = a_point(capacity_kva="2000", contract_kw=contract_kw)

    lines = standing_charge(point, a_demand_tariff(demand), span, STOCKHOLM, CENT)

    assert [line.amount for line in lines] == [Decimal(amount) for amount in amounts]


def test_a_capacity_has_no_line_for_peaks() -> None:
    tariff = a_demand_tariff(CapacityCharge(price_per_kva_month=Decimal(25)))
    rise = PeakIncrease(month=DECEMBER, before_kw=0.0, after_kw=1500.0)

    assert demand_charge(a_point(capacity_kva="2000"), tariff, [rise], CENT) == ()


def half_hours(*windows: Hours) -> MonthlyPeaks:
    measuring = Measuring(interval=timedelta(minutes=30), windows=windows)
    tariff = a_demand_tariff(ActualDemand(price_per_kw_month=Decimal(40), measuring=measuring))
    started_at = local_moment(date(2025, 12, 3), time(), STOCKHOLM)
    return MonthlyPeaks(STOCKHOLM, {}, started_at, {POINT: tariff})


def test_a_peak_by_the_half_hour_is_the_mean_of_two_quarters_once_both_are_over() -> None:
    peaks, third = half_hours(), date(2025, 12, 3)
    first, second = (a_quarter(third, time(12, minute)) for minute in (0, 15))
    peaks.add(POINT, first, 90.0)

    assert peaks.peak_kw(POINT, first.end) == 0.0
    assert peaks.running_kw(POINT, first.end) == 90.0
    peaks.add(POINT, second, 70.0)

    assert peaks.peak_kw(POINT, second.end) == 80.0
    assert peaks.running_kw(POINT, second.end) == 0.0


def test_a_quarter_that_was_not_metered_counts_as_the_rest_of_its_half_hour() -> None:
    peaks, noon = half_hours(), a_quarter(date(2025, 12, 3), time(12))
    peaks.add(POINT, noon, 90.0)

    assert peaks.peak_kw(POINT, noon.end + QUARTER) == 90.0


def test_only_half_hours_in_a_window_make_a_peak() -> None:
    peaks, third = half_hours(Hours(start=time(8), end=time(12))), date(2025, 12, 3)
    for at, kw in (
        (time(11, 30), 50.0),
        (time(11, 45), 50.0),
        (time(12), 90.0),
        (time(12, 15), 90.0),
    ):
        peaks.add(POINT, a_quarter(third, at), kw)

    assert peaks.peak_kw(POINT, a_quarter(third, time(13)).start) == 50.0


def test_golden_10_a_sharp_kilowatt_hour_in_shandong() -> None:
    sharp = Decimal("0.5014") * 2 + Decimal("0.13317")
    assert sharp == Decimal("1.13597")
    noon = a_quarter(date(2025, 12, 3), time(12))

    (line,) = network_energy(
        POINT, a_tariff(peak=str(sharp)), STOCKHOLM, [(noon, 100_000_000)], CENT
    )

    assert line.amount == Decimal("-113597.00")
    assert line.energy_kwh == -100_000


def test_each_band_is_rounded_once_not_in_every_interval() -> None:
    day = [
        (a_quarter(date(2025, 12, 3), time(hour, minute)), 33)
        for hour in range(24)
        for minute in (0, 15, 30, 45)
    ]

    lines = network_energy(POINT, a_tariff(), STOCKHOLM, day, CENT)

    # 48 · 33 Wh = 1.584 kWh in each band; one by one every amount would round to 0 or 0.01.
    assert [(line.detail, line.energy_kwh, line.amount) for line in lines] == [
        ("cp-1 rest at 0.10", Decimal("-1.584"), Decimal("-0.16")),
        ("cp-1 peak at 0.20", Decimal("-1.584"), Decimal("-0.32")),
    ]
    with pytest.raises(DataError):
        network_energy(POINT, a_tariff(), STOCKHOLM, [(day[0][0], -1)], CENT)
