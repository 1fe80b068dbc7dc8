"""The fenced blocks of the documents, and what a page says of each: how a block is held to its word.

A page marks a block by a comment above it, which nobody sees who reads the page:

    <!-- file: NAME -->           written into the reader's folder before the next blocks of the page are run
    <!-- part of: SCHEMA -->      a part of what `vpp schema SCHEMA` describes; `SCHEMA#Def.field` a part of a part
    <!-- output -->               what a command printed, shortened for the reader
    <!-- exits: 2 -->             run, and every command of it ends with that code
    <!-- on: demo_cn -->          run, with the service of that shipped park in place of the demo
    <!-- held by: tests/FILE.py::TEST -->   too long, or too rare, to be run once more: that test does the same
    <!-- not run: WHY -->         nobody runs it; few, and listed by name in `test_docs_blocks.py`

Without a mark shell blocks are run: `vpp` in a folder where `config/` and an own PARK.yaml lie, curl against a
service at work, of which `http://127.0.0.1:8080` stands for the address. Python is run too, the blocks of
a page one after another, and what it asserts holds. YAML and JSON are held against the schema whose keys they have, and
blocks without a language, or with `text` or `http`, are pictures and listings.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
MARKS = ("file", "part of", "output", "exits", "on", "held by", "not run", "cost")
PICTURES = ("", "text", "http")

_FENCE = re.compile(
    r"(?P<mark><!-- [^\n]*-->\n)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!-- (?P<kind>[a-z ]+?)(?:: (?P<rest>.*?))? -->")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    """From the root of the repository."""
    line: int
    """Of the fence, from 1."""
    language: str
    mark: str
    """One of MARKS; empty where the page says nothing."""
    said: str
    """What stands behind the mark."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def how(self) -> str:
        """How the suite holds it: picture, output, file, run, schema, held, or not run."""
        if self.mark in ("output", "file", "not run"):
            return self.mark
        if self.mark == "held by":
            return "held"
        if self.language in PICTURES:
            return "picture"
        return "run" if self.language in ("sh", "python") else "schema"

    def commands(self) -> Iterator[list[str]]:
        """The words of each command of a shell block; comments and continued lines as a shell reads them."""
        begun = ""
        for line in self.text.replace("\\\n", " ").splitlines():
            begun += f"{line}\n"
            try:
                words = shlex.split(begun, comments=True)
            except ValueError:  # a quote that ends on a later line
                continue
            begun = ""
            if words:
                yield words


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.match(match["mark"] or "")
        found.append(
            Block(
                page=str(page.relative_to(ROOT)),
                line=text.count("\n", 0, match.start("language")) + 1,
                language=match["language"].strip(),
                mark="" if mark is None else mark["kind"],
                said="" if mark is None else mark["rest"] or "",
                text=match["text"],
            )
        )
    return found


def all_blocks() -> list[Block]:
    """The blocks of every page."""
    return [block for page in PAGES for block in blocks_of(page)]


def counted() -> dict[str, int]:
    """How many blocks are held in which way."""
    counts: dict[str, int] = {}
    for block in all_blocks():
        counts[block.how] = counts.get(block.how, 0) + 1
    return counts
