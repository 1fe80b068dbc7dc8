"""What quotas and shared burdens count: starts, hours, energy that is green, taken out, turned down."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from vpp.model.ids import ResourceId
from vpp.model.resource import CurtailableLoad, Generator, InterruptibleLoad, Storage
from vpp.plan.terms import Activity, ActivityPrice
from vpp.plan.validate.calls import paid_calls, shed_kwh
from vpp.plan.validate.case import Case
from vpp.plan.validate.machines import started
from vpp.plan.validate.storage import called


def activity_units(case: Case, term: ActivityPrice) -> float:
    """How much of an activity the schedule does, in the activity's own unit."""
    schedule, name = case.schedule, term.resource_id
    points = np.array(list(schedule.connection_point_kw.values()))
    exported_kwh = float(np.maximum(points, 0.0).sum()) * case.hours
    match term.activity:
        case Activity.IMPORT:
            return float(np.maximum(-points, 0.0).sum()) * case.hours
        case Activity.EXPORT:
            return exported_kwh
        case Activity.GREEN_USE:
            return green_kwh(case) - exported_kwh
        case Activity.CALLS:
            return 0.0 if name is None else _starts(case, name)
        case Activity.HOURS_ON:
            on = None if name is None else schedule.on.get(name)
            return 0.0 if on is None else case.hours * int(on.sum())
        case Activity.DISCHARGED:
            return 0.0 if name is None else _taken_out_kwh(case, name)
        case _:
            assert_never(term.activity)


def _starts(case: Case, name: ResourceId) -> float:
    chosen = len(case.schedule.starts.get(name, ()))
    return float(chosen + (int(started(case, name).sum()) if name in case.schedule.on else 0))


def _taken_out_kwh(case: Case, name: ResourceId) -> float:
    """Energy that leaves a store over the horizon, expected calls of its reserve included."""
    unit = case.view.park.resource_by_id[name]
    if not isinstance(unit, Storage) or name not in case.schedule.stored_kwh:
        return 0.0
    discharged = np.maximum(case.power(name), 0.0) * case.hours / unit.discharge_efficiency
    moved = called(case, unit)
    return float((discharged + moved.fed_kwh - moved.not_fed_kwh).sum())


def green_kwh(case: Case) -> float:
    """Energy that green sources feed over the horizon."""
    return sum(
        float(case.power(r.resource_id).sum()) * case.hours
        for r in case.view.park.resources
        if isinstance(r, Generator) and r.green
    )


def turned_down_kwh(case: Case, name: ResourceId) -> float:
    """Energy that a load does not draw because the plan turns it down."""
    load = case.view.park.resource_by_id[name]
    match load:
        case CurtailableLoad():
            return float(case.of(case.schedule.curtailed_kw, name).sum()) * case.hours
        case InterruptibleLoad():
            return sum(shed_kwh(case, load, call) for call in paid_calls(case, load))
        case _:
            return 0.0
