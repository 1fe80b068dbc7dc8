"""The table of the page with ten thousand rows: only those in sight are in the document."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.web.site import Site

TEN_THOUSAND = """async () => {
  const { table } = await import("/static/js/table.js");
  window.grid = table({
    caption: "numbers", empty: "none", key: (row) => String(row),
    columns: [{ title: "n", number: true, text: (n) => `row ${n}`, sort: (n) => n }],
  });
  document.getElementById("view").replaceChildren(window.grid.element);
  window.grid.update(Array.from({ length: 10000 }, (_, i) => (7919 * i) % 10000));
}"""


def test_of_ten_thousand_rows_a_screenful_is_in_the_document_wherever_one_scrolls(
    site: Site,
) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#power")).to_be_visible()
        await page.evaluate(TEN_THOUSAND)
        rows = page.locator("#view tbody tr:not(.gap)")
        assert await rows.count() < 100
        await expect(page.locator("#view table")).to_have_attribute("aria-rowcount", "10001")
        await page.get_by_role("button", name="n", exact=True).click()
        await expect(rows.first).to_have_text("row 0")
        await page.locator("#view .scroll").evaluate("it => { it.scrollTop = it.scrollHeight; }")
        await expect(rows.last).to_have_text("row 9999")
        await expect(rows.last).to_have_attribute("aria-rowindex", "10001")
        assert await rows.count() < 100
        await page.get_by_role("button", name="n", exact=True).click()
        await expect(rows.last).to_have_text("row 0")

    site.see("overview", look)


def test_few_rows_stand_there_whole_and_say_when_there_are_none(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.locator("#power")).to_be_visible()
        await page.evaluate(TEN_THOUSAND)
        await page.evaluate("window.grid.update([3, 1, 2])")
        await expect(page.locator("#view tbody tr")).to_have_text(["row 3", "row 1", "row 2"])
        await page.evaluate("window.grid.update([])")
        await expect(page.locator("#view tbody")).to_have_text("none")

    site.see("overview", look)
