"""Nominations as CSV files in a folder, and confirmations from another: a `NominationBox`.

    outbox/{unit}.{day}.v{n}.csv   nomination_id,unit,delivery_day,version,start,end,nominated_mw
    inbox/confirmation*.csv        nomination_id,version,start,end,confirmed_mw

A file appears whole; the same version again is the same file. A confirmation is taken whole or told as a
fault, and stays where it is.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal, InvalidOperation
from pathlib import Path

from adapters.feed_table import Row, csv_rows
from adapters.watched_folder import WatchedFolder
from adapters.whole_file import write_whole
from vpp.errors import DataError, UnavailableError
from vpp.model.nomination import ConfirmedSchedule
from vpp.model.time import Interval, parse_utc
from vpp.ports import ConfirmationNews

MOST_MW, MOST_DECIMALS = 1_000_000, 12
"""Of what is confirmed: 1e999999999 is a fault, and is not written out in full."""

COLUMNS = {"nomination_id", "version", "start", "end", "confirmed_mw"}


class NominationFolder:
    """A `NominationBox` of two folders."""

    def __init__(self, outbox: Path, inbox: Path, *, max_bytes: int) -> None:
        self._outbox = outbox
        self._inbox = WatchedFolder(inbox, "confirmation*.csv", max_bytes=max_bytes)
        self._dealt_with: dict[str, str] = {}

    async def put(self, name: str, content: bytes) -> None:
        await asyncio.to_thread(self._put, name, content)

    async def look(self) -> ConfirmationNews:
        return await asyncio.to_thread(self._look)

    def confirm(self, news: ConfirmationNews) -> None:
        self._dealt_with |= news.versions

    def _put(self, name: str, content: bytes) -> None:
        path = self._outbox / f"{name}.csv"
        try:
            if not path.exists() or path.read_bytes() != content:
                write_whole(path, content)
        except OSError as error:
            raise UnavailableError(
                f"cannot be written: {error.strerror}",
                where=str(path),
                fix="Make the folder, writable for the service",
            ) from error

    def _look(self) -> ConfirmationNews:
        found: list[ConfirmedSchedule] = []
        faults: list[str] = []
        versions: dict[str, str] = {}
        for file in self._inbox.files():
            if self._dealt_with.get(file.path.name) == file.version:
                continue
            try:
                content = self._inbox.read(file)
                if content is None:
                    continue
                found += confirmations_of(csv_rows(content, str(file.path)), str(file.path))
            except DataError as error:
                faults.append(str(error))
            versions[file.path.name] = file.version
        return ConfirmationNews(confirmed=tuple(found), faults=tuple(faults), versions=versions)


def confirmations_of(rows: list[Row], where: str) -> list[ConfirmedSchedule]:
    """The confirmations of a table, by nomination and version.

    Raises:
        DataError: A column or a value that was not agreed on, or an interval that stands twice.
    """
    found: dict[tuple[str, int], dict[Interval, Decimal]] = {}
    for place, row in rows:
        if row.keys() != COLUMNS:
            strange = ", ".join(sorted(row.keys() ^ COLUMNS))
            raise DataError(
                f"columns that are missing or unknown: {strange[:200]}",
                where=place,
                fix=f"Have {', '.join(sorted(COLUMNS))}",
            )
        start, end = (parse_utc(str(row[name]), where=place) for name in ("start", "end"))
        try:
            version, mw = int(str(row["version"])), Decimal(str(row["confirmed_mw"]))
        except (ValueError, InvalidOperation) as error:
            raise DataError(
                f"version {row['version']!r}, confirmed_mw {row['confirmed_mw']!r}",
                where=place,
                fix="Write a whole number and a decimal with a point",
            ) from error
        if not _is_power(mw):
            raise DataError(
                f"confirmed_mw is {mw:.6g}", where=place, fix=f"Write MW, at most {MOST_MW} of them"
            )
        lines = found.setdefault((str(row["nomination_id"]), version), {})
        if lines.setdefault(Interval(start, end), mw) != mw:
            raise DataError("the interval stands twice", where=place, fix="Name each once")
    return [
        ConfirmedSchedule(nomination_id=name, version=version, confirmed_mw=lines, where=where)
        for (name, version), lines in found.items()
    ]


def _is_power(mw: Decimal) -> bool:
    return (
        mw.is_finite()
        and -MOST_MW <= mw <= MOST_MW
        and int(mw.as_tuple().exponent) >= -MOST_DECIMALS
    )
