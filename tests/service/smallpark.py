"""A small park in words, with a market file and a day and a half of series; tests spoil it in one place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.trading import TRADING
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park

PARK = """\
park: small
name: Small park
timezone: Europe/Stockholm
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 1000, export_kw: 500}
carbon: {grid_kgco2_per_kwh: 0.02, source: a table, valid_from: 2025-01-01}
feeders:
  - {id: north, import_kw: 800, export_kw: 500}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands:
      - {name: day, start: 06:00, end: "22:00", price_per_kwh: 0.02}
      - {name: other, start: "00:00", end: "00:00", price_per_kwh: 0.01}
    demand_charge_per_kw_month: 5.0
enterprises:
  - id: mill
    name: Mill
    connection_points:
      - id: mill-gate
        feeder: north
        import_kw: 500
        export_kw: 300
        meter: mill-meter
        tariff: network
        resources:
          - id: battery
            kind: storage
            capacity_kwh: 200
            max_charge_kw: 100
            max_discharge_kw: 100
            charge_efficiency: 0.96
            min_soc: 0.1
          - {id: pv, kind: generator, max_feed_kw: 250}
          - {id: base, kind: fixed_load, max_draw_kw: 300}
          - id: hall
            kind: thermal_zone
            heating: yes
            max_draw_kw: 50
            cop: 3
            resistance_degc_per_kw: 0.1
            capacity_kwh_per_degc: 300
            min_degc: 18
            max_degc: 22
            target_degc: 20
            discomfort_cost_per_degc_h: 5
            outdoor_series_id: weather.outdoor
          - id: saw
            kind: interruptible_load
            rated_draw_kw: 60
            operating_from: 06:00
            operating_to: 18:00
            call_length_minutes: 60
            callable_hours: [8, 17]
            call_cost_per_kwh: 0.1
          - id: kiln
            kind: shiftable_run
            profile_kw: [40, 40]
            earliest_start: 06:00
            latest_end: 12:00
            default_start: 08:00
bidding_units:
  - id: unit-a
    zone: SE3
    resources: [battery, pv]
    products: [quarter]
    connected_kw: 350
    declared_kw: 300
    tested_kw: 200
    trades_from: 2025-12-03T00:00:00+01:00
    trading_share: {mill: 1}
markets:
  - market.yaml
strategies: {strategies}
""".replace("{strategies}", TRADING)

MARKET = """\
id: quarter
version: 1.0.0
valid_from: 2025-10-01
jurisdiction: SE
zone: SE3
kind: energy_id
direction: net
currency: EUR
unverified: [calendar, offer]
sources: [{ref: ours, mark: ours, confidence: L, fields: [calendar, offer]}]
calendar:
  tz: Europe/Stockholm
  delivery_interval: PT15M
  settlement_interval: PT15M
  gate_open: T-60min
  gate_close: T-15min
  results_at: T-14min
offer:
  form: curve_step
  sense: supply
  quantity: {unit: MW, min: 0.1, step: 0.1, max: 2}
  price: {unit: EUR/MWh, min: -500, max: 4000, step: 0.01}
settlement: {formula: exchange_imbalance, price_refs: {clearing: price.quarter}}
exclusivity_group: energy
"""

SIMULATION = """\
simulation:
  first_delivery_day: 2025-12-03
  loads: {file: series.csv, courses: [{resource: base, column: load, times: 2}]}
  generation: {file: series.csv, courses: [{resource: pv, column: sun, times: 100}]}
  outdoor: {file: series.csv, series: [{id: weather.outdoor, column: degc}]}
  day_ahead_per_mwh: {file: series.csv, column: price}
  opening: {soc: {battery: 0.5}}
  market:
    quarter_hour_noise_sd_per_mwh: 5
    quarter_hour_noise_correlation: 0.5
    imbalance_spread_per_mwh: 10
"""

START = datetime(2025, 12, 1, 23, tzinfo=UTC)
ROWS = [
    f"{START + timedelta(minutes=15 * i):%Y-%m-%dT%H:%M:%SZ},100,0.5,-3,{40 + i / 10}"
    for i in range(192)
]
SERIES = "\n".join(["interval_start,load,sun,degc,price", *ROWS]) + "\n"

POINT = "enterprises.0.connection_points.0"
RESOURCES = f"{POINT}.resources"
UNIT = "bidding_units.0"

Load: TypeAlias = Callable[..., ParkFile]


def loading_in(folder: Path) -> Load:
    """Write the files, or what a test made of them, into a folder and load the park."""

    def write_and_load(
        park: str = PARK, *, market: str = MARKET, series: str = SERIES, **more: str
    ) -> ParkFile:
        (folder / "market.yaml").write_text(market)
        (folder / "series.csv").write_text(series)
        for name, text in more.items():
            (folder / f"{name}.yaml").write_text(text)
        (folder / "park.yaml").write_text(park)
        return load_park(folder / "park.yaml")

    return write_and_load


def faults_of(load: Load, tmp_path: Path, *args: str, **kw: str) -> list[str]:
    """Each fault as a line, the folder left out."""
    with pytest.raises(ConfigErrors) as caught:
        load(*args, **kw)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.faults)
    return [line.replace(f"{tmp_path}/", "") for line in lines]
