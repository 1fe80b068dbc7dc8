"""A builder of tiny parks with round numbers, as a fixture since test folders are no packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from aiohttp import web

from vpp.model.demand import ActualDemand
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
                    tariff_id="flat",
                    bands=(band,),
                    demand=ActualDemand(price_per_kw_month=Decimal(5)),
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


class ToyService:
    """The service as the market sees it, over real HTTP: answers, and notes what it was told."""

    def __init__(self) -> None:
        self.bids: dict[str, list[dict[str, Any]]] = {}
        """What to answer for a delivery that begins at that time; nothing by default."""
        self.refuse: dict[str, int] = {}
        """Status to refuse the next requests of a route with, and how often: `awards`: 2."""
        self.refuse_status = 503
        self.asked: list[dict[str, Any]] = []
        self.awards: list[dict[str, Any]] = []
        self.series: dict[str, list[dict[str, Any]]] = {}
        self.activations: list[dict[str, Any]] = []
        self.also: list[dict[str, Any]] = []
        """Further products, or other fields of the two that there are."""
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_get("/v1/markets", self._markets)
        app.router.add_post("/v1/markets/{product}/bids", self._bids)
        app.router.add_post("/v1/markets/{product}/awards", self._awards)
        app.router.add_post("/v1/markets/{product}/activations", self._activations)
        app.router.add_put("/v1/series/{id}", self._series)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _markets(self, _: web.Request) -> web.Response:
        common = {
            "currency": "EUR",
            "timezone": "Europe/Stockholm",
            "delivery_interval_s": 900,
            "units": ["unit-1"],
        }
        daily = {
            "product": "se3-day-ahead",
            "next_delivery": {
                "delivery": {"start": "2025-12-01T23:00:00Z", "end": "2025-12-02T23:00:00Z"},
                "closes_at": "2025-12-01T11:00:00Z",
            },
        }
        rolling = {
            "product": "se3-quarter-hour",
            "next_delivery": {
                "delivery": {"start": "2025-12-01T11:00:00Z", "end": "2025-12-01T11:15:00Z"},
                "closes_at": "2025-12-01T10:45:00Z",
            },
        }
        return web.json_response(
            [common | daily, common | rolling, *(common | rolling | one for one in self.also)]
        )

    async def _bids(self, request: web.Request) -> web.Response:
        body = await request.json()
        if refusal := self._refusal("bids"):
            return refusal
        self.asked.append(body | {"product": request.match_info["product"]})
        start = body["delivery"]["start"]
        return web.json_response(
            {
                "bid_set_id": f"{request.match_info['product']}/unit-1/{start}",
                "bids": self.bids.get(start, []),
            }
        )

    async def _awards(self, request: web.Request) -> web.Response:
        body = await request.json()
        if refusal := self._refusal("awards"):
            return refusal
        self.awards.append(body)
        return web.json_response({"award_id": body["award_id"], "status": "booked"})

    async def _activations(self, request: web.Request) -> web.Response:
        self.activations.append(await request.json())
        return web.json_response({})

    async def _series(self, request: web.Request) -> web.Response:
        self.series.setdefault(request.match_info["id"], []).append(await request.json())
        return web.json_response({})

    def _refusal(self, route: str) -> web.Response | None:
        if self.refuse.get(route, 0) <= 0:
            return None
        self.refuse[route] -= 1
        problem = {"type": "about:blank", "title": "no", "code": "not_now"}
        return web.json_response(problem, status=self.refuse_status)


@pytest.fixture
def service() -> ToyService:
    return ToyService()
