"""The three naive models against values read off the calendar by hand."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.forecast.pasts import HOUR, a_day, a_past
from vpp.errors import DataError, PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.sense.forecast.base import Model, Past
from vpp.sense.forecast.naive import MEAN_OF_LAST, NAIVE, SAME_WEEKDAY, YESTERDAY

MEDIAN = LEVELS.index(0.5)

MON, TUE, WED = date(2025, 6, 23), date(2025, 6, 24), date(2025, 6, 25)
SAT, SUN = date(2025, 6, 28), date(2025, 6, 29)


def day_of_month(local: datetime) -> float:
    return float(local.day)


def median(model: Model, past: Past, day: date, hour: int) -> float:
    return float(model.fit(past).quantiles(past, a_day(day, step=HOUR))[MEDIAN][hour])


@pytest.mark.parametrize(
    ("model", "day", "hour", "expected"),
    [
        pytest.param(YESTERDAY, TUE, 9, 23, id="yesterday's nine o'clock is known at noon"),
        pytest.param(YESTERDAY, TUE, 15, 22, id="yesterday's three o'clock is not: the day before"),
        pytest.param(SAME_WEEKDAY, TUE, 15, 17, id="the same weekday is a week ago"),
        pytest.param(MEAN_OF_LAST, TUE, 9, (23 + 20 + 19 + 18) / 4, id="workdays, morning known"),
        pytest.param(MEAN_OF_LAST, TUE, 15, (20 + 19 + 18 + 17) / 4, id="workdays, morning only"),
        pytest.param(MEAN_OF_LAST, SUN, 9, (22 + 15 + 8 + 1) / 4, id="Sundays"),
        pytest.param(
            MEAN_OF_LAST, SAT, 9, (21 + 14 + 7) / 3, id="three Saturdays are all there are"
        ),
    ],
)
def test_the_median_is_the_plain_naive_value(
    model: Model, day: date, hour: int, expected: float
) -> None:
    past = a_past(day_of_month, first=date(2025, 6, 1), until=MON, at=time(12), step=HOUR)

    assert median(model, past, day, hour) == pytest.approx(expected)


def test_a_holiday_is_compared_with_rest_days_and_a_make_up_saturday_with_workdays() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    calendar = Calendar(zone=zone, rest_days=frozenset({TUE}), work_days=frozenset({SAT}))
    past = a_past(
        lambda local: 10.0 if local.weekday() >= 5 else 100.0,
        first=date(2025, 6, 2),
        until=MON,
        step=HOUR,
        calendar=calendar,
    )
    fitted = MEAN_OF_LAST.fit(past)

    holiday = fitted.quantiles(past, a_day(TUE, step=HOUR, zone=zone))[MEDIAN]
    made_up = fitted.quantiles(past, a_day(SAT, step=HOUR, zone=zone))[MEDIAN]

    assert set(holiday) == {10.0}
    assert set(made_up) == {100.0}


def test_a_gap_is_passed_over() -> None:
    gap = date(2025, 6, 20)
    past = a_past(
        lambda local: np.nan if local.date() == gap else float(local.day),
        first=date(2025, 6, 1),
        until=MON,
        step=HOUR,
    )

    assert median(YESTERDAY, past, MON, 9) == 22
    assert median(MEAN_OF_LAST, past, MON, 9) == (19 + 18 + 17 + 16) / 4


def test_the_spring_day_has_23_hours_and_the_autumn_day_25() -> None:
    def hour_of_day(local: datetime) -> float:
        return float(local.hour)

    spring = a_past(hour_of_day, first=date(2025, 3, 1), until=date(2025, 3, 29), step=HOUR)
    autumn = a_past(hour_of_day, first=date(2025, 10, 1), until=date(2025, 10, 25), step=HOUR)
    after = a_past(hour_of_day, first=date(2025, 3, 1), until=date(2025, 3, 31), step=HOUR)

    short = YESTERDAY.fit(spring).quantiles(spring, a_day(date(2025, 3, 30), step=HOUR))[MEDIAN]
    long = YESTERDAY.fit(autumn).quantiles(autumn, a_day(date(2025, 10, 26), step=HOUR))[MEDIAN]
    monday = YESTERDAY.fit(after).quantiles(after, a_day(date(2025, 3, 31), step=HOUR))[MEDIAN]

    assert list(short) == [0, 1, *range(3, 24)]
    assert list(long) == [0, 1, 2, 2, *range(3, 24)]
    assert list(monday) == list(range(24)), "two o'clock comes from Saturday: Sunday had none"


def test_the_quantiles_are_those_of_past_errors() -> None:
    # Even days 90, odd days 110: yesterday's value is always 20 off, up and down in turn.
    past = a_past(
        lambda local: 110.0 if local.toordinal() % 2 else 90.0,
        first=date(2025, 5, 1),
        until=MON,
        step=HOUR,
    )
    quantiles = YESTERDAY.fit(past).quantiles(past, a_day(MON, step=HOUR))

    assert (np.diff(quantiles, axis=0) >= 0).all()
    low, high = quantiles[0] - quantiles[MEDIAN], quantiles[-1] - quantiles[MEDIAN]
    assert np.median(high - low) == pytest.approx(40, rel=0.05)


def test_of_a_double_hour_the_first_one_is_remembered() -> None:
    def first_or_second(local: datetime) -> float:
        return 1.0 + local.fold

    past = a_past(first_or_second, first=date(2025, 10, 1), until=date(2025, 10, 27), step=HOUR)

    assert median(YESTERDAY, past, date(2025, 10, 27), 2) == 1


def test_rest_days_have_a_spread_of_their_own() -> None:
    # Workdays swing by 20 from day to day, weekends stand still.
    past = a_past(
        lambda local: 10.0 if local.weekday() >= 5 else 100.0 + 20 * (local.toordinal() % 2),
        first=date(2025, 3, 31),
        until=MON,
        step=HOUR,
    )
    fitted = MEAN_OF_LAST.fit(past)

    sunday = fitted.quantiles(past, a_day(SUN, step=HOUR))
    tuesday = fitted.quantiles(past, a_day(TUE, step=HOUR))

    assert (sunday[-1] - sunday[0]).max() == 0
    assert (tuesday[-1] - tuesday[0]).min() > 10


@pytest.mark.parametrize("model", NAIVE, ids=lambda model: model.name)
def test_a_constant_series_has_no_spread(model: Model) -> None:
    constant = a_past(lambda local: -50.0, first=date(2025, 5, 1), until=MON, step=HOUR)

    assert set(model.fit(constant).quantiles(constant, a_day(MON, step=HOUR)).flat) == {-50.0}


def test_a_day_type_never_seen_is_refused_with_its_first_step() -> None:
    past = a_past(day_of_month, first=MON, until=SAT, step=HOUR)

    with pytest.raises(PlanError, match="2025-06-27T22:00:00Z"):
        MEAN_OF_LAST.fit(past).quantiles(past, a_day(SAT, step=HOUR))


def test_a_past_without_a_value_is_refused() -> None:
    past = a_past(lambda local: np.nan, first=MON, until=WED, step=HOUR)

    with pytest.raises(PlanError, match="no value is known"):
        YESTERDAY.fit(past)


def test_a_horizon_off_the_grid_is_refused() -> None:
    past = a_past(day_of_month, first=date(2025, 6, 1), until=MON, step=HOUR)

    with pytest.raises(DataError, match="Forecast on the steps of the series"):
        YESTERDAY.fit(past).quantiles(past, a_day(MON))
