"""PV: clear days, cloudy weather known ahead, and nights that are certain."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.resource import Panels
from vpp.sense.forecast.base import Past, Site
from vpp.sense.forecast.clearsky import ClearSky, ClearSkyPersistence, FittedClearSky
from vpp.sense.forecast.sun import Plane, clear_sky

HOUR = timedelta(hours=1)
SITE = Site(latitude_deg=48, longitude_deg=11)
START = datetime(2025, 5, 1, tzinfo=UTC)
DAYS = 40
AXIS = Horizon(START, HOUR, (DAYS + 2) * 24)
ROOF = Plane(tilt_deg=30, azimuth_deg=180, gain=0.1)
"""100 kW under the sun of a laboratory."""

MEDIAN = LEVELS.index(0.5)
QUICK = ClearSky(iterations=60, least_in_leaf=10)


@cache
def clouds() -> Floats:
    """How clear each hour is: 0.2 … 1, days that hang together."""
    rng = np.random.default_rng(11)
    days = rng.choice([1.0, 0.9, 0.6, 0.3], size=DAYS + 2)
    return np.clip(np.repeat(days, 24) + rng.normal(scale=0.03, size=AXIS.steps), 0.2, 1.0)


def a_past(clear: Floats, *, weather: Floats | None = None, issued: int = DAYS * 24) -> Past:
    """`clear` times the clear-sky power until the hour `issued`; weather is known to the end."""
    power = ROOF.clear(clear_sky(SITE, AXIS)) * clear
    return Past(
        series_id="available.roof",
        unit="kW",
        issued_at=START + issued * HOUR,
        values=Profile(Horizon(START, HOUR, issued), power[:issued]),
        calendar=Calendar(zone=ZoneInfo("Europe/Berlin")),
        regressors={} if weather is None else {"forecast.ghi": Profile(AXIS, weather)},
        site=SITE,
    )


TOMORROW = Horizon(START + DAYS * 24 * HOUR, HOUR, 48)


@cache
def cloudy() -> tuple[Past, FittedClearSky]:
    past = a_past(clouds(), weather=clear_sky(SITE, AXIS).ghi_w_per_m2 * clouds())
    return past, QUICK.fit(past)


def test_after_clear_days_comes_a_clear_day() -> None:
    past = a_past(np.ones(AXIS.steps))

    quantiles = QUICK.fit(past).quantiles(past, TOMORROW)

    clear = ROOF.clear(clear_sky(SITE, TOMORROW))
    assert np.abs(quantiles[MEDIAN] - clear).max() < 0.03 * clear.max()


def test_an_irradiance_known_ahead_is_followed() -> None:
    past, fitted = cloudy()
    real = (ROOF.clear(clear_sky(SITE, AXIS)) * clouds())[DAYS * 24 :]

    quantiles = fitted.quantiles(past, TOMORROW)

    assert fitted.regressors == ("forecast.ghi",)
    assert np.abs(quantiles[MEDIAN] - real).mean() < 0.1 * real.mean()


def test_where_the_irradiance_is_missing_the_spread_says_so() -> None:
    past, fitted = cloudy()
    unknown = clear_sky(SITE, AXIS).ghi_w_per_m2.copy()
    unknown[DAYS * 24 :] = np.nan

    quantiles = fitted.quantiles(
        replace(past, regressors={"forecast.ghi": Profile(AXIS, unknown)}), TOMORROW
    )

    assert np.isfinite(quantiles).all()
    assert quantiles[MEDIAN].max() > 20


def test_an_irradiance_measured_up_to_now_is_left_out() -> None:
    past = a_past(clouds())
    measured = clear_sky(SITE, past.values.horizon).ghi_w_per_m2
    past = replace(past, regressors={"measured.ghi": Profile(past.values.horizon, measured)})

    assert QUICK.fit(past).regressors == ()


def test_nights_are_zero_and_certain_and_no_quantile_is_negative() -> None:
    past, fitted = cloudy()

    quantiles = fitted.quantiles(past, TOMORROW)

    dark = clear_sky(SITE, TOMORROW).elevation_deg < 0
    assert dark.sum() > 12
    assert (quantiles[:, dark] == 0).all()
    assert (quantiles >= 0).all()
    assert (np.diff(quantiles, axis=0) >= 0).all()
    noon = quantiles[:, 11]
    assert noon[-1] > noon[0]


def test_it_can_be_issued_at_any_hour_and_carries_the_morning_on() -> None:
    """Days are all clear or all dull: at eleven the morning has said which."""
    days = np.random.default_rng(2).choice([1.0, 0.3], size=DAYS + 2)
    days[DAYS - 1 :] = (0.3, 0.3, 0.3)
    days[DAYS - 2] = 1.0
    clear = np.repeat(days, 24)
    issued = (DAYS - 1) * 24 + 10
    past = a_past(clear, issued=issued)

    quantiles = QUICK.fit(past).quantiles(past, Horizon(past.issued_at, HOUR, 4))

    sunny = ROOF.clear(clear_sky(SITE, Horizon(past.issued_at, HOUR, 4)))
    assert quantiles[MEDIAN].sum() < 0.5 * sunny.sum()


def test_panels_are_taken_as_built_by_both_models() -> None:
    """As measured they look south; the file says otherwise, and nobody looks for another plane."""
    built = Panels(tilt_deg=25.0, azimuth_deg=100.0)
    past = replace(a_past(np.ones(AXIS.steps)), site=replace(SITE, panels=built))

    for fitted in (QUICK.fit(past), ClearSkyPersistence().fit(past)):
        assert (fitted.plane.tilt_deg, fitted.plane.azimuth_deg) == (25, 100)


def test_without_a_site_it_is_refused() -> None:
    past = replace(a_past(clouds()), site=None)

    with pytest.raises(PlanError, match="latitude and longitude"):
        QUICK.fit(past)


def test_a_week_is_too_short() -> None:
    with pytest.raises(PlanError, match="10 days"):
        QUICK.fit(a_past(clouds(), issued=7 * 24))


def test_a_panel_that_never_gave_anything_is_refused() -> None:
    with pytest.raises(PlanError, match="never power"):
        QUICK.fit(a_past(np.zeros(AXIS.steps)))


def test_what_was_learnt_can_be_pickled() -> None:
    past, fitted = cloudy()

    again: FittedClearSky = pickle.loads(pickle.dumps(fitted))

    np.testing.assert_array_equal(again.quantiles(past, TOMORROW), fitted.quantiles(past, TOMORROW))


def test_persistence_takes_the_clearness_of_the_newest_day_that_shows_the_hour() -> None:
    """Issued at noon: the mornings are as clear as today's, the afternoons as yesterday's."""
    clear = np.ones(AXIS.steps)
    clear[(DAYS - 2) * 24 : (DAYS - 1) * 24] = 0.8
    clear[(DAYS - 1) * 24 :] = 0.5
    issued = (DAYS - 1) * 24 + 12
    past = a_past(clear, issued=issued)
    tomorrow = Horizon(START + DAYS * 24 * HOUR, HOUR, 24)

    quantiles = ClearSkyPersistence().fit(past).quantiles(past, tomorrow)

    sunny = ROOF.clear(clear_sky(SITE, tomorrow))
    assert quantiles[MEDIAN, 8] == pytest.approx(0.5 * sunny[8], rel=0.02)
    assert quantiles[MEDIAN, 15] == pytest.approx(0.8 * sunny[15], rel=0.02)
    assert (quantiles[:, sunny == 0] == 0).all()
    assert (np.diff(quantiles, axis=0) >= 0).all()


def test_persistence_passes_over_a_day_without_values() -> None:
    """The last day is lost but for its evening; the day before it was 0.6 clear, all others were 1."""
    clear = np.ones(AXIS.steps)
    clear[(DAYS - 2) * 24 :] = 0.6
    past = a_past(clear)
    values = past.values.values.copy()
    values[(DAYS - 1) * 24 : DAYS * 24 - 6] = np.nan
    past = replace(past, values=Profile(past.values.horizon, values))

    quantiles = ClearSkyPersistence().fit(past).quantiles(past, TOMORROW)

    sunny = ROOF.clear(clear_sky(SITE, TOMORROW))
    assert quantiles[MEDIAN, 8:14] == pytest.approx(0.6 * sunny[8:14], rel=0.03)
