"""The kill switch: a file in the data folder that stops bids and set-points.

A file needs no database, no broker and no market; it survives a restart; and an operator on the
machine can create it by hand (`touch DATA/KILLED`). While it is there the devices' set-points
expire and nothing is bid.
"""

from __future__ import annotations

from pathlib import Path

FILE_NAME = "KILLED"


class KillSwitch:
    """Latched on disk. `folder` is the service's data folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME

    @property
    def killed(self) -> bool:
        """Looked up each time: the file may have come from anyone."""
        return self._file.exists()

    @property
    def reason(self) -> str | None:
        """What the latch says; None where it is released."""
        try:
            # Whatever a person's editor wrote must stop the plant, not this process.
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        return text.strip() or "no reason given"

    @property
    def latched_ns(self) -> int | None:
        """When the latch was last written, in ns since 1970; None where it is released."""
        try:
            return self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def kill(self, reason: str) -> None:
        """Latch.

        Raises:
            OSError: The data folder cannot be written; the caller must say so.
        """
        self._file.write_text(reason + "\n", encoding="utf-8")

    def release(self) -> None:
        """Let bids and set-points go again."""
        self._file.unlink(missing_ok=True)
