"""View 5 in a real browser: statements, settlement by interval, what they wait for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.service.rebuilt import HandClock
from tests.service.test_accounts import MIDNIGHT, settled
from tests.web.site import EVERY_LOOK, Site
from vpp.model.time import QUARTER


@pytest.fixture(autouse=True)
def _settled(site: Site) -> Iterator[None]:
    """Two quarter-hours of 3 December are settled, the second provisionally; an hour has passed."""
    plant, clock = site.plant, site.plant.clock
    for number in (0, 1):
        one = settled(MIDNIGHT + number * QUARTER, provisional=number == 1)
        plant.accounted[one.interval] = one
    plant.clock = HandClock(at=MIDNIGHT + 4 * QUARTER)
    yield
    plant.clock = clock
    plant.accounted.clear()
    plant.statements.clear()


@EVERY_LOOK
def test_a_day_is_shown_by_enterprise_and_by_interval(
    site: Site, language: str, phone: bool
) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#period option").first).to_contain_text("2025-12-03")
        steel = page.locator("tr[data-key=steel]")
        await expect(steel).to_contain_text("−8.00")  # 200 kWh drawn at 40 EUR/MWh
        first = page.locator("tr[data-key='2025-12-02T23:00:00Z']")
        await expect(first).to_contain_text("−4.30")
        await expect(first).to_contain_text("final" if language == "en" else "最终")
        await expect(page.locator("tr.warning", has_text="steel-melt-meter")).to_be_visible()
        await expect(page.locator(".chart canvas")).to_have_count(1)

    site.see("accounts", look, language=language, phone=phone)


def test_one_enterprise_is_chosen_and_its_table_is_to_be_had(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.get_by_label("Enterprise").select_option("steel")
        await expect(page.locator("#sum-total")).to_contain_text("EUR")
        link = page.get_by_role("link", name="Statements as CSV")
        await expect(link).to_have_attribute(
            "href", "/v1/accounts/statements?period=2025-12-03&enterprise=steel&format=csv"
        )
        async with page.expect_download() as download:
            await link.click()
        path = await (await download.value).path()
        assert "metal" not in path.read_text()

    site.see("accounts/2025-12-03", look)
