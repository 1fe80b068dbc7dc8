"""`vpp strategies`: a running service is asked over HTTP; a file alone is checked beside its park."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from vpp.model.time import isoformat
from vpp.service.endings import ended_by_signals
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
    """A preview, waited for; how far it is is shown on a terminal, elsewhere it is said in lines.

    Who ends it (Ctrl-C, a closed terminal, a stop of the machine) ends it at the service too.
    Raises as `ask`; ConfigErrors for the file, CancelledError where it was ended.
    """
    body = PreviewRequest(text=read_text(file), backtest_days=days)
    with ended_by_signals():
        asking = asyncio.ensure_future(
            ask(f"{_base(url)}/preview", PreviewView, method="POST", body=body)
        )
        try:
            return await _watched(await asyncio.shield(asking), url, console)
        except asyncio.CancelledError:
            address = f"{_base(url)}/previews/{(await asking).preview_id}"
            await ask(address, PreviewView, method="DELETE")
            raise


async def _watched(seen: PreviewView, url: str, console: Console) -> PreviewView:
    """The preview as it ends."""
    address, told = f"{_base(url)}/previews/{seen.preview_id}", Told(console)
    with console.status("") if console.is_terminal else nullcontext() as status:
        while seen.state == "running":
            if status is None:
                told.tell(seen)
            else:
                status.update(f"{seen.progress:.0%} {seen.doing}")
            await asyncio.sleep(LOOK_EVERY_S)
            seen = await ask(address, PreviewView)
    return seen


class Told:
    """How far a preview is, in lines: one where it does something else, and one a tenth of the way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, int] | None = None

    def tell(self, seen: PreviewView) -> None:
        """Say it, unless the last line says it still."""
        now = (seen.doing, int(seen.progress * 10))
        if now != self._last:
            self._last = now
            line = f"{seen.preview_id}: {seen.progress:.0%} {seen.doing}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


async def applied(file: Path, by: str, reason: str, url: str) -> VersionView:
    """The version that a file became. Raises as `ask`; ConfigErrors for the file."""
    text, held = read_text(file), await ask(_base(url), StrategiesView)
    body = StrategiesRequest(text=text, by=by, reason=reason, based_on=held.file.version)
    return await ask(_base(url), VersionView, method="PUT", body=body)


async def listed(url: str, before: int | None) -> VersionsView:
    """The newest versions, or the newest of those before one. Raises as `ask`."""
    query = "" if before is None else f"?before={before}"
    return await ask(f"{_base(url)}/versions{query}", VersionsView)


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
    state, accepted_at = version.state.replace("_", " "), version.accepted_at.replace(microsecond=0)
    return (
        f"{version.number}  {version.version}  {state}  {isoformat(accepted_at)}"
        f"  {version.by}: {version.reason}"
    )


def _base(url: str) -> str:
    return f"{url.rstrip('/')}/v1/strategies"
