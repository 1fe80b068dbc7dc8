"""Lines that are set aside for good: one compressed file for each month, which a torn write never spoils."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stored:
    """How far a file is good: what lies beyond was never acknowledged."""

    name: str
    size_bytes: int


ARCHIVE = "archive"
"""Folder beside the file that lines come from."""

ARCHIVE_TABLE = "CREATE TABLE archive (name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL) STRICT"
"""In that file: how far each file of the archive is good, noted with what is deleted for it."""


def month_file(stem: str, recorded_at: str, form: str = "jsonl") -> str:
    """`journal-2026-08.jsonl.gz` of something that was recorded at `2026-08-17T…`."""
    return f"{stem}-{recorded_at[:7]}.{form}.gz"


def add_all(
    connection: sqlite3.Connection,
    folder: Path,
    files: Mapping[str, Sequence[bytes]],
    head: bytes | None = None,
) -> list[Stored]:
    """Write the lines of each file, below `head` where it is new. What is good of it is in `ARCHIVE_TABLE`.

    A file that is not there so far was taken away, and may come back: the lines go into `…-2026-08-2` then.

    Raises:
        OSError: The disk refuses; what was good still is.
        sqlite3.Error: It cannot be read how much that is.
    """
    known: dict[str, int] = dict(connection.execute("SELECT name, size_bytes FROM archive"))
    stored: list[Stored] = []
    for name, lines in files.items():
        good = _good(folder, name, known)
        first = [head] if head is not None and good.size_bytes == 0 else []
        stored.append(add_lines(folder, good, [*first, *lines]))
    return stored


def _good(folder: Path, name: str, known: Mapping[str, int]) -> Stored:
    """The first of `name` and its successors that is there as far as it is good."""
    (stem, _, form), number, tried = name.partition("."), 1, name
    while known.get(tried, 0) > _size_bytes(folder / tried):
        number += 1
        tried = f"{stem}-{number}.{form}"
    return Stored(tried, known.get(tried, 0))


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def note(connection: sqlite3.Connection, files: Iterable[Stored]) -> None:
    """How far each file is good now: within the transaction that deletes what it holds."""
    connection.executemany(
        "INSERT INTO archive VALUES (?,?) ON CONFLICT DO UPDATE SET size_bytes=excluded.size_bytes",
        [(file.name, file.size_bytes) for file in files],
    )


def add_lines(folder: Path, good: Stored, lines: Sequence[bytes]) -> Stored:
    """Write lines behind what is good of a file; on return they are on disk.

    Each call adds one gzip member: `zcat` and every gzip reader show the members of a file as one text.
    What a write that was cut off left behind is cut off here.

    Raises:
        OSError: The disk refuses; what was good still is.
    """
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
    member = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
    file = os.open(folder / good.name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(file, good.size_bytes)
        _write_all(file, member, good.size_bytes)
        os.fsync(file)
    finally:
        os.close(file)
    if good.size_bytes == 0:
        _sync_folder(folder)
    return Stored(good.name, good.size_bytes + len(member))


def _write_all(file: int, content: bytes, at: int) -> None:
    while content:
        written = os.pwrite(file, content, at)
        content, at = content[written:], at + written


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on disk only with its folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
