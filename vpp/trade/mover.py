"""Who may leave the plan, how far, and what that takes out of a store: batteries, loads, engines.

Weather and people are no reserve: PV, wind, cars, zones and runs follow the plan, as do loads whose
calls are limited.

    stored kWh
      ▲  capacity ─────────────────────
      │      ╲ room: what may come in, at the worst, from here on
      │  at rest ───────╲______________
      │      ╱ left: what may go out      ╲ energy that other products may still call
      │  floor ────────────────────────
      └────────────────────────────────▶ ends of steps, to the end of the plan
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import BiddingUnit, Park
from vpp.model.resource import CurtailableLoad, Generator, Storage
from vpp.model.schedule import Schedule
from vpp.trade.planned import thresholds_of

NOTHING_KW = 1e-6

Fine: TypeAlias = Callable[[Floats], Floats]
"""Cuts a series of the plan, shape (T,), to the steps that are looked at, shape (K,)."""


@dataclass(slots=True, kw_only=True, eq=False)
class Mover:
    """One resource that may leave its rest. Power in kW by step, shape (K,); energy in kWh."""

    resource: Storage | CurtailableLoad | Generator
    rest_kw: Floats
    high_kw: Floats
    low_kw: Floats
    """How far it may have to feed and to draw by all that was handed out."""
    least_kw: Floats
    most_kw: Floats
    """Between which it can run."""
    up_price: Floats
    down_price: Floats
    """Per kWh: from which on it feeds more, below which it feeds less."""
    left_kwh: Floats
    room_kwh: Floats
    """At the start and after each step, shape (K + 1,): what may still be taken out, and come in;
    inf without a store."""

    def energy_kwh(self, from_kw: float, kw: float, *, up: bool) -> float:
        """What an hour of `kw` more (or less) than `from_kw` takes out of (brings into) the store."""
        of = self.resource
        if not isinstance(of, Storage):
            return 0.0
        relief = min(max(-from_kw if up else from_kw, 0.0), kw)
        first, then = _per_kw(of, up=up)
        return relief * first + (kw - relief) * then

    def power_kw(self, from_kw: float, kwh: float, *, up: bool) -> float:
        """How much more (or less) than `from_kw` for an hour takes out (brings in) `kwh`."""
        of = self.resource
        if not isinstance(of, Storage):
            return inf
        first, then = _per_kw(of, up=up)
        relief = min(max(-from_kw if up else from_kw, 0.0), kwh / first)
        return relief + (kwh - relief * first) / then


def _per_kw(of: Storage, *, up: bool) -> tuple[float, float]:
    """KWh of the store an hour: by a kW less into it (out of it), and by one more out of it (into it)."""
    into, out = of.charge_efficiency, 1 / of.discharge_efficiency
    return (into, out) if up else (out, into)


def movers_of(
    unit: BiddingUnit,
    park: Park,
    schedule: Schedule,
    stored_worth: Mapping[ResourceId, Floats],
    fine: Fine,
) -> tuple[Mover, ...]:
    """Those of the unit, each still where the plan has it and its store without a bound.

    `stored_worth` is what a kWh in each store is worth, shape (T,).
    """
    rows = {name: row for row, name in enumerate(schedule.resource_ids)}
    found = []
    for resource in park.electric:
        name = resource.resource_id
        if name not in unit.resource_ids:
            continue
        planned = fine(schedule.power_kw[rows[name]])
        match resource:
            case Storage() if name in schedule.stored_value_per_kwh:
                share = 1.0 if resource.power_series_id is None else 0.0
                value = fine(stored_worth[name])
                prices = np.array([thresholds_of(resource, float(v)) for v in value])
                least = np.minimum(planned, -resource.max_charge_kw * share)
                most = np.maximum(planned, resource.max_discharge_kw * share)
                down_price, up_price = prices[:, 0], prices[:, 1]
            case CurtailableLoad() if not resource.calls_limited:
                less = schedule.curtailed_kw.get(name, np.zeros(schedule.horizon.steps))
                would = planned - fine(less)
                least, most = planned, would * (1 - resource.curtailable_share)
                up_price = down_price = np.full(len(planned), resource.curtailment_cost_per_kwh)
            case Generator() if _at_will(resource):
                least = np.full(len(planned), resource.must_run_share * resource.max_feed_kw)
                most = np.full(len(planned), resource.max_feed_kw)
                up_price = down_price = np.full(len(planned), resource.cost_per_kwh)
            case _:
                continue
        if (alone := schedule.left_alone.get(name)) is not None:
            rests = fine(alone.astype(float)) > 0
            least, most = (np.where(rests, planned, kw) for kw in (least, most))
        found.append(
            Mover(
                resource=resource,
                rest_kw=planned.copy(),
                high_kw=planned.copy(),
                low_kw=planned.copy(),
                least_kw=np.minimum(least, planned),
                most_kw=np.maximum(most, planned),
                up_price=up_price,
                down_price=down_price,
                left_kwh=np.full(len(planned) + 1, inf),
                room_kwh=np.full(len(planned) + 1, inf),
            )
        )
    return tuple(found)


def _at_will(of: Generator) -> bool:
    """Whether it feeds what it is told at once."""
    return not of.weather_driven and of.on_off is None and of.ramp_kw_per_min == inf


def bound(mover: Mover, stored_kwh: float, hours: float, kept_kwh: Floats) -> None:
    """How much may leave and enter the store by each step's end, as long as `rest_kw` is what it does.

    What cannot be at rest, since the store is full or at its floor or its power tapers, is cut. Where
    power tapers nothing more is handed out: what is left there is left. `kept_kwh` is what must stay at each
    step's end, shape (T,), NaN where nothing is asked.
    """
    of = mover.resource
    if not isinstance(of, Storage):
        return
    lowest, path = of.min_soc * of.capacity_kwh, [stored_kwh]
    for step, kw in enumerate(mover.rest_kw.tolist()):
        kept = path[-1] * of.kept(hours)
        soc = path[-1] / of.capacity_kwh if of.capacity_kwh else 0.0
        most = max(kept - lowest, 0.0) * of.discharge_efficiency / hours
        least = -max(of.capacity_kwh - path[-1], 0.0) / of.charge_efficiency / hours
        most, least = min(most, of.most_discharge_kw(soc)), max(least, -of.most_charge_kw(soc))
        if not least - NOTHING_KW <= kw <= most + NOTHING_KW:
            kw = min(max(kw, least), most)
            mover.rest_kw[step] = kw
        path.append(of.stored_kwh_after(path[-1], kw, hours))
    stored = np.array(path)
    floor = max(of.min_soc, of.reserve_soc, of.discharge_taper_soc) * of.capacity_kwh
    mover.left_kwh = stored - floor
    mover.left_kwh[1:] = np.fmin(mover.left_kwh[1:], stored[1:] - kept_kwh)
    # A store that is full takes nothing, though it loses some the next moment.
    lost_kwh = (1 - of.kept(hours)) * of.capacity_kwh
    mover.room_kwh = of.charge_taper_soc * of.capacity_kwh - stored - lost_kwh
    if of.final_soc is not None:
        mover.left_kwh[-1] = min(mover.left_kwh[-1], path[-1] - of.final_soc * of.capacity_kwh)


def stored_before(of: Storage, schedule: Schedule, first: int) -> float:
    """Energy in the store at the start of step `first` of the plan."""
    stored = schedule.stored_kwh[of.resource_id]
    if first:
        return float(stored[first - 1])
    row = schedule.row_of[of.resource_id]
    kw, hours = float(schedule.power_kw[row][0]), schedule.horizon.step_hours
    per_kw = 1 / of.discharge_efficiency if kw > 0 else of.charge_efficiency
    return (float(stored[0]) + kw * hours * per_kw) / of.kept(hours)
