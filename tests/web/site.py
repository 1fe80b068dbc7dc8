"""Looks at a view of the page as people do: in both languages, on a desk and on a phone, with a screen reader.

    def test_the_overview_shows_the_power(site: Site) -> None:
        async def look(page: Page) -> None:
            await expect(page.locator("#power")).to_contain_text("kW")

        site.see("overview", look, language="zh", phone=True)

`see` opens the view, waits for what `look` expects, and then holds what every view owes: no complaint on
the console, nothing asked from another host, nothing that scrolls sideways, no serious fault that axe finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp.web import Application
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, a_schedule, hear, publish
from tests.service.conftest import a_plant as just_started
from vpp.act.ladder import SafeState
from vpp.model.schedule import Optimal
from vpp.service.http import serve_app
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.plant import Plant

T = TypeVar("T")
Look = Callable[[Page], Awaitable[None]]

EVERY_LOOK = pytest.mark.parametrize(
    ("language", "phone"),
    [("en", False), ("zh", True)],
    ids=["en-desk", "zh-phone"],
)
"""For a view's test: both languages and both widths, in the two ways that each occurs once."""

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 1000 * PATIENCE_S
"""For whatever a test waits for: a busy machine may be slow, and what holds costs no time."""

SERIOUS = ("serious", "critical")

expect.set_options(timeout=PATIENCE_MS)


async def a_plant(folder: Path) -> Plant:
    """The demo park at 11:00 with everybody heard, prices, a plan, and one round of steering."""
    plant = just_started(load_park(shipped_park("demo")), NOW, folder)
    hear(plant, NOW - timedelta(seconds=30))
    publish(plant)
    plant.schedule = a_schedule(plant.file)
    plant.outcome = Optimal(schedule=plant.schedule)
    plant.reconciled = True
    plant.safe_state, plant.safe_state_reason = SafeState.NORMAL, ""
    return plant


async def opened(app: Application, chromium: Path) -> tuple[AsyncExitStack, Browser, str]:
    """The application served and a browser started; the stack ends both."""
    stack = AsyncExitStack()
    address = await stack.enter_async_context(serve_app(app, host="127.0.0.1", port=0))
    playwright = await stack.enter_async_context(async_playwright())
    browser = await playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
    stack.push_async_callback(browser.close)
    return stack, browser, address


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served plant and a browser; both live only while one of the methods runs."""

    plant: Plant
    app: Application
    runner: asyncio.Runner
    browser: Browser
    address: str
    folder: Path

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` beside the server."""
        return self.runner.run(work)

    def see(
        self,
        view: str,
        look: Look,
        *,
        language: str = "en",
        phone: bool = False,
        forgive: tuple[str, ...] = (),
    ) -> None:
        """Open `#/view`, `look`, and hold what every view owes.

        Args:
            view: What stands behind `#/`, such as `park/steel-battery`.
            look: What is done and expected there.
            language: `en` or `zh`.
            phone: 390 px wide in place of 1280.
            forgive: Parts of console complaints that are meant, such as the 409 of a refused write.
        """
        self.runner.run(self._see(view, look, language, phone, forgive))

    def look(self, look: Look) -> None:
        """Let `look` go where it likes, and hold that nothing is complained of."""

        async def looking() -> None:
            async with self._page("en", phone=False) as (page, complaints):
                await look(page)
                assert complaints == []

        self.runner.run(looking())

    async def _see(
        self, view: str, look: Look, language: str, phone: bool, forgive: tuple[str, ...]
    ) -> None:
        async with self._page(language, phone) as (page, complaints):
            await page.goto(f"{self.address}/?lang={language}#/{view}")
            await look(page)
            name = f"{view.replace('/', '-')}-{language}-{'phone' if phone else 'desk'}.png"
            await page.screenshot(path=self.folder / name, full_page=True)
            meant = [said for said in complaints if not any(part in said for part in forgive)]
            assert meant == []
            assert await page.locator("html").get_attribute("lang") in ("en", "zh-CN")
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= (PHONE if phone else DESK)["width"], "it scrolls sideways"
            assert await serious_faults(page) == []

    @asynccontextmanager
    async def _page(self, language: str, phone: bool) -> AsyncIterator[tuple[Page, list[str]]]:
        """A fresh page, and everything that is wrong on it, filled as it happens."""
        # Answers are kept until something happens, and the test before may have changed things without a word.
        self.plant.events.emit("page", "a page is looked at", at=NOW)
        context = await self.browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
            locale="zh-CN" if language == "zh" else "en-GB",
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )

        def asked(url: str) -> None:
            if not url.startswith((self.address, "data:", "blob:")):
                complaints.append(f"asked from another host: {url}")

        page.on("request", lambda request: asked(request.url))
        try:
            yield page, complaints
        finally:
            await context.close()


async def left(page: Page) -> str:
    """Leave what is open, so that nothing it still asks for is counted; gives its address."""
    address = page.url
    await page.goto("about:blank")
    return address


async def serious_faults(page: Page) -> list[str]:
    """What axe finds that would stop somebody: rule and first place of each."""
    found = await Axe().run(page)
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
    ]
