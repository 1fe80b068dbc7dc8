"""The back-test benchmark: its park of each seed, and what its verdict says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks._winter import DAYS, HISTORY_DAYS, STEPS_A_WEEK, turned, weeks_of, winter_park
from benchmarks.backtest import verdict
from vpp.model.ids import ResourceId
from vpp.service.backtest.asked import Way, span_of
from vpp.service.backtest.rows import Row
from vpp.service.park.parkfile import ParkFile


@pytest.fixture(scope="module")
def parks(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParkFile, ParkFile]:
    return winter_park(tmp_path_factory.mktemp("one"), 1), winter_park(
        tmp_path_factory.mktemp("two"), 2
    )


def test_a_source_is_turned_by_whole_weeks_end_to_beginning() -> None:
    weeks = [str(week) for week in range(3) for _ in range(STEPS_A_WEEK)]

    assert turned(weeks, 1) == weeks[STEPS_A_WEEK:] + weeks[:STEPS_A_WEEK]
    assert turned(weeks, 0) == turned(weeks, 3) == weeks


def test_seeds_turn_their_sources_otherwise_and_leave_the_prices(
    parks: tuple[ParkFile, ParkFile],
) -> None:
    one, two = (park.simulation for park in parks)
    assert one is not None
    assert two is not None
    metal = ResourceId("metal-machining")
    shift = (weeks_of(2)["metal"] - weeks_of(1)["metal"]) * STEPS_A_WEEK

    assert (one.day_ahead_per_mwh.values == two.day_ahead_per_mwh.values).all()
    assert shift != 0
    assert (np.roll(one.base_kw[metal].values, -shift) == two.base_kw[metal].values).all()


def test_eight_weeks_after_the_history_can_be_played(parks: tuple[ParkFile, ParkFile]) -> None:
    span = span_of(parks[0], "2025-01-20", "2025-03-17")

    assert (span.end - span.start).days == DAYS - HISTORY_DAYS - 2 == 56


def test_cars_come_on_the_weekdays_they_came_on(parks: tuple[ParkFile, ParkFile]) -> None:
    one, two = (park.simulation for park in parks)
    assert one is not None
    assert two is not None
    store = ResourceId("store-cars")
    zone = parks[0].park.timezone
    days = [
        {
            visit.session_id: visit.arrives_at.astimezone(zone).strftime("%a %H:%M")
            for visit in some.visits[store]
        }
        for some in (one, two)
    ]

    assert days[0] == days[1]
    assert one.visits[store][0].session_id != two.visits[store][0].session_id


def some_rows(point: float, scenario: float, broken: float = 0.0) -> Sequence[Row]:
    return [
        Row(way=way, cost=cost, causes={}, violations={"park": broken})
        for way, cost in ((Way.POINT, point), (Way.SCENARIO, scenario))
    ]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param(
            {1: some_rows(1000, 990), 2: some_rows(1000, 970)},
            "scenario beats point: it costs 20 ± 14 less on the mean (2.00%), less in 2 of 2",
            id="cheaper with every seed",
        ),
        pytest.param(
            {1: some_rows(1000, 1010), 2: some_rows(1000, 950)},
            "scenario does not beat point: it costs 20 ± 42 less on the mean (2.00%), less in 1 of 2",
            id="dearer with one",
        ),
        pytest.param(
            {1: some_rows(1000, 990, broken=0.06)},
            "limits broken in 6.000% of the quarter-hours at most, 5.00% allowed: too often",
            id="limits broken too often",
        ),
    ],
)
def test_the_verdict_counts_seeds_and_broken_limits(
    rows: dict[int, Sequence[Row]], says: str
) -> None:
    assert says in verdict(rows, probability=0.95)
