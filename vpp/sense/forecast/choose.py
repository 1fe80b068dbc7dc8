"""Which model forecasts a series best: each candidate is tried on the series' own past.

The newest part of the past is the window. Every candidate forecasts it from the same origins,
knowing only what was known there, and its fan is calibrated by what had come before (`conformal.py`),
as it is in service: a model is not lost for a spread that is mended anyway. The first quarter of
the window serves the calibration alone. The least CRPS wins, and the simpler model wins ties: a
candidate must beat the best named before it by `MARGIN` to be taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.time import Interval
from vpp.sense.forecast.base import Model, Past
from vpp.sense.forecast.conformal import calibrated_track, sign_bounds
from vpp.sense.forecast.pasts import PastAt
from vpp.sense.forecast.rolling import ORIGINS_EVERY, Track, origins_between, rolling
from vpp.sense.forecast.scores import Scores, scores

MARGIN = 0.01
"""A later candidate must have a CRPS lower by this share than the best of the earlier ones."""

MOST_FAILED = 0.1
"""A candidate that could not forecast from more than this share of the origins is out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How candidates are tried."""

    horizon: timedelta = timedelta(hours=48)
    """How far each forecast of the trial reaches."""

    window: timedelta = timedelta(days=56)
    """The newest part of the past that is forecast; at most half of the past."""

    every: timedelta = ORIGINS_EVERY
    refit_every: timedelta = timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The record of one choice."""

    series_id: str
    model: str
    """Name and version of the model taken."""

    chosen_at: datetime
    window: Interval
    """From the first origin to the end of what was known."""

    scores: Mapping[str, Scores]
    """By model name, of calibrated fans, over the same origins (the later three quarters)."""

    refused: Mapping[str, str]
    """Candidates that failed, and why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """A choice with what it was made from."""

    choice: Choice
    model: Model
    """The one taken."""

    tracks: Mapping[str, Track]
    """By name, of every model that could forecast, as it came from the model."""


def choose(
    candidates: Sequence[Model],
    past: Past,
    trial: Trial | None = None,
    *,
    past_at: PastAt | None = None,
) -> Chosen:
    """Try all candidates (the simplest first) on the newest part of `past` and take the best.

    Raises:
        DataError: No candidate, or two of one name.
        PlanError: Every candidate failed; says why each did.
    """
    trial = trial or Trial()
    names = [model.name for model in candidates]
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"candidates are {names}",
            where=f"choice for {past.series_id}",
            fix="Give at least one model, each once",
        )
    origins = trial_origins(past, trial)
    tracks: dict[str, Track] = {}
    refused: dict[str, str] = {}
    for model in candidates:
        try:
            tracks[model.name] = _tried(model, past, origins, trial, past_at)
        except (PlanError, DataError) as error:
            refused[model.name] = str(error)
    if not tracks:
        raise PlanError(
            f"no model can forecast it: {refused}",
            where=f"choice for {past.series_id}",
            fix="Give a longer past, or a profile of the enterprise",
        )
    # Only origins at which every model left could forecast are compared.
    common = [
        i for i, at in enumerate(origins) if not any(at in one.failed for one in tracks.values())
    ]
    scored = {name: scores(as_issued(track.rows(common), past)) for name, track in tracks.items()}
    best = best_of({name: one.overall.crps for name, one in scored.items()})
    return Chosen(
        choice=Choice(
            series_id=past.series_id,
            model=best,
            chosen_at=past.issued_at,
            window=Interval(origins[0], past.issued_at),
            scores=scored,
            refused=refused,
        ),
        model=candidates[names.index(best)],
        tracks=tracks,
    )


def as_issued(track: Track, past: Past) -> Track:
    """The later three quarters of a track, calibrated by what had come before each origin."""
    rows = len(track.origins)
    return calibrated_track(track, past.calendar, sign_bounds(past)).rows(range(rows // 4, rows))


def best_of(crps: Mapping[str, float]) -> str:
    """The name taken, of scores in the order of simplicity."""
    best, least = "", np.inf
    for name, value in crps.items():
        if value < least * (1 - MARGIN) or not best:
            best, least = name, value
    return best


def trial_origins(past: Past, trial: Trial) -> tuple[datetime, ...]:
    """The origins of the trial: on the common grid, as late as something of each can be scored.

    Raises:
        PlanError: The past is too short for a single one.
    """
    horizon = past.values.horizon
    known = np.flatnonzero(~np.isnan(past.values.values))
    first_known = horizon.start + (int(known[0]) if known.size else horizon.steps) * horizon.step
    length = min(trial.window, (past.issued_at - first_known) / 2)
    origins = origins_between(
        past.issued_at - length, past.issued_at - min(length / 2, timedelta(hours=24)), trial.every
    )
    if not origins:
        raise PlanError(
            f"{past.issued_at - first_known} of history is too short to try a model on",
            where=f"choice for {past.series_id}",
            fix="Wait for two days of history, or name the model",
        )
    return origins


def _tried(
    model: Model,
    past: Past,
    origins: tuple[datetime, ...],
    trial: Trial,
    past_at: PastAt | None,
) -> Track:
    steps = trial.horizon // past.values.horizon.step
    track = rolling(model, past, origins, steps, trial.refit_every, past_at=past_at)
    if len(track.failed) > MOST_FAILED * len(origins):
        raise PlanError(
            f"could not forecast from {len(track.failed)} of {len(origins)} origins:"
            f" {next(iter(track.failed.values()))}",
            where=model.name,
            fix="Give a longer past, or another model",
        )
    return track
