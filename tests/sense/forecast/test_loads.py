"""Models that learn a load: what they find, what they fall back to, and what they never see."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.forecast.pasts import BERLIN, HOUR, a_day, a_past, cut
from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import local_day
from vpp.sense.forecast.base import Model, Past
from vpp.sense.forecast.boosting import BOOSTING
from vpp.sense.forecast.ensemble import ENSEMBLE
from vpp.sense.forecast.naive import MEAN_OF_LAST
from vpp.sense.forecast.regression import REGRESSION

MEDIAN = LEVELS.index(0.5)
FIRST, ISSUED = date(2025, 3, 3), date(2025, 6, 23)  # Mondays, over the spring change
EVERY = pytest.mark.parametrize("model", [REGRESSION, BOOSTING, ENSEMBLE], ids=lambda m: m.name)
MEMBERS = pytest.mark.parametrize("model", [REGRESSION, BOOSTING], ids=lambda m: m.name)


def wobble(local: datetime) -> float:
    """Between 0 and 1, the same each time it is asked."""
    return (local.toordinal() * 7919 + local.hour * 104_729) % 997 / 997


def shift_work(local: datetime) -> float:
    """100 kW by day on workdays, 10 at other times, and some wobble."""
    working = local.weekday() < 5 and 6 <= local.hour < 18
    return (100.0 if working else 10.0) + 4 * wobble(local)


def asked(model: Model, past: Past, horizon: Horizon) -> Floats:
    return model.fit(past).quantiles(past, horizon)


@EVERY
def test_a_week_of_shifts_is_forecast_within_its_wobble(model: Model) -> None:
    past = a_past(shift_work, first=FIRST, until=ISSUED, at=time(12), step=HOUR)
    tuesday = asked(model, past, a_day(date(2025, 6, 24), step=HOUR))

    assert (np.diff(tuesday, axis=0) >= 0).all()
    assert tuesday[MEDIAN][:6] == pytest.approx(np.full(6, 12), abs=2.5)
    assert tuesday[MEDIAN][6:18] == pytest.approx(np.full(12, 102), abs=2.5)
    assert (tuesday[-1] - tuesday[0]).max() < 12


@MEMBERS
def test_a_level_that_lasts_is_carried_on(model: Model) -> None:
    # Each week draws 100 more or less than the one before: yesterday says more than four days do.
    def weekly(local: datetime) -> float:
        return 200 + 100 * (local.date().toordinal() // 7 % 2) + wobble(local)

    past = a_past(weekly, first=FIRST, until=date(2025, 6, 26), step=HOUR)
    day = a_day(date(2025, 6, 26), step=HOUR)
    came = np.array([weekly(at.astimezone(BERLIN)) for at in day.starts()])

    naive = np.abs(asked(MEAN_OF_LAST, past, day)[MEDIAN] - came).mean()
    ours = np.abs(asked(model, past, day)[MEDIAN] - came).mean()

    assert naive > 20
    assert ours < naive / 3


@MEMBERS
@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2025, 3, 30), 23, id="spring"),
        pytest.param(date(2025, 10, 26), 25, id="autumn"),
    ],
)
def test_on_a_clock_change_work_begins_by_the_clock(model: Model, day: date, hours: int) -> None:
    def early_bird(local: datetime) -> float:
        return (100.0 if local.hour >= 6 else 10.0) + wobble(local)

    past = a_past(early_bird, first=day - timedelta(days=60), until=day, step=HOUR)
    median = asked(model, past, a_day(day, step=HOUR))[MEDIAN]

    assert len(median) == hours
    assert (median < 55).sum() == hours - 18
    assert (median > 55).sum() == 18


@MEMBERS
def test_a_shutdown_that_the_calendar_knows_is_forecast_as_a_rest_day(model: Model) -> None:
    off = frozenset({date(2025, 4, 18), date(2025, 4, 21), date(2025, 5, 1), date(2025, 6, 24)})
    calendar = Calendar(zone=BERLIN, rest_days=off)

    def with_holidays(local: datetime) -> float:
        return 10 + wobble(local) if local.date() in off else shift_work(local)

    past = a_past(with_holidays, first=FIRST, until=ISSUED, step=HOUR, calendar=calendar)
    holiday = asked(model, past, a_day(date(2025, 6, 24), step=HOUR))

    assert holiday[MEDIAN].max() < 30


@MEMBERS
def test_a_saturday_worked_instead_is_forecast_as_a_workday(model: Model) -> None:
    made_up = date(2025, 6, 28)
    calendar = Calendar(zone=ZoneInfo("Asia/Shanghai"), work_days=frozenset({made_up}))
    past = a_past(shift_work, first=FIRST, until=made_up, step=HOUR, calendar=calendar)

    saturday = asked(model, past, a_day(made_up, step=HOUR, zone=calendar.zone))

    assert saturday[MEDIAN][7:17].min() > 80


@EVERY
def test_nothing_from_the_issue_on_is_seen(model: Model) -> None:
    issued_at = local_day(date(2025, 6, 18), BERLIN).start + timedelta(hours=12)
    one = a_past(shift_work, first=FIRST, until=ISSUED, step=HOUR)
    other = a_past(
        lambda local: shift_work(local) if local < issued_at else 999.0,
        first=FIRST,
        until=ISSUED,
        step=HOUR,
    )
    horizon = Horizon(issued_at, HOUR, 48)
    then, else_ = cut(one, issued_at), cut(other, issued_at)

    assert (asked(model, then, horizon) == asked(model, else_, horizon)).all()
    # What is not known yet may stand in the past as NaN: it is the same past.
    padded = np.where(
        np.arange(one.values.values.size) < len(then.values.values), one.values.values, np.nan
    )
    unknown = replace(then, values=Profile(one.values.horizon, padded))
    assert (asked(model, unknown, horizon) == asked(model, then, horizon)).all()


@EVERY
def test_a_constant_series_stays_what_it_is(model: Model) -> None:
    past = a_past(lambda local: 42.0, first=FIRST, until=ISSUED, step=HOUR)

    assert asked(model, past, a_day(ISSUED, step=HOUR)) == pytest.approx(np.full((9, 24), 42.0))


@MEMBERS
def test_gaps_and_a_week_of_zeros_leave_no_holes(model: Model) -> None:
    def broken(local: datetime) -> float:
        if local.toordinal() % 11 == 0 or (local.day == 3 and local.hour > 8):
            return np.nan
        return 0.0 if date(2025, 5, 5) <= local.date() < date(2025, 5, 12) else shift_work(local)

    past = a_past(broken, first=FIRST, until=ISSUED, step=HOUR)
    quantiles = asked(model, past, a_day(ISSUED, step=HOUR))

    assert np.isfinite(quantiles).all()
    assert quantiles[MEDIAN][8:16] == pytest.approx(np.full(8, 102), abs=6)


@MEMBERS
def test_a_day_type_never_measured_is_forecast_from_the_newest_days(model: Model) -> None:
    past = a_past(
        lambda local: np.nan if local.weekday() >= 5 else 50.0 + wobble(local),
        first=FIRST,
        until=date(2025, 6, 28),
        step=HOUR,
    )
    saturday = asked(model, past, a_day(date(2025, 6, 28), step=HOUR))

    assert saturday[MEDIAN] == pytest.approx(np.full(24, 50.5), abs=3)


@MEMBERS
def test_a_feed_that_stopped_two_days_ago_is_forecast_from_before(model: Model) -> None:
    past = a_past(
        lambda local: np.nan if local.date() >= date(2025, 6, 21) else shift_work(local),
        first=FIRST,
        until=ISSUED,
        step=HOUR,
    )

    assert asked(model, past, a_day(ISSUED, step=HOUR))[MEDIAN][8:16].min() > 80


@MEMBERS
def test_three_weeks_are_too_little_and_it_says_so(model: Model) -> None:
    past = a_past(shift_work, first=date(2025, 6, 9), until=ISSUED, step=HOUR)

    with pytest.raises(PlanError, match="23 days"):
        model.fit(past)


@EVERY
def test_a_model_survives_the_way_to_another_process(model: Model) -> None:
    past = a_past(shift_work, first=FIRST, until=ISSUED, step=HOUR)
    fitted = model.fit(past)
    horizon = a_day(ISSUED, step=HOUR)

    again = pickle.loads(pickle.dumps(fitted))

    assert (again.quantiles(past, horizon) == fitted.quantiles(past, horizon)).all()


def test_a_temperature_that_is_known_ahead_is_used() -> None:
    # 1 kW more for each degree; the days' temperatures follow no order that the past could tell.
    def degc(local: datetime) -> float:
        return float(local.toordinal() * 7919 % 31)

    past = a_past(lambda local: 100 + degc(local), first=FIRST, until=ISSUED, step=HOUR)
    axis = Horizon(past.values.horizon.start, HOUR, past.values.horizon.steps + 48)
    known = Profile(axis, np.array([degc(at.astimezone(BERLIN)) for at in axis.starts()]))
    day = a_day(ISSUED, step=HOUR)
    came = 100 + np.array([degc(at.astimezone(BERLIN)) for at in day.starts()])

    without = np.abs(asked(REGRESSION, past, day)[MEDIAN] - came).mean()
    with_it = replace(past, regressors={"outdoor.degc": known})
    ours = np.abs(asked(REGRESSION, with_it, day)[MEDIAN] - came).mean()

    assert without > 3
    assert ours < 1
