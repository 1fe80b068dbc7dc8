"""View 8 in a real browser: one enterprise's own view, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, Route, expect

from tests.service.rebuilt import HandClock
from tests.service.test_accounts import MIDNIGHT, settled
from tests.web.site import EVERY_LOOK, Site, left
from vpp.model.time import QUARTER
from vpp.service.members.desk import MemberDesk


@pytest.fixture(autouse=True)
def _settled(site: Site) -> Iterator[None]:
    """A quarter-hour of 3 December is settled, and nothing was asked for yet."""
    plant, clock, tuning = site.plant, site.plant.clock, site.plant.tuning
    seen = tuning.seen
    plant.members = MemberDesk()
    one = settled(MIDNIGHT)
    plant.accounted[one.interval] = one
    plant.clock = HandClock(at=MIDNIGHT + 2 * QUARTER)
    yield
    plant.clock, plant.members = clock, MemberDesk()
    tuning.seen = seen  # versions stay: they are on the journal
    tuning.waiting, tuning.waiting_number = None, None
    plant.accounted.clear()
    plant.statements.clear()


@EVERY_LOOK
def test_a_member_sees_load_resources_agreement_and_statement(
    site: Site, language: str, phone: bool
) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#own-planned")).to_contain_text("kW")
        await expect(page.locator("tr[data-key=steel-battery]")).to_be_visible()
        await expect(page.locator("tr[data-key=cold-battery]")).to_have_count(0)
        await expect(page.locator("#own-period")).to_have_value("2025-12")
        spot = "Energy at spot" if language == "en" else "现货电费"
        await expect(page.locator("tr", has_text=spot)).to_contain_text("−4.00")
        await expect(page.locator(".chart canvas")).to_have_count(1)

    site.see("member/steel", look, language=language, phone=phone)


@EVERY_LOOK
def test_what_a_member_asks_for_an_operator_confirms(
    site: Site, language: str, phone: bool
) -> None:
    english = language == "en"
    ask, confirm = ("Ask for a window…", "Confirm") if english else ("申请窗口…", "确认")

    async def say(page: Page, who: str, button: str) -> None:
        await page.get_by_label("Your name" if english else "姓名").fill(who)
        await page.locator("dialog input[id$=-reason]").fill("the inverter is changed")
        await page.locator("dialog").get_by_role("button", name=button, exact=True).click()
        await expect(page.locator("dialog")).to_have_count(0)

    async def look(page: Page) -> None:
        await page.goto(page.url.replace("#/member", "#/member/steel"))
        await page.get_by_role("button", name=ask).click()
        await page.locator("dialog select[id$=-resource]").select_option("steel-battery")
        await page.locator("dialog input[id$=-start]").fill("2025-12-05T08:00")
        await page.locator("dialog input[id$=-end]").fill("2025-12-05T16:00")
        await say(page, "Li", ask)
        (asked,) = site.plant.members.asked.values()
        assert (
            f"{asked.span.start:%Y-%m-%dT%H:%M}" == "2025-12-05T07:00"
        )  # an hour behind Stockholm
        await page.goto(page.url.replace("#/member/steel", "#/member"))
        await page.get_by_role("button", name=confirm, exact=True).click()
        await say(page, "Wang", confirm)
        done = "confirmed" if english else "已确认"
        await expect(page.locator("tr[data-key='1'] .badge")).to_have_text(done)
        assert "steel-battery" in site.plant.tuning.seen.text

    site.see("member", look, language=language, phone=phone)


@EVERY_LOOK
def test_of_many_members_a_hundred_are_listed_and_the_others_found_by_name(
    site: Site, language: str, phone: bool
) -> None:
    async def of_a_fleet(route: Route) -> None:
        answer = await route.fetch()
        park = await answer.json()
        one = park["enterprises"][0]
        park["enterprises"] = [
            one | {"enterprise_id": f"works-{n}", "name": f"Works {n}"} for n in range(250)
        ]
        await route.fulfill(response=answer, json=park)

    async def look(page: Page) -> None:
        await expect(page.locator(".members li").first).to_be_visible()
        await expect(page.locator("#members-search")).to_be_hidden()  # of a few all are in sight
        address = await left(page)
        await page.route("**/v1/status*", of_a_fleet)
        await page.goto(address)
        await expect(page.locator(".members li")).to_have_count(100)
        await expect(page.locator(".members + .note")).to_contain_text("150")
        await page.locator("#members-search").fill("works 24")
        await expect(page.locator(".members li")).to_have_count(13)  # 24, 124, 224, 240 to 249
        await expect(page.locator(".members + .note")).to_have_text("")

    site.see("member", look, language=language, phone=phone)
