"""The bill of a schedule, worked out from its powers and the terms alone, in plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import EvFleet, Generator, Storage, ThermalZone
from vpp.model.schedule import Schedule
from vpp.plan.terms import (
    ActivityPrice,
    Cap,
    CarbonPrice,
    CarDeadline,
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
    StoredFloor,
    Term,
)
from vpp.plan.validate.activities import activity_units, green_kwh, turned_down_kwh
from vpp.plan.validate.case import Case, parts
from vpp.plan.validate.compare import Cost, column, priced, slack
from vpp.plan.validate.owners import owners_cost
from vpp.plan.validate.reserve import reserve_cost
from vpp.plan.validate.tree import beyond_kw, bounds, called_kw, place_kw, within_margin_kw
from vpp.plan.view import PlanningView


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
    for cost in _costs(case):
        bill[cost.cause] = bill.get(cost.cause, 0.0) + cost.amount
    return bill


def bill_faults(case: Case) -> Iterator[str]:
    """Causes that cost another sum than the schedule says."""
    said, bill = case.schedule.cost_by_cause, dict.fromkeys(case.schedule.cost_by_cause, 0.0)
    size = dict.fromkeys(bill, 0.0)
    for cost in _costs(case):
        bill[cost.cause] = bill.get(cost.cause, 0.0) + cost.amount
        size[cost.cause] = size.get(cost.cause, 0.0) + cost.size
    for cause, ours in sorted(bill.items()):
        theirs = said.get(cause, 0.0)
        if not abs(ours - theirs) <= slack(size[cause]):
            yield f"{cause}: the bill is {ours:.6f}, the solver says {theirs:.6f}"


def _costs(case: Case) -> Iterator[Cost]:
    yield from _limits(case)
    yield from owners_cost(case)
    yield from _network(case, [term for term in case.terms if isinstance(term, EnergyPrice)])
    for term in case.terms:
        yield from _term(case, term)


def _limits(case: Case) -> Iterator[Cost]:
    """What lies beyond the limits of the tree, beyond the orders upon it, and within their margins."""
    for some in parts(tuple(bounds(case))):
        kw = np.array([place_kw(case, bound.place) for bound in some])
        more, less = (
            np.array([called_kw(case, bound.place, up=up) for bound in some])
            for up in (True, False)
        )
        limits_kw = (np.array([b.import_kw for b in some]), np.array([b.export_kw for b in some]))
        beyond = beyond_kw(kw - less, kw + more, *limits_kw)
        price = case.limit_excess_price_per_kwh * column(b.dearer for b in some) * case.hours
        yield priced("limit excess", price, beyond, kw, more, less)
        for row, bound in enumerate(some):
            if bound.margin is not None:
                used = within_margin_kw((kw - less)[row], (kw + more)[row], bound)
                per_kw = bound.margin.price_per_kwh * case.hours
                yield priced("margin", per_kw, used, kw[row], more[row], less[row])


def _term(case: Case, term: Term) -> Iterator[Cost]:
    """What one term costs."""
    match term:
        case EnergyPrice():
            pass  # all together, above
        case OpenTrade() | Commitment():
            yield _energy(case, term)
        case PeakCharge():
            yield from _peak(case.schedule.connection_point_kw[term.connection_point_id], term)
        case ReserveHeadroom():
            yield from reserve_cost(case, term)
        case StoredEnergyValue():
            yield from _left_in_stores(case, term)
        case ActivityPrice():
            yield _quota(case, term)
        case EnergyTarget() | Cap() | ChangePenalty():
            yield from _asked(case, term)
        case StoredFloor() | CarDeadline():
            yield from _kept(case, term)
        case CarbonPrice():
            yield from _carbon(case, term)
        case GreenShare():
            used, green = _used_kwh(case), _green_used_kwh(case)
            lacking = max(term.share * used - green, 0.0)
            yield priced("green share", term.shortfall_per_kwh, lacking, used, green)
        case EqualBurden():
            yield priced("burden", term.price_per_share, _highest_burden(case, term))
        case _:
            assert_never(term)


def _network(case: Case, every: Sequence[EnergyPrice]) -> Iterator[Cost]:
    """Energy over the meters."""
    for terms in parts(every):
        kw = np.array([case.schedule.connection_point_kw[t.connection_point_id] for t in terms])
        dear = np.array([np.broadcast_to(t.import_per_kwh, case.steps) for t in terms])
        cheap = np.array([np.broadcast_to(t.export_per_kwh, case.steps) for t in terms])
        yield priced("network energy", np.where(kw < 0, dear, cheap) * case.hours, -kw)


def _energy(case: Case, term: OpenTrade | Commitment) -> Cost:
    """Energy at the market, and what is left over between it and the meters."""
    schedule, summed = case.schedule, list[Floats]()
    match term:
        case OpenTrade():
            cause, kw = "market", schedule.trade_kw[term.product_id]
            dear, cheap = term.buy_per_kwh, term.sell_per_kwh
        case Commitment():
            traded = sum(schedule.trade_kw.values(), case.zeros())
            summed = [schedule.net_kw, schedule.committed_kw, traded]
            cause, kw = "imbalance", schedule.net_kw - schedule.committed_kw - traded
            dear, cheap = term.short_per_kwh, term.long_per_kwh
    per_kw = np.where(kw < 0, dear, cheap) * case.hours
    return priced(cause, per_kw, -kw, *summed)


def _peak(point_kw: Floats, term: PeakCharge) -> Iterator[Cost]:
    """What lies above the peak that is free, and how far the margin below the new one is used."""
    import_kw = np.maximum(-point_kw, 0.0)
    highest = _highest_kw(import_kw, np.zeros_like(import_kw), term)
    above = max(highest - term.free_kw, 0.0)
    yield priced("peak", term.price_per_kw, above, highest, term.free_kw)
    if term.margin is not None:
        perhaps = _highest_kw(import_kw, term.margin.import_kw, term)
        used = max(perhaps - term.free_kw - above, 0.0)
        yield priced("margin", term.price_per_kw * term.margin.share, used, perhaps, term.free_kw)


def _highest_kw(import_kw: Floats, spare_kw: Floats, term: PeakCharge) -> float:
    """The highest mean of the metering intervals that count, of imports and the room beside them."""
    if term.first_step >= term.last_step:
        return 0.0  # no interval that could be metered
    begins = np.arange(term.first_step - term.elapsed_steps, term.last_step, term.interval_steps)
    first, last = np.maximum(begins, term.first_step), term.last_step
    length = np.diff(np.append(begins, last))  # what has passed of the first one counts
    drawn = np.add.reduceat((import_kw + spare_kw)[:last], first)
    drawn[0] += term.elapsed_steps * term.elapsed_kw
    counts = True if term.counts is None else np.logical_or.reduceat(term.counts[:last], first)
    return float(np.max(drawn / length, initial=0.0, where=counts))


def _asked(case: Case, term: EnergyTarget | Cap | ChangePenalty) -> Iterator[Cost]:
    """What a strategy asks, where it is missed."""
    schedule, hours = case.schedule, case.hours
    match term:
        case EnergyTarget():
            if term.resource_id in schedule.stored_kwh:
                stored = float(schedule.stored_kwh[term.resource_id][term.step])
                lacking = max(term.stored_kwh - stored, 0.0)
                yield priced("target", term.shortfall_per_kwh, lacking, stored, term.stored_kwh)
        case Cap():
            nothing = np.full(case.steps, np.inf)
            kw: Floats = np.sum([place_kw(case, at) for at in (term.place, *term.also)], axis=0)
            beyond = beyond_kw(
                kw,
                kw,
                nothing if term.import_kw is None else term.import_kw,
                nothing if term.export_kw is None else term.export_kw,
            )
            yield priced("cap excess", term.excess_per_kwh * hours, beyond, kw)
        case ChangePenalty():
            for name, announced in term.announced_kw.items():
                kw, told = case.power(name), np.isfinite(announced)
                moved = np.abs(kw - announced)[told]
                yield priced("change", term.price_per_kwh * hours, moved, kw[told])


def _kept(case: Case, term: StoredFloor | CarDeadline) -> Iterator[Cost]:
    """What lacks in stores in each step that is asked, and in a car at its deadline."""
    schedule, hours = case.schedule, case.hours
    match term:
        case StoredFloor():
            for name in term.least_kwh.keys() & schedule.stored_kwh.keys():
                least_kwh, stored_kwh = term.least_kwh[name], schedule.stored_kwh[name]
                asked = np.isfinite(least_kwh)
                lacking = np.maximum((least_kwh - stored_kwh)[asked], 0.0)
                per_kwh = term.shortfall_per_kwh_h * hours
                yield priced("target", per_kwh, lacking, stored_kwh[asked])
        case CarDeadline():
            kw = schedule.cars_kw.get(f"{term.resource_id}/{term.session_id}")
            fleet = case.view.park.resource_by_id[term.resource_id]
            if kw is not None and isinstance(fleet, EvFleet) and term.step > 0:
                into = np.maximum(-kw, 0.0) * fleet.charge_efficiency
                out = np.maximum(kw, 0.0) / fleet.discharge_efficiency
                charged_kwh = float((into - out)[: term.step].sum()) * hours
                lacking_kwh = max(term.charged_kwh - charged_kwh, 0.0)
                yield priced("target", term.shortfall_per_kwh, lacking_kwh, charged_kwh)


def _carbon(case: Case, term: CarbonPrice) -> Iterator[Cost]:
    """Of what is imported by the grid's factor, of what generators feed by theirs."""
    holds = np.zeros(case.steps)
    holds[term.first_step : term.last_step] = term.price_per_kgco2 * case.hours
    for kw in case.schedule.connection_point_kw.values():
        per_kw = holds * term.grid_kgco2_per_kwh
        yield priced("carbon", per_kw, np.maximum(-kw, 0.0), kw)
    for unit in case.view.park.kindred(Generator).units:
        yield priced("carbon", holds * unit.kgco2_per_kwh, case.power(unit.resource_id))


def _quota(case: Case, term: ActivityPrice) -> Cost:
    """What a quota counts; energy comes from many rows."""
    units = activity_units(case, term)
    return priced("quota", term.price_per_unit, units, case.steps * case.hours)


def _used_kwh(case: Case) -> float:
    """What the park uses: imported and fed by all sources, less what is exported."""
    net = float(case.schedule.net_kw.sum()) * case.hours
    fed = sum(
        float(case.power(r.resource_id).sum()) * case.hours
        for r in case.view.park.kindred(Generator).units
    )
    return fed - net


def _green_used_kwh(case: Case) -> float:
    """What green sources feed, less what is exported."""
    points = np.array(list(case.schedule.connection_point_kw.values()))
    return green_kwh(case) - float(np.maximum(points, 0.0).sum()) * case.hours


def _highest_burden(case: Case, term: EqualBurden) -> float:
    """The largest relative burden among the members."""
    span_h = case.view.horizon.steps * case.view.horizon.step / timedelta(hours=1)
    shares = [0.0]
    for name, borne_kwh in term.borne_kwh.items():
        most_kwh = case.view.park.resource_by_id[name].draw_kw * span_h
        shares.append((borne_kwh + turned_down_kwh(case, name)) / most_kwh)
    return max(shares)


def _left_in_stores(case: Case, term: StoredEnergyValue) -> Iterator[Cost]:
    """Electricity that what is left in stores stands for at the end of the horizon."""
    schedule, price = case.schedule, term.price_per_kwh
    kindred = case.view.park.kindred
    stores = [r for r in kindred(Storage).units if r.resource_id in schedule.stored_kwh]
    left = [float(schedule.stored_kwh[store.resource_id][-1]) for store in stores]
    worth = [s.discharge_efficiency * term.electricity_of(s.node_id) for s in stores]
    yield priced("stored energy", -price * np.array(worth), np.array(left))
    for zone in kindred(ThermalZone).units:
        if zone.resource_id in schedule.temperature_degc:
            sign = 1.0 if zone.heating else -1.0
            degc = float(schedule.temperature_degc[zone.resource_id][-1])
            per_degc = price * sign * zone.capacity_kwh_per_degc / zone.cop
            yield priced("stored energy", -per_degc, degc)
