"""Cars: days that were like it, the newer the likelier, zeros included."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Horizon, Profile
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.sessions import FittedSessions, Sessions

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
MONDAY = date(2025, 3, 3)
MEDIAN = LEVELS.index(0.5)
UTC_ZONE = ZoneInfo("UTC")


def a_past(
    value: Callable[[datetime], float],
    *,
    days: int,
    step: timedelta = DAY,
    holidays: frozenset[date] = frozenset(),
    series_id: str = "energy.car-park",
) -> Past:
    start = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC)
    axis = Horizon(start, step, days * (DAY // step))
    return Past(
        series_id=series_id,
        unit="kWh",
        issued_at=axis.end,
        values=Profile(axis, np.array([value(moment) for moment in axis.starts()])),
        calendar=Calendar(zone=UTC_ZONE, rest_days=holidays),
    )


def day(past: Past, number: int = 0, step: timedelta = DAY) -> Horizon:
    """The day that begins `number` days after the issue."""
    return Horizon(past.issued_at + number * DAY, step, DAY // step)


def workdays_only(moment: datetime) -> float:
    return 40.0 if moment.weekday() < 5 else 0.0


def test_workdays_are_forecast_from_workdays_and_sundays_from_sundays() -> None:
    past = a_past(workdays_only, days=56)  # issued at the beginning of a Monday

    fitted = Sessions().fit(past)

    for number, kwh in ((0, 40), (4, 40), (5, 0), (6, 0)):
        assert (fitted.quantiles(past, day(past, number)) == kwh).all()


def test_a_rest_day_never_stands_for_a_workday() -> None:
    past = a_past(workdays_only, days=56)
    fitted = FittedSessions(memory_days=300.0, alike=1.0, reach=timedelta(0))

    assert (fitted.quantiles(past, day(past)) == 40).all()
    assert (fitted.quantiles(past, day(past, 6)) == 0).all()


def test_a_holiday_is_like_a_sunday() -> None:
    holiday = MONDAY + timedelta(days=56)
    past = a_past(workdays_only, days=56, holidays=frozenset({holiday}))

    assert Sessions().fit(past).quantiles(past, day(past))[MEDIAN, 0] == 0


def test_a_lump_at_zero_stays_in_the_quantiles() -> None:
    """A car comes on three workdays in ten: the median is none, the upper quantiles are a car."""
    comes = np.random.default_rng(8).random(400) < 0.3

    def rare(moment: datetime) -> float:
        return 10.0 if comes[(moment.date() - MONDAY).days] else 0.0

    past = a_past(rare, days=140)
    quantiles = Sessions().fit(past).quantiles(past, day(past))

    assert quantiles[:5, 0].tolist() == [0, 0, 0, 0, 0]
    assert quantiles[-2:, 0].tolist() == [10, 10]


def test_growing_use_makes_the_memory_short() -> None:
    past = a_past(lambda moment: float((moment.date() - MONDAY).days), days=120)

    fitted = Sessions().fit(past)

    assert fitted.memory_days <= 14
    assert fitted.quantiles(past, day(past))[MEDIAN, 0] > 105


def test_weekdays_that_differ_are_not_mixed_and_those_alike_are() -> None:
    noise = np.random.default_rng(5).normal(scale=5, size=400)

    def busy_tuesdays(moment: datetime) -> float:
        return 100.0 if moment.weekday() == 1 else 20.0

    def steady(moment: datetime) -> float:
        return float(50 + noise[(moment.date() - MONDAY).days])

    assert Sessions().fit(a_past(busy_tuesdays, days=112)).alike == 0
    assert Sessions().fit(a_past(steady, days=112)).alike == 1


def test_a_kind_of_day_never_seen_is_forecast_from_all_days() -> None:
    past = a_past(lambda moment: 12.0, days=19)  # Saturdays and Sundays are blanked below
    values = past.values.values.copy()
    values[[5, 6, 12, 13]] = np.nan
    past = replace(past, values=Profile(past.values.horizon, values))

    # Issued on a Saturday.
    assert Sessions().fit(past).quantiles(past, day(past))[MEDIAN, 0] == 12


def test_what_the_service_measures_of_arrivals_has_its_time_of_day_and_its_sign() -> None:
    """Cars come at eight on workdays: 7 kW each, for two hours; three of them, more or less."""
    cars = np.random.default_rng(3).poisson(3, size=100)

    def arriving_kw(moment: datetime) -> float:
        here = moment.weekday() < 5 and 8 <= moment.hour < 10
        return -7.0 * cars[(moment.date() - MONDAY).days] if here else 0.0

    past = a_past(arriving_kw, days=42, step=QUARTER, series_id="arriving.garage")
    noon = replace(
        past,
        issued_at=past.issued_at - DAY / 2,
        values=Profile(
            replace(past.values.horizon, steps=past.values.horizon.steps - 48),
            past.values.values[:-48],
        ),
    )
    quantiles = Sessions().fit(noon).quantiles(noon, day(past, 0, QUARTER))

    assert (quantiles <= 0).all()
    assert (np.diff(quantiles, axis=0) >= 0).all()
    assert -28 <= quantiles[MEDIAN, 34] <= -14
    assert quantiles[0, 34] < quantiles[-1, 34] - 14
    assert (quantiles[:, 60:] == 0).all()


def test_the_running_day_counts_where_it_is_known() -> None:
    """Nothing came on the last seven workdays but today, and of today only the morning is known."""
    fitted = FittedSessions(memory_days=1.0, alike=1.0, reach=timedelta(0))
    past = a_past(lambda moment: 5.0, days=16, step=timedelta(hours=1))
    values = past.values.values.copy()
    values[-24:] = 9.0
    values[-12:] = np.nan
    past = replace(past, values=Profile(past.values.horizon, values))

    quantiles = fitted.quantiles(past, day(past, 0, timedelta(hours=1)))

    assert quantiles[MEDIAN, 3] == 9
    assert quantiles[MEDIAN, 20] == 5


def test_less_than_two_weeks_are_refused() -> None:
    with pytest.raises(PlanError, match="at least 14 days"):
        Sessions().fit(a_past(workdays_only, days=13))


def test_what_was_learnt_can_be_pickled() -> None:
    fitted = Sessions().fit(a_past(workdays_only, days=28))

    assert pickle.loads(pickle.dumps(fitted)) == fitted
