"""Check a schedule against the view it was made for, without looking at the programme.

The solver's word is not taken: every physical rule and the whole bill are worked out again from the
resources and the terms, one by one, in plain arithmetic. A schedule that fails is refused. Nothing
here is shared with what compiles and solves.

    shape       names, shapes and numbers            case, compare   what is checked, and how closely
    storage     energy, tapers, cycles               networks        nodes, pipes and groups
    machines    on and off, ramps                    tree            sums, limits and orders
    generator   zone  cars  converter                trades          positions and open products
    loads       what is turned down                  reserve         what is kept, sold and lacking
    calls       processes that are called            owners          what resources cost
    runs        jobs that are moved                  activities      what quotas count
    flexible    work within windows                  bill            the objective, cause by cause
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Schedule
from vpp.plan.terms import Term
from vpp.plan.validate.bill import bill_faults
from vpp.plan.validate.calls import process_faults
from vpp.plan.validate.cars import cars_faults
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import each_between
from vpp.plan.validate.converter import converter_faults
from vpp.plan.validate.flexible import flexible_faults
from vpp.plan.validate.generator import generator_faults
from vpp.plan.validate.loads import curtailable_faults
from vpp.plan.validate.networks import group_faults, network_faults
from vpp.plan.validate.reserve import reserve_faults
from vpp.plan.validate.runs import run_faults
from vpp.plan.validate.shape import misfits
from vpp.plan.validate.storage import storage_faults
from vpp.plan.validate.trades import trade_faults
from vpp.plan.validate.tree import sum_faults
from vpp.plan.validate.zone import zone_faults
from vpp.plan.view import PlanningView


def violations(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    *,
    limit_excess_price_per_kwh: float,
) -> tuple[str, ...]:
    """Everything that is wrong with `schedule`, in words; empty where it may be used."""
    if found := tuple(misfits(schedule, view, terms)):
        return found
    case = Case(
        schedule=schedule,
        view=view,
        terms=terms,
        limit_excess_price_per_kwh=limit_excess_price_per_kwh,
    )
    return (
        *_together(case),
        *(fault for r in view.park.resources for fault in _resource_faults(case, r)),
        *sum_faults(case),
        *network_faults(case),
        *group_faults(case),
        *trade_faults(case),
        *reserve_faults(case),
        *bill_faults(case),
    )


def _together(case: Case) -> Iterator[str]:
    """What the kinds cannot do of which a fleet has most: all of a kind at once."""
    view, kindred = case.view, case.view.park.kindred
    yield from storage_faults(case, kindred(Storage).units)
    yield from flexible_faults(case, kindred(FlexibleLoad).units)
    yield from generator_faults(case, kindred(Generator).units)
    if names := [load.resource_id for load in kindred(FixedLoad).units]:
        base_kw = np.array([view.base_kw[name].values for name in names])
        yield from each_between(names, ": base", case.powers(names), base_kw, base_kw)


def _resource_faults(case: Case, resource: Resource) -> Iterator[str]:
    """What the device could not do, or was not promised."""
    match resource:
        case FixedLoad() | Storage() | Generator() | FlexibleLoad():
            pass  # looked at together
        case CurtailableLoad():
            yield from curtailable_faults(case, resource)
        case InterruptibleLoad():
            yield from process_faults(case, resource)
        case ShiftableRun():
            yield from run_faults(case, resource)
        case ThermalZone():
            yield from zone_faults(case, resource)
        case EvFleet():
            yield from cars_faults(case, resource)
        case Converter():
            yield from converter_faults(case, resource)
        case _:
            assert_never(resource)


__all__ = ["violations"]
