"""The least cost of a park, by a model that shares no code with the planner.

One variable for each thing that may be chosen, every on/off decision a binary, solved by one MILP to
the last digit. It is written in cvxpy from the docstrings of the nouns and the terms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.plan.independent import grid, loads, money, reserve, sources, stores, work
from tests.plan.independent.sheet import Asked, Kept, Part, Sheet
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
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView


def least_cost(
    view: PlanningView, terms: tuple[Term, ...], *, limit_excess_price_per_kwh: float
) -> float | None:
    """In the park's currency over the horizon; None where no plan keeps every rule."""
    return written(view, terms, limit_excess_price_per_kwh=limit_excess_price_per_kwh).solve()


def written(
    view: PlanningView, terms: tuple[Term, ...], *, limit_excess_price_per_kwh: float
) -> Sheet:
    """All that costs and all that must hold, not solved yet."""
    sheet = Sheet(view, limit_excess_price_per_kwh)
    asked = reserve.headroom(terms)
    kept = {
        r.resource_id: reserve.kept_by(sheet, r.resource_id, asked) for r in view.park.resources
    }
    runs: dict[str, tuple[ShiftableRun, work.Runs]] = {}
    for r in sorted(view.park.resources, key=_rank(view)):
        part = _part(sheet, r, kept[r.resource_id], asked, runs)
        sheet.parts[r.resource_id] = part
        sheet.meets[r.node_id or r.connection_point_id].append(part.power)
    points = grid.electricity(sheet, kept, asked)
    grid.carriers(sheet)
    grid.groups(sheet)
    reserve.share_room(sheet, kept, asked)
    reserve.products(sheet, kept, asked)
    money.pay_for(sheet, points, terms)
    sheet.pay(np.float64(0))
    return sheet


def _rank(view: PlanningView) -> Callable[[Resource], int]:
    """A run stands behind the run that it waits for."""

    def rank(r: Resource) -> int:
        if not isinstance(r, ShiftableRun) or r.after is None:
            return 0
        return 1 + rank(view.park.resource_by_id[r.after])

    return rank


def _part(
    sheet: Sheet,
    r: Resource,
    kept: dict[int, Kept],
    asked: Asked,
    runs: dict[str, tuple[ShiftableRun, work.Runs]],
) -> Part:
    reading = sheet.view.state.reading(r.resource_id)
    match r:
        case FixedLoad():
            return loads.fixed(sheet, r)
        case CurtailableLoad():
            return loads.curtailable(sheet, r, reading)
        case InterruptibleLoad():
            return loads.interruptible(sheet, r, reading)
        case Storage():
            return stores.storage(sheet, r, reading, kept, asked)
        case ThermalZone():
            return stores.zone(sheet, r, reading)
        case EvFleet():
            return stores.cars(sheet, r, reading)
        case Generator():
            return sources.generator(sheet, r, reading)
        case Converter():
            return sources.converter(sheet, r, reading)
        case ShiftableRun():
            return work.run(sheet, r, reading, runs)
        case FlexibleLoad():
            return work.flexible(sheet, r, reading)
