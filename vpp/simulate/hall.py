"""The trading hall of a venue that bids are sent to: takes bid sets, clears them, numbers its awards.

    put ─▶ known? gate open? ─▶ ledger ──── gate + results ────▶ clear ─▶ ledger ─▶ page after page
                                                                   │
                                                                   └ faults: revised, late, of nobody

All that it must not forget is in the ledger: opened on the same one it goes on, with the same numbers.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from vpp.simulate.auction import Auction, iso
from vpp.simulate.clearinghouse import Cleared, Clearinghouse, Received, Result, book, note
from vpp.simulate.hallrecords import Order, Revision, Told, halved, read_order
from vpp.simulate.ledger import Ledger, Slot
from vpp.simulate.venuefaults import Fault, VenueFaults


@dataclass(frozen=True, slots=True)
class Taken:
    """The hall has these bytes; `new`: it did not have them before."""

    new: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The hall does not take them."""

    code: Literal[
        "conflict", "gate_closed", "unknown_product", "unknown_unit", "off_grid", "invalid_body"
    ]
    detail: str


Put: TypeAlias = Taken | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of the list of awards."""

    told: tuple[Told, ...]
    last_sequence: int
    """The newest number that was given; 0 before the first."""
    more: bool


class Hall:
    """Bid sets in, awards out, over one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        house: Clearinghouse,
        auctions: Mapping[str, Auction],
        faults: VenueFaults,
        *,
        results_after: Callable[[Auction], timedelta],
    ) -> None:
        """Open a hall, or go on where the ledger ends.

        Args:
            ledger: The venue's books.
            house: How deliveries are cleared.
            auctions: What is traded, by product; products may be added until the first bid comes.
            faults: What goes wrong with awards.
            results_after: From gate to results.
        """
        self._ledger = ledger
        self._house = house
        self._auctions = auctions
        self._faults = faults
        self._results_after = results_after
        self._orders: defaultdict[tuple[str, Slot], list[Order]] = defaultdict(list)
        self._copies: Counter[str] = Counter()
        self._done: set[str] = set()
        """Award ids that were told."""
        self._told: list[Told] = []
        self._revisions: list[Revision] = []
        for entry in ledger.entries:
            self._remember(entry)
        self._open = {key for key in self._orders if self._undone(*key)}

    # ------------------------------------------------------------ bids in

    def put(self, bid_set_id: str, body: bytes, now: datetime, *, again: bool = False) -> Put:
        """Take a bid set before its gate. The same bytes again change nothing, also after the gate.

        Args:
            bid_set_id: Its id, as the address says it.
            body: The bytes of the contract's `BidSetResponse`.
            now: By the venue's clock.
            again: Work it through as if it were another one: a venue without idempotency.
        """
        digest = hashlib.sha256(body).hexdigest()
        if self._ledger.digest(bid_set_id) == digest and not again:
            return Taken(new=False)
        try:
            order = read_order(bid_set_id, body)
        except (LookupError, TypeError, ValueError) as error:
            return Refused("invalid_body", repr(error)[:300])
        refusal = self._refusal(order, now)
        if refusal is not None:
            return refusal
        receipt = self._ledger.received(
            bid_set_id, digest, at=now, body=body.decode(), unit=order.unit
        )
        if receipt == "conflict":
            return Refused("conflict", "this id came with other bytes")
        if receipt == "known":
            self._ledger.write("received_again", bid_set_id=bid_set_id, at=now, body=body.decode())
        self._add(order)
        self._open.add((order.product, order.delivery))
        return Taken(new=receipt == "new")

    def status(self, bid_set_id: str) -> str:
        """`received`, `cleared` or `unknown`."""
        return self._ledger.status(bid_set_id)

    def _refusal(self, order: Order, now: datetime) -> Refused | None:
        auction = self._auctions.get(order.product)
        if auction is None:
            return Refused("unknown_product", f"{order.product[:80]} is not traded here")
        if order.unit not in auction.units:
            return Refused("unknown_unit", f"{order.unit[:80]} is not registered here")
        if auction.delivery_of(order.delivery[0]) != order.delivery:
            return Refused("off_grid", f"{order.delivery[0]} begins no delivery of {order.product}")
        closes_at = auction.closes_at(order.delivery)
        if now >= closes_at:
            return Refused("gate_closed", f"it closed at {iso(closes_at)}")
        return None

    def has(self, product: str, delivery: Slot, unit: str | None = None) -> bool:
        """Whether bids for a delivery were sent, by a unit where one is named."""
        orders = self._orders.get((product, delivery), ())
        return any(unit in (None, order.unit) for order in orders)

    # ------------------------------------------------------------ awards out

    def clear(self, of: Auction, delivery: Slot, now: datetime) -> Result:
        """Clear what stands on the book for a delivery, and tell the awards. Again does nothing more."""
        received = [
            Received(unit=order.unit, award_id=order.award_id, content=order.content)
            for order in self._undone(of.product, delivery)
        ]
        result = self._house.clear(of, delivery, received)
        for cleared in result.cleared:
            self._tell_with_faults(of.product, cleared, now)
        note(self._ledger, of, result)
        self._open.discard((of.product, delivery))
        return result

    def act(self, now: datetime) -> None:
        """Clear every delivery whose results are due, and tell revisions that are."""
        for (product, delivery), due in sorted(self._due().items(), key=lambda item: item[1]):
            if due <= now:
                self.clear(self._auctions[product], delivery, now)
        self.tell_due(now)

    def tell_due(self, now: datetime) -> None:
        """Tell the revisions that are due."""
        for revision in [r for r in self._revisions if r.due <= now]:
            self._revisions.remove(revision)
            self._tell(revision.product, revision.cleared, now, now)

    def next_due(self) -> datetime | None:
        """When `act` has something to do; None while nothing stands on the book."""
        dues = [*self._due().values(), *(revision.due for revision in self._revisions)]
        return min(dues, default=None)

    def next_revision(self) -> datetime | None:
        """When the next revision is told."""
        return min((revision.due for revision in self._revisions), default=None)

    def page(self, after: int, limit: int, now: datetime, issued_in: Slot | None = None) -> Page:
        """Awards with a number above `after` as they are shown at `now`; by time of issue where a span is given."""
        given = [told for told in self._told if told.issued_at <= now]
        shown = [
            told
            for told in given
            if told.sequence > after
            and told.shown_at <= now
            and (issued_in is not None or not told.hidden)
            and (issued_in is None or issued_in[0] <= told.issued_at < issued_in[1])
        ]
        if len(shown) > 1 and self._faults.happens(Fault.AWARD_PAGED):
            limit = self._faults.dice(Fault.AWARD_PAGED).randint(1, limit)
        return Page(
            told=tuple(self._muddled(shown[:limit], given, now)),
            last_sequence=max((told.sequence for told in given), default=0),
            more=len(shown) > limit,
        )

    # ------------------------------------------------------------ within

    def _due(self) -> dict[tuple[str, Slot], datetime]:
        dues = {}
        for product, delivery in self._open:
            if (auction := self._auctions.get(product)) is not None:
                closes_at = auction.closes_at(delivery)
                dues[product, delivery] = closes_at + self._results_after(auction)
        return dues

    def _undone(self, product: str, delivery: Slot) -> list[Order]:
        """The newest revision of each unit, all its copies, as far as no award was told."""
        orders = self._orders[product, delivery]
        newest: dict[str, int] = {}
        for order in orders:
            newest[order.unit] = max(order.revision, newest.get(order.unit, 0))
        return [
            order
            for order in orders
            if order.revision == newest[order.unit] and order.award_id not in self._done
        ]

    def _tell_with_faults(self, product: str, cleared: Cleared, now: datetime) -> None:
        faults = self._faults
        if faults.happens(Fault.AWARD_OF_NOBODY):
            self._tell_lie(product, cleared.award, now)
        if cleared.award["cleared"] and faults.happens(Fault.AWARD_REVISED):
            dice = faults.dice(Fault.AWARD_REVISED)
            whole = replace(cleared, award={**cleared.award, "revision": 2})
            due = now + dice.random() * faults.spec.late
            follows = Revision(due=due, product=product, cleared=whole)
            self._revisions.append(follows)
            self._tell(product, halved(cleared), now, self._shown_at(now), follows)
        else:
            self._tell(product, cleared, now, self._shown_at(now))

    def _shown_at(self, now: datetime) -> datetime:
        if not self._faults.happens(Fault.AWARD_LATE):
            return now
        return now + self._faults.dice(Fault.AWARD_LATE).random() * self._faults.spec.late

    def _tell(
        self,
        product: str,
        cleared: Cleared,
        now: datetime,
        shown_at: datetime,
        follows: Revision | None = None,
    ) -> None:
        """Give an award its number, on disk with what it makes."""
        award = cleared.award
        told = self._numbered(product, award, now, shown_at)
        later = None if follows is None else follows.plain()
        auction = self._auctions[product]
        book(self._ledger, auction, cleared, told=told.plain(), follows=later)
        self._done.add(award["award_id"])
        self._told.append(told)

    def _tell_lie(self, product: str, like: Mapping[str, Any], now: datetime) -> None:
        """An award that looks like another one, and answers nothing that was ever sent."""
        number = len(self._told) + 1
        lie = {
            **like,
            "award_id": f"award:nobody:{number}",
            "bid_set_id": f"nobody.{number}",
            "cleared": [
                {**line, "bid_id": f"nobody/{number}/{line['bid_id']}"[:200]}
                for line in like["cleared"]
            ],
            "rejected": [],
        }
        told = self._numbered(product, lie, now, now)
        self._ledger.write("lie", told=told.plain())
        self._told.append(told)

    def _numbered(
        self, product: str, award: Mapping[str, Any], now: datetime, shown_at: datetime
    ) -> Told:
        return Told(
            sequence=len(self._told) + 1,
            issued_at=now,
            shown_at=shown_at,
            product=product,
            award=award,
            hidden=self._faults.happens(Fault.AWARD_HIDDEN),
        )

    def _muddled(self, shown: list[Told], given: list[Told], now: datetime) -> list[Told]:
        faults = self._faults
        page = [told for told in shown if not faults.happens(Fault.AWARD_DROPPED)]
        for _ in list(page):
            if faults.happens(Fault.AWARD_REPEATED):
                known = [told for told in given if told.shown_at <= now and not told.hidden]
                page.append(faults.dice(Fault.AWARD_REPEATED).choice(known or page))
        if len(page) > 1 and faults.happens(Fault.AWARD_REORDERED):
            faults.dice(Fault.AWARD_REORDERED).shuffle(page)
        return page

    def _add(self, order: Order) -> None:
        self._copies[order.bid_set_id] += 1
        one = replace(order, copy=self._copies[order.bid_set_id])
        self._orders[order.product, order.delivery].append(one)

    def _remember(self, entry: Mapping[str, Any]) -> None:
        """Take in what a ledger that was opened again says."""
        match entry["kind"]:
            case "received" | "received_again" if "body" in entry:
                self._add(read_order(entry["bid_set_id"], entry["body"].encode()))
            case "cleared" if "told" in entry:
                told = Told.of(entry["told"])
                self._told.append(told)
                self._done.add(told.award["award_id"])
                self._revisions = [
                    r
                    for r in self._revisions
                    if r.cleared.award["award_id"] != told.award["award_id"]
                ]
                if entry["follows"] is not None:
                    self._revisions.append(Revision.of(told.product, entry["follows"]))
            case "lie":
                self._told.append(Told.of(entry["told"]))
