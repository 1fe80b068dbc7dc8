"""Every other term: what trade, tariffs and wishes cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.grid import Grid, below
from tests.plan.independent.sheet import Line, Sheet
from vpp.model.resource import Generator, Storage, ThermalZone
from vpp.plan.terms import (
    Activity,
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


def pay_for(sheet: Sheet, grid: Grid, terms: tuple[Term, ...]) -> None:
    trades = [term for term in terms if isinstance(term, Commitment | OpenTrade)]
    if trades:
        position = sum(
            _commitment(sheet, t) if isinstance(t, Commitment) else _trade(sheet, t) for t in trades
        )
        sheet.hold(grid.net(list(grid.imports)) == position)
    for term in terms:
        match term:
            case Commitment() | OpenTrade() | ReserveHeadroom():
                pass  # above, and in reserve.py
            case EnergyPrice() | PeakCharge() | Cap():
                _pay_grid(sheet, grid, term)
            case CarbonPrice():
                _carbon(sheet, grid, term)
            case GreenShare():
                _green_share(sheet, grid, term)
            case ActivityPrice():
                sheet.pay(term.price_per_unit * _done(sheet, grid, term))
            case EnergyTarget() | ChangePenalty() | EqualBurden() | StoredEnergyValue():
                _pay_resources(sheet, term)
            case StoredFloor() | CarDeadline():
                _keep(sheet, term)


def _pay_grid(sheet: Sheet, grid: Grid, term: EnergyPrice | PeakCharge | Cap) -> None:
    match term:
        case EnergyPrice(connection_point_id=point):
            imported = term.import_per_kwh @ grid.imports[point]
            sheet.pay(sheet.hours * (imported - term.export_per_kwh @ grid.exports[point]))
        case PeakCharge():
            _peak(sheet, grid, term)
        case Cap():
            _cap(sheet, grid, term)


def _pay_resources(
    sheet: Sheet, term: EnergyTarget | ChangePenalty | EqualBurden | StoredEnergyValue
) -> None:
    match term:
        case EnergyTarget():
            stored = sheet.parts[term.resource_id].stored
            sheet.pay(term.shortfall_per_kwh * cp.pos(term.stored_kwh - stored[term.step]))
        case ChangePenalty():
            _changes(sheet, term)
        case EqualBurden():
            _burden(sheet, term)
        case StoredEnergyValue():
            _stored_value(sheet, term)


def _keep(sheet: Sheet, term: StoredFloor | CarDeadline) -> None:
    match term:
        case StoredFloor():
            for name, least_kwh in term.least_kwh.items():
                asked = np.flatnonzero(~np.isnan(least_kwh))
                stored = sheet.parts[name].stored
                if stored is not None and len(asked):
                    lacking = cp.pos(least_kwh[asked] - stored[asked])
                    sheet.pay(term.shortfall_per_kwh_h * sheet.hours * cp.sum(lacking))
        case CarDeadline():
            level = sheet.parts[term.resource_id].levels[term.session_id]
            if term.step > 0:
                charged = level[min(term.step, sheet.steps) - 1]
                sheet.pay(term.shortfall_per_kwh * cp.pos(term.charged_kwh - charged))


def _commitment(sheet: Sheet, term: Commitment) -> Any:
    short, long = sheet.size(), sheet.size()
    sheet.pay(sheet.hours * (term.short_per_kwh @ short - term.long_per_kwh @ long))
    return term.base_kw - short + long


def _trade(sheet: Sheet, term: OpenTrade) -> Any:
    sold, bought = sheet.size(term.max_kw), sheet.size(term.max_kw)
    sheet.pay(sheet.hours * (term.buy_per_kwh @ bought - term.sell_per_kwh @ sold))
    sheet.traded.append(sold - bought)
    return sold - bought


def _peak(sheet: Sheet, grid: Grid, term: PeakCharge) -> None:
    """Highest mean of the intervals, what lies above what is free already; and what may lie above that."""
    imports = grid.imports[term.connection_point_id]
    means, perhaps = [], []
    spare_kw = np.zeros(sheet.steps) if term.margin is None else term.margin.import_kw
    first, elapsed = term.first_step, term.elapsed_steps
    while first < term.last_step:
        last = min(first + term.interval_steps - elapsed, term.last_step)
        if term.counts is None or term.counts[first:last].any():
            whole = elapsed + last - first
            means.append((elapsed * term.elapsed_kw + cp.sum(imports[first:last])) / whole)
            perhaps.append(means[-1] + spare_kw[first:last].sum() / whole)
        first, elapsed = last, 0
    if means:
        above, used = sheet.size(shape=1), sheet.size(shape=1)
        sheet.hold(above >= cp.max(cp.hstack(means)) - term.free_kw)
        sheet.hold(above + used >= cp.max(cp.hstack(perhaps)) - term.free_kw)
        share = 0.0 if term.margin is None else term.margin.share
        sheet.pay(term.price_per_kw * cp.sum(above + share * used))


def _cap(sheet: Sheet, grid: Grid, term: Cap) -> None:
    net = grid.net([point for at in (term.place, *term.also) for point in below(sheet, at)])
    price = term.excess_per_kwh * sheet.hours
    if term.import_kw is not None:
        sheet.pay(price * cp.sum(cp.pos(-net - term.import_kw)))
    if term.export_kw is not None:
        sheet.pay(price * cp.sum(cp.pos(net - term.export_kw)))


def _sources(sheet: Sheet) -> list[tuple[Generator, Any]]:
    return [
        (r, sheet.parts[r.resource_id].fed)
        for r in sheet.view.park.resources
        if isinstance(r, Generator)
    ]


def _carbon(sheet: Sheet, grid: Grid, term: CarbonPrice) -> None:
    when = slice(term.first_step, term.last_step)
    kg: Any = sum(r.kgco2_per_kwh * cp.sum(fed[when]) for r, fed in _sources(sheet))
    per_kwh = term.grid_kgco2_per_kwh[when]
    kg = kg + sum(per_kwh @ imported[when] for imported in grid.imports.values())
    sheet.pay(term.price_per_kgco2 * sheet.hours * kg)


def _green_share(sheet: Sheet, grid: Grid, term: GreenShare) -> None:
    sources = [(r, cp.sum(fed)) for r, fed in _sources(sheet)]
    green: Any = sum(fed for r, fed in sources if r.green)
    fed: Any = sum(fed for _, fed in sources)
    imported: Any = sum(cp.sum(line) for line in grid.imports.values())
    exported: Any = sum(cp.sum(line) for line in grid.exports.values())
    lacks = term.share * (imported + fed - exported) - (green - exported)
    sheet.pay(term.shortfall_per_kwh * sheet.hours * cp.pos(lacks))


def _changes(sheet: Sheet, term: ChangePenalty) -> None:
    for name, announced in term.announced_kw.items():
        known = ~np.isnan(announced)
        moved = cp.abs((sheet.parts[name].power - np.nan_to_num(announced))[known])
        sheet.pay(term.price_per_kwh * sheet.hours * cp.sum(moved))


def _done(sheet: Sheet, grid: Grid, term: ActivityPrice) -> Any:
    """How much of an activity is done while the term holds."""
    names = [r.resource_id for r in sheet.view.park.resources]
    parts = [sheet.parts[n] for n in names if term.resource_id in (None, n)]

    def over(lines: Iterable[Line]) -> Any:
        when = slice(term.first_step, term.last_step)
        return sum(cp.sum(line[when]) for line in lines if line is not None)

    match term.activity:
        case Activity.IMPORT:
            return sheet.hours * over(grid.imports.values())
        case Activity.EXPORT:
            return sheet.hours * over(grid.exports.values())
        case Activity.GREEN_USE:
            green = over(fed for r, fed in _sources(sheet) if r.green)
            return sheet.hours * (green - over(grid.exports.values()))
        case Activity.CALLS:
            return over(part.started for part in parts)
        case Activity.HOURS_ON:
            return sheet.hours * over(part.on for part in parts)
        case Activity.DISCHARGED:
            return sheet.hours * over(part.taken_out for part in parts)


def _burden(sheet: Sheet, term: EqualBurden) -> None:
    shares = []
    for name, borne in term.borne_kwh.items():
        turned_down = sheet.parts[name].turned_down
        now = 0.0 if turned_down is None else sheet.hours * cp.sum(turned_down)
        size = sheet.view.park.resource_by_id[name].draw_kw * sheet.steps * sheet.hours
        shares.append((borne + now) / size)
    if shares:
        sheet.pay(term.price_per_share * cp.max(cp.hstack(shares)))


def _stored_value(sheet: Sheet, term: StoredEnergyValue) -> None:
    for r in sheet.view.park.resources:
        part = sheet.parts[r.resource_id]
        if isinstance(r, Storage) and part.stored is not None:
            electricity = 1.0 if r.node_id is None else term.electricity_per_kwh.get(r.node_id, 0.0)
            worth = term.price_per_kwh * electricity * r.discharge_efficiency
            sheet.pay(-worth * part.stored[-1])
        if isinstance(r, ThermalZone) and part.temperature is not None:
            warmth = r.capacity_kwh_per_degc * part.temperature[-1] / r.cop
            sheet.pay(-term.price_per_kwh * (warmth if r.heating else -warmth))
