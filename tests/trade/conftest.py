"""Products, parks and schedules with round numbers, for every test about trading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.demand import ActualDemand
from vpp.model.gate import DayAheadGate, DayMoment, Gate, RollingGate
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    ParkId,
    ProductId,
    ResourceId,
    UnitId,
)
from vpp.model.market import MarketProduct, PriceGrid
from vpp.model.park import BiddingUnit, ConnectionPoint, Enterprise, Feeder, Limits, Park
from vpp.model.resource import EVERY_DAY, FixedLoad, Resource, Storage
from vpp.model.schedule import Schedule, Size
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER

FREE = Limits()
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def product(
    kind: str = "energy_da",
    zone: str = "Europe/Stockholm",
    *,
    lot_mw: str = "0.1",
    max_quantity_mw: str = "100",
    opens_before: timedelta = timedelta(hours=24),
) -> MarketProduct:
    """A day-ahead auction closing at noon, or one quarter-hour closing 15 minutes before."""
    gate: Gate = (
        DayAheadGate(
            opens=DayMoment(days_before=1, at=time(8)),
            closes=DayMoment(days_before=1, at=time(12)),
            results_after=timedelta(minutes=57),
        )
        if kind == "energy_da"
        else RollingGate(lead=QUARTER, opens=opens_before, results_after=timedelta(minutes=1))
    )
    return MarketProduct(
        product_id=ProductId("da" if kind == "energy_da" else "qh"),
        kind=kind,
        currency="EUR",
        timezone=ZoneInfo(zone),
        delivery_interval=QUARTER,
        gate=gate,
        lot_mw=Decimal(lot_mw),
        price=PriceGrid(least=Decimal(-500), most=Decimal(4000), tick=Decimal("0.01")),
        max_quantity_mw=Decimal(max_quantity_mw),
        price_series_id="da-se3",
        exclusivity_group="energy",
        unverified=(),
        pack_digest="d" * 64,
    )


def battery(name: str = "bess", point: str = "cp", **changes: float) -> Storage:
    """1 MW, 2 MWh, lossless, so that sums can be done by hand."""
    sizes: dict[str, Any] = {
        "capacity_kwh": 2000.0,
        "max_charge_kw": 1000.0,
        "max_discharge_kw": 1000.0,
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
    } | changes
    return Storage(
        resource_id=ResourceId(name),
        enterprise_id=EnterpriseId("mill"),
        connection_point_id=ConnectionPointId(point),
        **sizes,
    )


def park(
    storages: Sequence[Storage],
    *,
    park_limits: Limits = FREE,
    feeder: Limits = FREE,
    point: Limits = FREE,
    declared_kw: float = 50_000,
    trades_from: datetime = LONG_AGO,
) -> Park:
    """Storages and one fixed load `base`, each connection point `cp…` under one feeder."""
    points = sorted({s.connection_point_id for s in storages} | {ConnectionPointId("cp")})
    base = FixedLoad(
        resource_id=ResourceId("base"),
        enterprise_id=EnterpriseId("mill"),
        connection_point_id=ConnectionPointId("cp"),
        max_draw_kw=20_000,
    )
    resources: tuple[Resource, ...] = (*storages, base)
    return Park(
        park_id=ParkId("park"),
        name="Park",
        timezone=ZoneInfo("Europe/Stockholm"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=park_limits,
        feeders=(Feeder(feeder_id=FeederId("f"), limits=feeder),),
        enterprises=(Enterprise(enterprise_id=EnterpriseId("mill"), name="Mill"),),
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=name,
                enterprise_id=EnterpriseId("mill"),
                feeder_id=FeederId("f"),
                limits=point,
                meter_id=ResourceId(f"meter-{name}"),
                tariff_id="t",
            )
            for name in points
        ),
        resources=resources,
        bidding_units=(
            BiddingUnit(
                unit_id=UnitId("unit"),
                zone="SE3",
                resource_ids=frozenset(r.resource_id for r in resources),
                product_ids=(ProductId("da"), ProductId("qh")),
                connected_kw=60_000,
                declared_kw=declared_kw,
                tested_kw=declared_kw,
                trades_from=trades_from,
                trading_share=((EnterpriseId("mill"), Decimal(1)),),
            ),
        ),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(
                    TouBand(
                        name="all",
                        start=time(),
                        end=time(),
                        days=EVERY_DAY,
                        price_per_kwh=Decimal(0),
                    ),
                ),
                demand=ActualDemand(price_per_kw_month=Decimal(0)),
            ),
        ),
        grid_kgco2_per_kwh=0.03,
    )


def schedule(
    of: Park,
    horizon: Horizon,
    *,
    base_kw: float | Floats = 0.0,
    storage_kw: dict[str, float | Floats] | None = None,
    stored_kwh: float | Floats = 1000.0,
    stored_value: float | dict[str, float] = 0.05,
    net_value: float | Floats = 0.05,
) -> Schedule:
    """A schedule of these powers; connection points and net are their sums."""
    steps = horizon.steps
    planned = {"base": base_kw, **(storage_kw or {})}
    power = np.array(
        [np.broadcast_to(planned.get(r.resource_id, 0.0), steps) for r in of.resources], dtype=float
    )
    storages = [r.resource_id for r in of.resources if isinstance(r, Storage)]
    value = (
        stored_value if isinstance(stored_value, dict) else dict.fromkeys(storages, stored_value)
    )
    at = {p.connection_point_id: np.zeros(steps) for p in of.connection_points}
    for row, resource in enumerate(of.resources):
        at[resource.connection_point_id] = at[resource.connection_point_id] + power[row]
    return Schedule(
        plan_id="plan-1",
        issued_at=horizon.start,
        horizon=horizon,
        resource_ids=tuple(r.resource_id for r in of.resources),
        power_kw=power,
        stored_kwh={name: np.broadcast_to(stored_kwh, steps).astype(float) for name in storages},
        temperature_degc={},
        connection_point_kw=at,
        net_kw=power.sum(axis=0),
        committed_kw=np.zeros(steps),
        trade_kw={},
        stored_value_per_kwh={name: np.full(steps, value[name]) for name in storages},
        net_value_per_kwh=np.broadcast_to(net_value, steps).astype(float),
        starts={},
        unserved_kwh={},
        cost_by_cause={},
        gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0),
        build_s=0.0,
        solve_s=0.0,
        strategy_version="s1",
        input_digest="i",
    )


@pytest.fixture(scope="session")
def a_product() -> Callable[..., MarketProduct]:
    return product


@pytest.fixture(scope="session")
def a_battery() -> Callable[..., Storage]:
    return battery


@pytest.fixture(scope="session")
def a_park() -> Callable[..., Park]:
    return park


@pytest.fixture(scope="session")
def a_schedule() -> Callable[..., Schedule]:
    return schedule
