"""The venue's own books: what was asked, received, cleared and acknowledged, and what it comes to.

The ledger judges the service, so it shares no code with it: plain dictionaries, `Decimal`, pairs
of times. It is append-only; with a path every entry is one line of JSON on disk before anything
else happens. Amounts are credits to the unit, one for each interval and kind, rounded half to
even to whole minor units:

    day_ahead, quarter_hour   Σ ±quantity · hours · price           (+ sold, − bought)
    imbalance                 (metered − scheduled) · price         short price where negative
    deviation                 − gain of a declaration beyond a band around what was drawn (users' markets)
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, TypeAlias

Slot: TypeAlias = tuple[datetime, datetime]
"""An interval: start and end, aware UTC."""

WH_PER_MWH = Decimal(1_000_000)


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


class Ledger:
    """Append-only books of the venue, in memory and, where a path is given, on disk."""

    def __init__(self, minor_unit: Decimal, path: Path | None = None) -> None:
        """Open new books.

        Raises:
            OSError: `path` cannot be written.
        """
        self._minor_unit = minor_unit
        self._file = path.open("a", encoding="utf-8") if path else None
        self.entries: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.bookings: list[Booking] = []
        self._trades: defaultdict[tuple[str, Slot], list[Trade]] = defaultdict(list)
        self._status: dict[str, str] = {}

    def write(self, kind: str, **fields: Any) -> None:
        """Append one entry; on return it is on disk, where there is one."""
        entry = {"kind": kind, **{key: _plain(value) for key, value in fields.items()}}
        self.entries.append(entry)
        self.counts[kind] += 1
        if self._file:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def received(self, bid_set_id: str, digest: str, **fields: Any) -> None:
        """A bid set has arrived, with the SHA-256 of its bytes."""
        self.write("received", bid_set_id=bid_set_id, digest=digest, **fields)
        self._status.setdefault(bid_set_id, "received")

    def cleared(self, bid_set_id: str, award_id: str, trades: list[Trade]) -> None:
        """A bid set was cleared into `trades`; from here on they are owed."""
        self.write(
            "cleared",
            bid_set_id=bid_set_id,
            award_id=award_id,
            trades=[
                [t.kind, t.unit, _iso(t.slot[0]), _iso(t.slot[1]), str(t.net_mw), str(t.price_per_mwh)]
                for t in trades
            ],
        )  # fmt: skip
        self._status[bid_set_id] = "cleared"
        for trade in trades:
            self._trades[trade.unit, trade.slot].append(trade)

    def status(self, bid_set_id: str) -> str:
        """`received`, `cleared` or `unknown`."""
        return self._status.get(bid_set_id, "unknown")

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
            slot: One delivery interval.
            metered_net_wh: Net injection by the true registers.
            short_per_mwh: Price of what is missing; None where none was published.
            long_per_mwh: Price of what is too much; None where none was published.
            take_back: How a declaration that lies off is treated; None where the market takes nothing back.
        """
        trades = self._trades[unit, slot]
        for kind in ("day_ahead", "quarter_hour"):
            mine = [trade for trade in trades if trade.kind == kind]
            energy = sum((trade.energy_mwh for trade in mine), Decimal(0))
            amount = sum((trade.energy_mwh * trade.price_per_mwh for trade in mine), Decimal(0))
            self._book(kind, unit, slot, energy, amount)
        scheduled = sum((trade.energy_mwh for trade in trades), Decimal(0))
        deviation = metered_net_wh / WH_PER_MWH - scheduled
        price = short_per_mwh if deviation < 0 else long_per_mwh
        if price is None:
            self.write("unsettled", unit=unit, start=slot[0], reason="no imbalance price")
        else:
            self._book("imbalance", unit, slot, deviation, deviation * price)
            if take_back is not None:
                gained = _gained(take_back, scheduled, metered_net_wh, price)
                self._book("deviation", unit, slot, Decimal(0), -gained)
        self.write("settled", unit=unit, start=slot[0], metered_net_wh=metered_net_wh)

    def totals(self) -> dict[str, Decimal]:
        """Amounts by kind: what the venue credits (below 0: charges)."""
        sums: dict[str, Decimal] = dict.fromkeys(
            ("day_ahead", "quarter_hour", "imbalance"), Decimal(0)
        )
        for booking in self.bookings:
            sums[booking.kind] = sums.get(booking.kind, Decimal(0)) + booking.amount
        return sums

    def energies(self) -> dict[str, Decimal]:
        """Net energy in MWh by kind."""
        sums: dict[str, Decimal] = dict.fromkeys(
            ("day_ahead", "quarter_hour", "imbalance"), Decimal(0)
        )
        for booking in self.bookings:
            sums[booking.kind] = sums.get(booking.kind, Decimal(0)) + booking.energy_mwh
        return sums

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _book(self, kind: str, unit: str, slot: Slot, energy: Decimal, exact: Decimal) -> None:
        amount = (exact / self._minor_unit).to_integral_value(ROUND_HALF_EVEN) * self._minor_unit
        self.bookings.append(Booking(kind, unit, slot, energy, amount))
        self.write("booked", of=kind, unit=unit, start=slot[0], energy_mwh=energy, amount=amount)


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


def clear(bid: Mapping[str, Any], price_per_mwh: Decimal) -> Decimal:
    """The quantity of a `curve_step` or `segments` bid that one price takes, in MW, not negative.

    A buyer's step is taken where it offers the price or more, a seller's where it asks for the
    price or less. Everything taken is paid at the one price (pay as cleared).

    Raises:
        KeyError, ValueError, ArithmeticError: The bid is not what the contract says.
    """
    side = bid["side"]
    if side not in ("buy", "sell"):
        raise ValueError(f"a {side!r} bid is not traded here")
    taken = Decimal(0)
    for quantity, limit in _steps(bid["offer"]):
        if not (quantity.is_finite() and limit.is_finite() and quantity > 0):
            raise ValueError(f"{quantity} MW at {limit} is no quantity at a price")
        if limit >= price_per_mwh if side == "buy" else limit <= price_per_mwh:
            taken += quantity
    return taken


def _steps(offer: Mapping[str, Any]) -> list[tuple[Decimal, Decimal]]:
    """(MW more, price) of each step of an offer."""
    form = offer["form"]
    if form == "curve_step":
        return [(Decimal(s["quantity_mw"]), Decimal(s["price_per_mwh"])) for s in offer["steps"]]
    if form == "segments":
        return [
            (Decimal(s["to_mw"]) - Decimal(s["from_mw"]), Decimal(s["price_per_mwh"]))
            for s in offer["segments"]
        ]
    raise ValueError(f"an offer of the form {form!r} is not traded here")


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
