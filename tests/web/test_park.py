"""View 2 in a real browser: the tree, and a resource's page."""

from __future__ import annotations

import json
import re

from playwright.async_api import Page, Route, expect

from tests.service.conftest import NOW
from tests.web.site import EVERY_LOOK, Site, left


@EVERY_LOOK
def test_the_tree_shows_flows_and_limits_and_is_searched(
    site: Site, language: str, phone: bool
) -> None:
    async def look(page: Page) -> None:
        rows = page.locator("tbody tr")
        await expect(rows.filter(has_text="steel-melt")).to_contain_text("−100")
        await expect(rows.filter(has_text="feeder-north")).to_contain_text("11,000 / 4,000")
        await page.fill("#search", "steel storage" if language == "en" else "steel 储能")
        await expect(page.locator("tbody a")).to_have_text(["steel-battery"])
        await page.fill("#search", "no such thing")
        await expect(page.locator("tbody a")).to_have_count(0)
        await page.fill("#search", "")

    site.see("park", look, language=language, phone=phone)


def test_a_tree_that_comes_in_pages_is_whole_in_the_end_and_found_in(site: Site) -> None:
    """Three resources a page: fifteen of them."""
    asked = list[str]()

    async def shorter(route: Route) -> None:
        address = route.request.url
        asked.append(address)
        joint = "&" if "?" in address else "?"
        await route.continue_(url=f"{address}{joint}limit=3")

    async def look(page: Page) -> None:
        address = await left(page)
        await page.route(re.compile(r"/v1/tree(\?|$)"), shorter)
        await page.goto(address)
        await expect(page.locator("tbody a")).to_have_count(44)
        await expect(page.locator(".view [role=status]").last).to_have_text("44 resources")
        rows = page.locator("tbody tr")
        await expect(rows.filter(has_text="steel-melt")).to_contain_text("−100")
        await page.fill("#search", "steel storage")
        await expect(page.locator("tbody a")).to_have_text(["steel-battery"])
        await expect(page.locator(".view [role=status]").last).to_have_text("1 of 44 resources")

    site.see("park", look)
    assert len(asked) == len(set(asked)) == 15


def test_a_branch_closes_and_opens_by_keyboard(site: Site) -> None:
    async def look(page: Page) -> None:
        twist = page.get_by_role("button", name="Open Steel works")
        await expect(page.locator("a", has_text="steel-battery")).to_be_visible()
        await twist.focus()
        await twist.press("Enter")
        await expect(page.locator("a", has_text="steel-battery")).to_have_count(0)
        await expect(twist).to_have_attribute("aria-expanded", "false")
        await expect(twist).to_be_focused()

    site.see("park", look)


@EVERY_LOOK
def test_a_resource_tells_what_it_does_and_why(site: Site, language: str, phone: bool) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator(".facts").first).to_contain_text("50.0 %")
        await expect(page.locator(".chart canvas").first).to_be_visible()

    site.see("park/steel-battery", look, language=language, phone=phone, forgive=("503",))


def test_an_operator_takes_a_resource_in_hand_with_an_end_and_gives_it_back(site: Site) -> None:
    held = site.plant.acting.overrides

    async def look(page: Page) -> None:
        await page.get_by_role("button", name="Take in hand").click()
        await page.get_by_label("Power in kW").fill("-50")
        await page.get_by_label("For so many minutes").fill("30")
        await page.get_by_label("Your name").fill("Li")
        await page.get_by_label("Reason").fill("works at the crane")
        await page.locator("dialog").get_by_role("button", name="Take in hand").click()
        await expect(page.locator(".facts").nth(1)).to_contain_text("Li: works at the crane")
        (one,) = held.values()
        assert (one.low_kw, one.by, one.reason) == (-50.0, "Li", "works at the crane")
        assert (one.until - NOW).total_seconds() == 30 * 60
        await page.get_by_role("button", name="Release").click()
        await page.get_by_label("Reason").fill("the crane is done")
        await page.locator("dialog").get_by_role("button", name="Release").click()
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Release")).to_be_hidden()
        assert next(iter(held.values())).ended
        (entry,) = site.plant.journal.entries("override_end")
        assert json.loads(entry.body) == {"by": "Li", "reason": "the crane is done"}

    try:
        site.see("park/steel-battery", look, forgive=("503",))
    finally:
        held.clear()


def test_a_power_beyond_what_it_can_is_refused_in_the_dialog(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.get_by_role("button", name="Take in hand").click()
        await page.get_by_label("Power in kW").evaluate(
            "it => { it.removeAttribute('max'); it.value = '9000'; }"
        )
        await page.get_by_label("Your name").fill("Li")
        await page.get_by_label("Reason").fill("works at the crane")
        await page.locator("dialog").get_by_role("button", name="Take in hand").click()
        await expect(page.locator("dialog .fault")).to_be_visible()
        await expect(page.locator("dialog .fault")).to_contain_text("9000")
        await expect(page.locator("dialog")).to_be_visible()

    site.see("park/steel-battery", look, forgive=("503", "422", "400"))
    assert not site.plant.acting.overrides
