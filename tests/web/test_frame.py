"""The frame around the views: the strip above them, the language, the stop button, the API browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from playwright.async_api import Page, Route, expect

from tests.service.conftest import NOW
from tests.web.site import Site
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.service.api.stream import end_streams

HELD = "<i>no plan</i>; held until 2025-12-02T11:00:20Z, asked at 2025-12-02 10:32:00+00:00"
HEARD = "held until Tue 02 Dec, 12:00, asked at Tue 02 Dec, 11:32"
"""A reason as the service writes it; the park's clock is an hour ahead of UTC."""


def test_a_rung_below_normal_is_told_with_its_reason_as_text(site: Site) -> None:
    plant = site.plant

    async def look(page: Page) -> None:
        await expect(page.locator("#state")).to_have_text("Normal")
        plant.safe_state, plant.safe_state_reason = SafeState.HOLD, HELD
        plant.events.emit("safe_state", "normal -> hold", at=NOW)
        await expect(page.locator("#state")).to_have_text("Hold")
        await expect(page.locator("#why")).to_contain_text("<i>no plan</i>")
        await expect(page.locator("#why")).to_contain_text(HEARD)

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
        await expect(page.locator("rapi-doc")).to_contain_text("Make the bids")

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


def test_a_service_that_was_begun_anew_with_an_earlier_clock_is_believed(site: Site) -> None:
    plant, before = site.plant, site.plant.clock

    async def look(page: Page) -> None:
        gate = page.locator("tbody tr").filter(has_text="se3-day-ahead")
        await expect(gate).to_contain_text("60 min · 12:00")
        held = await _held_back(page, "/v1/status", lambda: plant.events.emit("kill", "?", at=NOW))
        back = await _kept_away(page, "/v1/events")
        await end_streams(site.app)
        await expect(page.locator("#lost")).to_be_visible()
        # What the old service answered arrives when its line is broken already.
        async with page.expect_event("requestfinished", lambda one: "/v1/status" in one.url):
            held.set()
        plant.clock = SimulatedClock(NOW - timedelta(hours=1))
        back.set()
        await expect(page.locator("#lost")).to_be_hidden()
        await expect(page.locator("#clock")).to_contain_text("10:00")
        plant.events.emit("plan", "a plan", at=NOW - timedelta(hours=1))
        await expect(gate).to_contain_text("2 h 00 min · 12:00")

    try:
        site.see("overview", look, forgive=("ERR_",))
    finally:
        plant.clock = before


def test_an_address_that_is_no_code_opens_a_view_all_the_same(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator(".view-park")).to_contain_text("%E0%A4%A")

    site.see("park/%E0%A4%A", look, forgive=("404", "503"))


def test_the_view_that_is_open_is_in_sight_in_the_row_of_a_phone(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#nav a[aria-current]")).to_be_in_viewport(ratio=0.9)

    site.see("member", look, phone=True)


async def _held_back(page: Page, path: str, ask: Callable[[], object]) -> asyncio.Event:
    """Let `ask` make the page ask for `path`; what is answered stays on its way until the event is set."""
    answered, release = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        answered.set()
        await release.wait()
        await route.fulfill(response=answer)

    await page.route(f"**{path}", hold, times=1)
    ask()
    await answered.wait()
    return release


async def _kept_away(page: Page, path: str) -> asyncio.Event:
    """What the page asks for next at `path` leaves once the event is set."""
    release = asyncio.Event()

    async def hold(route: Route) -> None:
        await release.wait()
        await route.continue_()

    await page.route(f"**{path}", hold, times=1)
    return release


async def _labels(page: Page) -> list[float]:
    """What a chart of 0 to 12 writes beside its lines."""
    written: list[float] = await page.evaluate(
        """async () => {
          const written = [];
          let one = null;
          const write = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
            if (one?.element.contains(this.canvas)) written.push(text);
            return write.call(this, text, ...rest);
          };
          const { chart } = await import("/static/js/chart.js");
          one = chart({ title: "x", numeric: true, height: 220, axes: [{ unit: "MW" }], series: [{ label: "y", unit: "MW" }] });
          document.getElementById("view").replaceChildren(one.element);
          one.update({ x: [100, 101], columns: [[0, 12]] });
          while (!written.length) await new Promise(requestAnimationFrame); // all are written in one go
          CanvasRenderingContext2D.prototype.fillText = write;
          return written.map((one) => Number(one)).filter((one) => one <= 50);
        }"""
    )
    return written


def test_the_figures_beside_a_chart_are_where_its_lines_are(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#power")).to_be_visible()
        assert {2.5, 7.5, 12.5} <= set(await _labels(page))

    site.see("overview", look)


def test_who_skips_to_the_content_stays_in_the_view_that_is_open(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator(".view-accounts")).to_be_visible()
        await page.locator("#skip").focus()
        await page.locator("#skip").press("Enter")
        await expect(page.locator("h2.title")).to_be_focused()
        assert page.url.endswith("#/accounts")
        await expect(page.locator(".view-accounts")).to_be_visible()

    site.see("accounts", look)


def test_a_chart_that_hears_of_its_numbers_too_late_draws_nothing(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#power")).to_be_visible()
        drawn = await page.evaluate(
            """async () => {
              const { chart } = await import("/static/js/chart.js");
              const one = chart({ title: "x", numeric: true, axes: [{ unit: "kW" }], series: [{ label: "y", unit: "kW" }] });
              document.getElementById("view").replaceChildren(one.element);
              one.destroy();
              one.update({ x: [1, 2], columns: [[0, 1]] });
              return one.element.querySelectorAll("canvas").length;
            }"""
        )
        assert drawn == 0

    site.see("overview", look)
