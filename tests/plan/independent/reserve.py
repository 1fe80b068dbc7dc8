"""Headroom that is kept, and sold."""

from __future__ import annotations

import cvxpy as cp
import numpy as np

from tests.plan.independent.sheet import Asked, Kept, Sheet
from vpp.model.ids import ResourceId
from vpp.model.resource import CurtailableLoad, FlexibleLoad, Generator, Storage
from vpp.plan.terms import ReserveHeadroom, Term

Headroom = dict[ResourceId, dict[int, Kept]]


def headroom(terms: tuple[Term, ...]) -> Asked:
    return {n: term for n, term in enumerate(terms) if isinstance(term, ReserveHeadroom)}


def kept_by(sheet: Sheet, name: ResourceId, asked: Asked) -> dict[int, Kept]:
    """Columns for what one resource may keep for each term that names it."""
    resource = sheet.view.park.resource_by_id[name]
    reading = sheet.view.state.reading(resource.resource_id)
    heard = reading is not None and (not isinstance(resource, Storage) or reading.soc is not None)
    able = isinstance(resource, Storage | CurtailableLoad | FlexibleLoad) and heard
    if not able and not isinstance(resource, Generator):
        return {}
    found = {}
    for number, term in asked.items():
        if name not in term.resource_ids:
            continue
        if isinstance(resource, Storage):
            relief, extra = sheet.size(), sheet.size()
            found[number] = Kept(total=relief + extra, relief=relief, extra=extra)
        else:
            found[number] = Kept(total=sheet.size())
    return found


def share_room(sheet: Sheet, kept: Headroom, asked: Asked) -> None:
    """What loads and sources keep for all products together has room beside what they do."""
    for name, of_terms in kept.items():
        part = sheet.parts[name]
        for up, room in ((True, part.up_room), (False, part.down_room)):
            totals = [k.total for number, k in of_terms.items() if asked[number].up is up]
            if totals and room is not None:
                sheet.hold(sum(totals[1:], start=totals[0]) <= room)


def products(sheet: Sheet, kept: Headroom, asked: Asked) -> None:
    for number, term in asked.items():
        totals = [of_terms[number].total for of_terms in kept.values() if number in of_terms]
        sold, lacking = sheet.size(term.open_kw), sheet.size()
        owed = term.firm_kw + sold
        everything = sum(totals, start=np.zeros(sheet.steps))
        # Nobody keeps more than is owed: calls that nobody makes would earn.
        most = 2 * owed if term.survives_largest else owed
        sheet.hold(everything + lacking >= owed, everything <= most)
        if term.survives_largest:
            for failing in totals:
                sheet.hold(everything - failing + lacking >= owed)
        for step in range(1, sheet.steps):
            if (step + term.elapsed_steps) % term.block_steps:
                sheet.hold(sold[step] == sold[step - 1])
        hours = sheet.hours
        sheet.pay(hours * (term.shortfall_per_kw_h * cp.sum(lacking) - term.price_per_kw_h @ sold))
        if term.called_per_kwh is not None and totals:
            earns = (1 if term.up else -1) * term.called_share * hours
            sheet.pay(-earns * (term.called_per_kwh @ everything))
