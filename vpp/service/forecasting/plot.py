"""A picture of a forecast: what was, the fan of what comes, a forecast of before with what came, coverage.

matplotlib is an extra, imported only when a picture is asked for; see `planning/picture.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp.errors import ConfigError
from vpp.model.forecast import LEVELS, mean_of
from vpp.model.horizon import Floats, Horizon
from vpp.service.forecasting.command import Forecasted
from vpp.service.planning.picture import DEMAND, GRID, INK, MOVED, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_DAYS = timedelta(days=5)
"""So much of the past stands before the fan."""

BANDS = ((0.05, 0.95, 0.18), (0.1, 0.9, 0.22), (0.2, 0.8, 0.26), (0.3, 0.7, 0.3))
"""Lower and upper level, and how dark: the layers add up."""


def draw_forecast(result: Forecasted, target: Path) -> None:
    """Draw a forecast into a PNG file.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 9), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, 5)
    ahead, before = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, :3])
    covered = figure.add_subplot(grid[1, 3:])
    _draw_ahead(ahead, result)
    _draw_before(before, result)
    _draw_coverage(covered, result)
    for ax in (ahead, before, covered):
        ax.grid(color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        ax.legend(loc="best", framealpha=0.6, edgecolor="none", fontsize="small")
    for ax in (ahead, before):
        _clock_axis(ax, result)
    figure.suptitle(f"{result.past.series_id}: {result.forecast.model}", color=INK)
    try:
        figure.savefig(target, format="png")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(target), fix="Name another file"
        ) from error


def _draw_ahead(ax: Axes, result: Forecasted) -> None:
    """The last days, and the fan of the next ones."""
    past, forecast = result.past.values, result.forecast
    first = max(past.horizon.steps - SHOWN_DAYS // past.horizon.step, 0)
    shown = Horizon(
        past.horizon.start + first * past.horizon.step,
        past.horizon.step,
        past.horizon.steps - first,
    )
    _line(ax, result, shown, past.values[first:], color=INK, linewidth=1.1, label="measured")
    assert forecast.quantiles is not None  # what is trained always says its spread
    _fan(ax, result, forecast.expected.horizon, forecast.quantiles)
    ax.set_title("the last days, and what is expected", loc="left", fontsize="medium")
    ax.set_ylabel(forecast.unit)


def _draw_before(ax: Axes, result: Forecasted) -> None:
    """The newest forecast of the back-test that has come in whole, beside what came."""
    track = result.track
    known = np.isfinite(track.actual).mean(axis=1)
    row = int(np.flatnonzero(known == known.max())[-1])
    _fan(ax, result, track.starts(row), track.quantiles[row])
    look: dict[str, Any] = {"color": INK, "linewidth": 1.1, "label": "what came"}
    _line(ax, result, track.starts(row), track.actual[row], **look)
    issued = track.origins[row].astimezone(result.past.calendar.zone)
    ax.set_title(f"as forecast at {issued:%a %d %b %H:%M}", loc="left", fontsize="medium")
    ax.set_ylabel(result.past.unit)


def _draw_coverage(ax: Axes, result: Forecasted) -> None:
    """The share of values at or below each quantile: on the line where quantiles are true."""
    track = result.track
    fan = np.moveaxis(track.quantiles, 1, 0)
    # A certain value that was met says nothing of the spread.
    use = np.isfinite(track.actual) & np.isfinite(fan[0]) & (fan[-1] > fan[0])
    if use.any():
        # A value on the quantile itself counts half: zeros of a load that stands still are on all.
        below = (track.actual < fan)[:, use].mean(axis=1)
        shares = below + (track.actual == fan)[:, use].mean(axis=1) / 2
        look: dict[str, Any] = {"color": MOVED, "marker": "o", "linewidth": 1.4}
        ax.plot(LEVELS, shares, label=f"{int(use.sum()):,} values", **look)
    ax.plot([0, 1], [0, 1], color=DEMAND, linewidth=1, linestyle="--", label="as promised")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_title("coverage in the back-test", loc="left", fontsize="medium")
    ax.set_xlabel("level of the quantile")
    ax.set_ylabel("share of values below it")


def _fan(ax: Axes, result: Forecasted, horizon: Horizon, quantiles: Floats) -> None:
    moments = _edges(result, horizon)
    for low, high, dark in BANDS:
        ax.fill_between(
            moments,
            _held(quantiles[LEVELS.index(low)]),
            _held(quantiles[LEVELS.index(high)]),
            step="post",
            color=MOVED,
            alpha=dark,
            linewidth=0,
            label="0.05 … 0.95" if low == LEVELS[0] else None,
        )
    mean = mean_of(quantiles)
    _line(ax, result, horizon, mean, color=MOVED, linewidth=1.4, label="expected")


def _line(ax: Axes, result: Forecasted, horizon: Horizon, values: Floats, **look: Any) -> None:
    """A line that stays level over each step."""
    ax.step(_edges(result, horizon), _held(values), where="post", **look)


def _held(values: Floats) -> Floats:
    held: Floats = np.append(values, values[-1])
    return held


def _edges(result: Forecasted, horizon: Horizon) -> list[datetime]:
    """Beginnings of the steps and the end of the last, on the clock of the zone at the issue."""
    offset = result.forecast.issued_at.astimezone(result.past.calendar.zone).utcoffset()
    assert offset is not None
    return [
        (horizon.start + k * horizon.step + offset).replace(tzinfo=None)
        for k in range(horizon.steps + 1)
    ]


def _clock_axis(ax: Axes, result: Forecasted) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=12)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlabel(f"time of {result.past.calendar.zone.key}, as the clock stands at the issue")
    ax.margins(x=0.01)
