"""What a person waits for, in Chromium: the first paint, and the longest pause of the tree of 10,000."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

from benchmarks.harness import BrokenBenchmarkError

WORDS = ("battery-3-77", "works 7", "gate-9", "storage", "battery-1-1", "")
SCROLLS = 60

OBSERVE = """() => {
  window.pauses = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.pauses.push(one.duration);
  }).observe({ type: "longtask", buffered: false });
}"""
SEARCH = """(word) => {
  const it = document.getElementById("search");
  it.value = word;
  it.dispatchEvent(new Event("input", { bubbles: true }));
}"""
OPEN_ALL = """async () => {
  // The lowest first: what opens pushes all below it out of sight.
  const shut = () => [...document.querySelectorAll('.level-2 .twist[aria-expanded="false"]')].at(-1);
  for (let one = shut(); one; one = shut()) {
    one.click();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""
SCROLL = """([turns]) => new Promise((resolve) => {
  const it = document.querySelector(".view-park .scroll");
  let turn = 0;
  const gaps = [];
  let last = performance.now();
  const step = (at) => {
    gaps.push(at - last);
    last = at;
    it.scrollTop = (it.scrollHeight * ((turn * 37) % turns)) / turns;
    turn += 1;
    if (turn <= turns) requestAnimationFrame(step);
    else resolve(Math.max(...gaps.slice(1)));
  };
  requestAnimationFrame(step);
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    first_ms: float
    """First contentful paint."""
    shown_ms: float
    """Until the park's power stands there."""
    kib: float
    """What came over the line until then, compressed."""


async def paint(address: str) -> Paint:
    """Open the overview with nothing cached."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"]
        )
        warm = await (await browser.new_context()).new_page()
        await warm.goto("about:blank")
        page = await (await browser.new_context()).new_page()
        await page.goto(address)
        await page.wait_for_function(
            "() => document.querySelector('#power')?.textContent.includes('kW')"
        )
        shown = await page.evaluate("performance.now()")
        first = await page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        size = await page.evaluate(
            "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
            ".reduce((sum, one) => sum + one.transferSize, 0)"
        )
        await browser.close()
    return Paint(first_ms=first, shown_ms=shown, kib=size / 1024)


async def tree_pauses(address: str, least_rows: int) -> tuple[float, float]:
    """The longest task of the page in ms (0 where none took 50 ms), and the longest gap between two frames.

    While every branch is opened, words are typed into the search, and the open tree is scrolled through.

    Raises:
        BrokenBenchmarkError: The open tree has fewer rows than `least_rows`.
    """
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        await page.goto(f"{address}/#/park")
        await page.wait_for_selector("tbody tr.level-2")
        await page.evaluate(OBSERVE)
        await page.evaluate(OPEN_ALL)
        for word in WORDS:
            for end in range(1, len(word) + 1):
                await page.evaluate(SEARCH, word[:end])
                await asyncio.sleep(0.08)
            await page.evaluate(SEARCH, word)
            await asyncio.sleep(0.3)
        rows = int(await page.locator("table").get_attribute("aria-rowcount") or 0)
        if rows < least_rows:
            raise BrokenBenchmarkError(f"the tree has {rows} rows in place of {least_rows}")
        gap = await page.evaluate(SCROLL, [SCROLLS])
        await asyncio.sleep(1.5)
        pauses = await page.evaluate("window.pauses")
        await browser.close()
    return max(pauses, default=0.0), gap


def chromium() -> str:
    """Where Chromium is.

    Raises:
        BrokenBenchmarkError: It is not installed.
    """
    found = shutil.which("chromium")
    if found is None:
        raise BrokenBenchmarkError("chromium is not installed -> apt-get install chromium")
    return found
