"""Builders with round numbers, so that sums can be done by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ParkId, ProductId, ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, Unknown
from vpp.model.park import ConnectionPoint, Enterprise, Feeder, Limits, Park
from vpp.model.resource import EvFleet, FixedLoad, Generator, Resource, ThermalZone
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView

NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)  # a Wednesday, 12:00 in Stockholm
SPOT = ProductId("spot")


def owned(point: str = "cp-a") -> dict[str, Any]:
    """Where a test's resource stands: enterprise `a` behind connection point `point`."""
    return {
        "enterprise_id": EnterpriseId("a"),
        "connection_point_id": ConnectionPointId(point),
    }


def a_reading(resource_id: str, **values: Any) -> Reading:
    return Reading(
        **{
            "resource_id": ResourceId(resource_id),
            "enterprise_id": EnterpriseId("a"),
            "measured_at": NOON,
            "received_at": NOON,
            "seq": 1,
            "quality": Quality.GOOD,
            "power_kw": 0.0,
        }
        | values
    )


def a_park(
    *resources: Resource,
    points: Sequence[str] = ("cp-a",),
    point_limits: Limits | None = None,
    feeder: Limits | None = None,
    limits: Limits | None = None,
) -> Park:
    from datetime import time

    return Park(
        park_id=ParkId("test"),
        name="Test park",
        timezone=ZoneInfo("Europe/Stockholm"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=limits or Limits(),
        feeders=(Feeder(feeder_id="f", limits=feeder or Limits()),),  # type: ignore[arg-type]
        enterprises=(Enterprise(enterprise_id=EnterpriseId("a"), name="A"),),
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=ConnectionPointId(name),
                enterprise_id=EnterpriseId("a"),
                feeder_id="f",  # type: ignore[arg-type]
                limits=point_limits or Limits(),
                meter_id=ResourceId(f"meter-{name}"),
                tariff_id="t",
            )
            for name in points
        ),
        resources=tuple(resources),
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(
                    TouBand(name="all", start=time(), end=time(), price_per_kwh=Decimal("0")),
                ),
                demand_charge_per_kw_month=Decimal(0),
            ),
        ),
        grid_kgco2_per_kwh=0.02,
    )


@pytest.fixture
def a_view() -> Callable[..., PlanningView]:
    """A view of one-hour steps, all prices in one open product that is never short of room."""

    def build(
        *resources: Resource,
        price: Sequence[float],
        readings: Sequence[Reading] = (),
        base_kw: dict[str, Sequence[float]] | None = None,
        available_kw: dict[str, Sequence[float]] | None = None,
        arriving_kw: dict[str, Sequence[float]] | None = None,
        outdoor_degc: float = 0.0,
        network_per_kwh: float = 0.0,
        paid_peaks: tuple[PaidPeak, ...] = (),
        committed_kw: Sequence[float] | None = None,
        max_trade_kw: float = 1e6,
        step: timedelta = timedelta(hours=1),
        start: datetime = NOON,
        **park_options: Any,
    ) -> PlanningView:
        park = a_park(*resources, **park_options)
        horizon = Horizon(start, step, len(price))
        known = {reading.resource_id: reading for reading in readings}

        def profile(values: Sequence[float] | None) -> Profile:
            return Profile(horizon, np.array(values if values is not None else [0.0] * len(price), float))

        return PlanningView(
            now=start,
            park=park,
            horizon=horizon,
            state=ParkState(
                taken_at=start,
                resources=tuple(
                    known.get(r.resource_id) or Unknown(resource_id=r.resource_id, reason="never heard")
                    for r in resources
                ),
            ),
            base_kw={
                r.resource_id: profile((base_kw or {}).get(r.resource_id))
                for r in resources
                if isinstance(r, FixedLoad)
            },
            available_kw={
                r.resource_id: profile((available_kw or {}).get(r.resource_id))
                for r in resources
                if isinstance(r, Generator)
            },
            outdoor_degc={
                r.outdoor_series_id: Profile.constant(horizon, outdoor_degc)
                for r in resources
                if isinstance(r, ThermalZone)
            },
            arriving_kw={
                r.resource_id: profile((arriving_kw or {}).get(r.resource_id))
                for r in resources
                if isinstance(r, EvFleet)
            },
            spot_per_kwh=profile(price),
            committed_kw=np.array(committed_kw if committed_kw is not None else [0.0] * len(price)),
            open_products=(
                OpenProduct(
                    product_id=SPOT,
                    price_per_kwh=profile(price),
                    max_kw=np.full(len(price), max_trade_kw),
                    informative=True,
                ),
            ),
            import_per_kwh={
                p.connection_point_id: Profile.constant(horizon, network_per_kwh)
                for p in park.connection_points
            },
            paid_peaks=paid_peaks,
        )

    return build
