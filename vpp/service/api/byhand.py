"""Bids by hand: what a person writes for a delivery, and what they lock."""

from __future__ import annotations

from datetime import UTC

from vpp.model.time import Interval
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.trading import byhand, hands, trading
from vpp.service.trading.desk import BidLock, HandBids
from vpp.trade.records import bid_to_wire
from vpp.wire import Span
from vpp.wirehand import (
    HandEndRequest,
    HandRequest,
    HandsView,
    HandView,
    LockRequest,
    LockView,
)


async def list_by_hand(plant: Plant, call: Call[Nothing, Nothing]) -> HandsView:
    product_id = trading.product_of(plant, call.path["product"]).product_id
    written = sorted(plant.trade.by_hand.values(), key=lambda one: one.delivery.start)
    locks = sorted(plant.trade.locks.values(), key=lambda one: one.delivery.start)
    return HandsView(
        product=product_id,
        by_hand=[_view(plant, one, []) for one in written if one.product_id == product_id],
        locks=[_lock_view(one) for one in locks if one.product_id == product_id],
    )


async def write_by_hand(plant: Plant, call: Call[Nothing, HandRequest]) -> HandView:
    hand, warnings = await byhand.write(plant, call.path["product"], call.body, now=call.now)
    return _view(plant, hand, warnings)


async def end_by_hand(plant: Plant, call: Call[Nothing, HandEndRequest]) -> HandView:
    body = call.body
    hand = await byhand.end(
        plant,
        call.path["product"],
        _interval(body.delivery),
        by=body.by,
        reason=body.reason,
        now=call.now,
    )
    return _view(plant, hand, [])


async def lock_bids(plant: Plant, call: Call[Nothing, LockRequest]) -> LockView:
    body = call.body
    made = await byhand.lock(
        plant,
        call.path["product"],
        _interval(body.delivery),
        locked=body.locked,
        by=body.by,
        reason=body.reason,
        now=call.now,
    )
    return _lock_view(made)


def _view(plant: Plant, hand: HandBids, warnings: list[str]) -> HandView:
    given = None if hand.ended_by is not None else hands.given_as(plant, hand)
    if hand.number == 0:
        state = "checked"
    elif hand.ended_by is not None:
        state = "ended"
    else:
        state = "waits" if given is None else "given"
    return HandView.model_validate(
        {
            "number": hand.number,
            "unit": hand.unit_id,
            "delivery": {"start": hand.delivery.start, "end": hand.delivery.end},
            "state": state,
            "bid_set_id": given if state == "given" else None,
            "based_on": hand.based_on,
            "by": hand.by,
            "reason": hand.reason,
            "at": hand.at,
            "ended_by": hand.ended_by,
            "ended_because": hand.ended_because,
            "bids": [bid_to_wire(bid) for bid in hand.bids],
            "warnings": warnings,
        }
    )


def _lock_view(lock: BidLock) -> LockView:
    return LockView(
        delivery=Span(start=lock.delivery.start, end=lock.delivery.end),
        locked=lock.locked,
        by=lock.by,
        reason=lock.reason,
        at=lock.at,
    )


def _interval(span: Span) -> Interval:
    return Interval(span.start.astimezone(UTC), span.end.astimezone(UTC))


_PRODUCT = "/v1/markets/{product}"
_NO_PRODUCT = ("unknown_product", "not_biddable")

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        f"{_PRODUCT}/by-hand",
        "Bids that people wrote, and deliveries that they locked",
        list_by_hand,
        gives=HandsView,
        codes=_NO_PRODUCT,
    ),
    writing(
        "PUT",
        f"{_PRODUCT}/by-hand",
        "Write the bids of one delivery in place of the plan's; checked as every bid, and whether it can be"
        " delivered",
        write_by_hand,
        takes=HandRequest,
        gives=HandView,
        codes=(
            *_NO_PRODUCT,
            *("unknown_unit", "off_grid", "gate_closed", "gate_not_open", "no_plan", "plan_stale"),
            *("plan_too_short", "prices_missing", "limits_breached", "no_new_bids", "killed"),
            *("locked", "conflict", "invalid_data", "unavailable"),
        ),
    ),
    writing(
        "POST",
        f"{_PRODUCT}/by-hand/end",
        "Give a delivery back to the plan; again changes nothing",
        end_by_hand,
        takes=HandEndRequest,
        gives=HandView,
        codes=(*_NO_PRODUCT, "invalid_data", "unavailable"),
    ),
    writing(
        "POST",
        f"{_PRODUCT}/locks",
        "Lock what is bid for a delivery: no newer revision leaves; or let go of that",
        lock_bids,
        takes=LockRequest,
        gives=LockView,
        codes=(*_NO_PRODUCT, "off_grid", "gate_closed", "invalid_data", "unavailable"),
    ),
)
