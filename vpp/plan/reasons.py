"""What each kind of resource has to say for what it is planned to do: sentences for `explain.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from vpp.model.schedule import Schedule
from vpp.model.time import parse_utc
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView

IDLE_KW = 0.05
"""Less than this is told as standing still."""

SMALL = 5e-5
"""A price that four digits do not show."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One resource in one step, and how to speak of it."""

    schedule: Schedule
    view: PlanningView
    terms: tuple[Term, ...]
    resource: Resource
    step: int

    @property
    def power_kw(self) -> float:
        row = self.schedule.row_of[self.resource.resource_id]
        return float(self.schedule.power_kw[row, self.step])

    @property
    def powers_kw(self) -> Floats:
        row = self.schedule.row_of[self.resource.resource_id]
        powers: Floats = self.schedule.power_kw[row]
        return powers

    @property
    def hours(self) -> float:
        return self.view.horizon.step_hours

    @property
    def place(self) -> str:
        return self.resource.node_id or self.resource.connection_point_id

    @property
    def values(self) -> Floats | None:
        """What a kWh fed at its place saves, shape (T,)."""
        if self.resource.node_id is not None:
            return self.schedule.node_value_per_kwh.get(self.resource.node_id)
        return self.schedule.point_value_per_kwh.get(self.resource.connection_point_id)

    @property
    def value(self) -> float | None:
        return None if self.values is None else float(self.values[self.step])

    def money(self, amount: float) -> str:
        return f"{amount + 0.0:.4f} {self.view.park.currency}"

    def clock(self, step: int) -> str:
        """The start of a step on the park's clock; with its day where that is another."""
        zone, horizon = self.view.park.timezone, self.view.horizon
        local = (horizon.start + step * horizon.step).astimezone(zone)
        own = (horizon.start + self.step * horizon.step).astimezone(zone)
        return f"{local:%H:%M}" if local.date() == own.date() else f"{local:%a %H:%M}"


def of_kind(at: Moment) -> Iterator[str]:
    """What its kind makes of the price at its place."""
    resource = at.resource
    match resource:
        case Storage():
            yield from _storage(at, resource)
        case Generator():
            yield from _generator(at, resource)
        case ThermalZone():
            yield from _zone(at, resource)
        case FlexibleLoad():
            yield from _windows(at, resource)
        case EvFleet():
            yield from _cars(at)
        case CurtailableLoad():
            yield from _turned_down(at, resource)
        case InterruptibleLoad() | ShiftableRun():
            yield from _start(at, resource)
        case Converter():
            yield from _ports(at)
        case FixedLoad():
            yield "Nobody decides what it draws."
        case _:
            assert_never(resource)


def _storage(at: Moment, unit: Storage) -> Iterator[str]:
    name, worth = unit.resource_id, at.schedule.stored_value_per_kwh.get(unit.resource_id)
    if worth is None or at.value is None:
        return
    stored, wear = float(worth[at.step]), unit.wear_cost_per_kwh
    gain_in = unit.charge_efficiency * stored - wear - at.value
    gain_out = at.value - wear - stored / unit.discharge_efficiency
    worn = f", {at.money(wear)} wear" if wear else ""
    if at.power_kw < -IDLE_KW:
        yield (
            f"In the store it becomes {unit.charge_efficiency:.3f} kWh, each worth {at.money(stored)}"
            f" later{worn}: a kWh drawn gains {at.money(gain_in)}."
        )
        yield from _best(at, later=True)
    elif at.power_kw > IDLE_KW:
        yield (
            f"It takes {1 / unit.discharge_efficiency:.3f} kWh out of the store, each worth"
            f" {at.money(stored)}{worn}: a kWh fed gains {at.money(gain_out)}."
        )
        yield from _best(at, later=False)
    else:
        yield (
            f"A kWh in the store is worth {at.money(stored)}: charging one would change the result by"
            f" {at.money(gain_in)}, feeding one by {at.money(gain_out)}."
        )
    left = float(at.schedule.stored_kwh[name][at.step])
    share = left / unit.capacity_kwh if unit.capacity_kwh else 0.0
    yield f"At the end of the step {left:,.1f} kWh are stored ({share:.0%})."


def _best(at: Moment, *, later: bool) -> Iterator[str]:
    """When the energy is used for most, or was bought for least."""
    values, powers = at.values, at.powers_kw
    if values is None:
        return
    steps = np.arange(len(powers))
    if later:
        used = np.flatnonzero((steps > at.step) & (powers > IDLE_KW))
        if len(used):
            best = int(used[np.argmax(values[used])])
            yield (
                f"Later it feeds most dearly at {at.clock(best)}, for"
                f" {at.money(float(values[best]))} a kWh."
            )
        else:
            yield "It is not fed again within the plan: what is left counts at the end."
        return
    bought = np.flatnonzero((steps < at.step) & (powers < -IDLE_KW))
    if len(bought):
        best = int(bought[np.argmin(values[bought])])
        yield f"It was charged at {at.clock(best)} for {at.money(float(values[best]))} a kWh."


def _generator(at: Moment, unit: Generator) -> Iterator[str]:
    cost = at.money(unit.cost_per_kwh)
    if unit.weather_driven:
        has = max(float(at.view.available_kw[unit.resource_id].values[at.step]), 0.0)
    else:
        has = unit.max_feed_kw
    left = has - at.power_kw
    if unit.cost_per_kwh or not unit.weather_driven:
        yield f"A kWh of it costs {cost}."
    on = at.schedule.on.get(unit.resource_id)
    if on is not None and not on[at.step]:
        yield "It is off."
    elif left > IDLE_KW:
        yield f"It could feed {has:,.1f} kW: {left:,.1f} kW are left unused."
    else:
        yield f"It feeds all that it has, {has:,.1f} kW."


def _start(at: Moment, resource: InterruptibleLoad | ShiftableRun) -> Iterator[str]:
    starts = at.schedule.starts.get(resource.resource_id, ())
    what = "Its run" if isinstance(resource, ShiftableRun) else "A call of it"
    if starts:
        times = ", ".join(at.clock(step) for step in starts)
        yield f"{what} starts at {times}."
    else:
        yield f"{what} is not planned."


def _zone(at: Moment, zone: ThermalZone) -> Iterator[str]:
    degc = at.schedule.temperature_degc.get(zone.resource_id)
    if degc is not None:
        yield (
            f"It ends the step at {degc[at.step]:.1f} °C; its band is {zone.min_degc:g} to"
            f" {zone.max_degc:g} °C."
        )


def _windows(at: Moment, load: FlexibleLoad) -> Iterator[str]:
    for key, units in at.schedule.undone_units.items():
        name, _, window = key.partition("/")
        if name == load.resource_id and units > SMALL:
            start = parse_utc(window, where=key).astimezone(at.view.park.timezone)
            yield f"Its window from {start:%a %H:%M} lacks {units:,.2f} {load.unit}."


def _cars(at: Moment) -> Iterator[str]:
    left = [
        kwh
        for key, kwh in at.schedule.unserved_kwh.items()
        if key.startswith(f"{at.resource.resource_id}/") and kwh > SMALL
    ]
    if left:
        yield f"{len(left)} of its cars leave without {sum(left):,.1f} kWh that they wanted."


def _turned_down(at: Moment, load: CurtailableLoad) -> Iterator[str]:
    down = at.schedule.curtailed_kw.get(load.resource_id)
    cost = at.money(load.curtailment_cost_per_kwh)
    if down is not None and down[at.step] > IDLE_KW:
        yield f"It is turned down by {down[at.step]:,.1f} kW, at {cost} a kWh."
    else:
        yield f"It is not turned down; that would cost {cost} a kWh."


def _ports(at: Moment) -> Iterator[str]:
    for node, flow in at.schedule.port_kw.get(at.resource.resource_id, {}).items():
        verb = "feeds" if flow[at.step] > 0 else "draws"
        worth = at.schedule.node_value_per_kwh.get(node)
        priced = "" if worth is None else f", worth {at.money(float(worth[at.step]))} a kWh"
        yield f"It {verb} {abs(float(flow[at.step])):,.1f} kW at {node}{priced}."
