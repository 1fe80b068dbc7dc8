"""Terms with rows of their own, which may be missed for a price.

    target   stored[t] + lacking >= target
    green    Σ (green fed - exported) - share·Σ (imported + all fed - exported) + lacking >= 0   (kWh)
    change   power - over + under = announced
    burden   highest - Σ turned down / size >= borne / size

A size is the energy that a member draws at its largest over the horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import numpy as np

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.resource import CurtailableLoad, InterruptibleLoad, Storage
from vpp.plan.compiled import Fleet
from vpp.plan.kinds.storage import Storages
from vpp.plan.programme import Builder, Counted, Ints, Side
from vpp.plan.terms import ChangePenalty, EnergyTarget, EqualBurden, GreenShare


def add(
    b: Builder, fleet: Fleet, term: EnergyTarget | GreenShare | ChangePenalty | EqualBurden
) -> None:
    """The rows of one term.

    Raises:
        DataError: It names what the park does not have, or what does not fit it.
    """
    match term:
        case EnergyTarget():
            _target(b, fleet.storages, term)
        case GreenShare():
            _green_share(b, fleet, term)
        case ChangePenalty():
            _change(b, term)
        case EqualBurden():
            _burden(b, term)
        case _:
            assert_never(term)


def _target(b: Builder, storages: Storages, term: EnergyTarget) -> None:
    """Energy that is wanted in one store at the end of one step."""
    if (
        not isinstance(b.view.park.resource_by_id.get(term.resource_id), Storage)
        or not 0 <= term.step < b.steps
    ):
        raise DataError(
            f"{term.resource_id} in step {term.step} ({term.reason})",
            where="EnergyTarget",
            fix=f"Name a storage of the park, and a step from 0 to {b.steps - 1}",
        )
    at = [i for i, u in enumerate(storages.units) if u.resource_id == term.resource_id]
    if not at:
        return  # it does not say how full it is
    lacking = b.add_columns((1,))
    b.price(lacking, term.shortfall_per_kwh, "target")
    rows = b.add_rows((1,), term.stored_kwh, np.inf)
    b.put(rows, storages.stored[at, term.step], 1.0)
    b.put(rows, lacking, 1.0)
    b.name((f"{term.resource_id}: {term.reason}",), Side.ROW_LOWER, rows, np.array([term.step]))


def _green_share(b: Builder, fleet: Fleet, term: GreenShare) -> None:
    """The share of green energy in what the park uses over the horizon."""
    points, generators = fleet.points, fleet.generators
    row = b.add_rows((1,), 0.0, np.inf, couples=True)
    green = np.array([float(unit.green) for unit in generators.units])[:, None]
    lacking = b.add_columns((1,))
    b.price(lacking, term.shortfall_per_kwh, "green share")
    for columns, per_unit in (
        (points.imports, -term.share * b.hours),
        (points.exports, (term.share - 1) * b.hours),
        (generators.feed, (green - term.share) * b.hours),
        (lacking, 1.0),
    ):
        b.put(row, columns, per_unit)
    b.name(("green share",), Side.ROW_LOWER, row)


def _change(b: Builder, term: ChangePenalty) -> None:
    """How far each resource is from what was announced of it, in the steps that were."""
    if not term.announced_kw:
        return
    which = _rows(b, term.announced_kw, "ChangePenalty")
    announced = np.array(list(term.announced_kw.values()))
    told, steps = np.nonzero(np.isfinite(announced))
    given = announced[told, steps] - b.base_kw[which[told], steps]
    rows = b.add_rows((len(told),), given, given)
    b.put_power(rows, which[told], steps)
    for sign in (-1.0, 1.0):
        off = b.add_columns((len(told),))
        b.price(off, term.price_per_kwh * b.hours, "change")
        b.put(rows, off, sign)


def _burden(b: Builder, term: EqualBurden) -> None:
    """The highest share that any member bears of what is asked."""
    highest = b.add_columns((1,))
    b.price(highest, term.price_per_share, "burden")
    members = _rows(b, term.borne_kwh, "EqualBurden")
    for row, (resource_id, borne_kwh) in zip(members, term.borne_kwh.items(), strict=True):
        resource = b.view.park.resource_by_id[resource_id]
        if not isinstance(resource, CurtailableLoad | InterruptibleLoad) or not resource.draw_kw:
            raise DataError(
                f"{resource_id} is never turned down",
                where="EqualBurden",
                fix="Name curtailable and interruptible loads that draw something",
            )
        most_kwh = resource.draw_kw * b.steps * b.hours
        columns, kwh = b.counted(Counted.TURNED_DOWN_KWH, int(row))
        share = b.add_rows((1,), borne_kwh / most_kwh, np.inf, couples=True)
        b.put(share, highest, 1.0)
        b.put(share, columns, -kwh / most_kwh)


def _rows(b: Builder, names: Iterable[ResourceId], where: str) -> Ints:
    unknown = sorted(set(names) - b.row_of.keys())
    if unknown:
        raise DataError(
            f"{unknown} are not of the park", where=where, fix=f"Name some of {sorted(b.row_of)}"
        )
    return b.rows(list(names))
