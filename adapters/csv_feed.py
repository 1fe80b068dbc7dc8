"""CSV files that somebody puts into a folder; a `SeriesFeed`.

When a file is finished is said in `watched_folder.py`. Files are read and left where they are, faulty
ones too: whoever puts them there clears the folder.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from adapters.feed_table import TableLayout, batches_of, csv_rows
from adapters.watched_folder import WatchedFolder
from vpp.errors import DataError
from vpp.ports import FeedBatch, FeedFault, FeedNews

MOST_FILES = 200
"""Read in one look, oldest first; the others wait for the next."""


class CsvFeed:
    """The files of one folder whose name fits a pattern."""

    def __init__(self, folder: Path, pattern: str, layout: TableLayout, *, max_bytes: int) -> None:
        self._folder = WatchedFolder(folder, pattern, max_bytes=max_bytes)
        self._layout = layout
        self._confirmed: dict[str, str] = {}

    async def look(self, now: datetime) -> FeedNews:
        return await asyncio.to_thread(self._look, now)

    def confirm(self, news: FeedNews) -> None:
        self._confirmed |= news.versions

    def _look(self, now: datetime) -> FeedNews:
        files = self._folder.files()
        for gone in self._confirmed.keys() - {file.path.name for file in files}:
            del self._confirmed[gone]
        fresh = [file for file in files if self._confirmed.get(file.path.name) != file.version]
        batches: list[FeedBatch] = []
        faults: list[FeedFault] = []
        versions: dict[str, str] = {}
        for file in fresh[:MOST_FILES]:
            try:
                content = self._folder.read(file)
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
