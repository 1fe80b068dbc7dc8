"""View 1 in a real browser: the plant at a glance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from math import sin

import pytest
from playwright.async_api import Page, Route, expect

from tests.service.conftest import NOW
from tests.web.site import EVERY_LOOK, Site, left
from vpp.service.plant import TracePoint


def a_point(minute: int, park_kw: float | None = -1500.0) -> TracePoint:
    return TracePoint(
        at=NOW + timedelta(minutes=minute),
        park_kw=park_kw,
        planned_kw=-1400.0,
        owed_kw=None,
        spot_per_mwh=40 + 15 * sin(minute / 200),
        stored_kwh=5000.0,
        capacity_kwh=10_000.0,
        money=0.0,
    )


@pytest.fixture(autouse=True)
def _traced(site: Site) -> Iterator[None]:
    """Ten hours were lived through."""
    site.plant.trace.extend(a_point(minute) for minute in range(-600, 1, 5))
    yield
    site.plant.trace.clear()


@EVERY_LOOK
def test_the_overview_tells_how_the_plant_stands(site: Site, language: str, phone: bool) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#line")).to_have_text("live" if language == "en" else "实时")
        await expect(page.locator("#power")).to_have_text("−700 kW")  # 7 meters of -100 kW
        await expect(page.locator("#planned")).to_contain_text("kW")
        await expect(page.locator("#price")).to_have_text("40.00 EUR/MWh")
        await expect(page.locator("#stored")).to_have_text("50.0 %")
        await expect(page.locator("#money")).to_have_text(
            "–"
        )  # nothing is settled: nothing is made up
        await expect(page.locator(".chart canvas")).to_have_count(3)
        await expect(page.locator("tbody tr")).to_contain_text(["se3-day-ahead"])

    site.see("overview", look, language=language, phone=phone)


def test_a_tick_is_not_lost_to_an_answer_that_is_older(site: Site) -> None:
    async def look(page: Page) -> None:
        asked = 0

        async def answer(route: Route) -> None:
            nonlocal asked
            asked += 1
            if asked < 2:  # it reads as it opens, and once more when its line stands
                return await route.continue_()
            older = await route.fetch()
            tick(site, park_kw=-1234.0)
            await expect(page.locator("#power")).to_have_text("−1,234 kW")
            return await route.fulfill(json=await older.json() | {"plan_id": "the held one"})

        address = await left(page)
        await page.route("**/v1/overview", answer)
        await page.goto(address)
        await expect(page.locator("#planned-note")).to_contain_text("the held one")
        await expect(page.locator("#power")).to_have_text("−1,234 kW")

    site.see("overview", look)


def tick(site: Site, *, park_kw: float) -> None:
    site.plant.events.emit(
        "tick", "", at=NOW + timedelta(minutes=1), park_kw=park_kw, planned_kw=-1400.0, owed_kw=None,
        spot_per_mwh=40.0, stored_kwh=2500.0, capacity_kwh=10_000.0, safe_state="normal",
    )  # fmt: skip


def test_a_tick_is_seen_and_nothing_is_asked_for(site: Site) -> None:
    async def look(page: Page) -> None:
        # It reads as it opens, and once more when its line stands: nothing may be missed between.
        reads: asyncio.Queue[None] = asyncio.Queue()
        address = await left(page)
        page.on("response", lambda r: reads.put_nowait(None) if "/v1/overview" in r.url else None)
        await page.goto(address)
        await reads.get()
        await reads.get()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        tick(site, park_kw=-1234.0)
        await expect(page.locator("#power")).to_have_text("−1,234 kW")
        await expect(page.locator("#stored")).to_have_text("25.0 %")
        assert asked == []

    site.see("overview", look)


def test_the_numbers_of_a_chart_stand_in_a_table_for_who_cannot_see_it(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.get_by_role("button", name="Numbers").first.click()
        rows = page.locator("figure .scroll tbody tr")
        await expect(rows.first).to_contain_text("−1,500")
        await expect(page.get_by_role("button", name="Numbers").first).to_have_attribute(
            "aria-expanded", "true"
        )

    site.see("overview", look)


def test_power_that_a_silent_meter_lacks_is_told_as_lacking(site: Site) -> None:
    plant = site.plant
    point = plant.file.park.connection_points[0]
    kept = plant.intake.newest_meter.pop(point.meter_id)

    async def look(page: Page) -> None:
        await expect(page.locator("#power")).to_have_text("–")
        await expect(page.locator("#power-note")).to_contain_text(f"not heard: {point.meter_id}")

    try:
        site.see("overview", look)
    finally:
        plant.intake.newest_meter[point.meter_id] = kept


def test_of_many_silent_meters_three_are_named_and_the_others_counted(site: Site) -> None:
    plant = site.plant
    kept = dict(plant.intake.newest_meter)
    names = [p.meter_id for p in plant.file.park.connection_points]
    assert len(names) > 3

    async def look(page: Page) -> None:
        told = f"not heard: {', '.join(names[:3])} and {len(names) - 3} more"
        await expect(page.locator("#power-note")).to_contain_text(told)

    plant.intake.newest_meter.clear()
    try:
        site.see("overview", look)
    finally:
        plant.intake.newest_meter.update(kept)
