"""What an operator has in hand, as a plan sees it: a store held at one power goes on at that until its end.

    steps held     those of which the override leaves less than half to the plan
    the power      what was asked for, less where the store is full or empty before, or nearly (its tapers); none where
                   its owner wants it left alone, for then it gets no set-point

Held within bounds, or of another kind, a resource is planned as if nobody had it in hand: set-points keep the bounds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from vpp.model.resource import Resource, Storage
from vpp.plan.held import held_course_kw
from vpp.plan.view import PlanningView
from vpp.service.plant import Plant
from vpp.service.steering.desk import HeldOverride


def plannable(resource: Resource, held: HeldOverride) -> bool:
    """Whether plans reckon with an override of a resource."""
    return isinstance(resource, Storage) and held.low_kw == held.high_kw


def counted(plant: Plant, view: PlanningView, now: datetime) -> PlanningView:
    """The view, with what is in hand at `now`; a store that does not say how full it is, is none of a plan's."""
    held_kw = {}
    for name, held in plant.acting.overrides.items():
        resource, reading = view.park.resource_by_id[name], view.state.reading(name)
        if not held.holds(now) or not plannable(resource, held) or reading is None:
            continue
        assert isinstance(resource, Storage)
        steps = int((held.until - view.horizon.start) / view.horizon.step + 0.5)
        if reading.soc is not None and steps:
            held_kw[name] = held_course_kw(view, resource, reading.soc, held.low_kw, steps)
    return replace(view, held_kw=held_kw)
