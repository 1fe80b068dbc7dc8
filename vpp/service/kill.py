"""The kill switch: files in the data folder that stop bids and set-points.

    KILLED                      everything
    KILLED.market.<product>     bids of one product
    KILLED.enterprise.<id>      set-points to one enterprise, and bids of units that it is in

A file needs no database, no broker and no market; it survives a restart; and an operator on the
machine can create it by hand (`touch DATA/KILLED`, or `vpp kill`). While it is there the devices'
set-points expire and nothing is bid.
"""

from __future__ import annotations

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

    @property
    def killed(self) -> bool:
        """Whether everything is. Looked up each time: the file may have come from anyone."""
        return (self._folder / FILE_NAME).exists()

    @property
    def reason(self) -> str | None:
        """What the latch on everything says; None where it is released."""
        return self.reason_of(ALL)

    def reason_of(self, scope: Scope) -> str | None:
        """What the latch on `scope` says; None where it is released."""
        try:
            # Whatever a person's editor wrote must stop the plant, not this process.
            text = (self._folder / scope.file_name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        return text.strip() or "no reason given"

    def latched_ns(self, scope: Scope = ALL) -> int | None:
        """When the latch was last written, in ns since 1970; None where it is released."""
        try:
            return (self._folder / scope.file_name).stat().st_mtime_ns
        except FileNotFoundError:
            return None

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
        """Latch.

        Raises:
            OSError: The data folder cannot be written; the caller must say so.
        """
        (self._folder / scope.file_name).write_text(reason + "\n", encoding="utf-8")

    def release(self, scope: Scope = ALL) -> None:
        """Let bids and set-points go again."""
        (self._folder / scope.file_name).unlink(missing_ok=True)

    def _latched(self) -> Iterator[tuple[Scope, str]]:
        for file in sorted(self._folder.glob(f"{FILE_NAME}*")):
            _, _, rest = file.name.partition(".")
            kind, _, name = rest.partition(".")
            if not rest:
                scope = ALL
            elif kind in ("market", "enterprise") and re.fullmatch(PRODUCT_PATTERN, name):
                scope = Scope("market" if kind == "market" else "enterprise", name)
            else:
                continue  # no latch of ours: an editor's copy, say
            if (reason := self.reason_of(scope)) is not None:
                yield scope, reason
