"""The bill of a schedule, worked out from its powers and the terms alone, in plain arithmetic.

Nothing here is shared with `compile.py`: the validator compares this with what the solver says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.park import Limits
from vpp.model.resource import EvFleet, InterruptibleLoad, Storage, ThermalZone
from vpp.model.schedule import Schedule
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.view import PlanningView


def bill_by_cause(
    schedule: Schedule,
    view: PlanningView,
    terms: Sequence[Term],
    *,
    limit_excess_price_per_kwh: float,
) -> dict[str, float]:
    """The bill, in the park's currency, under the names that `Schedule.cost_by_cause` uses; causes that cost nothing are left out."""
    hours = view.horizon.step_hours
    bill = {"limit excess": limit_excess_price_per_kwh * hours * _beyond_limits_kw(schedule, view)}
    for cause, cost in (*_owners_cost(schedule, view), *_priced(schedule, view, terms)):
        bill[cause] = bill.get(cause, 0.0) + cost
    return bill


def _priced(
    schedule: Schedule, view: PlanningView, terms: Sequence[Term]
) -> Iterator[tuple[str, float]]:
    """Cause and cost of each term."""
    hours, points = view.horizon.step_hours, schedule.connection_point_kw
    left = schedule.net_kw - schedule.committed_kw - sum(schedule.trade_kw.values())
    for term in terms:
        match term:
            case EnergyPrice():
                kw = points[term.connection_point_id]
                cost = np.maximum(-kw, 0) @ term.import_per_kwh
                cost -= np.maximum(kw, 0) @ term.export_per_kwh
                yield "network energy", float(cost) * hours
            case OpenTrade():
                kw = schedule.trade_kw[term.product_id]
                cost = np.maximum(-kw, 0) @ term.buy_per_kwh - np.maximum(kw, 0) @ term.sell_per_kwh
                yield "market", float(cost) * hours
            case Commitment():
                cost = np.maximum(-left, 0) @ term.short_per_kwh
                cost -= np.maximum(left, 0) @ term.long_per_kwh
                yield "imbalance", float(cost) * hours
            case PeakCharge():
                above = max(_peak_kw(points, term) - term.free_kw, 0.0)
                yield "peak", term.price_per_kw * above
            case StoredEnergyValue():
                yield "stored energy", -term.price_per_kwh * _left_in_stores_kwh(schedule, view)
            case _:
                raise NotImplementedError(type(term).__name__)


def _peak_kw(points: Mapping[ConnectionPointId, Floats], term: PeakCharge) -> float:
    steps = slice(term.first_step, term.last_step)
    return float((-points[term.connection_point_id][steps]).max(initial=0.0))


def _beyond_limits_kw(schedule: Schedule, view: PlanningView) -> float:
    """Sum over nodes and steps of what lies outside the tree's limits."""
    points = schedule.connection_point_kw
    nodes: list[tuple[Limits, list[ConnectionPointId]]] = [
        (view.park.limits, list(points)),
        *((p.limits, [p.connection_point_id]) for p in view.park.connection_points),
    ]
    for feeder in view.park.feeders:
        below = [p for p in view.park.connection_points if p.feeder_id == feeder.feeder_id]
        nodes.append((feeder.limits, [p.connection_point_id for p in below]))
    beyond = 0.0
    for limits, names in nodes:
        kw = np.sum([points[name] for name in names], axis=0)
        beyond += float(np.maximum(-kw - limits.import_kw, 0).sum())
        beyond += float(np.maximum(kw - limits.export_kw, 0).sum())
    return beyond


def _owners_cost(schedule: Schedule, view: PlanningView) -> Iterator[tuple[str, float]]:
    """Wear, discomfort, calls and energy that cars go without."""
    hours = view.horizon.step_hours
    for row, resource in enumerate(view.park.resources):
        power, name = schedule.power_kw[row], resource.resource_id
        match resource:
            case Storage():
                yield "wear", float(np.abs(power).sum()) * hours * resource.wear_cost_per_kwh
            case ThermalZone() if name in schedule.temperature_degc:
                degc = schedule.temperature_degc[name]
                cold, hot = (
                    np.maximum(resource.min_degc - degc, 0),
                    np.maximum(degc - resource.max_degc, 0),
                )
                degc_h = float((cold + hot).sum()) * hours
                yield "discomfort", degc_h * resource.discomfort_cost_per_degc_h
            case EvFleet():
                for key, unserved_kwh in schedule.unserved_kwh.items():
                    if key.startswith(f"{name}/"):
                        yield "unserved", unserved_kwh * resource.unserved_cost_per_kwh
            case InterruptibleLoad():
                calls, length = schedule.starts.get(name, ()), resource.call_length
                shed_kwh = len(calls) * resource.rated_draw_kw * (length / timedelta(hours=1))
                yield "calls", shed_kwh * resource.call_cost_per_kwh
            case _:
                pass  # the other kinds cost their owner nothing beside energy


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
