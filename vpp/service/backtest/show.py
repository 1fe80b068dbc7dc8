"""A back-test for people: how far it is while it runs, and the rows side by side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from vpp.model.time import Interval
from vpp.service.backtest.backtest import Backtest
from vpp.service.backtest.rows import Row
from vpp.service.demo.bars import Bars
from vpp.service.park.parkfile import ParkFile

MARKET = ("day_ahead", "quarter_hour", "imbalance", "deviation")
"""Causes that `market` is made of where the venue's books say so."""


class Meter(Bars):
    """A context in which `update` moves one bar for each life."""

    def __init__(self, file: ParkFile, span: Interval, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[when]}"),
        )
        self._zone = file.park.timezone
        self._span = span
        self._began: dict[str, datetime] = {}
        self._tasks: dict[str, TaskID] = {}

    def update(self, name: str, now: datetime) -> None:
        """Show where the life of that name stands."""
        began = self._began.setdefault(name, now)
        if name not in self._tasks:
            self._tasks[name] = self.bar.add_task(escape(name), total=1.0, when="")
        self.bar.update(
            self._tasks[name],
            completed=min((now - began) / (self._span.end - began), 1.0),
            when=f"{now.astimezone(self._zone):%a %d %b %H:%M}",
        )


def show_backtest(result: Backtest, console: Console) -> None:
    """Print the rows as one table."""
    options, park = result.options, result.file.park
    zone, span = park.timezone, options.span
    table = Table(
        title=f"{park.park_id}: {span.start.astimezone(zone):%Y-%m-%d %H:%M} …"
        f" {span.end.astimezone(zone):%Y-%m-%d %H:%M}, a plan every"
        f" {options.every.total_seconds() / 3600:g} h, seed {options.seed}"
    )
    table.add_column(f"cost by cause, {park.currency}")
    for row in result.rows:
        table.add_column(escape(row.title), justify="right")
    for cause in causes_of(result.rows):
        table.add_row(cause.replace("_", " "), *(_cost(row, cause) for row in result.rows))
    table.add_section()
    table.add_row("total", *(f"{row.cost:,.2f}" for row in result.rows))
    table.add_row("value captured", *(captured(row) for row in result.rows))
    table.add_row("quarter-hours with a limit broken", *(share(broken(row)) for row in result.rows))
    table.add_row(
        "lost by late trades", *(_played(row, row.late_trade_loss) for row in result.rows)
    )
    table.add_row("lost by imbalance", *(_played(row, row.imbalance_loss) for row in result.rows))
    table.add_row(
        "plans, failed",
        *(f"{row.plans}, {row.plans_failed}" if row.plans else "–" for row in result.rows),
    )
    if any(row.plans_hedged for row in result.rows):
        table.add_row(
            "made for several futures",
            *(f"{row.plans_hedged}" if row.plans else "–" for row in result.rows),
        )
    table.add_row(
        "cycles without a fresh plan",
        *(share(row.fallback_share if row.plans else None) for row in result.rows),
    )
    table.add_row(
        "wall time, s", *(f"{row.wall_s:.0f}" if row.wall_s else "–" for row in result.rows)
    )
    console.print(table)
    for line in verdicts(result):
        console.print(line, markup=False)


def verdicts(result: Backtest) -> Iterator[str]:
    """How each further life stands to the first, in words."""
    first, currency = result.lives[0], result.file.park.currency
    for life in result.lives[1:]:
        less = first.cost - life.cost
        better = sum(
            one.cost < other.cost for one, other in zip(life.days, first.days, strict=True)
        )
        worse = "less" if less >= 0 else "more"
        yield (
            f"{life.name} costs {abs(less):,.2f} {currency} {worse} than {first.name}"
            f" ({abs(less) / max(abs(first.cost), 0.01):.2%}), cheaper on {better} of"
            f" {len(first.days)} days; carbon {life.carbon_kgco2 - first.carbon_kgco2:+,.0f} kg,"
            f" full cycles of storages {life.cycles - first.cycles:+,.2f},"
            f" highest draw {life.highest_draw_kw - first.highest_draw_kw:+,.0f} kW"
        )


def causes_of(rows: tuple[Row, ...]) -> list[str]:
    """Every cause that costs something in some row, in the rows' own order."""
    found = dict.fromkeys(cause for row in rows for cause in ("market", *row.causes))
    return [
        c for c in found if c not in MARKET and any(abs(cost_of(r, c) or 0) >= 0.005 for r in rows)
    ]


def cost_of(row: Row, cause: str) -> float | None:
    """What a cause cost; None where nobody was billed, as in foresight."""
    if not row.causes:
        return None
    if cause == "market" and "market" not in row.causes:
        return sum(row.causes.get(kind, 0.0) for kind in MARKET)
    return row.causes.get(cause)


def _cost(row: Row, cause: str) -> str:
    cost = cost_of(row, cause)
    return "–" if cost is None else f"{cost:,.2f}"


def captured(row: Row) -> str:
    """Value captured, in words."""
    if row.value_captured is None:
        return "none to be had" if row.null_because else "–"
    return f"{row.value_captured:.1%}"


def broken(row: Row) -> float | None:
    """The largest share of quarter-hours with a broken limit, of all kinds of places."""
    return max(row.violations.values()) if row.violations else None


def share(share: float | None) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{share:.2%}"


def _played(row: Row, cost: float) -> str:
    return f"{cost:,.2f}" if row.plans else "–"
