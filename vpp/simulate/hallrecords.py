"""What a hall keeps of a bid set and of an award, as nouns and as lines of its ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from vpp.simulate.auction import iso, utc
from vpp.simulate.clearing import LOT_MW
from vpp.simulate.clearinghouse import Cleared
from vpp.simulate.ledger import Slot, trades_of, trades_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One award as it is listed."""

    sequence: int
    issued_at: datetime
    shown_at: datetime
    """Not before; later than `issued_at` where it is late."""
    product: str
    award: Mapping[str, Any]
    hidden: bool
    """Only a page by time has it."""

    def on_page(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "issued_at": iso(self.issued_at),
            "product": self.product,
            "award": self.award,
        }

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return self.on_page() | {"shown_at": iso(self.shown_at), "hidden": self.hidden}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Told:
        return cls(
            sequence=plain["sequence"],
            issued_at=utc(plain["issued_at"]),
            shown_at=utc(plain["shown_at"]),
            product=plain["product"],
            award=plain["award"],
            hidden=plain["hidden"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A bid set on the book; a venue that does not know its ids may have it twice."""

    bid_set_id: str
    copy: int
    product: str
    unit: str
    delivery: Slot
    revision: int
    content: Mapping[str, Any]

    @property
    def award_id(self) -> str:
        return f"award:{self.bid_set_id}" + (f"#{self.copy}" if self.copy > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The whole of an award that was told by half."""

    due: datetime
    product: str
    cleared: Cleared

    def plain(self) -> dict[str, Any]:
        trades = trades_plain(self.cleared.trades)
        return {
            "due": iso(self.due),
            "unit": self.cleared.unit,
            "award": self.cleared.award,
            "trades": trades,
        }

    @classmethod
    def of(cls, product: str, plain: Mapping[str, Any]) -> Revision:
        cleared = Cleared(plain["unit"], plain["award"], trades_of(plain["trades"]))
        return cls(due=utc(plain["due"]), product=product, cleared=cleared)


def read_order(bid_set_id: str, body: bytes) -> Order:
    """Read the contract's `BidSetResponse`.

    Raises:
        LookupError, TypeError, ValueError: It is none, or that of another id.
    """
    content = json.loads(body)
    if content["bid_set_id"] != bid_set_id:
        raise ValueError(f"the body is of {content['bid_set_id']!r}")
    return Order(
        bid_set_id=bid_set_id,
        copy=1,
        product=str(content["product"]),
        unit=str(content["unit"]),
        delivery=(utc(content["delivery"]["start"]), utc(content["delivery"]["end"])),
        revision=int(content["revision"]),
        content=content,
    )


def halved(cleared: Cleared) -> Cleared:
    """Half of every line, rounded down to lots; a line of which nothing is left is gone."""
    lines = [
        {**line, "quantity_mw": str(_half(Decimal(line["quantity_mw"])))}
        for line in cleared.award["cleared"]
    ]
    award = {**cleared.award, "cleared": [x for x in lines if Decimal(x["quantity_mw"])]}
    trades = [replace(trade, net_mw=_half(trade.net_mw)) for trade in cleared.trades]
    return Cleared(cleared.unit, award, [trade for trade in trades if trade.net_mw])


def _half(quantity_mw: Decimal) -> Decimal:
    return (quantity_mw / 2).quantize(LOT_MW, ROUND_DOWN)
