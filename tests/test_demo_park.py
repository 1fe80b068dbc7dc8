"""Facts about the park that is shipped: real series of the right size, limits that fit, physics that holds.

The park is run here with every device on its own default (`vpp/model/resource.py`), in quarter-hours
and by formulas of this file alone, over the whole of its series.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.park import ConnectionPoint, Park
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.time import local_day
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.simulate.spec import CarVisit, Scenario

FIRST_DAY, LAST_DAY, DELIVERY_DAY = date(2025, 10, 29), date(2025, 12, 23), date(2025, 12, 3)


@pytest.fixture(scope="module")
def demo() -> ParkFile:
    return load_park(shipped_park("demo"))


@pytest.fixture(scope="module")
def scenario(demo: ParkFile) -> Scenario:
    assert demo.simulation is not None
    return demo.simulation


@pytest.fixture(scope="module")
def default_kw(demo: ParkFile, scenario: Scenario) -> dict[str, Floats]:
    """Net injection of every resource that nobody commands, shape (T,)."""
    return {r.resource_id: default_of(r, scenario, demo.park) for r in demo.park.resources}


def default_of(resource: Resource, scenario: Scenario, park: Park) -> Floats:
    horizon = scenario.day_ahead_per_mwh.horizon
    local = [start.astimezone(park.timezone) for start in horizon.starts()]
    match resource:
        case FixedLoad():
            return scenario.base_kw[resource.resource_id].values
        case Generator():
            return scenario.available_kw[resource.resource_id].values
        case Storage():
            return np.zeros(horizon.steps)
        case InterruptibleLoad():
            runs = [_operates(resource, moment) for moment in local]
            return -resource.rated_draw_kw * np.array(runs, dtype=float)
        case ShiftableRun():
            return _run_kw(resource, local)
        case ThermalZone():
            return -np.clip(held_by_kw(resource, scenario), 0, resource.max_draw_kw)
        case EvFleet():
            return _fleet_kw(resource, scenario.visits[resource.resource_id], horizon)
        case _:
            raise AssertionError(f"the demo park has no {type(resource).__name__}")


def _operates(load: InterruptibleLoad, local: datetime) -> bool:
    within = load.operating_from <= local.time() < load.operating_to
    return within and local.weekday() in load.operating_days


def _run_kw(run: ShiftableRun, local: list[datetime]) -> Floats:
    power = np.zeros(len(local))
    for step, moment in enumerate(local):
        if moment.time() == run.default_start and moment.weekday() in run.run_days:
            power[step : step + len(run.profile_kw)] -= np.array(run.profile_kw)
    return power


def held_by_kw(zone: ThermalZone, scenario: Scenario) -> Floats:
    """Draw that keeps the target in each step, whatever the machine's size."""
    outdoor = scenario.outdoor_degc[zone.outdoor_series_id].values
    drift = outdoor + zone.internal_gain_kw * zone.resistance_degc_per_kw - zone.target_degc
    return np.asarray([-d / zone.degc_per_kw(o) for d, o in zip(drift, outdoor, strict=True)])


def _fleet_kw(fleet: EvFleet, visits: tuple[CarVisit, ...], horizon: Horizon) -> Floats:
    """Each car at full power from its arrival on, all together no more than the car park draws."""
    power, left = np.zeros(horizon.steps), {v.session_id: v.wanted_kwh for v in visits}
    for visit in visits:
        last = min(horizon.index(visit.departs_at), horizon.steps - 1)
        for step in range(horizon.index(visit.arrives_at), last + 1):
            free_kw = min(fleet.charger_kw, fleet.max_draw_kw + power[step])
            drawn_kw = min(free_kw, left[visit.session_id] / fleet.charge_efficiency * 4)
            power[step] -= drawn_kw
            left[visit.session_id] -= drawn_kw * fleet.charge_efficiency / 4
    return power


def total(default_kw: dict[str, Floats], park: Park, where: Callable[[Resource], bool]) -> Floats:
    chosen = [default_kw[r.resource_id] for r in park.resources if where(r)]
    return np.asarray(np.sum(chosen, axis=0), dtype=np.float64)


def test_the_park_has_the_promised_size(demo: ParkFile) -> None:
    resources = demo.park.resources
    count = {
        kind: sum(isinstance(r, kind) for r in resources)
        for kind in (Storage, Generator, InterruptibleLoad, ShiftableRun, EvFleet, ThermalZone)
    }

    assert len(resources) == 44
    assert len(demo.park.enterprises) == 6
    assert len(demo.park.feeders) == 2
    assert count[InterruptibleLoad] <= 4
    assert count[ShiftableRun] == 6
    assert count[EvFleet] == 2
    assert count[Generator] == 6
    assert count[ThermalZone] == 9
    big = [r for r in resources if isinstance(r, Storage) and r.max_discharge_kw >= 1000]
    assert len(big) >= 3
    assert 3500 <= sum(r.feed_kw for r in resources if isinstance(r, Generator)) <= 4500


def test_the_park_draws_megawatts(demo: ParkFile, default_kw: dict[str, Floats]) -> None:
    net_kw = total(default_kw, demo.park, lambda resource: True)

    assert 5_000 <= -net_kw.min() <= 20_000
    assert 3_000 <= -net_kw.mean() <= 8_000


def point_kw(default_kw: dict[str, Floats], park: Park, points: Set[str]) -> Floats:
    return total(default_kw, park, lambda resource: resource.connection_point_id in points)


def test_default_behaviour_fits_every_limit_with_a_margin(
    demo: ParkFile, default_kw: dict[str, Floats]
) -> None:
    park = demo.park
    nodes = [("park", park.limits, {p.connection_point_id for p in park.connection_points})]
    nodes += [
        (p.connection_point_id, p.limits, {p.connection_point_id}) for p in park.connection_points
    ]
    for feeder in park.feeders:
        own = {
            p.connection_point_id for p in park.connection_points if p.feeder_id == feeder.feeder_id
        }
        nodes.append((feeder.feeder_id, feeder.limits, own))

    for name, limits, points in nodes:
        net_kw = point_kw(default_kw, park, points)
        assert 1.14 * -net_kw.min() <= limits.import_kw <= 1.5 * -net_kw.min(), name
        assert net_kw.max() <= 0.87 * limits.export_kw, name


def test_the_billed_peak_is_just_above_what_the_first_two_days_of_december_drew(
    demo: ParkFile, default_kw: dict[str, Floats], scenario: Scenario
) -> None:
    first = local_day(date(2025, 12, 1), demo.park.timezone)
    steps = scenario.day_ahead_per_mwh.horizon.slice(first)
    two_days = slice(steps.start, steps.start + 192)

    def peak(point: ConnectionPoint) -> float:
        return -float(point_kw(default_kw, demo.park, {point.connection_point_id})[two_days].min())

    for point in demo.park.connection_points:
        assert 1.0 <= point.period_to_date_peak_kw / peak(point) <= 1.03, point


def test_zones_can_hold_their_target_and_have_something_to_shift(
    demo: ParkFile, scenario: Scenario
) -> None:
    for zone in demo.park.resources:
        if not isinstance(zone, ThermalZone):
            continue
        needed_kw = held_by_kw(zone, scenario)
        assert needed_kw.max() <= 0.95 * zone.max_draw_kw, zone.resource_id
        mean_share = np.clip(needed_kw, 0, zone.max_draw_kw).mean() / zone.max_draw_kw
        assert 0.3 <= mean_share <= 0.8, (zone.resource_id, mean_share)
        assert 20 <= zone.resistance_degc_per_kw * zone.capacity_kwh_per_degc <= 60
        assert min(zone.target_degc - zone.min_degc, zone.max_degc - zone.target_degc) >= 1


def test_a_thermostat_stays_inside_the_band_all_the_time(
    demo: ParkFile, scenario: Scenario, default_kw: dict[str, Floats]
) -> None:
    for zone in demo.park.resources:
        if not isinstance(zone, ThermalZone):
            continue
        degc = zone.target_degc
        outdoor = scenario.outdoor_degc[zone.outdoor_series_id].values
        for step, kw in enumerate(default_kw[zone.resource_id]):
            degc = zone.temperature_after(degc, float(kw), float(outdoor[step]), 0.25)
            assert zone.min_degc <= degc <= zone.max_degc, (zone.resource_id, step)


def test_series_cover_the_window_without_a_hole(demo: ParkFile, scenario: Scenario) -> None:
    zone = demo.park.timezone
    window = (local_day(FIRST_DAY, zone).start, local_day(LAST_DAY, zone).end)
    profiles = [
        scenario.day_ahead_per_mwh,
        *scenario.base_kw.values(),
        *scenario.available_kw.values(),
        *scenario.outdoor_degc.values(),
    ]

    assert len(profiles) == 1 + 13 + 6 + 1
    for profile in profiles:
        assert (profile.horizon.start, profile.horizon.end) == window
        assert profile.complete
    assert scenario.first_delivery_day == DELIVERY_DAY


def test_prices_are_true_quarter_hours_and_move(scenario: Scenario) -> None:
    quarters = scenario.day_ahead_per_mwh.values.reshape(-1, 4)

    assert (np.ptp(quarters, axis=1) > 0).mean() > 0.9
    assert quarters.min() < 0 < quarters.mean() < quarters.max() < 4000


def by_local_hour(demo: ParkFile, scenario: Scenario, values: Floats) -> Floats:
    """Mean for each weekday and local hour, shape (7, 24)."""
    starts = scenario.day_ahead_per_mwh.horizon.starts()
    local = [start.astimezone(demo.park.timezone) for start in starts]
    place = np.array([moment.weekday() * 24 + moment.hour for moment in local])
    sums = np.bincount(place, values, minlength=168)
    return np.asarray(sums / np.bincount(place, minlength=168)).reshape(7, 24)


@pytest.mark.parametrize(
    "load", ["steel-furnaces", "metal-machining", "school-base", "store-sales"]
)
def test_weekdays_and_hours_of_the_loads_agree_with_the_calendar(
    demo: ParkFile, scenario: Scenario, load: str
) -> None:
    draw_kw = -by_local_hour(demo, scenario, scenario.base_kw[ResourceId(load)].values)

    assert draw_kw[:5, 9:12].mean() > 1.5 * draw_kw[6].mean(), "work on weekdays, rest on Sunday"
    assert draw_kw[:5, 9:12].mean() > 1.5 * draw_kw[:5, 0:4].mean(), "work by day, rest by night"


def test_the_sun_stands_highest_around_local_noon(demo: ParkFile, scenario: Scenario) -> None:
    feed_kw = by_local_hour(
        demo, scenario, scenario.available_kw[ResourceId("steel-pv")].values
    ).mean(0)

    middle = float((feed_kw * (np.arange(24) + 0.5)).sum() / feed_kw.sum())
    assert 11.0 <= middle <= 12.5
    assert max(feed_kw[:6].max(), feed_kw[19:].max()) < 0.01, "an inverter's noise at most"


def test_cars_come_on_weekdays_by_day_and_can_be_served(demo: ParkFile, scenario: Scenario) -> None:
    for fleet in demo.park.resources:
        if not isinstance(fleet, EvFleet):
            continue
        visits = scenario.visits[fleet.resource_id]
        local = [visit.arrives_at.astimezone(demo.park.timezone) for visit in visits]
        assert len(visits) > 500
        assert sum(moment.weekday() < 5 for moment in local) > 0.9 * len(visits)
        assert sum(time(8) <= moment.time() < time(20) for moment in local) > 0.9 * len(visits)
        for visit in visits:
            stay_h = (visit.departs_at - visit.arrives_at) / timedelta(hours=1)
            assert (
                0 < visit.wanted_kwh <= stay_h * fleet.charger_kw * fleet.charge_efficiency + 1e-9
            )


def test_what_is_filled_is_flagged_and_little() -> None:
    lines = shipped("series/demo/pv.csv").read_text(encoding="utf-8").splitlines()[1:]
    filled = [line.split(",")[0] for line in lines if line.endswith(",1")]

    assert len(filled) == 122
    assert not [start for start in filled if "2025-12-02T" < start < "2025-12-09T12"]


def test_the_unit_is_registered_for_what_is_installed(demo: ParkFile) -> None:
    (unit,) = demo.park.bidding_units
    movable = [r for r in demo.park.resources if not isinstance(r, FixedLoad)]
    rated = {r.resource_id: max(r.draw_kw, r.feed_kw) for r in movable}

    assert unit.connected_kw == sum(rated.values())
    assert unit.resource_ids == {r.resource_id for r in demo.park.resources}
    assert unit.trades_from == local_day(DELIVERY_DAY, demo.park.timezone).start
    for enterprise, weight in unit.trading_share:
        flexible = [
            rated[r.resource_id]
            for r in movable
            if r.enterprise_id == enterprise and not isinstance(r, Generator)
        ]
        assert float(weight) == sum(flexible), enterprise
    assert [p.product_id for p in demo.products] == ["se3-day-ahead", "se3-quarter-hour"]


def test_every_series_has_a_source_and_the_files_stay_small() -> None:
    folder = shipped("series/demo")
    source = (folder / "SOURCE.md").read_text(encoding="utf-8")
    files = [file for file in Path(folder).iterdir() if file.suffix == ".csv"]

    assert sum(file.stat().st_size for file in files) <= 3_000_000
    for file in files:
        assert f"`{file.name}`" in source
        header = file.read_text(encoding="utf-8").splitlines()[0].split(",")
        if file.name != "ev_sessions.csv":
            assert all(f"`{column}`" in source for column in header)
