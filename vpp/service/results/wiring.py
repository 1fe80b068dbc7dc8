"""A plant as its data folder remembers it, beside a service that may be running on that folder.

The files are copied first, by SQLite's own copy of a database in use, so that nothing of the original is locked or
changed: there must be room for them. The plant steers nobody: it takes up the record and settles what is due.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path

from adapters.sqlite_journal import SqliteJournal
from adapters.sqlite_telemetry import SqliteTelemetry
from vpp.clock import SimulatedClock
from vpp.errors import ConfigError
from vpp.model.time import parse_utc
from vpp.service import accounting, recovery
from vpp.service.backtest.replay import DirectLink
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import JOURNAL_FILE, TELEMETRY_FILE, build_plant


@asynccontextmanager
async def remembered(file: ParkFile, data: Path) -> AsyncIterator[Plant]:
    """The plant of a record, at the moment of its newest entry.

    Raises:
        ConfigError: There is no record in that folder, or it cannot be read.
        UnavailableError: The copy cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="vpp-report-") as folder:
        copy = Path(folder)
        for name in (JOURNAL_FILE, TELEMETRY_FILE):
            _copy(data / name, copy / name)
        now = _newest(copy / JOURNAL_FILE, data)
        link = DirectLink(now)
        async with (
            SqliteJournal.open(copy / JOURNAL_FILE) as journal,
            SqliteTelemetry(copy / TELEMETRY_FILE) as historian,
        ):
            plant = build_plant(
                file,
                clock=SimulatedClock(now),
                data=copy,
                journal=journal,
                source=link,
                sink=link,
                venue=None,
                executor=InlineExecutor(),
                record=lambda measurement: True,
            )
            recovery.read_back(plant, historian, now)
            accounting.settle_due(plant, now)
            yield plant


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ConfigError(
            "there is no record here",
            where=str(source),
            fix="Name the folder that was given as --data",
        )
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
    except sqlite3.Error as error:
        raise ConfigError(
            f"cannot be read: {error}", where=str(source), fix="Give the folder of a record"
        ) from error


def _newest(journal: Path, data: Path) -> datetime:
    try:
        with closing(sqlite3.connect(journal)) as connection:
            row = connection.execute("SELECT MAX(recorded_at) FROM journal").fetchone()
    except sqlite3.Error as error:
        raise ConfigError(
            f"is no journal: {error}", where=str(data), fix="Give the folder of a record"
        ) from error
    if row[0] is None:
        raise ConfigError("the record is empty", where=str(data), fix="Let the service run first")
    return parse_utc(row[0], where=str(data))
