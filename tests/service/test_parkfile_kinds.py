"""The park file's kinds beside the electric seven: on/off machines, windows, nodes, pipes, groups."""

from __future__ import annotations

from datetime import time, timedelta
from math import inf
from pathlib import Path

import pytest

from vpp.model.network import Carrier
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EnergyWindow,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Panels,
    Rebound,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park

PARK = """\
park: works
name: Works
timezone: Europe/Berlin
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 5000, export_kw: 2000}
carbon: {grid_kgco2_per_kwh: 0.3, source: a table, valid_from: 2025-01-01}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands: [{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.01}]
    demand_charge_per_kw_month: 5.0
nodes:
  - {id: steam, carrier: steam, supply_degc: 180, spill_cost_per_kwh: 0.01}
  - {id: warm, carrier: heat, supply_degc: 70}
pipes:
  - {id: let-down, from_node: steam, to_node: warm, max_kw: 300, loss_share: 0.04, delay_minutes: 30}
groups:
  - {id: crane, resources: [kiln, oven], max_running: 1}
  - {id: hall, resources: [kiln, mill], max_draw_kw: 150}
enterprises:
  - id: mill-ltd
    name: Mill
    import_kw: 900
    connection_points:
      - id: gate
        import_kw: 1000
        export_kw: 500
        meter: gate-meter
        tariff: network
        resources:
          - id: battery
            kind: storage
            capacity_kwh: 200
            max_charge_kw: 100
            max_discharge_kw: 100
            final_soc: 0.5
            max_cycles_per_day: 1.5
            power_series_id: share.battery
          - {id: tank, kind: storage, node: warm, capacity_kwh: 9000, max_charge_kw: 3000, max_discharge_kw: 3000, standing_loss_per_h: 0.01}
          - id: engine
            kind: generator
            weather_driven: no
            max_feed_kw: 250
            cost_per_kwh: 0.2
            on_off: {min_power_kw: 100, min_up_minutes: 120, min_down_minutes: 60, start_cost: 40, max_starts_per_day: 2}
            max_hours_per_day: 10
          - {id: cooling, kind: curtailable_load, max_draw_kw: 80, curtailable_share: 0.5, curtailment_cost_per_kwh: 0.3, max_calls_per_day: 2, rest_minutes: 60, longest_call_minutes: 90, notice_minutes: 30}
          - id: saw
            kind: interruptible_load
            rated_draw_kw: 60
            operating_from: 06:00
            operating_to: 18:00
            call_length_minutes: 60
            longest_call_minutes: 120
            rest_minutes: 60
            notice_minutes: 45
            rebound: {share: 0.5, delay_minutes: 15, length_minutes: 30}
            callable_hours: [8, 14]
            call_cost_per_kwh: 0.1
          - {id: kiln, kind: shiftable_run, profile_kw: [40, 40], earliest_start: 06:00, latest_end: 12:00, default_start: 08:00, runs_per_day: 2}
          - {id: oven, kind: shiftable_run, profile_kw: [40], earliest_start: 06:00, latest_end: 18:00, default_start: 10:00, after: kiln}
          - id: mill
            kind: flexible_load
            max_draw_kw: 100
            unit: t
            kwh_per_unit: 50
            unserved_cost_per_unit: 20
            bands_kw: [50, 100]
            windows:
              - {start: 22:00, end: 06:00, days: [mon, tue], least_units: 3, most_units: 8}
          - {id: office, kind: thermal_zone, node: warm, heating: yes, max_draw_kw: 50, cop: 1, cop_per_degc: 0.02, cop_outdoor_degc: 5, resistance_degc_per_kw: 0.1, capacity_kwh_per_degc: 300, min_degc: 18, max_degc: 22, target_degc: 20, discomfort_cost_per_degc_h: 5, outdoor_series_id: outdoor.berlin}
          - {id: cars, kind: ev_fleet, charger_kw: 11, max_draw_kw: 44, unserved_cost_per_kwh: 1, max_car_feed_kw: 10, discharge_efficiency: 0.9, wear_cost_per_kwh: 0.05, guaranteed: yes}
          - id: pump
            kind: converter
            ports: [{}, {node: warm, per_degc: 0.02, reference_degc: 5}]
            points_kw: [[-50, 150], [-100, 280]]
            outdoor_series_id: outdoor.berlin
            running_cost_per_h: 2
            standby_kw: 1
            on_off: {min_up_minutes: 30}
          - {id: roof, kind: generator, max_feed_kw: 90, panels: {tilt_deg: 30, azimuth_deg: 170}}
"""


@pytest.fixture
def park(tmp_path: Path) -> Park:
    (tmp_path / "park.yaml").write_text(PARK)
    return load_park(tmp_path / "park.yaml").park


def test_every_field_of_every_kind_reaches_its_noun(park: Park) -> None:
    (battery, tank, engine, cooling, saw, kiln, oven, mill, office, cars, pump, roof) = (
        park.resources
    )

    assert isinstance(battery, Storage)
    assert (battery.final_soc, battery.max_cycles_per_day) == (0.5, 1.5)
    assert (battery.power_series_id, battery.node_id) == ("share.battery", None)
    assert isinstance(tank, Storage)
    assert (tank.node_id, tank.standing_loss_per_h) == ("warm", 0.01)
    assert isinstance(engine, Generator)
    assert engine.on_off == OnOffRules(
        min_power_kw=100,
        min_up=timedelta(hours=2),
        min_down=timedelta(hours=1),
        start_cost=40,
        max_starts_per_day=2,
    )
    assert (engine.weather_driven, engine.max_hours_per_day) == (False, 10)
    assert isinstance(cooling, CurtailableLoad)
    assert (cooling.max_calls_per_day, cooling.rest) == (2, timedelta(hours=1))
    assert cooling.longest_call == timedelta(minutes=90)
    assert cooling.notice == timedelta(minutes=30)
    assert isinstance(saw, InterruptibleLoad)
    assert (saw.longest_call, saw.notice) == (timedelta(hours=2), timedelta(minutes=45))
    assert saw.rebound == Rebound(
        share=0.5, delay=timedelta(minutes=15), length=timedelta(minutes=30)
    )
    assert isinstance(kiln, ShiftableRun)
    assert isinstance(oven, ShiftableRun)
    assert (kiln.runs_per_day, oven.after) == (2, "kiln")
    assert isinstance(mill, FlexibleLoad)
    assert mill.windows == (
        EnergyWindow(start=time(22), end=time(6), days=(0, 1), least_units=3, most_units=8),
    )
    assert (mill.unit, mill.kwh_per_unit, mill.bands_kw) == ("t", 50, (50, 100))
    assert isinstance(office, ThermalZone)
    assert (office.node_id, office.cop_per_degc, office.cop_outdoor_degc) == ("warm", 0.02, 5)
    assert isinstance(cars, EvFleet)
    assert (cars.max_car_feed_kw, cars.wear_cost_per_kwh, cars.guaranteed) == (10, 0.05, True)
    assert isinstance(pump, Converter)
    assert [port.node_id for port in pump.ports] == [None, "warm"]
    assert pump.points_kw == ((-50, 150), (-100, 280))
    assert pump.on_off == OnOffRules(min_up=timedelta(minutes=30))
    assert isinstance(roof, Generator)
    assert roof.panels == Panels(tilt_deg=30, azimuth_deg=170)


def test_the_forecast_of_a_roof_is_told_how_its_panels_stand(tmp_path: Path) -> None:
    (tmp_path / "park.yaml").write_text(PARK)
    file = load_park(tmp_path / "park.yaml")

    assert file.panels_of("available.roof") == Panels(tilt_deg=30, azimuth_deg=170)
    assert file.panels_of("power.cooling") is None


def test_nodes_pipes_groups_and_an_enterprise_limit_reach_the_park(park: Park) -> None:
    steam, warm = park.nodes
    (pipe,) = park.pipes
    crane, hall = park.groups

    assert (steam.carrier, steam.spill_cost_per_kwh) == (Carrier.STEAM, 0.01)
    assert (warm.carrier, warm.spill_cost_per_kwh) == (Carrier.HEAT, None)
    assert (pipe.from_node_id, pipe.to_node_id, pipe.delay) == (
        "steam", "warm", timedelta(minutes=30),
    )  # fmt: skip
    assert (crane.max_running, crane.max_draw_kw) == (1, inf)
    assert (hall.resource_ids, hall.max_draw_kw) == (("kiln", "mill"), 150)
    assert (park.enterprises[0].limits.import_kw, park.enterprises[0].limits.export_kw) == (
        900, inf,
    )  # fmt: skip


def test_a_store_of_heat_may_be_larger_than_the_electric_connection(park: Park) -> None:
    tank = next(r for r in park.resources if r.resource_id == "tank")

    assert tank.draw_kw > park.connection_points[0].limits.import_kw


AT = "enterprises.0.connection_points.0.resources"

FAULTS = [
    (
        "a resource at a node that is not there",
        ("kind: storage, node: warm", "kind: storage, node: hot"),
        [f"41:39: {AT}.1.node: unknown node 'hot'; known: steam, warm"],
    ),
    (
        "a port at a node that is not there",
        ("{node: warm, per_degc", "{node: hot, per_degc"),
        [f"77:26: {AT}.10.ports.1.node: unknown node 'hot'; known: steam, warm"],
    ),
    (
        "a pipe to nowhere",
        ("to_node: warm, max_kw", "to_node: hot, max_kw"),
        ["18:38: pipes.0.to_node: unknown node 'hot'; known: steam, warm"],
    ),
    (
        "a pipe in a circle",
        ("from_node: steam", "from_node: warm"),
        ["18:5: pipes.0: both ends at warm: Join two nodes"],
    ),
    (
        "a pipe in which all is lost",
        ("loss_share: 0.04", "loss_share: 1"),
        [
            (
                "18:66: pipes.0.loss_share: loss_share 1.0, delay 0:30:00: Give a share below 1 and a"
                " delay that is not negative"
            )
        ],
    ),
    (
        "an unknown carrier",
        ("carrier: heat,", "carrier: hot-air,"),
        [
            (
                "16:16: nodes.1.carrier: input should be 'heat', 'cooling', 'steam', 'hydrogen' or"
                " 'gas', not \"hot-air\""
            )
        ],
    ),
    (
        "two nodes of one name",
        ("{id: warm, carrier", "{id: steam, carrier"),
        [
            "16:6: nodes.1.id: node id 'steam' stands in line 15 too",
            "18:38: pipes.0.to_node: unknown node 'warm'; known: steam",
            f"41:39: {AT}.1.node: unknown node 'warm'; known: steam",
            f"73:46: {AT}.8.node: unknown node 'warm'; known: steam",
            f"77:26: {AT}.10.ports.1.node: unknown node 'warm'; known: steam",
        ],
    ),
    (
        "a group with a stranger",
        ("[kiln, oven]", "[kiln, crane]"),
        [
            (
                "20:35: groups.0.resources.1: unknown resource 'crane'; known: battery, cars, cooling,"
                " engine, kiln, mill, office, oven, …"
            )
        ],
    ),
    (
        "a group that counts what never stops",
        ("[kiln, oven]", "[kiln, battery]"),
        [
            (
                "20:35: groups.0.resources.1: battery is neither on nor off, so it cannot be counted"
                " running"
            )
        ],
    ),
    (
        "a run after itself by a detour",
        ("runs_per_day: 2}", "after: oven}"),
        [
            f"62:131: {AT}.5.after: each of these runs waits for the other",
            f"63:127: {AT}.6.after: each of these runs waits for the other",
        ],
    ),
    (
        "a run after no run",
        ("after: kiln", "after: mill"),
        [f"63:127: {AT}.6.after: mill is no shiftable_run"],
    ),
    (
        "rules of a machine that is on or off, told inside them",
        ("max_starts_per_day: 2}", "max_starts_per_day: -2}"),
        [
            (
                f"47:100: {AT}.2.on_off.max_starts_per_day: input should be greater than or equal to 0,"
                " not -2"
            )
        ],
    ),
    (
        "least power said twice",
        ("on_off: {min_up_minutes: 30}", "on_off: {min_power_kw: 30}"),
        [
            (
                f"82:22: {AT}.10.on_off.min_power_kw: on_off.min_power_kw is 30.0: Say it by the points: leave out those"
                " below the least power"
            )
        ],
    ),
    (
        "a point without a number for each port",
        ("[-100, 280]", "[-100]"),
        [
            (
                f"75:13: {AT}.10: 2 ports, points of [1, 2] numbers: Give at least one point, with one"
                " number for each port"
            )
        ],
    ),
    (
        "bands above the machine",
        ("[50, 100]", "[50, 200]"),
        [
            (
                f"70:13: {AT}.7.bands_kw: bands_kw is (50.0, 200.0): Give rising draws above 0 and not"
                " above max_draw_kw"
            )
        ],
    ),
    (
        "a window that asks for more than it may get",
        ("most_units: 8", "most_units: 2"),
        [
            (
                f"64:13: {AT}.7: 22:00:00 … 06:00:00: 3.0 … 2.0 units: Let it last, and let"
                " least_units lie between 0 and most_units"
            )
        ],
    ),
    (
        "half a minute",
        ("notice_minutes: 30}", "notice_minutes: 0.5}"),
        [(f"49:189: {AT}.3.notice_minutes: input should be a valid integer, not 0.5")],
    ),
]


@pytest.mark.parametrize(
    ("edit", "lines"), [pytest.param(edit, lines, id=name) for name, edit, lines in FAULTS]
)
def test_each_mistake_is_shown_where_it_stands(
    tmp_path: Path, edit: tuple[str, str], lines: list[str]
) -> None:
    assert PARK.count(edit[0]) == 1
    (tmp_path / "park.yaml").write_text(PARK.replace(*edit))

    with pytest.raises(ConfigErrors) as caught:
        load_park(tmp_path / "park.yaml")

    told = [str(fault).replace(f"{tmp_path}/park.yaml:", "") for fault in caught.value.faults]
    assert told == lines


def test_mistakes_of_nodes_pipes_and_groups_are_told_at_once(tmp_path: Path) -> None:
    text = (
        PARK.replace("kind: storage, node: warm", "kind: storage, node: hot")
        .replace("[kiln, oven]", "[kiln, battery]")
        .replace("to_node: warm, max_kw", "to_node: hot, max_kw")
        .replace("cost_per_kwh: 0.2", "cost_per_kwh: lots")
    )
    (tmp_path / "park.yaml").write_text(text)

    with pytest.raises(ConfigErrors) as caught:
        load_park(tmp_path / "park.yaml")

    assert [fault.line for fault in caught.value.faults] == [18, 20, 41, 46]
