"""A builder of tiny parks with round numbers, as a fixture since test folders are no packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    ParkId,
    ProductId,
    ResourceId,
    UnitId,
)
from vpp.model.park import BiddingUnit, ConnectionPoint, Enterprise, Limits, Park
from vpp.model.resource import Resource
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER
from vpp.simulate.spec import CarVisit, MarketRules, Scenario


@dataclass(kw_only=True)
class Tiny:
    """One enterprise `acme` (or more) with one connection point each, and a constant scenario."""

    resources: Sequence[Resource]
    zone: str = "Europe/Stockholm"
    start: datetime = datetime(2025, 12, 1, tzinfo=UTC)
    days: int = 4
    level_kw: Mapping[str, float] = field(default_factory=dict)
    """Constant base load (below 0) or available power of each series resource."""
    outdoor_degc: float = 20.0
    visits: Mapping[ResourceId, tuple[CarVisit, ...]] = field(default_factory=dict)
    opening_soc: float = 0.5
    opening_degc: float = -20.0
    price_per_mwh: float | Sequence[float] = 50.0
    noise_sd: float = 4.0
    trades_from: datetime | None = None

    @property
    def park(self) -> Park:
        owners = sorted({(r.enterprise_id, r.connection_point_id) for r in self.resources})
        ids = frozenset(r.resource_id for r in self.resources)
        band = TouBand(name="flat", start=time(), end=time(), price_per_kwh=Decimal("0.05"))
        return Park(
            park_id=ParkId("tiny"),
            name="Tiny",
            timezone=ZoneInfo(self.zone),
            currency="EUR",
            minor_unit=Decimal("0.01"),
            limits=Limits(),
            feeders=(),
            enterprises=tuple(
                Enterprise(enterprise_id=e, name=e) for e in sorted({owner for owner, _ in owners})
            ),
            connection_points=tuple(
                ConnectionPoint(
                    connection_point_id=point_id,
                    enterprise_id=enterprise_id,
                    feeder_id=None,
                    limits=Limits(),
                    meter_id=ResourceId(f"meter-{point_id}"),
                    tariff_id="flat",
                )
                for enterprise_id, point_id in owners
            ),
            resources=tuple(self.resources),
            bidding_units=(
                BiddingUnit(
                    unit_id=UnitId("unit-1"),
                    zone="SE3",
                    resource_ids=ids,
                    product_ids=(ProductId("se3-day-ahead"), ProductId("se3-quarter-hour")),
                    connected_kw=1000,
                    declared_kw=1000,
                    tested_kw=1000,
                    trades_from=self.trades_from or self.start + timedelta(days=1),
                    trading_share=tuple((e, Decimal(1)) for e, _ in owners),
                ),
            ),
            tariffs=(
                TwoPartTariff(
                    tariff_id="flat", bands=(band,), demand_charge_per_kw_month=Decimal(5)
                ),
            ),
            grid_kgco2_per_kwh=0.03,
        )

    @property
    def scenario(self) -> Scenario:
        horizon = Horizon(self.start, QUARTER, self.days * 96)
        prices = np.resize(np.array(self.price_per_mwh, dtype=float), horizon.steps)
        level = {
            ResourceId(key): Profile.constant(horizon, kw) for key, kw in self.level_kw.items()
        }
        return Scenario(
            first_delivery_day=date(2025, 12, 2),
            base_kw=level,
            available_kw=level,
            outdoor_degc={"outdoor": Profile.constant(horizon, self.outdoor_degc)},
            visits=self.visits,
            day_ahead_per_mwh=Profile(horizon, prices),
            opening_soc={r.resource_id: self.opening_soc for r in self.resources},
            opening_degc={r.resource_id: self.opening_degc for r in self.resources},
            market=MarketRules(
                quarter_hour_noise_sd_per_mwh=self.noise_sd,
                quarter_hour_noise_correlation=0.8,
                imbalance_spread_per_mwh=10.0,
            ),
            minor_unit=Decimal("0.01"),
        )


@pytest.fixture
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture
def owned() -> dict[str, object]:
    """The owner fields of a resource of `acme`."""
    return {
        "enterprise_id": EnterpriseId("acme"),
        "connection_point_id": ConnectionPointId("gate-1"),
    }
