"""A park of as many batteries as are asked for, behind ten gates, without a market: something to hear and steer."""

from __future__ import annotations

from pathlib import Path

from vpp.service.park.parkfile import ParkFile, load_park

ENTERPRISES = 10

PARK = """\
park: field
name: A field of batteries
timezone: UTC
currency: EUR
minor_unit: "0.01"
limits: {{import_kw: {all_kw}, export_kw: {all_kw}}}
carbon: {{grid_kgco2_per_kwh: 0.1, source: a round number, valid_from: 2025-01-01}}
tariffs:
  - id: flat
    valid_from: 2025-01-01
    source: round numbers
    bands: [{{name: all day, start: "00:00", end: "00:00", price_per_kwh: 0.01}}]
    demand_charge_per_kw_month: 0
enterprises:
"""
ENTERPRISE = """\
  - id: works-{number}
    name: Works {number}
    connection_points:
      - id: gate-{number}
        import_kw: {point_kw}
        export_kw: {point_kw}
        meter: meter-{number}
        tariff: flat
        period_to_date_peak_kw: 0
        resources:
"""
BATTERY = """\
          - {{id: battery-{number}-{one}, kind: storage, capacity_kwh: 200, max_charge_kw: 100,\
 max_discharge_kw: 100, charge_efficiency: 0.95, discharge_efficiency: 0.95, min_soc: 0.05}}
"""
NO_MARKET = """\
bidding_units: []
markets: []
"""
REST = """\
strategies: strategies.yaml
"""


def field_park(batteries: int, folder: Path, market: str = "") -> ParkFile:
    """`batteries` of 100 kW (a multiple of ten), spread evenly over ten enterprises, each with a meter.

    `market` is written in place of the sections about bidding: units and market files.
    """
    each = batteries // ENTERPRISES
    text = PARK.format(all_kw=100 * batteries)
    for number in range(ENTERPRISES):
        text += ENTERPRISE.format(number=number, point_kw=100 * each)
        text += "".join(BATTERY.format(number=number, one=one) for one in range(each))
    path = folder / "park.yaml"
    (folder / "strategies.yaml").write_text("strategies: []\n", encoding="utf-8")
    path.write_text(text + (market or NO_MARKET) + REST, encoding="utf-8")
    return load_park(path)
