"""A park of two members that answers invitations: a mill with a battery, a dairy with a cold store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from adapters.memory_journal import MemoryJournal
from tests.service.conftest import QuietLink
from tests.trading import TRADING
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.ports import Journal
from vpp.service import cycle
from vpp.service.demo.history import give_history
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

NOW = datetime(2026, 7, 14, 6, tzinfo=UTC)
"""Tuesday 14:00 in Shanghai."""
WINDOW = Interval(datetime(2026, 7, 15, 9, tzinfo=UTC), datetime(2026, 7, 15, 11, tzinfo=UTC))
"""17:00 to 19:00 of Wednesday."""
DRAW_KW = {"mill": 2000, "dairy": 800}
"""By the meters of all days before."""
PRODUCT = "cn.generic.dr.peak.day_ahead"
PATH = f"/v1/markets/{PRODUCT}/invitations"

PARK = """\
park: two
name: Two members
timezone: Asia/Shanghai
currency: CNY
minor_unit: "0.01"
limits: {import_kw: 6000, export_kw: 3000}
carbon: {grid_kgco2_per_kwh: 0.5, source: a table, valid_from: 2025-01-01}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands:
      - {name: all, start: "00:00", end: "00:00", price_per_kwh: 0.2}
    demand_charge_per_kw_month: 0
enterprises:
  - id: mill
    name: Mill
    connection_points:
      - id: mill-gate
        import_kw: 4000
        export_kw: 2000
        meter: mill-meter
        tariff: network
        resources:
          - {id: mill-base, kind: fixed_load, max_draw_kw: 2500}
          - id: battery
            kind: storage
            capacity_kwh: 2000
            max_charge_kw: 1000
            max_discharge_kw: 1000
            charge_efficiency: 0.95
            discharge_efficiency: 0.95
            min_soc: 0.1
            wear_cost_per_kwh: 0.05
  - id: dairy
    name: Dairy
    connection_points:
      - id: dairy-gate
        import_kw: 2000
        export_kw: 0
        meter: dairy-meter
        tariff: network
        resources:
          - {id: dairy-base, kind: fixed_load, max_draw_kw: 800}
          - id: cold
            kind: thermal_zone
            heating: false
            max_draw_kw: 600
            cop: 2
            resistance_degc_per_kw: 0.05
            capacity_kwh_per_degc: 600
            internal_gain_kw: 0
            min_degc: -24
            max_degc: -18
            target_degc: -20
            discomfort_cost_per_degc_h: 20
            outdoor_series_id: outdoor.town
bidding_units:
  - id: unit-a
    zone: SD
    resources: all
    products: [da, cn.generic.dr.peak.day_ahead]
    connected_kw: 5000
    declared_kw: 4000
    tested_kw: 3000
    trades_from: 2026-07-14T00:00:00+08:00
    trading_share: {mill: 1, dairy: 1}
trading: {mode: simulated}
markets: [da.yaml, dr.yaml]
strategies: TRADING
simulation:
  first_delivery_day: 2026-07-15
  loads:
    file: series.csv
    courses:
      - {resource: mill-base, column: load, times: 20}
      - {resource: dairy-base, column: load, times: 5}
  generation: {file: series.csv, courses: []}
  outdoor: {file: series.csv, series: [{id: outdoor.town, column: degc}]}
  day_ahead_per_mwh: {file: series.csv, column: price}
  opening: {soc: {battery: 0.5}}
  market:
    quarter_hour_noise_sd_per_mwh: 5
    quarter_hour_noise_correlation: 0.5
    imbalance_spread_per_mwh: 10
""".replace("TRADING", TRADING)

DAY_AHEAD = """\
id: da
version: 1.0.0
valid_from: 2025-10-01
jurisdiction: CN
zone: SD
kind: energy_da
direction: net
currency: CNY
unverified: [calendar, offer]
sources: [{ref: ours, mark: ours, confidence: L, fields: [calendar, offer]}]
calendar:
  tz: Asia/Shanghai
  delivery_interval: PT15M
  settlement_interval: PT15M
  gate_close: "D-1T13:00"
offer:
  form: curve_step
  sense: supply
  quantity: {unit: MW, min: 0.1, step: 0.1}
  price: {unit: CNY/MWh, min: -80, max: 1300, step: 1}
settlement:
  formula: exchange_imbalance
  price_refs: {clearing: price.da}
  gap_rules: [{valid_from: 2025-10-01, max_age_minutes: 60}]
exclusivity_group: energy
"""

FIRST = datetime(2026, 6, 29, 16, tzinfo=UTC)
"""Midnight in Shanghai."""


def write_park(
    folder: Path, *, changes: Mapping[str, str] | None = None, more: str = "", asks: str = ""
) -> ParkFile:
    """The park, with pieces of its text replaced and sections added; `asks` is added to its strategy file."""
    text = PARK + more
    if asks:
        strategies = Path(TRADING).read_text() + asks
        (folder / "strategies.yaml").write_text(strategies)
        text = text.replace(TRADING, "strategies.yaml")
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    rows = [f"{isoformat(FIRST + QUARTER * at)},100,30,300" for at in range(96 * 21)]
    (folder / "series.csv").write_text("\n".join(["interval_start,load,degc,price", *rows]) + "\n")
    (folder / "da.yaml").write_text(DAY_AHEAD)
    rules = shipped("markets/cn_generic_dr_peak_day_ahead.yaml").read_text()
    assert "min_mw: 1," in rules
    assert "telemetry_s: 60" in rules  # more rarely, as the control cycles of these days
    rules = rules.replace("min_mw: 1,", "min_mw: 0.1,").replace(
        "telemetry_s: 60", "telemetry_s: 900"
    )
    (folder / "dr.yaml").write_text(rules)
    (folder / "park.yaml").write_text(text)
    return load_park(folder / "park.yaml")


TEN_TIMES = {
    "limits: {import_kw: 6000, export_kw: 3000}": "limits: {import_kw: 60000, export_kw: 30000}",
    "import_kw: 4000": "import_kw: 40000",
    "export_kw: 2000": "export_kw: 20000",
    "import_kw: 2000": "import_kw: 20000",
    "max_draw_kw: 2500": "max_draw_kw: 25000",
    "max_draw_kw: 800": "max_draw_kw: 8000",
    "capacity_kwh: 2000": "capacity_kwh: 20000",
    "max_charge_kw: 1000": "max_charge_kw: 10000",
    "max_discharge_kw: 1000": "max_discharge_kw: 10000",
    "times: 20": "times: 150",
    "times: 5": "times: 45",
    "_kw: 5000": "_kw: 50000",
    "_kw: 4000\n    tested": "_kw: 40000\n    tested",
    "tested_kw: 3000": "tested_kw: 30000",
}
"""A mill that draws 15 MW beside a dairy of 5 MW."""


def a_plant(file: ParkFile, folder: Path, *, journal: Journal | None = None) -> Plant:
    """Metered for two weeks at `DRAW_KW`, and in full swing but for a plan."""
    link = QuietLink()
    plant = build_plant(
        file,
        clock=SimulatedClock(NOW),
        data=folder,
        journal=MemoryJournal() if journal is None else journal,
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )
    assert file.simulation is not None
    give_history(plant, file.simulation, NOW)
    meter(plant, FIRST, NOW)
    plant.reconciled = True
    plant.safe_state, plant.safe_state_reason = SafeState.NORMAL, ""
    return plant


async def planned(plant: Plant, now: datetime = NOW, *, seq: int = 2) -> None:
    """Every device is heard, then a plan is made as the cycle makes it."""
    plant.clock = SimulatedClock(now)
    for device, (owner, site) in plant.file.park.device_owner.items():
        message = TelemetryMessage(
            ts=isoformat(now),
            seq=seq,
            power_kw=0.0,
            soc=0.5 if device == "battery" else None,
            temperature_degc=-20.0 if device == "cold" else None,
        )
        if "meter" not in device:
            path = topic(owner, site, device, "telemetry")
            plant.intake.accept(path, msgspec.json.encode(message), now)
    await cycle.plan(plant, now)
    assert plant.schedule is not None, plant.outcome


def meter(plant: Plant, start: datetime, end: datetime, **draw_kw: float) -> None:
    """Read all main meters each quarter-hour of a span; members draw what is said, else `DRAW_KW`."""
    for point in plant.file.park.connection_points:
        kw = draw_kw.get(point.enterprise_id, DRAW_KW[point.enterprise_id])
        for quarter in Interval(start, end).split(QUARTER):
            begun = _register(plant, point.meter_id, quarter.start)
            read(plant, point.meter_id, point.enterprise_id, quarter.start, begun)
            after = begun + round(kw * 250)
            read(plant, point.meter_id, point.enterprise_id, quarter.end, after)


def _register(plant: Plant, meter_id: ResourceId, at: datetime) -> int:
    """Where the import register stands: it was read up to here, or begins at 0."""
    first = plant.meters.first_read_at(meter_id)
    if first is None or first >= at:
        return 0
    energy = plant.meters.energy_wh(meter_id, Interval(first, at))
    assert energy is not None
    return energy.import_wh


def read(
    plant: Plant, meter_id: ResourceId, owner: EnterpriseId, at: datetime, import_wh: int
) -> None:
    plant.meters.add(
        MeterReading(
            meter_id=meter_id,
            enterprise_id=owner,
            measured_at=at,
            received_at=at + timedelta(seconds=1),
            seq=1,
            import_wh=import_wh,
            export_wh=0,
            power_kw=0.0,
        )
    )


def an_invitation(**changes: object) -> dict[str, object]:
    """2 h, 1 MW wanted, at most 3000 CNY/MWh, a reply until 16:00 of the day before."""
    return {
        "invitation_id": "peak-1",
        "revision": 1,
        "start": isoformat(WINDOW.start),
        "end": isoformat(WINDOW.end),
        "wanted_mw": "1.0",
        "price_cap_per_mwh": "3000",
        "reply_by": "2026-07-14T08:00:00Z",
        "area": "east",
        "source": "the load-management platform",
    } | changes
