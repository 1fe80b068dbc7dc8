"""Peaks by local month and the two-part tariff, with the golden sums of the field."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from vpp.account.network import demand_charge, network_energy
from vpp.account.peaks import MonthlyPeaks, PeakIncrease
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER, Interval, local_moment

STOCKHOLM = ZoneInfo("Europe/Stockholm")
POINT = ConnectionPointId("cp-1")
CENT = Decimal("0.01")


def a_tariff(*, peak: str = "0.20", rest: str = "0.10", demand: str = "40") -> TwoPartTariff:
    return TwoPartTariff(
        tariff_id="t",
        bands=(
            TouBand(name="peak", start=time(8), end=time(20), price_per_kwh=Decimal(peak)),
            TouBand(name="rest", start=time(), end=time(), price_per_kwh=Decimal(rest)),
        ),
        demand_charge_per_kw_month=Decimal(demand),
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
    assert [one.amount for one in demand_charge(POINT, a_tariff(), increases, CENT)] == [
        Decimal("-2000.00"),
        Decimal("-3200.00"),
    ]


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

    (line,) = demand_charge(POINT, a_tariff(demand="40"), [rise], CENT)

    assert line.amount == Decimal("-60000.00")
    assert line.item == "demand_charge"


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
