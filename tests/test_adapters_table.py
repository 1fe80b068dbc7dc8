"""The matrix of `docs/adapters.md`: no adapter, suite, peer or template is missing, and what it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adapters.md"
TEST = re.compile(r"`([\w/]+\.py)(?:::(test_\w+)|\[([^\]]+)\])?`")
LINKS = "contracts/test_device_link.py"


def rows() -> dict[str, list[str]]:
    """The cells of each row, by its first."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" |")]
        if line.startswith("|") and cells[0] != "what" and not line.startswith("|---"):
            assert len(cells) == 6, line
            assert cells[0] not in found, f"{cells[0]} stands there twice"
            found[cells[0]] = cells[1:]
    return found


@cache
def functions_of(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def benches() -> set[str]:
    """The parameters of the suite of device links, without those beside a dead gateway."""
    tree = ast.parse((ROOT / "tests" / LINKS).read_text(encoding="utf-8"))
    return {
        word.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.param"
        for word in node.keywords
        if word.arg == "id"
        and isinstance(word.value, ast.Constant)
        and isinstance(word.value.value, str)
        and " beside " not in word.value.value
    }


def named_in(cell: str) -> list[tuple[str, str, str]]:
    return TEST.findall(cell)


@pytest.mark.parametrize("name", rows())
def test_what_a_row_names_exists(name: str) -> None:
    files, suite, peer, templates, page = rows()[name]
    for pattern in re.findall(r"`([\w*.]+)`", files):
        assert list((ROOT / "adapters").glob(pattern)), f"no file is {pattern}"
    for file, test, bench in [*named_in(suite), *named_in(peer)]:
        path = ROOT / "tests" / file
        assert path.is_file(), f"there is no tests/{file}"
        assert not test or test in functions_of(path), f"tests/{file} has no {test}"
        assert not bench or bench in benches(), f"{file} has no {bench!r}"
    assert named_in(suite), "no suite is named"
    assert named_in(peer) or re.match(r"none: \w+", peer), "no peer, and it does not say why"
    for folder in re.findall(r"`(\w+)`", templates):
        assert list((ROOT / "config" / "devices" / folder).glob("*.yaml"))
    (link,) = re.findall(r"\]\(([\w-]+\.md)\)", page)
    assert (ROOT / "docs" / link).is_file(), f"there is no docs/{link}"


def test_every_adapter_has_a_row() -> None:
    patterns = [p for files, *_ in rows().values() for p in re.findall(r"`([\w*.]+)`", files)]
    named = {file.name for p in patterns for file in (ROOT / "adapters").glob(p)}
    assert {file.name for file in (ROOT / "adapters").glob("*.py")} - named == {"__init__.py"}


def test_every_link_of_the_suite_and_every_contract_is_named() -> None:
    cells = [named_in(suite + peer) for _, suite, peer, *_ in rows().values()]
    named = [one for found in cells for one in found]
    assert benches() == {bench for _, _, bench in named if bench}
    contracts = {f"contracts/{file.name}" for file in (ROOT / "tests/contracts").glob("test_*.py")}
    # How a missing program is told is no contract of an adapter.
    assert contracts - {file for file, *_ in named} == {"contracts/test_require_program.py"}


def test_every_peer_and_every_folder_of_templates_is_named() -> None:
    table = [cell for cells in rows().values() for cell in cells]
    named = {file for cell in table for file, *_ in named_in(cell)}
    peers = {f"peers/{file.name}" for file in (ROOT / "tests/peers").glob("test_*.py")}
    assert peers <= named, f"not named: {sorted(peers - named)}"
    folders = {one.name for one in (ROOT / "config" / "devices").iterdir() if one.is_dir()}
    assert folders == {f for cells in rows().values() for f in re.findall(r"`(\w+)`", cells[3])}
