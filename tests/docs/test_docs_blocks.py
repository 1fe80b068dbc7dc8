"""Every fenced block of README and docs is run, fits its schema, is held by another test, or says why not."""

from __future__ import annotations

import ast
import asyncio
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.docs import schemas
from tests.docs.blocks import MARKS, PAGES, ROOT, Block, all_blocks, blocks_of
from tests.docs.reader import (
    CommandFailedError,
    reader_folder,
    type_shell,
    type_vpp,
    unknown_words,
)
from tests.service.conftest import a_plant
from vpp.service.http import serve
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.plant import Plant

NOT_RUN = {
    "docs/deploy.md: useradd --system --home-dir",
    "docs/deploy.md: mkdir -p deploy/park",
    "docs/people.md: pip install aiosmtpd",
}
"""The page and the first words of its block. That nobody runs a block is a decision, written down twice."""

SHORTER = {
    "docs/tutorial.md": {"2025-12-04": "2025-12-03T03:00:00+01:00", "1h": "6h"},
}
"""What a page lets a reader wait for, and a test need not: three hours of a day in place of it."""

OPENING = {"demo_cn": datetime(2026, 7, 14, tzinfo=UTC)}
"""When the service of a shipped park is asked by a page."""

BLOCKS = all_blocks()


def pages_with(how: str) -> list[str]:
    return sorted({block.page for block in BLOCKS if block.how == how})


def run_page(page: str, folder: Path, address: str) -> None:
    """Its blocks in order: files are written, commands typed."""
    names: dict[str, object] = {}
    for block in blocks_of(ROOT / page):
        if block.mark == "file":
            (folder / block.said).write_text(block.text, encoding="utf-8")
        elif block.how == "run" and block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        elif block.how == "run" and all(words[0] == "vpp" for words in block.commands()):
            for words in block.commands():
                words = [SHORTER.get(page, {}).get(word, word) for word in words]
                type_vpp(words, folder, code=int(block.said) if block.mark == "exits" else 0)
        elif block.how == "run":
            type_shell(block, folder, address)


def plant_of(page: str, demo: Plant, folder: Path) -> Plant:
    """The service that a page speaks to: the demo at work, or the shipped park that its blocks name."""
    named = {block.said for block in blocks_of(ROOT / page) if block.mark == "on"}
    if not named:
        return demo
    (name,) = named
    return a_plant(load_park(shipped_park(name)), OPENING[name], folder)


@pytest.mark.parametrize("page", pages_with("run"))
def test_a_reader_types_what_the_page_shows_and_it_works(
    page: str, plant: Plant, tmp_path: Path
) -> None:
    folder = reader_folder(tmp_path / "reader")

    async def served() -> None:
        asked = plant_of(page, plant, tmp_path)
        async with serve(asked, host="127.0.0.1", port=0) as address:
            await asyncio.to_thread(run_page, page, folder, address)

    asyncio.run(served())


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.how == "schema"], ids=str)
def test_a_snippet_fits_the_schema_of_its_file_or_message(block: Block) -> None:
    value = schemas.value_of(block)

    names = [block.said] if block.mark == "part of" else list(schemas.fitting(value))

    assert names, "no schema knows its keys: say `<!-- part of: SCHEMA -->` above it"
    found = {name: schemas.faults(value, schemas.part(name)) for name in names}
    assert [] in found.values(), found


def test_every_mark_is_one_of_those_that_are_read() -> None:
    assert not [str(block) for block in BLOCKS if block.mark and block.mark not in MARKS]


def test_no_command_hides_in_a_picture() -> None:
    typed = re.compile(
        r"^(\$ |vpp |curl |make |pip |python |git |systemctl |docker |useradd |cp |mkdir )",
        re.MULTILINE,
    )
    assert not [
        str(block) for block in BLOCKS if block.how == "picture" if typed.search(block.text)
    ]


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.how == "held"], ids=str)
def test_the_test_that_holds_a_block_instead_exists(block: Block) -> None:
    name, _, test = block.said.partition("::")
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    assert test in {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_what_nobody_runs_is_listed_here_with_its_reason() -> None:
    left_out = [block for block in BLOCKS if block.how == "not run"]
    assert not [str(block) for block in left_out if len(block.said) < 10], "say why"
    assert {f"{block.page}: {' '.join(block.text.split()[:3])}" for block in left_out} == NOT_RUN


def shown_commands() -> dict[str, list[list[str]]]:
    """Every `vpp` command of a page: of its blocks and within its text."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for block in BLOCKS:
        if block.language == "sh":
            found[block.page] += [words for words in block.commands() if words[0] == "vpp"]
    for page in PAGES:
        text = re.sub(
            r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for code in re.findall(r"`(vpp [^`]+)`", text):
            found[str(page.relative_to(ROOT))].append(code.replace("[", "").split())
    return found


@pytest.mark.parametrize(("page", "commands"), shown_commands().items())
def test_every_command_and_option_that_a_page_names_exists(
    page: str, commands: list[list[str]]
) -> None:
    assert not {" ".join(words): found for words in commands if (found := unknown_words(words))}


# ---------------------------------------------------------------- the checks find what they are for


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "park.yaml").write_text("park: 1")
    with pytest.raises(CommandFailedError, match="vpp check"):
        type_vpp(["vpp", "check", "park.yaml"], tmp_path)
    assert unknown_words(["vpp", "chek", "park.yaml"]) == ["no command 'chek'"]
    assert unknown_words(["vpp", "check", "p.yaml", "--dif", "o"]) == ["no option --dif"]
