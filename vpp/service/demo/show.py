"""A demo for people: progress on a terminal while it runs, tables at its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from vpp.model.time import parse_utc
from vpp.service.demo.demo import DemoOptions, live, open_demo
from vpp.service.demo.progress import Progress
from vpp.service.demo.summary import summarise
from vpp.service.demo.summaryparts import rows_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.run import keep_start

LITTLE = timedelta(days=1)
"""What plans look ahead at least: in a shorter span much of what they do has not paid yet."""


async def demonstrate(file: ParkFile, options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run the demo from start to summary; says where its page is.

    Raises:
        ConfigError: The park cannot be simulated, or a port or folder cannot be used.
        UnavailableError: A child process does not come up, or dies.
        PlanError, DataError: The run cannot be scored honestly.
    """
    async with open_demo(file, options) as (run, clock):
        console.print(f"park {file.park.name} at {run.address}", highlight=False)
        if (path := run.plant.tuning.path) is not None:
            console.print(f"its strategies, to be changed: {path}", highlight=False, markup=False)
        keep_start()
        with Progress(run, Console(stderr=True)) as progress:
            await live(run, clock, progress.update)
        return await summarise(run)


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary as tables."""
    currency = summary["currency"]
    money = Table(title=f"{summary['park']}: {summary['span_start']} … {summary['span_end']}")
    money.add_column("cost by cause")
    for name in ("doing nothing", "ours"):
        money.add_column(name, justify="right")
    for cause, nothing in summary["bill_nothing"].items():
        ours = summary["bill_ours"][cause]
        money.add_row(cause.replace("_", " "), f"{nothing:,.2f}", f"{ours:,.2f}")
    money.add_section()
    money.add_row(
        f"total, {currency}", f"{summary['cost_nothing']:,.2f}", f"{summary['cost_ours']:,.2f}"
    )
    console.print(money)
    facts = Table(show_header=False)
    facts.add_row("saved", f"{summary['saved']:,.2f} {currency}")
    facts.add_row("perfect foresight would have cost", f"{summary['cost_foresight']:,.2f}")
    captured = summary["value_captured"]
    why_not = summary.get("value_captured_null_because", "none to be had")
    facts.add_row("value captured", why_not if captured is None else f"{captured:.1%}")
    facts.add_row(
        "telemetry", f"{summary['telemetry_messages']:,} messages, {summary['messages_lost']} lost"
    )
    facts.add_row(
        "plans",
        f"{summary['plans']}, {summary['plans_fallback']} failed,"
        f" {summary['plan_s_median']:.2f} s each, {summary['plan_s_max']:.2f} s at most",
    )
    facts.add_row("bids, awards", f"{summary['bids']:,}, {summary['awards']:,}")
    facts.add_row("set-points", f"{summary['setpoints']:,}")
    if summary["device_faults"]:
        fired = ", ".join(f"{kind} {n:,}" for kind, n in summary["device_faults"].items())
        facts.add_row("messages, commands and steps at fault", fired)
    facts.add_row(
        "owed, delivered",
        f"{summary['energy_owed_kwh']:,.0f} kWh, {summary['energy_delivered_kwh']:,.0f} kWh",
    )
    facts.add_row("carbon of imports", f"{summary['carbon_kgco2']:,.0f} kg CO2")
    for name, said in rows_of(summary):
        facts.add_row(name, said)
    console.print(facts)
    if _length(summary) < LITTLE:
        console.print(
            "A span of less than a day says little: what is bought or stored for later hours costs now and"
            " earns after it. `--for 24h` scores a day.",
            markup=False,
        )
    members = Table(title="statements of the enterprises")
    members.add_column("enterprise")
    members.add_column(f"to get (to pay below 0), {currency}", justify="right")
    for enterprise, total in summary["statements"].items():
        members.add_row(enterprise, f"{Decimal(total):,}")
    console.print(members)


def _length(summary: Mapping[str, Any]) -> timedelta:
    """How long the scored span is."""
    start, end = (parse_utc(summary[key], where=key) for key in ("span_start", "span_end"))
    return end - start
