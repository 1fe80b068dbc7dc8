"""Models learn when the service starts and once a week, from what was known and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.resource import Generator, Panels
from vpp.model.time import QUARTER, isoformat, local_date
from vpp.sense.cleaning import CleaningRules
from vpp.sense.forecast.base import Site
from vpp.service import inputs
from vpp.service.forecasting.forecaster import Answer
from vpp.service.forecasting.inline import InlineForecaster
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob, TrainJob
from vpp.service.forecasting.learning import CHOICE, learn, weekly_moment
from vpp.service.forecasting.schema import (
    CleaningSection,
    ForecastsSection,
    RetrainSection,
    SeriesForecastSection,
    SiteSection,
)
from vpp.service.plant import Plant

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
"""A Tuesday."""

LOAD, PRICE = "power.office-base", "price.day-ahead.se3"


class Counting(InlineForecaster):
    """An inline forecaster that remembers what it was asked to learn."""

    def __init__(self, *, ill: bool = False) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.rules: dict[str, list[CleaningRules | None]] = {}
        self.sites: dict[str, list[Site | None]] = {}
        self.rests = 0
        self.ill = ill

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        self.asked.append(job.seen.series_id)
        self.rules[job.seen.series_id] = [job.rules]
        self.sites[job.seen.series_id] = [job.seen.site]
        return Ill(reason="killed") if self.ill else await super().train(job, hard_s=hard_s)

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        for name, rules in self.rules.items():
            rules.append(job.rules.get(name))
        for past in job.pasts:
            self.sites[past.series_id].append(past.site)
        return await super().issue(job, hard_s=hard_s)

    async def rest(self) -> None:
        self.rests += 1


def forecasts(plant: Plant, now: datetime = NOW) -> dict[str, Forecast]:
    horizon = inputs.horizon_of(plant, now)
    return asyncio.run(issue(plant, inputs.series_needed(plant), horizon, now))


def test_every_series_is_learnt_at_the_start_and_then_forecast_by_its_model(fed: Plant) -> None:
    assert {f.model.removesuffix("+known") for f in forecasts(fed).values()} == {
        "seasonal-baseline/1"
    }

    asyncio.run(learn(fed, NOW))

    assert list(fed.desk.choices) == inputs.series_needed(fed)
    assert {f.model.removesuffix("+known") for f in forecasts(fed).values()} == {"same-weekday/1"}


def test_who_learns_and_who_issues_clean_a_series_by_what_the_park_file_says(fed: Plant) -> None:
    entry = SeriesForecastSection(
        match=LOAD, model="same-weekday", cleaning=CleaningSection(zero_is_missing=True)
    )
    others = SeriesForecastSection(match="*", model="same-weekday")
    fed.file = replace(fed.file, forecasts=ForecastsSection(series=[entry, others]))
    fed.desk.forecaster = counting = Counting()

    asyncio.run(learn(fed, NOW))
    forecasts(fed)

    assert counting.rules[LOAD] == [CleaningRules(zero_is_missing=True)] * 2
    assert counting.rules["power.steel-furnaces"] == [CleaningRules()] * 2
    assert counting.rules[PRICE] == [None] * 2


def test_who_learns_and_who_issues_know_where_a_plant_is_and_how_its_panels_stand(
    fed: Plant,
) -> None:
    south = Panels(tilt_deg=30, azimuth_deg=180)
    resources = tuple(
        replace(r, panels=south) if isinstance(r, Generator) else r for r in fed.file.park.resources
    )
    forecasting = fed.file.forecasts.model_copy(
        update={"site": SiteSection(latitude_deg=59.3, longitude_deg=18.1)}
    )
    fed.file = replace(
        fed.file, park=replace(fed.file.park, resources=resources), forecasts=forecasting
    )
    fed.desk.forecaster = counting = Counting()

    asyncio.run(learn(fed, NOW))
    forecasts(fed)

    site = Site(latitude_deg=59.3, longitude_deg=18.1)
    assert counting.sites["available.metal-pv"] == [replace(site, panels=south)] * 2
    assert counting.sites[LOAD] == [site] * 2


def test_a_series_is_learnt_anew_when_the_weeks_moment_has_come_and_not_before(fed: Plant) -> None:
    fed.desk.forecaster = counting = Counting()
    sunday_3_local = datetime(2025, 12, 7, 2, tzinfo=UTC)
    moments = {
        "start": NOW,
        "a quarter later": NOW + QUARTER,
        "just before": sunday_3_local - QUARTER,
        "the moment": sunday_3_local,
        "after it": sunday_3_local + QUARTER,
    }

    learnt = {}
    for name, now in moments.items():
        counting.asked = []
        asyncio.run(learn(fed, now))
        learnt[name] = len(counting.asked)

    series = len(inputs.series_needed(fed))
    assert learnt == {
        "start": series,
        "a quarter later": 0,
        "just before": 0,
        "the moment": series,
        "after it": 0,
    }
    assert counting.rests == 2


def test_a_service_that_starts_between_two_boundaries_learns_at_once(fed: Plant) -> None:
    asyncio.run(learn(fed, NOW + timedelta(minutes=7)))

    assert list(fed.desk.choices) == inputs.series_needed(fed)
    assert fed.desk.choices[LOAD].trained_at == NOW


@pytest.mark.parametrize(
    ("day", "hour", "now", "moment"),
    [
        pytest.param("sun", 3, "2025-12-02T10:00", "2025-11-30T02:00", id="last Sunday"),
        pytest.param("tue", 11, "2025-12-02T10:00", "2025-12-02T10:00", id="this very moment"),
        pytest.param("tue", 12, "2025-12-02T10:00", "2025-11-25T11:00", id="an hour too early"),
        pytest.param("sun", 3, "2025-10-26T12:00", "2025-10-26T02:00", id="on a clock change"),
    ],
)
def test_the_weeks_moment_is_local(fed: Plant, day: str, hour: int, now: str, moment: str) -> None:
    retrain = RetrainSection(day=day, hour=hour)  # type: ignore[arg-type]
    fed.file = replace(fed.file, forecasts=ForecastsSection(retrain=retrain))

    at = weekly_moment(fed, datetime.fromisoformat(now + "+00:00"))

    assert isoformat(at) == moment + ":00Z"


def test_the_choice_is_on_record_with_its_scores(fed: Plant) -> None:
    both = SeriesForecastSection(match="*", candidates=["same-weekday", "mean-of-last"])
    fed.file = replace(fed.file, forecasts=ForecastsSection(series=[both]))
    asyncio.run(learn(fed, NOW))

    entry = fed.journal.find(CHOICE, f"{LOAD}/{isoformat(NOW)}")

    assert entry is not None
    body = msgspec.json.decode(entry.body)
    assert body["model"] in ("same-weekday/1", "mean-of-last/1")
    assert set(body["scores"]) == {"same-weekday/1", "mean-of-last/1"}
    chosen = body["scores"][body["model"]]
    assert chosen["crps"] == min(score["crps"] for score in body["scores"].values())
    assert 0.5 < chosen["coverage80"] < 1


def test_who_did_not_learn_today_still_sees_what_came_since_yesterday(fed: Plant) -> None:
    asyncio.run(learn(fed, NOW))
    forecasts(fed)
    tomorrow, zone = NOW + timedelta(days=1), fed.file.park.timezone
    del fed.desk.tried_at[LOAD]  # its turn alone comes

    asyncio.run(learn(fed, tomorrow))
    up_to_date = {
        one for one, on in fed.desk.updated_on.items() if on == local_date(tomorrow, zone)
    }
    forecasts(fed, tomorrow)

    assert up_to_date == {LOAD}
    assert set(fed.desk.updated_on.values()) == {local_date(tomorrow, zone)}
    assert fed.desk.errors[PRICE].origins[-1] > NOW


def test_a_learner_that_fails_is_told_and_tried_again_next_week(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    fed.desk.forecaster = counting = Counting(ill=True)

    asyncio.run(learn(fed, NOW))
    asyncio.run(learn(fed, NOW + QUARTER))

    assert len(counting.asked) == len(inputs.series_needed(fed))
    assert f"{LOAD} was not learnt, the seasonal baseline goes on: killed" in told(
        fed, "forecasting"
    )


def test_a_model_that_cannot_learn_anew_leaves_the_one_before_in_force(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    asyncio.run(learn(fed, NOW))
    without_site = SeriesForecastSection(match="*", model="clear-sky-persistence")
    fed.file = replace(fed.file, forecasts=ForecastsSection(series=[without_site]))

    asyncio.run(learn(fed, NOW + timedelta(days=7)))

    assert fed.desk.choices[PRICE].model == "same-weekday/1"
    assert any(
        text.startswith(f"{PRICE} was not learnt, same-weekday/1 goes on")
        for text in told(fed, "forecasting")
    )


# ---------------------------------------------------------------- what may be known


def tomorrow(plant: Plant, series_id: str) -> None:
    """Values of the coming day arrive, measured as each interval ends: nobody knows them at `NOW`."""
    plant.series.put_profile(
        series_id,
        unit="kW",
        profile=Profile(Horizon(NOW, QUARTER, 96), np.full(96, -12_345.0)),
        known_at="interval_end",
        source="test",
    )


def test_neither_models_nor_baseline_peek_past_known_by(fed: Plant) -> None:
    """What is measured after the issue changes nothing: neither what is learnt nor what is forecast."""
    by_baseline = forecasts(fed)
    asyncio.run(learn(fed, NOW))
    by_model = forecasts(fed)

    tomorrow(fed, LOAD)
    fed.desk.choices, fed.desk.tried_at, fed.desk.spreads_of = {}, {}, None
    assert same(by_baseline[LOAD], forecasts(fed)[LOAD])
    fed.desk.updated_on = {}
    asyncio.run(learn(fed, NOW))
    assert same(by_model[LOAD], forecasts(fed)[LOAD])


def test_who_asks_with_a_later_known_by_sees_it(fed: Plant) -> None:
    """The counterpart: the test above would see a peek, for a day later the values do change it all."""
    a_day_later = NOW + timedelta(days=1)
    before = forecasts(fed, a_day_later)

    tomorrow(fed, LOAD)

    assert not same(before[LOAD], forecasts(fed, a_day_later)[LOAD])


def same(one: Forecast, other: Forecast) -> bool:
    assert one.quantiles is not None
    assert other.quantiles is not None
    return one.model == other.model and bool((one.quantiles == other.quantiles).all())


# ---------------------------------------------------------------- what the plan is handed


def test_scenarios_of_every_series_are_drawn_where_the_plan_asks_for_them(fed: Plant) -> None:
    fed.file = replace(fed.file, planning=fed.file.planning.model_copy(update={"scenarios": 6}))
    asyncio.run(learn(fed, NOW))
    del fed.desk.choices[LOAD]  # one that is forecast by the baseline is drawn too

    found = forecasts(fed)
    drawn = fed.desk.scenarios

    assert drawn is not None
    assert set(drawn.values) == set(found)
    assert drawn.count == 6
    spread = drawn.values[LOAD].std(axis=0)
    assert spread.mean() > 1
    forecasts(fed)
    assert fed.desk.scenarios is not None
    assert (fed.desk.scenarios.values[LOAD] == drawn.values[LOAD]).all()
