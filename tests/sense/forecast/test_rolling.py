"""The rolling back-test: what a model is shown at an origin, and what is written down beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.sense.forecast.makings import HOUR, LONDON, START, LastValue, Yesterday, a_past, hourly
from vpp.errors import DataError, PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.base import Fitted, Past
from vpp.sense.forecast.pasts import CutPast, StoredPast
from vpp.sense.forecast.rolling import Track, origins_between, roll_on, rolling, with_actual
from vpp.sense.series import SeriesStore

DAY = timedelta(days=1)


def medians(track: Track) -> Floats:
    return track.quantiles[:, LEVELS.index(0.5)]


class Peeker:
    """A model that says what it was shown of the hour it shall forecast: its best is not to know."""

    name = "peeker/1"

    def fit(self, past: Past) -> Fitted:
        assert past.values.horizon.end <= past.issued_at
        return self

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        whole = past.values.values.base  # what a view of a longer array would give away
        assert whole is None or whole.size <= past.values.values.size
        assert past.values.horizon.end <= past.issued_at <= horizon.start
        for regressor in past.regressors.values():
            assert np.isnan(regressor.values[regressor.horizon.index(past.issued_at) :]).all()
        return np.full((9, horizon.steps), -1.0)


def test_a_model_that_tries_to_peek_past_its_origin_finds_nothing() -> None:
    past = a_past(hourly(float, 72))
    past = replace(past, regressors={"outdoor.site": past.values})

    track = rolling(Peeker(), past, [START + 24 * HOUR, START + 37 * HOUR], 24, DAY)

    assert track.actual[0].tolist() == list(range(24, 48))
    assert (track.quantiles == -1).all()


def test_each_row_stands_beside_what_came_after_its_origin() -> None:
    past = a_past(hourly(float, 10))

    track = rolling(LastValue(), past, [START + 4 * HOUR, START + 8 * HOUR], 3, DAY)

    assert medians(track).tolist() == [[3, 3, 3], [7, 7, 7]]
    assert track.actual[0].tolist() == [4, 5, 6]
    np.testing.assert_array_equal(track.actual[1], [8, 9, np.nan])  # the third is not measured yet


def test_a_forecast_issued_within_a_step_begins_with_the_next_one() -> None:
    track = rolling(LastValue(), a_past(hourly(float, 10)), [START + 4.5 * HOUR], 2, DAY)

    assert medians(track).tolist() == [[3, 3]]
    assert track.actual.tolist() == [[5, 6]]


def test_the_model_learns_anew_only_when_that_is_due() -> None:
    learnt: list[int] = []

    class Counting(LastValue):
        def fit(self, past: Past) -> Fitted:
            learnt.append(past.values.horizon.steps)
            return super().fit(past)

    origins = [START + hours * HOUR for hours in (24, 36, 48, 60, 72)]
    rolling(Counting(), a_past(hourly(float, 96)), origins, 1, DAY)

    assert learnt == [24, 48, 72]


def test_an_origin_without_a_forecast_says_why_and_the_others_stand() -> None:
    values = hourly(float, 72)
    values[30] = np.nan
    past = a_past(values)

    track = rolling(Yesterday(1.0), past, [START + 24 * HOUR, START + 48 * HOUR], 24, DAY)

    assert list(track.failed) == [START + 48 * HOUR]
    assert "no yesterday" in track.failed[START + 48 * HOUR]
    assert np.isnan(track.quantiles[1]).all()
    assert np.isfinite(track.quantiles[0]).all()


def test_a_past_too_short_for_the_model_fails_as_the_model_does() -> None:
    with pytest.raises(PlanError, match="needs 100 steps"):
        rolling(LastValue(least_history=100), a_past(hourly(float, 72)), [START + DAY], 1, DAY)


def test_origins_of_all_series_lie_on_one_grid_and_meet_every_hour_of_the_day() -> None:
    origins = origins_between(START, START + 13 * DAY)
    later = origins_between(START + 5 * DAY, START + 13 * DAY)

    assert set(later) <= set(origins)
    assert {at.hour for at in origins} == set(range(24))


def test_published_prices_are_known_to_the_end_of_tomorrow_from_their_hour_on() -> None:
    berlin = Calendar(zone=ZoneInfo("Europe/Berlin"))
    start = datetime(2026, 3, 27, 23, tzinfo=UTC)  # 28 March 00:00; the 29th has 23 hours
    past = a_past(hourly(float, 72), start=start, calendar=berlin)
    known = CutPast(past=past, published_at=time(12, 45))

    before = known(datetime(2026, 3, 28, 11, 44, tzinfo=UTC))
    after = known(datetime(2026, 3, 28, 11, 45, tzinfo=UTC))

    assert before.values.horizon.steps == 24
    assert after.values.horizon.steps == 24 + 23


def test_what_was_published_before_the_origin_is_no_forecast_and_not_scored() -> None:
    past = a_past(hourly(float, 72))
    known = CutPast(past=past, published_at=time(12, 45))

    track = rolling(LastValue(), past, [START + 13 * HOUR], 48, DAY, past_at=known)

    assert np.isnan(track.actual[0, :35]).all()  # to the end of the second day
    assert track.actual[0, 35:].tolist() == list(range(48, 61))


def test_regressors_are_shown_as_far_ahead_as_is_said_and_no_farther() -> None:
    past = a_past(hourly(float, 72))
    past = replace(past, regressors={"outdoor.site": past.values})

    cut = CutPast(past=past, regressors_ahead=DAY)(START + DAY)

    shown = cut.regressors["outdoor.site"].values
    assert shown[:48].tolist() == list(range(48))
    assert np.isnan(shown[48:]).all()


@pytest.mark.parametrize(
    ("hours", "what"),
    [
        pytest.param(73, "known only at", id="later than the past was issued"),
        pytest.param(0, "nothing was known", id="before the first value"),
    ],
)
def test_a_cut_outside_the_past_is_refused(hours: int, what: str) -> None:
    with pytest.raises(DataError, match=what):
        CutPast(past=a_past(hourly(float, 72)))(START + hours * HOUR)


def test_the_store_shows_an_origin_what_had_been_issued_by_then() -> None:
    store = SeriesStore()
    horizon = Horizon(START, HOUR, 48)
    for issued_hours, value, revision in ((20, 5.0, 1), (30, 6.0, 2)):
        store.put_profile(
            "outdoor.site",
            unit="degC",
            profile=Profile.constant(horizon, value),
            known_at=START + issued_hours * HOUR,
            source="provider",
            revision=revision,
        )
    store.put_profile(
        "power.press",
        unit="kW",
        profile=Profile(horizon, hourly(float, 48)),
        known_at="interval_end",
        source="meter",
    )
    past_at = StoredPast(
        store=store,
        series_id="power.press",
        calendar=LONDON,
        step=HOUR,
        history=DAY,
        ahead=DAY,
        regressors=("outdoor.site",),
    )

    past = past_at(START + 24 * HOUR)

    assert past.values.values.tolist() == list(range(24))
    assert set(past.regressors["outdoor.site"].values.tolist()) == {5.0}
    assert past.regressors["outdoor.site"].horizon.end == START + 48 * HOUR


def test_what_has_come_since_is_filled_in_without_asking_the_model_again() -> None:
    known = rolling(LastValue(), a_past(hourly(float, 8)), [START + 6 * HOUR], 4, DAY)
    np.testing.assert_array_equal(known.actual[0], [6, 7, np.nan, np.nan])

    later = with_actual(known, a_past(hourly(float, 12)))

    assert later.actual[0].tolist() == [6, 7, 8, 9]
    assert medians(later).tolist() == medians(known).tolist()


def test_a_model_that_has_learnt_can_be_rolled_on_without_learning() -> None:
    past = a_past(hourly(float, 48))

    track = roll_on(LastValue(), "last/1", past, [START + 30 * HOUR], 2)

    assert medians(track).tolist() == [[29, 29]]
    assert date(2026, 1, 6) == track.starts(0).start.date()
