"""View 6 in a real browser: the editor, its faults, the preview, history."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from playwright.async_api import Locator, Page, Route, expect

from tests.service.conftest import NOW
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


def test_a_text_is_applied_by_name_shown_in_the_history_and_rolled_back(site: Site) -> None:
    desk = site.plant.tuning
    before = desk.seen

    async def look(page: Page) -> None:
        area = page.locator("#strategy-text")
        await expect(area).to_have_value(before.text)
        await area.fill("strategies: []\n")
        await expect(page.locator("#strategy-verdict")).to_contain_text("changes")
        await act(page, page.get_by_role("button", name="Apply"), "nothing is wanted today")
        await expect(page.get_by_text("Waiting:")).to_be_visible()
        first = page.get_by_role("row").filter(has_text="nothing is wanted today")
        await first.get_by_role("button", name="Show").click()
        await expect(page.locator(".shown pre")).to_have_text("strategies: []\n")
        await area.fill("strategies: [] # again\n")
        await act(page, first.get_by_role("button", name="Roll back"), "as it was before")
        await expect(page.get_by_text("as it was before")).to_be_visible()

    async def act(page: Page, button: Locator, reason: str) -> None:
        await button.click()
        dialog = page.locator("dialog")
        await dialog.get_by_label("Your name").fill("Li")
        await dialog.get_by_label("Reason").fill(reason)
        await dialog.get_by_label("Reason").press("Enter")
        await expect(dialog).to_have_count(0)

    try:
        site.see("strategies", look)
    finally:
        desk.seen, desk.waiting, desk.waiting_number = before, None, None


def test_what_was_written_is_there_again_when_one_comes_back_to_the_view(site: Site) -> None:
    async def look(page: Page) -> None:
        area = page.locator("#strategy-text")
        await expect(area).to_have_value(re.compile("strategies:"))
        await area.fill("strategies: [] # half done\n")
        await page.locator("nav").get_by_role("link", name="Desk").click()
        await expect(area).to_have_count(0)
        await page.locator("nav").get_by_role("link", name="Strategies").click()
        await expect(area).to_have_value("strategies: [] # half done\n")
        await page.get_by_role("button", name="Start over from the file").click()
        await expect(area).to_have_value(site.plant.tuning.seen.text)

    site.see("strategies", look)


def test_a_change_by_somebody_else_is_told_before_it_is_written_over(site: Site) -> None:
    desk = site.plant.tuning
    before = desk.seen

    async def look(page: Page) -> None:
        await expect(page.locator("#strategy-text")).to_have_value(before.text)
        desk.seen = replace(before, text="strategies: []\n")
        site.plant.events.emit("strategies", "the file was edited", at=NOW)
        await expect(page.get_by_role("alert").filter(has_text="has changed")).to_be_visible()
        await page.get_by_role("button", name="Start over").click()
        await expect(page.locator("#strategy-text")).to_have_value("strategies: []\n")

    try:
        site.see("strategies", look)
    finally:
        desk.seen = before


def test_a_preview_is_asked_for_again_and_forgotten_by_a_service_that_was_begun_anew(
    site: Site,
) -> None:
    running = {
        "preview_id": "7",
        "state": "running",
        "progress": 0.5,
        "took_s": 1,
        "doing": "day 1",
    }
    answers = ["runs", "lost", "runs", "gone"]

    async def answer(route: Route) -> None:
        match answers.pop(0):
            case "runs":
                await route.fulfill(body=json.dumps(running), content_type="application/json")
            case "lost":
                await route.abort()
            case _:
                await route.fulfill(status=404, body="{}", content_type="application/json")

    async def look(page: Page) -> None:
        # The page as it opened has looked for a preview by now, and takes none of the answers.
        await expect(page.locator(".view-strategies")).to_be_visible()
        await page.route("**/v1/strategies/previews/7", answer)
        await page.evaluate("sessionStorage.setItem('vpp.preview', '7')")
        await page.reload()
        await expect(page.get_by_role("progressbar")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_be_hidden()
        assert answers == []
        assert await page.evaluate("sessionStorage.getItem('vpp.preview')") is None

    site.see("strategies", look, forgive=("ERR_", "404"))
