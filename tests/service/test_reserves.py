"""Regulation and reserve whole: awarded, held in the plan, not sold twice, called by a signal, paid by formula."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.service.drpark import planned
from tests.service.regulationpark import (
    ASKED_AT,
    BATTERY,
    CAPACITY,
    COURSE,
    DAY,
    ENERGY,
    EVERY,
    HOUR,
    MILEAGE,
    D,
    a_park,
    award,
    bids_of,
    hear_meters,
    regulating,
    signal,
)
from vpp.account.regulation import Sample, followed, index_of, mileage_mw
from vpp.account.settlement import settle_interval
from vpp.errors import DataError
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import Bid
from vpp.model.offer import most_mw
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service import accounting, cycle, recovery
from vpp.service.calls import reserves
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading import trading
from vpp.trade.book import BidBook
from vpp.trade.calendar import TradeRefusal
from vpp.wire import BidRequest

# ---------------------------------------------------------------- Hunan


@pytest.fixture
def hunan(tmp_path: Path) -> Plant:
    plant = a_park(tmp_path, MILEAGE, rules={"m_factor: 1.0": "m_factor: 0.8"})
    asyncio.run(regulating(plant))
    return plant


async def follow(plant: Plant) -> None:
    """The whole course, followed as the golden case has it: 6 s, 6 MW a minute, 0.05 MW off."""
    before = D(0)
    for number, value in enumerate(COURSE):
        at, to = HOUR.start + EVERY * number, D(value)
        await signal(plant, MILEAGE, value, at, revision=number + 1, span=HOUR)
        step = to - before
        there_s = float(abs(step)) * 0.9 / 6 * 60
        off = D("0.05") if step > 0 else D("-0.05")
        plant.reserve.samples.extend(
            [
                Sample(at + timedelta(seconds=1), before),
                Sample(at + timedelta(seconds=6), before + step / 5),
                Sample(at + timedelta(seconds=there_s), to - off),
                Sample(at + timedelta(seconds=there_s + 10), to + off),
            ]
        )
        before = to


def test_an_award_of_regulation_is_held_in_the_plan_both_ways(hunan: Plant) -> None:
    asyncio.run(planned(hunan, HOUR.start - timedelta(hours=6), seq=5))
    schedule = hunan.schedule
    assert schedule is not None
    inside = schedule.horizon.slice(HOUR)
    for way in ("up", "down"):
        kept = schedule.reserve[f"{MILEAGE} {way}"]
        assert np.sum([*kept.kept_kw.values()], axis=0)[inside] == pytest.approx(10_000)
        assert kept.lacking_kw[inside] == pytest.approx(0)
    battery = schedule.power_kw[schedule.resource_ids.index(BATTERY)]
    assert battery[inside] == pytest.approx(0, abs=1e-6)  # 10 MW both ways are all that it has


def test_what_is_held_for_regulation_is_not_sold_a_second_time(hunan: Plant) -> None:
    terms = reserves.terms(hunan, Horizon(HOUR.start, QUARTER, 8))
    assert [(term.key, list(term.firm_kw)) for term in terms] == [
        (f"{MILEAGE} up", [10_000.0] * 4 + [0.0] * 4),
        (f"{MILEAGE} down", [10_000.0] * 4 + [0.0] * 4),
    ]

    asyncio.run(asked_again(hunan))


async def asked_again(plant: Plant) -> None:
    """What is awarded is not offered again."""
    span = {"start": isoformat(DAY.start), "end": isoformat(DAY.end)}
    request = BidRequest.model_validate({"request_id": "again", "delivery": span})
    await trading.answer_bid_request(plant, MILEAGE, request, digest="e", now=ASKED_AT)
    newest = plant.book.newest_sets(ProductId(MILEAGE), 1)[0]
    assert newest.revision == 2
    assert not [bid for bid in newest.bids if bid.interval == HOUR]


def test_the_golden_hour_of_regulation_in_hunan_comes_to_1627_20(hunan: Plant) -> None:
    async def run() -> None:
        await follow(hunan)
        await reserves.settle_due(hunan, HOUR.end)

    asyncio.run(run())
    (result,) = hunan.reserve.settled.values()
    assert result.amount == D("1627.20")
    assert "mileage 120 MW, index 1.6950" in result.words
    lines = reserves.statement_lines(hunan, HOUR)
    assert {name: [line.amount for line in own] for name, own in lines.items()} == {
        "mill": [D("813.60")],
        "dairy": [D("813.60")],
    }
    assert len(list(hunan.journal.entries(reserves.KIND))) == 1


def test_a_signal_asks_for_no_new_plan_stays_within_the_award_and_holds_until_the_next(
    hunan: Plant,
) -> None:
    async def run() -> None:
        hunan.replan = None
        await follow(hunan)
        assert hunan.replan is None
        with pytest.raises(DataError, match="10 MW are awarded"):
            await signal(hunan, MILEAGE, "11", HOUR.start, revision=99, span=HOUR)

    asyncio.run(run())
    (call,) = hunan.book.calls.standing()
    # Five minutes up, five down …: nothing left after six of them, and 0 after that.
    assert call.asked_mwh(HOUR) == 0
    first = Interval(HOUR.start, HOUR.start + QUARTER)
    assert call.asked_mwh(first) == 10 * D(5) / 60
    kw = hunan.book.position().activated_kw(Horizon(HOUR.start, QUARTER, 4))
    assert kw[0] == pytest.approx(10_000 / 3)
    told = [event for event in hunan.events.recent() if event.kind == "activation"]
    assert len(told) == 1


def test_a_signal_every_four_seconds_for_a_quarter_hour_is_taken_and_found_after_a_restart(
    hunan: Plant,
) -> None:
    async def run() -> None:
        for number in range(225):
            mw = str(number % 21 - 10)
            at = HOUR.start + timedelta(seconds=4 * number)
            await signal(hunan, MILEAGE, mw, at, revision=number + 1, span=HOUR)

    asyncio.run(run())
    before = hunan.book.calls.standing()[0]
    assert len(before.followed) == 225
    hunan.book = BidBook(frozenset(hunan.products))
    tradelog.recover(hunan)
    assert hunan.book.calls.standing()[0].followed == before.followed


def test_of_a_signal_that_is_over_one_revision_is_kept_and_all_of_its_course(hunan: Plant) -> None:
    async def run() -> None:
        await follow(hunan)
        (before,) = hunan.book.calls.standing()
        assert hunan.book.calls.first(before.activation_id).revision == 1  # type: ignore[union-attr]
        hunan.book.calls.thin(HOUR.end - EVERY)
        assert hunan.book.calls.first(before.activation_id).revision == 1  # type: ignore[union-attr]
        await cycle.account(hunan, HOUR.end)
        assert hunan.book.calls.standing() == (before,)
        assert hunan.book.calls.first(before.activation_id) == before
        (result,) = hunan.reserve.settled.values()
        assert result.amount == D("1627.20")
        with pytest.raises(TradeRefusal, match="it ended at"):
            await signal(hunan, MILEAGE, "10", HOUR.end, revision=1, span=HOUR)

    asyncio.run(run())


def test_the_act_cycle_sets_what_the_signal_asks_for(hunan: Plant) -> None:
    """At a control cycle after the signal moved the battery does all of it."""

    async def run() -> None:
        start = HOUR.start - QUARTER
        await planned(hunan, start, seq=5)
        now = HOUR.start + timedelta(seconds=60)
        await planned(hunan, HOUR.start, seq=6)
        await signal(hunan, MILEAGE, "4", now, revision=1, span=HOUR)
        hear_meters(hunan, now, 7)
        await cycle.act(hunan, now)
        # Asked for 4 MW in 14 of 15 minutes; nothing of it in the first.
        assert hunan.setpoints[BATTERY].power_kw == pytest.approx(4000, rel=0.02)
        assert len(hunan.reserve.samples) == 1

    asyncio.run(run())


# ---------------------------------------------------------------- aFRR

GATE = datetime(2026, 7, 15, 6, 30, tzinfo=UTC)
"""Half an hour before 09:00 in Berlin."""
BERLIN_DAY = Interval(datetime(2026, 7, 15, 22, tzinfo=UTC), datetime(2026, 7, 16, 22, tzinfo=UTC))
BLOCK = Interval(datetime(2026, 7, 16, 6, tzinfo=UTC), datetime(2026, 7, 16, 10, tzinfo=UTC))
CALLED = Interval(datetime(2026, 7, 16, 8, tzinfo=UTC), datetime(2026, 7, 16, 8, 15, tzinfo=UTC))


@pytest.fixture
def german(tmp_path: Path) -> Plant:
    plant = a_park(tmp_path, CAPACITY, ENERGY, euro=True)

    async def run() -> None:
        await planned(plant, GATE)
        name, bids = await bids_of(plant, CAPACITY, BERLIN_DAY, GATE)
        (bid,) = [bid for bid in bids if bid.interval == BLOCK]
        await award(plant, CAPACITY, name, [(bid, "2", "20")], GATE)
        before = CALLED.start - timedelta(hours=1)
        await planned(plant, before, seq=5)
        name, bids = await bids_of(plant, ENERGY, CALLED, before)
        assert [bid.interval for bid in bids] == [CALLED]  # capacity does not stand in its own way
        await award(plant, ENERGY, name, [(bids[0], "2", "100")], before)

    asyncio.run(run())
    return plant


def test_capacity_and_the_energy_it_is_for_hold_the_same_megawatts_once(german: Plant) -> None:
    terms = reserves.terms(german, Horizon(BLOCK.start, QUARTER, 16))
    assert [(term.key, list(term.firm_kw)) for term in terms] == [(f"{CAPACITY} up", [2000.0] * 16)]
    schedule = german.schedule
    assert schedule is not None
    inside = schedule.horizon.slice(Interval(CALLED.start, BLOCK.end))
    kept = schedule.reserve[f"{CAPACITY} up"]
    assert np.sum([*kept.kept_kw.values()], axis=0)[inside] == pytest.approx(2000)


def test_energy_is_offered_out_of_capacity_that_took_all_there_is(tmp_path: Path) -> None:
    plant = a_park(tmp_path, CAPACITY, ENERGY, euro=True)

    async def run() -> None:
        await planned(plant, GATE)
        name, bids = await bids_of(plant, CAPACITY, BERLIN_DAY, GATE)
        (bid,) = [bid for bid in bids if bid.interval == BLOCK]
        whole = most_mw(bid.offer)
        assert whole >= 10  # the battery's 10 MW
        await award(plant, CAPACITY, name, [(bid, str(whole), "20")], GATE)
        before = CALLED.start - timedelta(hours=1)
        await planned(plant, before, seq=5)
        _, energy = await bids_of(plant, ENERGY, CALLED, before)
        assert sum(most_mw(one.offer) for one in energy) >= 10

    asyncio.run(run())


def test_capacity_and_called_energy_are_paid_each_by_its_own_price(german: Plant) -> None:
    async def run() -> None:
        await signal(german, ENERGY, "2", CALLED.start, revision=1, span=CALLED)
        await signal(
            german, ENERGY, "0", CALLED.start + timedelta(minutes=6), revision=2, span=CALLED
        )
        assert reserves.activated_mwh(german, CALLED) == D("0.2")
        await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())
    amounts = {one.product: one.amount for one in german.reserve.settled.values()}
    # 2 MW · 20 EUR · 4 h, and 2 MW for a tenth of an hour at 100 EUR/MWh.
    assert amounts == {CAPACITY: D("160.00"), ENERGY: D("20.00")}
    assert reserves.paid(german) == 180


def test_capacity_that_was_called_and_not_delivered_is_paid_in_part(german: Plant) -> None:
    async def run() -> None:
        await signal(german, CAPACITY, "2", CALLED.start, revision=1, span=CALLED)
        german.reserve.samples.append(Sample(CALLED.start + timedelta(minutes=1), D("1.5")))
        await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())
    amounts = {one.product: one.amount for one in german.reserve.settled.values()}
    assert amounts[CAPACITY] == D("120.00")  # three quarters of 160


def test_called_energy_is_no_imbalance(german: Plant) -> None:
    price = D(100)
    plain = settle_interval(CALLED, (), 200_000, price, price, D("0.01"), gap=False)
    called = settle_interval(
        CALLED, (), 200_000, price, price, D("0.01"), gap=False, activated_mwh=D("0.2")
    )
    assert [line.amount for line in plain] == [20]
    assert called == ()


def test_what_was_settled_is_found_again_and_not_settled_twice(german: Plant) -> None:
    async def run() -> None:
        await reserves.settle_due(german, BLOCK.end)
        before = dict(german.reserve.settled)
        german.reserve.settled.clear()
        recovery.recover(german)
        assert german.reserve.settled == before
        await reserves.settle_due(german, BLOCK.end)
        assert len(list(german.journal.entries(reserves.KIND))) == len(before) == 2

    asyncio.run(run())


def capacity_bid(plant: Plant) -> tuple[str, Bid]:
    (found,) = plant.book.newest_sets(ProductId(CAPACITY), 1)
    (bid,) = [bid for bid in found.bids if bid.interval == BLOCK]
    return found.bid_set_id, bid


@pytest.mark.parametrize(
    ("mw", "price", "euros"), [("1", "20", "60.00"), ("2", "10", "60.00"), ("0", "20", "0")]
)
def test_an_award_that_is_corrected_after_it_was_settled_is_settled_again_as_it_was_measured(
    german: Plant, mw: str, price: str, euros: str
) -> None:
    async def run() -> None:
        await signal(german, CAPACITY, "2", CALLED.start, revision=1, span=CALLED)
        german.reserve.samples.append(Sample(CALLED.start + timedelta(minutes=1), D("1.5")))
        await reserves.settle_due(german, BLOCK.end)
        german.reserve.samples.clear()  # a restart
        name, bid = capacity_bid(german)
        lines = [(bid, mw, price)] if D(mw) else []
        await award(german, CAPACITY, name, lines, BLOCK.end, revision=2)
        for _ in range(2):
            await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())

    def amounts() -> dict[str, Decimal]:
        return {one.product: one.amount for one in german.reserve.settled.values()}

    assert amounts()[CAPACITY] == D(euros)  # three quarters of it were there
    assert len(list(german.journal.entries(reserves.KIND))) == 3
    german.reserve.settled.clear()
    recovery.recover(german)
    assert amounts()[CAPACITY] == D(euros)


def test_what_is_awarded_of_one_bid_in_two_awards_is_paid_for_both(german: Plant) -> None:
    async def run() -> None:
        name, bid = capacity_bid(german)
        await award(german, CAPACITY, name, [(bid, "1", "40")], BLOCK.start, award_id="b")
        await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())
    amounts = {one.product: one.amount for one in german.reserve.settled.values()}
    assert amounts[CAPACITY] == D("320.00")  # 2 MW at 20 and 1 MW at 40, for four hours


def test_what_nobody_measured_is_said_to_be_so(german: Plant) -> None:
    async def run() -> None:
        await signal(german, CAPACITY, "2", CALLED.start, revision=1, span=CALLED)
        await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())
    words = {one.product: one.words for one in german.reserve.settled.values()}
    assert "not measured" in words[CAPACITY]


def test_nothing_of_reserve_is_called_that_was_not_awarded(german: Plant) -> None:
    async def run() -> None:
        later = Interval(BLOCK.end, BLOCK.end + QUARTER)
        with pytest.raises(DataError, match="0 MW are awarded"):
            await signal(german, ENERGY, "1", later.start, revision=1, span=later)

    asyncio.run(run())


# ---------------------------------------------------------------- the sums alone


def test_mileage_counts_every_move_and_nothing_else() -> None:
    at = HOUR.start
    course = [(at, D(4)), (at, D(4)), (at, D(-1)), (at, D(0))]
    assert mileage_mw(course) == 4 + 5 + 1
    assert mileage_mw(course, before=D(4)) == 5 + 1


def test_an_instruction_that_is_not_followed_has_no_rate_and_the_whole_error() -> None:
    at = HOUR.start
    samples = [Sample(at + timedelta(seconds=s), D(0)) for s in (1, 30, 59)]
    (one,) = followed([(at, D(10))], at + timedelta(seconds=60), samples)
    assert (one.rate_mw_per_min, one.delay_s, one.error_mw) == (D(0), D(59), D(10))
    params = dict.fromkeys(("w1", "w2", "w3"), D(1))
    params |= {"t0_s": D(60), "e0_pct": D("0.02"), "k1_cap": D(3), "k_cap": D(2)}
    index = index_of("cn_hunan_k", params, [one], capacity_mw=D(10), standard_rate=D(1))
    assert index == 1 - D(59) / 60
    assert np.isfinite(float(index))
    with pytest.raises(DataError, match="not one of single instructions"):
        index_of("pjm_score", {}, [one], capacity_mw=D(10), standard_rate=D(1))


def test_members_statements_hold_reserve_too(german: Plant) -> None:
    async def run() -> None:
        await reserves.settle_due(german, BLOCK.end)

    asyncio.run(run())
    found = accounting.statements_of(german, BLOCK)
    paid = [line.amount for one in found for line in one.lines if line.item == "reserve"]
    assert paid == [80, 80]
