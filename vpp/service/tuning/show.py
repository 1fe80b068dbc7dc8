"""A preview as people read it at a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from vpp.model.time import isoformat
from vpp.wirestrategies import PreviewFiguresView, PreviewView

MOST_BIDS = 10


def show_preview(seen: PreviewView, console: Console) -> None:
    """Differences, figures under old and new, and the bids that change."""
    console.print(f"{seen.old_version} -> {seen.new_version}: {seen.state}, {seen.took_s:.1f} s")
    for line in seen.changes or ["nothing changes"]:
        console.print(f"  {line}", highlight=False, markup=False)
    table = Table("", "", "cost", "peak kW", "kg CO2", "cycles", title=None)
    if seen.backtest is not None:
        for day in seen.backtest.days:
            _add(table, day.day.isoformat(), day.old, day.new)
        if len(seen.backtest.days) > 1:
            _add(table, "all days", seen.backtest.old, seen.backtest.new)
    if seen.plan is not None:
        _add(table, f"plan to {isoformat(seen.plan.end)}", seen.plan.old, seen.plan.new)
    if table.row_count:
        console.print(table)
    for name, why in (("back-test", seen.no_backtest), ("plan", seen.no_plan)):
        if why is not None:
            console.print(f"no {name}: {why}", highlight=False, markup=False)
    _show_bids(seen, console)


def _add(table: Table, what: str, old: PreviewFiguresView, new: PreviewFiguresView) -> None:
    table.add_row(what, "old", *_figures(old))
    table.add_row("", "new", *_figures(new))
    table.add_row("", "change", *_change(old, new), end_section=True)


def _figures(one: PreviewFiguresView) -> tuple[str, str, str, str]:
    cycles = "" if one.cycles is None else f"{one.cycles:.2f}"
    return f"{one.cost:.2f}", f"{one.peak_import_kw:.0f}", f"{one.carbon_kgco2:.0f}", cycles


def _change(old: PreviewFiguresView, new: PreviewFiguresView) -> tuple[str, str, str, str]:
    cycles = "" if old.cycles is None or new.cycles is None else f"{new.cycles - old.cycles:+.2f}"
    return (
        f"{new.cost - old.cost:+.2f}",
        f"{new.peak_import_kw - old.peak_import_kw:+.0f}",
        f"{new.carbon_kgco2 - old.carbon_kgco2:+.0f}",
        cycles,
    )


def _show_bids(seen: PreviewView, console: Console) -> None:
    if seen.plan is None:
        return
    console.print(
        f"{seen.plan.bids_changed} of {seen.plan.bids_compared} bids change, at the expected price"
        " (MW, selling above 0):"
    )
    for bid in seen.plan.bids[:MOST_BIDS]:
        old, new = ("nothing" if mw is None else f"{mw:+f}" for mw in (bid.old_mw, bid.new_mw))
        what = f"  {bid.product} {isoformat(bid.start)}: {old} becomes {new}"
        console.print(what, highlight=False, markup=False)
    if (more := seen.plan.bids_changed - MOST_BIDS) > 0:
        console.print(f"  and {more} more")
