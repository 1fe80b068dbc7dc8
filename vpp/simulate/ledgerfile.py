"""Books on disk, one line of JSON an entry: what a kill cut off is dropped, damage elsewhere is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vpp.errors import DataError


def cut_tail(path: Path) -> int:
    """Drop what stands behind the last end of a line: a write that a kill cut off. How many bytes."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return len(content) - whole


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries, oldest first.

    Raises:
        DataError: A line is none.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            entry["kind"]
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{error!r} in {line[:80]!r}",
                where=f"{path}:{number}",
                fix="Restore the venue's books from a copy; they are never mended by guess",
            ) from error
        yield entry
