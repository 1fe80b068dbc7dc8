"""Outside trades as bytes in the record."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.outside import Obligation, OutsideTrade
from vpp.model.time import Interval, isoformat, parse_utc


class _OutsideRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    product: str
    unit: str
    start: str
    end: str
    side: Literal["buy", "sell"]
    quantity_mw: str
    price_per_mwh: str
    obligation: Literal["physical", "financial"]
    reference_series: str | None
    counterparty: str
    reason: str
    by: str


def outside_to_record(trade: OutsideTrade) -> bytes:
    """What the journal keeps of an outside trade, beside its key (id/revision) and its time."""
    return msgspec.json.encode(
        _OutsideRecord(
            name=trade.name,
            product=trade.product_id,
            unit=trade.unit_id,
            start=isoformat(trade.interval.start),
            end=isoformat(trade.interval.end),
            side=trade.side.value,
            quantity_mw=format(trade.quantity_mw, "f"),
            price_per_mwh=format(trade.price_per_mwh, "f"),
            obligation=trade.obligation.value,
            reference_series=trade.reference_series_id,
            counterparty=trade.counterparty,
            reason=trade.reason,
            by=trade.by,
        )
    )


def outside_from_record(key: str, body: bytes, received_at: datetime) -> OutsideTrade:
    """The trade, as `BidBook.trade_outside` takes it."""
    record = msgspec.json.decode(body, type=_OutsideRecord)
    name, _, revision = key.rpartition("/")
    where = f"record of outside trade {key}"
    return OutsideTrade(
        trade_id=name,
        revision=int(revision),
        name=record.name,
        product_id=ProductId(record.product),
        unit_id=UnitId(record.unit),
        interval=Interval(parse_utc(record.start, where=where), parse_utc(record.end, where=where)),
        side=Side(record.side),
        quantity_mw=Decimal(record.quantity_mw),
        price_per_mwh=Decimal(record.price_per_mwh),
        obligation=Obligation(record.obligation),
        reference_series_id=record.reference_series,
        counterparty=record.counterparty,
        reason=record.reason,
        by=record.by,
        received_at=received_at,
    )
