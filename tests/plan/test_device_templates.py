"""Every device of the catalogue, at a size, in a park: loaded, scaled, planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vpp.model.resource import Converter, Generator, OnOffRules, Resource
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.templates import Template, load_template, resource_of

DEVICES = sorted(path.stem for path in shipped("devices").glob("*.yaml"))
NAMES = {
    "heat": "heat",
    "cold": "cold",
    "gas": "gas",
    "hydrogen": "hydrogen",
    "outdoor": "outdoor",
}


def made(
    template: Template, size_kw: float = 200.0, names: dict[str, str] | None = None
) -> Resource:
    return resource_of(
        template,
        size_kw=size_kw,
        resource_id="device",
        enterprise_id="a",
        connection_point_id="cp-a",
        names=names or {name: NAMES[name] for name in template.placeholders()},
    )


def test_the_catalogue_has_what_parks_usually_have() -> None:
    assert DEVICES == [
        "absorption-chiller",
        "alkaline-electrolyser",
        "backup-diesel",
        "biomass-boiler",
        "electric-boiler",
        "electric-chiller",
        "gas-chp",
        "geothermal-heat",
        "heat-contract",
        "heat-pump",
        "industrial-waste-heat",
        "pem-fuel-cell",
        "solar-heat",
    ]


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_is_planned_where_all_that_it_makes_is_wanted(lab: Any, device: str) -> None:
    """What it draws is free, what lacks costs 10: it runs at full load, whatever it is."""
    machine = made(load_template(device))
    free = [lab.pv(f"free-{name}", node_id=name, max_feed_kw=1e4) for name in ("gas", "hydrogen")]
    heated = device == "absorption-chiller"
    wanted = [lab.load("cold-load", node_id="cold")]
    wanted += [] if heated else [lab.load("heat-load", node_id="heat")]
    hydrogen = device == "alkaline-electrolyser"
    wanted += [lab.load("hydrogen-load", node_id="hydrogen")] if hydrogen else []
    free += [lab.pv("free-heat", node_id="heat", max_feed_kw=1e4)] if heated else []
    view = lab.view(
        machine,
        *(unit for unit in free if not (hydrogen and unit.node_id == "hydrogen")),
        *wanted,
        readings=[lab.reading("device")],
        price=[2.0 if device in ("pem-fuel-cell", "backup-diesel", "gas-chp") else 0.0] * 3,
        available_kw={unit.resource_id: [1e4] * 3 for unit in free} | {"device": [200.0] * 3},
        base_kw={load.resource_id: [-2e3] * 3 for load in wanted},
        outdoor_degc=7.0,
        nodes=[
            *(lab.node(name, spill_cost_per_kwh=0.0) for name in ("heat",)),
            lab.node("cold", "cooling"),
            lab.node("gas", "gas"),
            lab.node("hydrogen", "hydrogen"),
        ],
    )
    schedule = lab.plan(view)

    flows = [schedule.power_kw[0], *schedule.port_kw.get(machine.resource_id, {}).values()]
    assert max(abs(flow[-1]) for flow in flows) == pytest.approx(_largest(machine), rel=1e-6)


def _largest(machine: Resource) -> float:
    """Its largest flow, at the temperature outdoors that the points hold for or 7 °C."""
    if isinstance(machine, Converter):
        factors = [port.factor_at(7.0) for port in machine.ports]
        return max(
            abs(kw * factor)
            for point in machine.points_kw
            for kw, factor in zip(point, factors, strict=True)
        )
    assert isinstance(machine, Generator)
    return machine.max_feed_kw


def test_what_grows_with_the_size_is_scaled_and_the_rest_is_not() -> None:
    engine = made(load_template("gas-chp"), size_kw=1000)

    assert isinstance(engine, Converter)
    assert engine.points_kw == ((-1350, 500, 660), (-2500, 1000, 1130))
    assert engine.running_cost_per_h == 12
    assert engine.ramp_kw_per_min == 250
    assert engine.on_off is not None
    assert engine.on_off.start_cost == 10
    assert engine.on_off.max_starts_per_day == 6

    diesel = made(load_template("backup-diesel"), size_kw=500)
    assert isinstance(diesel, Generator)
    assert isinstance(diesel.on_off, OnOffRules)
    assert (diesel.max_feed_kw, diesel.on_off.min_power_kw) == (500, 150)
    assert (diesel.cost_per_kwh, diesel.max_hours_per_day) == (0.36, 4)


def test_nodes_and_series_get_the_names_of_the_park() -> None:
    pump = made(load_template("heat-pump"), names={"heat": "hall", "outdoor": "outdoor.berlin"})

    assert isinstance(pump, Converter)
    assert [port.node_id for port in pump.ports] == [None, "hall"]
    assert pump.outdoor_series_id == "outdoor.berlin"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param({"heat": "hall"}, "outdoor", id="one is missing"),
        pytest.param(
            {"heat": "hall", "outdoor": "o", "gas": "g"}, "gas", id="one is not asked for"
        ),
    ],
)
def test_names_that_do_not_fit_are_told(names: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigErrors, match=words):
        made(load_template("heat-pump"), names=names)


def test_no_size_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="0 kW is no size"):
        made(load_template("heat-pump"), size_kw=0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param(
            "  ramp_kw_per_min: {ref", "  max_age_s: {ref", "ramp_kw_per_min: has no entry",
            id="a number from nowhere",
        ),
        pytest.param("mark: recalled", "mark: guessed", "mark", id="a mark nobody knows"),
        pytest.param("device: electric-boiler", "device: boiler", "device", id="another name"),
        pytest.param("points_kw: [[", "points: [[", "points: has no entry", id="another key"),
    ],
)  # fmt: skip
def test_a_template_that_is_none_says_where(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (shipped("devices") / "electric-boiler.yaml").read_text()
    assert old in text
    (tmp_path / "electric-boiler.yaml").write_text(text.replace(old, new))

    with pytest.raises(ConfigErrors, match=words):
        load_template("electric-boiler", tmp_path)


def test_numbers_that_a_park_file_would_refuse_are_refused_here(tmp_path: Path) -> None:
    text = (shipped("devices") / "electric-boiler.yaml").read_text()
    (tmp_path / "electric-boiler.yaml").write_text(
        text.replace("ramp_kw_per_min: 2\n", "ramp_kw_per_min: -2\n")
    )

    with pytest.raises(
        ConfigErrors, match=r"electric-boiler.yaml:\d+:\d+: resource.ramp_kw_per_min"
    ):
        made(load_template("electric-boiler", tmp_path))
