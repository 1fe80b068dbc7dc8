"""Forecasts for one plan: learnt models by the forecaster, all else by the seasonal baseline.

    what was learnt ▸ forecaster ──────────┐
    the rest, and all where it is ill      ├▸ published values in place of forecasts ▸ plan
        ▸ baseline with measured spread ───┘

A forecaster that is ill costs nothing but skill: that it is, is told once, and stands in the model's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon
from vpp.model.time import local_date
from vpp.sense.forecast.seasonal import with_known
from vpp.sense.forecast.spread import measure
from vpp.service.events import Severity
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob
from vpp.service.forecasting.past import past_of
from vpp.service.plant import Plant

STAND_IN = "+stand-in"
"""In the model of a forecast that the baseline made in place of a learnt model."""


async def issue(
    plant: Plant, needed: Sequence[str], horizon: Horizon, now: datetime
) -> dict[str, Forecast]:
    """Forecast every series that a plan needs, from what is known at `now`.

    Raises:
        PlanError: A series has no history to go by.
        DataError: A series that the plan needs was never given.
    """
    desk = plant.desk
    by_baseline = _by_baseline(plant, needed, horizon, now)
    answer = await _ask(plant, [name for name in needed if desk.has_learnt(name)], horizon, now)
    forecasts = {}
    for name, standing_in in by_baseline.items():
        forecast = answer.forecasts.get(name)
        if forecast is None:
            forecast = standing_in
            if desk.has_learnt(name):
                forecast = replace(forecast, model=forecast.model + STAND_IN)
        forecasts[name] = with_known(plant.series, forecast, now)
    desk.scenarios = answer.scenarios
    plant.forecasts = tuple(forecasts.values())
    return forecasts


def _by_baseline(
    plant: Plant, needed: Sequence[str], horizon: Horizon, now: datetime
) -> dict[str, Forecast]:
    """The seasonal baseline of each series, with the spread it had lately, measured once a day."""
    desk, calendar = plant.desk, plant.file.calendar
    issued = desk.baseline.issue(plant.series, needed, horizon, now)
    if desk.spreads_of != local_date(now, calendar.zone):
        desk.spreads, desk.spreads_of = {}, local_date(now, calendar.zone)
    fresh = [name for name in needed if name not in desk.spreads]
    if fresh:
        desk.spreads |= measure(desk.baseline, plant.series, fresh, now)
    return {
        f.series_id: replace(f, quantiles=desk.spreads[f.series_id].around(f.expected, calendar))
        for f in issued
    }


async def _ask(plant: Plant, names: Sequence[str], horizon: Horizon, now: datetime) -> Issued:
    """What the forecaster makes of the series it has learnt; nothing where it is ill, which is told once."""
    desk, settings = plant.desk, plant.file.forecasts
    nothing = Issued(forecasts={}, failed={}, scenarios=None)
    if not names:
        return nothing
    job = IssueJob(
        issued_at=now,
        horizon=horizon,
        pasts=tuple(
            past_of(
                plant.series,
                name,
                settings,
                plant.file.calendar_of(name),
                issued_at=now,
                until=horizon.end,
            )
            for name in names
        ),
        scenarios=plant.file.planning.scenarios,
        seed=desk.seed,
    )
    answer = await desk.forecaster.issue(job, hard_s=settings.issue_s)
    _tell(plant, names, answer, now)
    return nothing if isinstance(answer, Ill) else answer


def _tell(plant: Plant, names: Sequence[str], answer: Issued | Ill, now: datetime) -> None:
    """Say once that the forecaster, or the model of a series, makes no forecast, and once that it does again."""
    desk = plant.desk
    ill = answer.reason if isinstance(answer, Ill) else None
    if ill is not None and desk.ill is None:
        plant.events.emit(
            "forecasting",
            f"no model forecasts, the seasonal baseline stands in: {ill}",
            at=now,
            severity=Severity.WARNING,
        )
    if ill is None and desk.ill is not None:
        plant.events.emit("forecasting", "forecasts come from their models again", at=now)
    desk.ill = ill
    if isinstance(answer, Ill):
        return
    for name in names:
        why = answer.failed.get(name)
        if why is not None and name not in desk.failing:
            plant.events.emit(
                "forecasting",
                f"the model of {name} fails, the seasonal baseline stands in: {why}",
                at=now,
                severity=Severity.WARNING,
                series_id=name,
            )
    desk.failing = dict(answer.failed)
