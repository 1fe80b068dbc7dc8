"""The bill of a schedule, worked out from its powers and the terms alone, in plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.resource import Generator, Storage, ThermalZone
from vpp.model.schedule import Schedule
from vpp.plan.terms import (
    ActivityPrice,
    Cap,
    CarbonPrice,
    ChangePenalty,
    Commitment,
    EnergyPrice,
    EnergyTarget,
    EqualBurden,
    GreenShare,
    OpenTrade,
    PeakCharge,
    ReserveHeadroom,
    StoredEnergyValue,
    Term,
)
from vpp.plan.validate.activities import activity_units, green_kwh, turned_down_kwh
from vpp.plan.validate.case import Case, electric
from vpp.plan.validate.compare import slack
from vpp.plan.validate.owners import owners_cost
from vpp.plan.validate.reserve import reserve_cost
from vpp.plan.validate.tree import beyond_kw, bounds, place_kw
from vpp.plan.view import PlanningView

Cost = tuple[str, float]
"""Cause and cost, in the park's currency."""


def bill_by_cause(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    *,
    limit_excess_price_per_kwh: float,
) -> dict[str, float]:
    """The bill, in the park's currency, under the names that `Schedule.cost_by_cause` uses."""
    case = Case(
        schedule=schedule,
        view=view,
        terms=terms,
        limit_excess_price_per_kwh=limit_excess_price_per_kwh,
    )
    bill: dict[str, float] = {}
    for cause, cost in (*_limits(case), *owners_cost(case), *_priced(case)):
        bill[cause] = bill.get(cause, 0.0) + cost
    return bill


def bill_faults(case: Case) -> Iterator[str]:
    """Causes that cost another sum than the schedule says."""
    bill = bill_by_cause(
        case.schedule,
        case.view,
        case.terms,
        limit_excess_price_per_kwh=case.limit_excess_price_per_kwh,
    )
    said = case.schedule.cost_by_cause
    # Many rows add up: ten times what a row may be off, of all that changes hands.
    allowed = slack(*(10 * cost for cost in bill.values()))
    for cause in sorted(bill.keys() | said.keys()):
        ours, theirs = bill.get(cause, 0.0), said.get(cause, 0.0)
        if not abs(ours - theirs) <= allowed:
            yield f"{cause}: the bill is {ours:.6f}, the solver says {theirs:.6f}"


def _limits(case: Case) -> Iterator[Cost]:
    """What lies beyond the limits of the tree, and beyond the orders upon it."""
    for bound in bounds(case):
        beyond = beyond_kw(place_kw(case, bound.place), bound.import_kw, bound.export_kw)
        price = case.limit_excess_price_per_kwh * bound.dearer * case.hours
        yield "limit excess", price * float(beyond.sum())


def _priced(case: Case) -> Iterator[Cost]:
    """Cause and cost of each term."""
    for term in case.terms:
        match term:
            case EnergyPrice() | OpenTrade() | Commitment():
                yield _energy(case, term)
            case PeakCharge():
                above = max(_peak_kw(case.schedule.connection_point_kw, term) - term.free_kw, 0.0)
                yield "peak", term.price_per_kw * above
            case ReserveHeadroom():
                yield from reserve_cost(case, term)
            case StoredEnergyValue():
                yield "stored energy", -term.price_per_kwh * _left_in_stores_kwh(case)
            case ActivityPrice():
                yield "quota", term.price_per_unit * activity_units(case, term)
            case EnergyTarget() | Cap() | ChangePenalty() | CarbonPrice():
                yield _asked(case, term)
            case GreenShare():
                yield "green share", term.shortfall_per_kwh * _green_lacking_kwh(case, term)
            case EqualBurden():
                yield "burden", term.price_per_share * _highest_burden(case, term)
            case _:
                assert_never(term)


def _energy(case: Case, term: EnergyPrice | OpenTrade | Commitment) -> Cost:
    """Energy over the meter, at the market, and what is left over between the two."""
    schedule = case.schedule
    match term:
        case EnergyPrice():
            cause, kw = "network energy", schedule.connection_point_kw[term.connection_point_id]
            dear, cheap = term.import_per_kwh, term.export_per_kwh
        case OpenTrade():
            cause, kw = "market", schedule.trade_kw[term.product_id]
            dear, cheap = term.buy_per_kwh, term.sell_per_kwh
        case Commitment():
            traded = sum(schedule.trade_kw.values(), case.zeros())
            cause, kw = "imbalance", schedule.net_kw - schedule.committed_kw - traded
            dear, cheap = term.short_per_kwh, term.long_per_kwh
    cost = np.maximum(-kw, 0) @ dear - np.maximum(kw, 0) @ cheap
    return cause, float(cost) * case.hours


def _peak_kw(points: Mapping[ConnectionPointId, Floats], term: PeakCharge) -> float:
    """The highest mean import of the metering intervals that count."""
    imports = np.maximum(-points[term.connection_point_id], 0.0)
    highest, first = 0.0, term.first_step
    gone = term.elapsed_steps
    while first < term.last_step:
        last = min(first + term.interval_steps - gone, term.last_step)
        if term.counts is None or term.counts[first:last].any():
            known = float(imports[first:last].sum()) + gone * term.elapsed_kw
            highest = max(highest, known / (last - first + gone))
        first, gone = last, 0
    return highest


def _asked(case: Case, term: EnergyTarget | Cap | ChangePenalty | CarbonPrice) -> Cost:
    """What a strategy asks and is missed, and carbon."""
    schedule, hours = case.schedule, case.hours
    match term:
        case EnergyTarget():
            if term.resource_id not in schedule.stored_kwh:
                return "target", 0.0
            stored = float(schedule.stored_kwh[term.resource_id][term.step])
            return "target", term.shortfall_per_kwh * max(term.stored_kwh - stored, 0.0)
        case Cap():
            nothing = np.full(case.steps, np.inf)
            beyond = beyond_kw(
                place_kw(case, term.place),
                nothing if term.import_kw is None else term.import_kw,
                nothing if term.export_kw is None else term.export_kw,
            )
            return "cap excess", term.excess_per_kwh * hours * float(beyond.sum())
        case ChangePenalty():
            moved = sum(
                float(np.nansum(np.abs(case.power(name) - announced)))
                for name, announced in term.announced_kw.items()
            )
            return "change", term.price_per_kwh * hours * moved
        case CarbonPrice():
            return "carbon", term.price_per_kgco2 * _carbon_kg(case, term)


def _carbon_kg(case: Case, term: CarbonPrice) -> float:
    points = case.schedule.connection_point_kw.values()
    kg_per_h = sum(float(np.maximum(-kw, 0.0) @ term.grid_kgco2_per_kwh) for kw in points)
    for unit in case.view.park.resources:
        if isinstance(unit, Generator):
            kg_per_h += unit.kgco2_per_kwh * float(case.power(unit.resource_id).sum())
    return kg_per_h * case.hours


def _green_lacking_kwh(case: Case, term: GreenShare) -> float:
    points = np.array(list(case.schedule.connection_point_kw.values()))
    imported = float(np.maximum(-points, 0.0).sum()) * case.hours
    exported = float(np.maximum(points, 0.0).sum()) * case.hours
    fed = sum(
        float(case.power(r.resource_id).sum()) * case.hours
        for r in case.view.park.resources
        if isinstance(r, Generator)
    )
    used = imported + fed - exported
    return max(term.share * used - (green_kwh(case) - exported), 0.0)


def _highest_burden(case: Case, term: EqualBurden) -> float:
    """The largest relative burden among the members."""
    span_h = case.view.horizon.steps * case.view.horizon.step / timedelta(hours=1)
    shares = [0.0]
    for name, borne_kwh in term.borne_kwh.items():
        most_kwh = case.view.park.resource_by_id[name].draw_kw * span_h
        shares.append((borne_kwh + turned_down_kwh(case, name)) / most_kwh)
    return max(shares)


def _left_in_stores_kwh(case: Case) -> float:
    """Electricity that what is left in stores stands for at the end of the horizon."""
    schedule, total = case.schedule, 0.0
    for resource in case.view.park.resources:
        name = resource.resource_id
        if isinstance(resource, Storage) and electric(resource) and name in schedule.stored_kwh:
            total += float(schedule.stored_kwh[name][-1]) * resource.discharge_efficiency
        if isinstance(resource, ThermalZone) and name in schedule.temperature_degc:
            sign = 1.0 if resource.heating else -1.0
            degc = float(schedule.temperature_degc[name][-1])
            total += sign * degc * resource.capacity_kwh_per_degc / resource.cop
    return total
