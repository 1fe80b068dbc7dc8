"""The limits where a bid leaves: what is refused, counted, held for a person, and what trips the switch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from vpp.clock import SimulatedClock
from vpp.errors import UnavailableError
from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service import control
from vpp.service.api.markets import request_digest
from vpp.service.kill import Scope
from vpp.service.plant import MadeOffer, Plant
from vpp.service.trading import awarding, golive, presubmit, trading
from vpp.service.trading import facts as bidfacts
from vpp.service.trading import log as tradelog
from vpp.service.trading.schema import BidLimitsSection, TradingSection
from vpp.trade.book import BidSetStatus
from vpp.trade.calendar import TradeRefusal
from vpp.trade.presubmit import Offered
from vpp.wire import AwardRequest, BidRequest, KillRequest

PRODUCT = "se3-day-ahead"
PATH = f"/v1/markets/{PRODUCT}"
DAY = ("2025-12-02T23:00:00Z", "2025-12-03T23:00:00Z")
MARKET = Scope("market", PRODUCT)


def limit(plant: Plant, mode: Any = "simulated", **numbers: Any) -> None:
    trading_section = TradingSection(mode=mode, limits=BidLimitsSection(**numbers))
    packs = tuple(replace(pack, open_fields=()) for pack in plant.file.packs)
    plant.file = replace(plant.file, trading=trading_section, packs=packs)


async def ask(
    plant: Plant, name: str, now: datetime, day: tuple[str, str] = DAY, *, dry: str = "false"
) -> str:
    """`made`, or the code of the refusal."""
    request = BidRequest.model_validate_json(
        f'{{"request_id": "{name}", "dry_run": {dry},'
        f' "delivery": {{"start": "{day[0]}", "end": "{day[1]}"}}}}'
    )
    try:
        await trading.answer_bid_request(
            plant, PRODUCT, request, digest=request_digest(request), now=now
        )
    except TradeRefusal as refusal:
        return refusal.code
    return "made"


def test_a_hard_limit_refuses_and_leaves_no_bid(plant: Plant) -> None:
    limit(plant, interval_times=Decimal("0.001"))

    async def run() -> None:
        assert await ask(plant, "r1", plant.clock.now()) == "limits_breached"

    asyncio.run(run())
    assert not plant.book.all_bids()
    assert not list(plant.journal.entries(tradelog.BID_SET))
    (event,) = [e for e in plant.events.recent() if e.kind == "limits_breached"]
    assert event.text.startswith("interval: ")


def test_too_many_hard_refusals_kill_the_market_and_no_other(plant: Plant) -> None:
    limit(plant, interval_times=Decimal("0.001"), most_refusals=3)

    async def run() -> list[str]:
        return [await ask(plant, f"r{n}", plant.clock.now()) for n in range(5)]

    assert asyncio.run(run()) == ["limits_breached"] * 3 + ["killed"] * 2
    assert plant.kill.latched().keys() == {MARKET}
    assert "3 hard refusals" in plant.kill.latched()[MARKET]


def test_a_thousand_bids_a_second_trip_the_switch_within_a_tenth_of_it(plant: Plant) -> None:
    limit(plant)
    began = plant.clock.now()

    async def run() -> list[str]:
        answers = []
        for number in range(1000):  # on the simulated clock: one each millisecond
            now = began + number * timedelta(milliseconds=1)
            answers.append(await ask(plant, f"r{number}", now))
            if answers[-1] == "killed":
                break
        return answers

    answers = asyncio.run(run())
    assert len(answers) <= 100
    assert answers.count("made") <= 51
    assert set(answers) == {"made", "rate_exceeded", "killed"}
    assert plant.kill.latched().keys() == {MARKET}


def test_patience_nonsense_and_questions_count_for_nothing(plant: Plant) -> None:
    limit(plant, burst=1, most_refusals=2)
    schedule, now = plant.schedule, plant.clock.now()

    async def run() -> list[str]:
        plant.schedule = None
        answers = [await ask(plant, f"early{n}", now) for n in range(4)]
        plant.schedule = schedule
        half = (DAY[0], "2025-12-03T12:00:00Z")
        answers += [await ask(plant, f"half{n}", now, half) for n in range(4)]
        own = plant.file.park.bidding_units
        for kw in (own[0].declared_kw, 0.001, own[0].declared_kw):  # an offer larger than its unit
            unit = replace(own[0], declared_kw=kw)
            plant.file = replace(plant.file, park=replace(plant.file.park, bidding_units=(unit,)))
            for made in plant.offers.values():
                made.checked = False
            answers += [await ask(plant, f"dry{kw}{n}", now, dry="true") for n in range(2)]
        return [*answers, await ask(plant, "r1", now)]

    answers = asyncio.run(run())
    assert answers[:8] == ["no_plan"] * 4 + ["off_grid"] * 4
    assert answers[8:] == ["made"] * 2 + ["limits_breached"] * 2 + ["made"] * 3
    assert not plant.kill.latched()


def test_a_released_market_begins_to_count_anew(plant: Plant) -> None:
    limit(plant, interval_times=Decimal("0.001"), most_refusals=2)
    now = plant.clock.now()

    async def run() -> list[str]:
        answers = [await ask(plant, f"r{n}", now) for n in range(3)]
        for who in ("Li", "Wang"):
            order = KillRequest(killed=False, reason="mended", by=who, market=PRODUCT)
            await control.set_kill(plant, order, now=now)
        return [*answers, await ask(plant, "r4", now), await ask(plant, "r5", now)]

    first, second = "limits_breached", "killed"
    assert asyncio.run(run()) == [first, first, second, first, first]
    assert plant.kill.latched().keys() == {MARKET}


def test_the_same_request_again_counts_for_nothing(plant: Plant) -> None:
    limit(plant, burst=1)

    async def run() -> list[str]:
        return [await ask(plant, "r1", plant.clock.now()) for _ in range(60)]

    assert set(asyncio.run(run())) == {"made"}


YESTERDAY = ("2025-12-01T23:00:00Z", "2025-12-02T23:00:00Z")


def bid_yesterday(plant: Plant) -> None:
    """Yesterday nothing at all was bid for the same product."""
    now = plant.clock.now()
    product = plant.products[PRODUCT]  # type: ignore[index]
    unit = plant.file.park.bidding_units[0]
    delivery = product.delivery_at(now)
    bid_set = trading._bid_set(
        product,
        unit,
        delivery,
        MadeOffer(
            schedule=plant.schedule,  # type: ignore[arg-type]
            position=plant.book.position(unit.unit_id),
            bids=(),
            stems=(),
            json=(),
            reasons=b"",
            reasons_key="",
        ),
        "yesterday",
        1,
        now - timedelta(days=1),
    )
    plant.book.add(bid_set, b"{}", "yesterday")
    plant.book.lapsed(bid_set.bid_set_id)


def test_a_live_bid_that_surprises_waits_until_a_person_approves_it(
    plant: Plant, serving: Any
) -> None:
    limit(plant, "live", novelty_share=Decimal("0.001"))
    bid_yesterday(plant)
    act = {"live": True, "by": "Li", "reason": "a test"}
    body = {"delivery": {"start": DAY[0], "end": DAY[1]}}

    async def run() -> None:
        async with serving(plant) as client:
            await client.post(f"{PATH}/live", json=act)
            refused = await client.post(f"{PATH}/bids", json=body | {"request_id": "r1"})
            again = await client.post(f"{PATH}/bids", json=body | {"request_id": "r2"})
            assert (refused.status, (await refused.json())["code"]) == (503, "needs_approval")
            assert (await again.json())["code"] == "needs_approval"
            assert len(plant.book.all_bids()) == 0
            held = (await (await client.get(f"{PATH}/held")).json())["held"]
            assert len(held) == 1, "the same bids wait once"
            assert "from yesterday" in held[0]["why"]

            stranger = await client.post(
                f"{PATH}/held/nothing", json={"by": "Wang", "reason": "looks right"}
            )
            assert (await stranger.json())["code"] == "invalid_data"
            approved = await client.post(
                f"{PATH}/held/{held[0]['held_id']}", json={"by": "Wang", "reason": "looks right"}
            )
            assert (await approved.json())["approved_by"] == "Wang"
            made = await client.post(f"{PATH}/bids", json=body | {"request_id": "r3"})
            assert made.status == 200, await made.text()

    asyncio.run(run())
    before = dict(plant.trade.held)
    assert [e.kind for e in plant.journal.entries("bid_held", "bid_approval")] == [
        "bid_held",
        "bid_approval",
    ]
    plant.trade.held.clear()
    for entry in plant.journal.entries(presubmit.HELD, presubmit.APPROVAL):
        presubmit.replay(plant, entry)
    assert plant.trade.held == before


def test_asking_again_while_a_person_is_waited_for_stops_no_market(plant: Plant) -> None:
    limit(plant, "live", novelty_share=Decimal("0.001"), burst=2, most_refusals=1)
    bid_yesterday(plant)
    product = plant.products[PRODUCT]  # type: ignore[index]

    async def run() -> list[str]:
        now = plant.clock.now()
        await golive.take(plant, product, live=True, by="Li", reason="a test", now=now)
        return [await ask(plant, f"r{n}", now) for n in range(5)]

    assert asyncio.run(run()) == ["needs_approval"] * 5


@pytest.mark.parametrize("mode", ["simulated", "shadow"])
def test_where_nobody_can_be_asked_a_surprise_is_a_warning_on_record(
    plant: Plant, mode: str
) -> None:
    limit(plant, mode, novelty_share=Decimal("0.001"))
    bid_yesterday(plant)

    async def run() -> None:
        expected = "made" if mode == "simulated" else "shadow"
        assert await ask(plant, "r1", plant.clock.now()) == expected

    asyncio.run(run())
    (entry,) = plant.journal.entries(presubmit.WARNING)
    assert b"novelty" in entry.body
    assert "novelty" in next(e.text for e in plant.events.recent() if e.kind == "bid_warning")


def test_a_newer_revision_is_no_exposure_beside_the_one_it_replaces(plant: Plant) -> None:
    limit(plant)

    async def run() -> list[str]:
        return [await ask(plant, f"r{n}", plant.clock.now() + n * QUARTER / 100) for n in range(8)]

    assert set(asyncio.run(run())) == {"made"}
    warned = [e.text for e in plant.events.recent() if e.kind == "bid_warning"]
    assert any("the same bids as" in text for text in warned)


def test_what_cannot_be_put_on_record_is_not_held_and_not_sent(plant: Plant) -> None:
    limit(plant, "live", novelty_share=Decimal("0.001"))
    bid_yesterday(plant)
    product = plant.products[PRODUCT]  # type: ignore[index]

    class FullDisk:
        async def append_all(self, entries: Any, *, now: datetime) -> None:
            raise UnavailableError("disk full", where="journal", fix="free it")

        def entries(self, *kinds: str) -> Any:
            return iter(())

    async def run() -> None:
        await golive.take(
            plant, product, live=True, by="Li", reason="a test", now=plant.clock.now()
        )
        plant.journal = FullDisk()  # type: ignore[assignment]
        with pytest.raises(UnavailableError):
            await ask(plant, "r1", plant.clock.now())

    asyncio.run(run())
    assert not plant.trade.held
    assert not plant.book.all_bids()


def test_a_bid_without_an_answer_frees_its_headroom_when_its_time_is_over(plant: Plant) -> None:
    limit(plant)
    clock = plant.clock
    assert isinstance(clock, SimulatedClock)

    async def run() -> None:
        assert await ask(plant, "r1", clock.now()) == "made"
        (bid_set,) = plant.book.live_sets()
        due = awarding.unanswered_at(plant, bid_set)
        product = plant.products[PRODUCT]  # type: ignore[index]
        assert due == bid_set.valid_until + product.gate.results_after + timedelta(hours=1)

        await awarding.ask_about_doubts(plant, due - timedelta(seconds=1))
        assert plant.book.status(bid_set.bid_set_id) is BidSetStatus.OPEN
        await awarding.ask_about_doubts(plant, due)
        assert plant.book.status(bid_set.bid_set_id) is BidSetStatus.UNANSWERED
        assert not plant.book.live_sets()
        (event,) = [e for e in plant.events.recent() if e.kind == "bid_unanswered"]
        assert isoformat(due) in event.text
        assert [e.key for e in plant.journal.entries(tradelog.LAPSED)] == [bid_set.bid_set_id]

    asyncio.run(run())


def test_what_the_venue_says_it_cleared_is_not_given_up_but_asked_for_aloud(plant: Plant) -> None:
    class Venue:
        async def bid_set_status(self, bid_set_id: str) -> str:
            return "cleared"

    limit(plant)
    plant.venue = Venue()

    async def run() -> None:
        await ask(plant, "r1", plant.clock.now())
        (bid_set,) = plant.book.live_sets()
        for hours in (3, 4, 5):
            now = bid_set.valid_until + timedelta(hours=hours)
            await awarding.ask_about_doubts(plant, now)
        assert plant.book.status(bid_set.bid_set_id) is BidSetStatus.OPEN
        assert plant.book.states(bid_set.bid_set_id).keys() == {"acknowledged"}

    asyncio.run(run())
    assert [e.kind for e in plant.events.recent()].count("award_missing") == 1


def test_what_is_sold_in_one_quarter_is_not_hidden_by_what_is_bought_in_the_next(
    plant: Plant,
) -> None:
    """4 MW sold from 23:00 and 4 MW bought from 23:15: over the hour nothing, at worst 4 MW each way."""
    limit(plant)
    start = datetime.fromisoformat(DAY[0])
    lines = [
        {
            "bid_id": f"se3-quarter-hour/park-se3/x/{side}/1",
            "start": start + n * QUARTER,
            "end": start + (n + 1) * QUARTER,
            "quantity_mw": "4",
            "price_per_mwh": "40",
        }
        for n, side in enumerate(("sell", "buy"))
    ]
    award = AwardRequest.model_validate(
        {"award_id": "a1", "revision": 1, "final": True, "bid_set_id": "x", "cleared": lines}
    )
    hour = Interval(start, start + 4 * QUARTER)
    offered = Offered(
        slots=((hour, Side.SELL, Decimal(1)),),
        profile={},
        largest_mw=Decimal(1),
        mwh=Decimal(1),
        worst_cost=Decimal(0),
        prices=None,
    )

    async def run() -> None:
        await awarding.book_award(plant, "se3-quarter-hour", award, now=plant.clock.now())
        await ask(plant, "r1", plant.clock.now())

    asyncio.run(run())
    (bid_set,) = plant.book.live_sets()
    unit = plant.file.park.bidding_units[0]
    assert bidfacts._net_mw(plant, bid_set, unit, offered) == {hour: (Decimal(4), Decimal(-4))}
