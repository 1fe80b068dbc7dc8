"""A forecast for people: the next days by the hour, and a table of scores by lead beside the naive models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from math import isfinite

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from vpp.model.forecast import LEVELS
from vpp.service.forecasting.command import Forecasted

HOUR = timedelta(hours=1)
MOST_ROWS = 48
SHOWN = (0.1, 0.5, 0.9)
"""Quantiles that stand in the table; `--json` has all."""

OVERALL = "all leads"
FOOTNOTE = (
    "* the naive model with the least MAE; less is better, but for the shares that lie within the"
    " 0.1-0.9 and the 0.05-0.95 quantiles. Fans are calibrated by what had come before each origin."
)


def show_forecast(result: Forecasted, console: Console, *, scored: bool) -> None:
    """Print what a person looks at first; `--json` has the rest."""
    for line in _head(result):
        console.print(line, highlight=False, markup=False)
    if scored:
        console.print(_scores(result))
        console.print(FOOTNOTE, highlight=False, markup=False)
    else:
        console.print(_hours(result))


def _head(result: Forecasted) -> Iterator[str]:
    choice, past = result.chosen.choice, result.past
    zone = past.calendar.zone
    how = "chosen among" if result.asked == "auto" else "asked for; beside"
    yield (
        f"{past.series_id} in {past.unit}: {result.forecast.model}, {how} {len(choice.scores)} models"
        f" on {choice.window.start.astimezone(zone):%Y-%m-%d} …"
        f" {choice.window.end.astimezone(zone):%Y-%m-%d}, times of {zone.key}"
    )
    for name, why in choice.refused.items():
        yield f"{name} could not forecast: {why}"
    for finding in result.findings:
        yield f"found in the series: {finding}"


def _scores(result: Forecasted) -> Table:
    """One row for each model and lead, the chosen model first."""
    choice = result.chosen.choice
    table = Table(box=SIMPLE_HEAD, title=f"scores, {result.past.unit}", title_justify="left")
    table.add_column("lead", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for name in ("MAE", "of *", "nRMSE", "pinball", "CRPS", "of *", "in 80 %", "in 90 %"):
        table.add_column(name, justify="right", no_wrap=True)
    naive = result.best_naive
    order = [choice.model, *(name for name in choice.scores if name != choice.model)]
    for lead in (OVERALL, *choice.scores[choice.model].by_lead):
        marked = None
        if naive is not None:
            scores = choice.scores[naive]
            marked = scores.overall if lead == OVERALL else scores.by_lead.get(lead)
        for i, name in enumerate(order):
            scores = choice.scores[name]
            one = scores.overall if lead == OVERALL else scores.by_lead.get(lead)
            if one is None:
                continue
            table.add_row(
                lead if i == 0 else "",
                name.partition("/")[0] + (" *" if name == naive else ""),
                _number(one.mae),
                _share(one.mae, None if marked is None else marked.mae),
                _percent(one.nrmse),
                _number(one.pinball),
                _number(one.crps),
                _share(one.crps, None if marked is None else marked.crps),
                _percent(one.coverage80),
                _percent(one.coverage90),
                style="bold" if i == 0 else None,
            )
        table.add_section()
    return table


def _hours(result: Forecasted) -> Table:
    """Means of each hour (or each step, where steps are longer)."""
    forecast, zone = result.forecast, result.past.calendar.zone
    quantiles = forecast.quantiles
    assert quantiles is not None  # what is trained always says its spread
    horizon = forecast.expected.horizon
    each = max(HOUR // horizon.step, 1)
    table = Table(box=SIMPLE_HEAD, title=f"forecast, {forecast.unit}", title_justify="left")
    for name in ("from", "expected", *(f"{level:g}" for level in SHOWN)):
        table.add_column(name, justify="left" if name == "from" else "right")
    for row in range(min(-(-horizon.steps // each), MOST_ROWS)):
        steps = slice(row * each, (row + 1) * each)
        start = (horizon.start + row * each * horizon.step).astimezone(zone)
        courses = [forecast.expected.values, *(quantiles[LEVELS.index(one)] for one in SHOWN)]
        numbers = [_number(float(np.mean(one[steps]))) for one in courses]
        table.add_row(f"{start:%a %d %b %H:%M}", *numbers)
    return table


def _number(value: float) -> str:
    """Four figures, as many as an error deserves."""
    if value == 0 or not isfinite(value):
        return "0" if value == 0 else "-"
    decimals = max(3 - int(np.floor(np.log10(abs(value)))), 0)
    return f"{value:,.{min(decimals, 6)}f}"


def _share(value: float, of: float | None) -> str:
    return "-" if of is None or not of > 0 else f"{value / of:.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if isfinite(value) else "-"
