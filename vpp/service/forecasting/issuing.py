"""Forecasts for one plan: learnt models by the forecaster, all else by the seasonal baseline.

    what was learnt ▸ forecaster ──────────┐
    the rest, and all where it is ill      ├▸ published values in place of forecasts ▸ plan
        ▸ baseline with measured spread ───┘

A forecaster that is ill costs nothing but skill: that it is, is told once, and stands in the model's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon
from vpp.model.time import local_date
from vpp.sense.forecast.seasonal import with_known
from vpp.sense.forecast.spread import measure
from vpp.service.events import Severity
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob
from vpp.service.forecasting.past import seen
from vpp.service.forecasting.scoring import keep
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
    by_baseline = {
        name: with_known(plant.series, forecast, now)
        for name, forecast in _by_baseline(plant, needed, horizon, now).items()
    }
    answer = await _ask(plant, by_baseline, horizon, now)
    forecasts = {}
    for name, forecast in by_baseline.items():
        if desk.has_learnt(name):
            standing_in = replace(forecast, model=forecast.model + STAND_IN)
            forecasts[name] = answer.forecasts.get(name, standing_in)
        else:
            forecasts[name] = forecast
    desk.scenarios = answer.scenarios
    desk.errors |= answer.errors
    plant.forecasts = tuple(forecasts.values())
    await keep(plant, plant.forecasts, now)
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


async def _ask(
    plant: Plant, by_baseline: Mapping[str, Forecast], horizon: Horizon, now: datetime
) -> Issued:
    """What the forecaster makes of the series it has learnt; nothing where it is ill, which is told once."""
    desk, settings, calendar = plant.desk, plant.file.forecasts, plant.file.calendar
    nothing = Issued(forecasts={}, failed={}, scenarios=None, errors={})
    names = [name for name in by_baseline if desk.has_learnt(name)]
    scenarios = plant.file.planning.scenarios
    if not names and not scenarios:
        return nothing
    known = [
        seen(
            plant.series,
            name,
            settings,
            plant.file.calendar_of(name),
            now=now,
            until=horizon.end,
        )
        for name in names
    ]
    today = local_date(now, calendar.zone)
    answer = await desk.forecaster.issue(
        IssueJob(
            issued_at=now,
            horizon=horizon,
            pasts=tuple(one(now) for one in known),
            update=() if desk.updated_on == today else tuple(known),
            others=tuple(f for name, f in by_baseline.items() if name not in names),
            scenarios=scenarios,
            seed=desk.seed,
        ),
        hard_s=settings.issue_s,
    )
    _tell(plant, names, answer, now)
    if isinstance(answer, Ill):
        return nothing
    desk.updated_on = today
    return answer


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
