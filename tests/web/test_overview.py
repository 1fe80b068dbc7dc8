"""View 1 in a real browser."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.web.site import EVERY_LOOK, Site


@EVERY_LOOK
def test_the_overview_tells_power_and_plan(site: Site, language: str, phone: bool) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#line")).to_have_text("live" if language == "en" else "实时")
        await expect(page.locator("#planned")).to_be_visible()

    site.see("overview", look, language=language, phone=phone)
