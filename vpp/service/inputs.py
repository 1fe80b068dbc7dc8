"""What a plan is made from: measured means become series, forecasts, and one frozen view.

Series by name:

    power.<resource>      kW net injection, quarter-hour means of loads that come by themselves
    available.<resource>  kW a generator could feed
                          (of all together, by the name that they share, where they are `forecast_as` one)
    arriving.<resource>   kW net injection if every car took what it wants evenly in two hours
    outdoor.<place>       °C
    price.<product>       currency per MWh, published by the market
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from vpp.errors import ConfigError, ConflictError
from vpp.model.forecast import Forecast
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ProductId, ResourceId
from vpp.model.market import MarketProduct
from vpp.model.measurement import EvSession, RunPhase
from vpp.model.park import BiddingUnit, Park
from vpp.model.resource import (
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
)
from vpp.model.resource.series import (
    available_series,
    outdoor_series,
    power_series,
    share_series,
)
from vpp.model.rows import Profiles, Rows
from vpp.model.time import EPOCH, QUARTER, Interval, latest_boundary
from vpp.plan.demand import paid_peaks
from vpp.plan.view import OpenProduct, PaidPeak, PlanningView
from vpp.sense.series import SeriesStore
from vpp.service.bids.biddable import biddable
from vpp.service.calls.limits import not_over
from vpp.service.feeds import carbonseries
from vpp.service.instructions import plan as instructionplan
from vpp.service.park.parkfile import ParkFile
from vpp.service.planning import inhand
from vpp.service.plant import Closed, Plant
from vpp.service.quotas.peaks import coming
from vpp.service.strategies import members
from vpp.service.strategies import view as strategyview
from vpp.trade.calendar import planning_horizon

ARRIVALS_SPREAD = timedelta(hours=2)
"""A car that comes is expected to take its energy evenly over so long."""

LEAST_HEARD = 0.5
"""Of a cluster, by size: where less of it was heard its course is not known."""

SUPPLY = ProductId("supply")
"""The old supply contract: all energy at the day-ahead price, until the unit trades itself."""


def reference_product(plant: Plant) -> MarketProduct:
    """The product whose price says what energy is worth: the day-ahead one that is traded.

    Raises:
        ConfigError: The park trades no day-ahead product.
    """
    return reference_product_of(plant.file)


def reference_product_of(file: ParkFile) -> MarketProduct:
    """The day-ahead product of a park file: the first that a unit bids in, else the first that is listed.

    Raises:
        ConfigError: None is listed.
    """
    registered = {name for unit in file.park.bidding_units for name in unit.product_ids}
    days = [p for p in file.products if p.kind == "energy_da" and p.trades_energy]
    for product in sorted(days, key=lambda p: p.product_id not in registered):
        return product
    raise ConfigError(
        "no product of kind energy_da, and its price says what energy is worth in each quarter-hour",
        where="markets",
        fix="List the file of a day-ahead market; no unit needs to bid in it",
    )


def trading_unit(plant: Plant) -> BiddingUnit:
    """The park's bidding unit. More than one comes with the products that need them.

    Raises:
        ConfigError: The park file names none.
    """
    if not plant.file.park.bidding_units:
        raise ConfigError("there is none", where="bidding_units", fix="Name the park's unit")
    return plant.file.park.bidding_units[0]


def observe(plant: Plant, interval: Interval) -> dict[str, float]:
    """Put the measured means of a finished interval into the series that forecasts learn from.

    Returns them, kW by series. An interval that began before the service did was not seen whole,
    and is left to history.
    """
    if interval.start < plant.started_at:
        return {}
    means = plant.means.close(interval)
    seen, clusters = dict[str, float](), Clusters(plant.file.park)
    turned_down: set[ResourceId] = set()
    for resource in plant.file.park.resources:
        mean = means.get(resource.resource_id)
        match resource:
            case EvFleet():
                name = f"arriving.{resource.resource_id}"
                seen[name] = _arriving_kw(plant, resource.resource_id, interval)
            case CurtailableLoad() if _turned_down(plant, resource.resource_id, interval):
                # What it drew is what it was told, not what it would have drawn.
                turned_down.add(resource.resource_id)
            case FixedLoad() | CurtailableLoad() if mean is not None:
                clusters.add(seen, resource, power_series(resource), mean.power_kw)
            case Generator(weather_driven=True) if (
                mean is not None and mean.available_kw is not None
            ):
                clusters.add(seen, resource, available_series(resource), mean.available_kw)
            case _:
                pass  # the other kinds do what we say, or nothing
    clusters.fill(seen)
    plant.closed = Closed(interval=interval, means=means, turned_down=frozenset(turned_down))
    put_observed(plant.series, interval, seen)
    return seen


@dataclass(slots=True)
class Clusters:
    """What members of clusters did, and how much of each cluster was heard."""

    park: Park
    heard: dict[str, float] = field(default_factory=dict)

    def add(self, seen: dict[str, float], resource: Resource, name: str | None, kw: float) -> None:
        """Count what one did to its series."""
        if name is not None:
            seen[name] = seen.get(name, 0.0) + kw
            part = self.park.part_of_series(resource.resource_id)
            self.heard[name] = self.heard.get(name, 0.0) + part

    def fill(self, seen: dict[str, float]) -> None:
        """Who was not heard did as the others of its cluster, by its size; where few were heard nothing is known."""
        for name, heard in self.heard.items():
            if heard < LEAST_HEARD:
                del seen[name]
            else:
                seen[name] /= heard


def _turned_down(plant: Plant, load_id: ResourceId, interval: Interval) -> bool:
    """Whether a load was called, capped by a set-point of ours, or turned down by hand, at any time of `interval`."""
    if plant.instructions.turned_down(load_id, interval):
        return True
    reading, newest = plant.intake.newest.get(load_id), plant.setpoints.get(load_id)
    if newest is not None and newest.expires_at > interval.start:
        return True
    if reading is None or reading.phase is RunPhase.CALLED:
        return reading is not None
    return bool(reading.calls_today) and (reading.phase_since or EPOCH) > interval.start


def put_observed(
    series: SeriesStore, interval: Interval, seen: Mapping[str, float], *, late: bool = False
) -> None:
    """Let forecasts know what was measured over `interval`, kW by series; `late` a quarter-hour after it.

    What was measured before stands: a clock that is set back before a start brings a quarter-hour again.
    """
    for series_id, kw in seen.items():
        with suppress(ConflictError):
            series.put_profile(
                series_id,
                unit="kW",
                profile=Profile(Horizon.over(interval, QUARTER), np.array([kw])),
                known_at=interval.end + QUARTER if late else "interval_end",
                source="telemetry",
            )


def _arriving_kw(plant: Plant, fleet_id: ResourceId, interval: Interval) -> float:
    """What cars that came lately wanted, spread over the two hours since they came."""
    reading = plant.intake.newest.get(fleet_id)
    known = plant.arrivals.setdefault(fleet_id, {})
    for session in (reading.sessions or ()) if reading is not None else ():
        known.setdefault(session.session_id, (interval.start, session))
    recent = {
        name: (came, session)
        for name, (came, session) in known.items()
        if interval.start - came < ARRIVALS_SPREAD or session.departs_at > interval.start
    }
    plant.arrivals[fleet_id] = recent
    return -spread_kw([s for came, s in recent.values() if interval.start - came < ARRIVALS_SPREAD])


def spread_kw(sessions: list[EvSession]) -> float:
    """Mean draw of cars that take what they want evenly over the spread, in kW."""
    return sum(session.wanted_kwh for session in sessions) / (ARRIVALS_SPREAD / timedelta(hours=1))


def horizon_of(plant: Plant, now: datetime) -> Horizon:
    """How far the plan of `now` looks."""
    planning = plant.file.planning
    return planning_horizon(
        plant.file.products,
        now,
        step=QUARTER,
        every=planning.every,
        at_least=timedelta(hours=planning.at_least_hours),
        lookahead=max(timedelta(minutes=planning.gate_lookahead_minutes), planning.every),
    )


def series_needed(plant: Plant) -> list[str]:
    """The series that a plan cannot do without, the day-ahead price last."""
    names = [*plant.file.park.needed_series, reference_product(plant).price_series_id]
    return list(dict.fromkeys(names))


def build_view(
    plant: Plant,
    now: datetime,
    horizon: Horizon,
    forecasts: Mapping[str, Forecast],
) -> PlanningView:
    """Freeze the park, and put forecasts and all else that the plan needs around it.

    `forecasts` holds every series that is needed, on `horizon`.
    """
    park, every = plant.file.park, plant.file.planning.every
    # A plan that begins late (a restart) sees the park as it is, not as it was at the boundary.
    plant.state = biddable(plant, max(now, plant.clock.now()))
    spot_id = reference_product(plant).price_series_id
    spot = Profile(horizon, forecasts[spot_id].expected.values / 1000)
    network = {t.tariff_id: t.import_per_kwh(horizon, park.timezone) for t in park.tariffs}
    view = PlanningView(
        now=now,
        park=park,
        horizon=horizon,
        state=plant.state,
        base_kw=_by_resource(park, horizon, forecasts, power_series),
        available_kw=_by_resource(park, horizon, forecasts, available_series),
        outdoor_degc=_by_series(plant, forecasts, outdoor_series),
        power_share=_by_series(plant, forecasts, share_series),
        arriving_kw=_still_to_arrive(plant, forecasts),
        spot_per_kwh=spot,
        committed_kw=committed_kw(plant, horizon),
        open_products=tuple(
            _open_products(plant, horizon, spot, now, latest_boundary(now, every) + every)
        ),
        import_per_kwh={
            point.connection_point_id: network[point.tariff_id] for point in park.connection_points
        },
        paid_peaks=_paid_peaks(plant, horizon, now),
        limit_orders=tuple(o for o in not_over(plant, now) if o.span.start < horizon.end),
        grid_kgco2_per_kwh=carbonseries.course(plant, forecasts),
        announced=_announced(plant),
    )
    told = strategyview.seen(plant, instructionplan.counted(plant, view))
    return inhand.counted(plant, members.counted(plant.strategies, told), plant.state.taken_at)


def committed_kw(plant: Plant, horizon: Horizon) -> Floats:
    """What is sold already and what is called, shape (T,)."""
    position = plant.book.position()
    energy = plant.energy_products
    called_kw = position.activated_kw(horizon) - position.activated_kw(horizon, energy)
    return position.committed_kw(horizon, energy) + called_kw


def _announced(plant: Plant) -> dict[ResourceId, tuple[datetime, ...]]:
    """Calls that the plan that stands has of loads which need notice: the next plan may still make them.

    Not of loads that people turn: what was told to a person is counted on, and what was not is too late.
    """
    schedule, by_hand = plant.schedule, instructionplan.reached(plant)
    if schedule is None:
        return {}
    start, step = schedule.horizon.start, schedule.horizon.step
    return {
        r.resource_id: tuple(start + at * step for at in schedule.starts.get(r.resource_id, ()))
        for r in plant.file.park.resources
        if isinstance(r, CurtailableLoad | InterruptibleLoad)
        and r.notice
        and r.resource_id not in by_hand
    }


def _by_resource(
    park: Park,
    horizon: Horizon,
    forecasts: Mapping[str, Forecast],
    series_of: Callable[[Resource], str | None],
) -> Profiles[ResourceId]:
    """The expected course of each resource that has such a series."""
    of = {r.resource_id: name for r in park.resources if (name := series_of(r)) is not None}
    place = {name: row for row, name in enumerate(dict.fromkeys(of.values()))}
    expected = np.array([forecasts[name].expected.on(horizon) for name in place])
    part = np.array([park.part_of_series(resource) for resource in of])
    values = expected.reshape(-1, horizon.steps)[[place[name] for name in of.values()]]
    return Profiles(horizon, Rows(tuple(of), values * part[:, None]))


def _by_series(
    plant: Plant, forecasts: Mapping[str, Forecast], series_of: Callable[[Resource], str | None]
) -> dict[str, Profile]:
    """The expected course of each series that some resource names."""
    names = {series_of(r) for r in plant.file.park.resources} - {None}
    return {name: forecasts[name].expected for name in sorted(n for n in names if n is not None)}


def _still_to_arrive(plant: Plant, forecasts: Mapping[str, Forecast]) -> dict[ResourceId, Profile]:
    """Expected draw of cars that are not here yet: those that are here fade out over the spread."""
    profiles = {}
    for resource in plant.file.park.resources:
        if isinstance(resource, EvFleet):
            expected = forecasts[f"arriving.{resource.resource_id}"].expected
            profiles[resource.resource_id] = Profile(
                expected.horizon, still_to_arrive_kw(resource, expected.values, expected.horizon)
            )
    return profiles


def still_to_arrive_kw(fleet: EvFleet, arriving_kw: Floats, horizon: Horizon) -> Floats:
    """What of `arriving_kw` is of cars that are not here yet, within the car park; shape (T,)."""
    share = still_to_arrive_share(horizon)
    drawn_kw: Floats = np.minimum(np.maximum(arriving_kw * share, -fleet.max_draw_kw), 0.0)
    return drawn_kw


def still_to_arrive_share(horizon: Horizon) -> Floats:
    """Share of what arriving cars draw that is of cars which are not here yet, shape (T,)."""
    steps = (np.arange(horizon.steps) + 0.5) * (horizon.step / ARRIVALS_SPREAD)
    return np.clip(steps, 0.0, 1.0)


def _open_products(
    plant: Plant, horizon: Horizon, spot: Profile, now: datetime, next_plan_at: datetime
) -> Iterator[OpenProduct]:
    """Each product with the steps whose gate has not closed; before trading begins, the supply."""
    starts = horizon.starts()
    unit = trading_unit(plant)
    before = np.array([start < unit.trades_from for start in starts])
    if before.any():
        most_kw = sum(r.draw_kw + r.feed_kw for r in plant.file.park.electric)
        yield OpenProduct(
            product_id=SUPPLY,
            price_per_kwh=spot,
            max_kw=np.where(before, most_kw, 0.0),
            informative=True,
            due=np.zeros(horizon.steps, dtype=bool),  # the supply takes what is metered
        )
    reference = reference_product(plant)
    for product in plant.file.products:
        if not product.trades_energy or product.product_id not in unit.product_ids:
            continue
        not_closed = np.array([_not_closed(product, start, now) for start in starts])
        max_kw = min(product.most_kw, unit.declared_kw)
        yield OpenProduct(
            product_id=product.product_id,
            price_per_kwh=spot,
            max_kw=np.where(not_closed & ~before, max_kw, 0.0),
            informative=product is reference,
            due=np.array([not _not_closed(product, start, next_plan_at) for start in starts]),
        )


def _not_closed(product: MarketProduct, start: datetime, now: datetime) -> bool:
    return product.gate_closes_at(product.delivery_at(start)) > now


def _paid_peaks(plant: Plant, horizon: Horizon, now: datetime) -> tuple[PaidPeak, ...]:
    """One peak for each connection point and billing month that the horizon touches.

    Where a quota says what the rest of a month makes of its peak, several: each a step of its price.
    """
    park = plant.file.park
    peaks = paid_peaks(
        park,
        horizon,
        paid_kw=lambda name, moment: plant.peaks.peak_kw(name, max(moment, now)),
        running_kw=lambda name: plant.peaks.running_kw(name, horizon.start),
    )
    priced, plant.quotas.peaks = coming(peaks, plant.file.quotas, horizon, park.timezone)
    return priced


def spot_now(plant: Plant, now: datetime) -> float | None:
    """The published day-ahead price of the running interval, per MWh; None if not known."""
    horizon = Horizon(latest_boundary(now, QUARTER), QUARTER, 1)
    series_id = reference_product(plant).price_series_id
    if not plant.series.has(series_id):
        return None
    value: Floats = plant.series.known(series_id, horizon, now).values
    return float(value[0]) if np.isfinite(value[0]) else None
