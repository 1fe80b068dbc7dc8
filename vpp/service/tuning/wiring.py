"""A park file for a service that begins: where its strategy file is broken, with what was live last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from adapters.sqlite_journal import SqliteJournal
from vpp.service.park.config import ConfigErrors, read_document
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.tuning import record


def load_to_run(park: Path, journal: Path) -> ParkFile:
    """The park file as it is; where only its strategy file is broken, with the version that was live last.

    Raises:
        ConfigErrors: Every fault, where the park file has some, or `journal` knows no version.
        UnavailableError: The journal cannot be read.
    """
    try:
        return load_park(park)
    except ConfigErrors as error:
        text = asyncio.run(_last_live(journal)) if journal.exists() else None
        if text is None:
            raise
        try:
            file = load_park(park, strategies=text.encode())
        except ConfigErrors:
            raise error from None  # the park file itself has faults, or no longer fits that version
    named = read_document(park).tree["strategies"]
    strategies = replace(file.strategies, path=park.parent / named)
    return replace(file, strategies=strategies)


async def _last_live(journal: Path) -> str | None:
    async with SqliteJournal.open(journal) as opened:
        return record.last_live_text(opened)
