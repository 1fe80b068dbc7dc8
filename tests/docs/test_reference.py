"""The reference is what the code says, and links between pages lead to files and headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT
from tests.docs.schemas import SAME_KEYS
from tools.reference.__main__ import stale
from tools.reference.pages import FILES, MESSAGES, SMALL, pages
from tools.reference.tables import anchor, table
from vpp.service.api.face import routes
from vpp.service.park.schemas import SCHEMAS


def test_the_reference_is_as_the_code_is() -> None:
    assert stale() == [], "run `python -m tools.reference`"


def test_every_route_is_in_the_reference() -> None:
    text = pages()["routes.md"]
    assert [r.path for r in routes() if f"`{r.method} {r.path}`" not in text] == []


def test_every_schema_is_in_the_reference_or_shown_by_a_route() -> None:
    told = FILES.keys() | SMALL.keys() | MESSAGES.keys() | SAME_KEYS
    assert SCHEMAS.keys() - told == {"plan", "bid", "report"}


def test_every_kind_of_event_stands_there_once() -> None:
    kinds = re.findall(r"^\| `(\w+)` ", pages()["events.md"], re.MULTILINE)
    assert len(kinds) == len(set(kinds)) > 80
    assert {"plan", "kill", "telemetry_refused", "tick"} <= set(kinds)


def test_a_bar_in_a_text_does_not_end_its_cell() -> None:
    assert table(("a",), [("x | y\n z",)]) == "| a |\n|---|\n| x \\| y z |\n"


@cache
def headings(page: Path) -> set[str]:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", "")))
        names.add(name if name not in found else f"{name}-{found[name]}")
        found[name] = found.get(name, 0) + 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, part = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (
            part and target.suffix == ".md" and part not in headings(target)
        ):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_and_events_that_a_page_names_exist(page: Path) -> None:
    """A name that ends in a line stands for all that begin so: `vpp_dispatch_*`."""
    text = page.read_text(encoding="utf-8")
    metrics = re.findall(r"^\| `(vpp_\w+)` ", pages()["metrics.md"], re.MULTILINE)
    kinds = re.findall(r"^\| `(\w+)` ", pages()["events.md"], re.MULTILINE)

    parts = re.compile(r"_(bucket|sum|count)$")
    named = set(re.findall(r"\bvpp_[a-z0-9_]+\b", text))
    unknown = {
        name
        for name in named
        if not any(
            m.startswith(name) if name.endswith("_") else m == parts.sub("", name) for m in metrics
        )
    }
    assert not unknown
    assert not set(re.findall(r"[Ee]vents? `(\w+)`", text)) - set(kinds)
