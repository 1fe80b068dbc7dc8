"""Reserve: what is kept free is there, suffices for what is owed, and costs what it is said to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import CurtailableLoad, FlexibleLoad, Generator, Resource, Storage
from vpp.model.schedule import Reserve
from vpp.plan.terms import ReserveHeadroom
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import Cost, between, priced, slack
from vpp.plan.validate.flexible import in_window, openings
from vpp.plan.validate.generator import has_kw
from vpp.plan.validate.loads import curtailable_kw
from vpp.plan.validate.storage import (
    before,
    floor_kwh,
    kept_kw,
    opening_kwh,
    power_share,
)


def reserve_faults(case: Case) -> Iterator[str]:
    """Reserve that nobody has, or that is sold and not kept."""
    products = case.reserves
    if not products:
        return
    for term in products:
        yield from _product(case, term, case.schedule.reserve[term.key])
    for resource in case.view.park.resources:
        for up in (True, False):
            asked = [t for t in products if t.up == up and _keeps(case, t, resource)]
            if asked:
                yield from _resource(case, resource, asked, up=up)


def _keeps(case: Case, term: ReserveHeadroom, resource: Resource) -> bool:
    return resource.resource_id in case.schedule.reserve[term.key].kept_kw


def _product(case: Case, term: ReserveHeadroom, reserve: Reserve) -> Iterator[str]:
    """What is sold and owed is kept, or said to lack."""
    key = f"reserve {term.key}"
    for name in reserve.kept_kw.keys() - term.resource_ids:
        yield f"{key}: {name} keeps it, and was not asked"
    sold, lacking = reserve.sold_kw, reserve.lacking_kw
    yield from between(f"{key}: open_kw", sold, 0.0, term.open_kw)
    yield from between(f"{key}: lacking", lacking, 0.0, inf)
    numbers = (np.arange(case.steps) + term.elapsed_steps) // term.block_steps
    for number in range(int(numbers[-1]) + 1):
        block = sold[numbers == number]
        if not np.ptp(block) <= slack(block[0]):
            yield f"{key}: block_steps: {block} kW in block {number}, one quantity is asked"
    kept = [case.zeros(), *reserve.kept_kw.values()]
    total, owed = np.sum(kept, axis=0), term.firm_kw + sold
    yield from between(f"{key}: kept", total + lacking, owed, inf, lacking, sold, *kept)
    most = (2 if term.survives_largest else 1) * owed
    yield from between(f"{key}: kept beyond what is owed", total, 0.0, most, *kept)
    if term.survives_largest:
        for name, kw in reserve.kept_kw.items():
            rest = total - kw + lacking
            yield from between(f"{key}: without {name}", rest, owed, inf, lacking, sold, *kept)


def _resource(
    case: Case, resource: Resource, asked: Sequence[ReserveHeadroom], *, up: bool
) -> Iterator[str]:
    """One resource keeps, for all products of one direction together, no more than it has."""
    name = resource.resource_id
    words = f"{name}: reserve {'up' if up else 'down'}"
    parts = [kept_kw(case, term, name)[0] for term in asked]
    for kept in parts:
        yield from between(words, kept, 0.0, inf)
    total = np.sum(parts, axis=0)
    match resource:
        case Storage():
            yield from _storage(case, resource, asked, words, up=up)
        case Generator():
            feed, has = case.power(name), has_kw(case, resource)
            most = has - feed if up else feed - resource.must_run_share * has
            yield from between(words, total, 0.0, most, feed, has, *parts)
        case CurtailableLoad():
            curtailed = case.of(case.schedule.curtailed_kw, name)
            share = curtailable_kw(case, resource)
            heard = case.reading(name) is not None
            most = np.maximum(share - curtailed, 0.0) if up else curtailed
            yield from between(words, total, 0.0, most * heard, share, curtailed, *parts)
        case FlexibleLoad():
            draw, heard = -case.power(name), case.reading(name) is not None
            most = (
                draw
                if up
                else resource.max_draw_kw * in_window(case, resource, openings(case, resource))
                - draw
            )
            yield from between(words, total, 0.0, most * heard, draw, *parts)
        case _:
            yield from between(f"{words}, which it cannot keep", total, 0.0, 0.0)


def _storage(
    case: Case, unit: Storage, asked: Sequence[ReserveHeadroom], words: str, *, up: bool
) -> Iterator[str]:
    """Power beside the plan, and the energy (or the room) for a call of each product."""
    name, opening = unit.resource_id, opening_kwh(case, unit)
    both = [kept_kw(case, term, name) for term in asked]
    if opening is None:
        total = np.sum([kept for kept, _ in both], axis=0)
        yield from between(f"{words}, not knowing how full it is", total, 0.0, 0.0)
        return
    free = ~case.view.in_hand(name)
    power, share = case.power(name), power_share(case, unit) * free
    charge, discharge = np.maximum(-power, 0.0), np.maximum(power, 0.0)
    reliefs = [relief for _, relief in both]
    extras = [kept - relief for kept, relief in both]
    for relief, extra in zip(reliefs, extras, strict=True):
        yield from between(f"{words}: relief", relief, 0.0, inf)
        yield from between(f"{words}: extra", extra, 0.0, inf, relief)
    moving, size = (charge, unit.max_discharge_kw) if up else (discharge, unit.max_charge_kw)
    other, taper = discharge if up else charge, _taper(case, unit, opening, up=up)
    yield from between(f"{words}: relief", np.sum(reliefs, axis=0), 0.0, moving * free, *reliefs)
    yield from between(
        f"{words}: extra",
        np.sum(extras, axis=0),
        0.0,
        size * share * taper - other * free,
        other,
        *extras,
    )
    into, out = unit.charge_efficiency, 1 / unit.discharge_efficiency
    per_relief, per_extra = (into, out) if up else (out, into)
    energy: list[Floats] = [
        term.activation_hours * (per_relief * relief + per_extra * extra)
        for term, relief, extra in zip(asked, reliefs, extras, strict=True)
    ]
    # A call may come as a step begins and, where the product asks for that, as it ends.
    at_end = [kwh for term, kwh in zip(asked, energy, strict=True) if term.held_at_end]
    moments = ((before(case, unit, opening), energy), (case.schedule.stored_kwh[name], at_end))
    for held, parts in moments:
        room = held - floor_kwh(case, unit, opening) if up else unit.capacity_kwh - held
        total = np.sum([case.zeros(), *parts], axis=0)
        most = np.maximum(room, 0.0)
        key = f"{words}: activation_hours"
        yield from between(key, total, 0.0, most, held, *parts, unit="kWh")


def _taper(case: Case, unit: Storage, opening: float, *, up: bool) -> Floats:
    """Share of its power that a store has at the level before each step, shape (T,)."""
    soc = before(case, unit, opening) / max(unit.capacity_kwh, 1e-9)
    if up and unit.discharge_taper_soc > 0:
        return np.minimum(soc / unit.discharge_taper_soc, 1.0)
    if not up and unit.charge_taper_soc < 1:
        return np.minimum((1 - soc) / (1 - unit.charge_taper_soc), 1.0)
    return np.ones(case.steps)


def reserve_cost(case: Case, term: ReserveHeadroom) -> Iterator[Cost]:
    """What is sold earns, what lacks costs, and what is called earns (up) or costs (down)."""
    reserve, hours = case.schedule.reserve[term.key], case.hours
    yield priced("reserve", term.shortfall_per_kw_h * hours, reserve.lacking_kw)
    yield priced("reserve", -term.price_per_kw_h * hours, reserve.sold_kw)
    if term.called_per_kwh is not None:
        kept = np.sum([case.zeros(), *reserve.kept_kw.values()], axis=0)
        per_kw = term.called_per_kwh * term.called_share * hours
        yield priced("reserve energy", -per_kw if term.up else per_kw, kept)
