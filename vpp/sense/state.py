"""Freeze the newest readings into one picture of the park, so that a whole cycle sees the same.

Age is judged here, at use, and by source time: a link that is alive says nothing about a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, ResourceState, Unknown
from vpp.model.park import Park
from vpp.model.resource import Resource

_AHEAD_S = 5.0
"""A device's clock may run a little ahead of ours."""


def freeze(park: Park, newest: Mapping[ResourceId, Reading], now: datetime) -> ParkState:
    """The state of every resource at `now`, in park order.

    A resource that was never heard, whose reading is older than its `max_age_s` or in doubt, or that
    calls its own value bad is `Unknown`: nobody may plan with it or command it.
    """
    return ParkState(
        taken_at=now,
        resources=tuple(
            state_of(resource, newest.get(resource.resource_id), now) for resource in park.resources
        ),
    )


def state_of(resource: Resource, reading: Reading | None, now: datetime) -> ResourceState:
    """The state of one resource at `now`, from its newest reading: as `freeze` has it."""
    if reading is None:
        return Unknown(resource_id=resource.resource_id, reason="never heard")
    age_s = (now - reading.measured_at).total_seconds()
    if not -_AHEAD_S <= age_s <= resource.max_age_s:
        return Unknown(
            resource_id=resource.resource_id,
            reason=f"reading is {age_s:.0f} s old, at most {resource.max_age_s:g} s",
        )
    if reading.doubt is not None:
        return Unknown(resource_id=resource.resource_id, reason=reading.doubt)
    if reading.quality is Quality.BAD:
        return Unknown(resource_id=resource.resource_id, reason="the device calls its value bad")
    return reading
