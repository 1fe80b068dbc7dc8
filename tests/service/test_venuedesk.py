"""Bids reach a venue once, whatever is lost on the way; what nobody knows is asked, and a person hears in time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.service.rebuilt import (
    EVENING,
    MINUTE,
    PRODUCT,
    Bench,
    Killed,
    a_request,
    an_award,
    bench_of,
    bid,
)
from tests.service.venuebench import (
    FIRST,
    FIRST_GATE,
    SECOND,
    Floor,
    MemoryVenue,
    floor_of,
    section,
)
from vpp.errors import ConflictError, ForeignError, UnavailableError
from vpp.model.ids import ProductId
from vpp.model.time import QUARTER, isoformat
from vpp.model.venue import Declined, Foreign, Later, Taken, Unknown, VenueHealth
from vpp.service.plant import Plant
from vpp.service.trading import awarding, trading
from vpp.service.venues import desk as venuedesk
from vpp.service.venues import log as venuelog
from vpp.service.venues import watch as venuewatch
from vpp.service.venues.state import Latch, SendState
from vpp.service.wiring import desk_for
from vpp.trade.book import BidSetStatus
from vpp.trade.calendar import TradeRefusal
from vpp.trade.lifecycle import BidState

NAME = f"{PRODUCT}.park-se3.20251202T2300Z.1"


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


@pytest.fixture
def floor(make: Callable[..., Bench]) -> Floor:
    return floor_of(make, ask_before_minutes=15)


def test_bids_are_made_before_the_gate_and_sent_once(floor: Floor) -> None:
    floor.ticks(FIRST_GATE - SECOND)

    assert [name for name, _ in floor.venue.received] == [NAME]
    assert floor.venue.received[0][1] == floor.plant.book.answer(NAME).response
    assert floor.plant.book.states(NAME) == {BidState.ACKNOWLEDGED: 2}


# ---------------------------------------------------------------- what an answer does

UNKNOWN = Unknown(what="no answer")


@pytest.mark.parametrize(
    ("works", "copies"),
    [
        pytest.param(True, 1, id="it had been taken: nothing is sent again"),
        pytest.param(False, 2, id="it had not: the same bytes once more"),
    ],
)
def test_an_unknown_outcome_is_asked_before_anything_is_sent_again(
    floor: Floor, works: bool, copies: int
) -> None:
    floor.venue.says = [(UNKNOWN, works)]

    floor.look(EVENING, EVENING + 5 * SECOND)

    assert floor.venue.asked == [NAME]
    assert [name for name, _ in floor.venue.received] == [NAME] * copies
    assert len({body for _, body in floor.venue.received}) == 1
    assert floor.desk.sendings[NAME].state is SendState.TAKEN
    assert len(floor.journalled("venue_intent")) == copies


def test_an_unknown_outcome_is_settled_within_a_minute_of_the_recovery(floor: Floor) -> None:
    floor.venue.says = [(UNKNOWN, True)]
    floor.look(EVENING)
    floor.venue.away = True
    floor.ticks(EVENING + 5 * MINUTE)
    floor.venue.away = False
    back = floor.bench.clock.at

    while floor.desk.in_doubt(NAME):
        floor.look(floor.bench.clock.at + 5 * SECOND)

    assert floor.bench.clock.at - back <= MINUTE
    assert floor.told("venue") == [
        "venue exchange does not answer: venue: no answer -> Wait",
        "venue exchange answers again",
    ]


def test_while_the_venue_is_silent_nothing_that_it_may_have_is_sent(floor: Floor) -> None:
    floor.venue.says = [(UNKNOWN, False)]
    floor.look(EVENING)
    floor.venue.away = True

    floor.ticks(FIRST_GATE + MINUTE, 30 * SECOND)

    assert len(floor.venue.received) == 1


def test_what_was_surely_not_taken_is_sent_again_and_not_before_it_may(floor: Floor) -> None:
    wanted = EVENING + 42 * SECOND
    floor.venue.says = [(Later(retry_at=wanted, what="429"), False)]
    times = []

    for tick in range(20):
        known = len(floor.venue.received)
        floor.look(EVENING + 5 * tick * SECOND)
        times += [floor.bench.clock.at] * (len(floor.venue.received) - known)

    assert times == [EVENING, EVENING + 45 * SECOND]
    assert floor.venue.asked == []


def test_what_the_venue_declines_is_owed_to_nobody_and_a_person_hears(floor: Floor) -> None:
    floor.venue.says = [(Declined(code="too_small", what="0.1 MW at least"), False)]

    floor.ticks(FIRST_GATE - MINUTE, 20 * SECOND)

    assert floor.plant.book.status(NAME) is BidSetStatus.UNANSWERED
    assert floor.told("bid_declined") == [
        f"venue exchange declines {NAME}: too_small: 0.1 MW at least"
    ]
    assert len(floor.venue.received) == 1
    (risk,) = floor.told("gate_at_risk")
    assert "declined: too_small" in risk


def test_other_bytes_under_our_id_latch_the_venue(floor: Floor) -> None:
    floor.venue.says = [(Declined(code="conflict", what="409"), False)]

    floor.look(EVENING, EVENING + MINUTE)

    assert floor.plant.book.status(NAME) is BidSetStatus.OPEN  # what it holds may be owed
    assert floor.venue.asked == []
    assert "holds other bytes" in (floor.desk.no_new_bids or "")
    assert len(floor.told("bid_conflict")) == 1


# ---------------------------------------------------------------- foreign answers

FOREIGN = Foreign(what="answered 200 text/html", raw=b"<p>Back soon.</p>")


def test_a_foreign_answer_stops_new_bids_there_until_a_person_has_looked(floor: Floor) -> None:
    floor.venue.says = [(FOREIGN, True)]
    floor.look(EVENING)

    floor.ticks(FIRST_GATE + MINUTE, 20 * SECOND)  # over the next gate's first look
    assert [name for name, _ in floor.venue.received] == [NAME]
    assert floor.desk.sendings[NAME].state is SendState.TAKEN  # asked, for that is no new bid

    release(floor)
    floor.ticks(FIRST_GATE + 2 * MINUTE, 20 * SECOND)
    assert len({name for name, _ in floor.venue.received}) == 2


def test_while_it_is_latched_not_even_what_is_surely_not_there_is_sent_again(floor: Floor) -> None:
    floor.venue.says = [(FOREIGN, False)]
    floor.ticks(EVENING + MINUTE)
    assert floor.desk.sendings[NAME].state is SendState.ABSENT
    assert len(floor.venue.received) == 1

    release(floor)
    floor.ticks(EVENING + 2 * MINUTE)
    assert [body for _, body in floor.venue.received] == [floor.venue.has[NAME]] * 2


def test_the_foreign_answer_is_on_record_with_its_beginning(floor: Floor) -> None:
    floor.venue.says = [(FOREIGN, True)]
    floor.look(EVENING)

    raw = b64encode(FOREIGN.raw).decode()
    assert floor.journalled("venue_outcome")[0] == (
        f"{NAME}/1",
        {"venue": "exchange", "state": "foreign", "what": FOREIGN.what, "raw": raw},
    )
    ((_, latch),) = floor.journalled("venue_latch")
    assert latch["latched"] is True
    assert latch["raw"] == raw
    assert len(floor.told("venue_latched")) == 1


def test_a_latch_outlives_a_restart_and_so_does_its_release(floor: Floor) -> None:
    floor.venue.says = [(FOREIGN, True)]
    floor.look(EVENING)
    floor.restart()
    assert floor.desk.latch is not None
    release(floor)
    floor.restart()
    assert floor.desk.latch is None


def test_a_page_that_is_another_one_each_time_is_told_and_on_record_once(floor: Floor) -> None:
    floor.venue.says = [(UNKNOWN, True)]
    odd = [
        ForeignError(f"it is text/{kind}", where="venue", fix="Look", raw=f"<p>{n}</p>".encode())
        for n, kind in enumerate(["html", "plain", "html", "plain", "html"])
    ]
    floor.venue.words = [*odd]

    floor.ticks(EVENING + 5 * MINUTE)

    assert floor.venue.words == []
    assert len(floor.told("venue_latched")) == len(floor.journalled("venue_latch")) == 2
    release(floor)
    asyncio.run(venuelog.latch(floor.plant, floor.desk, str(odd[0]), b"", now=EVENING))
    assert len(floor.told("venue_latched")) == 3  # after a release it is news again


def test_a_kill_while_the_intent_is_written_keeps_the_bids_here(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, ask_before_minutes=15)
    reach = floor.plant.reach

    def kill(point: str) -> None:
        reach(point)
        if point == "venue intent journalled":
            floor.plant.kill.kill("smoke")

    floor.plant.reach = kill
    floor.look(EVENING)

    assert floor.venue.received == []
    assert floor.desk.sendings[NAME].state is SendState.LATER


def test_a_kill_while_a_token_is_waited_for_keeps_the_bids_here(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, ask_before_minutes=15)
    floor.venue.preparing = lambda: floor.plant.kill.kill("smoke")
    floor.look(EVENING)

    assert floor.venue.received == []
    assert floor.desk.sendings[NAME].state is SendState.LATER


def test_a_request_under_the_name_of_ours_stops_that_bid_and_not_the_service(floor: Floor) -> None:
    mine = venuedesk._request_id(
        floor.desk, floor.plant.products[ProductId(PRODUCT)], "park-se3", FIRST, 1
    )
    floor.desk.reconciled = True
    asyncio.run(bid(floor.bench, a_request(mine, 1)))

    floor.look(EVENING)

    assert floor.desk.attempts[ProductId(PRODUCT), FIRST].code == "conflict"


def test_what_is_bid_for_by_invitation_is_not_bid_for_before_a_gate(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, ask_before_minutes=15)
    product = floor.plant.products[ProductId(PRODUCT)]
    assert [*venuedesk.due(floor.plant, floor.desk, EVENING)] != []
    floor.plant.file = replace(floor.plant.file, products=(replace(product, by_invitation=True),))

    assert [*venuedesk.due(floor.plant, floor.desk, EVENING)] == []


def test_what_was_sent_to_a_venue_is_not_sent_to_the_one_that_its_product_moves_to(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, ask_before_minutes=15)
    floor.venue.says = [(UNKNOWN, True)]
    floor.look(EVENING)
    other = MemoryVenue(at=floor.bench.clock.now)
    floor.bench.venues = lambda: (desk_for(section(id="other", ask_before_minutes=15), other),)

    floor.restart()
    floor.ticks(EVENING + 10 * MINUTE)

    assert NAME not in {name for name, _ in other.received}
    assert "it was sent to venue exchange" in floor.told("bid_unsure")[0]
    assert floor.desk.no_new_bids is None  # the next ones go there


def test_a_word_that_nobody_agreed_on_latches_the_venue(floor: Floor) -> None:
    floor.venue.says = [(UNKNOWN, True)]
    odd = ForeignError(
        "the word 'held' is not in the mapping", where="venue", fix="Look", raw=b"held"
    )
    floor.venue.words = [odd]

    floor.look(EVENING, EVENING + 5 * SECOND, EVENING + MINUTE)

    assert "'held'" in floor.told("venue_latched")[0]
    assert floor.desk.sendings[NAME].state is SendState.TAKEN  # asked again


def test_a_latched_venue_takes_no_bids_by_post_either_and_what_is_sold_stays_owed(
    floor: Floor,
) -> None:
    floor.look(EVENING)
    answer = floor.venue.has[NAME]
    floor.venue.issue(an_award(answer, "a-1", 1, Decimal(1)))
    floor.desk.latch = Latch(reason="odd", at=EVENING, digest="")

    floor.look(EVENING + 2 * MINUTE)

    assert floor.plant.book.status(NAME) is BidSetStatus.AWARDED
    with pytest.raises(TradeRefusal, match="venue exchange is latched: odd") as refused:
        asyncio.run(bid(floor.bench, a_request("r-1", 1)))
    assert refused.value.code == "no_new_bids"


def release(floor: Floor) -> None:
    now = floor.bench.clock.at
    asyncio.run(venuelog.release(floor.plant, floor.desk, by="ann", reason="seen", now=now))


# ---------------------------------------------------------------- restart


POINTS = ("venue intent journalled", "venue answered", "venue outcome journalled", "bid journalled")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("works", [True, False], ids=["the venue has it", "it has not"])
def test_a_service_that_dies_around_a_submission_sends_nothing_twice(
    floor: Floor, point: str, works: bool
) -> None:
    floor.venue.says = [(Taken() if works else Later(retry_at=None, what="busy"), works)]
    floor.bench.die_at = point
    with pytest.raises(Killed):
        floor.look(EVENING)

    floor.restart()
    floor.ticks(EVENING + MINUTE)

    copies = [body for name, body in floor.venue.received if name == NAME]
    assert floor.venue.has == {NAME: copies[0]}
    assert len(set(copies)) == 1
    assert len(copies) == (1 if works else 2)
    assert floor.desk.sendings[NAME].state is SendState.TAKEN
    assert floor.plant.book.status(NAME) is BidSetStatus.OPEN


def test_after_a_restart_nothing_new_is_bid_before_the_venue_has_said_what_it_has(
    floor: Floor,
) -> None:
    floor.bench.die_at = "venue answered"
    with pytest.raises(Killed):
        floor.look(EVENING)
    floor.restart()
    floor.venue.away = True

    floor.ticks(FIRST_GATE + MINUTE)
    assert len(floor.venue.received) == 1
    assert "has not said yet" in (floor.desk.no_new_bids or "")
    with pytest.raises(TradeRefusal, match="has not said yet"):
        asyncio.run(bid(floor.bench, a_request("r-1", 1)))

    floor.venue.away = False
    floor.ticks(FIRST_GATE + 2 * MINUTE, 30 * SECOND)
    assert floor.desk.no_new_bids is None
    assert len(floor.venue.received) == 2


def test_a_restart_without_doubts_asks_nothing(floor: Floor) -> None:
    floor.look(EVENING)
    floor.restart()
    floor.look(EVENING + MINUTE)

    assert floor.venue.asked == []
    assert len(floor.venue.received) == 1


def test_an_outcome_that_could_not_be_put_on_record_is_asked_after_a_restart(
    floor: Floor,
) -> None:
    journal = floor.plant.journal
    whole = journal.append_all

    async def no_outcomes(entries: Any, *, now: datetime) -> None:
        if any(kind == "venue_outcome" for kind, _, _ in entries):
            raise UnavailableError("full", where="disk", fix="Make room")
        await whole(entries, now=now)

    journal.append_all = no_outcomes  # type: ignore[method-assign]
    floor.look(EVENING)
    assert floor.desk.sendings[NAME].state is SendState.TAKEN
    journal.append_all = whole  # type: ignore[method-assign]

    floor.restart()
    floor.look(EVENING + MINUTE)

    assert floor.venue.asked == [NAME]
    assert len(floor.venue.received) == 1


def test_nothing_leaves_without_an_intent_on_record(floor: Floor) -> None:
    journal = floor.plant.journal
    whole = journal.append_all

    async def no_intents(entries: Any, *, now: datetime) -> None:
        if any(kind == "venue_intent" for kind, _, _ in entries):
            raise UnavailableError("full", where="disk", fix="Make room")
        await whole(entries, now=now)

    journal.append_all = no_intents  # type: ignore[method-assign]
    floor.ticks(EVENING + MINUTE)
    assert floor.venue.received == []

    journal.append_all = whole  # type: ignore[method-assign]
    floor.ticks(EVENING + 2 * MINUTE)
    assert len(floor.venue.received) == 1


# ---------------------------------------------------------------- a venue that cannot be asked


def test_a_venue_without_a_query_gets_a_bid_once_and_then_a_person_looks(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, MemoryVenue(answers=False), ask_before_minutes=15)
    floor.venue.says = [(UNKNOWN, False)]

    floor.ticks(FIRST_GATE - MINUTE)

    assert len(floor.venue.received) == 1
    assert len(floor.told("bid_unsure")) == 1
    floor.restart()
    floor.ticks(FIRST_GATE + 2 * MINUTE)
    assert [name for name, _ in floor.venue.received].count(NAME) == 1
    assert len(floor.venue.received) == 2  # the next delivery is bid all the same


def test_what_it_surely_did_not_take_is_sent_to_it_again(make: Callable[..., Bench]) -> None:
    floor = floor_of(make, MemoryVenue(answers=False), ask_before_minutes=15)
    floor.venue.says = [(Later(retry_at=None, what="not sent"), False)]

    floor.ticks(EVENING + MINUTE)

    assert len(floor.venue.received) == 2


# ---------------------------------------------------------------- gates


def test_a_gate_at_risk_is_told_once_minutes_before_and_taken_back_when_it_is_well(
    floor: Floor,
) -> None:
    floor.venue.away = True
    floor.ticks(FIRST_GATE - 6 * MINUTE)

    (event,) = [e for e in floor.plant.events.recent() if e.kind == "gate_at_risk"]
    assert FIRST_GATE - event.at == 7 * MINUTE
    assert event.data["delivery_start"] == "2025-12-02T23:00:00Z"
    assert "unknown: no answer" in event.text

    floor.venue.away = False
    floor.ticks(FIRST_GATE - 5 * MINUTE)
    assert floor.told("gate_at_risk")[1:] == [
        f"venue exchange has the bid of {PRODUCT} for 2025-12-02T23:00:00Z"
    ]
    assert floor.desk.at_risk == {}


def test_a_gate_without_a_plan_is_at_risk_for_that_reason(floor: Floor) -> None:
    floor.plant.schedule = None
    for minute in range(10):
        floor.bench.clock.at = EVENING + minute * MINUTE
        asyncio.run(venuewatch.watch(floor.plant, floor.bench.clock.at))
        asyncio.run(venuedesk.look(floor.plant, floor.desk, floor.bench.clock.at))

    (text,) = floor.told("gate_at_risk")
    assert "there is no plan yet" in text


@pytest.mark.parametrize(
    ("offset_s", "last_s"),
    [
        pytest.param(0.0, 2, id="two seconds before"),
        pytest.param(30.0, 32, id="a clock ahead"),
        pytest.param(9e5, 62, id="a clock that is not believed"),
    ],
)
def test_nothing_is_sent_in_the_last_seconds_before_a_gate(
    floor: Floor, offset_s: float, last_s: int
) -> None:
    floor.venue.health_now = VenueHealth(clock_offset_s=offset_s)
    floor.look(FIRST_GATE - last_s * SECOND)
    assert floor.venue.received == []

    floor.restart()
    floor.look(FIRST_GATE - (last_s + 1) * SECOND)
    assert len(floor.venue.received) == 1


def test_a_bid_that_never_left_is_given_up_when_its_gate_has_passed(floor: Floor) -> None:
    floor.venue.says = [(Later(retry_at=FIRST_GATE, what="busy"), False)]

    floor.ticks(FIRST_GATE + 2 * MINUTE)

    assert floor.plant.book.status(NAME) is BidSetStatus.UNANSWERED
    assert "the market never had" in floor.told("bid_in_doubt")[0]


@pytest.mark.parametrize("after_minutes", [0, 1, 4, 8, 12, 14])
@pytest.mark.parametrize("away_minutes", [5, 12, 30])
def test_a_market_that_is_down_across_a_gate_costs_no_interval_in_silence(
    floor: Floor, after_minutes: int, away_minutes: int
) -> None:
    """Each interval is either bid once, or told five minutes before its gate at the latest."""
    begins = EVENING + after_minutes * MINUTE
    if after_minutes:
        floor.ticks(begins - 5 * SECOND)
    floor.venue.away = True
    floor.ticks(begins + away_minutes * MINUTE)
    floor.venue.away = False
    floor.ticks(EVENING + 55 * MINUTE)

    for quarter in range(3):
        delivery = FIRST.start + quarter * QUARTER
        gate = delivery - QUARTER
        copies = [n for n, _ in floor.venue.received if f"{delivery:%Y%m%dT%H%MZ}" in n]
        told = [
            e.at
            for e in floor.plant.events.recent()
            if e.kind == "gate_at_risk" and e.data.get("delivery_start") == isoformat(delivery)
        ]
        assert len(copies) == 1 or (told and gate - told[0] >= 5 * MINUTE), delivery


def test_what_the_kill_switch_holds_does_not_leave_and_its_gate_is_at_risk(floor: Floor) -> None:
    floor.venue.says = [(Later(retry_at=None, what="busy"), False)]
    floor.look(EVENING)
    floor.plant.kill.kill("smoke")

    floor.ticks(FIRST_GATE - MINUTE, 30 * SECOND)

    assert len(floor.venue.received) == 1
    assert "smoke" in floor.told("gate_at_risk")[0]


def test_what_stays_in_the_shadow_is_neither_sent_nor_at_risk(make: Callable[..., Bench]) -> None:
    floor = floor_of(make, ask_before_minutes=15)
    shadow = floor.bench.file.trading.model_copy(update={"mode": "shadow"})
    floor.bench.file = replace(floor.bench.file, trading=shadow)
    floor.restart()

    floor.ticks(FIRST_GATE - MINUTE, 30 * SECOND)

    assert floor.venue.received == []
    assert floor.told("gate_at_risk") == []
    assert floor.plant.book.status(NAME) is BidSetStatus.SHADOW


# ---------------------------------------------------------------- beside the desk's own bids


def test_a_bid_set_that_somebody_asked_for_is_carried_to_the_venue(floor: Floor) -> None:
    floor.look(EVENING)
    asyncio.run(bid(floor.bench, a_request("r-1", 0)))

    floor.look(EVENING + MINUTE)

    assert [name for name, _ in floor.venue.received] == [NAME, NAME[:-1] + "2"]


def test_what_was_sent_cannot_be_withdrawn_here(floor: Floor) -> None:
    floor.look(EVENING)
    with pytest.raises(ConflictError, match="it was sent to venue exchange"):
        asyncio.run(trading.withdraw(floor.plant, PRODUCT, NAME, now=EVENING))


def test_a_venue_that_asks_is_sent_nothing_and_its_awards_are_fetched(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, bids="asked")
    floor.look(EVENING)
    answer = asyncio.run(bid(floor.bench, a_request("r-1", 0)))
    floor.venue.issue(an_award(answer, "a-1", 1, Decimal(1)))

    floor.look(EVENING + 2 * MINUTE)

    assert floor.venue.received == []
    assert floor.told("gate_at_risk") == []
    assert floor.plant.book.status(NAME) is BidSetStatus.AWARDED


def test_a_venue_that_asks_is_asked_after_a_restart_what_it_has(
    make: Callable[..., Bench],
) -> None:
    floor = floor_of(make, bids="asked")
    floor.look(EVENING)
    asyncio.run(bid(floor.bench, a_request("r-1", 0)))
    floor.restart()
    with pytest.raises(TradeRefusal, match="has not said yet"):
        asyncio.run(bid(floor.bench, a_request("r-2", 0)))

    floor.look(EVENING + MINUTE)

    assert floor.venue.asked == [NAME]
    asyncio.run(bid(floor.bench, a_request("r-2", 0)))


def test_the_venue_of_the_others_is_not_asked_about_bids_of_a_desk(floor: Floor) -> None:
    other = MemoryVenue()
    floor.bench.venue = other
    floor.restart()
    asyncio.run(awarding.ask_about_doubts(floor.plant, EVENING))
    floor.look(EVENING)

    asyncio.run(awarding.ask_about_doubts(floor.plant, FIRST_GATE + MINUTE))

    assert other.asked == []
    assert floor.plant.reconciled
    assert floor.plant.book.status(NAME) is BidSetStatus.OPEN
