"""Bid sets and awards as messages, and as bytes in the record; the same value gives the same bytes.

Fields stand in the declared order, times end in `Z`, decimals are plain strings without exponent.
A record keeps the very bytes that a request was answered with, so that the same request gets them
again after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from vpp.errors import DataError
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Award, Bid, BidSet, Cleared, Side
from vpp.model.time import Interval, isoformat, parse_utc
from vpp.trade.offerforms import offer_from_wire, offer_to_json, offer_to_wire
from vpp.wire import (
    AwardRequest,
    BidSetResponse,
    WireBid,
    WireCleared,
    WireModel,
)

WireStatus = Literal[
    "open", "superseded", "withdrawn", "awarded", "unanswered", "shadow", "dry_run"
]


def bid_set_to_bytes(
    bid_set: BidSet, status: WireStatus, bids: tuple[bytes, ...] | None = None
) -> bytes:
    """The answer to a bid request, a `BidSetResponse` as JSON at once: several times faster than by way of it.

    `bids` are the set's bids from `cut_at_revision`, where the same offer is given out again and
    again; made from the set itself where None. A test holds both to what the message itself would give.
    """
    if bids is None:
        listed = _bids_to_json(bid_set.bids)
    else:
        listed = _after_stem(bid_set.revision).join(bids)
    return msgspec.json.encode(
        {
            "bid_set_id": bid_set.bid_set_id,
            "request_id": bid_set.request_id,
            "revision": bid_set.revision,
            "product": bid_set.product_id,
            "unit": bid_set.unit_id,
            "delivery": {"start": bid_set.delivery.start, "end": bid_set.delivery.end},
            "issued_at": bid_set.issued_at,
            "valid_until": bid_set.valid_until,
            "plan_id": bid_set.plan_id,
            "strategy_version": bid_set.strategy_version,
            "pack_digest": bid_set.pack_digest,
            "status": status,
            "bids": msgspec.Raw(listed),
        }
    )


def cut_at_revision(bids: Sequence[Bid]) -> tuple[bytes, ...]:
    """Bids of revision 0 as JSON, cut where each one's revision stands.

    An offer stands as long as its plan, and is asked for with a new revision each time: all that
    differs is the end of each `bid_id`.
    """
    return tuple(_bids_to_json(bids).split(_after_stem(0)))


def _after_stem(revision: int) -> bytes:
    """The end of a bid's id and what follows; inside a JSON string its quotes would be escaped."""
    return f'/{revision}","start":'.encode()


def _bids_to_json(bids: Sequence[Bid]) -> bytes:
    return msgspec.json.encode(
        [
            {
                "bid_id": bid.bid_id,
                "start": bid.interval.start,
                "end": bid.interval.end,
                "side": bid.side.value,
                "offer": offer_to_json(bid.offer),
            }
            for bid in bids
        ]
    )


def bid_set_from_wire(response: BidSetResponse) -> BidSet:
    """The bid set that an answer speaks of.

    Raises:
        DataError: It breaks a rule of the model (an empty interval, a curve out of order).
    """
    return BidSet(
        bid_set_id=response.bid_set_id,
        request_id=response.request_id,
        product_id=ProductId(response.product),
        unit_id=UnitId(response.unit),
        delivery=_interval(response.delivery.start, response.delivery.end),
        revision=response.revision,
        issued_at=response.issued_at.astimezone(UTC),
        valid_until=response.valid_until.astimezone(UTC),
        plan_id=response.plan_id,
        strategy_version=response.strategy_version,
        pack_digest=response.pack_digest,
        bids=tuple(bid_from_wire(bid) for bid in response.bids),
    )


def award_from_wire(request: AwardRequest, product_id: ProductId, received_at: datetime) -> Award:
    """A venue's answer as a value. `received_at` is UTC.

    Raises:
        DataError: A quantity below 0, or an empty interval.
    """
    for line in request.cleared:
        if line.quantity_mw < 0:
            raise DataError(
                f"quantity_mw of {line.bid_id} is {line.quantity_mw}",
                where=f"award {request.award_id}",
                fix="Send a size; the side is the bid's",
            )
    return Award(
        award_id=request.award_id,
        revision=request.revision,
        final=request.final,
        product_id=product_id,
        bid_set_id=request.bid_set_id,
        cleared=tuple(
            Cleared(
                bid_id=line.bid_id,
                interval=_interval(line.start, line.end),
                quantity_mw=line.quantity_mw,
                price_per_mwh=line.price_per_mwh,
            )
            for line in request.cleared
        ),
        rejected=tuple(request.rejected),
        received_at=received_at,
    )


def award_to_wire(award: Award) -> AwardRequest:
    """The message that an award came as."""
    return AwardRequest(
        award_id=award.award_id,
        revision=award.revision,
        final=award.final,
        bid_set_id=award.bid_set_id,
        cleared=[
            WireCleared(
                bid_id=line.bid_id,
                start=line.interval.start,
                end=line.interval.end,
                quantity_mw=_plain(line.quantity_mw),
                price_per_mwh=_plain(line.price_per_mwh),
            )
            for line in award.cleared
        ],
        rejected=list(award.rejected),
    )


def to_bytes(message: WireModel) -> bytes:
    """A message as JSON."""
    return message.model_dump_json().encode()


# ---------------------------------------------------------------- the record


class _BidSetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request_digest: str
    response: msgspec.Raw
    reasons: str = ""
    """Key of the entry that says why; empty in records that are older than reasons are."""


class _AwardRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    product: str
    received_at: str
    award: msgspec.Raw


def bid_set_to_record(response: bytes, request_digest: str, reasons: str = "") -> bytes:
    """What the journal keeps of an answered request: the bytes given out, what was asked, where it says why."""
    return msgspec.json.encode(
        _BidSetRecord(
            request_digest=request_digest, response=msgspec.Raw(response), reasons=reasons
        )
    )


def reasons_key(body: bytes) -> str:
    """Where the journal says why a bid set is as it is; empty where it does not."""
    return msgspec.json.decode(body, type=_BidSetRecord).reasons


def with_reasons(response: bytes, reasons: bytes | None) -> bytes:
    """A bid set as bytes, with the reasons behind its other fields; the bytes of a `ShownBidSet`."""
    return response[:-1] + b',"reasons":' + (reasons or b"null") + b"}"


def bid_set_from_record(body: bytes) -> tuple[BidSet, bytes, str, bool]:
    """Bid set, response bytes, request digest and whether it is in the shadow, as `BidBook.add` takes them."""
    record = msgspec.json.decode(body, type=_BidSetRecord)
    response = bytes(record.response)
    read = BidSetResponse.model_validate_json(response)
    return bid_set_from_wire(read), response, record.request_digest, read.status == "shadow"


def award_to_record(award: Award) -> bytes:
    """What the journal keeps of an award."""
    return msgspec.json.encode(
        _AwardRecord(
            product=award.product_id,
            received_at=isoformat(award.received_at),
            award=msgspec.Raw(to_bytes(award_to_wire(award))),
        )
    )


def award_from_record(body: bytes) -> Award:
    """The award, as `BidBook.apply` takes it."""
    record = msgspec.json.decode(body, type=_AwardRecord)
    return award_from_wire(
        AwardRequest.model_validate_json(bytes(record.award)),
        ProductId(record.product),
        parse_utc(record.received_at, where="award record"),
    )


# ---------------------------------------------------------------- inside


def bid_to_wire(bid: Bid) -> WireBid:
    """One bid as a message."""
    return WireBid(
        bid_id=bid.bid_id,
        start=bid.interval.start,
        end=bid.interval.end,
        side=bid.side.value,
        offer=offer_to_wire(bid.offer),
    )


def bid_from_wire(message: WireBid) -> Bid:
    """The bid that a message speaks of.

    Raises:
        DataError: It breaks a rule of the model.
    """
    return Bid(
        bid_id=message.bid_id,
        interval=_interval(message.start, message.end),
        side=Side(message.side),
        offer=offer_from_wire(message.offer),
    )


def _interval(start: datetime, end: datetime) -> Interval:
    return Interval(start.astimezone(UTC), end.astimezone(UTC))


def _plain(number: Decimal) -> Decimal:
    """The same number, which prints without an exponent."""
    return Decimal(format(number, "f"))
