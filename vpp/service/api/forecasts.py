"""Forecasts, as the newest plan has them or as they once were, and how they did."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from math import isfinite
from typing import Annotated

from pydantic import Field

from vpp.model.forecast import LEVELS, Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.time import local_date
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import (
    CandidateView,
    ChoiceView,
    ForecastScoresView,
    ForecastScoreView,
    ForecastsView,
    ForecastView,
)
from vpp.service.forecasting.jobs import Choice
from vpp.service.park.numbers import finite, listed
from vpp.service.plant import Plant
from vpp.wire import Moment, WireModel

SeriesName = Annotated[str, Field(max_length=80)]


class ForecastsQuery(WireModel):
    series: SeriesName | None = None
    """Only this series."""
    issued_at: Moment | None = None
    """As they were issued at this moment; not together with `known_by`."""
    known_by: Moment | None = None
    """The newest that were issued by then; those of the newest plan, where left out."""


class ScoresQuery(WireModel):
    series: SeriesName | None = None
    """Only this series."""
    days: Annotated[int, Field(ge=1, le=4000)] = 7
    """So many local days back, today included."""


async def list_forecasts(plant: Plant, call: Call[ForecastsQuery, Nothing]) -> ForecastsView:
    query = call.query
    if query.issued_at is not None and query.known_by is not None:
        raise HttpRefusal(
            "both `issued_at` and `known_by` are given",
            code="invalid_query",
            where="query",
            fix="Give one of them",
        )
    found = [f for f in await _asked_for(plant, query) if query.series in (None, f.series_id)]
    if not found and (query.series is not None or query.issued_at or query.known_by):
        raise HttpRefusal(
            "no such forecast is on record",
            code="unknown_series",
            where=f"forecasts of {query.series or 'all series'}",
            fix="Leave everything out to see what there is; old ones are kept `forecasts.keep_days`",
        )
    return ForecastsView(forecasts=[_forecast(f) for f in found])


async def _asked_for(plant: Plant, query: ForecastsQuery) -> list[Forecast]:
    """The forecasts of one issue: the newest, one by its moment, or the last one before another."""
    record = plant.desk.record
    if query.issued_at is not None:
        at = query.issued_at
        return await asyncio.to_thread(
            lambda: record.issued(since=at, until=at, series_id=query.series)
        )
    if query.known_by is None:
        return list(plant.forecasts)
    by = query.known_by
    since = by - timedelta(days=1)  # plans come at least once a day
    kept = await asyncio.to_thread(
        lambda: record.issued(since=since, until=by, series_id=query.series)
    )
    newest = {one.series_id: one for one in kept}
    return list(newest.values())


def _forecast(forecast: Forecast) -> ForecastView:
    horizon, quantiles = forecast.expected.horizon, forecast.quantiles
    return ForecastView(
        series_id=forecast.series_id,
        unit=forecast.unit,
        issued_at=forecast.issued_at,
        model=forecast.model,
        start=horizon.start,
        step_s=horizon.step // timedelta(seconds=1),
        values=listed(forecast.expected.values),
        levels=[] if quantiles is None else list(LEVELS),
        quantiles=[] if quantiles is None else [listed(row) for row in quantiles],
    )


async def list_scores(plant: Plant, call: Call[ScoresQuery, Nothing]) -> ForecastScoresView:
    desk, query = plant.desk, call.query
    since = local_date(call.now, plant.file.park.timezone) - timedelta(days=query.days - 1)
    sums: dict[ScoreKey, ScoreSums] = await asyncio.to_thread(lambda: desk.record.scores(since))
    total: dict[tuple[str, str, str], ScoreSums] = {}
    for key, one in sums.items():
        if query.series in (None, key.series_id):
            group = key.series_id, key.model, key.lead
            total[group] = total.get(group, ScoreSums()) + one
    return ForecastScoresView(
        since=since,
        scores=[_score(*group, one) for group, one in total.items()],
        choices=[
            _choice(choice) for name, choice in desk.choices.items() if query.series in (None, name)
        ],
    )


def _score(series_id: str, model: str, lead: str, sums: ScoreSums) -> ForecastScoreView:
    return ForecastScoreView(
        series_id=series_id,
        model=model,
        lead=lead,
        cases=sums.cases,
        mae=_short(sums.mae),
        nrmse=_short(sums.nrmse),
        pinball=_short(sums.mean_pinball),
        crps=_short(sums.mean_crps),
        coverage80=_short(sums.coverage80),
        coverage90=_short(sums.coverage90),
        naive_mae=_short(sums.naive_mae),
        skill=_short(sums.skill),
    )


def _short(value: float | None) -> float | None:
    """Six digits: more would say nothing."""
    return None if value is None or not isfinite(value) else float(f"{value:.6g}")


def _choice(choice: Choice) -> ChoiceView:
    return ChoiceView(
        series_id=choice.series_id,
        model=choice.model,
        trained_at=choice.trained_at,
        candidates=[
            CandidateView(
                model=name,
                cases=score.cases,
                mae=score.mae,
                crps=score.crps,
                coverage80=finite(score.coverage80),
            )
            for name, score in choice.scores.items()
        ],
        refused=dict(choice.refused),
        defects=list(choice.defects),
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/forecasts",
        "The forecasts of the newest plan, or as they once were issued, with their spread",
        list_forecasts,
        gives=ForecastsView,
        query=ForecastsQuery,
        codes=("unknown_series", "unavailable"),
    ),
    reading(
        "/v1/forecasts/scores",
        "How forecasts did by series, model and lead, against a naive one; and which model was chosen why",
        list_scores,
        gives=ForecastScoresView,
        query=ScoresQuery,
        codes=("unavailable",),
    ),
)
