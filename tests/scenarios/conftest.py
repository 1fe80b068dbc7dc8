"""A small park with round numbers, and a way to play it through the whole chain.

Everything is real but the weather: the broker, HTTP, the child processes, the record on disk. The
park's files are written for each test, so that any day in any time zone can be the delivery day.

    works   load 500/700 kW, battery 1000 kWh / 500 kW, PV 300 kW, a press to call, an oven to run
    store   load 100/150 kW, a cold zone of 105 kW, two cars
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
import structlog

from tests.trading import TRADING
from vpp.clock import SimulatedClock
from vpp.model.time import QUARTER, Interval, isoformat, local_day
from vpp.service.demo.demo import DemoOptions, Run, live, open_demo
from vpp.service.demo.summary import summarise
from vpp.service.events import Event
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.simulate.market import VenueTimes
from vpp.simulate.trajectory import Trajectory

HISTORY, AFTERWARDS = timedelta(days=8), timedelta(days=4)
"""What the series hold before the delivery day, and after its beginning."""

PARK = """\
park: small
name: Small park
timezone: {zone}
currency: {currency}
minor_unit: "0.01"
limits: {{import_kw: 2500, export_kw: 1000}}
carbon: {{grid_kgco2_per_kwh: 0.1, source: a round number, valid_from: 2025-01-01}}
tariffs:
  - id: two-part
    valid_from: 2025-01-01
    source: round numbers
    bands:
      - {{name: day, start: "06:00", end: "22:00", price_per_kwh: 0.02}}
      - {{name: night, start: "00:00", end: "00:00", price_per_kwh: 0.01}}
    demand_charge_per_kw_month: 5.00
enterprises:
  - id: works
    name: Works
    connection_points:
      - id: works-point
        import_kw: 1900
        export_kw: 1000
        meter: works-meter
        tariff: two-part
        period_to_date_peak_kw: 1000
        resources:
          - {{id: works-load, kind: fixed_load, max_draw_kw: 800, max_age_s: {max_age_s}}}
          - id: works-battery
            kind: storage
            capacity_kwh: 1000
            max_charge_kw: 500
            max_discharge_kw: 500
            charge_efficiency: 0.95
            discharge_efficiency: 0.95
            wear_cost_per_kwh: 0.005
            max_age_s: {max_age_s}
          - {{id: works-pv, kind: generator, max_feed_kw: 400, max_age_s: {max_age_s}}}
          - id: works-press
            kind: interruptible_load
            rated_draw_kw: 100
            operating_from: "06:00"
            operating_to: "22:00"
            operating_days: [mon, tue, wed, thu, fri, sat, sun]
            call_length_minutes: 60
            callable_hours: [7, 17]
            max_calls_per_day: 2
            call_cost_per_kwh: 0.001
            max_age_s: {max_age_s}
          - id: works-oven
            kind: shiftable_run
            profile_kw: [200, 200, 200, 200, 200, 200, 200, 200]
            earliest_start: "01:00"
            latest_end: "14:00"
            default_start: "08:00"
            run_days: [mon, tue, wed, thu, fri, sat, sun]
            max_age_s: {max_age_s}
  - id: store
    name: Store
    connection_points:
      - id: store-point
        import_kw: 600
        export_kw: 100
        meter: store-meter
        tariff: two-part
        period_to_date_peak_kw: 400
        resources:
          - {{id: store-load, kind: fixed_load, max_draw_kw: 200, max_age_s: {max_age_s}}}
          - id: store-zone
            kind: thermal_zone
            heating: false
            max_draw_kw: 150
            cop: 2.0
            resistance_degc_per_kw: 0.2
            capacity_kwh_per_degc: 200
            internal_gain_kw: 60
            min_degc: -24.0
            max_degc: -18.0
            target_degc: -20.0
            discomfort_cost_per_degc_h: 20
            outdoor_series_id: outdoor.here
            max_age_s: {max_age_s}
          - id: store-cars
            kind: ev_fleet
            charger_kw: 22
            max_draw_kw: 44
            charge_efficiency: 0.9
            unserved_cost_per_kwh: 0.60
            max_age_s: {max_age_s}
bidding_units:
  - id: small-unit
    zone: {area}
    resources: all
    products: [{area_id}-day-ahead, {area_id}-quarter-hour]
    connected_kw: 2500
    declared_kw: 2500
    tested_kw: 1000
    trades_from: "{trades_from}"
    trading_share: {{works: 3, store: 1}}
markets: [day_ahead.yaml, quarter_hour.yaml]
strategies: TRADING
forecasts:                     # eight days that repeat to the watt: more candidates would learn no more
  series: [{{match: "*", candidates: [yesterday, seasonal-baseline]}}]
planning: {{at_least_hours: 24, soft_s: 100, hard_s: 200}}
control: {{period_s: {period_s}, setpoint_ttl_s: {ttl_s}, deadband_kw: 2}}
simulation:
  first_delivery_day: {day}
  loads:
    file: series.csv
    courses:
      - {{resource: works-load, column: works_kw, times: 1}}
      - {{resource: store-load, column: store_kw, times: 1}}
  generation: {{file: series.csv, courses: [{{resource: works-pv, column: pv_kw, times: 1}}]}}
  outdoor: {{file: series.csv, series: [{{id: outdoor.here, column: outdoor_degc}}]}}
  cars: {{file: cars.csv, fleets: [{{resource: store-cars, car_park: store}}]}}
  day_ahead_per_mwh: {{file: series.csv, column: price_per_mwh}}
  opening: {{soc: {{works-battery: 0.5}}}}
  market:
    quarter_hour_noise_sd_per_mwh: 6.0
    quarter_hour_noise_correlation: 0.8
    imbalance_spread_per_mwh: 15.0
""".replace("TRADING", TRADING)


def price_per_mwh(hour: int) -> int:
    """Day-ahead price by local hour: cheap nights, a dear breakfast, a dearer evening."""
    if hour < 6:
        return 40
    return {7: 120, 8: 120, 17: 150, 18: 150, 19: 150}.get(hour, 80)


def write_park(
    folder: Path,
    *,
    zone: str,
    day: date,
    period_s: int,
    area: str,
    currency: str,
    trades_from: str | None = None,
    afterwards: timedelta = AFTERWARDS,
) -> Path:
    """Write park, markets and series of a small park whose delivery day is `day`."""
    here = ZoneInfo(zone)
    midnight = local_day(day, here).start
    _write_series(folder, midnight - HISTORY, midnight + afterwards, here)
    for kind in ("day_ahead", "quarter_hour"):
        text = shipped(f"markets/se3_{kind}.yaml").read_text(encoding="utf-8")
        text = text.replace("Europe/Stockholm", zone).replace("SE3", area)
        text = text.replace("se3", area.lower()).replace("EUR", currency)
        (folder / f"{kind}.yaml").write_text(text, encoding="utf-8")
    park = folder / "park.yaml"
    park.write_text(
        PARK.format(
            zone=zone,
            currency=currency,
            area=area,
            area_id=area.lower(),
            trades_from=trades_from or midnight.astimezone(here).isoformat(),
            day=day,
            period_s=period_s,
            ttl_s=max(5 * period_s // 2, 150),
            max_age_s=max(3 * period_s, 180),
        ),
        encoding="utf-8",
    )
    return park


def _write_series(folder: Path, start: datetime, end: datetime, here: ZoneInfo) -> None:
    rows = ["interval_start,works_kw,store_kw,pv_kw,outdoor_degc,price_per_mwh"]
    for moment in (part.start for part in Interval(start, end).split(QUARTER)):
        hour = moment.astimezone(here).hour
        by_day, sunny = 6 <= hour < 22, 9 <= hour < 15
        rows.append(
            f"{isoformat(moment)},{700 if by_day else 500},{150 if by_day else 100},"
            f"{300 if sunny else 0},{10 if by_day else 5},{price_per_mwh(hour)}"
        )
    (folder / "series.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    cars = ["session_id,car_park,arrives_local,departs_local,energy_kwh"]
    first = start.astimezone(here).date()
    for number in range((end - start).days):
        day = first + timedelta(days=number)
        cars.append(f"early-{day},store,{day}T08:00:00,{day}T16:00:00,40")
        cars.append(f"late-{day},store,{day}T09:00:00,{day}T17:00:00,30")
    (folder / "cars.csv").write_text("\n".join(cars) + "\n", encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def warnings_only() -> None:
    """Log what the command would log, not every tick."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


Eve = Callable[..., datetime]
"""`eve(file, hour, minute)`: a local time on the day before the delivery day, in UTC."""


class MakePark(Protocol):
    """Writes a small park and loads it."""

    def __call__(
        self,
        *,
        zone: str = ...,
        day: date = ...,
        period_s: int = ...,
        area: str = ...,
        currency: str = ...,
        trades_from: str | None = ...,
    ) -> ParkFile: ...


@pytest.fixture(scope="session")
def small_park(tmp_path_factory: pytest.TempPathFactory) -> MakePark:
    def make(
        *,
        zone: str = "Europe/Stockholm",
        day: date = date(2025, 12, 3),
        period_s: int = 300,
        area: str = "SE3",
        currency: str = "EUR",
        trades_from: str | None = None,
    ) -> ParkFile:
        folder = tmp_path_factory.mktemp("park")
        park = write_park(
            folder,
            zone=zone,
            day=day,
            period_s=period_s,
            area=area,
            currency=currency,
            trades_from=trades_from,
        )
        return load_park(park)

    return make


@dataclass(frozen=True, kw_only=True)
class Played:
    """What is left of a run when everything is closed."""

    run: Run
    report: dict[str, Any]
    whole: Trajectory
    """From the opening to the end."""

    scored: dict[str, Any] | None
    """The summary; None where the run was left before its end, as is `course`."""

    course: Trajectory | None

    @property
    def plant(self) -> Plant:
        return self.run.plant

    @property
    def summary(self) -> dict[str, Any]:
        assert self.scored is not None
        return self.scored

    @property
    def ours(self) -> Trajectory:
        """The course of the scored span."""
        assert self.course is not None
        return self.course

    @property
    def intervals(self) -> list[Interval]:
        """The quarter-hours of the scored span."""
        return list(self.run.span.split(QUARTER))

    def events(self, *kinds: str) -> list[Event]:
        return [event for event in self.plant.events.recent() if event.kind in kinds]


Until = Callable[[datetime], Awaitable[object]]
Operator = Callable[[Run, Until], Awaitable[None]]
"""Somebody who lives in the run: waits for a moment, does something, waits again.

While it does something time stands still. It returns when it has no more to do.
"""


class Play(Protocol):
    """Plays a park from the eve of its delivery day on."""

    def __call__(
        self,
        file: ParkFile,
        *,
        length: timedelta = ...,
        seed: int = ...,
        operator: Operator | None = ...,
        leave: bool = ...,
        progress: Callable[[Plant], None] = ...,
        times: VenueTimes | None = ...,
        data: Path | None = ...,
    ) -> Played: ...


def _quietly(plant: Plant) -> None:
    """Look on."""


async def _play(
    file: ParkFile,
    options: DemoOptions,
    operator: Operator | None,
    leave: bool,
    progress: Callable[[Plant], None],
) -> Played:
    async with open_demo(file, options) as (run, clock):
        assert isinstance(clock, SimulatedClock)
        never = asyncio.Event()
        seat = clock.seat("operator") if operator is not None else None

        async def operate() -> None:
            if operator is not None and seat is not None:
                await operator(run, lambda moment: seat.wait_until(moment, never))
                if not leave:
                    seat.leave()

        living = asyncio.create_task(live(run, clock, progress))
        operating = asyncio.create_task(operate())
        first = asyncio.FIRST_COMPLETED if leave else asyncio.FIRST_EXCEPTION
        done, left = await asyncio.wait({living, operating}, return_when=first)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()
        report = await run.world.report()
        return Played(
            run=run,
            report=report,
            whole=Trajectory.from_plain(report["trajectory"]),
            scored=None if leave else await summarise(run),
            course=None if leave else await run.world.trajectory(run.span),
        )


@pytest.fixture(scope="session")
def play() -> Play:
    """Play a park through `length` of its delivery day and score it.

    With `leave` the run ends, unscored, as soon as the operator returns.
    """

    def run_it(
        file: ParkFile,
        *,
        length: timedelta = QUARTER,
        seed: int = 1,
        operator: Operator | None = None,
        leave: bool = False,
        progress: Callable[[Plant], None] = _quietly,
        times: VenueTimes | None = None,
        data: Path | None = None,
    ) -> Played:
        options = DemoOptions(
            length=length,
            speed=None,
            seed=seed,
            port=0,
            data=data,
            times=times or VenueTimes(),
        )
        return asyncio.run(_play(file, options, operator, leave, progress))

    return run_it


@pytest.fixture(scope="session")
def eve() -> Eve:
    """`eve(file, hour, minute)`: a local time on the day before the delivery day, in UTC."""

    def at(file: ParkFile, hour: int, minute: int = 0) -> datetime:
        assert file.simulation is not None
        day = file.simulation.first_delivery_day - timedelta(days=1)
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=file.park.timezone)
        return local.astimezone(UTC)

    return at
