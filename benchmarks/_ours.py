"""The parks of `_families.py` as our own planner is asked about them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Loads, Units
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ParkId, ResourceId
from vpp.model.measurement import ParkState, Quality, Reading
from vpp.model.park import ConnectionPoint, Enterprise, Limits, Park
from vpp.model.resource import (
    EnergyWindow,
    FixedLoad,
    FlexibleLoad,
    Generator,
    OnOffRules,
    Resource,
    Storage,
)
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.terms import EnergyPrice, PeakCharge
from vpp.plan.view import PlanningView

MIDNIGHT = datetime(2026, 1, 7, tzinfo=UTC)
STEP = timedelta(hours=STEP_HOURS)
LIMIT_EXCESS_PRICE_PER_KWH = 10.0


def problem_of(case: Case, *, gap: float, soft_s: float) -> Problem:
    """What the planner is asked; every device has been heard."""
    horizon = Horizon(MIDNIGHT, STEP, STEPS)
    resources = _resources(case)
    enterprises, points = _tree(case)
    park = Park(
        park_id=ParkId("family"),
        name=f"Family {case.family}",
        timezone=ZoneInfo("UTC"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=Limits(),
        feeders=(),
        enterprises=enterprises,
        connection_points=points,
        resources=resources,
        bidding_units=(),
        tariffs=(_tariff(),),
        grid_kgco2_per_kwh=0.0,
    )
    own = case.enterprises
    view = PlanningView(
        now=MIDNIGHT,
        park=park,
        horizon=horizon,
        state=ParkState(taken_at=MIDNIGHT, resources=tuple(_heard(r) for r in resources)),
        base_kw=_profiles(horizon, "fixed", -own.fixed_kw),
        available_kw=_profiles(horizon, "pv", case.panels.available_kw),
        outdoor_degc={},
        arriving_kw={},
        spot_per_kwh=Profile.constant(horizon, 0.0),
        committed_kw=np.zeros(STEPS),
        open_products=(),
        import_per_kwh={},
        paid_peaks=(),
    )
    prices = tuple(
        EnergyPrice(
            connection_point_id=point.connection_point_id, import_per_kwh=buy, export_per_kwh=sell
        )
        for point, buy, sell in zip(points, own.import_per_kwh, own.export_per_kwh, strict=True)
    )
    peaks = tuple(
        PeakCharge(
            connection_point_id=point.connection_point_id,
            first_step=0,
            last_step=STEPS,
            price_per_kw=float(per_kw),
            free_kw=0.0,
        )
        for point, per_kw in zip(points, own.peak_per_kw, strict=True)
        if per_kw > 0
    )
    return Problem(
        view=view,
        terms=(*prices, *peaks),
        options=SolveOptions(
            plan_id="family",
            strategy_version="benchmark/1",
            gap=gap,
            soft_s=soft_s,
            limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH,
        ),
        preferred_starts={},
    )


def _tree(case: Case) -> tuple[tuple[Enterprise, ...], tuple[ConnectionPoint, ...]]:
    own = case.enterprises
    enterprises = tuple(
        Enterprise(enterprise_id=_owner(i), name=f"Enterprise {i}")
        for i in range(len(own.peak_per_kw))
    )
    points = tuple(
        ConnectionPoint(
            connection_point_id=_point(i),
            enterprise_id=_owner(i),
            feeder_id=None,
            limits=Limits(import_kw=most_in, export_kw=most_out),
            meter_id=ResourceId(f"meter-{i}"),
            tariff_id="none",
        )
        for i, (most_in, most_out) in enumerate(
            zip(own.import_limit_kw.tolist(), own.export_limit_kw.tolist(), strict=True)
        )
    )
    return enterprises, points


def _tariff() -> TwoPartTariff:
    band = TouBand(name="all", start=time(), end=time(), price_per_kwh=Decimal(0))
    return TwoPartTariff(
        tariff_id="none", bands=(band,), demand=ActualDemand(price_per_kw_month=Decimal(0))
    )


def _resources(case: Case) -> tuple[Resource, ...]:
    stores, panels = case.batteries, case.panels
    return (
        *(
            FixedLoad(
                resource_id=ResourceId(f"fixed-{i}"),
                enterprise_id=_owner(i),
                connection_point_id=_point(i),
                max_draw_kw=float(kw.max()),
            )
            for i, kw in enumerate(case.enterprises.fixed_kw)
        ),
        *(
            Storage(
                resource_id=ResourceId(f"bess-{i}"),
                enterprise_id=_owner(of),
                connection_point_id=_point(of),
                capacity_kwh=capacity_kwh,
                max_charge_kw=power_kw,
                max_discharge_kw=power_kw,
                charge_efficiency=EFFICIENCY,
                discharge_efficiency=EFFICIENCY,
                wear_cost_per_kwh=wear,
                final_soc=soc,
            )
            for i, (of, capacity_kwh, power_kw, wear, soc) in enumerate(
                zip(
                    stores.of.tolist(),
                    stores.capacity_kwh.tolist(),
                    stores.power_kw.tolist(),
                    stores.wear_per_kwh.tolist(),
                    (stores.initial_kwh / stores.capacity_kwh).tolist(),
                    strict=True,
                )
            )
        ),
        *_loads(case.loads),
        *_units(case.units),
        *(
            Generator(
                resource_id=ResourceId(f"pv-{i}"),
                enterprise_id=_owner(of),
                connection_point_id=_point(of),
                max_feed_kw=float(kw.max()),
            )
            for i, (of, kw) in enumerate(zip(panels.of.tolist(), panels.available_kw, strict=True))
        ),
    )


def _loads(loads: Loads) -> list[FlexibleLoad]:
    return [
        FlexibleLoad(
            resource_id=ResourceId(f"load-{i}"),
            enterprise_id=_owner(of),
            connection_point_id=_point(of),
            max_draw_kw=power_kw,
            windows=(_window(first, end, energy_kwh),),
        )
        for i, (of, power_kw, first, end, energy_kwh) in enumerate(
            zip(
                loads.of.tolist(),
                loads.power_kw.tolist(),
                loads.first.tolist(),
                loads.end.tolist(),
                loads.energy_kwh.tolist(),
                strict=True,
            )
        )
    ]


def _units(units: Units) -> list[FlexibleLoad]:
    return [
        FlexibleLoad(
            resource_id=ResourceId(f"unit-{i}"),
            enterprise_id=_owner(int(units.of[i])),
            connection_point_id=_point(int(units.of[i])),
            max_draw_kw=float(units.max_kw[i]),
            windows=(_window(int(units.first[i]), int(units.end[i]), float(units.energy_kwh[i])),),
            on_off=OnOffRules(
                min_power_kw=float(units.min_kw[i]),
                min_up=int(units.min_up[i]) * STEP,
                start_cost=float(units.start_cost[i]),
            ),
        )
        for i in range(len(units.of))
    ]


def _window(first: int, end: int, energy_kwh: float) -> EnergyWindow:
    return EnergyWindow(
        start=_clock(first),
        end=_clock(end),
        least_units=energy_kwh,
        most_units=energy_kwh,
    )


def _clock(step: int) -> time:
    return time(23, 59) if step == STEPS else (MIDNIGHT + step * STEP).time()


def _heard(resource: Resource) -> Reading:
    return Reading(
        resource_id=resource.resource_id,
        enterprise_id=resource.enterprise_id,
        measured_at=MIDNIGHT,
        received_at=MIDNIGHT,
        seq=1,
        quality=Quality.GOOD,
        power_kw=0.0,
        soc=resource.final_soc if isinstance(resource, Storage) else None,
    )


def _profiles(horizon: Horizon, name: str, kw: Floats) -> dict[ResourceId, Profile]:
    return {ResourceId(f"{name}-{i}"): Profile(horizon, row) for i, row in enumerate(kw)}


def _owner(index: int) -> EnterpriseId:
    return EnterpriseId(f"e-{index}")


def _point(index: int) -> ConnectionPointId:
    return ConnectionPointId(f"cp-{index}")
