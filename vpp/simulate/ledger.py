"""The venue's own books: what was asked, received, cleared and acknowledged, and what it comes to.

The ledger judges the service, so it shares no code with it: plain dictionaries, `Decimal`, pairs
of times. It is append-only; with a path every entry is one line of JSON on disk before anything
else happens, and a ledger that is opened on a path where one was goes on where that ended. Amounts
are credits to the unit, by interval and kind; each line rounds half to even to whole minor units:

    day_ahead, quarter_hour   ±quantity · hours · price             (+ sold, − bought), one line a trade
    imbalance                 (metered − scheduled) · price         short price where negative
    deviation                 − gain of a declaration beyond a band around what was drawn (users' markets)
    services                  what reserve and regulation earn: beside the energy, see `earned`

An award of a higher revision takes the place of a lower one; what is settled already is corrected.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from vpp.simulate.ledgerfile import cut_tail, read_entries

Slot: TypeAlias = tuple[datetime, datetime]
"""An interval: start and end, aware UTC."""

Receipt: TypeAlias = Literal["new", "known", "conflict"]
"""What a bid set is to the books: not seen yet, seen with these bytes, or with others."""

WH_PER_MWH = Decimal(1_000_000)
QUARTER = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRADED = ("day_ahead", "quarter_hour")


@dataclass(frozen=True, slots=True)
class Trade:
    """One quantity at one price: positive is sold."""

    kind: str
    unit: str
    slot: Slot
    net_mw: Decimal
    price_per_mwh: Decimal

    @property
    def energy_mwh(self) -> Decimal:
        return self.net_mw * _hours(self.slot)


@dataclass(frozen=True, slots=True)
class Booking:
    """One amount for one interval."""

    kind: str
    unit: str
    slot: Slot
    energy_mwh: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A user's declaration may be off by `band` of what was drawn; `times` the gain beyond is taken back."""

    band: Decimal
    times: Decimal
    day_ahead_per_mwh: Decimal


@dataclass(frozen=True, slots=True)
class _Delivered:
    """What the registers and the imbalance prices of a slot said."""

    metered_net_wh: int
    short_per_mwh: Decimal | None
    long_per_mwh: Decimal | None
    take_back: TakeBack | None


class Ledger:
    """Append-only books of the venue, in memory and, where a path is given, on disk."""

    def __init__(self, minor_unit: Decimal, path: Path | None = None) -> None:
        """Open new books, or go on with those at `path`; a line that was cut off at its end is dropped.

        Raises:
            OSError: `path` cannot be written.
            DataError: A line of `path` is no entry.
        """
        self._minor_unit = minor_unit
        self.entries: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.bookings: list[Booking] = []
        self.services: dict[str, Booking] = {}
        """What each capacity or call earned, by its key."""
        self._awards: dict[str, tuple[int, list[Trade]]] = {}
        self._quarters: defaultdict[tuple[str, datetime], dict[str, list[Trade]]] = defaultdict(
            dict
        )
        """By unit and quarter-hour, and there by award."""
        self._booked: dict[tuple[str, str, Slot], tuple[Decimal, Decimal]] = {}
        self._delivered: dict[tuple[str, Slot], _Delivered] = {}
        self._status: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._unpriced: set[tuple[str, Slot]] = set()
        cut = 0
        if path is not None and path.exists():
            cut = cut_tail(path)
            for entry in read_entries(path):
                self._note(entry)
        self._file = path.open("a", encoding="utf-8") if path else None
        if cut:
            self.write("torn", bytes=cut)
        # A kill may have come between a settlement and what is booked of it.
        for unit, slot in self._delivered:
            self._book_all(unit, slot)

    def write(self, kind: str, **fields: Any) -> None:
        """Append one entry; on return it is on disk, where there is one."""
        entry = {"kind": kind, **{key: _plain(value) for key, value in fields.items()}}
        if self._file:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._note(entry)

    def received(self, bid_set_id: str, digest: str, **fields: Any) -> Receipt:
        """A bid set has arrived, with the SHA-256 of its bytes; the same again changes nothing."""
        known = self._digests.get(bid_set_id)
        if known == digest:
            return "known"
        if known is not None:
            self.write("conflict", bid_set_id=bid_set_id, digest=digest)
            return "conflict"
        self.write("received", bid_set_id=bid_set_id, digest=digest, **fields)
        return "new"

    def cleared(
        self,
        bid_set_id: str,
        award_id: str,
        trades: Sequence[Trade],
        revision: int = 1,
        **fields: Any,
    ) -> None:
        """A bid set was cleared into `trades`; from here on they are owed.

        A revision that is not above that of the same award changes nothing.
        """
        before, replaced = self._awards.get(award_id, (0, []))
        if before >= revision:
            return
        self.write(
            "cleared",
            bid_set_id=bid_set_id,
            award_id=award_id,
            revision=revision,
            trades=trades_plain(trades),
            **fields,
        )
        both = [*replaced, *trades]
        touched = {(trade.unit, start) for trade in both for start in quarters_of(trade.slot)}
        for unit, start in sorted(touched):
            if (unit, (start, start + QUARTER)) in self._delivered:
                self._book_all(unit, (start, start + QUARTER))

    def status(self, bid_set_id: str) -> str:
        """`received`, `cleared` or `unknown`."""
        return self._status.get(bid_set_id, "unknown")

    def digest(self, bid_set_id: str) -> str | None:
        """SHA-256 of the bytes it came with; None where it never came."""
        return self._digests.get(bid_set_id)

    def position_mwh(self) -> dict[tuple[str, datetime], Decimal]:
        """Net energy sold by unit and quarter-hour, where it is not 0."""
        sums = {
            key: sum((t.energy_mwh for trades in by_award.values() for t in trades), Decimal(0))
            for key, by_award in self._quarters.items()
        }
        return {key: energy for key, energy in sums.items() if energy}

    def earned(
        self, key: str, kind: str, unit: str, slot: Slot, quantity_mw: Decimal, exact: Decimal
    ) -> None:
        """What a service earns in `slot`, under a key of its own; the same key again takes its place."""
        amount = self._minor(exact)
        fields = {"of": kind, "unit": unit, "start": slot[0], "end": slot[1]}
        self.write("earned", key=key, quantity_mw=quantity_mw, amount=amount, **fields)

    def settle(
        self,
        unit: str,
        slot: Slot,
        metered_net_wh: int,
        short_per_mwh: Decimal | None,
        long_per_mwh: Decimal | None,
        take_back: TakeBack | None = None,
    ) -> None:
        """Book what `unit` traded and delivered in `slot`.

        Args:
            unit: The bidding unit.
            slot: One quarter-hour.
            metered_net_wh: Net injection by the true registers.
            short_per_mwh: Price of what is missing; None where none was published.
            long_per_mwh: Price of what is too much; None where none was published.
            take_back: How a declaration that lies off is treated; None where the market takes nothing back.
        """
        back = None if take_back is None else [str(number) for number in astuple(take_back)]
        self.write(
            "settled",
            unit=unit,
            start=slot[0],
            end=slot[1],
            metered_net_wh=metered_net_wh,
            short_per_mwh=short_per_mwh,
            long_per_mwh=long_per_mwh,
            take_back=back,
        )
        self._book_all(unit, slot)

    def totals(self) -> dict[str, Decimal]:
        """Amounts by kind: what the venue credits (below 0: charges)."""
        sums: dict[str, Decimal] = dict.fromkeys((*_TRADED, "imbalance"), Decimal(0))
        for booking in self.bookings:
            sums[booking.kind] = sums.get(booking.kind, Decimal(0)) + booking.amount
        return sums

    def energies(self) -> dict[str, Decimal]:
        """Net energy in MWh by kind."""
        sums: dict[str, Decimal] = dict.fromkeys((*_TRADED, "imbalance"), Decimal(0))
        for booking in self.bookings:
            sums[booking.kind] = sums.get(booking.kind, Decimal(0)) + booking.energy_mwh
        return sums

    def close(self) -> None:
        if self._file:
            self._file.close()

    # ------------------------------------------------------------ within

    def _book_all(self, unit: str, slot: Slot) -> None:
        """Bring what is booked for a slot to what it comes to now."""
        delivered = self._delivered[unit, slot]
        trades = [t for some in self._quarters[unit, slot[0]].values() for t in some]
        for kind in _TRADED:
            mine = [trade for trade in trades if trade.kind == kind]
            energy = sum((trade.energy_mwh for trade in mine), Decimal(0))
            amounts = [self._minor(trade.energy_mwh * trade.price_per_mwh) for trade in mine]
            self._book(kind, unit, slot, energy, sum(amounts, Decimal(0)))
        scheduled = sum((trade.energy_mwh for trade in trades), Decimal(0))
        deviation = delivered.metered_net_wh / WH_PER_MWH - scheduled
        price = delivered.short_per_mwh if deviation < 0 else delivered.long_per_mwh
        if price is not None:
            self._book("imbalance", unit, slot, deviation, self._minor(deviation * price))
            if (rule := delivered.take_back) is not None:
                gained = _gained(rule, scheduled, delivered.metered_net_wh, price)
                self._book("deviation", unit, slot, Decimal(0), self._minor(-gained))
        elif (unit, slot) not in self._unpriced:
            self.write(
                "unsettled", unit=unit, start=slot[0], end=slot[1], reason="no imbalance price"
            )

    def _book(self, kind: str, unit: str, slot: Slot, energy: Decimal, amount: Decimal) -> None:
        before = self._booked.get((kind, unit, slot))
        if before == (energy, amount):
            return
        energy_before, amount_before = before or (Decimal(0), Decimal(0))
        self.write(
            "booked",
            of=kind,
            unit=unit,
            start=slot[0],
            end=slot[1],
            energy_mwh=energy - energy_before,
            amount=amount - amount_before,
        )

    def _minor(self, exact: Decimal) -> Decimal:
        return (exact / self._minor_unit).to_integral_value(ROUND_HALF_EVEN) * self._minor_unit

    def _note(self, entry: dict[str, Any]) -> None:
        """Take an entry into memory: as it is written, and again as it is read."""
        self.entries.append(entry)
        self.counts[entry["kind"]] += 1
        match entry["kind"]:
            case "received":
                self._digests[entry["bid_set_id"]] = entry["digest"]
                self._status.setdefault(entry["bid_set_id"], "received")
            case "cleared":
                self._status[entry["bid_set_id"]] = "cleared"
                self._take(entry["award_id"], entry["revision"], trades_of(entry["trades"]))
            case "earned":
                self.services[entry["key"]] = Booking(
                    entry["of"],
                    entry["unit"],
                    _slot(entry),
                    Decimal(0),
                    Decimal(entry["amount"]),
                )
            case "settled":
                self._delivered[entry["unit"], _slot(entry)] = _Delivered(
                    entry["metered_net_wh"],
                    _price(entry["short_per_mwh"]),
                    _price(entry["long_per_mwh"]),
                    None
                    if entry["take_back"] is None
                    else TakeBack(*map(Decimal, entry["take_back"])),
                )
            case "booked":
                self._sum(entry)
            case "unsettled":
                self._unpriced.add((entry["unit"], _slot(entry)))

    def _take(self, award_id: str, revision: int, trades: list[Trade]) -> None:
        for trade in self._awards.get(award_id, (0, []))[1]:
            for start in quarters_of(trade.slot):
                self._quarters[trade.unit, start].pop(award_id, None)
        self._awards[award_id] = (revision, trades)
        for trade in trades:
            for start in quarters_of(trade.slot):
                inside = (max(start, trade.slot[0]), min(start + QUARTER, trade.slot[1]))
                mine = self._quarters[trade.unit, start].setdefault(award_id, [])
                mine.append(replace(trade, slot=inside))

    def _sum(self, entry: Mapping[str, Any]) -> None:
        kind, unit, slot = entry["of"], entry["unit"], _slot(entry)
        energy, amount = Decimal(entry["energy_mwh"]), Decimal(entry["amount"])
        self.bookings.append(Booking(kind, unit, slot, energy, amount))
        before = self._booked.get((kind, unit, slot), (Decimal(0), Decimal(0)))
        self._booked[kind, unit, slot] = (before[0] + energy, before[1] + amount)


def _gained(
    take_back: TakeBack, sold_mwh: Decimal, metered_net_wh: int, real_time_per_mwh: Decimal
) -> Decimal:
    """What buying too much or too little a day ahead gained, beyond the band; what is fed is no use."""
    declared, drawn = max(-sold_mwh, Decimal(0)), max(-metered_net_wh / WH_PER_MWH, Decimal(0))
    rise = real_time_per_mwh - take_back.day_ahead_per_mwh
    most, least = (1 + take_back.band) * drawn, (1 - take_back.band) * drawn
    if rise > 0:
        return take_back.times * max(declared - most, Decimal(0)) * rise
    return take_back.times * max(least - declared, Decimal(0)) * -rise


def trades_plain(trades: Sequence[Trade]) -> list[list[str]]:
    """Trades as they stand in an entry."""
    return [
        [t.kind, t.unit, _iso(t.slot[0]), _iso(t.slot[1]), str(t.net_mw), str(t.price_per_mwh)]
        for t in trades
    ]


def trades_of(lines: Sequence[Sequence[str]]) -> list[Trade]:
    """Trades as an entry says them."""
    return [
        Trade(kind, unit, (_time(start), _time(end)), Decimal(mw), Decimal(price))
        for kind, unit, start, end, mw, price in lines
    ]


def _slot(entry: Mapping[str, Any]) -> Slot:
    return (_time(entry["start"]), _time(entry["end"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def quarters_of(slot: Slot) -> list[datetime]:
    """The starts of the quarter-hours that a slot reaches into."""
    first = slot[0] - (slot[0] - _EPOCH) % QUARTER
    return [first + n * QUARTER for n in range(-((first - slot[1]) // QUARTER))]


def _hours(slot: Slot) -> Decimal:
    return Decimal((slot[1] - slot[0]) // timedelta(seconds=1)) / 3600


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return _iso(value)
        case Decimal():
            return str(value)
        case _:
            return value
