"""Look whether the strategy file was edited: one call of the system while it was not.

    another signature ─▶ the same at two looks ─▶ read ─▶ right: waits for the next plan
                                                    └──▶ broken: told once, the live version goes on

A file is read only once it stays as it is, for an editor may still be writing. Nobody sends a signal.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.park.config import ConfigErrors, Fault
from vpp.service.plant import Plant
from vpp.service.run import Loop
from vpp.service.tuning.accepting import accept_edit
from vpp.service.tuning.desk import Seen
from vpp.service.tuning.file import read_text, signature_of
from vpp.service.tuning.reading import read_aside
from vpp.service.tuning.trial import refused

EVERY_S = 2.0
"""Of wall time: an edit is seen within two looks."""


def loops(plant: Plant) -> dict[str, Loop]:
    """Without a seat at the clock: files are edited in wall time. None where there is no file."""
    if plant.tuning.path is None:
        return {}

    async def watching(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await look(plant, plant.clock.now())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    return {"strategies": watching}


async def look(plant: Plant, now: datetime) -> None:
    """Read the file where it changed since it was read, and is not being written any more."""
    desk = plant.tuning
    if desk.path is None:
        return
    signature = signature_of(desk.path)
    if signature == desk.signature:
        return
    if signature != desk.unsettled:
        desk.unsettled = signature
        return
    async with desk.changing:
        await look_now(plant, now)


async def look_now(plant: Plant, now: datetime) -> None:
    """Read the file where it changed, settled or not. Called with `changing` held."""
    desk = plant.tuning
    if desk.path is None or (signature := signature_of(desk.path)) == desk.signature:
        return
    try:
        text = await asyncio.to_thread(read_text, desk.path)
    except ConfigErrors as error:
        desk.signature, desk.unsettled = signature, None
        _tell_broken(plant, Seen(text="", faults=error.faults), now)
        return
    if text == desk.seen.text and not desk.seen.faults:
        desk.signature, desk.unsettled = signature, None
        return
    try:
        read = await read_aside(plant, text)
    except ConfigErrors as error:
        desk.signature, desk.unsettled = signature, None
        _tell_broken(plant, Seen(text=text, faults=error.faults), now)
        return
    if (fault := refused(desk, read.version)) is not None:  # told when it was refused
        desk.signature, desk.unsettled = signature, None
        desk.seen = Seen(text=text, faults=(fault,))
        return
    try:
        await accept_edit(plant, read, _owner(desk.path), now)
    except UnavailableError:  # told and counted where it was tried: looked at again
        return
    desk.signature, desk.unsettled = signature, None
    desk.seen = Seen(text=text)


def _tell_broken(plant: Plant, seen: Seen, now: datetime) -> None:
    """Say once of each text that it is broken, and where first."""
    desk = plant.tuning
    if desk.seen == seen:
        return
    desk.seen = seen
    first, more = _shown(seen.faults[0]), len(seen.faults) - 1
    plant.metrics.tuning.changed("broken")
    plant.events.emit(
        "strategies_broken",
        f"the strategy file is broken, version {plant.strategy_version} goes on: {first}"
        + (f" (and {more} more)" if more else ""),
        at=now,
        severity=Severity.ALARM,
        version=seen.version,
    )


def _shown(fault: Fault) -> str:
    return str(fault)[:300]


def _owner(path: Path) -> str:
    """Whose file it is: all that an edit tells of who made it."""
    with suppress(OSError, KeyError, NotImplementedError):
        return f"owner of the file: {path.owner()}"
    return "owner of the file"
