"""Other forecasters on the same days: the questions as arrays on disk, answered by another interpreter.

statsforecast gets the values alone, as its models do; gradient boosting gets the matrix that our own
boosting model sees, for training and for each day. The latter forecasts loads alone. No peer sees what is not in the past of its day.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks._forecast.data import Series
from benchmarks._forecast.rolling import REFIT_DAYS, Run
from benchmarks._peer import ask
from benchmarks.harness import ROOT
from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.sense.forecast.rows import ahead, to_learn

WITHOUT_REGRESSORS = ("statsforecast-naive", "statsforecast-mstl")
WITH_REGRESSORS = ("lightgbm", "sklearn")
PEERS = (*WITHOUT_REGRESSORS, *WITH_REGRESSORS)

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]
"""What a peer is asked, by name."""

LIMIT_S = 7200.0


def run(peer: str, series: Series, days: Sequence[date]) -> Run | str:
    """A peer's forecasts of `days`, or why there are none.

    Raises:
        BrokenBenchmarkError: It is there and failed.
    """
    with TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "asked.npz", Path(folder) / "answered.npz"
        try:
            arrays = _values(series, days) if peer in WITHOUT_REGRESSORS else _matrix(series, days)
        except PlanError as error:
            return str(error)
        np.savez(asked, allow_pickle=False, levels=np.array(LEVELS), **arrays)
        why = _answer(peer, series.name, asked, answered)
        if why is not None:
            return why
        with np.load(answered) as answer:
            quantiles = [answer[f"day_{n}"] for n in range(len(days))]
            fit_s, issue_s = answer["fit_s"].tolist(), answer["issue_s"].tolist()
    return Run(
        model=peer,
        days=tuple(days),
        quantiles=quantiles,
        actual=[series.actual(series.target(day)) for day in days],
        fit_s=fit_s,
        issue_s=issue_s,
    )


def _answer(peer: str, name: str, asked: Path, answered: Path) -> str | None:
    """Let the peer answer; None where it did, else why it was not run."""
    python = os.environ.get("VPP_FORECAST_PEERS_PYTHON") or str(
        ROOT / ".venv-forecast-peers" / "bin" / "python"
    )
    command = (python, "-m", "benchmarks._forecast.peer_run", peer, str(asked), str(answered))
    done = ask(command, limit_s=LIMIT_S, about=f"{peer} on {name}")
    return done if isinstance(done, str) else None


def _values(series: Series, days: Sequence[date]) -> Arrays:
    """For each day how many values are known, which of them are defects, and which steps are asked for."""
    horizon = series.values.horizon
    known, first, last = [], [], []
    defects: dict[str, NDArray[np.generic]] = {}
    for n, day in enumerate(days):
        past, target = series.past_at(day), series.target(day)
        there = np.isfinite(past.values.values)
        known.append(int(np.flatnonzero(there)[-1]) + 1)
        defects[f"defects_{n}"] = np.flatnonzero(~there[: known[-1]])
        first.append(horizon.index(target.start))
        last.append(horizon.index(target.end))
    return {
        "values": series.values.values,
        "known": np.array(known),
        "first": np.array(first),
        "last": np.array(last),
        "steps_a_day": np.array(round(24 / horizon.step_hours)),
        **defects,
    }


def _matrix(series: Series, days: Sequence[date]) -> Arrays:
    """What our boosting model sees: to learn from at each fit, and of each day.

    What is to be learnt is, as for ours, what comes on top of the seasonal base.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    fit_of_day: list[int] = []
    fitted_on = days[0]
    for n, day in enumerate(days):
        past, horizon = series.past_at(day), series.target(day)
        if not fit_of_day or (day - fitted_on).days >= REFIT_DAYS:
            fitted_on = day
            fit = len(set(fit_of_day))
            seen, came = to_learn(past)
            arrays |= {f"train_x_{fit}": seen.matrix, f"train_y_{fit}": came - seen.base}
        fit_of_day.append(fit)
        rows = ahead(past, horizon)
        arrays |= {f"day_x_{n}": rows.matrix, f"day_base_{n}": rows.base}
    return {**arrays, "fit_of_day": np.array(fit_of_day)}
