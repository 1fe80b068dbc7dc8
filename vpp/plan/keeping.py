"""Terms about what is kept: how full stores are at the end of each step, what a car has before a step.

floor     stored + lacking >= least, in the steps that are asked
car       level + lacking >= charged, at the end of the step before the deadline
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from vpp.errors import DataError
from vpp.model.resource import EvFleet, Storage
from vpp.plan.compiled import Fleet
from vpp.plan.kinds.cars import Cars
from vpp.plan.kinds.storage import Storages
from vpp.plan.programme import Builder, Side
from vpp.plan.terms import CarDeadline, StoredFloor


def add(b: Builder, fleet: Fleet, term: StoredFloor | CarDeadline) -> None:
    """The rows of one term.

    Raises:
        DataError: It names what the park does not have, or what does not fit it.
    """
    match term:
        case StoredFloor():
            _floor(b, fleet.storages, term)
        case CarDeadline():
            _car(b, fleet.cars, term)
        case _:
            assert_never(term)


def _floor(b: Builder, storages: Storages, term: StoredFloor) -> None:
    """What lacks in each store at the end of each step that is asked."""
    heard = {u.resource_id: i for i, u in enumerate(storages.units)}
    for name, least_kwh in term.least_kwh.items():
        if not isinstance(b.view.park.resource_by_id.get(name), Storage):
            where = f"StoredFloor ({term.reason})"
            raise DataError(f"{name} stores nothing", where=where, fix="Name storages")
        if name not in heard:
            continue  # it does not say how full it is
        steps = np.flatnonzero(np.isfinite(least_kwh))
        lacking = b.add_columns(steps.shape)
        b.price(lacking, term.shortfall_per_kwh_h * b.hours, "target")
        rows = b.add_rows(steps.shape, least_kwh[steps], np.inf)
        b.put(rows, storages.stored[heard[name], steps], 1.0)
        b.put(rows, lacking, 1.0)
        b.name((f"{name}: {term.reason}",), Side.ROW_LOWER, rows, steps)


def _car(b: Builder, cars: Cars, term: CarDeadline) -> None:
    """What one car has before its deadline; a car that has left is not asked."""
    park = b.view.park
    if not isinstance(park.resource_by_id.get(term.resource_id), EvFleet):
        raise DataError(
            f"{term.resource_id} charges no cars", where="CarDeadline", fix="Name an EV fleet"
        )
    own = cars.level_of.get((term.resource_id, term.session_id))
    if own is None or term.step <= 0:
        return
    last = min(term.step, b.steps) - 1
    lacking = b.add_columns((1,))
    b.price(lacking, term.shortfall_per_kwh, "target")
    row = b.add_rows((1,), term.charged_kwh, np.inf)
    b.put(row, cars.level[own, last], 1.0)
    b.put(row, lacking, 1.0)
    words = f"{term.resource_id}/{term.session_id}: deadline"
    b.name((words,), Side.ROW_LOWER, row, np.array([last]))
