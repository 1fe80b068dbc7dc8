"""Random terms of every kind for a random park."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.plan.independent.draw import Making
from vpp.model.ids import ConnectionPointId, ProductId
from vpp.model.park import Park, Place
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
)
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
from vpp.plan.view import PeakMargin


def market(m: Making) -> Iterator[Term]:
    d, steps = m.dice, m.horizon.steps
    spot, gap = m.course(-0.15, 0.4), d.pick(0.01, 0.05, 0.3)
    yield Commitment(base_kw=m.course(-100, 20), short_per_kwh=spot + gap, long_per_kwh=spot - gap)
    for number in range(d.count(0, 2)):
        spread = d.pick(0.0, 0.01)
        price = spot + m.course(-0.01, 0.01)
        room = np.full(steps, d.pick(40.0, 1e4))
        room[: d.count(0, 3)] = 0.0  # gates that are closed
        yield OpenTrade(
            product_id=ProductId(f"spot-{number}"),
            sell_per_kwh=price - spread,
            buy_per_kwh=price + spread,
            max_kw=room,
        )
    for point, _ in m.points:
        cost = d.pick(0.0, 0.03, 0.08)
        yield EnergyPrice(
            connection_point_id=ConnectionPointId(point),
            import_per_kwh=np.full(steps, cost),
            export_per_kwh=np.full(steps, d.pick(0.0, -0.01, cost / 2)),
        )
        for _ in range(d.count(0, 1) + d.chance(0.2)):
            yield _peak(m, point)
    if d.chance(0.8):
        yield StoredEnergyValue(
            price_per_kwh=d.between(0, 0.25),
            electricity_per_kwh={node.node_id: 0.3 * k for k, node in enumerate(m.nodes, start=1)},
        )


def _peak(m: Making, point: str) -> PeakCharge:
    d, steps = m.dice, m.horizon.steps
    length = d.pick(1, 1, 2, 4)
    elapsed = d.count(0, length - 1)
    first = d.count(0, 2)
    counts = None if d.chance(0.7) else m.dice.rng.random(steps) < 0.5
    return PeakCharge(
        connection_point_id=ConnectionPointId(point),
        first_step=first,
        last_step=d.count(first + 1, steps),
        price_per_kw=d.pick(0.05, 1.0, 8.0),
        free_kw=d.between(0, 120),
        interval_steps=length,
        elapsed_steps=elapsed,
        elapsed_kw=d.between(0, 60) if elapsed else 0.0,
        counts=counts,
        margin=None
        if d.chance(0.6)
        else PeakMargin(import_kw=d.rng.uniform(0, 60, steps), share=d.pick(0.1, 0.275, 0.9)),
    )


def others(m: Making, park: Park) -> Iterator[Term]:
    d, steps = m.dice, m.horizon.steps
    if d.chance(0.3):
        places: list[Place] = [park.park_id, *(f.feeder_id for f in park.feeders)]
        places += [*(e.enterprise_id for e in park.enterprises), *park.point_by_id]
        sides = d.pick((True, False), (False, True), (True, True))
        place = places[d.count(0, len(places) - 1)]
        yield Cap(
            place=place,
            also=_beside(park, place),
            import_kw=m.course(0, 100) if sides[0] else None,
            export_kw=m.course(0, 50) if sides[1] else None,
            excess_per_kwh=d.pick(0.05, 0.5),
            reason="a test",
        )
    told = [
        r
        for r in park.resources
        if isinstance(r, Storage) and m.heard(r) and m.readings[r.resource_id].soc is not None
    ]
    if told and d.chance(0.5):
        store = told[d.count(0, len(told) - 1)]
        yield EnergyTarget(
            resource_id=store.resource_id,
            step=d.count(0, steps - 1),
            stored_kwh=d.between(0, store.capacity_kwh),
            shortfall_per_kwh=d.pick(0.1, 1.0),
            reason="a test",
        )
    if d.chance(0.3):
        price = d.between(0, 0.2)
        yield CarbonPrice(
            price_per_kgco2=price, grid_kgco2_per_kwh=m.course(0.01, 0.5), **_while(m, price)
        )
    if d.chance(0.25):
        yield GreenShare(share=d.between(0.1, 0.9), shortfall_per_kwh=d.pick(0.02, 0.2))
    if d.chance(0.3):
        yield _changes(m, park)
    yield from _quotas(m, park)
    bearers = [
        r.resource_id for r in park.resources if isinstance(r, CurtailableLoad | InterruptibleLoad)
    ]
    if bearers and d.chance(0.6):
        yield EqualBurden(
            borne_kwh={name: d.between(0, 20) for name in bearers},
            price_per_share=d.pick(0.5, 5.0, 50.0),
        )


def kept(m: Making, park: Park) -> Iterator[Term]:
    """What is to stay in stores, and to be in cars some time before they leave."""
    d, steps = m.dice, m.horizon.steps
    stores = [r for r in park.resources if isinstance(r, Storage)]
    if stores and d.chance(0.4):
        least_kwh = {}
        for r in d.some(stores, 2):
            least_kwh[r.resource_id] = m.course(0, r.capacity_kwh)
            least_kwh[r.resource_id][d.rng.random(steps) < 0.4] = np.nan
        yield StoredFloor(
            least_kwh=least_kwh, shortfall_per_kwh_h=d.pick(0.02, 0.5), reason="a test"
        )
    for fleet in (r for r in park.resources if isinstance(r, EvFleet) and m.heard(r)):
        for session in m.readings[fleet.resource_id].sessions or ():
            if d.chance(0.5):
                yield CarDeadline(
                    resource_id=fleet.resource_id,
                    session_id=session.session_id,
                    step=d.count(0, steps + 2),
                    charged_kwh=d.between(0, max(session.wanted_kwh, 0.01)),
                    shortfall_per_kwh=d.pick(0.1, 1.0),
                )


def _beside(park: Park, place: Place) -> tuple[Place, ...]:
    """For every other connection point the next one, which no place counts twice."""
    points = list(park.point_by_id)
    at = points.index(place) if place in points else 1  # type: ignore[arg-type]  # a place of any kind
    return (points[at + 1],) if at % 2 == 0 and at + 1 < len(points) else ()


def _changes(m: Making, park: Park) -> ChangePenalty:
    announced = {}
    for r in m.dice.some(park.resources, 2):
        course = m.course(-30, 10)
        course[m.dice.rng.random(m.horizon.steps) < 0.3] = np.nan
        announced[r.resource_id] = course
    return ChangePenalty(announced_kw=announced, price_per_kwh=m.dice.pick(0.005, 0.1))


def _quotas(m: Making, park: Park) -> Iterator[Term]:
    d = m.dice
    for activity in (Activity.IMPORT, Activity.EXPORT, Activity.GREEN_USE):
        if d.chance(0.12):
            price = d.between(0, 0.05)
            yield ActivityPrice(
                activity=activity,
                resource_id=None,
                price_per_unit=-price if activity is Activity.GREEN_USE else price,
                reason="a test",
                **_while(m, price),
            )
    for r in park.resources:
        machine = isinstance(r, Generator | Converter | FlexibleLoad) and r.on_off is not None
        fitting: list[tuple[Activity, float]] = []
        if machine:
            fitting = [(Activity.HOURS_ON, 0.5), (Activity.CALLS, 2.0)]
        elif isinstance(r, InterruptibleLoad | ShiftableRun):
            fitting = [(Activity.CALLS, 2.0)]
        elif isinstance(r, Storage):
            fitting = [(Activity.DISCHARGED, 0.02)]
        for activity, most in fitting:
            if d.chance(0.2):
                price = d.between(0, most)
                yield ActivityPrice(
                    activity=activity,
                    resource_id=r.resource_id,
                    price_per_unit=price,
                    reason="a test",
                    **_while(m, price),
                )


def _while(m: Making, price: float) -> dict[str, Any]:
    """The whole horizon, its beginning, or its end; by dice of its own, so that the rest stays."""
    middle = m.horizon.steps // 2
    spans = ((0, None), (0, middle), (middle, None))
    first, last = spans[int(np.random.default_rng(int(price * 1e9)).integers(3))]
    return {"first_step": first, "last_step": last}


def reserves(m: Making, park: Park) -> Iterator[Term]:
    d, steps = m.dice, m.horizon.steps
    able = [
        r.resource_id
        for r in park.resources
        if r.node_id is None and isinstance(r, Storage | Generator | CurtailableLoad | FlexibleLoad)
    ]
    if not able or not d.chance(0.5):
        return
    for number in range(d.count(1, 3)):
        called, block = d.pick(0.0, 0.05, 0.2), d.pick(1, 1, 4)
        yield ReserveHeadroom(
            product_id=ProductId(f"reserve-{number}"),
            up=d.chance(0.5),
            resource_ids=frozenset(d.some(able, 4)),
            firm_kw=m.course(0, 20) if d.chance(0.6) else np.zeros(steps),
            shortfall_per_kw_h=d.pick(0.1, 1.0),
            open_kw=m.course(0, 60) if d.chance(0.7) else np.zeros(steps),
            price_per_kw_h=m.course(0, 0.1),
            activation_hours=d.pick(0.25, 1.0),
            called_share=called,
            called_per_kwh=m.course(-0.02, 0.2) if called and d.chance(0.7) else None,
            block_steps=block,
            elapsed_steps=d.count(0, block - 1),
            held_at_end=d.chance(0.7),
            survives_largest=d.chance(0.25),
        )
