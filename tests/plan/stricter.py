"""A plan made for a freer park, looked at by a stricter one.

All sums of such a plan fit, and so does its bill: nothing but the rule that was tightened can speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vpp.model.measurement import ParkState, Unknown
from vpp.model.schedule import Schedule
from vpp.plan.view import PlanningView


def stricter(view: PlanningView, name: str, change: Mapping[str, Any]) -> PlanningView:
    """The same view with one resource changed."""
    resources = tuple(
        replace(r, **change) if r.resource_id == name else r for r in view.park.resources
    )
    return replace(view, park=replace(view.park, resources=resources))


def told(view: PlanningView, name: str, change: Mapping[str, Any] | None) -> PlanningView:
    """The same view with one reading changed, or missing."""
    states = tuple(
        state
        if state.resource_id != name
        else Unknown(resource_id=state.resource_id, reason="silent")
        if change is None
        else replace(state, **change)
        for state in view.state.resources
    )
    return replace(view, state=ParkState(taken_at=view.state.taken_at, resources=states))


def refused(lab: Any, schedule: Schedule, view: PlanningView, word: str) -> None:
    """`schedule` is refused by one rule alone."""
    found = lab.violations(schedule, view, lab.terms(view))

    assert found, "nothing was found"
    assert all(text.startswith(word) for text in found), found


def kept_apart(
    lab: Any, made: Any, price: list[float], said: Mapping[str, Any], **more: Any
) -> Any:
    """View and plan of one resource."""
    view = lab.view(made, price=price, readings=[lab.reading(made.resource_id, **said)], **more)
    return view, lab.plan(view)
