"""What a schedule costs the owners of resources, nodes and pipes, beside energy and its market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from vpp.plan.validate.calls import chosen_calls, shed_kwh
from vpp.plan.validate.case import Case
from vpp.plan.validate.generator import has_kw
from vpp.plan.validate.machines import started

Cost = tuple[str, float]


def owners_cost(case: Case) -> Iterator[Cost]:
    """Cause and cost of each resource, node and pipe."""
    for resource in case.view.park.resources:
        match resource:
            case Storage():
                yield from _storage(case, resource)
            case Generator():
                yield from _generator(case, resource)
            case FlexibleLoad():
                yield from _flexible(case, resource)
            case EvFleet():
                yield from _cars(case, resource)
            case Converter():
                yield from _converter(case, resource)
            case ThermalZone():
                yield from _zone(case, resource)
            case CurtailableLoad():
                curtailed = case.of(case.schedule.curtailed_kw, resource.resource_id)
                kwh = float(curtailed.sum()) * case.hours
                yield "curtailment", kwh * resource.curtailment_cost_per_kwh
            case InterruptibleLoad():
                kwh = sum(shed_kwh(case, resource, c) for c in chosen_calls(case, resource))
                yield "calls", kwh * resource.call_cost_per_kwh
            case FixedLoad() | ShiftableRun():
                pass  # they cost their owner nothing beside energy
            case _:
                assert_never(resource)
    yield from _networks(case)


def _storage(case: Case, unit: Storage) -> Iterator[Cost]:
    """Wear, and what is missing at the end and for outages."""
    name = unit.resource_id
    yield "wear", float(np.abs(case.power(name)).sum()) * case.hours * unit.wear_cost_per_kwh
    if name not in case.schedule.stored_kwh:
        return
    stored = case.schedule.stored_kwh[name]
    if unit.final_soc is not None:
        lacking = max(unit.final_soc * unit.capacity_kwh - float(stored[-1]), 0.0)
        yield "limit excess", lacking * case.limit_excess_price_per_kwh
    short = float(np.maximum(unit.reserve_soc * unit.capacity_kwh - stored, 0.0).sum())
    yield "reserve energy kept", short * unit.reserve_cost_per_kwh_h * case.hours


def _generator(case: Case, unit: Generator) -> Iterator[Cost]:
    fed = float(case.power(unit.resource_id).sum()) * case.hours
    had = float(has_kw(case, unit).sum()) * case.hours
    yield "fuel", fed * unit.cost_per_kwh
    yield "curtailment", (had - fed) * unit.curtailment_cost_per_kwh
    yield from _starts(case, unit)


def _starts(case: Case, machine: Generator | FlexibleLoad | Converter) -> Iterator[Cost]:
    name, rules = machine.resource_id, machine.on_off
    if rules is not None and name in case.schedule.on:
        yield "starts", rules.start_cost * int(started(case, name).sum())


def _flexible(case: Case, load: FlexibleLoad) -> Iterator[Cost]:
    name = load.resource_id
    if case.reading(name) is None:
        return  # what it draws by itself is nobody's decision
    units = -float(case.power(name).sum()) * case.hours / load.kwh_per_unit
    yield "product value", -units * load.value_per_unit
    lacking = _of(case.schedule.undone_units, load)
    if load.unserved_cost_per_unit is None:
        price = load.kwh_per_unit * case.limit_excess_price_per_kwh
        yield "limit excess", lacking * price
    else:
        yield "unserved", lacking * load.unserved_cost_per_unit
    yield from _starts(case, load)


def _cars(case: Case, fleet: EvFleet) -> Iterator[Cost]:
    price = fleet.unserved_cost_per_kwh
    if fleet.guaranteed:
        price = case.limit_excess_price_per_kwh
    yield "unserved", _of(case.schedule.unserved_kwh, fleet) * price
    prefix = f"{fleet.resource_id}/"
    fed = sum(
        float(np.maximum(kw, 0.0).sum())
        for key, kw in case.schedule.cars_kw.items()
        if key.startswith(prefix)
    )
    yield "wear", fed * case.hours * fleet.wear_cost_per_kwh


def _of(by_key: Mapping[str, float], resource: Resource) -> float:
    """The sum of what stands under `resource id/…`."""
    prefix = f"{resource.resource_id}/"
    return sum(value for key, value in by_key.items() if key.startswith(prefix))


def _converter(case: Case, machine: Converter) -> Iterator[Cost]:
    on = case.schedule.on.get(machine.resource_id)
    if on is not None:
        yield "running", machine.running_cost_per_h * case.hours * int(on.sum())
    yield from _starts(case, machine)


def _zone(case: Case, zone: ThermalZone) -> Iterator[Cost]:
    if zone.resource_id not in case.schedule.temperature_degc:
        return
    degc = case.schedule.temperature_degc[zone.resource_id]
    off = np.maximum(zone.min_degc - degc, 0) + np.maximum(degc - zone.max_degc, 0)
    yield "discomfort", float(off.sum()) * case.hours * zone.discomfort_cost_per_degc_h


def _networks(case: Case) -> Iterator[Cost]:
    """Pumping, what is thrown away, and what nodes are short of."""
    schedule, park, hours = case.schedule, case.view.park, case.hours
    for pipe in park.pipes:
        entered = float(schedule.pipe_kw.get(pipe.pipe_id, case.zeros()).sum())
        yield "pumping", entered * hours * pipe.cost_per_kwh
    for node in park.nodes:
        spilled = float(schedule.spilled_kw.get(node.node_id, case.zeros()).sum())
        yield "spill", spilled * hours * (node.spill_cost_per_kwh or 0.0)
        lacking = float(schedule.lacking_kw.get(node.node_id, case.zeros()).sum())
        yield "limit excess", lacking * hours * case.limit_excess_price_per_kwh
