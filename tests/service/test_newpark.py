"""A park of one's own from a table: what `vpp init` writes passes `vpp check`; each mistake at its cell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vpp.cli import app
from vpp.errors import ConfigError
from vpp.model.resource import EvFleet, FixedLoad, ShiftableRun, Storage, ThermalZone
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.runnable import require_real_market, require_runnable
from vpp.service.start.newpark import new_park

HEADER = "resource,kind,enterprise,power_kw,energy_kwh,hours,min_degc,max_degc"
KNOWN = (
    "fixed_load, storage, generator, curtailable_load, interruptible_load, shiftable_run, flexible_load,"
    " thermal_zone, ev_fleet, load, battery, pv, solar, shiftable, flexible, heating, cooling, cold_store,"
    " chargers, ev"
)
ONE = f"{HEADER}\nbase,load,mill,100,,,,\n"


def made(folder: Path, text: str | bytes, like: str = "demo") -> ParkFile:
    table = folder / "table.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    new_park(folder / "own", source=table, like=like)
    return load_park(folder / "own" / "park.yaml")


def told(folder: Path, text: str | bytes) -> list[str]:
    """Every fault, without the file's name; nothing may have been written."""
    with pytest.raises(ConfigErrors) as caught:
        made(folder, text)
    assert [path.name for path in folder.iterdir()] == ["table.csv"]
    return [str(fault).removeprefix(f"{fault.file}:") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("source", "like"),
    [("resources.csv", "demo"), ("resources_cn.csv", "demo_cn"), ("resources_cn.csv", "demo")],
)
def test_the_shipped_tables_become_parks_that_run_and_can_be_simulated(
    tmp_path: Path, source: str, like: str
) -> None:
    written = new_park(tmp_path / "own", source=shipped(f"start/{source}"), like=like)

    file = load_park(tmp_path / "own" / "park.yaml")
    require_runnable(file)
    require_real_market(file)
    assert file.simulation is not None
    assert len(file.park.resources) == written.resources == 10
    assert (tmp_path / "own" / "resources.csv").read_bytes() == shipped(
        f"start/{source}"
    ).read_bytes()
    readme = (tmp_path / "own" / "README.md").read_text(encoding="utf-8")
    assert str(written.assumed) in readme
    whole_list = readme.partition("make it true\n\n")[2].partition("\n\n")[0]
    assert re.findall(r"^(\d)\.", whole_list, re.MULTILINE) == ["1", "2", "3", "4"]


def test_figures_of_the_table_are_kept_and_what_is_assumed_is_marked(tmp_path: Path) -> None:
    file = made(
        tmp_path,
        "resource,kind,enterprise,power_kw,energy_kwh,hours,min_soc\n"
        "bank,battery,mill,250,500,,0.2\n"
        "kiln,shiftable,mill,180,360,06:00-20:00,\n",
    )

    bank, kiln = file.park.resources
    assert isinstance(bank, Storage)
    assert (bank.capacity_kwh, bank.max_charge_kw, bank.min_soc) == (500, 250, 0.2)
    assert isinstance(kiln, ShiftableRun)
    assert kiln.profile_kw == (180.0,) * 8  # 360 kWh at 180 kW: two hours
    assert f"{kiln.earliest_start:%H:%M}-{kiln.latest_end:%H:%M}" == "06:00-20:00"
    text = (tmp_path / "own" / "park.yaml").read_text(encoding="utf-8")
    assert "charge_efficiency: 0.95     # assumed" in text
    assert "min_soc: 0.2\n" in text
    assert 'earliest_start: "06:00"\n' in text
    assert file.park.connection_points[0].limits.import_kw == 430  # both at once


def test_a_zone_is_given_the_size_that_its_machine_can_hold(tmp_path: Path) -> None:
    """60 kW, COP 2, 35 °C outside and -22 inside: 57 / (0.6 · 2 · 60) degrees for each kW."""
    file = made(tmp_path, f"{HEADER}\nfreezer,cold_store,bakery,60,,,-24,-20\n")

    (zone,) = file.park.resources
    assert isinstance(zone, ThermalZone)
    assert not zone.heating
    assert zone.resistance_degc_per_kw == pytest.approx(57 / 72, abs=1e-4)


def test_chinese_headers_kinds_and_names_are_read_also_from_a_chinese_spreadsheet(
    tmp_path: Path,
) -> None:
    table = (
        "资源;类型;企业;功率(kW);备注\r\n压机;负荷;工具厂;100;冲压车间\r\n桩;充电桩;工具厂;44;\r\n"
    )

    file = made(tmp_path, table.encode("gb18030"), "demo_cn")

    load, fleet = file.park.resources
    assert isinstance(load, FixedLoad)
    assert isinstance(fleet, EvFleet)
    assert load.resource_id != fleet.resource_id
    assert file.park.enterprises[0].name == "工具厂"
    assert "# 压机 (冲压车间)" in (tmp_path / "own/park.yaml").read_text(encoding="utf-8")


def test_enterprises_without_latin_names_are_counted_not_their_rows(tmp_path: Path) -> None:
    rows = "".join(f"{name}{n};负荷;{name};100;\n" for name in ("甲", "乙") for n in (1, 2, 3))

    file = made(tmp_path, f"资源;类型;企业;功率(kW);备注\n{rows}".encode(), "demo_cn")

    assert [e.enterprise_id for e in file.park.enterprises] == ["enterprise-1", "enterprise-2"]


def test_every_mistake_is_told_at_once_with_line_and_column(tmp_path: Path) -> None:
    text = (
        f"{HEADER}\n"
        'base,load,mill,"1,5",,,,\n'
        "bank,battery,mill,100,,,,\n"
        "base2,windmill,mill,100,,,,\n"
        "hall,heating,mill,50,,,24,20\n"
        ",load,,100,,,,\n"
        "saw,interruptible_load,mill,100,,6 to 22,,\n"
    )

    assert told(tmp_path, text) == [
        "2:16: power_kw: '1,5' is no number such as 250 or 0.5",
        "3:1: energy_kwh: is missing: what the store holds",
        f"4:7: kind: 'windmill' is not known here: use one of {KNOWN}",
        "5:27: max_degc: 20 is not above 24, its min_degc",
        "6:1: resource: is missing: what it is called",
        "6:1: enterprise: is missing: whose it is",
        "7:34: hours: '6 to 22' are no hours such as 06:00-22:00",
    ]


def test_every_mistake_of_one_row_is_told_at_once(tmp_path: Path) -> None:
    text = (
        "resource,kind,enterprise,power_kw,energy_kwh,hours,min_soc,wheels,curve,point,point_import_kw\n"
        "gate,load,north,10,,,,,,door,100\n"
        "gate,battery,south,many,none,,95,4,wild,door,few\n"
        "press,windmill,north,-1,,,,,,door,50\n"
        "kiln,shiftable,,0,100,6 to 22,,,,,\n"
    )

    lines = told(tmp_path, text)

    assert [line.split(": ")[:2] for line in lines] == [
        ["3:1", "resource"],  # the name of line 2
        ["3:20", "power_kw"],
        ["3:25", "energy_kwh"],
        ["3:31", "min_soc"],  # above 1
        ["3:34", "wheels"],  # no key of a store
        ["3:36", "curve"],
        ["3:41", "point"],  # of north
        ["3:46", "point_import_kw"],  # no number
        ["4:7", "kind"],
        ["4:22", "power_kw"],
        ["4:35", "point_import_kw"],  # 100 in line 2
        ["5:1", "enterprise"],
        ["5:17", "power_kw"],
        ["5:23", "hours"],
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("", "1:1: is empty", id="an empty file"),
        pytest.param(f"{HEADER}\n,,,\n\n", "1:1: has a header and no row below it", id="no rows"),
        pytest.param(
            "resource,kind,power_kw,power_kw\na,load,1,1\n",
            "1:24: power_kw: a column power_kw stands here a second time",
            id="a column twice",
        ),
        pytest.param(
            "resource,kind,enterprise\na,load,b\n",
            "1:1: there is no column power_kw (功率kw)",
            id="a column that is missing",
        ),
        pytest.param(f"{ONE}a,load,mill,1,,,,,7\n", "3:19: stands beyond the last header", id="a cell too many"),
        pytest.param(f"{ONE}base,load,mill,1,,,,\n", "3:1: resource: base stands in line 2 too", id="a name twice"),
        pytest.param(
            "resource,kind,enterprise,power_kw,energy_kwh,min_soc\na,battery,b,10,20,95\n",
            "2:19: min_soc: 95 is above 1: give a fraction such as 0.96, not a percentage",
            id="a key of the park file out of range",
        ),
        pytest.param(
            "resource,kind,enterprise,power_kw,wheels\na,load,b,10,4\n",
            "2:13: wheels: unknown key",
            id="a key that no kind has",
        ),
        pytest.param(
            "resource,kind,enterprise,power_kw,point\na,load,b,10,north\nc,load,d,10,north\n",
            "3:13: point: north is of b already",
            id="a point of two enterprises",
        ),
        pytest.param(
            "resource,kind,enterprise,power_kw,point_import_kw\na,load,b,100,50\n",
            "2:14: point_import_kw: 100 kW behind a limit of 50 kW",
            id="a device behind too little",
        ),
        pytest.param(
            "resource,kind,enterprise,power_kw,after,energy_kwh\nz,load,b,5,,\na,shiftable,b,100,kiln,100\n",
            "3:19: after: ",
            id="a run after one that is not there",
        ),
        pytest.param(b"\xff\xfe\x00", "1:1: is neither UTF-8 nor GB18030", id="no text"),
    ],
)  # fmt: skip
def test_a_table_is_refused_where_it_is_wrong(tmp_path: Path, text: str | bytes, what: str) -> None:
    assert any(line.startswith(what) for line in told(tmp_path, text))


def test_nothing_that_stands_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(ConfigError, match="holds something already"):
        made(tmp_path, ONE)

    assert [path.name for path in (tmp_path / "own").iterdir()] == ["notes.txt"]


def test_a_note_full_of_yaml_stays_a_comment(tmp_path: Path) -> None:
    file = made(
        tmp_path,
        'resource,kind,enterprise,power_kw,note\na,load,"mill: {x: [",10,"first\nkind: storage"\n',
    )

    assert file.park.enterprises[0].name == "mill: {x: ["
    assert "# (first kind: storage)\n" in (tmp_path / "own/park.yaml").read_text(encoding="utf-8")
    assert isinstance(file.park.resources[0], FixedLoad)


@pytest.mark.parametrize("like", ["demo", "demo_cn"])
def test_every_example_of_a_strategy_is_taken_by_removing_its_mark(
    tmp_path: Path, like: str
) -> None:
    new_park(tmp_path / "own", source=None, like=like)
    file = tmp_path / "own" / "strategies.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"^#(  (?:- | ))", r"\1", text, flags=re.MULTILINE), encoding="utf-8")

    names = [one.name for one in load_park(tmp_path / "own" / "park.yaml").strategies.entries]

    assert names == ["trading", "evening-peak", "own-sun", "ready-cars"]


def test_the_command_says_what_it_wrote_and_what_is_next(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["init", str(tmp_path / "own")])

    assert said.exit_code == 0
    assert "10 resources, read as UTF-8" in said.output
    assert "vpp check park.yaml" in said.output
    assert CliRunner().invoke(app, ["check", str(tmp_path / "own/park.yaml")]).exit_code == 0
