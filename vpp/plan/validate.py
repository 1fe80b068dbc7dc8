"""Check a schedule against the view it was made for, without looking at the programme.

The solver's word is not taken: every physical rule and the whole bill (`bill.py`) are worked out
again from the resources and the terms, one by one, in plain arithmetic. A schedule that fails is
refused. Nothing here is shared with `compile.py` and `fleet.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import assert_never

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import EvSession, Reading
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.plan.bill import bill_by_cause
from vpp.plan.expected import call_faults, process_kw, run_faults, run_kw
from vpp.plan.terms import Commitment, OpenTrade, Term
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
    if misfits := tuple(_misfits(schedule, view, terms)):
        return misfits
    found = [*_resources(schedule, view), *_sums(schedule, view), *_trades(schedule, terms)]
    bill = bill_by_cause(
        schedule, view, terms, limit_excess_price_per_kwh=limit_excess_price_per_kwh
    )
    turnover = sum(abs(cost) for cost in bill.values())
    for cause in sorted(bill.keys() | schedule.cost_by_cause.keys()):
        ours, theirs = bill.get(cause, 0.0), schedule.cost_by_cause.get(cause, 0.0)
        if _differ(ours, theirs, turnover * 10):  # many rows add up: 1e-5 of what changes hands
            found.append(f"{cause}: the bill is {ours:.6f}, the solver says {theirs:.6f}")
    return tuple(found)


def _differ(a: float, b: float, size: float) -> bool:
    # Written so that NaN differs from everything.
    return not abs(a - b) <= TOLERANCE * max(1.0, size)


def _misfits(schedule: Schedule, view: PlanningView, terms: Sequence[Term]) -> Iterator[str]:
    """What keeps the schedule from being read at all: other names, other shapes, no numbers."""
    steps, resources = view.horizon.steps, view.park.resources
    if schedule.horizon != view.horizon:
        yield f"it stands on {schedule.horizon}, the view on {view.horizon}"
    if schedule.resource_ids != tuple(r.resource_id for r in resources):
        yield "its resources are not the park's, in the park's order"
    yield from _numbers("power_kw", schedule.power_kw, (len(resources), steps))
    for name in ("net_kw", "committed_kw", "net_value_per_kwh"):
        yield from _numbers(name, getattr(schedule, name), (steps,))
    storages = {r.resource_id for r in resources if isinstance(r, Storage) and _soc(r, view)}
    zones = {
        r.resource_id
        for r in resources
        if isinstance(r, ThermalZone) and view.state.reading(r.resource_id)
    }
    points = {p.connection_point_id for p in view.park.connection_points}
    products = {term.product_id for term in terms if isinstance(term, OpenTrade)}
    for name, expected in (
        ("stored_kwh", storages),
        ("stored_value_per_kwh", storages),
        ("temperature_degc", zones),
        ("connection_point_kw", points),
        ("trade_kw", products),
    ):
        profiles = getattr(schedule, name)
        if profiles.keys() != expected:
            yield f"{name} speaks of {sorted(profiles)}, not of {sorted(expected)}"
        for key, values in profiles.items():
            yield from _numbers(f"{name} of {key}", values, (steps,))
    if not np.isfinite([*schedule.cost_by_cause.values(), schedule.gap]).all():
        yield "a cost or the gap is not finite"
    sessions = {
        f"{r.resource_id}/{session.session_id}"
        for r in resources
        if isinstance(r, EvFleet) and (reading := view.state.reading(r.resource_id))
        for session in reading.sessions or ()
    }
    if schedule.unserved_kwh.keys() != sessions:
        yield f"unserved_kwh speaks of {sorted(schedule.unserved_kwh)}, not of {sorted(sessions)}"
    may_start = {
        r.resource_id for r in resources if isinstance(r, InterruptibleLoad | ShiftableRun)
    }
    for resource_id, chosen in schedule.starts.items():
        if resource_id not in may_start or not all(0 <= step < steps for step in chosen):
            yield f"{resource_id}: cannot start in steps {chosen}"


def _numbers(name: str, values: object, shape: tuple[int, ...]) -> Iterator[str]:
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.shape != shape:
        yield f"{name} is no array of numbers in shape {shape}"
    elif not np.isfinite(values).all():
        yield f"{name}: a value is not finite"


def _soc(unit: Storage, view: PlanningView) -> bool:
    """Whether somebody says how full it is."""
    reading = view.state.reading(unit.resource_id)
    return reading is not None and reading.soc is not None


def _resources(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    for row, resource in enumerate(view.park.resources):
        power, name = schedule.power_kw[row], resource.resource_id
        reading = view.state.reading(name)
        starts = schedule.starts.get(name, ())
        match resource:
            case FixedLoad():
                yield from _equal(name, power, view.base_kw[name].values)
            case Storage():
                yield from _storage(resource, reading, power, schedule, view)
            case Generator():
                available = np.maximum(view.available_kw[name].values, 0.0)
                yield from _between(name, power, np.zeros_like(power), available)
            case ThermalZone():
                yield from _zone(resource, reading, power, schedule, view)
            case EvFleet():
                yield from _cars(resource, reading, power, schedule, view)
            case InterruptibleLoad():
                yield from call_faults(resource, reading, starts, view)
                yield from _equal(name, power, process_kw(resource, reading, starts, view))
            case ShiftableRun():
                yield from run_faults(resource, reading, starts, view)
                yield from _equal(name, power, run_kw(resource, reading, starts, view))
            case CurtailableLoad() | FlexibleLoad() | Converter():
                yield f"{name}: nobody checks this kind yet"
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


def _equal(name: str, power: Floats, expected: Floats) -> Iterator[str]:
    """As `_between`, where there is nothing to choose (a decision is 0 or 1 to within 1e-6)."""
    slack = TOLERANCE * np.abs(expected).max(initial=1.0)
    yield from _between(name, power, expected - slack, expected + slack)


def _storage(
    unit: Storage,
    reading: Reading | None,
    power: Floats,
    schedule: Schedule,
    view: PlanningView,
) -> Iterator[str]:
    name = unit.resource_id
    if reading is None or reading.soc is None:
        yield from _equal(name, power, np.zeros_like(power))
        return
    yield from _between(
        name,
        power,
        np.full_like(power, -unit.max_charge_kw),
        np.full_like(power, unit.max_discharge_kw),
    )
    stored = reading.soc * unit.capacity_kwh
    floor = min(unit.min_soc * unit.capacity_kwh, stored)
    slack = 10 * TOLERANCE * max(1.0, unit.capacity_kwh)
    for step, kw in enumerate(power):
        stored = unit.stored_kwh_after(stored, float(kw), view.horizon.step_hours)
        planned = float(schedule.stored_kwh[name][step])
        if not abs(stored - planned) <= slack:
            yield f"{name}: step {step} stores {stored:.6f} kWh, the plan says {planned:.6f}"
            return
        if not floor - slack <= stored <= unit.capacity_kwh + slack:
            yield (
                f"{name}: step {step} ends at {stored:.6f} kWh, allowed {floor:.6f} …"
                f" {unit.capacity_kwh:.6f}"
            )
            return


def _zone(
    zone: ThermalZone,
    reading: Reading | None,
    power: Floats,
    schedule: Schedule,
    view: PlanningView,
) -> Iterator[str]:
    name, outdoor = zone.resource_id, view.outdoor_degc[zone.outdoor_series_id].values
    if reading is None:
        # Its thermostat holds the target: heat lost (or gained) through the walls, less the gain.
        lost_kw = (zone.target_degc - outdoor) / zone.resistance_degc_per_kw - zone.internal_gain_kw
        draw = np.clip((lost_kw if zone.heating else -lost_kw) / zone.cop, 0.0, zone.max_draw_kw)
        yield from _equal(name, power, -draw)
        return
    yield from _between(name, power, np.full_like(power, -zone.max_draw_kw), np.zeros_like(power))
    degc = zone.target_degc if reading.temperature_degc is None else reading.temperature_degc
    hours = view.horizon.step_hours
    for step, kw in enumerate(power):
        degc = zone.temperature_after(degc, float(kw), float(outdoor[step]), hours)
        planned = float(schedule.temperature_degc[name][step])
        if _differ(degc, planned, 100.0):
            yield f"{name}: step {step} ends at {degc:.6f} °C, the plan says {planned:.6f}"
            return


def _cars(
    fleet: EvFleet,
    reading: Reading | None,
    power: Floats,
    schedule: Schedule,
    view: PlanningView,
) -> Iterator[str]:
    """The fleet's draw lies in its room, and can be dealt out to the cars while they are here."""
    name, horizon = fleet.resource_id, view.horizon
    sessions = (reading.sessions or ()) if reading is not None else ()
    stays = [[_stay(s, step) / horizon.step for step in horizon.intervals()] for s in sessions]
    share = np.array(stays).reshape(len(sessions), horizon.steps)
    arriving = view.arriving_kw[name].values
    here_kw = fleet.charger_kw * share.sum(axis=0)
    least = np.minimum(arriving, np.maximum(-fleet.max_draw_kw, arriving - here_kw))
    yield from _between(name, power, least, arriving)

    counted_kwh = horizon.step_hours * fleet.charge_efficiency
    wanted = np.array([session.wanted_kwh for session in sessions])
    unserved = np.array([schedule.unserved_kwh[f"{name}/{s.session_id}"] for s in sessions])
    served = wanted - unserved
    slack = 10 * TOLERANCE * max(1.0, float(wanted.sum()), fleet.max_draw_kw)
    if not ((unserved >= -slack) & (served >= -slack)).all():
        yield f"{name}: leaves {unserved} kWh of {wanted}"
    charged = np.cumsum(arriving - power) * counted_kwh
    if not abs(charged[-1] - served.sum()) <= slack:
        yield (
            f"{name}: charges {charged[-1]:.4f} kWh, its cars count {served.sum():.4f} of"
            f" {wanted.sum():.4f}"
        )
    could = np.cumsum(fleet.charger_kw * share, axis=1) * counted_kwh
    most = np.minimum(could, served[:, None]).sum(axis=0)
    later = could[:, -1:] - could
    least_kwh = np.maximum(served[:, None] - later, 0.0).sum(axis=0)
    bad = np.flatnonzero(~((least_kwh - slack <= charged) & (charged <= most + slack)))
    if len(bad):
        step = bad[0]
        yield (
            f"{name}: has charged {charged[step]:.4f} kWh by step {step}, its cars' stays allow"
            f" {least_kwh[step]:.4f} … {most[step]:.4f}"
        )


def _stay(session: EvSession, step: Interval) -> timedelta:
    """How long the car is here during `step`."""
    comes = step.start if session.arrives_at is None else max(session.arrives_at, step.start)
    return max(min(session.departs_at, step.end) - comes, timedelta(0))


def _sums(schedule: Schedule, view: PlanningView) -> Iterator[str]:
    for point in view.park.connection_points:
        name = point.connection_point_id
        rows = [i for i, r in enumerate(view.park.resources) if r.connection_point_id == name]
        total = schedule.power_kw[rows].sum(axis=0)
        size = float(np.abs(schedule.power_kw[rows]).sum(axis=0).max(initial=0.0))
        off = float(np.abs(total - schedule.connection_point_kw[name]).max())
        if _differ(off, 0.0, size * 10):
            yield f"{name}: its resources do not add up, {off:.6f} kW apart"
    net = np.sum(list(schedule.connection_point_kw.values()), axis=0)
    off = float(np.abs(net - schedule.net_kw).max())
    if _differ(off, 0.0, float(np.abs(net).max()) * 10):
        yield f"the park's connection points do not add up to its net, {off:.6f} kW apart"


def _trades(schedule: Schedule, terms: Sequence[Term]) -> Iterator[str]:
    steps = schedule.horizon.steps
    committed = [term.base_kw for term in terms if isinstance(term, Commitment)]
    yield from _equal(
        "committed_kw", schedule.committed_kw, np.sum([np.zeros(steps), *committed], axis=0)
    )
    for term in terms:
        if isinstance(term, OpenTrade):
            trade = schedule.trade_kw[term.product_id]
            yield from _between(term.product_id, trade, -term.max_kw, term.max_kw)
