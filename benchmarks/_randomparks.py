"""Random parks for benchmarks of offers: small trees with stores, loads and machines, planned by our planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.random import Generator as Dice

from vpp.model.demand import ActualDemand
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    ParkId,
    ProductId,
    ResourceId,
    UnitId,
)
from vpp.model.measurement import ParkState, Quality, Reading
from vpp.model.park import BiddingUnit, ConnectionPoint, Enterprise, Feeder, Limits, Park
from vpp.model.resource import CurtailableLoad, FixedLoad, Generator, Resource, Storage
from vpp.model.schedule import Feasible, Optimal, Schedule
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER, Interval
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.solve import solve
from vpp.plan.terms import EnergyPrice
from vpp.plan.view import PlanningView

MIDNIGHT = datetime(2026, 1, 7, tzinfo=UTC)
BEFORE, DAY, AFTER = 4, 96, 12
"""Steps of the plan before, during and after the day that is sold."""
HORIZON = Horizon(MIDNIGHT, QUARTER, BEFORE + DAY + AFTER)
DELIVERY = Interval(MIDNIGHT + BEFORE * QUARTER, MIDNIGHT + (BEFORE + DAY) * QUARTER)
UTC_ZONE = ZoneInfo("UTC")
OWNER = EnterpriseId("owner")
UNIT = UnitId("unit")
LOT_KW = 10.0
TOLERANCE_KW = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One park, its plan, and what its devices live through."""

    park: Park
    view: PlanningView
    schedule: Schedule

    @property
    def unit(self) -> BiddingUnit:
        return self.park.bidding_units[0]


def random_case(seed: int) -> Case:
    """A park of 1 to 3 connection points with batteries, PV, an engine and loads, and its plan."""
    dice = np.random.default_rng([seed, 4711])
    points = [ConnectionPointId(f"cp-{n}") for n in range(int(dice.integers(1, 4)))]
    resources: list[Resource] = []
    base: dict[ResourceId, Floats] = {}
    sun: dict[ResourceId, Floats] = {}
    for point in points:
        resources += _behind(dice, point, base, sun)
    if not any(isinstance(r, Storage) for r in resources):
        resources.append(_battery(dice, points[0], 9))
    park = _park(dice, points, resources, base)
    view = _view(dice, park, base, sun)
    problem = Problem(
        view=view,
        terms=tuple(
            EnergyPrice(
                connection_point_id=point,
                import_per_kwh=view.spot_per_kwh.values + 0.01,
                export_per_kwh=view.spot_per_kwh.values - 0.01,
            )
            for point in points
        ),
        options=SolveOptions(
            plan_id=f"plan-{seed}",
            strategy_version="benchmark/1",
            gap=1e-6,
            soft_s=60.0,
            limit_excess_price_per_kwh=10.0,
        ),
        preferred_starts={},
    )
    outcome = solve(problem, perf_counter)
    assert isinstance(outcome, Optimal | Feasible), outcome
    return Case(park=park, view=view, schedule=outcome.schedule)


def _behind(
    dice: Dice,
    point: ConnectionPointId,
    base: dict[ResourceId, Floats],
    sun: dict[ResourceId, Floats],
) -> Iterator[Resource]:
    hours = np.arange(HORIZON.steps) / 4
    common: Any = {"enterprise_id": OWNER, "connection_point_id": point}
    fixed = FixedLoad(resource_id=ResourceId(f"fixed-{point}"), max_draw_kw=2000, **common)
    base[fixed.resource_id] = -dice.uniform(100, 900) * dice.uniform(0.7, 1.2, HORIZON.steps)
    yield fixed
    for number in range(int(dice.integers(0, 3))):
        yield _battery(dice, point, number)
    if dice.random() < 0.5:
        pv = Generator(resource_id=ResourceId(f"pv-{point}"), max_feed_kw=800, **common)
        shape = np.clip(np.sin(np.pi * (hours % 24 - 7) / 11), 0, None)
        sun[pv.resource_id] = dice.uniform(100, 800) * shape
        yield pv
    if dice.random() < 0.4:
        yield Generator(
            resource_id=ResourceId(f"engine-{point}"),
            max_feed_kw=float(dice.uniform(100, 500)),
            weather_driven=False,
            cost_per_kwh=float(dice.uniform(0.05, 0.3)),
            must_run_share=float(dice.choice([0.0, 0.2])),
            **common,
        )
    if dice.random() < 0.5:
        load = CurtailableLoad(
            resource_id=ResourceId(f"mill-{point}"),
            max_draw_kw=900,
            curtailable_share=float(dice.uniform(0.1, 0.8)),
            curtailment_cost_per_kwh=float(dice.uniform(0.1, 0.6)),
            **common,
        )
        base[load.resource_id] = -dice.uniform(100, 700) * dice.uniform(0.8, 1.1, HORIZON.steps)
        yield load


def _battery(dice: Dice, point: ConnectionPointId, number: int) -> Storage:
    power_kw = float(dice.uniform(100, 900))
    floor = float(dice.choice([0.0, 0.1, 0.2]))
    return Storage(
        resource_id=ResourceId(f"bess-{point}-{number}"),
        enterprise_id=OWNER,
        connection_point_id=point,
        capacity_kwh=power_kw * float(dice.uniform(0.5, 5)),
        max_charge_kw=power_kw * float(dice.uniform(0.5, 1)),
        max_discharge_kw=power_kw,
        charge_efficiency=float(dice.uniform(0.85, 1)),
        discharge_efficiency=float(dice.uniform(0.85, 1)),
        min_soc=floor,
        final_soc=float(dice.choice([floor, 0.3])),
        wear_cost_per_kwh=float(dice.uniform(0, 0.02)),
        standing_loss_per_h=float(dice.choice([0.0, 0.001])),
        charge_taper_soc=float(dice.choice([1.0, 0.9])),
        discharge_taper_soc=float(dice.choice([0.0, 0.1])),
    )


def _park(
    dice: Dice,
    points: Sequence[ConnectionPointId],
    resources: Sequence[Resource],
    base: Mapping[ResourceId, Floats],
) -> Park:
    def draw_kw(point: ConnectionPointId) -> float:
        here = [r.resource_id for r in resources if r.connection_point_id == point]
        return float(-sum((base[name] for name in here if name in base), np.zeros(1)).min())

    limits = {
        point: Limits(
            import_kw=draw_kw(point) + float(dice.uniform(0, 600)),
            export_kw=float(dice.uniform(0, 900)),
        )
        for point in points
    }
    total_kw = sum(draw_kw(point) for point in points)
    band = TouBand(name="all", start=time(), end=time(), price_per_kwh=Decimal(0))
    return Park(
        park_id=ParkId("random"),
        name="Random park",
        timezone=UTC_ZONE,
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=Limits(
            import_kw=total_kw + float(dice.uniform(0, 900)), export_kw=float(dice.uniform(0, 1200))
        ),
        feeders=(
            Feeder(
                feeder_id=FeederId("f"),
                limits=Limits(
                    import_kw=total_kw + float(dice.uniform(0, 900)),
                    export_kw=float(dice.uniform(0, 1200)),
                ),
            ),
        ),
        enterprises=(
            Enterprise(
                enterprise_id=OWNER,
                name="Owner",
                limits=Limits(import_kw=total_kw + float(dice.uniform(0, 1200))),
            ),
        ),
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=point,
                enterprise_id=OWNER,
                feeder_id=FeederId("f"),
                limits=limits[point],
                meter_id=ResourceId(f"meter-{point}"),
                tariff_id="none",
            )
            for point in points
        ),
        resources=tuple(resources),
        bidding_units=(
            BiddingUnit(
                unit_id=UNIT,
                zone="Z",
                resource_ids=frozenset(r.resource_id for r in resources),
                product_ids=(ProductId("product"), ProductId("sold")),
                connected_kw=50_000,
                declared_kw=50_000,
                tested_kw=50_000,
                trades_from=MIDNIGHT,
                trading_share=((OWNER, Decimal(1)),),
            ),
        ),
        tariffs=(
            TwoPartTariff(
                tariff_id="none",
                bands=(band,),
                demand=ActualDemand(price_per_kw_month=Decimal(0)),
            ),
        ),
        grid_kgco2_per_kwh=0.0,
    )


def _view(
    dice: Dice, park: Park, base: Mapping[ResourceId, Floats], sun: Mapping[ResourceId, Floats]
) -> PlanningView:
    hours = np.arange(HORIZON.steps) / 4
    price = 0.1 + 0.06 * np.sin(2 * np.pi * (hours - dice.uniform(0, 24)) / 12)
    price = price + dice.normal(0, 0.03, HORIZON.steps)
    return PlanningView(
        now=MIDNIGHT,
        park=park,
        horizon=HORIZON,
        state=ParkState(
            taken_at=MIDNIGHT, resources=tuple(_heard(dice, r) for r in park.resources)
        ),
        base_kw={name: Profile(HORIZON, kw) for name, kw in base.items()},
        available_kw={name: Profile(HORIZON, kw) for name, kw in sun.items()},
        outdoor_degc={},
        arriving_kw={},
        spot_per_kwh=Profile(HORIZON, price),
        committed_kw=np.zeros(HORIZON.steps),
        open_products=(),
        import_per_kwh={},
        paid_peaks=(),
    )


def _heard(dice: Dice, resource: Resource) -> Reading:
    return Reading(
        resource_id=resource.resource_id,
        enterprise_id=resource.enterprise_id,
        measured_at=MIDNIGHT,
        received_at=MIDNIGHT,
        seq=1,
        quality=Quality.GOOD,
        power_kw=0.0,
        soc=float(dice.uniform(0.3, 0.9)) if isinstance(resource, Storage) else None,
    )
