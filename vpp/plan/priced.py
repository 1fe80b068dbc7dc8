"""Terms that only price what others decide: carbon, and what a quota counts."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from vpp.errors import DataError
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
)
from vpp.plan.compiled import Fleet
from vpp.plan.programme import Builder, Counted
from vpp.plan.terms import Activity, ActivityPrice, CarbonPrice


def add_carbon(b: Builder, fleet: Fleet, term: CarbonPrice) -> None:
    """Imports of all points at the grid's factor, every generator at its own."""
    per_kwh = term.price_per_kgco2 * term.grid_kgco2_per_kwh[term.steps]
    b.price(fleet.points.imports[:, term.steps], per_kwh * b.hours, "carbon")
    own = np.array([unit.kgco2_per_kwh for unit in fleet.generators.units])[:, None]
    b.price(fleet.generators.feed[:, term.steps], term.price_per_kgco2 * own * b.hours, "carbon")


def add_activity(b: Builder, fleet: Fleet, term: ActivityPrice) -> None:
    """What a quota counts, at the price of its last unit.

    Raises:
        DataError: The resource is not the park's, or does not do what is counted.
    """
    per_kw, exports = term.price_per_unit * b.hours, fleet.points.exports[:, term.steps]
    match term.activity:
        case Activity.IMPORT:
            b.price(fleet.points.imports[:, term.steps], per_kw, "quota")
        case Activity.EXPORT:
            b.price(exports, per_kw, "quota")
        case Activity.GREEN_USE:
            green = fleet.generators.feed[fleet.generators.green()]
            b.price(green[:, term.steps], per_kw, "quota")
            b.price(exports, -per_kw, "quota")
        case Activity.CALLS | Activity.HOURS_ON | Activity.DISCHARGED:
            _price_counted(b, term, _COUNTED[term.activity])
        case _:
            assert_never(term.activity)


_COUNTED = {
    Activity.CALLS: Counted.STARTS,
    Activity.HOURS_ON: Counted.HOURS_ON,
    Activity.DISCHARGED: Counted.TAKEN_OUT_KWH,
}
"""What single resources do."""


def can_be_counted(resource: Resource, activity: Activity) -> bool:
    """Whether a quota may count how much a resource does of an activity."""
    return activity in _COUNTED and _does(resource, _COUNTED[activity])


def _price_counted(b: Builder, term: ActivityPrice, what: Counted) -> None:
    """A resource that is not heard does nothing that the planner decides: nothing is priced."""
    resource = (
        None if term.resource_id is None else b.view.park.resource_by_id.get(term.resource_id)
    )
    if resource is None or not _does(resource, what):
        raise DataError(
            f"{term.activity} of {term.resource_id} ({term.reason})",
            where="ActivityPrice",
            fix="Name a resource of the park that does this, and whose doing it is counted",
        )
    columns, per_unit = b.counted(what, b.row_of[resource.resource_id], term.steps)
    b.price(columns, term.price_per_unit * per_unit, "quota")


def _does(resource: Resource, what: Counted) -> bool:
    """Whether the planner can count `what` of a resource."""
    match resource:
        case Generator() | FlexibleLoad() | Converter():
            switched = resource.on_off is not None
            return switched and what in (Counted.STARTS, Counted.HOURS_ON)
        case Storage():
            return what is Counted.TAKEN_OUT_KWH
        case InterruptibleLoad() | ShiftableRun():
            return what is Counted.STARTS
        case CurtailableLoad():
            return what is Counted.STARTS and resource.calls_limited
        case _:
            return False
