"""Random small parks of all kinds with all terms; the same seed gives the same park.

What a park file would refuse, or what no park could keep, is not drawn; beyond that the numbers
are meant to be awkward: devices nobody hears, calls under way, windows that the horizon cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from decimal import Decimal

import numpy as np

from tests.plan.independent import electric, networks, wishes
from tests.plan.independent.draw import MIDNIGHT, ZONE, Dice, Making
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    ParkId,
    ResourceId,
)
from vpp.model.measurement import ParkState, Unknown
from vpp.model.park import (
    ConnectionPoint,
    Enterprise,
    Feeder,
    LimitOrder,
    Limits,
    Park,
    Place,
    PowerGroup,
)
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
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER, Interval
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView

KINDS = (
    *(electric.fixed, electric.storage, electric.storage, electric.weather, electric.engine),
    *(electric.curtailable, electric.process, electric.run, electric.runs_in_a_row),
    *(electric.flexible, electric.zone, electric.cars),
    *(networks.heat_pump, networks.power_and_heat, networks.hydrogen),
)
QUARTERLY = {electric.run, electric.runs_in_a_row}
"""Kinds whose own times are quarter-hours."""

MOST = 8


def random_park(
    seed: int, kinds: Sequence[object] = KINDS
) -> tuple[PlanningView, tuple[Term, ...]]:
    """A park of 3 to 8 resources over 8 to 24 steps, with its terms."""
    dice = Dice(np.random.default_rng([seed, 77]))
    drawn = _drawn(dice, kinds)
    steps = dice.count(8, 24)
    step = QUARTER if QUARTERLY & set(drawn) else dice.pick(1, 1, 2, 4) * QUARTER
    start = MIDNIGHT + dice.count(16, 80) * QUARTER
    points = (("cp-a", "a"), ("cp-b", "b"), ("cp-c", "b"))[: dice.count(1, 3)]
    m = Making(
        dice=dice,
        horizon=Horizon(start, step, steps),
        now=start - dice.pick(0, 0, 7) * timedelta(minutes=1),
        points=points,
    )
    for kind in drawn:
        kind(m)  # type: ignore[operator]
    park = _park(m)
    terms = (
        *wishes.market(m),
        *wishes.others(m, park),
        *wishes.reserves(m, park),
        *wishes.kept(m, park),
    )
    return _view(m, park), terms


def _drawn(dice: Dice, kinds: Sequence[object]) -> list[object]:
    """Kinds of 3 to 8 resources, one network at most."""
    networked = {networks.heat_pump, networks.power_and_heat, networks.hydrogen}
    room = dice.count(3, MOST)
    drawn: list[object] = []
    while room > 0:
        kind = kinds[dice.count(0, len(kinds) - 1)]
        takes = 4 if kind in networked else 2 if kind is electric.runs_in_a_row else 1
        if takes > room and drawn:
            break
        if kind in networked and networked & set(drawn):
            continue
        drawn.append(kind)
        room -= takes
    return drawn


def _limits(dice: Dice, scale: float) -> Limits:
    if dice.chance(0.4):
        return Limits()
    return Limits(import_kw=dice.between(0.1, 1) * scale, export_kw=dice.between(0.0, 0.5) * scale)


def _park(m: Making) -> Park:
    dice = m.dice
    enterprises = sorted({enterprise for _, enterprise in m.points})
    return Park(
        park_id=ParkId("test"),
        name="Test park",
        timezone=ZONE,
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=_limits(dice, 350),
        feeders=(Feeder(feeder_id=FeederId("f"), limits=_limits(dice, 250)),),
        enterprises=tuple(
            Enterprise(
                enterprise_id=EnterpriseId(name), name=name.upper(), limits=_limits(dice, 250)
            )
            for name in enterprises
        ),
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=ConnectionPointId(name),
                enterprise_id=EnterpriseId(enterprise),
                feeder_id=None if name == "cp-c" else FeederId("f"),
                limits=_limits(dice, 200),
                meter_id=ResourceId(f"meter-{name}"),
                tariff_id="t",
            )
            for name, enterprise in m.points
        ),
        resources=tuple(m.resources),
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(TouBand(name="all", start=time(), end=time(), price_per_kwh=Decimal(0)),),
                demand=ActualDemand(price_per_kw_month=Decimal(0)),
            ),
        ),
        grid_kgco2_per_kwh=0.02,
        nodes=tuple(m.nodes),
        pipes=tuple(m.pipes),
        groups=tuple(_groups(m)),
    )


def _groups(m: Making) -> list[PowerGroup]:
    """Groups that somehow can be kept: what comes by itself fits in."""
    dice, found = m.dice, []
    drawing = [r for r in m.resources if _forced_kw(m, r) is not None]
    if len(drawing) >= 2 and dice.chance(0.35):
        members = dice.some(drawing, 3, least=2)
        forced = sum(_forced_kw(m, r) or 0.0 for r in members)
        found.append(
            PowerGroup(
                group_id="transformer",
                resource_ids=tuple(r.resource_id for r in members),
                max_draw_kw=forced + dice.between(1, 30),
            )
        )
    switched = [r for r in m.resources if _switched(r)]
    if len(switched) >= 2 and dice.chance(0.6):
        members = dice.some(switched, 3, least=2)
        found.append(
            PowerGroup(
                group_id="crew",
                resource_ids=tuple(r.resource_id for r in members),
                max_running=max(len(members) - 1, 1),
            )
        )
    return found


def _switched(r: Resource) -> bool:
    """Whether it is on or off, and one can wait for the other."""
    if isinstance(r, Generator | Converter | FlexibleLoad):
        return r.on_off is not None
    return isinstance(r, InterruptibleLoad) or (isinstance(r, ShiftableRun) and r.after is None)


def _forced_kw(m: Making, r: Resource) -> float | None:
    """The most it may have to draw; None where it is not drawn into a group of draws."""
    if r.node_id is not None:
        return None
    heard = m.heard(r)
    match r:
        case Storage():
            return 0.0
        case ThermalZone():
            return 0.0 if heard else r.max_draw_kw
        case FixedLoad() | CurtailableLoad():
            return max(0.0, -float(m.base_kw[r.resource_id].values.min()))
        case FlexibleLoad():
            free = heard and not r.on_off and r.unserved_cost_per_unit is not None
            return 0.0 if free and r.ramp_kw_per_min == np.inf else r.max_draw_kw
        case ShiftableRun():
            return r.draw_kw
        case EvFleet() if not r.max_car_feed_kw:
            return max(0.0, -float(m.arriving_kw[r.resource_id].values.min()))
        case InterruptibleLoad() if r.rebound is None:
            return r.rated_draw_kw
        case _:
            return None


def _orders(m: Making, park: Park) -> tuple[LimitOrder, ...]:
    dice = m.dice
    places: list[Place] = [*park.point_by_id, park.park_id, FeederId("f")]
    found = []
    for number in range(dice.count(1, 2) if dice.chance(0.3) else 0):
        place = places[dice.count(0, len(places) - 1)]
        begins = m.horizon.start + timedelta(minutes=dice.count(-60, 200))
        found.append(
            LimitOrder(
                order_id=f"order-{number}",
                place=place,
                span=Interval(begins, begins + timedelta(minutes=dice.count(10, 120))),
                limits=Limits(import_kw=dice.between(0, 60), export_kw=dice.pick(np.inf, 10.0)),
                source="a test",
                priority=dice.pick(0, 1, 3),
            )
        )
    return tuple(found)


def _view(m: Making, park: Park) -> PlanningView:
    return PlanningView(
        now=m.now,
        park=park,
        horizon=m.horizon,
        state=ParkState(
            taken_at=m.now,
            resources=tuple(
                m.readings.get(r.resource_id)
                or Unknown(resource_id=r.resource_id, reason="never heard")
                for r in park.resources
            ),
        ),
        base_kw=m.base_kw,
        available_kw=m.available_kw,
        outdoor_degc={"outdoor": m.profile(-5, 15)},
        arriving_kw=m.arriving_kw,
        spot_per_kwh=Profile.constant(m.horizon, 0.1),
        committed_kw=np.zeros(m.horizon.steps),
        open_products=(),
        import_per_kwh={
            p.connection_point_id: Profile.constant(m.horizon, 0.0) for p in park.connection_points
        },
        paid_peaks=(),
        power_share=m.power_share,
        limit_orders=_orders(m, park),
    )
