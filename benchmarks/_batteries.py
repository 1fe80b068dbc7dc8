"""A park of ten batteries behind one factory's load, with prices that differ from day to day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sin, tau
from pathlib import Path

from benchmarks._trading import TRADING
from vpp.model.time import QUARTER, isoformat
from vpp.service.park.config import shipped

FIRST_DAY = datetime(2025, 12, 3, tzinfo=UTC)
HISTORY, AFTERWARDS = timedelta(days=15), timedelta(days=4)

PARK = """\
park: ten-batteries
name: Ten batteries
timezone: UTC
currency: EUR
minor_unit: "0.01"
limits: {{import_kw: 9000, export_kw: 6000}}
carbon: {{grid_kgco2_per_kwh: 0.1, source: a round number, valid_from: 2025-01-01}}
tariffs:
  - id: flat
    valid_from: 2025-01-01
    source: round numbers
    bands: [{{name: all day, start: "00:00", end: "00:00", price_per_kwh: 0.01}}]
    demand_charge_per_kw_month: 0
enterprises:
  - id: works
    name: Works
    connection_points:
      - id: works-point
        import_kw: 9000
        export_kw: 6000
        meter: works-meter
        tariff: flat
        period_to_date_peak_kw: 0
        resources:
          - {{id: works-load, kind: fixed_load, max_draw_kw: 3000, max_age_s: 900}}
{batteries}
bidding_units:
  - id: ten-unit
    zone: SE3
    resources: all
    products: [se3-day-ahead]
    connected_kw: 9000
    declared_kw: 9000
    tested_kw: 6000
    trades_from: "{first_day}"
    trading_share: {{works: 1}}
markets: [day_ahead.yaml]
strategies: strategies.yaml
forecasts:
  series: [{{match: "*", candidates: [yesterday, seasonal-baseline]}}]
simulation:
  first_delivery_day: {day}
  loads: {{file: series.csv, courses: [{{resource: works-load, column: works_kw, times: 1}}]}}
  generation: {{file: series.csv, courses: []}}
  outdoor: {{file: series.csv, series: [{{id: outdoor.here, column: outdoor_degc}}]}}
  day_ahead_per_mwh: {{file: series.csv, column: price_per_mwh}}
  opening: {{soc: {{{socs}}}}}
  market:
    quarter_hour_noise_sd_per_mwh: 6.0
    quarter_hour_noise_correlation: 0.8
    imbalance_spread_per_mwh: 15.0
"""

BATTERY = """\
          - id: battery-{number}
            kind: storage
            capacity_kwh: {capacity_kwh}
            max_charge_kw: 500
            max_discharge_kw: 500
            charge_efficiency: 0.95
            discharge_efficiency: 0.95
            wear_cost_per_kwh: 0.00{number}
            max_age_s: 900
"""


def write_ten_batteries(folder: Path, days: int) -> None:
    """Write `ten.yaml` and what it names, for `days` delivery days from `FIRST_DAY` on."""
    numbers = range(10)
    batteries = "".join(BATTERY.format(number=n, capacity_kwh=800 + 100 * n) for n in numbers)
    text = PARK.format(
        batteries=batteries,
        first_day=FIRST_DAY.isoformat(),
        day=FIRST_DAY.date(),
        socs=", ".join(f"battery-{n}: 0.5" for n in numbers),
    )
    (folder / "strategies.yaml").write_text(TRADING, encoding="utf-8")
    (folder / "ten.yaml").write_text(text, encoding="utf-8")
    market = shipped("markets/se3_day_ahead.yaml").read_text(encoding="utf-8")
    market = market.replace("Europe/Stockholm", "UTC")
    (folder / "day_ahead.yaml").write_text(market, encoding="utf-8")
    rows = ["interval_start,works_kw,outdoor_degc,price_per_mwh"]
    moment, end = FIRST_DAY - HISTORY, FIRST_DAY + timedelta(days=days) + AFTERWARDS
    while moment < end:
        hour, day = moment.hour + moment.minute / 60, moment.toordinal()
        swing = sin(tau * (hour - 13) / 24) + 0.6 * sin(tau * (hour - 2) / 12)
        works_kw = 1500 + 400 * swing + 100 * sin(day)
        price = 70 + (25 + 8 * sin(3 * day)) * swing + 10 * sin(day)
        rows.append(f"{isoformat(moment)},{works_kw:.1f},5,{price:.2f}")
        moment += QUARTER
    (folder / "series.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
