"""What we have offered and what was taken of it: a pure state machine over bid sets and awards.

    add ──▶ open ──add of a higher revision──▶ superseded
              │ ──withdraw, before the gate──▶ withdrawn
              │ ──award──────────────────────▶ awarded
              │ ──no word in time────────────▶ unanswered: what it offered is free again
    add, in the shadow ──▶ shadow: shown, and given to nobody

That is what the contract calls a *bid set*; where each single bid stands, with every state between being
drafted and being settled, is in `lifecycle.py`.

The journal comes first: the caller writes an event down and then tells the book, so replaying the
journal in its order gives the same book. An award is checked before it is written; whatever it
says, what a venue claims to have cleared counts as owed. An award that does not fit our bids is
*quarantined*: owed, and shouted about until a person has looked.

A venue's awards may come twice, late, and out of order. Each `award_id` counts once, with its
highest revision; what a bid did not get is released.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from vpp.errors import ConflictError
from vpp.model.activation import Activation
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Award, Bid, BidSet, Cleared
from vpp.model.outside import OutsideTrade
from vpp.model.time import Interval, isoformat
from vpp.trade.awards import (
    AlreadyBooked,
    AwardCheck,
    Book,
    Conflict,
    Quarantine,
    QuarantineReason,
    fits,
    overreach,
    read_bid_id,
    tied,
)
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.calls import CallBook
from vpp.trade.lifecycle import IN_MARKET, BidEvent, BidState
from vpp.trade.outside import OutsideBook
from vpp.trade.position import Position, Trade
from vpp.trade.standing import Standing


class BidSetStatus(StrEnum):
    OPEN = "open"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    AWARDED = "awarded"
    UNANSWERED = "unanswered"
    """The venue never had it, or has not said a word of it in time; an award may still come."""
    SHADOW = "shadow"


_GONE = {
    BidState.SHADOW: BidSetStatus.SHADOW,
    BidState.SUPERSEDED: BidSetStatus.SUPERSEDED,
    BidState.WITHDRAWN: BidSetStatus.WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered with; the same request gets the same bytes again."""

    bid_set: BidSet
    response: bytes
    request_digest: str
    shadow: bool = False
    """Made to be looked at: the venue got a refusal instead."""


class BidBook:
    """All bid sets and awards of one service, in memory. `products` are those it trades (None: any)."""

    def __init__(self, products: frozenset[ProductId] | None = None) -> None:
        self._products = products
        self._answers: dict[str, Answer] = {}
        self._set_of_request: dict[str, str] = {}
        self._standing = Standing()
        self._sets: dict[tuple[ProductId, UnitId, Interval], list[str]] = defaultdict(list)
        """By rising revision; only the last one can be open."""
        self._awards: dict[str, dict[int, Award]] = defaultdict(dict)
        self._awards_of_set: dict[str, set[str]] = defaultdict(set)
        self._quarantined: dict[str, Quarantine] = {}
        self._taken_back: set[str] = set()
        """Sets whose product the venue itself took back: nothing of them is owed any more."""
        self._calls = CallBook()
        self._outside = OutsideBook()
        self._position: dict[UnitId | None, Position] = {}

    # ------------------------------------------------------------ bids

    def revision_for(self, product_id: ProductId, unit_id: UnitId, delivery: Interval) -> int:
        """The revision that the next bid set for this delivery gets, from 1 on."""
        known = self._sets.get((product_id, unit_id, delivery))
        return 1 + self._answers[known[-1]].bid_set.revision if known else 1

    def by_request(self, request_id: str, *, request_digest: str | None = None) -> Answer | None:
        """What this request was answered with, None where it is new.

        Raises:
            ConflictError: The id was used for a request with another digest.
        """
        if (name := self._set_of_request.get(request_id)) is None:
            return None
        answer = self._answers[name]
        if request_digest not in (None, answer.request_digest):
            raise ConflictError(
                "the same id came with another request",
                where=f"request {request_id}",
                fix="Use a new request_id for a new request",
            )
        return answer

    def add(
        self, bid_set: BidSet, response: bytes, request_digest: str, *, shadow: bool = False
    ) -> None:
        """Book a bid set that is on disk. Older open ones of the same delivery are superseded.

        The same bid set with the same bytes again changes nothing. One in the shadow takes the place of
        older ones in the shadow alone: what is in the market stays there.

        Raises:
            ConflictError: A known bid set, request, bid or revision with other content.
            TradeRefusal: `gate_closed`: it was issued after its gate.
        """
        answer = Answer(
            bid_set=bid_set, response=response, request_digest=request_digest, shadow=shadow
        )
        if self._answers.get(bid_set.bid_set_id) == answer:
            return
        self._require_new(bid_set)
        if bid_set.issued_at >= bid_set.valid_until:
            raise TradeRefusal(
                f"issued {isoformat(bid_set.issued_at)}, gate {isoformat(bid_set.valid_until)}",
                code=Refusal.GATE_CLOSED,
                where=f"bid set {bid_set.bid_set_id}",
                fix="Bid before the gate closes",
            )
        siblings = self._sets[bid_set.product_id, bid_set.unit_id, bid_set.delivery]
        for name in reversed(siblings):
            stage = self._standing.stage(name)
            if stage is BidState.SHADOW or (stage in IN_MARKET and not shadow):
                self._standing.happen(name, BidEvent.SUPERSEDE)
            if not self._answers[name].shadow:
                break  # it took the place of all before it
        siblings.append(bid_set.bid_set_id)
        self._answers[bid_set.bid_set_id] = answer
        self._set_of_request[bid_set.request_id] = bid_set.bid_set_id
        self._standing.begin(bid_set, shadow=shadow)

    def sent(self, bid_set_id: str) -> None:
        """The answer is given to whoever asked, once more where it was asked for again."""
        self._happen_in_market(bid_set_id, BidEvent.SEND)

    def doubted(self, bid_set_id: str) -> None:
        """Nobody here can say whether the venue has it."""
        self._happen_in_market(bid_set_id, BidEvent.DOUBT)

    def confirmed(self, bid_set_id: str) -> None:
        """The venue says that it has it."""
        self._happen_in_market(bid_set_id, BidEvent.CONFIRM)

    def disowned(self, bid_set_id: str) -> None:
        """After the gate the venue says that it never had it: nothing is owed of it."""
        self._happen_in_market(bid_set_id, BidEvent.DISOWN)

    def lapsed(self, bid_set_id: str) -> None:
        """The venue's time to answer is over: what was offered is free again."""
        self._happen_in_market(bid_set_id, BidEvent.LAPSE)

    def taken_back(self, bid_set_id: str) -> None:
        """Whoever invited a bid set takes that back: nothing of it is owed, awarded or not."""
        self._taken_back.add(bid_set_id)
        self._position.clear()
        if self.status(bid_set_id) is BidSetStatus.OPEN:
            self._standing.happen(bid_set_id, BidEvent.WITHDRAW)

    def _happen_in_market(self, bid_set_id: str, event: BidEvent) -> None:
        """Raises TradeRefusal `unknown_bid_set`; a set with its last word already is left alone."""
        if self.status(bid_set_id) is BidSetStatus.OPEN:
            self._standing.happen(bid_set_id, event)

    def withdraw(self, bid_set_id: str, now: datetime) -> None:
        """Take an open bid set back; a withdrawn one again changes nothing.

        Raises:
            TradeRefusal: `unknown_bid_set`, or `gate_closed` where it is too late.
            ConflictError: It was superseded or awarded.
        """
        if self.may_withdraw(bid_set_id, now):
            self._standing.happen(bid_set_id, BidEvent.WITHDRAW)

    def may_withdraw(self, bid_set_id: str, now: datetime) -> bool:
        """Whether `withdraw` would change something. Raises as it does."""
        status, bid_set = self.status(bid_set_id), self._answers[bid_set_id].bid_set
        if status is BidSetStatus.WITHDRAWN:
            return False
        if status not in (BidSetStatus.OPEN, BidSetStatus.SHADOW):
            raise ConflictError(
                f"it is {status}", where=f"bid set {bid_set_id}", fix="Withdraw the open revision"
            )
        if now >= bid_set.valid_until:
            raise TradeRefusal(
                f"the gate closed at {isoformat(bid_set.valid_until)}",
                code=Refusal.GATE_CLOSED,
                where=f"bid set {bid_set_id}",
                fix="Trade the difference in a later market",
            )
        return True

    def answer(self, bid_set_id: str) -> Answer:
        """The bid set and the bytes it was given out with.

        Raises:
            TradeRefusal: `unknown_bid_set`.
        """
        self.status(bid_set_id)
        return self._answers[bid_set_id]

    def find(self, bid_set_id: str) -> BidSet | None:
        """A bid set by its id; None where we have given out no such one."""
        answer = self._answers.get(bid_set_id)
        return None if answer is None else answer.bid_set

    def status(self, bid_set_id: str) -> BidSetStatus:
        """Where a bid set stands.

        Raises:
            TradeRefusal: `unknown_bid_set`.
        """
        if not self._standing.known(bid_set_id):
            raise TradeRefusal(
                "we have given out no such bid set",
                code=Refusal.UNKNOWN_BID_SET,
                where=f"bid set {bid_set_id}",
                fix="Use the bid_set_id of the answer to a bid request",
            )
        stage = self._standing.stage(bid_set_id)
        if (gone := _GONE.get(stage)) is not None:
            return gone
        if stage in IN_MARKET:
            return BidSetStatus.OPEN
        decided = self._standing.decided(bid_set_id)
        return BidSetStatus.AWARDED if decided else BidSetStatus.UNANSWERED

    def states(self, bid_set_id: str) -> dict[str, int]:
        """How many bids of a set stand where, by the words of `lifecycle.py`.

        Raises:
            TradeRefusal: `unknown_bid_set`.
        """
        return self._standing.counts(self.answer(bid_set_id).bid_set)

    def state(self, bid_id: str, bid_set_id: str) -> BidState:
        """Where one bid of a known set stands."""
        return self._standing.of(bid_set_id, bid_id)

    def products_bid(self) -> frozenset[ProductId]:
        """Every product that a bid set was ever made for."""
        return frozenset(product_id for product_id, _, _ in self._sets)

    def knows(self, bid_set_id: str, product_id: ProductId) -> bool:
        """Whether this bid set was made for this product."""
        answer = self._answers.get(bid_set_id)
        return answer is not None and answer.bid_set.product_id == product_id

    def all_bids(self) -> tuple[Bid, ...]:
        """Every bid ever given out, superseded and withdrawn ones too, oldest set first."""
        return tuple(bid for a in self._answers.values() for bid in a.bid_set.bids)

    def open_sets(self, now: datetime) -> tuple[BidSet, ...]:
        """Bid sets that stand in the market at `now` and can still be changed, oldest first."""
        return tuple(s for s in self.live_sets() if now < s.valid_until)

    def live_sets(self) -> tuple[BidSet, ...]:
        """Bid sets that the market has, or may have, and of which no final word has come; oldest first."""
        return tuple(self._answers[name].bid_set for name in self._standing.in_market())

    def newest_of(
        self, product_id: ProductId, unit_id: UnitId, delivery: Interval
    ) -> BidSet | None:
        """The newest bid set of a delivery that was not withdrawn, in the shadow or not."""
        for name in reversed(self._sets.get((product_id, unit_id, delivery), [])):
            if self._standing.stage(name) is not BidState.WITHDRAWN:
                return self._answers[name].bid_set
        return None

    def newest_sets(self, product_id: ProductId, most: int) -> tuple[BidSet, ...]:
        """The bid sets of a product that were made last, newest first."""
        found = (a.bid_set for a in reversed(self._answers.values()))
        return tuple(islice((s for s in found if s.product_id == product_id), most))

    def trades_of(self, bid_set_id: str) -> tuple[Trade, ...]:
        """What was taken of a bid set, after all awards to it."""
        names = sorted(self._awards_of_set.get(bid_set_id, ()))
        return tuple(
            trade for name in names for trade in self._trades_of(self._standing_award(name))
        )

    def in_doubt(self, now: datetime) -> tuple[BidSet, ...]:
        """Bid sets whose gate has passed and whose award has not come: ask the market."""
        return tuple(s for s in self.live_sets() if s.valid_until <= now)

    # ------------------------------------------------------------ awards

    def check_award(self, award: Award) -> AwardCheck:
        """What `apply` would do with `award`; changes nothing."""
        history = self._awards.get(award.award_id, {})
        if (same := history.get(award.revision)) is not None:
            if replace(same, received_at=award.received_at) == award:
                return AlreadyBooked()
            return Conflict(what=f"revision {award.revision} is booked with other numbers")
        for other in history.values():
            if other.bid_set_id != award.bid_set_id:
                return Conflict(what=f"it was an award to bid set {other.bid_set_id} before")
        newest = max(history, default=None)
        late = newest is not None and newest > award.revision
        if not late and (misfit := self._misfit(award)) is not None:
            return misfit
        return Book(replaces=None if late else newest, late=late)

    def apply(self, award: Award) -> AwardCheck:
        """Book `award`; what it was checked as is returned.

        Raises:
            ConflictError: The award is in conflict with one booked before; nothing was changed.
        """
        check = self.check_award(award)
        match check:
            case AlreadyBooked():
                return check
            case Conflict(what=what):
                raise ConflictError(
                    what, where=f"award {award.award_id}", fix="Send changes as a higher revision"
                )
            case Quarantine():
                self._quarantined[award.award_id] = check
            case Book(late=False):
                self._quarantined.pop(award.award_id, None)
            case Book():
                pass
        first = award.award_id not in self._awards
        self._awards[award.award_id][award.revision] = award
        self._awards_of_set[award.bid_set_id].add(award.award_id)
        self._tell_standing(award.bid_set_id)
        if first:
            trades = tuple(self._trades_of(award))
            self._position = {
                unit_id: position.with_more(t for t in trades if unit_id in (None, t.unit_id))
                for unit_id, position in self._position.items()
            }
        else:
            self._position.clear()
        return check

    def quarantined(self) -> tuple[tuple[Award, Quarantine], ...]:
        """Awards that do not fit our bids, each with the reason, oldest first."""
        return tuple((self._standing_award(name), why) for name, why in self._quarantined.items())

    def is_quarantined(self, award_id: str) -> bool:
        """Whether this award, as it stands, does not fit our bids."""
        return award_id in self._quarantined

    def position(self, unit_id: UnitId | None = None) -> Position:
        """What is owed by one unit (None: by all) after all awards and all that was traded outside.

        A cleared line whose bid we do not know counts if its id reads as ours does, for the product,
        unit and side in it; where nobody here trades that product, for the product of its award. One that
        cannot be read has no side, and stays visible in `quarantined`.
        """
        if unit_id not in self._position:
            awarded = (
                trade
                for award_id in self._awards
                for trade in self._trades_of(self._standing_award(award_id))
                if unit_id in (None, trade.unit_id)
            )
            self._position[unit_id] = Position(
                (*awarded, *self._outside.trades(unit_id)), self._calls.standing(unit_id)
            )
        return self._position[unit_id]

    # ------------------------------------------------------------ traded outside

    @property
    def outside(self) -> OutsideBook:
        """Contracts and trades made outside. To book one is `trade_outside`'s and `follow`'s."""
        return self._outside

    def trade_outside(self, trade: OutsideTrade) -> None:
        """Book a trade that is on disk.

        Raises:
            ConflictError: The revision is known with other content.
        """
        self._outside.add(trade)
        self._position.clear()

    def follow(self, contract_id: str, curve: tuple[OutsideTrade, ...]) -> None:
        """Let a contract be what its series says now."""
        self._outside.follow(contract_id, curve)
        self._position.clear()

    # ------------------------------------------------------------ activations

    @property
    def calls(self) -> CallBook:
        """What was called of us. To book one is `activate`'s."""
        return self._calls

    def activate(self, activation: Activation) -> None:
        """Book an activation that is on disk: it is owed, and bids that were awarded for it are activated.

        Raises:
            ConflictError: The revision is known with other content.
        """
        self._calls.add(activation)
        stands = self._calls.newest(activation.activation_id)
        self._position = {
            unit_id: position.with_call(stands) if unit_id in (None, stands.unit_id) else position
            for unit_id, position in self._position.items()
        }
        if not self._calls.stands(activation) or not activation.quantity_mw:
            return
        first = self._calls.first(activation.activation_id)
        if activation.signal and first is not None and first.revision < activation.revision:
            return  # its bids are activated already
        key = activation.product_id, activation.unit_id
        for name, answer in self._answers.items():
            bid_set = answer.bid_set
            if (bid_set.product_id, bid_set.unit_id) == key:
                for bid in bid_set.bids:
                    if bid.side is activation.side and _touch(bid.interval, activation.interval):
                        self._standing.activated(name, bid.bid_id)

    def delivered(self, end: datetime) -> None:
        """What ends at `end` is metered."""
        self._standing.delivered(end)

    def settled(self, since: datetime, until: datetime) -> None:
        """What ends in (since, until] is settled for good."""
        self._standing.settled(since, until)

    # ------------------------------------------------------------ inside

    def _standing_award(self, award_id: str) -> Award:
        history = self._awards[award_id]
        return history[max(history)]

    def _tell_standing(self, bid_set_id: str) -> None:
        """What all standing awards to a set say together; of a set we do not know, nothing."""
        if (answer := self._answers.get(bid_set_id)) is None:
            return
        taken: dict[str, Decimal] = defaultdict(Decimal)
        rejected: set[str] = set()
        awards = [self._standing_award(name) for name in self._awards_of_set[bid_set_id]]
        for award in awards:
            rejected |= set(award.rejected)
            for line in award.cleared:
                taken[line.bid_id] += line.quantity_mw
        self._standing.awarded(
            answer.bid_set, taken, rejected, final=any(award.final for award in awards)
        )

    def _require_new(self, bid_set: BidSet) -> None:
        key = bid_set.product_id, bid_set.unit_id, bid_set.delivery
        clashes = {
            f"bid set {bid_set.bid_set_id}": bid_set.bid_set_id in self._answers,
            f"request {bid_set.request_id}": bid_set.request_id in self._set_of_request,
            f"revision {bid_set.revision}": bid_set.revision < self.revision_for(*key),
            "one of its bids": len({bid.bid_id for bid in bid_set.bids}) < len(bid_set.bids),
        }
        for what, clash in clashes.items():
            if clash:
                raise ConflictError(
                    f"{what} is in the book already",
                    where=f"bid set {bid_set.bid_set_id}",
                    fix="Give every bid set new ids and the next revision",
                )

    def _misfit(self, award: Award) -> Quarantine | None:
        """The first thing about `award` that does not fit our bids."""
        answer = self._answers.get(award.bid_set_id)
        if answer is None:
            return Quarantine(reason=QuarantineReason.UNKNOWN_BID_SET, what=award.bid_set_id)
        if award.product_id != answer.bid_set.product_id:
            return Quarantine(reason=QuarantineReason.WRONG_PRODUCT, what=award.product_id)
        if (status := self.status(award.bid_set_id)) in _GONE.values():
            return Quarantine(reason=QuarantineReason.NOT_OPEN, what=f"the bid set is {status}")
        known = {bid.bid_id: bid for bid in answer.bid_set.bids}
        if stray := {*award.rejected, *(c.bid_id for c in award.cleared)} - known.keys():
            return Quarantine(reason=QuarantineReason.UNKNOWN_BID, what=", ".join(sorted(stray)))
        if both := {c.bid_id for c in award.cleared} & set(award.rejected):
            return Quarantine(
                reason=QuarantineReason.CLEARED_AND_REJECTED, what=", ".join(sorted(both))
            )
        for line in award.cleared:
            if not fits(known[line.bid_id], line.interval):
                return Quarantine(reason=QuarantineReason.WRONG_INTERVAL, what=line.bid_id)
        taken = self._cleared_with(award)
        for bid_id in dict.fromkeys(line.bid_id for line in award.cleared):
            if (reason := overreach(known[bid_id], taken[bid_id])) is not None:
                return Quarantine(reason=reason, what=bid_id)
        if (block := tied(answer.bid_set.bids, taken)) is not None:
            return Quarantine(reason=QuarantineReason.TIED_BLOCK, what=block)
        return None

    def _cleared_with(self, award: Award) -> dict[str, list[Cleared]]:
        """All that would be cleared of each bid of the set if `award` were booked."""
        taken: dict[str, list[Cleared]] = defaultdict(list)
        others = self._awards_of_set[award.bid_set_id] - {award.award_id}
        for part in (award, *(self._standing_award(name) for name in sorted(others))):
            for line in part.cleared:
                taken[line.bid_id].append(line)
        return taken

    def _trades_of(self, award: Award) -> Iterator[Trade]:
        if award.bid_set_id in self._taken_back:
            return
        answer = self._answers.get(award.bid_set_id)
        ours = {bid.bid_id: bid.side for bid in answer.bid_set.bids} if answer else {}
        for line in award.cleared:
            if answer is not None and line.bid_id in ours:
                read = answer.bid_set.product_id, answer.bid_set.unit_id, ours[line.bid_id]
            elif (parsed := read_bid_id(line.bid_id)) is not None:
                known = self._products is None or parsed[0] in self._products
                read = parsed if known else (award.product_id, *parsed[1:])
            else:
                continue
            product_id, unit_id, side = read
            yield Trade(
                award_id=award.award_id,
                bid_id=line.bid_id,
                product_id=product_id,
                unit_id=unit_id,
                interval=line.interval,
                side=side,
                quantity_mw=line.quantity_mw,
                price_per_mwh=line.price_per_mwh,
                quarantined=award.award_id in self._quarantined,
            )


def _touch(one: Interval, other: Interval) -> bool:
    return one.start < other.end and other.start < one.end
