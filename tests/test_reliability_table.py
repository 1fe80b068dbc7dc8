"""The table of `docs/reliability.md` names tests that exist, and leaves no row out.

Files are read with `ast` and never imported. A row without a test says so in words: it is better to know.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
PARTS = {"A": 12, "B": 11, "C": 14, "D": 12, "E": 14, "F": 12, "G": 6, "H": 12, "J": 8, "K": 11}
"""How many rows each part has."""

MUST_BE_SHOWN = {f"{part}{n}" for part in "ABC" for n in range(1, PARTS[part] + 1)} - {"B11"}
"""Rows of the field side; B11 is about a broker that is for the demo alone."""

NOT_SHOWN = "not shown"
NAME = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows() -> dict[str, str]:
    """The last cell of each row, by the row's name."""
    found: dict[str, str] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| ([A-K]\d+) \|", line):
            name = match.group(1)
            assert name not in found, f"{name} stands there twice"
            found[name] = line.rstrip(" |").split(" | ")[-1].strip()
    return found


@cache
def functions_of(file: Path) -> frozenset[str]:
    """Every test function of a file, those of classes too."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_no_row_is_missing_and_none_is_made_up() -> None:
    assert set(rows()) == {f"{part}{n}" for part, most in PARTS.items() for n in range(1, most + 1)}


def place(name: str) -> tuple[str, int]:
    """A10 stands after A9."""
    return name[0], int(name[1:])


IN_ORDER = sorted(rows(), key=place)


@pytest.mark.parametrize("row", IN_ORDER)
def test_what_a_row_names_exists(row: str) -> None:
    cell = rows()[row]
    names = NAME.findall(cell)
    assert names or cell == NOT_SHOWN, f"{row} names no test and does not say so: {cell!r}"
    assert NAME.sub("", cell).replace("<br>", "") in ("", NOT_SHOWN), f"{row}: {cell!r}"
    for file, test in names:
        path = ROOT / "tests" / file
        assert path.is_file(), f"{row}: there is no tests/{file}"
        assert test in functions_of(path), f"{row}: tests/{file} has no {test}"


def test_every_row_of_the_field_side_is_shown() -> None:
    assert {name for name, cell in rows().items() if cell == NOT_SHOWN} & MUST_BE_SHOWN == set()
