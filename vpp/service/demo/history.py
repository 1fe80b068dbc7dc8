"""What a simulated park knows when it begins: the measured past, and nothing of the future.

A live park gets its past through the one door for series (`PUT /v1/series/{id}`) instead.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.market import MarketProduct
from vpp.model.measurement import MeterReading
from vpp.model.resource.series import available_series, power_series
from vpp.model.time import QUARTER, Interval, local_date, local_day
from vpp.service.inputs import ARRIVALS_SPREAD, reference_product
from vpp.service.plant import Plant
from vpp.simulate.spec import CarVisit, Scenario
from vpp.simulate.trajectory import Trajectory

SOURCE = "history of the park file"


def give_history(plant: Plant, scenario: Scenario, now: datetime) -> None:
    """Put every series that forecasts learn from, up to what was known at `now`."""
    profiles: dict[str, tuple[str, Profile]] = {}
    known = plant.file.park.resource_by_id
    for courses, kind, series_of in (
        (scenario.base_kw, "power", power_series),
        (scenario.available_kw, "available", available_series),
    ):
        for resource_id, profile in courses.items():
            resource = known.get(resource_id)
            own = None if resource is None else series_of(resource)
            series_id = f"{kind}.{resource_id}" if own is None else own
            if series_id in profiles:  # of a cluster: what all of them do
                profile = Profile(profile.horizon, profile.values + profiles[series_id][1].values)
            profiles[series_id] = ("kW", profile)
    profiles |= {name: ("degC", profile) for name, profile in scenario.outdoor_degc.items()}
    grid = scenario.day_ahead_per_mwh.horizon
    profiles |= {
        f"arriving.{name}": ("kW", arriving_kw(visits, grid))
        for name, visits in scenario.visits.items()
    }
    for series_id, (unit, profile) in profiles.items():
        _put(plant, series_id, unit, past(profile, now))
    _give_prices(plant, scenario, reference_product(plant), now)


def give_meters(plant: Plant, past: Trajectory) -> None:
    """Put readings of the main meters for days before: registers that stand at 0 when the simulation's begin."""
    ends = [start + QUARTER for start in past.horizon.starts()]
    for point in plant.file.park.connection_points:
        drawn = past.import_wh[point.connection_point_id]
        fed = past.export_wh[point.connection_point_id]
        imports, exports = np.cumsum(drawn) - drawn.sum(), np.cumsum(fed) - fed.sum()
        registers = [(past.horizon.start, -int(drawn.sum()), -int(fed.sum()))]
        registers += [
            (at, int(import_wh), int(export_wh))
            for at, import_wh, export_wh in zip(ends, imports, exports, strict=True)
        ]
        for at, import_wh, export_wh in registers:
            plant.meters.add(
                MeterReading(
                    meter_id=point.meter_id,
                    enterprise_id=point.enterprise_id,
                    measured_at=at,
                    received_at=at,
                    seq=0,
                    import_wh=import_wh,
                    export_wh=export_wh,
                    power_kw=0.0,
                )
            )


def past(profile: Profile, now: datetime) -> Profile:
    """The steps of a profile that have ended at `now`."""
    steps = max(
        min((now - profile.horizon.start) // profile.horizon.step, profile.horizon.steps), 1
    )
    horizon = Horizon(profile.horizon.start, profile.horizon.step, steps)
    return Profile(horizon, profile.values[:steps])


def arriving_kw(visits: tuple[CarVisit, ...], grid: Horizon) -> Profile:
    """Net injection if each car took what it wants evenly in two hours from its arrival on."""
    draw: Floats = np.zeros(grid.steps)
    for visit in visits:
        steps = grid.slice(Interval(visit.arrives_at, visit.arrives_at + ARRIVALS_SPREAD))
        draw[steps] += visit.wanted_kwh / (ARRIVALS_SPREAD / QUARTER) / grid.step_hours
    return Profile(grid, -draw)


def _put(plant: Plant, series_id: str, unit: str, profile: Profile) -> None:
    plant.series.put_profile(
        series_id, unit=unit, profile=profile, known_at="interval_end", source=SOURCE
    )


def _give_prices(plant: Plant, scenario: Scenario, product: MarketProduct, now: datetime) -> None:
    """Day-ahead prices, each day since its own auction."""
    profile = scenario.day_ahead_per_mwh
    unit = f"{product.currency}/MWh"
    moment = profile.horizon.start
    while moment < profile.horizon.end:
        day = local_day(local_date(moment, product.timezone), product.timezone)
        published_at = (
            product.gate_closes_at(product.delivery_at(moment)) + product.gate.results_after
        )
        if published_at > now:
            return
        steps = profile.horizon.slice(day)
        horizon = Horizon(moment, profile.horizon.step, steps.stop - steps.start)
        plant.series.put_profile(
            product.price_series_id,
            unit=unit,
            profile=Profile(horizon, profile.values[steps]),
            known_at=published_at,
            source=SOURCE,
        )
        moment = day.end
