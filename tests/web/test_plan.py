"""View 3 in a real browser: the plan in sums, its costs, limits and changes, and how forecasts do."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.web.site import EVERY_LOOK, Site


@EVERY_LOOK
def test_the_plan_tells_its_schedule_and_its_costs(site: Site, language: str, phone: bool) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator(".tile").first).to_contain_text("plan-1")
        await expect(page.locator(".chart canvas")).to_have_count(3)
        costs = page.locator("table").filter(has_text="1,234.57")
        await expect(costs.locator("tbody tr")).to_have_count(3)  # two causes and their sum
        await expect(costs.locator("tr.total")).to_contain_text("1,236.07")

    site.see("plan", look, language=language, phone=phone)
