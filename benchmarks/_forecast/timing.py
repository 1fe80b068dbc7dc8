"""How long our forecasts take: learning a year of quarter-hours, and one issue for a park of forty."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

import numpy as np

from benchmarks._forecast.data import SETS
from benchmarks._forecast.models import models
from benchmarks.harness import ROOT, Figure
from vpp.model.horizon import Horizon
from vpp.sense.forecast.scenarios import draw_scenarios, learn_dependence
from vpp.sense.forecast.trained import train

RESOURCES = 40
SCENARIOS = 50
AHEAD = timedelta(hours=48)
HEAVY = ("sklearn", "pandas", "pvlib", "holidays", "matplotlib", "lightgbm", "statsforecast")
DAEMON = ("vpp.service.run", "vpp.cli", "vpp.service.cycle")


def figures() -> list[Figure]:
    """Measured on this machine, in this process."""
    series = SETS["metal"].read()
    past = series.past_at(series.days[-2])
    began = perf_counter()
    trained = train(past, models(series.kind))
    train_s = perf_counter() - began

    # Whatever was taken: the park issues by the last candidate, which asks all the others.
    dearest = models(series.kind)[-1]
    trained = replace(trained, model=dearest.name, fitted=dearest.fit(past))
    park = [replace(trained, series_id=f"load.{n}") for n in range(RESOURCES)]
    pasts = [replace(past, series_id=f"load.{n}") for n in range(RESOURCES)]
    tracks = [replace(one.track, series_id=one.series_id) for one in park]
    step = past.values.horizon.step
    horizon = Horizon(past.issued_at, step, AHEAD // step)
    began = perf_counter()
    dependence = learn_dependence(tracks, step=step, steps=horizon.steps)
    learn_s = perf_counter() - began
    began = perf_counter()
    forecasts = [one.issue(known, horizon) for one, known in zip(park, pasts, strict=True)]
    draw_scenarios(forecasts, dependence, SCENARIOS, np.random.default_rng(1))
    issue_s = perf_counter() - began
    days = len(past.values.values) * step // timedelta(days=1)
    return [
        Figure(name=f"training, {days} days of 15 min, {len(models(series.kind))} candidates",
               measured=train_s, unit="s", at_most=60),
        Figure(name=f"one issue: {RESOURCES} series by {dearest.name}, {horizon.steps} steps,"
               f" {SCENARIOS} scenarios",
               measured=issue_s, unit="s", at_most=2),
        Figure(name=f"what errors of {RESOURCES} series share, learnt once a day",
               measured=learn_s, unit="s"),
        Figure(name="heavy libraries that the daemon imports", measured=len(_imported()), at_most=0),
    ]  # fmt: skip


def _imported() -> list[str]:
    """Which of the heavy libraries come in with the daemon."""
    code = f"import sys, {', '.join(DAEMON)}; print(*(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()
