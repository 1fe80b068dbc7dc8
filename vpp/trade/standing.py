"""Where each bid stands, by the table of `lifecycle.py`: the book tells what happened, this keeps the states.

The bids of a set go together until an award speaks of one of them; from then on that one has a state of
its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from vpp.model.market import Bid, BidSet
from vpp.model.offer import BlockOffer, most_mw
from vpp.trade.lifecycle import AWARDED, IN_MARKET, BidEvent, BidState, after, may

NOTHING = Decimal(0)


class Standing:
    """The state of every bid of a book."""

    def __init__(self) -> None:
        self._stage: dict[str, BidState] = {}
        """Of a set: what holds for those of its bids that have no state of their own."""
        self._own: dict[str, BidState] = {}
        self._taken_mw: dict[str, Decimal] = {}
        self._awarded_to_end: defaultdict[datetime, dict[str, str]] = defaultdict(dict)
        """Awarded bids by the end of their interval, each with its set."""
        self._decided: set[str] = set()
        """Sets whose final award has come."""

    def begin(self, bid_set: BidSet, *, shadow: bool) -> None:
        """A set that is on disk now; in the shadow it goes no farther."""
        name = bid_set.bid_set_id
        self._stage[name] = after(BidState.DRAFTED, BidEvent.RECORD, where=name)
        if shadow:
            self.happen(name, BidEvent.HOLD_BACK)

    def stage(self, bid_set_id: str) -> BidState:
        """Of a set that is known."""
        return self._stage[bid_set_id]

    def known(self, bid_set_id: str) -> bool:
        return bid_set_id in self._stage

    def decided(self, bid_set_id: str) -> bool:
        """Whether a final award to the set has come."""
        return bid_set_id in self._decided

    def in_market(self) -> tuple[str, ...]:
        """Sets of which no final word has come, oldest first."""
        return tuple(name for name, stage in self._stage.items() if stage in IN_MARKET)

    def of(self, bid_set_id: str, bid_id: str) -> BidState:
        """Where one bid stands."""
        return self._own.get(bid_id, self._stage[bid_set_id])

    def counts(self, bid_set: BidSet) -> dict[str, int]:
        """How many bids of a set stand where."""
        states = Counter(self.of(bid_set.bid_set_id, bid.bid_id).value for bid in bid_set.bids)
        return dict(sorted(states.items()))

    def happen(self, bid_set_id: str, event: BidEvent) -> None:
        """Something happens to a whole set.

        Raises:
            ConflictError: The table does not hold it; nothing was changed.
        """
        self._stage[bid_set_id] = after(
            self._stage[bid_set_id], event, where=f"bid set {bid_set_id}"
        )

    def awarded(
        self,
        bid_set: BidSet,
        taken_mw: Mapping[str, Decimal],
        rejected: Collection[str],
        *,
        final: bool,
    ) -> None:
        """Take over what all awards to a set say together.

        Args:
            bid_set: The set.
            taken_mw: What is cleared of each of its bids; those left out got nothing.
            rejected: Bids that an award rejects by name.
            final: Whether one of them is the last word: then the others are rejected too.
        """
        name = bid_set.bid_set_id
        if final:
            self._decided.add(name)
        else:  # also where a correction takes the last word back
            self._decided.discard(name)
        for bid in bid_set.bids:
            taken = taken_mw.get(bid.bid_id, NOTHING)
            self._tell(bid_set, bid, taken, rejected=final or bid.bid_id in rejected)
        stage = self._stage[name]
        spoken_of = stage in AWARDED or stage is BidState.REJECTED
        if spoken_of and not final:
            self.happen(name, BidEvent.REOPEN)
        elif final and (stage in IN_MARKET or spoken_of):
            sizes = [taken_mw.get(bid.bid_id, NOTHING) for bid in bid_set.bids]
            whole = all(mw >= _whole_mw(bid) for mw, bid in zip(sizes, bid_set.bids, strict=True))
            event = BidEvent.CLEAR_WHOLE if whole else BidEvent.CLEAR_PART
            self.happen(name, event if any(sizes) else BidEvent.REJECT)

    def activated(self, bid_set_id: str, bid_id: str) -> None:
        """A venue calls for what it was awarded; a bid without an award is left alone."""
        self._one(bid_set_id, bid_id, BidEvent.ACTIVATE)

    def delivered(self, end: datetime) -> None:
        """The interval that ends at `end` is metered: so are the bids whose delivery ends with it."""
        for bid_id, name in self._awarded_to_end.get(end, {}).items():
            self._one(name, bid_id, BidEvent.METER)

    def settled(self, since: datetime, until: datetime) -> None:
        """Nothing that ends in (since, until] is provisional any more."""
        for end in [end for end in self._awarded_to_end if since < end <= until]:
            self.delivered(end)
            for bid_id, name in self._awarded_to_end[end].items():
                self._one(name, bid_id, BidEvent.SETTLE)

    def _tell(self, bid_set: BidSet, bid: Bid, taken: Decimal, *, rejected: bool) -> None:
        """What the awards say of one bid; the same again changes nothing."""
        state = self.of(bid_set.bid_set_id, bid.bid_id)
        before = self._taken_mw.get(bid.bid_id, NOTHING)
        if taken > 0:
            if taken == before and state in AWARDED:
                return
            whole = taken >= _whole_mw(bid)
            self._awarded_to_end[bid.interval.end][bid.bid_id] = bid_set.bid_set_id
            event = BidEvent.CLEAR_WHOLE if whole else BidEvent.CLEAR_PART
        elif rejected:
            event = BidEvent.REJECT
        elif state in AWARDED or (bid.bid_id in self._own and state is BidState.REJECTED):
            event = BidEvent.REOPEN
        else:
            return
        self._taken_mw[bid.bid_id] = taken
        self._own[bid.bid_id] = after(state, event, where=f"bid {bid.bid_id}")

    def _one(self, bid_set_id: str, bid_id: str, event: BidEvent) -> None:
        state = self.of(bid_set_id, bid_id)
        if may(state, event):
            self._own[bid_id] = after(state, event, where=f"bid {bid_id}")


def _whole_mw(bid: Bid) -> Decimal:
    """What is taken of a bid, summed over the lines of its awards, if all of it is."""
    if isinstance(bid.offer, BlockOffer):
        return sum((part.quantity_mw for part in bid.offer.parts), NOTHING)
    return most_mw(bid.offer)
