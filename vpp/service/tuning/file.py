"""The strategy file on the disk: read within bounds, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.park.config import ConfigErrors, Fault
from vpp.service.park.parkfile import ParkFile
from vpp.wirestrategies import MOST_TEXT

COPY = "strategies.yaml"
"""Of the strategy file, in the folder of a demo's record."""


def signature_of(path: Path) -> tuple[int, ...]:
    """What is another when the file is another; empty where it cannot be looked at. One call of the system."""
    try:
        seen = path.stat()
    except OSError:
        return ()
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def read_text(path: Path) -> str:
    """The text of the file.

    Raises:
        ConfigErrors: It cannot be read, is no UTF-8 text, or longer than `MOST_TEXT` characters.
    """
    try:
        with path.open("rb") as file:
            content = file.read(4 * MOST_TEXT + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigErrors([Fault(path.name, 1, 1, "", f"cannot be read: {reason}")]) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([Fault(path.name, line, 1, "", "is not UTF-8 text")]) from error
    if len(text) > MOST_TEXT:
        what = f"is longer than {MOST_TEXT} characters"
        raise ConfigErrors([Fault(path.name, 1, 1, "", what)])
    return text


def write_text(path: Path, text: str) -> None:
    """Replace the file's content at once: whoever reads it, or a crash, finds the old or the new one whole.

    The file keeps its mode; a link is followed, and stays one.

    Raises:
        UnavailableError: The disk refuses; the file is as it was.
    """
    path = path.resolve()
    draft: Path | None = None
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        draft = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if draft is not None:
            with suppress(OSError):  # replaced already, or a disk that refuses this too
                draft.unlink()
        raise UnavailableError(
            f"cannot be written: {error.strerror or error}",
            where=path.name,
            fix="Make its folder writable for the service, or edit the file by hand",
        ) from error


def with_own_copy(file: ParkFile, folder: Path) -> ParkFile:
    """The park file with its strategy file copied into `folder`: what is tried there leaves the original alone.

    Raises:
        UnavailableError: The disk refuses.
    """
    if not file.strategies.given:
        return file
    path = folder / COPY
    with suppress(OSError):  # told by whoever writes into it
        folder.mkdir(parents=True, exist_ok=True)
    write_text(path, file.strategies.text)
    return replace(file, strategies=replace(file.strategies, path=path))
