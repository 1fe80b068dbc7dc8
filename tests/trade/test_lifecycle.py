"""No sequence of events leaves the table, and 1 000 random venues agree with the position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import ConflictError
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Award, Bid, BidSet, Cleared, Side
from vpp.model.offer import CurveStep, StepCurveOffer
from vpp.model.time import QUARTER, Interval
from vpp.trade.book import BidBook, BidSetStatus
from vpp.trade.calendar import TradeRefusal
from vpp.trade.lifecycle import AWARDED, TRANSITIONS, BidEvent, BidState, after, may

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
DELIVERY = Interval(NOON, NOON + 4 * QUARTER)
QUARTERS = tuple(DELIVERY.split(QUARTER))
GATE = NOON - QUARTER
BEFORE = GATE - timedelta(hours=1)


def a_set(revision: int = 1) -> BidSet:
    """In each quarter: sell up to 4 MW at any price, buy up to 4 MW at any price."""
    return BidSet(
        bid_set_id=f"set-{revision}",
        request_id=f"r{revision}",
        product_id=ProductId("da"),
        unit_id=UnitId("unit"),
        delivery=DELIVERY,
        revision=revision,
        issued_at=BEFORE,
        valid_until=GATE,
        plan_id="plan-1",
        strategy_version="s1",
        pack_digest="d",
        bids=tuple(
            Bid(
                bid_id=f"da/unit/{quarter.start:%Y%m%dT%H%MZ}/{side}/{revision}",
                interval=quarter,
                side=side,
                offer=StepCurveOffer(
                    steps=(
                        CurveStep(quantity_mw=Decimal(4), price_per_mwh=Decimal(side.sign * -4000)),
                    )
                ),
            )
            for quarter in QUARTERS
            for side in Side
        ),
    )


def an_award(
    cleared: list[tuple[Bid, str]],
    *,
    award_id: str = "a1",
    revision: int = 1,
    final: bool = True,
    bid_set_id: str = "set-1",
    rejected: tuple[str, ...] = (),
) -> Award:
    return Award(
        award_id=award_id,
        revision=revision,
        final=final,
        product_id=ProductId("da"),
        bid_set_id=bid_set_id,
        cleared=tuple(
            Cleared(
                bid_id=bid.bid_id,
                interval=bid.interval,
                quantity_mw=Decimal(mw),
                price_per_mwh=Decimal(40),
            )
            for bid, mw in cleared
        ),
        rejected=rejected,
        received_at=GATE,
    )


def a_book(*sets: BidSet, shadow: bool = False) -> BidBook:
    book = BidBook()
    for one in sets or (a_set(),):
        book.add(one, b"{}", one.request_id, shadow=shadow)
    return book


# ---------------------------------------------------------------- the table


@given(st.lists(st.sampled_from(BidEvent), max_size=30))
def test_no_sequence_of_events_leaves_the_table(events: list[BidEvent]) -> None:
    state = BidState.DRAFTED
    for event in events:
        if may(state, event):
            state = after(state, event, where="bid")
            assert state is not BidState.DRAFTED
        else:
            with pytest.raises(ConflictError, match="cannot"):
                after(state, event, where="bid")
            assert (state, event) not in TRANSITIONS


def test_every_state_is_reached_and_every_state_that_was_given_out_can_still_be_awarded() -> None:
    reached = {BidState.DRAFTED} | set(TRANSITIONS.values())
    assert reached == set(BidState)
    for state in reached - {BidState.DRAFTED}:
        assert after(state, BidEvent.CLEAR_PART, where="bid") is BidState.AWARDED_IN_PART


def test_a_draft_cannot_be_sent_and_what_is_awarded_cannot_be_withdrawn() -> None:
    assert not may(BidState.DRAFTED, BidEvent.SEND)
    assert not may(BidState.SHADOW, BidEvent.SEND)
    for state in AWARDED:
        assert not may(state, BidEvent.WITHDRAW)
        assert not may(state, BidEvent.LAPSE)


# ---------------------------------------------------------------- the book


def test_a_bid_goes_from_the_journal_to_its_settlement() -> None:
    book, bids = a_book(), a_set().bids

    def states() -> list[str]:
        return [book.state(bid.bid_id, "set-1").value for bid in bids[:3]]

    seen = [states()[0]]
    book.sent("set-1")
    seen.append(states()[0])
    book.doubted("set-1")
    seen.append(states()[0])
    book.confirmed("set-1")
    seen.append(states()[0])
    assert seen == ["journalled", "sent", "unknown", "acknowledged"]

    book.apply(an_award([(bids[0], "4"), (bids[1], "1.5")]))
    assert states() == ["awarded_whole", "awarded_in_part", "rejected"]
    assert book.status("set-1") is BidSetStatus.AWARDED
    assert book.states("set-1") == {"awarded_whole": 1, "awarded_in_part": 1, "rejected": 6}

    book.delivered(QUARTERS[0].end)
    assert states() == ["delivered", "delivered", "rejected"]
    book.settled(NOON, QUARTERS[0].end)
    assert states() == ["settled", "settled", "rejected"]


def test_a_correction_after_the_settlement_makes_a_bid_awarded_again() -> None:
    book, bids = a_book(), a_set().bids
    book.apply(an_award([(bids[0], "4")]))
    book.settled(NOON, DELIVERY.end)
    book.apply(an_award([(bids[0], "1")], revision=2))
    assert book.state(bids[0].bid_id, "set-1") is BidState.AWARDED_IN_PART
    book.apply(an_award([], revision=3, rejected=(bids[0].bid_id,)))
    assert book.state(bids[0].bid_id, "set-1") is BidState.REJECTED


def test_a_bid_that_an_award_names_as_rejected_is_rejected_before_the_final_word() -> None:
    book, bids = a_book(), a_set().bids
    book.apply(an_award([], final=False, rejected=(bids[3].bid_id,)))
    assert book.state(bids[3].bid_id, "set-1") is BidState.REJECTED
    assert book.state(bids[4].bid_id, "set-1") is BidState.JOURNALLED
    assert book.status("set-1") is BidSetStatus.OPEN
    book.apply(an_award([], final=False, revision=2))
    assert book.state(bids[3].bid_id, "set-1") is BidState.ACKNOWLEDGED


def test_a_set_without_an_answer_is_given_up_and_a_late_award_still_counts() -> None:
    book, bids = a_book(), a_set().bids
    book.lapsed("set-1")
    assert book.status("set-1") is BidSetStatus.UNANSWERED
    assert book.in_doubt(NOON) == ()

    book.apply(an_award([(bids[1], "2")]))
    assert book.quarantined() == ()
    assert book.status("set-1") is BidSetStatus.AWARDED
    assert book.position().sold_mw(ProductId("da"), QUARTERS[0]) == Decimal(2) * bids[1].side.sign
    book.lapsed("set-1")  # its word has come: nothing to give up
    assert book.status("set-1") is BidSetStatus.AWARDED


def test_a_set_in_the_shadow_leaves_the_market_alone_and_a_live_one_takes_its_place() -> None:
    book = a_book()
    book.add(a_set(2), b"{}", "r2", shadow=True)
    assert book.status("set-1") is BidSetStatus.OPEN
    assert book.status("set-2") is BidSetStatus.SHADOW
    book.add(a_set(3), b"{}", "r3")
    assert [book.status(f"set-{n}").value for n in (1, 2, 3)] == [
        "superseded",
        "superseded",
        "open",
    ]
    assert [one.bid_set_id for one in book.open_sets(BEFORE)] == ["set-3"]


def test_an_award_to_a_set_in_the_shadow_is_owed_and_quarantined() -> None:
    book = a_book(shadow=True)
    book.sent("set-1")  # nobody got it
    assert book.status("set-1") is BidSetStatus.SHADOW
    book.apply(an_award([(a_set().bids[1], "1")]))
    ((_, why),) = book.quarantined()
    assert why.reason == "not_open"
    assert book.position().sold_mw(ProductId("da"), QUARTERS[0]) != 0


# ---------------------------------------------------------------- sequences


Op = Callable[[BidBook], None]


def an_op(random: Random, serial: int) -> tuple[str, Op]:
    """Something that may happen to the books of three revisions, sensible or not."""
    number = random.randint(1, 3)
    name = f"set-{number}"
    bids = random.sample(a_set(number).bids, k=random.randint(0, 4))
    kind = random.choice(
        ["add", "shadow", "withdraw", "sent", "doubted", "confirmed", "disowned", "lapsed"]
        + ["award"] * 6
        + ["delivered", "settled"]
    )
    award = an_award(
        [(bid, str(random.choice(["0.5", "1", "4", "9"]))) for bid in bids],
        award_id=f"a{random.randint(1, 3)}",
        revision=serial if random.random() < 0.7 else random.randint(1, 5),
        final=random.random() < 0.5,
        bid_set_id=random.choice([name, name, "set-9"]),
        rejected=tuple(b.bid_id for b in random.sample(a_set(number).bids, k=random.randint(0, 2))),
    )
    ops: dict[str, Op] = {
        "add": lambda book: book.add(a_set(number), b"{}", f"r{number}"),
        "shadow": lambda book: book.add(a_set(number), b"{}", f"r{number}", shadow=True),
        "withdraw": lambda book: book.withdraw(name, BEFORE + serial * timedelta(minutes=5)),
        "award": lambda book: _apply(book, award),
        "delivered": lambda book: book.delivered(random_end),
        "settled": lambda book: book.settled(NOON, random_end),
    }
    random_end = random.choice(QUARTERS).end
    if kind in ops:
        return kind, ops[kind]
    return kind, lambda book: getattr(book, kind)(name)


def _apply(book: BidBook, award: Award) -> None:
    book.apply(award)


def image(book: BidBook) -> object:
    """All that a book says."""
    known = [name for name in ("set-1", "set-2", "set-3") if is_known(book, name)]
    return (
        [(name, book.status(name), book.states(name)) for name in known],
        [(a.award_id, a.revision, why) for a, why in book.quarantined()],
        list(book.position().committed_kw(Horizon.over(DELIVERY, QUARTER))),
        [one.bid_set_id for one in book.in_doubt(NOON)],
    )


def is_known(book: BidBook, name: str) -> bool:
    try:
        book.status(name)
    except TradeRefusal:
        return False
    return True


def test_no_sequence_breaks_the_book_and_the_record_of_what_it_took_rebuilds_it() -> None:
    taken_in_all = refused_in_all = 0
    for seed in range(120):
        random, book = Random(seed), BidBook()
        taken: list[Op] = []
        for serial in range(1, 25):
            _, op = an_op(random, serial)
            before = image(book)
            try:
                op(book)
            except (ConflictError, TradeRefusal):
                refused_in_all += 1
                assert image(book) == before, f"seed {seed}: a refusal changed something"
            else:
                taken.append(op)
            live = [
                name
                for name in ("set-1", "set-2", "set-3")
                if is_known(book, name) and book.status(name) is BidSetStatus.OPEN
            ]
            assert len(live) <= 1, f"seed {seed}: two live sets of one delivery"
        again = BidBook()
        for op in taken:
            op(again)
        assert image(again) == image(book), f"seed {seed}"
        taken_in_all += len(taken)
    assert min(taken_in_all, refused_in_all) > 500


# ---------------------------------------------------------------- the venue's ledger


class SlowVenue:
    """A venue's own books: a list of everything it ever said, summed from the start each time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.said: list[tuple[str, int, dict[str, tuple[int, Decimal]]]] = []
        """Award id, revision, and by bid id (quarter, signed MW)."""

    def say(self, bids: tuple[Bid, ...], part: str) -> Award:
        """A new revision of one part of the auction's result."""
        revision = 1 + max((r for name, r, _ in self.said if name == part), default=0)
        mine = [bid for i, bid in enumerate(bids) if i % 2 == int(part[-1]) % 2]
        lines = [
            (bid, str(self._random.randint(1, 40) / Decimal(10)))
            for bid in mine
            if self._random.random() < 0.6
        ]
        sizes = {
            bid.bid_id: (
                QUARTERS.index(bid.interval),
                Decimal(mw) if "/sell/" in bid.bid_id else -Decimal(mw),
            )
            for bid, mw in lines
        }
        self.said.append((part, revision, sizes))
        return an_award(lines, award_id=part, revision=revision, final=self._random.random() < 0.5)

    def owed_mw(self) -> list[Decimal]:
        """By quarter: the newest revision of each part counts, and nothing else."""
        owed = [Decimal(0)] * 4
        for part in {name for name, _, _ in self.said}:
            newest = max((r, sizes) for name, r, sizes in self.said if name == part)[1]
            for quarter, mw in newest.values():
                owed[quarter] += mw
        return owed


@pytest.fixture(scope="module")
def bids() -> tuple[Bid, ...]:
    return a_set().bids


def test_1000_sequences_of_partial_corrected_and_late_awards_leave_the_venues_ledger(
    bids: tuple[Bid, ...],
) -> None:
    the_set = a_set()
    late = 0
    for seed in range(1000):
        random = Random(seed)
        venue, book, in_order = SlowVenue(random), a_book(the_set), a_book(the_set)
        post = [venue.say(bids, random.choice(["p0", "p1"])) for _ in range(random.randint(1, 6))]
        for award in post:
            in_order.apply(award)
        post += random.sample(post, k=random.randint(0, len(post)))  # some come twice
        random.shuffle(post)  # and none in order
        if random.random() < 0.3:
            book.lapsed("set-1")  # we had given up waiting
            late += 1
        for number, award in enumerate(post):
            book.apply(replace(award, received_at=GATE + number * timedelta(minutes=1)))
        owed = [book.position().sold_mw(ProductId("da"), quarter) for quarter in QUARTERS]
        assert owed == venue.owed_mw(), f"seed {seed}"
        for bid in bids:
            awarded = book.state(bid.bid_id, "set-1") in AWARDED
            taken = sum(t.quantity_mw for t in book.trades_of("set-1") if t.bid_id == bid.bid_id)
            assert awarded == (taken > 0), f"seed {seed}: {bid.bid_id}"
            assert said(book, bid) == said(in_order, bid), f"seed {seed}: {bid.bid_id}"
        assert book.status("set-1") == in_order.status("set-1"), f"seed {seed}"
    assert late > 200


def said(book: BidBook, bid: Bid) -> str:
    """What the awards say of a bid."""
    state = book.state(bid.bid_id, "set-1")
    return "awarded" if state in AWARDED else "rejected" if state is BidState.REJECTED else "open"
