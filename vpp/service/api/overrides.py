"""Overrides: an operator takes a resource in hand for a while, and gives it back."""

from __future__ import annotations

from datetime import datetime

from vpp.model.ids import ResourceId
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.steering import overrides
from vpp.service.steering.desk import HeldOverride
from vpp.wirecontrol import OverrideRequest, OverrideView, WithdrawQuery


async def take_in_hand(plant: Plant, call: Call[Nothing, OverrideRequest]) -> OverrideView:
    held = await overrides.take(plant, call.path["resource_id"], call.body, now=call.now)
    return view_of(held, call.now)


async def show_override(plant: Plant, call: Call[Nothing, Nothing]) -> OverrideView:
    name = call.path["resource_id"]
    return view_of(_found(plant.acting.overrides.get(ResourceId(name)), name), call.now)


async def give_back(plant: Plant, call: Call[WithdrawQuery, Nothing]) -> OverrideView:
    name, query = call.path["resource_id"], call.query
    held = await overrides.end(plant, name, by=query.by, reason=query.reason, now=call.now)
    return view_of(_found(held, name), call.now)


def view_of(held: HeldOverride, now: datetime) -> OverrideView:
    """An override as it is shown."""
    if held.ended:
        state = "ended"
    else:
        state = "in_force" if held.holds(now) else "expired"
    return OverrideView.model_validate(
        {
            "resource_id": held.resource_id,
            "low_kw": held.low_kw,
            "high_kw": held.high_kw,
            "since": held.since,
            "until": held.until,
            "by": held.by,
            "reason": held.reason,
            "state": state,
        }
    )


def _found(held: HeldOverride | None, name: str) -> HeldOverride:
    if held is None:
        raise HttpRefusal(
            "it was never in anybody's hand",
            code="unknown_override",
            where=f"override of {name[:80]}",
            fix="Look at /v1/control",
        )
    return held


ROUTES: tuple[AnyRoute, ...] = (
    writing(
        "POST",
        "/v1/resources/{resource_id}/override",
        "Take a resource in hand for a while: a power, or bounds; a newer one replaces it",
        take_in_hand,
        takes=OverrideRequest,
        gives=OverrideView,
        codes=("invalid_data", "unavailable"),
        example={"power_kw": -100.0, "for_minutes": 30, "by": "Li", "reason": "works at the crane"},
    ),
    reading(
        "/v1/resources/{resource_id}/override",
        "The newest override of a resource, and whether it holds",
        show_override,
        gives=OverrideView,
        codes=("unknown_override",),
    ),
    reading(
        "/v1/resources/{resource_id}/override",
        "Give a resource back before its time; again changes nothing",
        give_back,
        method="DELETE",
        gives=OverrideView,
        query=WithdrawQuery,
        codes=("unknown_override", "unavailable"),
    ),
)
