"""View 7 in a real browser: alarms, kill switch, shift log, events, who did what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from tests.service.conftest import NOW
from tests.web.site import EVERY_LOOK, Site
from vpp.service.alarms import alarms
from vpp.service.alarms.desk import AlarmDesk
from vpp.service.links.health import LinkHealth, no_links
from vpp.service.shift.desk import ShiftDesk


@pytest.fixture
def stormy(site: Site) -> Iterator[Site]:
    """A link is down, prices are missing, and a device refuses: two first causes, one consequence."""
    plant = site.plant
    link = LinkHealth(
        name="mqtt", connected=False, since=NOW, fault="refused", reconnects=0, devices=44
    )
    plant.links = lambda: (link,)
    plant.refusing.add(plant.file.park.resources[0].resource_id)
    plant.historian_full = True

    async def look() -> None:
        for step in range(10):
            await alarms.look(plant, NOW - timedelta(seconds=100 - 10 * step))

    site.run(look())
    yield site
    plant.links, plant.historian_full = no_links, False
    plant.refusing.clear()
    plant.alarms, plant.shifts = AlarmDesk(), ShiftDesk()
    plant.kill.release()


@EVERY_LOOK
def test_the_desk_shows_first_causes_with_what_follows(
    stormy: Site, language: str, phone: bool
) -> None:
    en = language == "en"

    async def look(page: Page) -> None:
        rows = page.locator("li.alarm")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text(
            "Link to devices is down" if en else "设备链路中断"
        )
        await rows.first.locator("summary").click()
        await expect(rows.first).to_contain_text("Devices refuse" if en else "设备拒绝设定值")

    stormy.see("desk", look, language=language, phone=phone)


def test_an_alarm_is_acknowledged_and_shelved_by_name(stormy: Site) -> None:
    async def look(page: Page) -> None:
        first = page.locator("li.alarm").first
        await first.get_by_role("button", name="Acknowledge").click()
        await page.get_by_label("Your name").fill("Li")
        await page.get_by_label("Reason").fill("on my way")
        await page.get_by_label("Reason").press("Enter")
        await expect(first).to_contain_text("seen by Li")
        await first.get_by_role("button", name="Shelve").click()
        await page.get_by_label("Reason").fill("works at the net")
        await page.get_by_label("Reason").press("Enter")
        await expect(page.get_by_text("shelved by Li: works at the net")).to_be_visible()
        await expect(page.locator("section.card").first.locator("li.alarm")).to_have_count(1)

    stormy.see("desk", look)


@EVERY_LOOK
def test_the_kill_switch_asks_for_the_word(stormy: Site, language: str, phone: bool) -> None:
    plant, en = stormy.plant, language == "en"

    async def look(page: Page) -> None:
        stops: list[str] = []
        page.on("request", lambda one: stops.append(one.url) if one.method == "POST" else None)
        await page.get_by_role("button", name="Stop …" if en else "停止……").click()
        dialog = page.locator("dialog")
        await dialog.get_by_label("What" if en else "范围").select_option("enterprise:steel")
        await dialog.get_by_label("Your name" if en else "姓名").fill("Li")
        await dialog.get_by_label("Reason" if en else "原因").fill("smoke in hall 3")
        word = dialog.get_by_label("Type STOP" if en else "输入")
        await word.fill("nonsense")
        await word.press("Enter")
        await word.fill("STOP" if en else "停止")
        await word.press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("cell", name="smoke in hall 3")).to_be_visible()
        assert len(stops) == 1, "nonsense stops nothing"

    try:
        stormy.see("desk/stops", look, language=language, phone=phone)
    finally:
        for scope in plant.kill.latched():
            plant.kill.release(scope)


@EVERY_LOOK
def test_the_shift_is_written_down_and_handed_over(
    stormy: Site, language: str, phone: bool
) -> None:
    en = language == "en"

    async def look(page: Page) -> None:
        await page.locator("#entry-by").fill("Li")
        await page.locator("#entry-text").fill("<b>Feeder north</b> is back")
        await page.get_by_role("button", name="Write down" if en else "记录").click()
        await expect(page.locator("ol.log li").first).to_contain_text("<b>Feeder north</b> is back")
        await page.locator("#handover-by").fill("Li")
        await page.locator("#handover-to").fill("Wang")
        await page.get_by_role("button", name="Hand over" if en else "交班").click()
        await page.get_by_role("button", name="Li → Wang").first.click()
        await expect(page.locator(".handover")).to_contain_text("<b>Feeder north</b> is back")

    stormy.see("desk/log", look, language=language, phone=phone)


@EVERY_LOOK
@pytest.mark.parametrize("part", ["events", "audit"])
def test_what_happened_and_who_did_what(
    stormy: Site, part: str, language: str, phone: bool
) -> None:
    async def look(page: Page) -> None:
        await expect(page.get_by_role("table")).to_be_visible()

    stormy.see(f"desk/{part}", look, language=language, phone=phone)
