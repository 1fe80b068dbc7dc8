"""A park of family A's mix as a fleet file: batteries, loads with windows, PV, one fixed load an enterprise.

Of 36 resources 20 are batteries, 10 loads, 5 panels: one enterprise behind one gate, as in `_families.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpp.service.park.config import shipped

EACH = 36
"""Resources of an enterprise."""

PARK = """\
park: fleet
name: A fleet
timezone: UTC
currency: EUR
minor_unit: "0.01"
limits: {{import_kw: {all_kw}, export_kw: {all_kw}}}
carbon: {{grid_kgco2_per_kwh: 0.1, source: a round number, valid_from: 2025-01-01}}
tariffs:
  - id: flat
    valid_from: 2025-01-01
    source: round numbers
    bands: [{{name: all day, start: "00:00", end: "00:00", price_per_kwh: 0.05}}]
    demand_charge_per_kw_month: 4
enterprises: {enterprises}
fleets:
  - templates:
      battery:
        kind: storage
        charge_efficiency: 0.95
        discharge_efficiency: 0.95
      load:
        kind: flexible_load
        windows: [{{start: "08:00", end: "16:00"}}]
      sun: {{kind: generator, forecast_as: roofs}}
      fixed: {{kind: fixed_load, forecast_as: works}}
    points: points.csv
    resources: resources.csv
bidding_units:
  - id: fleet
    zone: SE3
    resources: all
    products: [se3-day-ahead]
    connected_kw: {unit_kw}
    declared_kw: {unit_kw}
    tested_kw: {unit_kw}
    trades_from: "2030-01-01T00:00:00+00:00"
    trading_share: {{works-0: 1}}
markets: [{day_ahead}]
planning: {{soft_s: 600, hard_s: 900}}
strategies: strategies.yaml
"""
STRATEGIES = """\
strategies:
  - name: trading
    use: price_arbitrage
    priority: 50
    with: {quarter_hour_spread_per_mwh: 4.0, imbalance_spread_per_mwh: 40.0}
"""


def write_fleet(resources: int, folder: Path, *, seed: int = 1) -> Path:
    """Write a park of about so many resources into `folder`: its park file, and the tables beside it."""
    rng = np.random.default_rng(seed)
    enterprises = max(1, round(resources / EACH))
    points = ["enterprise,name,point,meter,tariff,import_kw,export_kw,period_to_date_peak_kw"]
    header = "id,template,point,capacity_kwh,max_charge_kw,max_discharge_kw,wear_cost_per_kwh"
    rows = [f"{header},max_draw_kw,windows.0.start,windows.0.end,windows.0.least_units,max_feed_kw"]
    for at in range(enterprises):
        kwh = rng.uniform(50, 500, 20)
        kw = np.clip(kwh * rng.uniform(0.25, 1.0, 20), 25, 250)
        wear = rng.uniform(0.005, 0.03, 20)
        fixed, draw, sun = rng.uniform(200, 1500), rng.uniform(10, 100, 10), rng.uniform(50, 400, 5)
        first = rng.integers(0, 12, 10)
        end = first + rng.integers(3, 12, 10)
        least = rng.uniform(0.2, 0.7, 10) * (end - first) * draw
        limit = fixed + 0.75 * draw.sum() + max(kw.sum(), sun.sum())
        points.append(
            f"works-{at},Works {at},gate-{at},meter-{at},flat,{limit:.3f},{limit:.3f},{0.5 * fixed:.3f}"
        )
        rows += [
            f"b{at}-{n},battery,gate-{at},{kwh[n]:.3f},{kw[n]:.3f},{kw[n]:.3f},{wear[n]:.4f}"
            for n in range(20)
        ]
        for n in range(10):
            window = f"{first[n]:02d}:00,{end[n]:02d}:00,{least[n]:.3f}"
            rows.append(f"l{at}-{n},load,gate-{at},,,,,{draw[n]:.3f},{window}")
        rows += [f"s{at}-{n},sun,gate-{at},,,,,,,,,{sun[n]:.3f}" for n in range(5)]
        rows.append(f"f{at},fixed,gate-{at},,,,,{fixed:.3f}")
    (folder / "points.csv").write_text("\n".join(points) + "\n", encoding="utf-8")
    (folder / "resources.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "strategies.yaml").write_text(STRATEGIES, encoding="utf-8")
    path = folder / "park.yaml"
    path.write_text(
        PARK.format(
            all_kw=5000 * enterprises,
            unit_kw=5000 * enterprises,
            enterprises="[{id: works-0, name: Works 0, connection_points: []}]",
            day_ahead=shipped("markets/se3_day_ahead.yaml"),
        ),
        encoding="utf-8",
    )
    return path
