"""What our SQLite files have in common: how they are opened, versioned and locked."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from vpp.errors import ConfigError, UnavailableError


def connect(
    path: Path,
    *,
    schema: str,
    version: int,
    synchronous: Literal["FULL", "NORMAL"],
    upgrades: Mapping[int, str] = MappingProxyType({}),
) -> sqlite3.Connection:
    """Open `path` for writing in WAL mode, and make its tables where the file is new.

    A file of an older version is brought up step by step: `upgrades` says what leads from a version
    to the next one.

    Raises:
        ConfigError: Damaged, not a database, written by a newer release, or not writable.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA busy_timeout=5000")
        _migrate(connection, path, schema, version, upgrades)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except ConfigError:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A second connection that sees what is committed and can change nothing.

    Raises:
        ConfigError: The file cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA busy_timeout=5000")
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    return connection


def unavailable(path: Path, error: Exception) -> UnavailableError:
    """A read or write that the disk refused."""
    return UnavailableError(
        str(error), where=str(path), fix="Look at the disk: space, permissions, health"
    )


def _migrate(
    connection: sqlite3.Connection,
    path: Path,
    schema: str,
    version: int,
    upgrades: Mapping[int, str],
) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise ConfigError(
            f"was written by a newer release (format {found}, this one knows {version})",
            where=str(path),
            fix="Run the newer release, or choose another data folder",
        )
    if found == 0:
        connection.executescript(f"BEGIN;{schema};PRAGMA user_version={version};COMMIT;")
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ConfigError(
            f"is damaged: {verdict}", where=str(path), fix="Restore the last backup of this file"
        )
    for step in range(found, version):
        connection.executescript(f"BEGIN;{upgrades[step]};PRAGMA user_version={step + 1};COMMIT;")


def _unusable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot be opened: {error}",
        where=str(path),
        fix="Give a data folder that can be written, or restore the file from its backup",
    )


class FolderLock:
    """Holds a data folder for one process; the kernel lets go of it when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it where it is missing.

        Raises:
            ConfigError: Another process holds it, or it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / "vpp.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot be used: {error.strerror}",
                where=f"data folder {folder}",
                fix="Give a folder that this user can write to",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise ConfigError(
                f"is in use by process {holder}",
                where=f"data folder {folder}",
                fix="Stop that process, or choose another data folder",
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)
