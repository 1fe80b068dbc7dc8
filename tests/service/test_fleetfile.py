"""Tables of a fleet: rows become resources as if they stood in the park file, and are told at their line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vpp.model.resource import FlexibleLoad, Storage
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park

PARK = """\
park: fleet
name: A fleet
timezone: UTC
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 1000, export_kw: 1000}
carbon: {grid_kgco2_per_kwh: 0.1, source: a round number, valid_from: 2025-01-01}
tariffs:
  - id: flat
    valid_from: 2025-01-01
    source: round numbers
    bands: [{name: all day, start: "00:00", end: "00:00", price_per_kwh: 0.01}]
    demand_charge_per_kw_month: 0
fleets:
  - templates:
      battery: {kind: storage, charge_efficiency: 0.9, tags: [bess]}
      load:
        kind: flexible_load
        windows: [{start: "08:00", end: "16:00"}, {start: "20:00", end: "22:00"}]
    points: points.csv
    resources: resources.csv
"""
POINTS = """\
enterprise,name,point,meter,tariff,import_kw,export_kw
works,Works 1,gate,meter,flat,500,500
works,,yard,yard-meter,flat,100,100
12,,gate-12,meter-12,flat,100,100
"""
RESOURCES = """\
id,template,point,capacity_kwh,max_charge_kw,max_discharge_kw,charge_efficiency,max_draw_kw,windows.1.least_units,tags
b-1,battery,gate,200,100,50,,,,
b-2,battery,gate-12,200,100,100,0.8,,,spare old
l-1,load,yard,,,,,40,30,
"""

Load = Callable[..., ParkFile]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(
        *, park: str = PARK, points: str = POINTS, resources: str = RESOURCES
    ) -> ParkFile:
        (tmp_path / "park.yaml").write_text(park, encoding="utf-8")
        (tmp_path / "points.csv").write_text(points, encoding="utf-8")
        (tmp_path / "resources.csv").write_text(resources, encoding="utf-8")
        return load_park(tmp_path / "park.yaml")

    return write_and_load


def faults_of(load: Load, **files: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(**files)
    return [f"{Path(f.file).name}:{f.line}: {f.path}: {f.what}" for f in caught.value.faults]


def test_a_row_is_its_template_with_its_cells_laid_over(load: Load) -> None:
    first, second, third = load().park.resources

    assert isinstance(first, Storage)
    assert (first.capacity_kwh, first.max_discharge_kw, first.charge_efficiency) == (200, 50, 0.9)
    assert isinstance(third, Storage)  # in the order of the tree, as in YAML
    assert (third.resource_id, third.charge_efficiency) == ("b-2", 0.8)
    assert isinstance(second, FlexibleLoad)
    assert [window.least_units for window in second.windows] == [0, 30]


def test_a_cell_of_one_row_leaves_the_template_as_it_is_for_the_next(load: Load) -> None:
    more = RESOURCES + "l-2,load,yard,,,,,40,,\n"

    loads = [r for r in load(resources=more).park.resources if isinstance(r, FlexibleLoad)]

    assert [[w.least_units for w in one.windows] for one in loads] == [[0, 30], [0, 0]]


def test_a_table_of_points_makes_the_enterprises_it_names(load: Load) -> None:
    park = load().park

    assert [(e.enterprise_id, e.name) for e in park.enterprises] == [
        ("works", "Works 1"),
        ("12", "12"),
    ]
    assert [p.connection_point_id for p in park.connection_points] == ["gate", "yard", "gate-12"]
    assert park.behind_enterprise == {"works": ("b-1", "l-1"), "12": ("b-2",)}


def test_rows_join_what_the_park_file_itself_names(load: Load) -> None:
    own = """\
enterprises:
  - id: works
    name: The works
    connection_points:
      - {id: own, import_kw: 10, export_kw: 10, meter: own-meter, tariff: flat, resources: []}
"""
    more = RESOURCES + "b-3,battery,own,10,5,5,,,,\n"

    park = load(park=PARK + own, resources=more).park

    assert park.enterprises[0].name == "The works"
    assert park.behind_point["own"] == ("b-3",)  # type: ignore[index]


def test_the_same_park_file_with_another_table_is_another_park(load: Load) -> None:
    assert load().digest != load(resources=RESOURCES.replace(",50,", ",60,")).digest


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("b-3,batery,gate,1,1,1,,,,", "5: template: 'batery' is none of battery, load"),
        ("b-3,battery,gone,1,1,1,,,,", "5: point: 'gone' is no connection point of this park"),
        ("b-3,battery,gate,-1,1,1,,,,", "5: capacity_kwh: "),
        ("b-3,battery,gate,1,900,1,,,,", "5: : b-3 draws up to 900 kW behind a limit of 500 kW"),
        ("b-1,battery,yard,1,1,1,,,,", "5: id: device id 'b-1' stands in line 2"),
        ("b-3,battery,gate,1,1,1,,,7,", "5: windows.1.least_units: leads to nothing"),
        ("b-3,battery,,1,1,1,,,,", "5: point: missing"),
        ("b-3,battery,gate,1,1,1,,,,,,,", "5: : 13 cells under a header of 10"),
    ],
)
def test_a_mistake_of_a_row_is_told_at_its_line(load: Load, row: str, told: str) -> None:
    faults = faults_of(load, resources=RESOURCES + row + "\n")

    assert any(fault.startswith(f"resources.csv:{told}") for fault in faults), faults


def test_every_mistake_is_told_not_the_first_alone(load: Load) -> None:
    rows = "".join(f"x-{n},battery,gone,1,1,1,,,,\n" for n in range(3))

    assert len(faults_of(load, resources=RESOURCES + rows)) == 3


def test_a_table_that_is_not_there_is_told_where_it_is_named(load: Load) -> None:
    faults = faults_of(load, park=PARK.replace("resources: resources.csv", "resources: gone.csv"))

    assert [fault.split(": ")[:2] for fault in faults] == [["park.yaml:21", "fleets.0.resources"]]


def test_a_column_that_is_missing_or_twice_is_told(load: Load) -> None:
    faults = faults_of(load, resources="id,template,tags,tags\nb,battery,a,a\n")

    assert faults == [
        "resources.csv:1: point: there is no such column",
        "resources.csv:1: tags: the column stands here twice",
    ]


@pytest.mark.parametrize("column", ["resources", "resources.0.id"])
def test_resources_in_the_table_of_points_are_refused_and_not_lost(load: Load, column: str) -> None:
    head, *rows = POINTS.splitlines()
    table = "\n".join([f"{head},{column}", *(f"{row},b-9" for row in rows)])

    told = faults_of(load, points=table)

    assert told[0] == (
        f"points.csv:1: {column}: the resources of a point stand in the table of resources, by its id"
    )


def test_a_template_with_nothing_in_it_is_told_as_such(load: Load) -> None:
    empty = PARK.replace("      load:\n", "      spare:\n      load:\n")
    rows = RESOURCES + "x-1,spare,gate,1,1,1,,,,\n"

    assert "resources.csv:5: template: 'spare' is empty: give its kind at least" in faults_of(
        load, park=empty, resources=rows
    )


def test_a_park_of_nobody_is_refused(load: Load) -> None:
    faults = faults_of(load, park=PARK.split("fleets:", maxsplit=1)[0])

    assert faults == [
        "park.yaml:1: enterprises: there is none: name one here, or in a fleet's table of points"
    ]
