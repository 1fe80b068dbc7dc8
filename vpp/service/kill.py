"""The kill switch: files in the data folder that stop bids and set-points.

    KILLED                      everything
    KILLED.market.<product>     bids of one product
    KILLED.enterprise.<id>      set-points to one enterprise, and bids of units that it is in

A file needs no database, no broker and no market; it survives a restart; and an operator on the
machine can create it by hand (`touch DATA/KILLED`, or `vpp kill`). While it is there the devices'
set-points expire and nothing is bid. In doubt it is latched: a latch that cannot be written holds in
memory, and one that cannot be read counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vpp.errors import DataError
from vpp.model.ids import PRODUCT_PATTERN

FILE_NAME = "KILLED"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is stopped."""

    kind: Literal["all", "market", "enterprise"] = "all"
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind != "all" and not re.fullmatch(PRODUCT_PATTERN, self.name):
            raise DataError(f"{self.name!r} is no id", where="kill", fix="Use one of the park's")

    @property
    def file_name(self) -> str:
        return FILE_NAME if self.kind == "all" else f"{FILE_NAME}.{self.kind}.{self.name}"

    def __str__(self) -> str:
        return "everything" if self.kind == "all" else f"{self.kind} {self.name}"


ALL = Scope()


class KillSwitch:
    """Latched on disk. `folder` is the service's data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwritten: dict[Scope, tuple[str, int]] = {}
        """Reason and mark of what is latched and not yet, or not surely, on disk."""
        self._kills = 0

    @property
    def killed(self) -> bool:
        """Whether everything is. Looked up each time: the file may have come from anyone."""
        return self.reason is not None

    @property
    def reason(self) -> str | None:
        """What the latch on everything says; None where it is released."""
        return self.reason_of(ALL)

    def reason_of(self, scope: Scope) -> str | None:
        """What the latch on `scope` says; None where it is released."""
        if scope in self._unwritten:
            return self._unwritten[scope][0]
        try:
            # Whatever a person's editor wrote must stop the plant, not this process.
            text = (self._folder / scope.file_name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"the latch cannot be read, so it counts: {error}"
        return text.strip() or "no reason given"

    def mark_of(self, scope: Scope = ALL) -> int | None:
        """A number that tells this latch from one before or after it; None where it is released.

        When its file was written, in ns since 1970; below 0 while it holds in memory alone, 0 where the
        disk does not say.
        """
        if scope in self._unwritten:
            return self._unwritten[scope][1]
        try:
            return (self._folder / scope.file_name).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        except OSError:
            return 0

    def latched(self) -> dict[Scope, str]:
        """Every latch with its reason, by name."""
        return dict(self._latched())

    def stops_bids(self, product_id: str, enterprises: Iterable[str]) -> tuple[Scope, str] | None:
        """The latch that keeps a unit of these enterprises from bidding into a product, and its reason."""
        scopes = [ALL, Scope("market", product_id)]
        for scope in (*scopes, *(Scope("enterprise", name) for name in enterprises)):
            if (reason := self.reason_of(scope)) is not None:
                return scope, reason
        return None

    def kill(self, reason: str, scope: Scope = ALL) -> None:
        """Latch: at once in memory, then for good on disk.

        Raises:
            OSError: The data folder cannot be written: it holds until this process ends or releases it;
                the caller must say so.
        """
        self._kills += 1
        self._unwritten[scope] = reason, -self._kills
        with (self._folder / scope.file_name).open("w", encoding="utf-8") as file:
            file.write(reason + "\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name too: a latch must outlive a power failure
        finally:
            os.close(folder)
        del self._unwritten[scope]  # from here on whoever may delete the file releases it

    def release(self, scope: Scope = ALL) -> None:
        """Let bids and set-points go again.

        Raises:
            OSError: The latch's file cannot be removed: it holds.
        """
        (self._folder / scope.file_name).unlink(missing_ok=True)
        self._unwritten.pop(scope, None)

    def _latched(self) -> Iterator[tuple[Scope, str]]:
        yield from ((scope, reason) for scope, (reason, _) in self._unwritten.items())
        try:
            names = sorted(file.name for file in self._folder.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            yield ALL, f"the latches cannot be listed, so all count: {error}"
            return
        for name in names:
            scope = _scope_of(name)
            if scope is not None and (reason := self.reason_of(scope)) is not None:
                yield scope, reason


def _scope_of(file_name: str) -> Scope | None:
    """What a file of that name stops; None where it is no latch of ours: an editor's copy, say."""
    if file_name == FILE_NAME:
        return ALL
    first, _, rest = file_name.partition(".")
    kind, _, name = rest.partition(".")
    if first != FILE_NAME or not re.fullmatch(PRODUCT_PATTERN, name):
        return None
    if kind == "market":
        return Scope("market", name)
    return Scope("enterprise", name) if kind == "enterprise" else None
