"""The page in a real browser: it fills, updates by itself, and shows markup as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from math import sin
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright, expect

from vpp.service.plant import Plant, TracePoint

NAMED = '<img src=x onerror="document.title=1">Steel & Sons'
DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}


def trace(plant: Plant, minute: int, park_kw: float) -> TracePoint:
    return TracePoint(
        at=plant.clock.now() + timedelta(minutes=minute),
        park_kw=park_kw,
        planned_kw=-1500.0,
        owed_kw=-1400.0,
        spot_per_mwh=40 + 15 * sin(minute / 200),
        stored_kwh=2000 + 900 * sin(minute / 150),
        capacity_kwh=4000.0,
        money=-0.05 * (minute + 720),
    )


def a_lived_in(plant: Plant) -> Plant:
    """Half a day of history, and an enterprise that calls itself markup."""
    park = plant.file.park
    enterprises = (replace(park.enterprises[0], name=NAMED), *park.enterprises[1:])
    plant.file = replace(plant.file, park=replace(park, name=NAMED, enterprises=enterprises))
    plant.trace.extend(
        trace(plant, minute, -1500 + 200 * sin(minute / 60)) for minute in range(-720, 1)
    )
    return plant


@asynccontextmanager
async def browsing(
    chromium: Path, width: int = 1280, height: int = 800
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A fresh page, and everything it complains about."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(chromium), args=["--no-sandbox"]
        )
        page = await browser.new_page(viewport={"width": width, "height": height})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        try:
            yield page, complaints
        finally:
            await browser.close()


def test_the_page_fills_and_updates_by_itself(
    plant: Plant, serving: Any, chromium: Path, tmp_path: Path
) -> None:
    lived_in = a_lived_in(plant)

    async def run() -> None:
        async with serving(lived_in) as client, browsing(chromium) as (page, complaints):
            bids = await client.post(
                "/v1/markets/se3-day-ahead/bids", json={"request_id": "r1", "delivery": DAY}
            )
            assert bids.status == 200
            await page.goto(str(client.make_url("/")))
            await expect(page.locator("#line")).to_have_text("live 实时")
            await expect(page.locator("#power")).to_contain_text("kW")
            await expect(page.locator("#state")).to_contain_text("Normal")
            await expect(page.locator("#stored")).to_have_text("50.0 %")
            await expect(page.locator("#bids tbody")).to_contain_text("open")
            await expect(page.locator("#resources tbody tr")).to_have_count(44)
            await expect(page.locator(".chart canvas")).to_have_count(4)

            lived_in.trace.append(trace(lived_in, 1, -1234.0))
            plant.events.emit("award", "<b>3 bids cleared</b>", at=plant.clock.now())
            await expect(page.locator("#power")).to_have_text("−1,234 kW")
            await expect(page.locator("#events tbody")).to_contain_text("<b>3 bids cleared</b>")

            await expect(page.locator("#park")).to_have_text(NAMED)
            assert NAMED in await page.title()
            await page.screenshot(path=tmp_path / "page.png", full_page=True)
            assert complaints == []

    asyncio.run(run())


def test_the_page_says_when_something_is_wrong(plant: Plant, serving: Any, chromium: Path) -> None:
    plant.safe_state_reason = "<i>no plan</i>"
    plant.safe_state = type(plant.safe_state).HOLD
    plant.source.connected = False  # type: ignore[misc]  # the quiet link's own field

    async def run() -> None:
        async with serving(plant) as client, browsing(chromium) as (page, _):
            await page.goto(str(client.make_url("/")))
            await expect(page.locator("#state")).to_contain_text("Hold")
            await expect(page.locator("#why")).to_contain_text("<i>no plan</i>")
            await expect(page.locator("#why")).to_contain_text("the broker is away since")

    asyncio.run(run())


def test_a_narrow_screen_needs_no_sideways_scrolling(
    plant: Plant, serving: Any, chromium: Path, tmp_path: Path
) -> None:
    lived_in = a_lived_in(plant)

    async def run() -> None:
        async with (
            serving(lived_in) as client,
            browsing(chromium, width=390, height=844) as (page, complaints),
        ):
            await page.goto(str(client.make_url("/")))
            await expect(page.locator("#resources tbody tr")).to_have_count(44)
            wide = await page.evaluate("document.documentElement.scrollWidth")
            await page.screenshot(path=tmp_path / "narrow.png")
            assert wide <= 390
            assert complaints == []

    asyncio.run(run())


def test_the_api_browser_shows_the_contract(
    plant: Plant, serving: Any, chromium: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with serving(plant) as client, browsing(chromium) as (page, complaints):
            await page.goto(str(client.make_url("/docs")))
            await expect(page.locator("rapi-doc")).to_contain_text("Make the bids", timeout=60_000)
            await page.screenshot(path=tmp_path / "docs.png")
            assert complaints == []

    asyncio.run(run())


def test_the_page_stops_everything_once_somebody_says_why(
    plant: Plant, serving: Any, chromium: Path
) -> None:
    async def run() -> None:
        async with serving(plant) as client, browsing(chromium) as (page, complaints):
            await page.goto(str(client.make_url("/")))
            await expect(page.locator("#line")).not_to_have_text("connecting")
            page.once("dialog", lambda dialog: dialog.dismiss())
            await page.click("#stop")
            assert not plant.kill.killed
            page.once("dialog", lambda dialog: dialog.accept("smoke in hall 3"))
            async with page.expect_response("**/v1/kill") as answer:
                await page.click("#stop")
            assert (await answer.value).status == 200
            assert complaints == []

    asyncio.run(run())
    assert plant.kill.reason == "smoke in hall 3"
