"""How much of what perfect foresight would earn was earned: the score of a simulated span.

    value_captured = (nothing - ours) / (nothing - foresight)

*Nothing*: every resource on its own default, all energy bought at the day-ahead price, no
imbalance: the cheapest contract a passive park could have. *Foresight*: one solve over the span
with the actual series, free to trade day-ahead and quarter-hour at the actual prices, its schedule
equal to its position. *Ours*: what the devices did and what the venue's own ledger says it cost.

All three share the opening states of the devices and of the month's peaks, and pay the same bill:
market, network energy, the rise of the peaks, wear, discomfort, calls, cars that left short, what was
turned down, fuel, what networks of other carriers lacked, less what is left in stores, valued at the
span's mean import price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ConnectionPointId, ProductId, ResourceId
from vpp.model.measurement import EvSession, ParkState, Reading
from vpp.model.park import Park
from vpp.model.resource import (
    CurtailableLoad,
    EvFleet,
    Generator,
    InterruptibleLoad,
    Storage,
    ThermalZone,
)
from vpp.model.resource.series import available_series, power_series
from vpp.model.time import QUARTER, Interval
from vpp.plan.demand import paid_peaks
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.terms import Commitment, OpenTrade
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView
from vpp.service.strategies.wiring import bill_terms
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory

NEVER_PER_KWH = 1000.0
"""Price of leaving the position in the foresight run, where its schedule equals its position."""

FORESIGHT_SOFT_S = 240.0
"""For a week or less; see `foresight_soft_s`."""

FORESIGHT_GAP = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a span cost, by cause; costs positive, in the park's currency."""

    market: float
    network_energy: float
    peak: float
    wear: float
    discomfort: float
    calls: float
    unserved: float
    curtailment: float
    """What loads were turned down, and weather was not fed, by what their owners ask for it."""

    fuel: float
    """What generators fed, by their cost: gas, contracts for heat."""

    networks: float
    """What other carriers' networks lacked, as dear as a broken limit, and threw away."""

    left_in_stores: float
    """Not above 0: what is left saves buying it later."""

    @property
    def total(self) -> float:
        return float(sum(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actual:
    """The actual series of a scored span, on its quarter-hours."""

    span: Interval
    opening: ParkState
    opening_peaks_kw: Mapping[ConnectionPointId, float]
    scenario: Scenario
    day_ahead_per_mwh: Profile
    quarter_hour_per_mwh: Profile

    @property
    def horizon(self) -> Horizon:
        return Horizon.over(self.span, QUARTER)


def mean_import_price_per_kwh(park: Park, actual: Actual) -> float:
    """What buying a kWh cost on average over the span: market and network; never below 0."""
    network = [
        park.tariff_by_id[p.tariff_id].import_per_kwh(actual.horizon, park.timezone).values.mean()
        for p in park.connection_points
    ]
    market = float(actual.day_ahead_per_mwh.values.mean()) / 1000
    return max(market + float(np.mean(network)), 0.0)


def bill(
    park: Park,
    actual: Actual,
    course: Trajectory,
    *,
    market_cost: float,
    lacked_per_kwh: float,
    left_per_kwh: float | None = None,
) -> Bill:
    """The bill of a course of the park.

    `market_cost` is what its energy cost in the market, `lacked_per_kwh` what a kWh costs that a network
    lacked, `left_per_kwh` what one left in stores is worth: the span's mean import price where it is None.

    Raises:
        DataError: The course does not cover the span.
    """
    if course.horizon != actual.horizon:
        raise DataError(
            f"the course covers {course.horizon}", where="score", fix="Record the whole span"
        )
    value = mean_import_price_per_kwh(park, actual) if left_per_kwh is None else left_per_kwh
    return Bill(
        market=market_cost,
        network_energy=_network(park, actual, course),
        peak=_peaks(park, actual, course),
        wear=sum(
            float(course.throughput_kwh[r.resource_id].sum()) * r.wear_cost_per_kwh
            for r in park.resources
            if isinstance(r, Storage)
        ),
        discomfort=sum(
            float(course.discomfort_degc_h[r.resource_id].sum()) * r.discomfort_cost_per_degc_h
            for r in park.resources
            if isinstance(r, ThermalZone)
        ),
        calls=sum(
            float(course.called_kwh[r.resource_id].sum()) * r.call_cost_per_kwh
            for r in park.resources
            if isinstance(r, InterruptibleLoad)
        ),
        unserved=_unserved(park, course),
        curtailment=_curtailment(park, actual, course),
        fuel=_fuel(park, course),
        networks=sum(
            (float(course.lacked_kwh[node].sum()) * lacked_per_kwh for node in course.lacked_kwh),
            0.0,
        )
        + sum(
            float(course.spilled_kwh[node.node_id].sum()) * (node.spill_cost_per_kwh or 0.0)
            for node in park.nodes
            if node.node_id in course.spilled_kwh
        ),
        left_in_stores=-value * _left_kwh(park, course),
    )


def day_ahead_cost(actual: Actual, course: Trajectory) -> float:
    """What the metered energy costs if all of it is bought at the day-ahead price."""
    net_wh = sum(course.export_wh[p] - course.import_wh[p] for p in course.import_wh)
    return -float(np.asarray(net_wh) / 1e6 @ actual.day_ahead_per_mwh.values)


def _network(park: Park, actual: Actual, course: Trajectory) -> float:
    total = 0.0
    for point in park.connection_points:
        tariff = park.tariff_by_id[point.tariff_id]
        price = tariff.import_per_kwh(actual.horizon, park.timezone).values
        total += float(course.import_wh[point.connection_point_id] / 1000 @ price)
    return total


def _peaks(park: Park, actual: Actual, course: Trajectory) -> float:
    total = 0.0
    for peak in peaks_of(park, actual):
        import_kw = course.import_wh[peak.connection_point_id] / 1000 / actual.horizon.step_hours
        total += peak.price_per_kw * max(peak.highest_kw(import_kw) - peak.paid_kw, 0.0)
    return total


def peaks_of(park: Park, actual: Actual) -> tuple[PaidPeak, ...]:
    """The peaks of the span: paid up to the opening in its first month, not at all in later ones."""
    return paid_peaks(
        park,
        actual.horizon,
        paid_kw=lambda name, moment: (
            actual.opening_peaks_kw[name] if moment == actual.horizon.start else 0.0
        ),
        running_kw=lambda name: 0.0,
    )


def _unserved(park: Park, course: Trajectory) -> float:
    price = {
        r.resource_id: r.unserved_cost_per_kwh for r in park.resources if isinstance(r, EvFleet)
    }
    return sum(price[d.resource_id] * d.unserved_kwh for d in course.departures)


def _curtailment(park: Park, actual: Actual, course: Trajectory) -> float:
    """Against what loads would have drawn, and generators could have fed, as `vpp/plan` prices it."""
    total, scenario = 0.0, actual.scenario
    for name, power_kw in zip(course.resource_ids, course.power_kw, strict=True):
        match park.resource_by_id[name]:
            case CurtailableLoad() as resource:
                left_kw = power_kw - cut(scenario.base_kw[name], actual.horizon).values
            case Generator(weather_driven=True) as resource:
                left_kw = cut(scenario.available_kw[name], actual.horizon).values - power_kw
            case Generator() as resource:
                left_kw = resource.max_feed_kw - power_kw
            case _:
                continue
        left_kwh = float(np.maximum(left_kw, 0.0).sum()) * actual.horizon.step_hours
        total += resource.curtailment_cost_per_kwh * left_kwh
    return total


def _fuel(park: Park, course: Trajectory) -> float:
    price = {r.resource_id: r.cost_per_kwh for r in park.resources if isinstance(r, Generator)}
    fed_kwh = course.power_kw.sum(axis=1) * course.horizon.step_hours
    return sum(
        price.get(name, 0.0) * float(kwh)
        for name, kwh in zip(course.resource_ids, fed_kwh, strict=True)
    )


def opening_worth(park: Park, actual: Actual, course: Trajectory) -> float:
    """What stands in stores when the span begins, valued as what is left at its end."""
    return mean_import_price_per_kwh(park, actual) * _stored_kwh(
        park, course.opening_stored_kwh, course.opening_degc
    )


def _left_kwh(park: Park, course: Trajectory) -> float:
    """Electricity that the energy left in stores stands for."""
    return _stored_kwh(
        park,
        {name: float(values[-1]) for name, values in course.stored_kwh.items()},
        {name: float(values[-1]) for name, values in course.temperature_degc.items()},
    )


def _stored_kwh(
    park: Park, stored_kwh: Mapping[ResourceId, float], degc: Mapping[ResourceId, float]
) -> float:
    """Electricity that energies in stores and temperatures of zones stand for."""
    total = 0.0
    for resource in park.resources:
        name = resource.resource_id
        if isinstance(resource, Storage):
            worth = park.electricity_worth(resource.node_id)
            total += stored_kwh[name] * resource.discharge_efficiency * worth
        if isinstance(resource, ThermalZone):
            sign = 1.0 if resource.heating else -1.0
            total += sign * degc[name] * resource.capacity_kwh_per_degc / resource.cop
    return total


# ---------------------------------------------------------------- foresight


def foresight_problem(
    park: Park,
    actual: Actual,
    traded: Mapping[ProductId, tuple[Profile, float]],
    *,
    limit_excess_per_kwh: float,
) -> Problem:
    """One plan over the whole span that knows everything.

    `traded` holds the actual price (per MWh) and the most kW of each product. It pays what every park pays:
    what strategies want beside that is no part of the bill that runs are compared by.
    """
    view = _foresight_view(park, actual, traded)
    terms = list(bill_terms(view))
    steps = view.horizon.steps
    terms.append(
        Commitment(
            base_kw=np.zeros(steps),
            short_per_kwh=np.full(steps, NEVER_PER_KWH),
            long_per_kwh=np.full(steps, -NEVER_PER_KWH),
        )
    )
    for product in view.open_products:
        price = product.price_per_kwh.values
        terms.append(
            OpenTrade(
                product_id=product.product_id,
                sell_per_kwh=price,
                buy_per_kwh=price,
                max_kw=product.max_kw,
            )
        )
    return Problem(
        view=view,
        terms=tuple(terms),
        options=SolveOptions(
            plan_id="foresight",
            strategy_version="foresight",
            gap=FORESIGHT_GAP,
            soft_s=foresight_soft_s(actual.span),
            limit_excess_price_per_kwh=limit_excess_per_kwh,
        ),
        preferred_starts={},
    )


def _foresight_view(
    park: Park, actual: Actual, traded: Mapping[ProductId, tuple[Profile, float]]
) -> PlanningView:
    horizon, scenario = actual.horizon, actual.scenario
    spot = Profile(horizon, actual.day_ahead_per_mwh.values / 1000)
    return PlanningView(
        now=horizon.start,
        park=park,
        horizon=horizon,
        state=_with_all_cars(park, actual),
        base_kw={
            r.resource_id: cut(scenario.base_kw[r.resource_id], horizon)
            for r in park.resources
            if power_series(r)
        },
        available_kw={
            r.resource_id: cut(scenario.available_kw[r.resource_id], horizon)
            for r in park.resources
            if available_series(r)
        },
        outdoor_degc={name: cut(p, horizon) for name, p in scenario.outdoor_degc.items()},
        arriving_kw={
            r.resource_id: Profile.constant(horizon, 0.0)
            for r in park.resources
            if isinstance(r, EvFleet)
        },
        spot_per_kwh=spot,
        committed_kw=np.zeros(horizon.steps),
        open_products=tuple(
            OpenProduct(
                product_id=name,
                price_per_kwh=Profile(horizon, price.values / 1000),
                max_kw=np.full(horizon.steps, most_kw),
                informative=True,
            )
            for name, (price, most_kw) in traded.items()
        ),
        import_per_kwh={
            p.connection_point_id: park.tariff_by_id[p.tariff_id].import_per_kwh(
                horizon, park.timezone
            )
            for p in park.connection_points
        },
        paid_peaks=peaks_of(park, actual),
    )


def _with_all_cars(park: Park, actual: Actual) -> ParkState:
    """The opening state, with every car that will come within the span known beforehand."""
    states = []
    for state in actual.opening.resources:
        resource = park.resource_by_id[state.resource_id]
        if isinstance(resource, EvFleet) and isinstance(state, Reading):
            sessions = _sessions(resource.resource_id, state, actual)
            state = replace(state, sessions=sessions)
        states.append(state)
    return ParkState(taken_at=actual.opening.taken_at, resources=tuple(states))


def _sessions(fleet_id: ResourceId, reading: Reading, actual: Actual) -> tuple[EvSession, ...]:
    to_come = [
        EvSession(
            session_id=visit.session_id,
            departs_at=visit.departs_at,
            wanted_kwh=visit.wanted_kwh,
            arrives_at=visit.arrives_at,
        )
        for visit in actual.scenario.visits.get(fleet_id, ())
        if actual.span.start < visit.arrives_at < actual.span.end
    ]
    return (*(reading.sessions or ()), *to_come)


def cut(profile: Profile, horizon: Horizon) -> Profile:
    """The part of a profile that lies on `horizon`.

    Raises:
        DataError: It does not reach that far.
    """
    first = profile.horizon.index(horizon.start)
    values: Floats = profile.values[max(first, 0) : first + horizon.steps]
    if first < 0 or len(values) != horizon.steps:
        raise DataError(
            f"does not reach over {horizon.start} … {horizon.end}",
            where="scenario",
            fix="Choose a span inside the scenario's series",
        )
    return Profile(horizon, values)


def foresight_soft_s(span: Interval) -> float:
    """How long the foresight run may search."""
    return FORESIGHT_SOFT_S * max((span.end - span.start) / timedelta(days=7), 1.0)


def value_captured(
    nothing: float, ours: float, foresight: float, *, gap: float
) -> tuple[float | None, str | None]:
    """The score, or None with the reason.

    Raises:
        DataError: Foresight costs more than ours or nothing, beyond what its gap allows: then the
            runs were not comparable, and no score may be shown.
    """
    slack = gap * max(abs(foresight), 1.0) + 0.01
    for name, cost in (("ours", ours), ("nothing", nothing)):
        if foresight > cost + slack:
            raise DataError(
                f"foresight costs {foresight:.2f}, {name} only {cost:.2f}",
                where="score",
                fix="Find what the foresight run was not allowed to do",
            )
    if nothing - foresight <= slack:
        return None, "perfect foresight would have saved nothing"
    return (nothing - ours) / (nothing - foresight), None
