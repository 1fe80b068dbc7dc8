"""Limit orders: what the grid operator, or an operator of the park, narrows for a while."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import LimitOrdersView, LimitOrderView
from vpp.service.calls import limits
from vpp.service.calls.limitdesk import HeldOrder
from vpp.service.plant import Plant
from vpp.wire import LimitRequest
from vpp.wirecontrol import WithdrawQuery


async def put_limit(plant: Plant, call: Call[Nothing, LimitRequest]) -> LimitOrderView:
    held = await limits.put_order(plant, call.path["order_id"], call.body, now=call.now)
    return _view(held, call.now)


async def show_limit(plant: Plant, call: Call[Nothing, Nothing]) -> LimitOrderView:
    return _view(_found(plant.limits.get(call.path["order_id"]), call.path["order_id"]), call.now)


async def list_limits(plant: Plant, call: Call[Nothing, Nothing]) -> LimitOrdersView:
    return LimitOrdersView(limits=[_view(held, call.now) for held in plant.limits.values()])


async def withdraw_limit(plant: Plant, call: Call[WithdrawQuery, Nothing]) -> LimitOrderView:
    order_id, who = call.path["order_id"], call.query
    held = await limits.withdraw(plant, order_id, by=who.by, reason=who.reason, now=call.now)
    return _view(_found(held, order_id), call.now)


def _found(held: HeldOrder | None, order_id: str) -> HeldOrder:
    if held is None:
        raise HttpRefusal(
            "there is no such order",
            code="unknown_limit",
            where=f"limit order {order_id[:80]}",
            fix="Look at /v1/limits",
        )
    return held


def _view(held: HeldOrder, now: datetime) -> LimitOrderView:
    order = held.order
    in_force = "in_force" if now in order.span else "to_come"
    state = "over" if order.span.end <= now else in_force
    return LimitOrderView.model_validate(
        {
            "order_id": order.order_id,
            "place": order.place,
            "start": order.span.start,
            "end": order.span.end,
            "import_kw": order.limits.import_kw if isfinite(order.limits.import_kw) else None,
            "export_kw": order.limits.export_kw if isfinite(order.limits.export_kw) else None,
            "source": order.source,
            "priority": order.priority,
            "orderly_use": held.orderly_use,
            "revision": held.revision,
            "received_at": held.received_at,
            "state": "withdrawn" if held.withdrawn else state,
        }
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/limits", "Limit orders, those that are over too", list_limits, gives=LimitOrdersView
    ),
    reading(
        "/v1/limits/{order_id}",
        "One limit order",
        show_limit,
        gives=LimitOrderView,
        codes=("unknown_limit",),
    ),
    writing(
        "PUT",
        "/v1/limits/{order_id}",
        "Narrow what a place may draw or feed for a while; the same again changes nothing",
        put_limit,
        takes=LimitRequest,
        gives=LimitOrderView,
        codes=("conflict", "invalid_data", "unavailable"),
    ),
    reading(
        "/v1/limits/{order_id}",
        "Withdraw a limit order",
        withdraw_limit,
        method="DELETE",
        gives=LimitOrderView,
        query=WithdrawQuery,
        codes=("unknown_limit", "unavailable"),
    ),
)
