"""A report for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp.wireresult import AttributionView, PeriodResultView

EFFECTS = {
    "forecast": "loads and weather were otherwise than forecast",
    "price": "prices were otherwise than expected",
    "delivery": "control and devices did otherwise than the newest plan; imbalance",
    "override": "people held devices otherwise than planned",
    "model": "later plans, late trades, services, fixed charges, rounding",
}
"""What each effect is, in a few words; `account/attribution.py` says it exactly."""


def show_result(view: PeriodResultView, console: Console) -> None:
    """Print why it came to what it came to, and the members."""
    table = Table(title=f"{view.period}, {view.currency}; credit is positive")
    table.add_column("")
    table.add_column("amount", justify="right")
    table.add_column("what it is")
    if view.split is not None:
        table.add_row("planned", f"{view.split.planned:,.2f}", "by the plan that was bid on")
        for name, words in EFFECTS.items():
            table.add_row(name, f"{getattr(view.split, name):+,.2f}", words)
    for day in view.unsplit:
        table.add_row(day.day, f"{day.total:,.2f}", escape(f"not split: {day.reason}"))
    table.add_section()
    table.add_row("came to", f"{view.total:,.2f}", "the sum of all statements")
    console.print(table)
    members = Table(title="members")
    for head in ("enterprise", "amount", "import, kWh", "export, kWh", "carbon, kg"):
        members.add_column(head, justify="left" if head == "enterprise" else "right")
    for one in view.members:
        members.add_row(
            escape(one.name),
            f"{one.total:,.2f}",
            f"{one.import_kwh:,.0f}",
            f"{one.export_kwh:,.0f}",
            f"{one.carbon_kgco2:,.0f}",
        )
    console.print(members)
    if view.provisional:
        console.print("Some of it is provisional: a price or a reading is still awaited.")


def parts(split: AttributionView) -> list[tuple[str, float]]:
    """The planned result and each effect, as numbers to draw."""
    return [("planned", float(split.planned))] + [
        (name, float(getattr(split, name))) for name in EFFECTS
    ]
