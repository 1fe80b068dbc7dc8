"""A series as a table of local days, clock changes and gaps included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon
from vpp.model.time import local_day
from vpp.sense.forecast.daily import DayGrid, bridged, weekday_like

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def test_rows_are_local_days_and_columns_are_clock_times() -> None:
    horizon = Horizon(datetime(2025, 7, 1, 20, tzinfo=UTC), HOUR, 28)  # 22:00 in Berlin

    grid = DayGrid.over(horizon, BERLIN)

    assert grid.dates() == (date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3))
    table = grid.table(np.arange(28.0))
    assert table[0, 22:].tolist() == [0, 1]
    assert table[1].tolist() == list(range(2, 26))
    assert table[2, :2].tolist() == [26, 27]
    assert np.isnan(table[0, :22]).all()


def test_the_hour_that_spring_leaves_out_is_a_gap_and_is_bridged() -> None:
    horizon = Horizon.over(local_day(date(2025, 3, 30), BERLIN), HOUR)

    table = DayGrid.over(horizon, BERLIN).table(np.arange(23.0))

    assert np.isnan(table[0, 2])
    assert bridged(table, most=1)[0, 1:4].tolist() == [1, 1.5, 2]


def test_the_hour_that_autumn_repeats_is_the_mean_of_both_and_both_read_it() -> None:
    horizon = Horizon.over(local_day(date(2025, 10, 26), BERLIN), HOUR)
    grid = DayGrid.over(horizon, BERLIN)

    table = grid.table(np.arange(25.0))

    assert table[0, :5].tolist() == [0, 1, 2.5, 4, 5]
    assert grid.steps(table)[:5].tolist() == [0, 1, 2.5, 2.5, 4]


def test_a_zone_beside_the_full_hour_keeps_its_days_apart() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    horizon = Horizon.over(local_day(date(2025, 5, 5), kolkata), timedelta(minutes=30))

    grid = DayGrid.over(horizon, kolkata)

    assert (grid.days, grid.slots, grid.slot[0], grid.slot[-1]) == (1, 48, 0, 47)


def test_the_end_of_a_day_and_long_gaps_are_not_bridged() -> None:
    table = np.array([[1.0, np.nan, np.nan, 4.0, np.nan]])

    assert np.isnan(bridged(table, most=1)[0]).tolist() == [False, True, True, False, True]
    assert bridged(table, most=2)[0, :4].tolist() == [1, 2, 3, 4]


def test_a_step_that_divides_no_day_is_refused() -> None:
    with pytest.raises(DataError, match="divides 24 hours"):
        DayGrid.over(Horizon(datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=7), 3), BERLIN)


def test_a_holiday_is_like_a_sunday_and_a_make_up_day_like_a_friday() -> None:
    calendar = Calendar(
        zone=ZoneInfo("Asia/Shanghai"),
        rest_days=frozenset({date(2025, 10, 1)}),
        work_days=frozenset({date(2025, 9, 28)}),
    )

    assert weekday_like(calendar, date(2025, 10, 1)) == 6  # a Wednesday
    assert weekday_like(calendar, date(2025, 9, 28)) == 4  # a Sunday
    assert [weekday_like(calendar, date(2025, 9, day)) for day in (22, 27)] == [0, 5]
