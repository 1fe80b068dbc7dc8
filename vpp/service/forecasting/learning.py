"""Models learn: when the service starts, and once a week, one series after the other.

A choice goes to the journal with its scores. What was learnt is not on disk: after a restart it is
learnt again, from the same history, and until then the seasonal baseline forecasts, which the model of
each forecast says. Models are pickles, and who can write into a data folder would run code by them; a
digest beside a pickle is written by the same hand. Kept ones would also have to be given up whenever
our code, a library, the history or the park file changes. That is much for the minutes that it saves.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, time, timedelta

import msgspec

from vpp.errors import DataError, UnavailableError
from vpp.model.time import QUARTER, isoformat, latest_boundary, local_date, local_moment
from vpp.service import inputs
from vpp.service.events import Severity
from vpp.service.forecasting.forecaster import Answer
from vpp.service.forecasting.jobs import Choice, Ill, TrainJob
from vpp.service.forecasting.past import known_past
from vpp.service.forecasting.watched import long_enough, series_watched
from vpp.service.park.schematypes import DAYS
from vpp.service.plant import Plant
from vpp.service.record import append

CHOICE = "forecast-choice"
"""Kind of journal entries."""


async def learn(plant: Plant, now: datetime) -> None:
    """Let every series whose turn has come be learnt; until it is, its last model forecasts."""
    needed = inputs.series_needed(plant)
    watched = [name for name in series_watched(plant) if long_enough(plant, name, now)]
    names = dict.fromkeys([*needed, *watched])
    due = [name for name in names if _is_due(plant, name, now)]
    if not due:
        return
    plant.desk.tried_at |= dict.fromkeys(due, now)
    learning = [asyncio.create_task(_learn(plant, name, now), name=f"learn {name}") for name in due]
    try:
        # In the order of the series, whoever is ready first: the record is the same each time.
        for name, task in zip(due, learning, strict=True):
            await _adopt(plant, name, await task, now)
        # Who has just learnt is up to date; the others still have to see what came since yesterday.
        plant.desk.updated_on |= dict.fromkeys(due, local_date(now, plant.file.park.timezone))
    finally:
        for task in learning:
            task.cancel()
        await asyncio.gather(*learning, return_exceptions=True)
        await plant.desk.forecaster.rest()


def _is_due(plant: Plant, series_id: str, now: datetime) -> bool:
    """Never tried, or not since the week's moment came."""
    if not plant.series.has(series_id):
        return False
    tried_at = plant.desk.tried_at.get(series_id)
    return tried_at is None or tried_at < weekly_moment(plant, now)


def weekly_moment(plant: Plant, now: datetime) -> datetime:
    """The newest moment, not after `now`, at which models are to learn anew."""
    retrain, zone = plant.file.forecasts.retrain, plant.file.park.timezone
    today = local_date(now, zone)
    back = (today.weekday() - DAYS.index(retrain.day)) % 7
    day = today - timedelta(days=back)
    moment = local_moment(day, time(retrain.hour), zone)
    if moment > now:
        moment = local_moment(day - timedelta(days=7), time(retrain.hour), zone)
    return moment


async def _learn(plant: Plant, series_id: str, now: datetime) -> Answer | Ill:
    settings, issued_at = plant.file.forecasts, latest_boundary(now, QUARTER)
    horizon = inputs.horizon_of(plant, issued_at)
    try:
        known = known_past(plant, series_id, now=issued_at, until=horizon.end)
    except DataError as error:
        return Ill(reason=str(error))
    job = TrainJob(
        seen=known,
        issued_at=issued_at,
        candidates=settings.candidates_of(series_id),
        horizon=horizon.end - issued_at,
        rules=settings.cleaning_of(series_id),
    )
    return await plant.desk.forecaster.train(job, hard_s=settings.train_s)


async def _adopt(plant: Plant, series_id: str, answer: Answer | Ill, now: datetime) -> None:
    """Go by what was learnt, and put on record what was chosen and why."""
    if isinstance(answer, Ill):
        _tell(plant, series_id, answer.reason, now)
        return
    choice, errors = answer
    plant.metrics.forecasts.learnt(choice.seconds)
    if errors is None:
        reasons = "; ".join(f"{name}: {why}" for name, why in choice.refused.items())
        _tell(plant, series_id, reasons, now)
    else:
        plant.desk.choices[series_id], plant.desk.errors[series_id] = choice, errors
    key = f"{series_id}/{isoformat(now)}"
    with suppress(UnavailableError):  # said and counted there; forecast all the same
        await append(plant, CHOICE, key, msgspec.json.encode(_entry(choice)), now=now)


def _entry(choice: Choice) -> dict[str, object]:
    """A choice as it stands in the journal; how long it took is the machine's, not the record's."""
    return {
        "model": choice.model,
        "scores": {name: asdict(score) for name, score in choice.scores.items()},
        "refused": dict(choice.refused),
        "defects": list(choice.defects),
    }


def _tell(plant: Plant, series_id: str, why: str, now: datetime) -> None:
    standing = plant.desk.choices.get(series_id)
    goes_on = "the seasonal baseline" if standing is None else standing.model
    plant.events.emit(
        "forecasting",
        f"{series_id} was not learnt, {goes_on} goes on: {why}",
        at=now,
        severity=Severity.WARNING,
        series_id=series_id,
    )
