"""Forecasts for one plan: learnt models by the forecaster, all else by the seasonal baseline.

    what was learnt ▸ forecaster ──────────┐
    the rest, and all where it is ill ▸    ├▸ record ▸ plan
        baseline, or neighbours (standin)──┘

A forecaster that is ill costs nothing but skill: that it is, is told once, and stands in the model's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon
from vpp.model.time import local_date
from vpp.service.bids.curves import scenarios_drawn
from vpp.service.events import Severity
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob
from vpp.service.forecasting.past import known_past
from vpp.service.forecasting.possible import bounds_of, possible
from vpp.service.forecasting.scoring import keep
from vpp.service.forecasting.standin import by_baseline, by_neighbours
from vpp.service.forecasting.watched import series_watched
from vpp.service.plant import Plant

STAND_IN = "+stand-in"
"""In the model of a forecast that the baseline made in place of a learnt model."""


async def issue(
    plant: Plant, needed: Sequence[str], horizon: Horizon, now: datetime
) -> dict[str, Forecast]:
    """Forecast every series that a plan needs, and those that are watched, from what is known at `now`.

    A watched series without history enough is left out until it has.

    Raises:
        PlanError: A series that the plan needs has no history to go by, and no neighbour that has.
        DataError: Such a series was never given.
    """
    desk = plant.desk
    names = list(dict.fromkeys([*needed, *series_watched(plant)]))
    unlearnt = [name for name in names if not desk.has_learnt(name)]
    unmodelled, borrowed = _unmodelled(plant, unlearnt, names, needed, horizon, now)
    answer = await _ask(plant, names, unmodelled, needed, horizon, now)
    forsaken = [name for name in names if name not in answer.forecasts and desk.has_learnt(name)]
    standing_in, borrowed_too = _unmodelled(plant, forsaken, names, needed, horizon, now)
    desk.borrowed = borrowed | borrowed_too
    forecasts = {}
    for name in names:
        if name in answer.forecasts:
            forecasts[name] = answer.forecasts[name]
        elif name in standing_in:
            one = standing_in[name]
            forecasts[name] = replace(one, model=one.model + STAND_IN)
        elif name in unmodelled:
            forecasts[name] = unmodelled[name]
    bounds = bounds_of(plant.file.park)
    forecasts = {name: possible(forecast, bounds) for name, forecast in forecasts.items()}
    desk.scenarios = answer.scenarios
    desk.errors |= answer.errors
    plant.forecasts = tuple(forecasts.values())
    await keep(plant, plant.forecasts, now)
    return forecasts


def _unmodelled(
    plant: Plant,
    names: Sequence[str],
    all_names: Sequence[str],
    needed: Sequence[str],
    horizon: Horizon,
    now: datetime,
) -> tuple[dict[str, Forecast], set[str]]:
    """Forecasts of `names` without a model: by the baseline, and where a plan needs one, by neighbours.

    And which are by neighbours.
    """
    found, lacking = by_baseline(plant, names, horizon, now)
    lent = {name: lacking[name] for name in needed if name in lacking}
    if not lent:
        return found, set()
    lenders, _ = by_baseline(plant, [n for n in all_names if n not in found], horizon, now)
    return found | by_neighbours(plant, lent, lenders | found, now), set(lent)


async def _ask(
    plant: Plant,
    names: Sequence[str],
    unmodelled: Mapping[str, Forecast],
    needed: Sequence[str],
    horizon: Horizon,
    now: datetime,
) -> Issued:
    """What the forecaster makes of the series it has learnt; nothing where it is ill, which is told once."""
    desk, settings = plant.desk, plant.file.forecasts
    nothing = Issued(forecasts={}, failed={}, scenarios=None, errors={})
    learnt = [name for name in names if desk.has_learnt(name)]
    scenarios = scenarios_drawn(plant, horizon, now)
    if not learnt and not scenarios:
        return nothing
    known = [known_past(plant, name, now=now, until=horizon.end) for name in learnt]
    today = local_date(now, plant.file.park.timezone)
    answer = await desk.forecaster.issue(
        IssueJob(
            issued_at=now,
            horizon=horizon,
            pasts=tuple(one(now) for one in known),
            update=tuple(one for one in known if desk.updated_on.get(one.series_id) != today),
            rules={
                name: rules for name in learnt if (rules := settings.cleaning_of(name)) is not None
            },
            others=tuple(unmodelled[name] for name in needed if name not in learnt),
            drawn=frozenset(needed),
            scenarios=scenarios,
            seed=desk.seed,
        ),
        hard_s=settings.issue_s,
    )
    _tell(plant, learnt, answer, now)
    if isinstance(answer, Ill):
        return nothing
    desk.updated_on |= dict.fromkeys(learnt, today)
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
