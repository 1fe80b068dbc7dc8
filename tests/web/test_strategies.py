"""View 6 in a real browser: the editor, its faults, the preview, history."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.web.site import EVERY_LOOK, Site


@EVERY_LOOK
def test_the_editor_shows_the_file_and_its_faults_by_line(
    site: Site, language: str, phone: bool
) -> None:
    en = language == "en"

    async def look(page: Page) -> None:
        area = page.locator("#strategy-text")
        await expect(area).to_have_value(re.compile("strategies:"))
        await expect(page.locator("#strategy-verdict")).to_contain_text("Valid" if en else "有效")
        await area.fill("strategies:\n  - name: spot\n    use: no_such_strategy\n")
        fault = page.locator(".editor .faults li").first
        await expect(fault).to_contain_text("there is no strategy")
        await expect(page.get_by_role("button", name="Apply" if en else "应用")).to_be_disabled()
        await fault.get_by_role("button").click()
        await expect(area).to_be_focused()

    site.see("strategies", look, language=language, phone=phone)
