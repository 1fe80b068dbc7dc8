"""A folder that somebody puts text files into, and when one of them is finished.

Write a file under another name (`.x`, `x.tmp`, `x.part`) and rename it: so it appears whole. A file that
does not end with a line break is looked at twice before it is believed to be finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vpp.errors import DataError, UnavailableError

UNFINISHED = (".tmp", ".part", ".swp", "~")


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it stood when it was looked at."""

    path: Path
    changed_ns: int
    size: int

    @property
    def version(self) -> str:
        return f"{self.changed_ns}/{self.size}"


class WatchedFolder:
    """The files of one folder whose name fits a pattern."""

    def __init__(self, folder: Path, pattern: str, *, max_bytes: int) -> None:
        self._folder = folder
        self._pattern = pattern
        self._max_bytes = max_bytes
        self._open_ended: dict[str, str] = {}
        """Files without a last line break, by the version that was seen."""

    def files(self) -> list[SeenFile]:
        """The files of the folder, those changed longest ago first.

        Raises:
            UnavailableError: It cannot be read.
        """
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

    def read(self, file: SeenFile) -> str | None:
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


def _seen(path: Path) -> SeenFile:
    stat = path.stat()
    return SeenFile(path, stat.st_mtime_ns, stat.st_size)
