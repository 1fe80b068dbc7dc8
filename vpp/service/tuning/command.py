"""`vpp strategies`: a running service is asked over HTTP; a file alone is checked beside its park."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from vpp.model.time import isoformat
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park
from vpp.service.plantclient import ask
from vpp.service.tuning.differences import differences
from vpp.service.tuning.file import read_text
from vpp.service.tuning.view import fault_views
from vpp.wirestrategies import (
    PreviewRequest,
    PreviewView,
    RollbackRequest,
    StrategiesRequest,
    StrategiesText,
    StrategiesView,
    ValidationView,
    VersionsView,
    VersionTextView,
    VersionView,
)

LOOK_EVERY_S = 0.5


async def validated(file: Path, park: Path | None, url: str) -> ValidationView:
    """What is wrong with a file: by its park alone, else by the service.

    Raises:
        ConfigErrors: The file cannot be read, or the park file has faults.
        UnavailableError, RejectedError, DataError: As `ask`.
    """
    text = read_text(file)
    if park is None:
        body = StrategiesText(text=text)
        return await ask(f"{_base(url)}/validate", ValidationView, method="POST", body=body)
    before = load_park(park)
    try:
        after = load_park(park, strategies=file)
    except ConfigErrors as error:
        return ValidationView(
            valid=False, version=None, faults=fault_views(error.faults), changes=[]
        )
    changes = differences(before.strategies.section, after.strategies.section)
    return ValidationView(
        valid=True, version=after.strategies.version, faults=[], changes=list(changes)
    )


async def previewed(file: Path, days: int, url: str, console: Console) -> PreviewView:
    """A preview, waited for; its progress is shown on a terminal. Raises as `ask`; ConfigErrors for the file."""
    body = PreviewRequest(text=read_text(file), backtest_days=days)
    seen = await ask(f"{_base(url)}/preview", PreviewView, method="POST", body=body)
    address = f"{_base(url)}/previews/{seen.preview_id}"
    try:
        with console.status(seen.doing) as status:
            while seen.state == "running":
                await asyncio.sleep(LOOK_EVERY_S)
                seen = await ask(address, PreviewView)
                status.update(f"{seen.progress:.0%} {seen.doing}")
    except (asyncio.CancelledError, KeyboardInterrupt):
        await ask(address, PreviewView, method="DELETE")
        raise
    return seen


async def applied(file: Path, by: str, reason: str, url: str) -> VersionView:
    """The version that a file became. Raises as `ask`; ConfigErrors for the file."""
    text, held = read_text(file), await ask(_base(url), StrategiesView)
    body = StrategiesRequest(text=text, by=by, reason=reason, based_on=held.file.version)
    return await ask(_base(url), VersionView, method="PUT", body=body)


async def listed(url: str) -> VersionsView:
    """All versions. Raises as `ask`."""
    return await ask(f"{_base(url)}/versions", VersionsView)


async def shown(number: int, url: str) -> VersionTextView:
    """One version with its text. Raises as `ask`."""
    return await ask(f"{_base(url)}/versions/{number}", VersionTextView)


async def rolled_back(number: int, by: str, reason: str, url: str) -> VersionView:
    """The version that the old text became. Raises as `ask`."""
    held = await ask(_base(url), StrategiesView)
    body = RollbackRequest(to=number, by=by, reason=reason, based_on=held.file.version)
    return await ask(f"{_base(url)}/rollback", VersionView, method="POST", body=body)


def validation_lines(file: str, checked: ValidationView) -> Iterator[str]:
    """As people read it: each fault as `file:line:column: path: what`."""
    for fault in checked.faults:
        path = f"{fault.path}: " if fault.path else ""
        yield f"{file}:{fault.line}:{fault.column}: {path}{fault.what}"
    if checked.valid:
        yield f"{file}: in order, version {checked.version}"
        yield from checked.changes or ["nothing changes"]


def version_line(version: VersionView) -> str:
    """One version in one line."""
    state = version.state.replace("_", " ")
    return (
        f"{version.number}  {version.version}  {state}  {isoformat(version.accepted_at)}"
        f"  {version.by}: {version.reason}"
    )


def _base(url: str) -> str:
    return f"{url.rstrip('/')}/v1/strategies"
