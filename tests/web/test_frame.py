"""The frame around the views: the strip above them, the language, the stop button, the API browser."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.service.conftest import NOW
from tests.web.site import Site
from vpp.act.ladder import SafeState
from vpp.service.api.stream import end_streams


def test_a_rung_below_normal_is_told_with_its_reason_as_text(site: Site) -> None:
    plant = site.plant

    async def look(page: Page) -> None:
        await expect(page.locator("#state")).to_have_text("Normal")
        plant.safe_state, plant.safe_state_reason = SafeState.HOLD, "<i>no plan</i>"
        plant.events.emit("safe_state", "normal -> hold", at=NOW)
        await expect(page.locator("#state")).to_have_text("Hold")
        await expect(page.locator("#why")).to_contain_text("<i>no plan</i>")

    try:
        site.see("overview", look)
    finally:
        plant.safe_state, plant.safe_state_reason = SafeState.NORMAL, ""


def test_the_language_changes_at_a_press_and_stays(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#nav a").first).to_have_text("Overview")
        await page.click("#language")
        await expect(page.locator("#nav a").first).to_have_text("总览")
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await page.goto(site.address)
        await expect(page.locator("#nav a").first).to_have_text("总览")

    site.see("overview", look)


def test_whoever_stops_everything_says_who_and_why(site: Site) -> None:
    plant = site.plant

    async def look(page: Page) -> None:
        await page.click("#stop")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.locator("#stop")).to_be_focused()
        assert not plant.kill.killed
        await page.click("#stop")
        await page.get_by_label("Your name").fill("Li")
        await page.get_by_label("Reason").fill("smoke in hall 3")
        await page.get_by_label("Reason").press("Enter")
        await expect(page.locator("dialog")).to_have_count(0)
        assert plant.kill.reason == "smoke in hall 3"

    try:
        site.see("overview", look)
    finally:
        plant.kill.release()


def test_the_api_browser_shows_the_contract(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.goto(f"{site.address}/docs")
        await expect(page.locator("rapi-doc")).to_contain_text("Make the bids", timeout=60_000)

    site.look(look)


def test_a_line_that_breaks_is_said_and_what_is_shown_turns_grey(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#line")).to_have_text("live")
        await page.context.set_offline(True)
        await end_streams(site.app)
        await expect(page.locator("#lost")).to_be_visible()
        await expect(page.locator("#lost")).to_contain_text("No connection")
        await expect(page.locator(".view")).to_have_css("filter", "grayscale(1)")
        await page.context.set_offline(False)
        await expect(page.locator("#lost")).to_be_hidden()

    site.see("overview", look, forgive=("ERR_",))
