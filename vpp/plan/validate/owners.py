"""What a schedule costs the owners of resources, nodes and pipes, beside energy and its market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
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
from vpp.plan.validate.calls import paid_calls, shed_kwh
from vpp.plan.validate.case import Case, parts
from vpp.plan.validate.compare import Cost, column, priced
from vpp.plan.validate.generator import has_kw
from vpp.plan.validate.machines import started


def owners_cost(case: Case) -> Iterator[Cost]:
    """Cause and cost of each resource, node and pipe."""
    kindred = case.view.park.kindred
    yield from _storages(case, kindred(Storage).units)
    yield from _generators(case, kindred(Generator).units)
    yield from _flexibles(case, kindred(FlexibleLoad).units)
    for resource in case.view.park.resources:
        match resource:
            case Storage() | Generator() | FlexibleLoad():
                pass  # all together, above
            case EvFleet():
                yield from _cars(case, resource)
            case Converter():
                yield from _converter(case, resource)
            case ThermalZone():
                yield from _zone(case, resource)
            case CurtailableLoad():
                curtailed = case.of(case.schedule.curtailed_kw, resource.resource_id)
                per_kw = resource.curtailment_cost_per_kwh * case.hours
                yield priced("curtailment", per_kw, curtailed)
            case InterruptibleLoad():
                shed = [shed_kwh(case, resource, c) for c in paid_calls(case, resource)]
                yield priced("calls", resource.call_cost_per_kwh, np.array(shed))
            case FixedLoad() | ShiftableRun():
                pass  # they cost their owner nothing beside energy
            case _:
                assert_never(resource)
    yield from _networks(case)


def _storages(case: Case, every: Sequence[Storage]) -> Iterator[Cost]:
    """Wear, and what is missing at the end and for outages."""
    for units in parts(every):
        wear = column(u.wear_cost_per_kwh for u in units) * case.hours
        yield priced("wear", wear, np.abs(case.powers(u.resource_id for u in units)))
    for unit in every:
        name, capacity = unit.resource_id, unit.capacity_kwh
        if name not in case.schedule.stored_kwh:
            continue
        stored = case.schedule.stored_kwh[name]
        if unit.final_soc is not None:
            lacking = max(unit.final_soc * capacity - float(stored[-1]), 0.0)
            yield priced("limit excess", case.limit_excess_price_per_kwh, lacking, capacity)
        if unit.reserve_soc and unit.reserve_cost_per_kwh_h:
            short = np.maximum(unit.reserve_soc * capacity - stored, 0.0)
            per_kwh = unit.reserve_cost_per_kwh_h * case.hours
            yield priced("reserve energy kept", per_kwh, short, stored)


def _generators(case: Case, every: Sequence[Generator]) -> Iterator[Cost]:
    """Fuel, what is not fed, and starts."""
    for units in parts(every):
        fed = case.powers(u.resource_id for u in units)
        has = np.array([has_kw(case, u) for u in units])
        yield priced("fuel", column(u.cost_per_kwh for u in units) * case.hours, fed)
        left_per_kwh = column(u.curtailment_cost_per_kwh for u in units)
        yield priced("curtailment", left_per_kwh * case.hours, has - fed, has)
    for unit in every:
        yield from _starts(case, unit)


def _starts(case: Case, machine: Generator | FlexibleLoad | Converter) -> Iterator[Cost]:
    name, rules = machine.resource_id, machine.on_off
    if rules is not None and name in case.schedule.on:
        yield priced("starts", rules.start_cost, started(case, name).astype(float))


def _flexibles(case: Case, every: Sequence[FlexibleLoad]) -> Iterator[Cost]:
    """What work is worth, what is left undone, and starts; what draws by itself is nobody's decision."""
    heard = [load for load in every if case.reading(load.resource_id) is not None]
    for loads in parts(heard):
        per_kw = column(u.value_per_unit * case.hours / u.kwh_per_unit for u in loads)
        yield priced("product value", per_kw, case.powers(u.resource_id for u in loads))
        yield from _undone(case, loads)
    for load in heard:
        yield from _starts(case, load)


def _undone(case: Case, loads: Sequence[FlexibleLoad]) -> Iterator[Cost]:
    """What windows lack: at the price that the owner names, else as a broken limit."""
    owned = [(load, key) for load in loads for key in case.undone.get(load.resource_id, ())]
    for cause, by_owner in (("limit excess", False), ("unserved", True)):
        of = [one for one in owned if (one[0].unserved_cost_per_unit is not None) == by_owner]
        if of:
            per_unit = np.array([_undone_per_unit(case, load) for load, _ in of])
            yield priced(cause, per_unit, np.array([case.schedule.undone_units[k] for _, k in of]))


def _undone_per_unit(case: Case, load: FlexibleLoad) -> float:
    if load.unserved_cost_per_unit is None:
        return load.kwh_per_unit * case.limit_excess_price_per_kwh
    return load.unserved_cost_per_unit


def _cars(case: Case, fleet: EvFleet) -> Iterator[Cost]:
    price = fleet.unserved_cost_per_kwh
    if fleet.guaranteed:
        price = case.limit_excess_price_per_kwh
    yield priced("unserved", price, _of(case.schedule.unserved_kwh, case.sessions, fleet))
    for kw in _of(case.schedule.cars_kw, case.sessions, fleet):
        yield priced("wear", fleet.wear_cost_per_kwh * case.hours, np.maximum(kw, 0.0))


def _of(
    by_key: Mapping[str, float | Floats], keys_of: Mapping[str, Sequence[str]], resource: Resource
) -> Floats:
    """What stands under `resource id/…`, in the order of `keys_of` it."""
    keys = keys_of.get(resource.resource_id, ())
    return np.array([by_key[key] for key in keys if key in by_key])


def _converter(case: Case, machine: Converter) -> Iterator[Cost]:
    on = case.schedule.on.get(machine.resource_id)
    if on is not None:
        yield priced("running", machine.running_cost_per_h * case.hours, on.astype(float))
    yield from _starts(case, machine)


def _zone(case: Case, zone: ThermalZone) -> Iterator[Cost]:
    if zone.resource_id not in case.schedule.temperature_degc:
        return
    degc = case.schedule.temperature_degc[zone.resource_id]
    off = np.maximum(zone.min_degc - degc, 0) + np.maximum(degc - zone.max_degc, 0)
    yield priced("discomfort", zone.discomfort_cost_per_degc_h * case.hours, off, degc)


def _networks(case: Case) -> Iterator[Cost]:
    """Pumping, what is thrown away, and what nodes are short of."""
    schedule, park, hours = case.schedule, case.view.park, case.hours
    for pipe in park.pipes:
        entered = schedule.pipe_kw.get(pipe.pipe_id, case.zeros())
        yield priced("pumping", pipe.cost_per_kwh * hours, entered)
    for node in park.nodes:
        spilled = schedule.spilled_kw.get(node.node_id, case.zeros())
        if node.spill_cost_per_kwh is None:
            yield priced("limit excess", case.limit_excess_price_per_kwh * hours, spilled)
        else:
            yield priced("spill", node.spill_cost_per_kwh * hours, spilled)
        lacking = schedule.lacking_kw.get(node.node_id, case.zeros())
        yield priced("limit excess", case.limit_excess_price_per_kwh * hours, lacking)
