"""What a new park borrows from one that is shipped: clock, money, tariff, market rules, recorded days.

A table says what stands in a park; it says nothing of prices and rules. They are taken as they stand in
the shipped file, comments and all, so that the first day can be lived through, and each is named in the
README of the new folder as something to replace.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpp.service.park.config import read_bytes, read_document
from vpp.service.park.parkfile import shipped_park

_KEY = re.compile(r"^([a-z_]+):")
CURVES: Mapping[str, tuple[str, ...]] = {
    "demo": ("metal", "office", "furniture", "school", "steel"),
    "demo_cn": ("metal", "office", "furniture", "steel"),
}
"""Measured load curves of each shipped park, by the beginning of their column's name."""


@dataclass(frozen=True, slots=True)
class Lent:
    """A shipped park, as text and as values."""

    name: str
    folder: Path
    text: Mapping[str, str]
    """Each section as it is written, by its key."""

    tree: Mapping[str, Any]
    curves: Mapping[str, tuple[str, float]]
    """Column and highest value of each load curve."""

    @property
    def series(self) -> tuple[Path, ...]:
        """The recorded series of its simulation, and where they come from."""
        simulation = self.tree["simulation"]
        parts = ("loads", "generation", "outdoor", "cars", "day_ahead_per_mwh")
        files = dict.fromkeys(self.folder / simulation[part]["file"] for part in parts)
        return (*files, next(iter(files)).parent / "SOURCE.md")

    @property
    def markets(self) -> tuple[tuple[Path, str], ...]:
        """Its market files, each with its product, that are not by invitation."""
        files = [self.folder / name for name in self.tree["markets"]]
        read = [(file, read_document(file).tree) for file in files]
        return tuple((file, tree["id"]) for file, tree in read if tree["kind"].startswith("energy"))

    @property
    def money(self) -> float:
        """Units of its currency in a euro, for costs that are assumed: of the order, no rate of a day."""
        return 1.0 if self.tree["currency"] == "EUR" else 8.0

    @property
    def demand_by_contract(self) -> bool:
        """Whether its tariff bills by contract and transformer."""
        return any("form" in tariff.get("demand", {}) for tariff in self.tree["tariffs"])


def lent(name: str) -> Lent:
    """A shipped park to borrow from.

    Raises:
        ConfigError: There is none of that name.
    """
    file = shipped_park(name)
    document = read_document(file)
    loads = file.parent / document.tree["simulation"]["loads"]["file"]
    return Lent(
        name=name,
        folder=file.parent,
        text=_sections(read_bytes(file).decode()),
        tree=document.tree,
        curves=_highest(loads, CURVES[name]),
    )


def _sections(text: str) -> dict[str, str]:
    """The text of each key, with the comment that stands right above it."""
    sections: dict[str, list[str]] = {}
    comment: list[str] = []
    current = None
    for line in text.splitlines():
        if match := _KEY.match(line):
            current = match[1]
            sections[current] = [*comment, line]
            comment = []
        elif line.startswith("#"):
            comment.append(line)
        elif not line.strip():
            comment, current = [], None
        elif current is not None:
            sections[current].append(line)
    return {name: "\n".join(lines) for name, lines in sections.items()}


def _highest(file: Path, names: tuple[str, ...]) -> dict[str, tuple[str, float]]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = {n: next(c for c in rows[0] if c.startswith(f"{n}_")) for n in names}
    return {n: (c, max(float(row[c]) for row in rows)) for n, c in columns.items()}
