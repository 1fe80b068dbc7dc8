"""A back-test for people: how far it is while it runs, and the rows side by side."""

from __future__ import annotations

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
    for cause in _causes(result.rows):
        table.add_row(cause.replace("_", " "), *(_cost(row, cause) for row in result.rows))
    table.add_section()
    table.add_row("total", *(f"{row.cost:,.2f}" for row in result.rows))
    table.add_row("value captured", *(_captured(row) for row in result.rows))
    table.add_row(
        "quarter-hours with a limit broken", *(_share(_broken(row)) for row in result.rows)
    )
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
        *(_share(row.fallback_share if row.plans else None) for row in result.rows),
    )
    table.add_row(
        "wall time, s", *(f"{row.wall_s:.0f}" if row.wall_s else "–" for row in result.rows)
    )
    console.print(table)


def _causes(rows: tuple[Row, ...]) -> list[str]:
    """Every cause that costs something in some row, in the rows' own order."""
    found = dict.fromkeys(cause for row in rows for cause in ("market", *row.causes))
    return [c for c in found if c not in MARKET and any(abs(_of(r, c) or 0) >= 0.005 for r in rows)]


def _of(row: Row, cause: str) -> float | None:
    if not row.causes:
        return None
    if cause == "market" and "market" not in row.causes:
        return sum(row.causes.get(kind, 0.0) for kind in MARKET)
    return row.causes.get(cause)


def _cost(row: Row, cause: str) -> str:
    cost = _of(row, cause)
    return "–" if cost is None else f"{cost:,.2f}"


def _captured(row: Row) -> str:
    if row.value_captured is None:
        return "none to be had" if row.null_because else "–"
    return f"{row.value_captured:.1%}"


def _broken(row: Row) -> float | None:
    return max(row.violations.values()) if row.violations else None


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _played(row: Row, cost: float) -> str:
    return f"{cost:,.2f}" if row.plans else "–"
