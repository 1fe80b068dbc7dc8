"""The journal in one SQLite file: what it has acknowledged survives a kill -9 and a power cut.

One thread owns the writing connection. It commits in groups: whatever is asked for while a commit
runs goes into the next one, so a hundred callers share one fsync.

    append ─▶ queue ─▶ [writer: check, insert, COMMIT (fsync)] ─▶ call_soon_threadsafe ─▶ caller goes on

Old entries of some kinds can be *set aside*: into a compressed file for each month, in the folder
`archive/` beside the journal. Only then, and no further than that, does the file let them be deleted.

A commit that fails says nothing about what is on the disk. The writer then closes the file, opens
it again, writes the log home and reads by key what is there; only then does it answer.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar

from adapters.archive_file import ARCHIVE, ARCHIVE_TABLE, Stored, add_all, month_file, note
from adapters.sqlite_file import FolderLock, connect, connect_to_read, unavailable
from vpp.errors import ConfigError, ConflictError, DataError, UnavailableError
from vpp.model.time import isoformat, parse_utc, require_utc
from vpp.ports import JournalEntry

VERSION = 2
_SET_ASIDE = f"""
CREATE TABLE set_aside (kind TEXT PRIMARY KEY, up_to INTEGER NOT NULL) STRICT;
{ARCHIVE_TABLE};
CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
    WHEN OLD.number > coalesce((SELECT up_to FROM set_aside WHERE kind = OLD.kind), 0)
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
"""
SCHEMA = f"""
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    recorded_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
{_SET_ASIDE}
"""
UPGRADES = {1: f"DROP TRIGGER journal_never_forgets; {_SET_ASIDE}"}
COLUMNS = "number, recorded_at, kind, key, body"
PAGE = 500
"""Entries read at a time: a long-lived reader would keep the write-ahead log from shrinking."""

NO_NUMBER = 2**63 - 1
"""Above every number; SQLite knows none that is greater."""

ASIDE_BYTES = 1_000_000
"""Set aside at a time: what waits to be written waits for no more than that."""

_Row = tuple[int, str, str, str, bytes]


_T = TypeVar("_T")


def _wake(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[_T], outcome: _T | Exception
) -> None:
    """Let a caller go on, from the writer's thread."""

    def wake() -> None:
        if future.done():  # cancelled while it waited; what was written stays
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    if not loop.is_closed():
        loop.call_soon_threadsafe(wake)


@dataclass(frozen=True, slots=True)
class _Request:
    """What one caller wants written, and where it waits for the entries."""

    entries: Sequence[tuple[str, str, bytes]]
    now: datetime
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[JournalEntry]]

    def answer(self, outcome: list[JournalEntry] | Exception) -> None:
        _wake(self.loop, self.future, outcome)


@dataclass(frozen=True, slots=True)
class _Old:
    """What may go out of the file, and where its page begins."""

    kinds: Sequence[str]
    before: datetime
    after: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[int | None]

    def answer(self, outcome: int | Exception | None) -> None:
        _wake(self.loop, self.future, outcome)


class SqliteJournal:
    """A `Journal` in the file `path`. Holds the folder: a second process is refused."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            ConfigError: The folder is in use or not writable; the file is damaged or too new.
        """
        self._path = path
        self._lock = FolderLock(path.parent)
        try:
            self._writing: sqlite3.Connection | None = self._connect()
            self._reading = connect_to_read(path)
        except ConfigError:
            self._lock.release()
            raise
        self._queue: SimpleQueue[_Request | _Old | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Self:
        """`async with SqliteJournal.open(path) as journal:`; raises as the constructor does."""
        return cls(path)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is queued, close the file and give the folder up. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))
        self._reading.close()
        self._lock.release()

    async def append(self, kind: str, key: str, body: bytes, *, now: datetime) -> JournalEntry:
        [entry] = await self._submit([(kind, key, body)], now)
        return entry

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        if entries:
            await self._submit(entries, now)

    def find(self, kind: str, key: str) -> JournalEntry | None:
        rows = self._read(f"SELECT {COLUMNS} FROM journal WHERE kind=? AND key=?", (kind, key))
        return _entry(rows[0]) if rows else None

    def entries(self, *kinds: str) -> Iterator[JournalEntry]:
        marks = ",".join("?" * len(kinds))
        query = (
            f"SELECT {COLUMNS} FROM journal WHERE kind IN ({marks}) AND number > ?"
            f" ORDER BY number LIMIT {PAGE}"
        )
        newest = 0
        while rows := self._read(query, (*kinds, newest)):
            yield from map(_entry, rows)
            newest = rows[-1][0]

    def newest(self, *kinds: str, before: int | None, limit: int) -> list[JournalEntry]:
        marks = ",".join("?" * len(kinds))
        numbers = (  # read off the index alone: bodies only of what is given
            f"SELECT number FROM journal WHERE kind IN ({marks}) AND number < ?"
            " ORDER BY number DESC LIMIT ?"
        )
        query = f"SELECT {COLUMNS} FROM journal WHERE number IN ({numbers}) ORDER BY number DESC"
        below = NO_NUMBER if before is None else min(before, NO_NUMBER)
        return [*map(_entry, self._read(query, (*kinds, below, limit)))]

    def greatest_key(self, kind: str) -> str | None:
        query = f"SELECT {COLUMNS} FROM journal WHERE kind=? ORDER BY key DESC LIMIT 1"
        rows = self._read(query, (kind,))
        return rows[0][3] if rows else None

    async def set_aside(
        self, kinds: Sequence[str], before: datetime, *, after: int = 0
    ) -> int | None:
        """As `vpp.ports.SetAside`; a page is some hundred entries, or a megabyte."""
        self._require_open()
        loop = asyncio.get_running_loop()
        asked = _Old(tuple(kinds), before, after, loop, loop.create_future())
        self._queue.put(asked)
        return await asked.future

    def _read(self, query: str, values: Sequence[object]) -> list[_Row]:
        try:
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unavailable(self._path, error) from error

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError(
                "the journal is closed", where=str(self._path), fix="Ask before closing it"
            )

    async def _submit(
        self, entries: Sequence[tuple[str, str, bytes]], now: datetime
    ) -> list[JournalEntry]:
        require_writable(entries, now)
        self._require_open()
        loop = asyncio.get_running_loop()
        request = _Request(tuple(entries), now, loop, loop.create_future())
        self._queue.put(request)
        return await request.future

    # ------------------------------------------------------------ the writer's thread

    def _connect(self) -> sqlite3.Connection:
        return connect(
            self._path, schema=SCHEMA, version=VERSION, synchronous="FULL", upgrades=UPGRADES
        )

    def _write(self) -> None:
        closing = False
        while not closing:
            batch, old, closing = self._gather()
            if batch:
                self._answer(batch)
            if old is not None:  # after those who came before it
                old.answer(self._page_aside(old))
        self._drop_connection()

    def _answer(self, batch: list[_Request]) -> None:
        outcomes: Sequence[list[JournalEntry] | Exception]
        try:
            outcomes = self._commit(batch)
        except Exception as error:  # noqa: BLE001  a bug: its place is with the callers
            self._drop_connection()
            outcomes = [error] * len(batch)
        for request, outcome in zip(batch, outcomes, strict=True):
            request.answer(outcome)

    def _gather(self) -> tuple[list[_Request], _Old | None, bool]:
        """All requests that wait (or one to set aside), and whether to end after them."""
        batch: list[_Request] = []
        item = self._queue.get()
        while item is not None:
            if isinstance(item, _Old):
                return batch, item, False
            batch.append(item)
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, None, False
        return batch, None, True

    def _commit(self, batch: list[_Request]) -> Sequence[list[JournalEntry] | Exception]:
        """Write the batch in one transaction; one outcome for each request."""
        try:
            writing = self._writing or self._reopen()
            writing.execute("BEGIN IMMEDIATE")
            outcomes = [_insert(writing, request) for request in batch]
            writing.execute("COMMIT")
        except (sqlite3.Error, ConfigError) as error:
            return self._after_failure(batch, error)
        return outcomes

    def _page_aside(self, old: _Old) -> int | Exception | None:
        """First into the archive, then out of the file."""
        try:
            writing = self._writing or self._reopen()
            page, reached = _old_page(writing, old)
            if page:
                files = _into_archive(writing, self._path.parent / ARCHIVE, page)
                _delete(writing, page, files)
        except (sqlite3.Error, ConfigError, OSError) as error:
            self._drop_connection()
            return unavailable(self._path, error)
        except Exception as error:  # noqa: BLE001  a bug: its place is with the caller, and others go on
            self._drop_connection()
            return error
        return reached

    def _after_failure(
        self, batch: list[_Request], error: Exception
    ) -> Sequence[list[JournalEntry] | Exception]:
        """Read by key what a failed commit has left, and answer from that."""
        self._drop_connection()
        try:
            writing = self._reopen()
            found = [_find_all(writing, request) for request in batch]
        except (sqlite3.Error, ConfigError):
            doubt = UnavailableError(
                f"{error}; not known whether the entry is on disk",
                where=str(self._path),
                fix="Append the same again once the disk works: an entry is never doubled",
            )
            return [doubt] * len(batch)
        failure = unavailable(self._path, error)
        return [failure if entries is None else entries for entries in found]

    def _drop_connection(self) -> None:
        """Close without committing."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _reopen(self) -> sqlite3.Connection:
        """Open anew and write the log home.

        What is read after a failed fsync may be in the page cache only. Copied from the log into
        the file and synced there, it is on disk again.
        """
        writing = self._connect()
        (busy, _, _) = writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            writing.close()
            raise sqlite3.OperationalError("the write-ahead log cannot be written home")
        self._writing = writing
        return writing


def _insert(writing: sqlite3.Connection, request: _Request) -> list[JournalEntry] | ConflictError:
    """The request's entries, new or known; nothing is inserted where one of them conflicts."""
    wanted: dict[tuple[str, str], bytes] = {}
    known: dict[tuple[str, str], JournalEntry] = {}
    for kind, key, body in request.entries:
        if (kind, key) not in wanted and (entry := _find(writing, kind, key)):
            known[kind, key] = entry
        there = known[kind, key].body if (kind, key) in known else body
        if wanted.setdefault((kind, key), there) != body:
            return conflict(kind, key)
    for (kind, key), body in wanted.items():
        if (kind, key) not in known:
            cursor = writing.execute(
                "INSERT INTO journal (recorded_at, kind, key, body) VALUES (?,?,?,?)",
                (isoformat(request.now), kind, key, body),
            )
            known[kind, key] = JournalEntry(
                number=cursor.lastrowid or 0,
                recorded_at=request.now,
                kind=kind,
                key=key,
                body=body,
            )
    return [known[kind, key] for kind, key, _ in request.entries]


def _old_page(writing: sqlite3.Connection, old: _Old) -> tuple[list[_Row], int | None]:
    """Entries that may go out of the next `PAGE` numbers, and the last number that was looked at."""
    first = writing.execute(
        "SELECT number, recorded_at FROM journal WHERE number > ? ORDER BY number LIMIT 1",
        (old.after,),
    ).fetchone()
    if first is None or (first[1] >= isoformat(old.before) and not _is_ahead(writing, first[1])):
        return [], None
    last = int(first[0]) + PAGE - 1
    marks = ",".join("?" * len(old.kinds))
    rows = writing.execute(
        f"SELECT {COLUMNS} FROM journal AS it NOT INDEXED WHERE number > ? AND number <= ?"
        f" AND recorded_at < ? AND kind IN ({marks})"
        " AND key < (SELECT max(key) FROM journal WHERE kind = it.kind) ORDER BY number",
        (old.after, last, isoformat(old.before), *old.kinds),
    )
    page: list[_Row] = []
    size_bytes = 0
    for row in rows:
        page.append(row)
        size_bytes += len(row[4])
        if size_bytes >= ASIDE_BYTES:
            return page, row[0]
    return page, last


def _is_ahead(writing: sqlite3.Connection, recorded_at: str) -> bool:
    """Whether the clock has been set back since: what is not old enough then says nothing of what follows."""
    newest = "SELECT recorded_at FROM journal ORDER BY number DESC LIMIT 1"
    return recorded_at > str(writing.execute(newest).fetchone()[0])


def _into_archive(writing: sqlite3.Connection, folder: Path, page: Sequence[_Row]) -> list[Stored]:
    months: dict[str, list[bytes]] = {}
    for number, recorded_at, kind, key, body in page:
        head = {"number": number, "recorded_at": recorded_at, "kind": kind, "key": key}
        shown = json.dumps(head, ensure_ascii=False).encode()
        one_line = body.replace(b"\n", b" ")  # between two parts of it: inside a text it is escaped
        line = shown.removesuffix(b"}") + b', "body": ' + one_line + b"}"
        months.setdefault(month_file("journal", recorded_at), []).append(line)
    return add_all(writing, folder, months)


def _delete(writing: sqlite3.Connection, page: Sequence[_Row], files: Sequence[Stored]) -> None:
    """In one transaction with how far the archive is good."""
    writing.execute("BEGIN IMMEDIATE")
    note(writing, files)
    writing.executemany(
        "INSERT INTO set_aside VALUES (?,?) ON CONFLICT DO UPDATE SET up_to=excluded.up_to",
        [(kind, number) for number, _, kind, _, _ in page],
    )
    writing.executemany("DELETE FROM journal WHERE number=?", [(row[0],) for row in page])
    writing.execute("COMMIT")


def _find(connection: sqlite3.Connection, kind: str, key: str) -> JournalEntry | None:
    query = f"SELECT {COLUMNS} FROM journal WHERE kind=? AND key=?"
    row = connection.execute(query, (kind, key)).fetchone()
    return None if row is None else _entry(row)


def _find_all(connection: sqlite3.Connection, request: _Request) -> list[JournalEntry] | None:
    """The request's entries where every one of them is there as asked."""
    found = [_find(connection, kind, key) for kind, key, _ in request.entries]
    there = [
        entry
        for entry, (_, _, body) in zip(found, request.entries, strict=True)
        if entry is not None and entry.body == body
    ]
    return there if len(there) == len(found) else None


def _entry(row: _Row) -> JournalEntry:
    number, recorded_at, kind, key, body = row
    return JournalEntry(
        number=number,
        recorded_at=parse_utc(recorded_at, where=f"journal entry {number}"),
        kind=kind,
        key=key,
        body=body,
    )


def require_writable(entries: Sequence[tuple[str, str, bytes]], now: datetime) -> None:
    """What every journal refuses before it writes.

    Raises:
        DataError: `now` is not UTC, or a name is no text (half of a surrogate pair).
    """
    require_utc(now, where="Journal.append.now")
    for kind, key, _ in entries:
        try:
            f"{kind} {key}".encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the name {kind!a} {key!a} is no text", where="journal", fix="Use valid Unicode"
            ) from error


def conflict(kind: str, key: str) -> ConflictError:
    """What every journal says when an id comes again with other content."""
    return ConflictError(
        "is in the journal with another body",
        where=f"{kind} {key}",
        fix="Send the same bytes again, or use a new id",
    )
