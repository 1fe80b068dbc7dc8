"""The section `modbus` of a park file and the register maps it names: what they take, refuse, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.smallpark import MARKET, PARK
from vpp.model.registers import What
from vpp.service.links.registermaps import load_map, shipped_maps
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park

GATEWAY = """\
modbus:
  - id: mill-gateway
    host: 192.0.2.17
    devices:
      - {resource: battery, unit: 1, map: battery-inverter, read_only: false}
      - {resource: mill-meter, unit: 2, map: generic-meter, poll_s: 5}
      - {resource: pv, unit: 126, sunspec: {}}
"""

MAP = """\
registers: mine
name: A device of ours
points:
  power_kw: {at: 0, type: int32, scale: 0.001, unknown: ["0x80000000"]}
setpoint:
  writes:
    - {what: power_kw, at: 10}
    - {what: enable, at: 11, value: 1, released: 0}
sources:
  power_kw: {ref: data sheet, mark: found, confidence: H, valid: all}
  setpoint: {ref: data sheet, mark: found, confidence: H, valid: all}
"""


def loaded(folder: Path, modbus: str, **files: str) -> ParkFile:
    for name, text in {"park": PARK + modbus, "market": MARKET, **files}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_park(folder / "park.yaml")


def faults(folder: Path, modbus: str, **files: str) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        loaded(folder, modbus, **files)
    return [f"{fault.path}: {fault.what}" for fault in raised.value.faults]


def test_a_gateway_names_its_devices_and_they_are_read_only_unless_it_is_said(
    tmp_path: Path,
) -> None:
    file = loaded(tmp_path, GATEWAY)
    (gateway,) = file.modbus
    assert (gateway.port, gateway.timeout_s) == (502, 1.0)
    assert [device.read_only for device in gateway.devices] == [False, True, True]
    assert set(file.register_maps) == {"battery-inverter", "generic-meter"}


@pytest.mark.parametrize("name", shipped_maps())
def test_every_shipped_map_can_be_loaded_and_let_go(name: str, tmp_path: Path) -> None:
    found = load_map(name, tmp_path)
    assert "power_kw" in found.points
    if found.takes_setpoints:
        assert found.revert_s is not None or any(w.released is not None for w in found.writes)
        flags = [place for place, w in enumerate(found.writes) if w.what is What.ENABLE]
        assert flags in ([], [len(found.writes) - 1])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "resource: battery",
            "resource: engine",
            "modbus.0.devices.0.resource: unknown device 'engine'",
            id="a device that the park has not",
        ),
        pytest.param(
            "resource: pv",
            "resource: battery",
            "modbus.0.devices.2.resource: device 'battery' is behind 'mill-gateway' already",
            id="a device twice",
        ),
        pytest.param(
            "map: battery-inverter",
            "map: diesel",
            "modbus.0.devices.0.map: unknown register map 'diesel'; shipped: battery-inverter",
            id="a map that is not shipped",
        ),
        pytest.param(
            "map: battery-inverter",
            "map: absent.yaml",
            "modbus.0.devices.0.map: 'absent.yaml' cannot be read",
            id="a map that is not there",
        ),
        pytest.param(
            "map: generic-meter, poll_s: 5",
            "map: generic-meter, read_only: false",
            "modbus.0.devices.1.read_only: a main meter takes no set-points",
            id="a meter that is commanded",
        ),
        pytest.param(
            "map: generic-meter",
            "map: battery-inverter",
            "modbus.0.devices.1.map: a main meter tells import_wh, and 'battery-inverter' has none",
            id="a meter without registers",
        ),
        pytest.param(
            "map: battery-inverter",
            "map: generic-meter",
            "modbus.0.devices.0.read_only: the map 'generic-meter' has no setpoint to write",
            id="a command that the map does not know",
        ),
        pytest.param(
            "map: battery-inverter",
            "map: battery-inverter, sunspec: {}",
            "modbus.0.devices.0: give either `map` or `sunspec`",
            id="two ways to read it",
        ),
        pytest.param(
            "poll_s: 5",
            "poll_s: 0.5",
            "modbus.0.devices.1.poll_s: is below timeout_s 1 of its gateway",
            id="polled faster than an answer may take",
        ),
        pytest.param(
            "id: mill-gateway",
            "id: mqtt",
            "modbus.0.id: 'mqtt' is the name of the link to our own broker",
            id="the name of the native link",
        ),
        pytest.param(
            "sunspec: {}",
            "sunspec: {}, secret: x",
            "modbus.0.devices.2.secret: unknown key",
            id="a key",
        ),
    ],
)
def test_a_fault_is_told_at_its_place(old: str, new: str, fault: str, tmp_path: Path) -> None:
    found = faults(tmp_path, GATEWAY.replace(old, new, 1))
    assert any(one.startswith(fault) for one in found), found


def test_two_gateways_at_one_address_are_one_gateway(tmp_path: Path) -> None:
    second = """\
  - id: other
    host: 192.0.2.17
    devices: [{resource: hall, unit: 3, map: heat-pump}]
"""
    assert faults(tmp_path, GATEWAY + second) == [
        "modbus.1.host: 192.0.2.17:502 is gateway 'mill-gateway' already: add its devices there"
    ]


def test_a_map_of_shares_needs_a_size(tmp_path: Path) -> None:
    shares = MAP.replace("{what: power_kw, at: 10}", "{what: power_kw, at: 10, of: rated_kw}")
    named = GATEWAY.replace("battery-inverter", "mine.yaml")
    assert faults(tmp_path, named, mine=shares) == [
        "modbus.0.devices.0.map: 'mine.yaml' speaks in shares: give rated_kw"
    ]
    sized = named.replace("unit: 1,", "unit: 1, rated_kw: 100,")
    assert "mine.yaml" in loaded(tmp_path, sized, mine=shares).register_maps


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param("type: int32", "type: int24", "points.power_kw.type: ", id="a type"),
        pytest.param("at: 0,", "at: 65535,", "points.power_kw: at 65535 lies outside", id="an end"),
        pytest.param(
            '"0x80000000"', '"80000000h"', "points.power_kw.unknown.0: ", id="a raw value"
        ),
        pytest.param(
            "scale: 0.001", "scale: 0", "points.power_kw: scale is 0", id="a scale of nothing"
        ),
        pytest.param(
            "power_kw: {at: 0", "watts: {at: 0", "points.watts", id="a point we do not know"
        ),
        pytest.param(
            "value: 1, released: 0",
            "value: 1",
            "setpoint.writes.1: say with `released` what lets the device go",
            id="a flag that stays",
        ),
        pytest.param(
            "    - {what: enable, at: 11, value: 1, released: 0}\n",
            "",
            "setpoint: nothing lets the device go",
            id="a device that is never let go",
        ),
        pytest.param(
            "    - {what: power_kw, at: 10}\n",
            "    - {what: enable, at: 12, value: 1, released: 0}\n    - {what: power_kw, at: 10}\n",
            "setpoint: the enable flag is one, and written last",
            id="two flags",
        ),
        pytest.param(
            "writes:",
            "revert_s: 60\n  writes:",
            "setpoint: a revert timer needs both",
            id="a timer without a register",
        ),
        pytest.param(
            "{what: power_kw, at: 10}",
            "{what: power_kw, at: 10, code: 6, type: int32}",
            "setpoint.writes.0: function code 6 writes one register",
            id="two words by function 6",
        ),
        pytest.param(
            "  power_kw: {ref",
            "  soc: {ref",
            "points.power_kw: has no entry in sources",
            id="no source",
        ),
        pytest.param(
            "registers: mine", "registers: yours", "registers: the file is called", id="name"
        ),
    ],
)
def test_a_faulty_map_is_told_in_its_own_file(
    old: str, new: str, fault: str, tmp_path: Path
) -> None:
    named = GATEWAY.replace("battery-inverter", "mine.yaml")
    assert old in MAP
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, named, mine=MAP.replace(old, new, 1))
    told = [f"{one.path}: {one.what}" for one in raised.value.faults if "mine.yaml" in one.file]
    assert any(one.startswith(fault) for one in told), raised.value.faults
