"""Energy from registers: exact at the boundaries, provisional between them, never silently wrong."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from vpp.account.meters import MeterBook
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import QUARTER, Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
METER = ResourceId("meter-1")


def quarter(number: int) -> Interval:
    return Interval(NOON + number * QUARTER, NOON + (number + 1) * QUARTER)


def a_reading(
    minute: float, import_wh: int, export_wh: int = 0, *, received_minute: float | None = None
) -> MeterReading:
    received = minute if received_minute is None else received_minute
    return MeterReading(
        meter_id=METER,
        enterprise_id=EnterpriseId("steel"),
        measured_at=NOON + timedelta(minutes=minute),
        received_at=NOON + timedelta(minutes=received),
        seq=0,
        import_wh=import_wh,
        export_wh=export_wh,
        power_kw=0.0,
    )


def a_book(readings: list[MeterReading], **most_kw: float) -> MeterBook:
    book = MeterBook({METER: most_kw["most_kw"]} if most_kw else {})
    for reading in readings:
        book.add(reading)
    return book


def test_registers_read_at_both_boundaries_give_the_exact_energy() -> None:
    book = a_book([a_reading(0, 1000, 7), a_reading(15, 3500, 10)])

    energy = book.energy_wh(METER, quarter(0))

    assert energy == (2500, 3, False)
    assert energy is not None
    assert energy.net_wh == -2497
    assert book.peak_import_kw(METER, quarter(0)) == 10.0


def test_duplicates_and_any_order_give_the_same_sum() -> None:
    readings = [a_reading(m, m * 100) for m in range(31)]
    shuffled = readings * 3
    random.Random(3).shuffle(shuffled)

    book = a_book(shuffled)

    assert book.energy_wh(METER, quarter(0)) == (1500, 0, False)
    assert book.energy_wh(METER, quarter(1)) == (1500, 0, False)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(14, 17, (1500, 0, True), id="neighbours 3 minutes apart"),
        pytest.param(12, 17, (1500, 0, True), id="neighbours 5 minutes apart"),
        pytest.param(5, 35, (1500, 0, True), id="an outage of half an hour is spread evenly"),
        pytest.param(5, 1446, None, id="more than a day says nothing of a moment"),
    ],
)
def test_a_boundary_without_a_reading_is_interpolated_between_neighbours(
    before: int, after: int, expected: tuple[int, int, bool] | None
) -> None:
    book = a_book([a_reading(m, m * 100) for m in (0, before, after)])

    assert book.energy_wh(METER, quarter(0)) == expected


def test_a_gap_inside_an_interval_loses_nothing() -> None:
    assert a_book([a_reading(0, 0), a_reading(15, 777)]).energy_wh(METER, quarter(0)) == (
        777,
        0,
        False,
    )


def test_interpolated_intervals_still_add_up_to_the_register() -> None:
    book = a_book([a_reading(m, m * 97) for m in range(0, 61, 2)])

    energies = [book.energy_wh(METER, quarter(i)) for i in range(4)]

    assert sum(energy.import_wh for energy in energies if energy) == 60 * 97
    assert [energy.provisional for energy in energies if energy] == [True] * 4


def test_nothing_is_known_before_the_first_and_after_the_last_reading() -> None:
    book = a_book([a_reading(1, 0), a_reading(20, 900)])

    assert book.energy_wh(METER, quarter(0)) is None
    assert book.energy_wh(METER, quarter(1)) is None
    assert book.energy_wh(ResourceId("meter-9"), quarter(0)) is None
    assert book.peak_import_kw(METER, quarter(0)) is None


def test_a_register_that_falls_opens_an_epoch_and_marks_the_interval() -> None:
    readings = [a_reading(m, 90_000 + m * 100 if m < 7 else (m - 7) * 100) for m in range(31)]

    book = a_book(readings)

    assert book.epochs(METER) == (NOON + timedelta(minutes=7),)
    assert book.energy_wh(METER, quarter(0)) == (1500, 0, True)
    assert book.energy_wh(METER, quarter(1)) == (1500, 0, False)


def test_a_meter_swapped_for_one_that_counted_more_is_noticed_by_its_pace() -> None:
    readings = [a_reading(m, m * 100 + (800_000 if m >= 7 else 0)) for m in range(16)]

    assert a_book(readings, most_kw=50.0).energy_wh(METER, quarter(0)) == (1500, 0, True)


def test_a_register_that_falls_in_a_long_gap_leaves_the_energy_unknown() -> None:
    book = a_book([a_reading(0, 5000), a_reading(15, 100)])

    assert book.energy_wh(METER, quarter(0)) is None


def test_of_two_readings_of_one_moment_the_later_received_counts() -> None:
    book = a_book(
        [
            a_reading(0, 0),
            a_reading(15, 500, received_minute=16),
            a_reading(15, 499, received_minute=15),
        ]
    )

    assert book.energy_wh(METER, quarter(0)) == (500, 0, False)


def test_forgetting_keeps_what_later_intervals_need() -> None:
    book = a_book([a_reading(m, m * 100) for m in (0, 13, 16, 30)])
    before = book.energy_wh(METER, quarter(1))

    book.forget(quarter(1).start)

    assert book.energy_wh(METER, quarter(1)) == before == (1500, 0, True)
    assert book.energy_wh(METER, quarter(0)) is None
    book.add(a_reading(45, 4600))
    assert book.energy_wh(METER, quarter(2)) == (1600, 0, False)


def test_thinned_readings_give_every_quarter_hour_the_same_energy() -> None:
    readings = [a_reading(m, m * 97) for m in range(121)]
    readings[50:] = [a_reading(m, (m - 50) * 31) for m in range(50, 121)]  # a register begins anew
    book, thinned = a_book(readings), a_book(readings)

    thinned.thin(quarter(6).start, timedelta(minutes=15))

    for i in range(8):
        assert thinned.energy_wh(METER, quarter(i)) == book.energy_wh(METER, quarter(i))
    assert thinned.epochs(METER) == book.epochs(METER)


def test_a_late_reading_still_finds_its_place_after_thinning() -> None:
    book = a_book([a_reading(m, m * 97) for m in range(121) if m != 30])
    book.thin(quarter(6).start, timedelta(minutes=15))

    book.add(a_reading(30, 30 * 97))

    assert book.energy_wh(METER, quarter(1)) == (15 * 97, 0, False)
    assert book.energy_wh(METER, quarter(2)) == (15 * 97, 0, False)
