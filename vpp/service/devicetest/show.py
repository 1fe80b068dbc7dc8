"""A device test on a terminal: what was read, the proof, and the form of a qualification test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from vpp.account.qualification import Response
from vpp.service.devicetest.command import DeviceReport
from vpp.service.devicetest.devicetest import extremes
from vpp.service.park.parkfile import ParkFile


def show_read(report: DeviceReport, console: Console) -> None:
    """What the device told."""
    told = report.read
    table = Table(
        title=f"{report.device_id} ({report.kind}) over {report.channel}", show_header=False
    )
    table.add_row("messages", f"{told.messages}, {sum(told.refused.values())} refused")
    for reason, count in told.refused.items():
        table.add_row(f"refused: {reason}", f"{count}: {told.refusal}")
    table.add_row("every", _s(told.cadence_s))
    table.add_row("age when it comes", _s(told.age_s))
    if quality := told.quality():
        table.add_row("quality", ", ".join(f"{name} {n}" for name, n in quality.items()))
    for name, value in told.values().items():
        table.add_row(name, _value(value))
    table.add_row("nothing was written", report.proof)
    console.print(table)
    if report.failed:
        console.print(f"not passed: {report.failed}", highlight=False)


def show_steps(report: DeviceReport, console: Console) -> None:
    """The step responses, and what they prove."""
    trial = report.trial
    if trial is None:
        return
    table = Table(title=f"step response of {report.device_id}")
    columns = (
        *("direction", "from kW", "to kW", "to 10 %", "to 90 %", "to 95 %", "ramp kW/min"),
        *("sustained", "accuracy", "tested kW"),
    )
    for column in columns:
        table.add_column(column, justify="right")
    for response in trial.responses:
        table.add_row(*_row(response))
    console.print(table)
    for direction, why in trial.skipped.items():
        console.print(f"{direction.value} was not tested: {why}", highlight=False)
    tested = report.tested
    if tested is not None:
        ways = {"up": tested.up_kw, "down": tested.down_kw}
        said = ", ".join(f"{kw:.1f} kW {way}" for way, kw in ways.items() if kw is not None)
        runs = "one run" if tested.runs == 1 else f"the least of {tested.runs} runs"
        console.print(f"tested: {said} ({runs}); on record", highlight=False)
    else:
        console.print(f"not passed: {report.failed}", highlight=False)


def asking(
    file: ParkFile, console: Console, confirm: Callable[[str], bool]
) -> Callable[[DeviceReport], bool]:
    """Shows what was read, then asks whether the device may be driven."""

    def ask(report: DeviceReport) -> bool:
        show_read(report, console)
        resource = file.park.resource_by_id[report.device_id]
        ways = ", ".join(f"{way.value} to {kw:g} kW" for way, kw in extremes(resource).items())
        return confirm(f"Drive {report.device_id} {ways} (at most), on the real device?")

    return ask


def _row(response: Response) -> tuple[str, ...]:
    step = response.step
    ramp, accuracy = response.ramp_kw_per_min, response.accuracy
    quick = response.response_s is not None and ramp is None and response.nearly_s is not None
    return (
        step.direction.value,
        f"{step.base_kw:.1f}",
        f"{step.target_kw:.1f}",
        _s(response.response_s),
        _s(response.nearly_s),
        _s(response.full_s),
        "within one sample" if quick else "-" if ramp is None else f"{ramp:,.0f}",
        f"{response.sustained_s:.0f} s" + ("" if response.sustained else ", too short"),
        "-" if accuracy is None else f"{accuracy:.1%}",
        f"{response.tested_kw:.1f}",
    )


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"[:-5] + " UTC"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
