"""`vpp backup`: a copy of the folder of the record that can be put in its place, while the service runs.

    DATA ──▶ TO/ journal.sqlite telemetry.sqlite forecasts.sqlite   by SQLite's own backup: one moment each
                 KILLED*, and whatever else lies there              as they are
                 archive/                                           last: it only grows, and what a journal does
                                                                    not know of is cut off when it is opened
                 backup.json                                        when, of what, by which build, digests

It is written beside its place, read through, and moved there when it is whole. The journal comes before the
telemetry: a record that knows more readings than awards loses nothing, the other way round it would.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vpp import __version__
from vpp.errors import ConfigError, UnavailableError
from vpp.model.time import isoformat
from vpp.service.build import code_digest

FIRST = ("journal.sqlite", "telemetry.sqlite")
ARCHIVE = "archive"
LEFT_OUT = {"vpp.lock", ARCHIVE, "backup.json"}
SIDES = ("-wal", "-shm", "-journal")
MANIFEST = "backup.json"


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written."""

    folder: Path
    files: int
    size_bytes: int


def back_up(data: Path, to: Path, now: datetime) -> Backup:
    """Copy the record in `data` into the folder `to`, which is not there yet.

    Raises:
        ConfigError: There is no record, or `to` is there already or cannot be written.
        UnavailableError: A file of the record cannot be read, or its copy is not whole.
    """
    if not (data / FIRST[0]).is_file():
        fix = "Name the folder of the record, as `vpp run --data` has it"
        raise ConfigError("holds no journal", where=str(data), fix=fix)
    if to.exists():
        raise ConfigError("is there already", where=str(to), fix="Name a folder that is not there")
    making = to.with_name(f".{to.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)  # of a backup that was interrupted
        making.mkdir(parents=True, mode=0o700)  # the record holds what members sell and use
        digests = _copy(data, making)
        manifest = {
            "made_at": isoformat(now),
            "of": str(data.absolute()),
            "version": __version__,
            "code": code_digest(),
            "sha256": digests,
        }
        (making / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        making.rename(to)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(to), fix="Name another folder"
        ) from error
    except UnavailableError:
        shutil.rmtree(making, ignore_errors=True)
        raise
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    return Backup(folder=to, files=len(digests), size_bytes=size)


def _copy(data: Path, to: Path) -> dict[str, str]:
    """Every file, and the SHA-256 of its copy by its name."""
    there = sorted(file.name for file in data.iterdir() if file.is_file())
    bases = [name for name in there if name.endswith(".sqlite")]
    rest = [n for n in there if n not in bases and n not in LEFT_OUT and not n.endswith(SIDES)]
    for name in [*FIRST, *(base for base in bases if base not in FIRST)]:
        if name in bases:
            _copy_base(data / name, to / name)
    for name in rest:
        shutil.copy2(data / name, to / name)
    if (data / ARCHIVE).is_dir():
        shutil.copytree(data / ARCHIVE, to / ARCHIVE)
    copies = sorted(file for file in to.rglob("*") if file.is_file())
    return {str(file.relative_to(to)): _digest(file) for file in copies}


def _copy_base(source: Path, to: Path) -> None:
    """One moment of a file that is written to meanwhile; read through, so that a bad page is found today."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as read,
            closing(sqlite3.connect(to)) as written,
        ):
            read.backup(written)
            (told,) = written.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise UnavailableError(
            f"cannot be copied: {error}", where=str(source), fix="Look at the disk; try again"
        ) from error
    if told != "ok":
        fix = "The file itself is damaged: keep older backups, look at the disk"
        raise UnavailableError(f"the copy is not whole: {told}", where=str(source), fix=fix)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_backup(folder: Path) -> int:
    """Read a backup through before it is put in place; how many files it has.

    Raises:
        ConfigError: It is none, or a file is missing or not what was written.
    """
    try:
        digests = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Name a folder that `vpp backup` wrote"
        raise ConfigError(f"is no backup: {error}", where=str(folder), fix=fix) from error
    for name, digest in digests.items():
        file = folder / name
        if not file.is_file() or _digest(file) != digest:
            what = f"{name} is {'not what was written' if file.is_file() else 'missing'}"
            raise ConfigError(what, where=str(folder), fix="Take an older backup")
    return len(digests)
