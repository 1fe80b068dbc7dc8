"""Every award of a venue is booked once, however it is listed; what is missing is asked for, and told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.service.rebuilt import (
    EVENING,
    MINUTE,
    PRODUCT,
    Bench,
    a_request,
    an_award,
    bench_of,
    bid,
)
from tests.service.venuebench import SECOND, Floor, floor_of
from vpp.errors import ForeignError
from vpp.model.time import QUARTER, Interval
from vpp.ports import AwardPage, ForeignAward, PublishedAward
from vpp.service.plant import Plant
from vpp.service.venues import awards as venueawards
from vpp.service.venues import log as venuelog
from vpp.trade.book import BidSetStatus


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


@pytest.fixture
def floor(make: Callable[..., Bench]) -> Floor:
    """A venue that asks us: bid sets of eight quarter-hours, and an award to each."""
    floor = floor_of(make, bids="asked", poll_s=60, overlap=3)
    floor.look(EVENING)
    for quarter in range(8):
        answer = asyncio.run(bid(floor.bench, a_request(f"r-{quarter}", quarter)))
        floor.venue.issue(an_award(answer, f"a-{quarter}", 1, Decimal(1)))
    return floor


def owed(floor: Floor) -> list[Decimal]:
    """MW sold for each of the eight quarter-hours."""
    start = EVENING + 30 * MINUTE
    spans = [Interval(start + q * QUARTER, start + (q + 1) * QUARTER) for q in range(8)]
    return [floor.plant.sold_mw(span) for span in spans]


def ledger(floor: Floor) -> list[Decimal]:
    """The same by the venue's books: the highest revision of each award."""
    newest: dict[str, PublishedAward] = {}
    for _, published in floor.venue.issued:
        known = newest.get(published.award.award_id)
        if known is None or known.award.revision < published.award.revision:
            newest[published.award.award_id] = published
    sold = [Decimal(0)] * 8
    for published in newest.values():
        for line in published.award.cleared:
            sign = 1 if "/sell/" in line.bid_id else -1
            sold[(line.start - EVENING - 30 * MINUTE) // QUARTER] += sign * line.quantity_mw
    return sold


def award_entries(floor: Floor) -> int:
    return len(list(floor.plant.journal.entries("award")))


def test_awards_are_fetched_in_their_period_and_booked_once(floor: Floor) -> None:
    floor.venue.polls.clear()

    floor.ticks(EVENING + 3 * MINUTE)

    assert owed(floor) == ledger(floor) != [Decimal(0)] * 8
    assert award_entries(floor) == 8
    assert floor.desk.list.cursor == 8
    assert floor.venue.polls == [0, 5, 5]  # from three awards before the newest one on


def test_pages_are_read_to_the_last(floor: Floor) -> None:
    floor.venue.page_size = 3
    floor.venue.polls.clear()

    floor.look(EVENING + MINUTE)

    assert floor.venue.polls == [0, 3, 6]
    assert owed(floor) == ledger(floor)


def test_the_list_goes_on_where_it_stood_before_a_restart(floor: Floor) -> None:
    floor.look(EVENING + MINUTE)
    floor.restart()
    floor.venue.polls.clear()

    floor.look(EVENING + 2 * MINUTE)

    assert floor.desk.list.cursor == 8
    assert floor.venue.polls == [5, 0]  # the poll, and the reconcile that comes with each start
    assert award_entries(floor) == 8


def test_a_gap_that_the_next_look_fills_is_no_alarm(floor: Floor) -> None:
    floor.venue.hidden = {4}
    floor.look(EVENING + MINUTE)
    assert floor.desk.list.missing == 1
    floor.venue.hidden = set()
    floor.look(EVENING + 2 * MINUTE)

    assert owed(floor) == ledger(floor)
    assert floor.told("award_gap") == []


def test_a_gap_that_stays_is_told_once_and_asked_for_until_it_is_filled(floor: Floor) -> None:
    floor.venue.lost = {4, 5, 8}
    floor.ticks(EVENING + 10 * MINUTE, 30 * SECOND)

    assert floor.told("award_gap") == [
        "venue exchange does not list award 4, 3 are missing up to 8"
    ]
    floor.venue.lost = set()
    floor.look(EVENING + 11 * MINUTE)
    assert floor.told("award_gap")[1:] == ["no award of venue exchange is missing any more"]
    assert owed(floor) == ledger(floor)


def test_what_only_a_list_by_time_shows_is_found_when_its_gap_is_told(floor: Floor) -> None:
    floor.venue.hidden = {4, 8}
    floor.look(EVENING + MINUTE)
    assert owed(floor) != ledger(floor)
    floor.look(EVENING + 2 * MINUTE)

    assert len(floor.told("award_gap")) == 1
    assert floor.told("awards_found") == ["2 awards of venue exchange came by time of issue alone"]
    assert owed(floor) == ledger(floor)


def test_what_the_polls_miss_comes_with_the_daily_reconcile(floor: Floor) -> None:
    floor.look(EVENING + MINUTE)
    revised = floor.venue.issued[2][1].award.model_copy(update={"revision": 2, "cleared": []})
    number = floor.venue.issued[2][1].sequence
    published = PublishedAward(sequence=number, product_id=PRODUCT, award=revised)
    floor.venue.issued[2] = (EVENING, published)  # under its old number: no poll looks there again
    for quarter in range(8, 16):
        answer = asyncio.run(bid(floor.bench, a_request(f"r-{quarter}", quarter)))
        floor.venue.issue(an_award(answer, f"a-{quarter}", 1, Decimal(1)))
    floor.look(EVENING + 2 * MINUTE)
    floor.look(EVENING + timedelta(hours=25))

    assert floor.told("awards_found") == ["1 awards of venue exchange came by time of issue alone"]
    assert award_entries(floor) == 17


def test_a_gap_that_even_the_reconcile_leaves_is_given_up_and_told(floor: Floor) -> None:
    floor.venue.lost = {4}
    floor.look(EVENING + MINUTE, EVENING + 2 * MINUTE)
    floor.look(EVENING + timedelta(hours=25))

    assert floor.told("award_gap")[1:] == [
        "the reconcile did not bring 1 missing awards of venue exchange: given up"
    ]
    assert floor.desk.list.cursor == 8


def test_a_venue_that_boasts_of_awards_it_never_shows_moves_nothing(floor: Floor) -> None:
    whole = floor.venue.awards
    floor.venue.lost = {4}

    async def boast(after: int, *, issued_in: Interval | None = None) -> AwardPage:
        page = await whole(after, issued_in=issued_in)
        return AwardPage(awards=page.awards, last_sequence=10**12)

    floor.venue.awards = boast  # type: ignore[method-assign]
    floor.look(EVENING + MINUTE, EVENING + 2 * MINUTE, EVENING + timedelta(hours=25))

    assert floor.desk.list.cursor == 8  # the next ones are looked for behind what was shown
    assert award_entries(floor) == 7


def test_a_venue_that_numbers_anew_is_followed_at_the_next_look(floor: Floor) -> None:
    floor.look(EVENING + MINUTE)
    before = [published.award for _, published in floor.venue.issued]
    floor.venue.issued.clear()  # its numbers begin at 1 again
    floor.venue.issue(before[0].model_copy(update={"revision": 2, "cleared": []}))

    floor.look(EVENING + 2 * MINUTE, EVENING + 3 * MINUTE)

    assert "its list was changed" in floor.told("award_gap")[0]
    assert owed(floor)[0] == 0 != owed(floor)[1]


def test_a_list_by_time_that_is_longer_than_a_look_is_read_to_its_end_in_the_next(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venueawards, "MOST_PAGES", 2)
    floor.venue.page_size = 2
    floor.venue.hidden = {6, 7, 8}  # but for a page by time

    floor.look(*(EVENING + n * 30 * SECOND for n in range(2, 15)))

    assert owed(floor) == ledger(floor)
    assert floor.desk.list.by_time_after is None


def test_a_list_that_grew_shorter_is_an_alarm(floor: Floor) -> None:
    floor.look(EVENING + MINUTE)
    del floor.venue.issued[6:]

    floor.look(EVENING + 2 * MINUTE)

    assert "its list was changed" in floor.told("award_gap")[0]


def test_an_entry_that_is_no_award_latches_the_venue_once_and_is_on_record(floor: Floor) -> None:
    whole = floor.venue.awards
    stranger = ForeignAward(where="sequence 9", what="no award", raw=b'{"sequence":9}')

    async def with_stranger(after: int, *, issued_in: Interval | None = None) -> AwardPage:
        page = await whole(after, issued_in=issued_in)
        return AwardPage(awards=page.awards, foreign=(stranger,), last_sequence=page.last_sequence)

    floor.venue.awards = with_stranger  # type: ignore[method-assign]
    floor.look(EVENING + MINUTE, EVENING + 2 * MINUTE)

    assert owed(floor) == ledger(floor)
    assert "sequence 9" in (floor.desk.no_new_bids or "")
    assert len(floor.journalled("venue_foreign")) == 1
    assert len(floor.told("venue_latched")) == 1


def test_an_award_that_contradicts_itself_is_on_record_and_hides_no_other(floor: Floor) -> None:
    floor.look(EVENING + MINUTE)
    known = floor.venue.issued[0][1].award
    floor.venue.issue(known.model_copy(update={"cleared": []}))
    answer = asyncio.run(bid(floor.bench, a_request("r-9", 8)))
    floor.venue.issue(an_award(answer, "a-9", 1, Decimal(1)))

    floor.look(EVENING + 2 * MINUTE)

    assert "booked with other numbers" in (floor.desk.no_new_bids or "")
    assert award_entries(floor) == 9
    assert floor.desk.list.cursor == 10


def test_an_award_of_a_product_that_nobody_trades_here_is_on_record(floor: Floor) -> None:
    stray = floor.venue.issued[0][1].award.model_copy(
        update={"award_id": "x", "bid_set_id": "nobodys"}
    )
    floor.venue.issue(stray, "another-product")

    floor.look(EVENING + MINUTE)

    assert "another-product" in (floor.desk.no_new_bids or "")
    assert owed(floor)[1:] == ledger(floor)[1:]


def test_an_entry_that_is_no_award_and_is_on_record_in_other_words_ends_nothing(
    floor: Floor,
) -> None:
    raw = b"{'award': 1}"
    key = f"{floor.desk.name}/{hashlib.sha256(raw).hexdigest()[:32]}"
    asyncio.run(floor.plant.journal.append("venue_foreign", key, b"{}", now=EVENING))

    asyncio.run(
        venuelog.note_foreign_award(
            floor.plant, floor.desk, "page 2", "no JSON", raw, now=EVENING + MINUTE
        )
    )

    assert "page 2" in (floor.desk.no_new_bids or "")


def test_a_list_that_is_none_latches_the_venue_and_is_asked_for_again(floor: Floor) -> None:
    whole = floor.venue.awards

    async def page_for_people(after: int, *, issued_in: Interval | None = None) -> AwardPage:
        raise ForeignError("it is text/html, not JSON", where="venue", fix="Look", raw=b"<p>")

    floor.venue.awards = page_for_people  # type: ignore[method-assign]
    floor.look(EVENING + MINUTE)
    assert "text/html" in floor.told("venue_latched")[0]

    floor.venue.awards = whole  # type: ignore[method-assign]
    floor.look(EVENING + MINUTE + 5 * SECOND)
    assert owed(floor) == ledger(floor)


def test_a_bid_set_without_an_award_is_asked_about_when_its_gate_has_passed(floor: Floor) -> None:
    floor.venue.lost = set(range(1, 9))
    name = floor.venue.issued[0][1].award.bid_set_id

    floor.ticks(EVENING + 100 * MINUTE, MINUTE)

    assert name in floor.venue.asked
    assert f"the market says it cleared {name}" in floor.told("award_missing")[0]
    assert floor.plant.book.status(name) is BidSetStatus.OPEN  # it is owed, nobody knows how much


@pytest.mark.parametrize("seed", range(20))
def test_awards_at_random_leave_the_position_that_the_venue_has(floor: Floor, seed: int) -> None:
    """Dropped, repeated, reordered, paged, revised; with restarts between."""
    dice = Random(seed)
    whole = floor.venue.awards
    answers = [
        msgspec.json.encode(msgspec.json.decode(floor.plant.book.answer(n).response))
        for n in [p.award.bid_set_id for _, p in floor.venue.issued]
    ]

    async def shaken(after: int, *, issued_in: Interval | None = None) -> AwardPage:
        page = await whole(after, issued_in=issued_in)
        shown = [a for a in page.awards if dice.random() < 0.7]
        shown += [a for a in shown if dice.random() < 0.3]
        dice.shuffle(shown)
        return AwardPage(
            awards=tuple(shown), next_after=page.next_after, last_sequence=page.last_sequence
        )

    floor.venue.awards = shaken  # type: ignore[method-assign]
    at = EVENING + MINUTE
    for round_ in range(12):
        floor.venue.page_size = dice.randint(1, 6)
        quarter = dice.randrange(8)
        share = Decimal(dice.randint(0, 10)) / 10
        floor.venue.issue(an_award(answers[quarter], f"a-{quarter}", 2 + round_, share))
        floor.look(at)
        if dice.random() < 0.2:
            floor.restart()
        at += MINUTE
    floor.venue.awards = whole  # type: ignore[method-assign]
    floor.look(at, at + MINUTE)

    assert owed(floor) == ledger(floor)
    assert floor.desk.list.missing == 0
    assert award_entries(floor) == 20
