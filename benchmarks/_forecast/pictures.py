"""Pictures of the forecasts of one set: whether levels hold what they say, and a week of fans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks._forecast.data import Series
from benchmarks._forecast.models import AUTO
from benchmarks._forecast.rolling import Run
from benchmarks._forecast.scores import HIGH, LOW, MEDIAN, reliability
from vpp.model.forecast import LEVELS

FAN_DAYS = 7
"""The days in the middle of the window that are drawn."""


def draw(series: Series, runs: Sequence[Run], folder: Path) -> None:
    """Write `SET-reliability.png` with all models, and `SET-fan.png` with `auto`, or the last one."""
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    _reliability(series, runs, folder / f"{series.name}-reliability.png")
    shown = next((run for run in runs if run.model == AUTO), runs[-1])
    _fan(series, shown, folder / f"{series.name}-fan.png")


def _reliability(series: Series, runs: Sequence[Run], path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 5.5))
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as it says")
    for run in runs:
        axes.plot(
            LEVELS, reliability(run.all_quantiles, run.all_actual), marker=".", label=run.model
        )
    axes.set(
        title=f"{series.name}: what came lay at or below",
        xlabel="level of the quantile",
        ylabel="share of steps",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _fan(series: Series, run: Run, path: Path) -> None:
    from matplotlib import pyplot as plt

    first = max(len(run.days) // 2 - FAN_DAYS // 2, 0)
    some = slice(first, first + FAN_DAYS)
    fan = np.concatenate(run.quantiles[some], axis=1)
    came = np.concatenate(run.actual[some])
    hours = np.arange(came.size) * series.values.horizon.step_hours
    figure, axes = plt.subplots(figsize=(12, 4.5))
    axes.fill_between(hours, fan[0], fan[-1], alpha=0.2, color="C0", label="5 to 95 %")
    axes.fill_between(hours, fan[LOW], fan[HIGH], alpha=0.3, color="C0", label="10 to 90 %")
    axes.plot(hours, fan[MEDIAN], color="C0", label="median")
    axes.plot(hours, came, color="black", linewidth=0.9, label="what came")
    axes.set(
        title=f"{series.name}, {run.model}: day-ahead from {run.days[first]}",
        xlabel="hours",
        ylabel=series.unit,
    )
    axes.legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
