"""Builders with round numbers, so that sums can be done by hand.

`lab` builds resources, views, terms and plans. Where nothing else is said: hours as steps, a
lossless 100 kWh / 100 kW battery, one connection point without limits, one product that is never
short of room, and an imbalance price one whole currency unit away from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.plan import chance
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    NodeId,
    ParkId,
    ProductId,
    ResourceId,
)
from vpp.model.measurement import EvSession, ParkState, Quality, Reading, RunPhase, Unknown
from vpp.model.network import Carrier, Node, Pipe
from vpp.model.park import ConnectionPoint, Enterprise, Feeder, Limits, Park
from vpp.model.resource import (
    EVERY_DAY,
    Converter,
    CurtailableLoad,
    EnergyWindow,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Port,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Unsolved
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.model.time import QUARTER
from vpp.plan.lp import Stopwatch
from vpp.plan.problem import Problem, SolveOptions
from vpp.plan.solve import solve
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.validate import violations
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView

NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)  # a Wednesday, 12:00 in Stockholm
SPOT = ProductId("spot")
EXCESS_PER_KWH = 10.0


class Lab:
    """What a test needs to plan a park by hand."""

    noon = NOON
    spot = SPOT
    excess_per_kwh = EXCESS_PER_KWH

    # ------------------------------------------------------------------ resources

    def owned(self, point: str = "cp-a") -> dict[str, Any]:
        """Where a test's resource stands: enterprise `a` behind connection point `point`."""
        return {
            "enterprise_id": EnterpriseId("a"),
            "connection_point_id": ConnectionPointId(point),
        }

    def load(self, name: str = "load", *, point: str = "cp-a", **said: Any) -> FixedLoad:
        usual: dict[str, Any] = {"max_draw_kw": 1000.0}
        return FixedLoad(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def pv(self, name: str = "pv", *, point: str = "cp-a", **said: Any) -> Generator:
        usual: dict[str, Any] = {"max_feed_kw": 1000.0}
        return Generator(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def source(self, name: str = "engine", *, point: str = "cp-a", **said: Any) -> Generator:
        """An engine, a well, a contract: 100 kW whenever they are wanted."""
        usual: dict[str, Any] = {"max_feed_kw": 100.0, "weather_driven": False}
        return Generator(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def rules(self, **said: Any) -> OnOffRules:
        return OnOffRules(**said)

    def node(self, name: str = "heat", carrier: str = "heat", **said: Any) -> Node:
        return Node(node_id=NodeId(name), carrier=Carrier(carrier), **said)

    def pipe(self, name: str, source: str, sink: str, **said: Any) -> Pipe:
        usual: dict[str, Any] = {"max_kw": 1000.0}
        return Pipe(
            pipe_id=name, from_node_id=NodeId(source), to_node_id=NodeId(sink), **(usual | said)
        )

    def converter(
        self,
        name: str,
        ports: Sequence[str | Port | None],
        *points_kw: Sequence[float],
        point: str = "cp-a",
        **said: Any,
    ) -> Converter:
        """A machine between nodes, each by its id; None is electricity."""
        return Converter(
            resource_id=ResourceId(name),
            ports=tuple(
                port
                if isinstance(port, Port)
                else Port(node_id=None if port is None else NodeId(port))
                for port in ports
            ),
            points_kw=tuple(tuple(kw) for kw in points_kw),
            **self.owned(point),
            **said,
        )

    def battery(self, name: str = "bat", *, point: str = "cp-a", **sizes: Any) -> Storage:
        lossless: dict[str, Any] = {
            "capacity_kwh": 100.0,
            "max_charge_kw": 100.0,
            "max_discharge_kw": 100.0,
            "charge_efficiency": 1.0,
            "discharge_efficiency": 1.0,
        }
        return Storage(resource_id=ResourceId(name), **self.owned(point), **(lossless | sizes))

    def process(self, name: str = "mill", *, point: str = "cp-a", **said: Any) -> InterruptibleLoad:
        usual: dict[str, Any] = {
            "rated_draw_kw": 100.0,
            "operating_from": time(6),
            "operating_to": time(20),
            "call_length": timedelta(hours=1),
            "callable_hours": (13, 14, 15),
            "call_cost_per_kwh": 0.5,
        }
        return InterruptibleLoad(
            resource_id=ResourceId(name), **self.owned(point), **(usual | said)
        )

    def run(self, name: str = "oven", *, point: str = "cp-a", **said: Any) -> ShiftableRun:
        usual: dict[str, Any] = {
            "profile_kw": (40.0, 80.0),
            "earliest_start": time(12),
            "latest_end": time(14),
            "default_start": time(12, 30),
            "run_days": EVERY_DAY,
        }
        return ShiftableRun(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def zone(self, name: str = "hall", *, point: str = "cp-a", **said: Any) -> ThermalZone:
        """Keeps most of its warmth for hours: 10 kWh/°C behind 1 °C/kW."""
        usual: dict[str, Any] = {
            "heating": True,
            "max_draw_kw": 100.0,
            "cop": 2.0,
            "resistance_degc_per_kw": 1.0,
            "capacity_kwh_per_degc": 10.0,
            "min_degc": 19.0,
            "max_degc": 23.0,
            "target_degc": 20.0,
            "discomfort_cost_per_degc_h": 100.0,
            "outdoor_series_id": "outdoor",
        }
        return ThermalZone(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def cars(self, name: str = "cars", *, point: str = "cp-a", **said: Any) -> EvFleet:
        usual: dict[str, Any] = {
            "charger_kw": 10.0,
            "max_draw_kw": 30.0,
            "unserved_cost_per_kwh": 5.0,
        }
        return EvFleet(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def curtailable(
        self, name: str = "shop", *, point: str = "cp-a", **said: Any
    ) -> CurtailableLoad:
        """Half of what it draws may be turned down, for 0.20 a kWh."""
        usual: dict[str, Any] = {
            "max_draw_kw": 1000.0,
            "curtailable_share": 0.5,
            "curtailment_cost_per_kwh": 0.2,
        }
        return CurtailableLoad(resource_id=ResourceId(name), **self.owned(point), **(usual | said))

    def flexible(
        self, name: str = "pump", *windows: EnergyWindow, point: str = "cp-a", **said: Any
    ) -> FlexibleLoad:
        """Draws up to 10 kW inside `windows`."""
        usual: dict[str, Any] = {"max_draw_kw": 10.0, "unserved_cost_per_unit": 5.0}
        return FlexibleLoad(
            resource_id=ResourceId(name), windows=windows, **self.owned(point), **(usual | said)
        )

    def window(self, start: str, end: str, least: float = 0.0, **said: Any) -> EnergyWindow:
        """`window("12:00", "16:00", 20)`: at least 20 units between noon and 16:00, on any day."""
        return EnergyWindow(
            start=time.fromisoformat(start), end=time.fromisoformat(end), least_units=least, **said
        )

    # ------------------------------------------------------------------ states

    def reading(self, name: str, **values: Any) -> Reading:
        usual: dict[str, Any] = {
            "resource_id": ResourceId(name),
            "enterprise_id": EnterpriseId("a"),
            "measured_at": NOON,
            "received_at": NOON,
            "seq": 1,
            "quality": Quality.GOOD,
            "power_kw": 0.0,
        }
        return Reading(**(usual | values))

    def session(
        self,
        name: str,
        *,
        wanted_kwh: float,
        stays_h: float,
        comes_h: float | None = None,
        lends_kwh: float = 0.0,
    ) -> EvSession:
        return EvSession(
            session_id=name,
            departs_at=NOON + timedelta(hours=stays_h),
            wanted_kwh=wanted_kwh,
            arrives_at=None if comes_h is None else NOON + timedelta(hours=comes_h),
            lends_kwh=lends_kwh,
        )

    def clock(self, text: str) -> time:
        return time.fromisoformat(text)

    def limits(self, **sizes: float) -> Limits:
        return Limits(**sizes)

    # ------------------------------------------------------------------ view, terms, plan

    def park(
        self,
        *resources: Resource,
        points: Sequence[str] = ("cp-a",),
        point_limits: Limits | Mapping[str, Limits] | None = None,
        feeder: Limits | None = None,
        limits: Limits | None = None,
        timezone: str = "Europe/Stockholm",
        nodes: Sequence[Node] = (),
        pipes: Sequence[Pipe] = (),
    ) -> Park:
        def limits_of(point: str) -> Limits:
            if isinstance(point_limits, Mapping):
                return point_limits.get(point, Limits())
            return point_limits or Limits()

        return Park(
            park_id=ParkId("test"),
            name="Test park",
            timezone=ZoneInfo(timezone),
            currency="EUR",
            minor_unit=Decimal("0.01"),
            limits=limits or Limits(),
            feeders=(Feeder(feeder_id=FeederId("f"), limits=feeder or Limits()),),
            enterprises=(Enterprise(enterprise_id=EnterpriseId("a"), name="A"),),
            connection_points=tuple(
                ConnectionPoint(
                    connection_point_id=ConnectionPointId(name),
                    enterprise_id=EnterpriseId("a"),
                    feeder_id=None if name.startswith("free") else FeederId("f"),
                    limits=limits_of(name),
                    meter_id=ResourceId(f"meter-{name}"),
                    tariff_id="t",
                )
                for name in points
            ),
            resources=tuple(resources),
            nodes=tuple(nodes),
            pipes=tuple(pipes),
            bidding_units=(),
            tariffs=(
                TwoPartTariff(
                    tariff_id="t",
                    bands=(
                        TouBand(name="all", start=time(), end=time(), price_per_kwh=Decimal(0)),
                    ),
                    demand=ActualDemand(price_per_kw_month=Decimal(0)),
                ),
            ),
            grid_kgco2_per_kwh=0.02,
        )

    def view(
        self,
        *resources: Resource,
        price: Sequence[float],
        readings: Sequence[Reading] = (),
        base_kw: Mapping[str, Sequence[float]] | None = None,
        available_kw: Mapping[str, Sequence[float]] | None = None,
        arriving_kw: Mapping[str, Sequence[float]] | None = None,
        outdoor_degc: float | Sequence[float] = 0.0,
        power_share: Mapping[str, Sequence[float]] | None = None,
        network_per_kwh: float = 0.0,
        paid_peaks: tuple[PaidPeak, ...] = (),
        committed_kw: Sequence[float] | None = None,
        max_trade_kw: float = 1e6,
        step: timedelta = timedelta(hours=1),
        start: datetime = NOON,
        **park_options: Any,
    ) -> PlanningView:
        """Hours from noon on, all at `price` in one open product."""
        park = self.park(*resources, **park_options)
        horizon = Horizon(start, step, len(price))
        known = {reading.resource_id: reading for reading in readings}

        def profile(values: Sequence[float] | None) -> Profile:
            return Profile(
                horizon, np.array(values if values is not None else [0.0] * len(price), float)
            )

        def profiles(
            kind: type[Resource] | tuple[type[Resource], ...],
            given: Mapping[str, Sequence[float]] | None,
        ) -> dict[ResourceId, Profile]:
            return {
                r.resource_id: profile((given or {}).get(r.resource_id))
                for r in resources
                if isinstance(r, kind)
            }

        return PlanningView(
            now=start,
            park=park,
            horizon=horizon,
            state=ParkState(
                taken_at=start,
                resources=tuple(
                    known.get(r.resource_id)
                    or Unknown(resource_id=r.resource_id, reason="never heard")
                    for r in resources
                ),
            ),
            base_kw=profiles((FixedLoad, CurtailableLoad), base_kw),
            available_kw=profiles(Generator, available_kw),
            outdoor_degc={"outdoor": profile(np.broadcast_to(outdoor_degc, len(price)).tolist())},
            power_share={name: profile(shares) for name, shares in (power_share or {}).items()},
            arriving_kw=profiles(EvFleet, arriving_kw),
            spot_per_kwh=profile(price),
            committed_kw=profile(committed_kw).values,
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

    def terms(
        self,
        view: PlanningView,
        *more: Term,
        imbalance_per_kwh: float = 1.0,
        spread_per_kwh: float = 0.0,
        stored_value_per_kwh: float | None = None,
    ) -> tuple[Term, ...]:
        """The market at the view's prices, its network prices and peaks, and `more`."""
        spot = view.spot_per_kwh.values
        found: list[Term] = [
            Commitment(
                base_kw=view.committed_kw,
                short_per_kwh=spot + imbalance_per_kwh,
                long_per_kwh=spot - imbalance_per_kwh,
            )
        ]
        found += [
            OpenTrade(
                product_id=product.product_id,
                sell_per_kwh=product.price_per_kwh.values - spread_per_kwh / 2,
                buy_per_kwh=product.price_per_kwh.values + spread_per_kwh / 2,
                max_kw=product.max_kw,
            )
            for product in view.open_products
        ]
        found += [
            EnergyPrice(
                connection_point_id=point,
                import_per_kwh=price.values,
                export_per_kwh=np.zeros(view.horizon.steps),
            )
            for point, price in view.import_per_kwh.items()
        ]
        found += [
            PeakCharge(
                connection_point_id=peak.connection_point_id,
                first_step=peak.first_step,
                last_step=peak.last_step,
                price_per_kw=peak.price_per_kw,
                free_kw=peak.paid_kw,
            )
            for peak in view.paid_peaks
        ]
        if stored_value_per_kwh is not None:
            found.append(StoredEnergyValue(price_per_kwh=stored_value_per_kwh))
        return (*found, *more)

    def problem(
        self,
        view: PlanningView,
        terms: Sequence[Term] | None = None,
        *,
        gap: float = 1e-6,
        soft_s: float = 600.0,
        preferred: Mapping[str, tuple[datetime, ...]] | None = None,
        lengths: Mapping[str, tuple[timedelta, ...]] | None = None,
    ) -> Problem:
        return Problem(
            view=view,
            terms=tuple(self.terms(view) if terms is None else terms),
            options=SolveOptions(
                plan_id="plan-1",
                strategy_version="test/1",
                gap=gap,
                soft_s=soft_s,
                limit_excess_price_per_kwh=EXCESS_PER_KWH,
            ),
            preferred_starts={ResourceId(name): at for name, at in (preferred or {}).items()},
            preferred_lengths={ResourceId(name): long for name, long in (lengths or {}).items()},
        )

    def outcome(
        self, view: PlanningView, terms: Sequence[Term] | None = None, **options: Any
    ) -> Outcome:
        """What the planner answers; a schedule has been found valid, whatever its gap."""
        problem = self.problem(view, terms, **options)
        outcome = solve(problem, perf_counter)
        if isinstance(outcome, Optimal | Feasible):
            assert self.violations(outcome.schedule, view, problem.terms) == ()
        return outcome

    def plan(
        self, view: PlanningView, terms: Sequence[Term] | None = None, **options: Any
    ) -> Schedule:
        """The optimal schedule, found valid."""
        outcome = self.outcome(view, terms, **options)
        assert isinstance(outcome, Optimal), outcome
        return outcome.schedule

    def true_cost(self, view: PlanningView, terms: Sequence[Term]) -> float | None:
        """The least cost by a model that shares no code with the planner; None where no plan is."""
        pytest.importorskip("cvxpy", reason="cvxpy is not installed -> make test installs it")
        from tests.plan.independent.model import least_cost

        return least_cost(view, tuple(terms), limit_excess_price_per_kwh=EXCESS_PER_KWH)

    def schedule_of(self, outcome: Outcome) -> Schedule:
        assert isinstance(outcome, Optimal | Feasible), outcome
        return outcome.schedule

    def violations(
        self, schedule: Schedule, view: PlanningView, terms: Sequence[Term]
    ) -> tuple[str, ...]:
        return violations(schedule, view, terms, limit_excess_price_per_kwh=EXCESS_PER_KWH)

    def power(self, schedule: Schedule, name: str) -> Floats:
        """Net injection of one resource in kW, rounded to what the solver promises."""
        row = schedule.resource_ids.index(ResourceId(name))
        power: Floats = np.round(schedule.power_kw[row], 5) + 0.0
        return power

    # ------------------------------------------------------------------ random parks

    Unsolved = Unsolved

    def solve(self, problem: Problem, stopwatch: Stopwatch = perf_counter) -> Outcome:
        return solve(problem, stopwatch)

    def random(
        self, seed: int, *, min_price: float = -0.15, **most: int
    ) -> tuple[PlanningView, tuple[Term, ...]]:
        """A small park of all kinds, with a view and terms; the same seed gives the same park.

        `most` bounds how many there are of a kind (`runs=0`), where the usual is 0 to 2.
        """
        rng = np.random.default_rng([seed, 2025])
        points = ["cp-a", "cp-b", "free-c"][: rng.integers(1, 4)]
        steps = int(rng.integers(8, 29))
        start = NOON + int(rng.integers(-40, 40)) * QUARTER
        made: list[Resource] = []
        readings: list[Reading] = []
        kinds: list[tuple[str, Callable[..., Resource], Callable[..., dict[str, Any]]]] = [
            ("load", self.load, lambda rng: {}),
            ("pv", self.pv, lambda rng: {}),
            ("storages", self.battery, chance.battery),
            ("processes", self.process, chance.process),
            ("runs", self.run, chance.run),
            ("zones", self.zone, chance.zone),
            ("cars", self.cars, chance.cars),
        ]
        for kind, make, sizes in kinds:
            for number in range(int(rng.integers(0, 1 + most.get(kind, 2))) or (kind == "load")):
                name = f"{kind}-{number}"
                resource = make(name, point=str(rng.choice(points)), **sizes(rng))
                made.append(resource)
                if rng.random() < 0.85:
                    readings.append(self.reading(name, **chance.state(rng, start, resource)))

        def course(low: float, high: float) -> list[float]:
            return [round(float(value), 3) for value in rng.uniform(low, high, steps)]

        view = self.view(
            *made,
            points=points,
            price=course(min_price, 0.4),
            start=start,
            step=QUARTER,
            readings=readings,
            base_kw={r.resource_id: course(-80, -10) for r in made if isinstance(r, FixedLoad)},
            available_kw={r.resource_id: course(-1, 60) for r in made if isinstance(r, Generator)},
            arriving_kw={r.resource_id: course(-8, 0) for r in made if isinstance(r, EvFleet)},
            outdoor_degc=float(rng.uniform(-5, 15)),
            network_per_kwh=float(rng.choice([0.0, 0.03, 0.08])),
            committed_kw=course(-100, 20),
            max_trade_kw=float(rng.choice([0.0, 40.0, 1e4])),
            paid_peaks=tuple(
                PaidPeak(
                    connection_point_id=ConnectionPointId(point),
                    first_step=int(rng.integers(0, 4)),
                    last_step=steps - int(rng.integers(0, 4)),
                    price_per_kw=float(rng.choice([0.05, 1.0, 8.0])),
                    paid_kw=float(rng.uniform(0, 120)),
                )
                for point in points
                if rng.random() < 0.6
            ),
            point_limits=chance.limits(rng, 250),
            feeder=chance.limits(rng, 250),
            limits=chance.limits(rng, 350),
        )
        terms = self.terms(
            view,
            imbalance_per_kwh=float(rng.choice([0.01, 0.05, 0.3])),
            spread_per_kwh=float(rng.choice([0.0, 0.01])),
            stored_value_per_kwh=float(rng.uniform(0, 0.25)),
        )
        return view, terms

    def running(self, phase: RunPhase, since: datetime) -> dict[str, Any]:
        return {"phase": phase, "phase_since": since}


@pytest.fixture
def lab() -> Lab:
    return Lab()
