"""What the service says in English, read in Chinese: each form is still said, and the page finds it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

import vpp
from tests.service.conftest import NOW
from tests.web.site import Site
from vpp.service.api.pages import web_folder
from vpp.service.events import Severity


def forms() -> list[tuple[str, str]]:
    text = (web_folder() / "js" / "sentences.js").read_text()
    pairs = re.findall(r'\[("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\]', text)
    return [(json.loads(english), json.loads(chinese)) for english, chinese in pairs]


def literals(folder: Path) -> Iterator[str]:
    """Every text that stands in the code, f-strings with `{}` where they put something in."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def put_together(piece: str, literals: str, most: int = 3) -> bool:
    """Whether it is cut into at most so many texts that stand in the code: some are chosen as it runs."""
    if piece in literals:
        return True
    words = piece.split(" ")
    return most > 1 and any(
        " ".join(words[:at]).rstrip(".:,") in literals
        and put_together(" ".join(words[at:]), literals, most - 1)
        for at in range(1, len(words))
    )


def test_each_form_is_made_of_what_the_service_says() -> None:
    said = "\n".join(literals(Path(vpp.__file__).parent))
    gone = [
        piece
        for english, _ in forms()
        for piece in (one.strip(" .:,;()") for one in english.split("{}"))
        if len(piece) > 3 and not put_together(piece, said)
    ]
    assert gone == []


def test_each_form_keeps_its_numbers_in_chinese() -> None:
    assert len(forms()) > 100
    for english, chinese in forms():
        holes = english.count("{}")
        named = [int(one) for one in re.findall(r"\{(\d+)\}", chinese)]
        assert chinese.count("{}") == (0 if named else holes), english
        assert sorted(named) == (list(range(1, holes + 1)) if named else []), english


def test_no_form_hides_one_below_it() -> None:
    """The page takes the first that fits: one that a form above it fits as well is never said."""
    patterns = [
        (english, re.compile("(.+?)".join(map(re.escape, english.split("{}")))))
        for english, _ in forms()
    ]
    for at, (english, _) in enumerate(patterns):
        sample = english.replace("{}", "1")
        hidden = [above for above, pattern in patterns[:at] if pattern.fullmatch(sample)]
        assert hidden == [], english


SAID = [
    (
        "steel-battery does not follow: asked for -81.0293 kW, it does -25 kW",
        "steel-battery 未跟随设定值：要求 -81.0293 kW，实际 -25 kW",
    ),
    (
        "normal -> hold: no newer plan; held until 2025-12-02T11:00:20Z",
        "正常 → 保持：没有新计划；保持至 12月02日周二 12:00",
    ),
    (
        "steel-pv moves 45.4 kWh, most at Mon 06:00: +986.5 kW, before +896.6 kW.",
        "steel-pv 变动 45.4 千瓦时，周一 06:00 变动最大：+986.5 kW，此前 +896.6 kW。",
    ),
    (
        "A kWh fed at steel-yard saves 0.4100 CNY then: 0.3900 market, 0.0200 network energy.",
        "此时在 steel-yard 送出一千瓦时可省 0.4100 CNY：市场 0.3900，输配电量 0.0200。",
    ),
    (
        "protection decides station-heat-pump, steel-pv and 3 more: faster than its ramp",
        "保护决定 station-heat-pump, steel-pv and 3 more：超过爬坡速率",
    ),
    ("something that nobody translated", "something that nobody translated"),
]


def test_the_page_says_them_in_chinese(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.goto(f"{site.address}/?lang=zh#/desk")
        await expect(page.locator("#state")).to_have_text("正常")
        told = await page.evaluate(
            "async (all) => { const m = await import('/static/js/said.js'); return all.map((one) => [m.said(one), m.tongue(one)]); }",
            [english for english, _ in SAID],
        )
        assert [one for one, _ in told] == [chinese for _, chinese in SAID]
        assert [tongue for _, tongue in told] == [None] * (len(SAID) - 1) + ["en"]

    site.look(look)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_event_is_read_in_the_language_of_the_page(site: Site, language: str) -> None:
    told = {"en": "the journal takes entries again", "zh": "日志恢复写入"}

    async def look(page: Page) -> None:
        site.plant.events.emit("journal", told["en"], at=NOW, severity=Severity.WARNING)
        await page.goto(f"{site.address}/?lang={language}#/desk/events")
        row = page.locator("tbody tr").filter(has_text=told[language])
        await expect(row.first).to_be_visible()

    site.look(look)
