from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import ConflictError
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Award, Bid, BidSet, Cleared, Side
from vpp.model.offer import CurveStep, StepCurveOffer
from vpp.model.time import QUARTER, Interval
from vpp.trade.awards import AlreadyBooked, Book, Conflict, Quarantine, QuarantineReason
from vpp.trade.book import BidBook, BidSetStatus
from vpp.trade.calendar import TradeRefusal
from vpp.trade.records import award_from_record, award_to_record

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
DELIVERY = Interval(NOON, NOON + 4 * QUARTER)
GATE = NOON - QUARTER
QUARTERS = tuple(DELIVERY.split(QUARTER))


def a_bid(interval: Interval, side: Side, revision: int, steps: Sequence[tuple[str, str]]) -> Bid:
    return Bid(
        bid_id=f"da/unit/{interval.start:%Y%m%dT%H%MZ}/{side}/{revision}",
        interval=interval,
        side=side,
        offer=StepCurveOffer(
            steps=tuple(
                CurveStep(quantity_mw=Decimal(mw), price_per_mwh=Decimal(price))
                for mw, price in steps
            )
        ),
    )


def a_set(revision: int = 1, *, issued_at: datetime = GATE - timedelta(hours=1)) -> BidSet:
    """In each quarter: sell 1 MW from 30 and 2 more from 50, buy 1 MW up to 20."""
    bids = []
    for quarter in QUARTERS:
        bids.append(a_bid(quarter, Side.BUY, revision, [("1", "20")]))
        bids.append(a_bid(quarter, Side.SELL, revision, [("1", "30"), ("2", "50")]))
    return BidSet(
        bid_set_id=f"set-{revision}",
        request_id=f"r{revision}",
        product_id=ProductId("da"),
        unit_id=UnitId("unit"),
        delivery=DELIVERY,
        revision=revision,
        issued_at=issued_at,
        valid_until=GATE,
        plan_id="plan-1",
        strategy_version="s1",
        pack_digest="d",
        bids=tuple(bids),
    )


def an_award(
    lines: Sequence[tuple[str, str]],
    *,
    award_id: str = "a1",
    revision: int = 1,
    bid_set_id: str = "set-1",
    side: Side = Side.SELL,
    rejected: tuple[str, ...] = (),
    final: bool = True,
    bid_revision: int = 1,
) -> Award:
    """Cleared (MW, price) of the bids of the first quarters, one after another."""
    return Award(
        award_id=award_id,
        revision=revision,
        final=final,
        product_id=ProductId("da"),
        bid_set_id=bid_set_id,
        cleared=tuple(
            Cleared(
                bid_id=f"da/unit/{quarter.start:%Y%m%dT%H%MZ}/{side}/{bid_revision}",
                interval=quarter,
                quantity_mw=Decimal(mw),
                price_per_mwh=Decimal(price),
            )
            for quarter, (mw, price) in zip(QUARTERS, lines, strict=False)
        ),
        rejected=rejected,
        received_at=GATE + timedelta(minutes=1),
    )


def a_book(*sets: BidSet) -> BidBook:
    book = BidBook()
    for bid_set in sets or (a_set(),):
        book.add(
            bid_set, b"bytes of " + bid_set.bid_set_id.encode(), f"digest {bid_set.request_id}"
        )
    return book


def sold(book: BidBook) -> list[float]:
    return list(book.position().committed_kw(Horizon.over(DELIVERY, QUARTER)))


# ---------------------------------------------------------------- bids


def test_a_newer_revision_takes_the_place_of_the_open_one() -> None:
    book = a_book()
    assert book.revision_for(ProductId("da"), UnitId("unit"), DELIVERY) == 2
    assert book.revision_for(ProductId("da"), UnitId("other"), DELIVERY) == 1

    book.add(a_set(2), b"two", "digest r2")

    assert book.status("set-1") is BidSetStatus.SUPERSEDED
    assert book.status("set-2") is BidSetStatus.OPEN
    (standing,) = book.open_sets(GATE - QUARTER)
    assert {bid.bid_id[-1] for bid in standing.bids} == {"2"}
    assert len({(b.interval, b.side) for b in standing.bids}) == 8


def test_the_same_request_gets_the_same_bytes() -> None:
    book = a_book()
    answer = book.by_request("r1", request_digest="digest r1")
    assert answer is not None
    assert answer.response == b"bytes of set-1"
    assert book.by_request("r9") is None
    with pytest.raises(ConflictError):
        book.by_request("r1", request_digest="another")


def test_adding_twice_is_adding_once() -> None:
    book = a_book()
    book.add(a_set(), b"bytes of set-1", "digest r1")
    assert book.status("set-1") is BidSetStatus.OPEN


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_set(), id="same set, other bytes"),
        pytest.param(replace(a_set(2), request_id="r1"), id="a request answered twice"),
        pytest.param(replace(a_set(1), bid_set_id="x", request_id="rx"), id="an old revision"),
        pytest.param(replace(a_set(2), bids=a_set(2).bids * 2), id="the same bid twice"),
    ],
)
def test_what_contradicts_the_book_is_refused(other: BidSet) -> None:
    book = a_book()
    with pytest.raises(ConflictError):
        book.add(other, b"else", "else")
    assert book.status("set-1") is BidSetStatus.OPEN


def test_nothing_is_booked_or_withdrawn_after_the_gate() -> None:
    with pytest.raises(TradeRefusal) as refused:
        a_book(a_set(issued_at=GATE))
    assert refused.value.code == "gate_closed"

    book = a_book()
    with pytest.raises(TradeRefusal) as refused:
        book.withdraw("set-1", GATE)
    assert refused.value.code == "gate_closed"
    book.withdraw("set-1", GATE - timedelta(seconds=1))
    book.withdraw("set-1", GATE)  # again: nothing to do
    assert book.status("set-1") is BidSetStatus.WITHDRAWN
    assert book.open_sets(GATE - QUARTER) == ()
    with pytest.raises(TradeRefusal, match="no such bid set"):
        book.withdraw("set-9", NOON)


def test_a_superseded_set_cannot_be_withdrawn() -> None:
    with pytest.raises(ConflictError, match="superseded"):
        a_book(a_set(1), a_set(2)).withdraw("set-1", GATE - QUARTER)


def test_bids_whose_award_has_not_come_are_in_doubt() -> None:
    book = a_book(a_set(1), a_set(2))
    assert book.in_doubt(GATE - timedelta(seconds=1)) == ()
    assert [s.bid_set_id for s in book.in_doubt(GATE)] == ["set-2"]
    assert book.open_sets(GATE) == ()

    book.apply(an_award([], bid_set_id="set-2"))

    assert book.in_doubt(GATE) == ()
    assert book.status("set-2") is BidSetStatus.AWARDED


# ---------------------------------------------------------------- awards


def test_what_is_cleared_is_owed_and_the_rest_is_released() -> None:
    book = a_book()
    rejected = a_set().bids[0].bid_id
    award = an_award([("1", "30"), ("3", "50")], rejected=(rejected,))

    assert book.apply(award) == Book(replaces=None, late=False)

    assert sold(book) == [1000, 3000, 0, 0]
    assert book.open_sets(GATE - QUARTER) == ()


def test_a_partial_award_leaves_the_set_open() -> None:
    book = a_book()
    book.apply(an_award([("1", "30")], final=False))
    assert book.status("set-1") is BidSetStatus.OPEN
    book.apply(an_award([("1", "30"), ("1", "30")], revision=2))
    assert book.status("set-1") is BidSetStatus.AWARDED
    assert sold(book) == [1000, 1000, 0, 0]


def test_a_repeated_award_counts_once_and_a_correction_replaces() -> None:
    book = a_book()
    book.apply(an_award([("3", "50")]))
    again = replace(an_award([("3", "50")]), received_at=NOON)
    assert book.apply(again) == AlreadyBooked()
    assert book.apply(an_award([("2", "50")], revision=3)) == Book(replaces=1, late=False)
    assert book.apply(an_award([("1", "50")], revision=2)) == Book(replaces=None, late=True)
    assert sold(book) == [2000, 0, 0, 0]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(an_award([("2", "50")]), id="other numbers"),
        pytest.param(an_award([("3", "50")], bid_set_id="set-2", revision=2), id="other bid set"),
    ],
)
def test_the_same_award_with_other_content_is_a_conflict(other: Award) -> None:
    book = a_book(a_set(1), a_set(2))
    book.apply(an_award([("3", "50")]))
    assert isinstance(book.check_award(other), Conflict)
    with pytest.raises(ConflictError):
        book.apply(other)
    assert sold(book) == [3000, 0, 0, 0]


@pytest.mark.parametrize(
    ("award", "reason", "owed_kw"),
    [
        pytest.param(an_award([("1", "30")], bid_set_id="set-9"), "unknown_bid_set", 1000, id="E8"),
        pytest.param(an_award([("1", "30")], bid_revision=7), "unknown_bid", 1000, id="bid"),
        pytest.param(an_award([], rejected=("x",)), "unknown_bid", 0, id="rejects another's bid"),
        pytest.param(an_award([("3.1", "99")]), "above_bid", 3100, id="more than was offered"),
        pytest.param(an_award([("1.1", "49")]), "price_worse_than_limit", 1100, id="too cheap"),
        pytest.param(
            an_award([("1", "20.01")], side=Side.BUY),
            "price_worse_than_limit",
            -1000,
            id="too dear",
        ),
        pytest.param(
            an_award([("1", "30")], rejected=(a_set().bids[1].bid_id,)),
            "cleared_and_rejected",
            1000,
            id="both",
        ),
        pytest.param(
            replace(an_award([("1", "30")]), product_id=ProductId("qh")),
            "wrong_product",
            1000,
            id="product",
        ),
    ],
)
def test_an_award_that_does_not_fit_is_owed_and_quarantined(
    award: Award, reason: str, owed_kw: float
) -> None:
    book = a_book()
    check = book.apply(award)
    assert isinstance(check, Quarantine)
    assert check.reason == reason
    assert sold(book)[0] == owed_kw
    assert [(a.award_id, why.reason) for a, why in book.quarantined()] == [("a1", reason)]


def test_an_award_in_the_wrong_interval_is_owed_where_it_says() -> None:
    book = a_book()
    (line,) = an_award([("1", "30")]).cleared
    award = replace(an_award([]), cleared=(replace(line, interval=QUARTERS[2]),))
    check = book.apply(award)
    assert isinstance(check, Quarantine)
    assert check.reason is QuarantineReason.WRONG_INTERVAL
    assert sold(book) == [0, 0, 1000, 0]


def test_an_award_to_a_replaced_bid_is_quarantined() -> None:
    book = a_book(a_set(1), a_set(2))
    check = book.apply(an_award([("1", "30")]))
    assert isinstance(check, Quarantine)
    assert check.reason is QuarantineReason.NOT_OPEN


def test_a_correction_ends_the_quarantine() -> None:
    book = a_book()
    book.apply(an_award([("9", "99")]))
    book.apply(an_award([("3", "99")], revision=2))
    assert book.quarantined() == ()
    assert sold(book) == [3000, 0, 0, 0]


def test_two_awards_to_one_bid_set_may_not_exceed_the_bid_together() -> None:
    book = a_book()
    book.apply(an_award([("2", "50")], final=False))
    assert isinstance(book.apply(an_award([("1", "50")], award_id="a2", final=False)), Book)
    assert isinstance(book.apply(an_award([("0.1", "50")], award_id="a3")), Quarantine)
    assert sold(book) == [3100, 0, 0, 0]


def test_two_parts_at_one_price_may_not_exceed_what_is_offered_there() -> None:
    book = a_book()
    book.apply(an_award([("1", "40")], final=False))
    check = book.check_award(an_award([("1", "40")], award_id="a2"))
    assert isinstance(check, Quarantine)
    assert check.reason is QuarantineReason.PRICE_WORSE_THAN_LIMIT


AWARDS = st.builds(
    lambda number, revision, set_number, lines, side: an_award(
        [(str(mw), str(price)) for mw, price in lines],
        award_id=f"a{number}",
        revision=revision,
        bid_set_id=f"set-{set_number}",
        bid_revision=set_number,
        side=side,
    ),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([10, 30, 50])), max_size=4),
    st.sampled_from(Side),
)


def naive_ledger(accepted: Sequence[Award]) -> list[float]:
    """Sum the highest revision of each award, line by line, knowing nothing of the book."""
    totals = [0.0] * 4
    for award_id in {award.award_id for award in accepted}:
        last = max((a for a in accepted if a.award_id == award_id), key=lambda a: a.revision)
        for line in last.cleared:
            sign = 1 if "/sell/" in line.bid_id else -1
            totals[QUARTERS.index(line.interval)] += sign * float(line.quantity_mw) * 1000
    return totals


@given(st.lists(AWARDS, max_size=12))
def test_however_awards_come_the_position_is_the_ledger_and_replay_rebuilds_it(
    awards: list[Award],
) -> None:
    book = a_book(a_set(1), a_set(2))
    written: list[bytes] = []
    seen: dict[tuple[str, int], Award] = {}
    for award in [*awards, *awards[::2]]:
        known = seen.get((award.award_id, award.revision))
        check = book.check_award(award)
        if known is not None:
            assert isinstance(check, AlreadyBooked if known == award else Conflict)
        if isinstance(check, Conflict | AlreadyBooked):
            continue
        seen[award.award_id, award.revision] = award
        written.append(award_to_record(award))
        book.apply(award)

    replayed = a_book(a_set(1), a_set(2))
    for body in written:
        replayed.apply(award_from_record(body))

    assert sold(book) == naive_ledger(list(seen.values()))
    assert sold(replayed) == sold(book)
    assert replayed.quarantined() == book.quarantined()
    assert replayed.in_doubt(NOON) == book.in_doubt(NOON)


@given(st.lists(AWARDS, max_size=8, unique_by=lambda a: (a.award_id, a.revision)), st.data())
def test_the_order_of_awards_does_not_move_the_position(
    awards: list[Award], data: st.DataObject
) -> None:
    # One award belongs to one bid set; otherwise the first to come decides which are conflicts.
    same_set = [replace(a, bid_set_id=f"set-{a.award_id[-1]}") for a in awards]
    shuffled = data.draw(st.permutations(same_set))
    first, second = a_book(), a_book()
    for award in same_set:
        first.apply(award)
    for award in shuffled:
        second.apply(award)
    assert sold(first) == sold(second)
