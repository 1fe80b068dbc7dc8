from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from vpp.account.baseline import baseline_kw
from vpp.model.calendar import Calendar, DayType, day_type, same_clock_time
from vpp.model.ids import ConnectionPointId
from vpp.model.time import local_moment

STOCKHOLM = ZoneInfo("Europe/Stockholm")
POINT = ConnectionPointId("cp-1")


def expected_kw(
    history: Callable[[datetime], float | None],
    day: date,
    at: time = time(9),
    holidays: frozenset[date] = frozenset(),
) -> float | None:
    return baseline_kw(
        lambda _, moment: history(moment.astimezone(STOCKHOLM)),
        POINT,
        local_moment(day, at, STOCKHOLM),
        calendar=Calendar(zone=STOCKHOLM, rest_days=holidays),
    )


def test_the_last_five_days_of_the_same_type_are_averaged() -> None:
    # Wednesday 26 November 2025: 25, 24, 21, 20, 19 are the five workdays before it.
    assert expected_kw(lambda local: -float(local.day), date(2025, 11, 26)) == pytest.approx(-21.8)
    # Sunday the 30th: 23, 16, 9, 2 November and 26 October.
    assert expected_kw(lambda local: -float(local.day), date(2025, 11, 30)) == pytest.approx(-15.2)


def test_days_without_a_value_are_passed_over() -> None:
    def history(local: datetime) -> float | None:
        return None if local.day == 25 else -float(local.day)

    # 24, 21, 20, 19 and 18
    assert expected_kw(history, date(2025, 11, 26)) == pytest.approx(-20.4)


def test_the_same_clock_time_counts_across_a_clock_change() -> None:
    assert expected_kw(lambda local: float(local.hour), date(2025, 10, 27), time(9)) == 9.0


def test_without_history_there_is_no_baseline() -> None:
    assert expected_kw(lambda _: None, date(2025, 11, 26)) is None


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        pytest.param(date(2025, 12, 24), DayType.WORKDAY, id="a Wednesday"),
        pytest.param(date(2025, 12, 25), DayType.REST_DAY, id="a holiday on a Thursday"),
        pytest.param(date(2025, 12, 27), DayType.SATURDAY, id="a Saturday"),
        pytest.param(date(2025, 12, 28), DayType.REST_DAY, id="a Sunday"),
    ],
)
def test_days_are_sorted_by_type(day: date, kind: DayType) -> None:
    assert day_type(day, {date(2025, 12, 25)}) is kind


def test_a_skipped_clock_time_does_not_exist_and_a_double_one_comes_first() -> None:
    assert same_clock_time(date(2026, 3, 29), time(2, 30), STOCKHOLM) is None
    first = same_clock_time(date(2025, 10, 26), time(2, 30), STOCKHOLM)
    assert first is not None
    assert first.astimezone(STOCKHOLM).fold == 0
