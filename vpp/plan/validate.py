"""Check a schedule against the view it was made for, without looking at the programme.

The solver's word is not taken: every physical rule and the whole bill are worked out again from
the resources and the terms, one by one, in plain arithmetic. A schedule that fails is refused.
Nothing here is shared with `compile.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Schedule
from vpp.model.time import local_date, local_moment
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.view import PlanningView

TOLERANCE = 1e-6
"""Relative to the size of what is compared: HiGHS promises 1e-7 on each row."""


def violations(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    *,
    limit_excess_price_per_kwh: float,
) -> tuple[str, ...]:
    """Everything that is wrong with `schedule`, in words; empty where it may be used."""
    if not np.isfinite(schedule.power_kw).all():
        return ("a power is not finite",)
    found = [*_resources(schedule, view), *_sums(schedule, view), *_trades(schedule, terms)]
    bill = bill_of(schedule, view, terms, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
    if _differ(bill, schedule.cost, abs(bill) * 100):  # many rows add up: 1e-4 of the bill
        found.append(f"the bill is {bill:.6f}, the solver says {schedule.cost:.6f}")
    return tuple(found)


def _differ(a: float, b: float, size: float) -> bool:
    # Written so that NaN differs from everything.
    return not abs(a - b) <= TOLERANCE * max(1.0, size)


def _resources(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    hours = view.horizon.step_hours
    for row, resource in enumerate(view.park.resources):
        power = schedule.power_kw[row]
        reading = view.state.reading(resource.resource_id)
        name = resource.resource_id
        most = resource.draw_kw + resource.feed_kw
        match resource:
            case FixedLoad():
                if _differ(float(np.abs(power - view.base_kw[name].values).max()), 0.0, most):
                    yield f"{name}: a fixed load is moved"
            case Storage():
                yield from _storage(resource, reading, power, schedule, hours)
            case Generator():
                available = np.maximum(view.available_kw[name].values, 0.0)
                yield from _between(name, power, np.zeros_like(power), available)
            case ThermalZone():
                yield from _between(
                    name, power, np.full_like(power, -resource.max_draw_kw), np.zeros_like(power)
                )
                if reading is not None:
                    yield from _zone(resource, reading, power, schedule, view)
            case EvFleet():
                yield from _cars(resource, reading, power, schedule, view)
            case InterruptibleLoad():
                low = np.full_like(power, -resource.rated_draw_kw)
                yield from _between(name, power, low, np.zeros_like(power))
            case ShiftableRun():
                yield from _run(resource, reading, power, view)
            case _:
                assert_never(resource)


def _between(name: str, power: Floats, low: Floats, high: Floats) -> Iterator[str]:
    slack = TOLERANCE * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    bad = np.flatnonzero(~((low - slack <= power) & (power <= high + slack)))
    if len(bad):
        step = bad[0]
        yield (
            f"{name}: {power[step]:.6f} kW in step {step}, allowed {low[step]:.6f} …"
            f" {high[step]:.6f}"
        )


def _storage(
    unit: Storage, reading: Reading | None, power: Floats, schedule: Schedule, hours: float
) -> Iterator[str]:
    if reading is None or reading.soc is None:
        if np.abs(power).max() > 0:
            yield f"{unit.resource_id}: planned without a known state of charge"
        return
    yield from _between(
        unit.resource_id,
        power,
        np.full_like(power, -unit.max_charge_kw),
        np.full_like(power, unit.max_discharge_kw),
    )
    stored = reading.soc * unit.capacity_kwh
    floor = min(unit.min_soc * unit.capacity_kwh, stored)
    for step, kw in enumerate(power):
        stored = unit.stored_kwh_after(stored, float(kw), hours)
        if _differ(stored, float(schedule.stored_kwh[unit.resource_id][step]), unit.capacity_kwh):
            yield f"{unit.resource_id}: step {step} stores {stored:.6f} kWh, the plan says otherwise"
            return
        if not floor - 1e-3 <= stored <= unit.capacity_kwh + 1e-3:
            yield f"{unit.resource_id}: step {step} ends at {stored:.6f} kWh"
            return


def _zone(
    zone: ThermalZone, reading: Reading, power: Floats, schedule: Schedule, view: PlanningView
) -> Iterator[str]:
    degc = zone.target_degc if reading.temperature_degc is None else reading.temperature_degc
    outdoor = view.outdoor_degc[zone.outdoor_series_id].values
    for step, kw in enumerate(power):
        degc = zone.temperature_after(
            degc, float(kw), float(outdoor[step]), view.horizon.step_hours
        )
        if _differ(degc, float(schedule.temperature_degc[zone.resource_id][step]), 100.0):
            yield f"{zone.resource_id}: step {step} ends at {degc:.6f} °C, the plan says otherwise"
            return


def _cars(
    fleet: EvFleet,
    reading: Reading | None,
    power: Floats,
    schedule: Schedule,
    view: PlanningView,
) -> Iterator[str]:
    sessions = (reading.sessions or ()) if reading is not None else ()
    arriving = view.arriving_kw[fleet.resource_id].values
    here = np.zeros_like(power)
    for session in sessions:
        left = [(session.departs_at - start) / view.horizon.step for start in view.horizon.starts()]
        here += fleet.charger_kw * np.clip(left, 0.0, 1.0)
    least = np.minimum(arriving, np.maximum(-fleet.max_draw_kw, arriving - here))
    yield from _between(fleet.resource_id, power, least, arriving)
    charged = float((arriving - power).sum()) * view.horizon.step_hours * fleet.charge_efficiency
    wanted = sum(session.wanted_kwh for session in sessions)
    unserved = sum(schedule.unserved_kwh[session.session_id] for session in sessions)
    if _differ(charged + unserved, wanted, max(wanted, fleet.max_draw_kw) * 10):
        yield (
            f"{fleet.resource_id}: charges {charged:.4f} kWh and leaves {unserved:.4f} of"
            f" {wanted:.4f}"
        )


def _run(
    run: ShiftableRun, reading: Reading | None, power: Floats, view: PlanningView
) -> Iterator[str]:
    """Each day's run happens exactly once, whole, inside its window."""
    horizon, zone = view.horizon, view.park.timezone
    day, last_day = local_date(horizon.start, zone), local_date(horizon.end, zone)
    energy_kwh = sum(run.profile_kw) * horizon.step_hours
    today = day
    while day <= last_day:
        window = (
            local_moment(day, run.earliest_start, zone),
            local_moment(day, run.latest_end, zone),
        )
        settled = day == today and reading is not None and reading.phase is not RunPhase.WAITING
        inside = horizon.start <= window[0] and window[1] <= horizon.end
        if day.weekday() in run.run_days and inside and not settled:
            steps = slice(horizon.index(window[0]), horizon.index(window[1]))
            drawn = -float(power[steps].sum()) * horizon.step_hours
            if _differ(drawn, energy_kwh, energy_kwh):
                yield f"{run.resource_id}: draws {drawn:.4f} kWh on {day}, a run is {energy_kwh:.4f}"
        day += timedelta(days=1)
    yield from _between(
        run.resource_id, power, np.full_like(power, -run.draw_kw), np.zeros_like(power)
    )


def _sums(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    for point in view.park.connection_points:
        rows = [
            i
            for i, r in enumerate(view.park.resources)
            if r.connection_point_id == point.connection_point_id
        ]
        total = schedule.power_kw[rows].sum(axis=0)
        size = float(np.abs(schedule.power_kw[rows]).sum(axis=0).max(initial=0.0))
        off = np.abs(total - schedule.connection_point_kw[point.connection_point_id]).max()
        if _differ(float(off), 0.0, size):
            yield f"{point.connection_point_id}: resources do not add up, {off:.6f} kW apart"
    net = np.sum(list(schedule.connection_point_kw.values()), axis=0)
    if _differ(float(np.abs(net - schedule.net_kw).max()), 0.0, float(np.abs(net).max())):
        yield "the park's connection points do not add up"


def _trades(schedule: Schedule, terms: Sequence[Term]) -> Iterator[str]:
    for term in terms:
        if isinstance(term, OpenTrade):
            trade = schedule.trade_kw[term.product_id]
            yield from _between(term.product_id, trade, -term.max_kw, term.max_kw)


def bill_of(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    *,
    limit_excess_price_per_kwh: float,
) -> float:
    """What the schedule costs over the horizon, worked out from its powers and the terms."""
    hours = view.horizon.step_hours
    total = limit_excess_price_per_kwh * hours * _beyond_limits_kw(schedule, view)
    total += _owners_cost(schedule, view)
    points = schedule.connection_point_kw
    left = schedule.net_kw - schedule.committed_kw - sum(schedule.trade_kw.values())
    for term in terms:
        match term:
            case EnergyPrice():
                kw = points[term.connection_point_id]
                total += float(np.maximum(-kw, 0) @ term.import_per_kwh) * hours
                total -= float(np.maximum(kw, 0) @ term.export_per_kwh) * hours
            case OpenTrade():
                kw = schedule.trade_kw[term.product_id]
                total -= float(np.maximum(kw, 0) @ term.sell_per_kwh) * hours
                total += float(np.maximum(-kw, 0) @ term.buy_per_kwh) * hours
            case Commitment():
                total += float(np.maximum(-left, 0) @ term.short_per_kwh) * hours
                total -= float(np.maximum(left, 0) @ term.long_per_kwh) * hours
            case PeakCharge():
                total += term.price_per_kw * max(_peak_kw(points, term) - term.free_kw, 0.0)
            case StoredEnergyValue():
                total -= term.price_per_kwh * _left_in_stores_kwh(schedule, view)
            case _:
                assert_never(term)
    return total


def _peak_kw(points: Mapping[ConnectionPointId, Floats], term: PeakCharge) -> float:
    steps = slice(term.first_step, term.last_step)
    return float((-points[term.connection_point_id][steps]).max(initial=0.0))


def _beyond_limits_kw(schedule: Schedule, view: PlanningView) -> float:
    """Sum over nodes and steps of what lies outside the tree's limits."""
    points = schedule.connection_point_kw
    nodes = [(p.limits, [p.connection_point_id]) for p in view.park.connection_points]
    for feeder in view.park.feeders:
        below = [p for p in view.park.connection_points if p.feeder_id == feeder.feeder_id]
        nodes.append((feeder.limits, [p.connection_point_id for p in below]))
    nodes.append((view.park.limits, list(points)))
    beyond = 0.0
    for limits, below_ids in nodes:
        kw = np.sum([points[i] for i in below_ids], axis=0)
        beyond += float(np.maximum(-kw - limits.import_kw, 0).sum())
        beyond += float(np.maximum(kw - limits.export_kw, 0).sum())
    return beyond


def _owners_cost(schedule: Schedule, view: PlanningView) -> float:
    """Wear, discomfort, calls and energy that cars go without."""
    hours, total = view.horizon.step_hours, 0.0
    for row, resource in enumerate(view.park.resources):
        power = schedule.power_kw[row]
        match resource:
            case Storage():
                total += float(np.abs(power).sum()) * hours * resource.wear_cost_per_kwh
            case ThermalZone() if resource.resource_id in schedule.temperature_degc:
                degc = schedule.temperature_degc[resource.resource_id]
                outside = np.maximum(resource.min_degc - degc, 0) + np.maximum(
                    degc - resource.max_degc, 0
                )
                total += float(outside.sum()) * hours * resource.discomfort_cost_per_degc_h
            case EvFleet():
                reading = view.state.reading(resource.resource_id)
                for session in (reading.sessions or ()) if reading else ():
                    unserved = schedule.unserved_kwh[session.session_id]
                    total += unserved * resource.unserved_cost_per_kwh
            case InterruptibleLoad():
                starts = schedule.starts.get(resource.resource_id, ())
                length = resource.call_length / timedelta(hours=1)
                shed_kwh = len(starts) * length * resource.rated_draw_kw
                total += shed_kwh * resource.call_cost_per_kwh
            case _:
                pass  # the other kinds cost their owner nothing beside energy
    return total


def _left_in_stores_kwh(schedule: Schedule, view: PlanningView) -> float:
    """Electricity that what is left in stores stands for at the end of the horizon."""
    total = 0.0
    for resource in view.park.resources:
        name = resource.resource_id
        if isinstance(resource, Storage) and name in schedule.stored_kwh:
            total += float(schedule.stored_kwh[name][-1]) * resource.discharge_efficiency
        if isinstance(resource, ThermalZone) and name in schedule.temperature_degc:
            sign = 1.0 if resource.heating else -1.0
            degc = float(schedule.temperature_degc[name][-1])
            total += sign * degc * resource.capacity_kwh_per_degc / resource.cop
    return total
