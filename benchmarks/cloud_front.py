"""What re-trading is worth when a cloud front comes: one day of a park with much PV, twice.

    python benchmarks/cloud_front.py [--every 60] [--seed 1] [--json]

    day before   sold day-ahead from the forecast of eight sunny days
    07:00        a weather service foresees the front: the forecast of 11:00 to 15:00 falls to a fifth
    on the day   with the intraday auctions     what was sold too much is bought back, gate by gate
                 without them                   it is paid for as imbalance

Same park, same devices, same prices, same seed; the two differ in the products of the bidding unit alone. The
front, the prices and the park are made up. Of a row, `lost` is what imbalance and late trades cost beyond the
day-ahead price of their energy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import pi, sin
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks`
    sys.path.insert(0, str(Path(__file__).parents[1]))

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks._trading import TRADING
from benchmarks.harness import Benchmark, Figure
from vpp.model.time import QUARTER, Interval, isoformat, local_day
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.backtest import backtest
from vpp.service.backtest.rows import Row
from vpp.service.feeds import door as series_door
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor, ProcessExecutor
from vpp.wire import SeriesUpload, SeriesValue

HERE, DAY = ZoneInfo("Europe/Stockholm"), date(2026, 6, 10)
HISTORY, AFTERWARDS = timedelta(days=8), timedelta(days=4)
FORESEEN, FRONT = 7, (11, 15)
"""Local hours: when the front is foreseen, and between which it is there."""

SHARE_LEFT, ROUGHNESS = 0.2, 0.05
PV_KW, LOAD_KW = 3000.0, 400.0
SERIES = "available.roofs"
WITH, WITHOUT = "with intraday auctions", "without"

PARK = """\
park: sunny
name: Sunny park
timezone: Europe/Stockholm
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 3000, export_kw: 4000}
carbon: {grid_kgco2_per_kwh: 0.1, source: made up, valid_from: 2026-01-01}
tariffs:
  - id: energy
    valid_from: 2026-01-01
    source: made up
    bands: [{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.01}]
    demand_charge_per_kw_month: 0.0
enterprises:
  - id: works
    name: Works
    connection_points:
      - id: gate
        import_kw: 3000
        export_kw: 4000
        meter: main
        tariff: energy
        resources:
          - {id: mill, kind: fixed_load, max_draw_kw: 800, max_age_s: 900}
          - {id: roofs, kind: generator, max_feed_kw: 3500, max_age_s: 900}
          - id: battery
            kind: storage
            capacity_kwh: 400
            max_charge_kw: 200
            max_discharge_kw: 200
            charge_efficiency: 0.95
            discharge_efficiency: 0.95
            wear_cost_per_kwh: 0.02
            max_age_s: 900
bidding_units:
  - id: sunny-unit
    zone: SE3
    resources: all
    products: [se3-day-ahead, se3-quarter-hour]
    connected_kw: 4000
    declared_kw: 4000
    tested_kw: 3000
    trades_from: "2026-06-10T00:00:00+02:00"
    trading_share: {works: 1}
markets: [day_ahead.yaml, quarter_hour.yaml]
strategies: strategies.yaml
forecasts: {series: [{match: "*", candidates: [seasonal-baseline]}]}
planning: {at_least_hours: 24, soft_s: 10, hard_s: 20}
control: {period_s: 300, setpoint_ttl_s: 750, deadband_kw: 2}
simulation:
  first_delivery_day: 2026-06-10
  loads: {file: series.csv, courses: [{resource: mill, column: load_kw, times: 1}]}
  generation: {file: series.csv, courses: [{resource: roofs, column: pv_kw, times: 1}]}
  outdoor: {file: series.csv, series: [{id: outdoor.here, column: degc}]}
  day_ahead_per_mwh: {file: series.csv, column: price_per_mwh}
  opening: {soc: {battery: 0.5}}
  market:
    quarter_hour_noise_sd_per_mwh: 6.0
    quarter_hour_noise_correlation: 0.8
    imbalance_spread_per_mwh: 60.0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How the day is played."""

    every: timedelta = timedelta(hours=1)
    hours: int = 24
    seed: int = 1


def sun_kw(moment: datetime) -> float:
    """A clear June day: from 05:00 to 21:00 local time."""
    local = moment.astimezone(HERE)
    hour = local.hour + local.minute / 60
    return round(PV_KW * max(sin(pi * (hour - 5) / 16), 0.0), 3) if 5 <= hour <= 21 else 0.0


def under_the_front(moment: datetime) -> bool:
    """Whether the front is there."""
    local = moment.astimezone(HERE)
    return local.date() == DAY and FRONT[0] <= local.hour < FRONT[1]


def sunny_park(folder: Path, seed: int) -> ParkFile:
    """Write the park and its series into `folder`, and read it."""
    chance, midnight = Random(seed), local_day(DAY, HERE).start
    rows = ["interval_start,load_kw,pv_kw,degc,price_per_mwh"]
    for part in Interval(midnight - HISTORY, midnight + AFTERWARDS).split(QUARTER):
        left = SHARE_LEFT + chance.gauss(0, ROUGHNESS) if under_the_front(part.start) else 1.0
        pv_kw = sun_kw(part.start) * min(max(left, 0.0), 1.0)
        price = 40 if 9 <= part.start.astimezone(HERE).hour < 17 else 70
        rows.append(f"{isoformat(part.start)},{LOAD_KW:g},{pv_kw:.3f},15,{price}")
    (folder / "series.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name in ("day_ahead", "quarter_hour"):
        text = shipped(f"markets/se3_{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    strategies = TRADING.replace("40.0", "60.0")
    (folder / "strategies.yaml").write_text(strategies, encoding="utf-8")
    (folder / "park.yaml").write_text(PARK, encoding="utf-8")
    return load_park(folder / "park.yaml")


def without_intraday(file: ParkFile) -> ParkFile:
    """The same park, whose unit is registered day-ahead alone."""
    (unit,) = file.park.bidding_units
    kept = tuple(name for name in unit.product_ids if name == "se3-day-ahead")
    return replace(file, park=replace(file.park, bidding_units=(replace(unit, product_ids=kept),)))


class WeatherService:
    """Tells the plant of the front at `FORESEEN`, by the door for series, as a feed would."""

    def __init__(self) -> None:
        self._told = False
        self._telling: asyncio.Task[None] | None = None

    def look(self, _: Way, plant: Plant) -> None:
        """Called each control period."""
        at = local_day(DAY, HERE).start + timedelta(hours=FORESEEN)
        if not self._told and plant.clock.now() >= at:
            self._told = True
            telling = series_door.put_series(plant, SERIES, self._forecast(at), now=at)
            self._telling = asyncio.get_running_loop().create_task(telling)

    def _forecast(self, at: datetime) -> SeriesUpload:
        day = local_day(DAY, HERE)
        return SeriesUpload(
            unit="kW",
            resolution_s=900,
            issued_at=at,
            source="a weather service",
            values=[
                SeriesValue(
                    interval_start=part.start,
                    value=round(SHARE_LEFT * sun_kw(part.start), 3),
                )
                for part in day.split(QUARTER)
                if under_the_front(part.start)
            ],
        )


async def play(file: ParkFile, asked: Asked, executor: Executor) -> Row:
    """The day as the plant lives it."""
    midnight = local_day(DAY, HERE).start
    options = BacktestOptions(
        span=Interval(midnight, midnight + timedelta(hours=asked.hours)),
        every=asked.every,
        seed=asked.seed,
        foresight=False,
    )
    result = await backtest(file, options, executor, WeatherService().look)
    return result.rows[1]


async def both(asked: Asked, executor: Executor) -> dict[str, Row]:
    """The day with the intraday auctions and without them."""
    with tempfile.TemporaryDirectory(prefix="vpp-front-") as folder:
        file = sunny_park(Path(folder), asked.seed)
    return {
        WITH: await play(file, asked, executor),
        WITHOUT: await play(without_intraday(file), asked, executor),
    }


def lost(row: Row) -> float:
    """What leaving the day-ahead position cost beyond the day-ahead price of the energy."""
    return row.imbalance_loss + row.late_trade_loss


async def _in_a_child(asked: Asked) -> dict[str, Row]:
    async with ProcessExecutor() as executor:
        return await both(asked, executor)


def run(small: bool) -> list[Figure]:
    """The figures of `python -m benchmarks cloud_front`."""
    asked = Asked(every=timedelta(hours=3), hours=15) if small else Asked()
    rows = asyncio.run(_in_a_child(asked))
    with_, without = rows[WITH], rows[WITHOUT]
    return [
        Figure(name="imbalance without intraday", measured=without.imbalance_kwh, unit="kWh"),
        Figure(name="imbalance with intraday", measured=with_.imbalance_kwh, unit="kWh"),
        Figure(name="lost without intraday", measured=lost(without), unit="EUR"),
        Figure(
            name="lost with intraday, imbalance and trades",
            measured=lost(with_),
            unit="EUR",
            at_most=round(lost(without), 2),
        ),
    ]


BENCHMARK = Benchmark(about="what re-trading is worth when PV falls short", measure=run)


def show(asked: Asked, rows: dict[str, Row]) -> None:
    """A line for each way, and what the auctions saved."""
    table = Table(title=f"a cloud front over {PV_KW:g} kW of PV, seed {asked.seed}")
    table.add_column("")
    for name in ("imbalance kWh", "lost by imbalance", "lost by late trades", "lost", "cost"):
        table.add_column(name, justify="right")
    for way, row in rows.items():
        figures = (row.imbalance_kwh, row.imbalance_loss, row.late_trade_loss, lost(row), row.cost)
        table.add_row(way, *(f"{figure:,.2f}" for figure in figures))
    console = Console(width=120)
    console.print(table)
    saved = lost(rows[WITHOUT]) - lost(rows[WITH])
    console.print(f"re-trading saves {saved:,.2f} of {lost(rows[WITHOUT]):,.2f} EUR lost")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/cloud_front.py")
    parser.add_argument("--every", type=int, default=60, help="minutes between plans")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asked = Asked(every=timedelta(minutes=given.every), seed=given.seed)
    rows = asyncio.run(_in_a_child(asked))
    if given.json:
        plain = {
            way: {
                "imbalance_kwh": round(row.imbalance_kwh, 3),
                "imbalance_loss": round(row.imbalance_loss, 2),
                "late_trade_loss": round(row.late_trade_loss, 2),
                "cost": round(row.cost, 2),
            }
            for way, row in rows.items()
        }
        print(json.dumps({"seed": asked.seed, "rows": plain}))
    else:
        show(asked, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
