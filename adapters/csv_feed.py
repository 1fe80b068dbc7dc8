"""CSV files that somebody puts into a folder; a `SeriesFeed`.

Write a file under another name (`.x`, `x.tmp`, `x.part`) and rename it: so it appears whole. A file that
does not end with a line break is looked at twice before it is believed to be finished. Files are read
and left where they are, faulty ones too: whoever puts them there clears the folder.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.feed_table import TableLayout, batches_of, csv_rows
from vpp.errors import DataError, UnavailableError
from vpp.ports import FeedBatch, FeedFault, FeedNews

UNFINISHED = (".tmp", ".part", ".swp", "~")
MOST_FILES = 200
"""Read in one look, oldest first; the others wait for the next."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it stood when it was looked at."""

    path: Path
    changed_ns: int
    size: int

    @property
    def version(self) -> str:
        return f"{self.changed_ns}/{self.size}"


class CsvFeed:
    """The files of one folder whose name fits a pattern."""

    def __init__(self, folder: Path, pattern: str, layout: TableLayout, *, max_bytes: int) -> None:
        self._folder = folder
        self._pattern = pattern
        self._layout = layout
        self._max_bytes = max_bytes
        self._confirmed: dict[str, str] = {}
        self._open_ended: dict[str, str] = {}
        """Files without a last line break, by the version that was seen."""

    async def look(self, now: datetime) -> FeedNews:
        return await asyncio.to_thread(self._look, now)

    def confirm(self, news: FeedNews) -> None:
        self._confirmed |= news.versions

    def _look(self, now: datetime) -> FeedNews:
        files = self._files()
        for gone in self._confirmed.keys() - {file.path.name for file in files}:
            del self._confirmed[gone]
        fresh = [file for file in files if self._confirmed.get(file.path.name) != file.version]
        batches: list[FeedBatch] = []
        faults: list[FeedFault] = []
        versions: dict[str, str] = {}
        for file in fresh[:MOST_FILES]:
            try:
                content = self._read(file)
                if content is None:
                    continue
                issued_at = datetime.fromtimestamp(file.changed_ns / 1e9, UTC)
                batches += batches_of(
                    csv_rows(content, str(file.path)),
                    self._layout,
                    issued_at=min(issued_at, now),
                    now=now,
                    where=str(file.path),
                )
            except DataError as error:
                faults.append(FeedFault(where=error.where, what=f"{error.what} -> {error.fix}"))
            versions[file.path.name] = file.version
        return FeedNews(batches=tuple(batches), faults=tuple(faults), versions=versions)

    def _files(self) -> list[_Seen]:
        """The files of the folder, those changed longest ago first."""
        try:
            found = [
                _seen(path)
                for path in self._folder.iterdir()
                if path.match(self._pattern)
                and not path.name.startswith(".")
                and not path.name.endswith(UNFINISHED)
                and path.is_file()
            ]
        except OSError as error:
            raise UnavailableError(
                f"cannot be read: {error.strerror}",
                where=str(self._folder),
                fix="Make the folder, readable for the service",
            ) from error
        return sorted(found, key=lambda file: (file.changed_ns, file.path.name))

    def _read(self, file: _Seen) -> str | None:
        """The text of a file that is finished; None where somebody still writes.

        Raises:
            DataError: It is too large, no UTF-8, or cannot be read.
        """
        where = str(file.path)
        if file.size > self._max_bytes:
            raise DataError(
                f"has {file.size} bytes, at most {self._max_bytes}", where=where, fix="Cut it up"
            )
        try:
            content = file.path.read_bytes()
            if _seen(file.path) != file:
                return None
        except OSError as error:
            raise DataError(
                f"cannot be read: {error.strerror}", where=where, fix="Let the service read it"
            ) from error
        if not content.endswith(b"\n") and self._open_ended.get(where) != file.version:
            self._open_ended[where] = file.version
            return None
        self._open_ended.pop(where, None)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"no UTF-8: {error.reason}", where=where, fix="Write UTF-8") from error


def _seen(path: Path) -> _Seen:
    stat = path.stat()
    return _Seen(path, stat.st_mtime_ns, stat.st_size)
