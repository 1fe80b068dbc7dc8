"""What quotas and shared burdens count: starts, hours, energy that is green, taken out, turned down."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import CurtailableLoad, Generator, InterruptibleLoad, Storage
from vpp.plan.terms import Activity, ActivityPrice
from vpp.plan.validate.calls import paid_calls, shed_kwh
from vpp.plan.validate.case import Case
from vpp.plan.validate.machines import started
from vpp.plan.validate.storage import called


def activity_units(case: Case, term: ActivityPrice) -> float:
    """How much of an activity the schedule does while the term holds, in the activity's own unit."""
    return float(_units(case, term)[term.first_step : term.last_step].sum())


def _units(case: Case, term: ActivityPrice) -> Floats:
    """Shape (T,)."""
    schedule, name = case.schedule, term.resource_id
    points = np.array(list(schedule.connection_point_kw.values()))
    exported_kwh = np.maximum(points, 0.0).sum(axis=0) * case.hours
    match term.activity:
        case Activity.IMPORT:
            return np.asarray(np.maximum(-points, 0.0).sum(axis=0) * case.hours)
        case Activity.EXPORT:
            return np.asarray(exported_kwh)
        case Activity.GREEN_USE:
            return np.asarray(_green_kw(case) * case.hours - exported_kwh)
        case Activity.CALLS:
            return np.zeros(case.steps) if name is None else _starts(case, name)
        case Activity.HOURS_ON:
            on = None if name is None else schedule.on.get(name)
            return np.zeros(case.steps) if on is None else case.hours * on.astype(float)
        case Activity.DISCHARGED:
            return np.zeros(case.steps) if name is None else _taken_out_kwh(case, name)
        case _:
            assert_never(term.activity)


def _starts(case: Case, name: ResourceId) -> Floats:
    chosen = np.zeros(case.steps)
    np.add.at(chosen, list(case.schedule.starts.get(name, ())), 1.0)
    return chosen + (started(case, name) if name in case.schedule.on else 0.0)


def _taken_out_kwh(case: Case, name: ResourceId) -> Floats:
    """Energy that leaves a store, expected calls of its reserve included, shape (T,)."""
    unit = case.view.park.resource_by_id[name]
    if not isinstance(unit, Storage) or name not in case.schedule.stored_kwh:
        return np.zeros(case.steps)
    discharged = np.maximum(case.power(name), 0.0) * case.hours / unit.discharge_efficiency
    moved = called(case, unit)
    return np.asarray(discharged + moved.fed_kwh - moved.not_fed_kwh)


def green_kwh(case: Case) -> float:
    """Energy that green sources feed over the horizon."""
    return float(_green_kw(case).sum()) * case.hours


def _green_kw(case: Case) -> Floats:
    """Shape (T,)."""
    green = [case.power(r.resource_id) for r in case.view.park.kindred(Generator).units if r.green]
    return np.asarray(np.sum([np.zeros(case.steps), *green], axis=0))


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
