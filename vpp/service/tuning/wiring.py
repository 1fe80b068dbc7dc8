"""A park file for a service that begins: where its strategy file is broken or refused, with what was live last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from adapters.sqlite_journal import SqliteJournal
from vpp.service.park.config import ConfigErrors, read_document
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.tuning import record


def load_to_run(park: Path, journal: Path) -> ParkFile:
    """The park file as it is; where only its strategy file is broken, or failed its first plan, with the version that was live last.

    Raises:
        ConfigErrors: Every fault, where the park file has some, or `journal` knows no version.
        UnavailableError: The journal cannot be read.
    """
    try:
        whole = load_park(park)
    except ConfigErrors as error:
        text = asyncio.run(_last_live(journal, None)) if journal.exists() else None
        if text is None:
            raise
        try:
            file = load_park(park, strategies=text.encode())
        except ConfigErrors:
            raise error from None  # the park file itself has faults, or no longer fits that version
    else:
        version = whole.strategies.version
        text = asyncio.run(_last_live(journal, version)) if journal.exists() else None
        if text is None or not whole.strategies.given:
            return whole
        try:
            file = load_park(park, strategies=text.encode())
        except ConfigErrors:  # the park no longer fits what was live: the file is tried again
            return whole
    named = read_document(park).tree["strategies"]
    strategies = replace(file.strategies, path=park.parent / named)
    return replace(file, strategies=strategies)


async def _last_live(journal: Path, refused: str | None) -> str | None:
    """The text that was live last; where `refused` names a version, only if that one failed its first plan."""
    async with SqliteJournal.open(journal) as opened:
        versions = record.versions_on_record(opened)
        if refused is not None and record.refusal(versions, refused) is None:
            return None
        return record.last_live_text(opened)
