"""Limit orders that arrive while running: the grid narrows what a place may draw or feed, for a while.

    PUT ─▶ fits the park? ─▶ journal ─▶ in force ─▶ guard and share, at once
                                          └───────▶ a new plan, without waiting for its turn

An order of orderly use (有序用电) is the authority's: it outranks all that is sold, for breaking it is dearer
than any of that, and every member below its place is told. Its days are left out of baselines
(`demandresponse/baseline.py`), and members under it take part in no invitation (`demandresponse/reply.py`).

An order expires by itself. A higher revision replaces it; the same revision with other content is a
conflict. What was withdrawn stays so, also after a restart.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import ConnectionPointId, EnterpriseId, require_id
from vpp.model.park import LimitOrder, Limits, Park, Place
from vpp.model.time import Interval, isoformat
from vpp.plan.tree import points_below
from vpp.ports import JournalEntry
from vpp.service.calls.limitdesk import HeldOrder
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.wire import LimitRequest

ORDER, WITHDRAWAL = "limit", "limit_withdrawal"
"""Kinds of journal entries."""

ORDERLY_USE_PRIORITY = 10
"""At least: twice the price of a standing limit, so that among limits too it is kept first."""

MOST_ORDERS = 200
"""Not over yet; a plan has rows for each."""


async def put_order(
    plant: Plant, order_id: str, request: LimitRequest, *, now: datetime
) -> HeldOrder:
    """Take an order; acknowledged when it is on disk. The same again changes nothing.

    Raises:
        DataError: No such place, a span that is over, or more orders than a plan can hold.
        ConflictError: The revision came with other content, was withdrawn, or a higher one is known.
        UnavailableError: The journal cannot be written: not in force, so it must come again.
    """
    settle_unsure(plant, now)
    order = _order(plant.file.park, order_id, request)
    held = plant.limits.get(order_id)
    if held is not None and held.revision > request.revision:
        raise ConflictError(
            f"revision {held.revision} is known already",
            where=f"limit order {order_id}",
            fix="Send a higher revision",
        )
    if held is not None and held.revision == request.revision:
        same = held.order == order and held.orderly_use == request.orderly_use
        if not same or held.withdrawn:
            raise ConflictError(
                "was withdrawn" if held.withdrawn else "came before with other content",
                where=f"limit order {order_id}, revision {request.revision}",
                fix="Raise the revision",
            )
        return held
    if order.span.end <= now:
        raise DataError(
            f"ended at {isoformat(order.span.end)}",
            where=f"limit order {order_id}",
            fix="Give a span that is not over",
        )
    if held is None and len(not_over(plant, now)) >= MOST_ORDERS:
        raise DataError(
            f"{MOST_ORDERS} orders are not over yet",
            where=f"limit order {order_id}",
            fix="Withdraw some, or put several into one",
        )
    key = f"{order_id}/{request.revision}"
    await _append(plant, ORDER, key, request.model_dump_json().encode(), now)
    held = _held(order, request, now)
    plant.limits[order_id] = held
    _tell(plant, held, f"{_words(order)}, by {order.source}", now)
    return held


async def withdraw(
    plant: Plant, order_id: str, *, by: str, reason: str, now: datetime
) -> HeldOrder | None:
    """Take an order back; again changes nothing. None where there is no such order.

    Who did, and why, is on record.

    Raises:
        UnavailableError: The journal cannot be written: it stays in force.
    """
    settle_unsure(plant, now)
    held = plant.limits.get(order_id)
    if held is None or held.withdrawn:
        return held
    body = json.dumps({"by": by, "reason": reason}, ensure_ascii=False).encode()
    await _append(plant, WITHDRAWAL, f"{order_id}/{held.revision}", body, now)
    held = plant.limits[order_id] = held.taken_back()
    _tell(plant, held, f"limit order {order_id} is withdrawn, by {by}: {reason}", now)
    return held


def recover(plant: Plant) -> None:
    """Take up what the journal holds, in the order in which it came."""
    for entry in plant.journal.entries(ORDER, WITHDRAWAL):
        _replay(plant, entry)


def settle_unsure(plant: Plant, now: datetime) -> None:
    """Take up what the journal refused and has all the same: a failed commit may be on disk.

    Who numbers revisions by what is held asks for this first: otherwise the next order would meet that
    entry as a stranger's, until the next restart.

    Raises:
        UnavailableError: The journal cannot be read either; nothing is taken or withdrawn meanwhile.
    """
    while plant.unsure_limits:
        entry = plant.journal.find(*plant.unsure_limits[0])
        if entry is not None and (held := _replay(plant, entry)) is not None:
            stands = "is withdrawn" if held.withdrawn else "holds"
            text = f"{_words(held.order)}: {stands}, for the disk had taken it after all"
            _tell(plant, held, text, now)
        plant.unsure_limits.pop(0)


def _replay(plant: Plant, entry: JournalEntry) -> HeldOrder | None:
    """Take up one entry; None where it does not fit the park file any more, or changes nothing."""
    order_id, _, revision = entry.key.rpartition("/")
    held = plant.limits.get(order_id)
    if entry.kind == WITHDRAWAL:  # None: the order did not fit the park file any more
        if held is None or held.revision != int(revision):
            return None
        plant.limits[order_id] = held.taken_back()
        return plant.limits[order_id]
    if held is not None and held.revision >= int(revision):
        return None  # taken while the other was in doubt
    request = LimitRequest.model_validate_json(entry.body)
    try:
        order = _order(plant.file.park, order_id, request)
    except DataError as error:
        plant.events.emit(
            "limit_order",
            f"an order of the record does not fit the park file any more: {error}",
            at=plant.clock.now(),
            severity=Severity.WARNING,
        )
        return None
    plant.limits[order_id] = _held(order, request, entry.recorded_at)
    return plant.limits[order_id]


async def _append(plant: Plant, kind: str, key: str, body: bytes, now: datetime) -> None:
    try:
        await append(plant, kind, key, body, now=now)
    except UnavailableError:
        plant.unsure_limits.append((kind, key))
        raise


def under_orderly_use(plant: Plant, enterprise_id: EnterpriseId, span: Interval) -> str | None:
    """The order of orderly use that a member is under at some time of `span`; None where there is none."""
    for order_id, held in plant.limits.items():
        if not held.orderly_use or held.withdrawn or not held.order.span.overlaps(span):
            continue
        if enterprise_id in _members_below(plant.file.park, held.order.place):
            return order_id
    return None


def not_over(plant: Plant, now: datetime) -> tuple[LimitOrder, ...]:
    """Orders in force, now or later."""
    return tuple(
        held.order
        for held in plant.limits.values()
        if not held.withdrawn and held.order.span.end > now
    )


def park_at(plant: Plant, now: datetime) -> Park:
    """The park with the orders in force at `now` laid over its limits."""
    orders = [order for order in not_over(plant, now) if now in order.span]
    return plant.file.park.narrowed(orders) if orders else plant.file.park


def _held(order: LimitOrder, request: LimitRequest, received_at: datetime) -> HeldOrder:
    return HeldOrder(
        order=order,
        revision=request.revision,
        received_at=received_at,
        orderly_use=request.orderly_use,
    )


def _members_below(park: Park, place: Place) -> tuple[EnterpriseId, ...]:
    points = (park.connection_points[at] for at in points_below(park, place))
    return tuple(dict.fromkeys(point.enterprise_id for point in points))


def _order(park: Park, order_id: str, request: LimitRequest) -> LimitOrder:
    require_id(order_id, where="limit order")
    place = ConnectionPointId(request.place)
    points_below(park, place)
    return LimitOrder(
        order_id=order_id,
        place=place,
        span=Interval(request.start.astimezone(UTC), request.end.astimezone(UTC)),
        limits=Limits(
            import_kw=inf if request.import_kw is None else request.import_kw,
            export_kw=inf if request.export_kw is None else request.export_kw,
        ),
        source=request.source,
        priority=max(request.priority, ORDERLY_USE_PRIORITY if request.orderly_use else 0),
    )


def _words(order: LimitOrder) -> str:
    sizes = [
        f"{what} at most {kw:g} kW"
        for what, kw in (("import", order.limits.import_kw), ("export", order.limits.export_kw))
        if kw < inf
    ]
    span = f"{isoformat(order.span.start)} to {isoformat(order.span.end)}"
    return f"limit order {order.order_id} at {order.place}: {', '.join(sizes)}, {span}"


def _tell(plant: Plant, held: HeldOrder, text: str, now: datetime) -> None:
    plant.replan = text
    if now in held.order.span:  # kept from this moment on, not from the next tick
        plant.acting.nudge.ask()
    plant.events.emit(
        "limit_order", text, at=now, severity=Severity.WARNING, order_id=held.order.order_id
    )
    if held.orderly_use:
        for enterprise_id in _members_below(plant.file.park, held.order.place):
            plant.events.emit(
                "orderly_use",
                f"{enterprise_id}: orderly use of power: {text}",
                at=now,
                severity=Severity.ALARM,
                enterprise_id=enterprise_id,
                order_id=held.order.order_id,
            )
