"""Contracts and trades made outside, by id and revision, the highest of each standing.

    API, a trader's word ──▶ add ─────────┐
    series ▸ contract of the park file    ├──▶ physical: trades of the position, by unit
             ──▶ follow (its whole curve) ┘──▶ financial: swaps, money alone

As with awards the journal comes first. The same revision again changes nothing, with other content it is a
conflict, and one that comes late is kept for the record and moves nothing. A curve is what its series says now:
the series is on record, so the curve needs no second entry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from vpp.errors import ConflictError
from vpp.model.ids import UnitId
from vpp.model.outside import Obligation, OutsideTrade
from vpp.model.time import EPOCH, Interval
from vpp.trade.position import Trade, share_of

DAY = timedelta(days=1)
"""A position looks back as far as its longest trade is, so a month's is told day by day."""

_WHENEVER = Interval(EPOCH, EPOCH + DAY)


class OutsideBook:
    """All trades made outside of one service, in memory."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[int, OutsideTrade]] = defaultdict(dict)
        self._curves: dict[str, tuple[OutsideTrade, ...]] = {}
        self._financial: list[tuple[Interval, OutsideTrade]] | None = None
        """Day by day in order of time; made when it is asked for."""

    def is_new(self, trade: OutsideTrade) -> bool:
        """Whether `add` would change something.

        Raises:
            ConflictError: The revision is known with other content.
        """
        known = self._by_id.get(trade.trade_id, {}).get(trade.revision)
        if known is None:
            return True
        if replace(known, received_at=trade.received_at) != trade:
            raise ConflictError(
                f"revision {trade.revision} came with other content",
                where=f"outside trade {trade.trade_id}",
                fix="Send changes as a higher revision",
            )
        return False

    def add(self, trade: OutsideTrade) -> None:
        """Book one revision. Raises as `is_new`."""
        if self.is_new(trade):
            self._by_id[trade.trade_id][trade.revision] = trade
            self._financial = None

    def newest(self, trade_id: str) -> OutsideTrade | None:
        """The standing revision of a trade; None where it is new."""
        history = self._by_id.get(trade_id)
        return None if not history else history[max(history)]

    def standing(self) -> tuple[OutsideTrade, ...]:
        """The newest revision of each trade, those taken back too, oldest first; curves are not among them."""
        return tuple(history[max(history)] for history in self._by_id.values())

    def curve(self, contract_id: str) -> tuple[OutsideTrade, ...]:
        """What the series of a contract says, in order of time."""
        return self._curves.get(contract_id, ())

    def follow(self, contract_id: str, curve: tuple[OutsideTrade, ...]) -> None:
        """Let a contract be this curve from now on."""
        self._curves[contract_id] = curve
        self._financial = None

    def trades(self, unit_id: UnitId | None = None) -> Iterator[Trade]:
        """What is owed as energy (or held as reserve) by a unit, None: by all."""
        for one in self._every(unit_id, Obligation.PHYSICAL):
            for part in one.interval.split(DAY):
                yield Trade(
                    award_id=one.trade_id,
                    bid_id=f"{one.trade_id}/{one.revision}",
                    product_id=one.product_id,
                    unit_id=one.unit_id,
                    interval=part,
                    side=one.side,
                    quantity_mw=one.quantity_mw,
                    price_per_mwh=one.price_per_mwh,
                    quarantined=False,
                )

    def swaps(
        self, interval: Interval, unit_id: UnitId | None = None
    ) -> tuple[tuple[OutsideTrade, Decimal], ...]:
        """Financial trades that touch `interval`, each with its mean MW over it; sold above 0."""
        if self._financial is None:
            parts = (
                (part, one)
                for one in self._every(None, Obligation.FINANCIAL)
                for part in one.interval.split(DAY)
            )
            self._financial = sorted(parts, key=lambda pair: pair[0])
        first = bisect_left(self._financial, interval.start - DAY, key=_start)
        last = bisect_left(self._financial, interval.end, key=_start)
        return tuple(
            (one, one.sold_mw * share_of(part, interval))
            for part, one in self._financial[first:last]
            if part.overlaps(interval) and unit_id in (None, one.unit_id)
        )

    def _every(self, unit_id: UnitId | None, kind: Obligation) -> Iterator[OutsideTrade]:
        for one in (*self.standing(), *(t for curve in self._curves.values() for t in curve)):
            if one.obligation is kind and one.quantity_mw and unit_id in (None, one.unit_id):
                yield one


def _start(pair: tuple[Interval, OutsideTrade]) -> datetime:
    return pair[0].start


def changed_from(before: Iterable[OutsideTrade], after: Iterable[OutsideTrade]) -> Interval | None:
    """From the first to the last moment at which two sets of trades differ in what they say; None: nowhere.

    A trade that goes on longer than before differs by what was added.
    """
    old, new = set(before), set(after)
    moves: dict[datetime, Counter[OutsideTrade]] = defaultdict(Counter)
    for these, sign in ((old - new, -1), (new - old, 1)):
        for one in these:
            said = replace(one, interval=_WHENEVER)
            moves[one.interval.start][said] += sign
            moves[one.interval.end][said] -= sign
    first: datetime | None = None
    last: datetime | None = None
    apart: dict[OutsideTrade, int] = {}
    for at in sorted(moves):
        last = at if apart else last
        for said, by in moves[at].items():
            apart[said] = apart.get(said, 0) + by
            if not apart[said]:
                del apart[said]
        first = at if first is None and apart else first
    return None if first is None or last is None else Interval(first, last)
