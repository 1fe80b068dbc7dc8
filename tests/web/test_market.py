"""View 4 in a real browser: gates, the book, offers drawn, and what a person does about them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.service.test_presubmit import ask
from tests.trade.test_offer_forms import EVERY
from tests.web.site import EVERY_LOOK, Site
from vpp.model.offer import most_mw
from vpp.service.plant import Plant
from vpp.service.trading import trading
from vpp.service.trading.desk import TradingDesk
from vpp.trade.offerforms import offer_to_wire

PRODUCT = "se3-day-ahead"


@pytest.fixture(autouse=True)
def _a_bid_set(site: Site) -> Iterator[None]:
    """One open bid set of tomorrow in the book; nothing is by hand or locked before a test."""
    site.plant.trade = TradingDesk()
    if not site.plant.book.open_sets(site.plant.clock.now()):
        site.run(bid(site.plant))
    yield
    site.plant.trade = TradingDesk()


async def bid(plant: Plant) -> None:
    made = await ask(plant, f"web-{len(plant.book.all_bids())}", plant.clock.now())
    assert made == "made"


async def close_dialog(page: Page, button: str) -> None:
    await page.get_by_label("Your name").fill("Li")
    await page.get_by_label("Reason").fill("agreed by telephone")
    await page.locator("dialog").get_by_role("button", name=button, exact=True).click()
    await expect(page.locator("dialog")).to_have_count(0)


@EVERY_LOOK
def test_every_product_counts_down_to_its_gate(site: Site, language: str, phone: bool) -> None:
    async def look(page: Page) -> None:
        row = page.locator("tbody tr", has_text=PRODUCT)
        # 11:00 in Stockholm, the gate is at noon
        await expect(row).to_contain_text(
            "closes in 60 min" if language == "en" else "60 分钟后截止"
        )
        await expect(row).to_contain_text("open" if language == "en" else "有效")

    site.see("market", look, language=language, phone=phone)


@EVERY_LOOK
def test_a_product_shows_its_book_its_offers_and_what_is_unverified(
    site: Site, language: str, phone: bool
) -> None:
    async def look(page: Page) -> None:
        await expect(
            page.locator("caption", has_text="Book" if language == "en" else "申报簿")
        ).to_be_visible()
        await expect(page.locator(".chart canvas")).to_have_count(2)  # nothing is owed yet
        await expect(page.locator("ul.fields li")).to_contain_text(["calendar.gate_open"])
        await expect(page.locator("tr[data-key*='/buy/']").first).to_contain_text("MW @")

    site.see(f"market/{PRODUCT}", look, language=language, phone=phone)


def test_every_form_of_offer_is_drawn_with_all_that_it_offers(site: Site) -> None:
    product = {"min_price_per_mwh": "-500", "max_price_per_mwh": "4000"}

    async def look(page: Page) -> None:
        await expect(page.locator("tbody tr", has_text=PRODUCT)).to_be_visible()
        for name, offer in EVERY.items():
            wire = offer_to_wire(offer).model_dump(mode="json", exclude_none=True)
            bid: dict[str, object] = {"side": "sell", "offer": wire}
            bid |= {"start": "2025-12-03T12:00:00Z", "end": "2025-12-03T12:15:00Z"}
            drawn = await page.evaluate(
                """async ([bid, product]) => {
                    const m = await import("/static/js/offers.js");
                    const words = m.wordsOf(bid, product);
                    return { ...m.curveOf([bid], product), words, groups: m.groupsOf(bid.offer).length };
                }""",
                [bid, product],
            )
            assert max(drawn["x"]) == pytest.approx(float(most_mw(offer))), name
            assert len(drawn["told"][1]) == len(drawn["x"]), name
            assert "MW @" in drawn["words"], name
            assert drawn["groups"] >= 1, name

    site.see("market", look)


def test_a_lock_is_asked_for_with_name_and_reason_and_shown(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.get_by_role("button", name="Lock", exact=True).first.click()
        await close_dialog(page, "Lock")
        await expect(page.get_by_text("agreed by telephone")).to_be_visible()
        (lock,) = site.plant.trade.locks.values()
        assert (lock.locked, lock.by) == (True, "Li")
        await page.get_by_role("button", name="Unlock", exact=True).first.click()
        await close_dialog(page, "Unlock")
        await expect(page.get_by_role("button", name="Unlock")).to_have_count(0)

    site.see(f"market/{PRODUCT}", look)


def test_a_bid_is_changed_checked_and_let_hold(site: Site) -> None:
    async def look(page: Page) -> None:
        await page.get_by_role("button", name="Write by hand…").click()
        edit = page.get_by_role("region", name="Edit by hand…")
        size = edit.get_by_label("MW", exact=True).first
        before = await size.input_value()
        await size.fill("0.05")
        await edit.get_by_role("button", name="Check").click()
        await expect(edit.get_by_role("status")).to_contain_text("not in lots of 0.1")
        await size.fill("0.1")
        await edit.get_by_role("button", name="Check").click()
        await expect(edit.get_by_role("status")).to_contain_text("keeps every rule")
        assert before != "0.1"
        await edit.get_by_role("button", name="Let it hold…").click()
        await close_dialog(page, "Let it hold…")
        await expect(page.get_by_text("they leave with the next request")).to_be_visible()
        (hand,) = site.plant.trade.by_hand.values()
        assert (hand.by, hand.reason) == ("Li", "agreed by telephone")
        assert str(hand.bids[0].offer.priced_mw[0][0]) == "0.1"

    site.see(f"market/{PRODUCT}", look, forgive=("503",))


def test_what_is_shown_of_a_bid_set_is_read_again_once_it_stands_otherwise(site: Site) -> None:
    async def look(page: Page) -> None:
        await expect(page.get_by_role("heading", name="revision")).to_contain_text("open")
        (standing,) = site.plant.book.open_sets(site.plant.clock.now())
        await trading.withdraw(site.plant, PRODUCT, standing.bid_set_id, now=site.plant.clock.now())
        await expect(page.get_by_role("heading", name="revision")).to_contain_text("withdrawn")

    site.see(f"market/{PRODUCT}", look)
