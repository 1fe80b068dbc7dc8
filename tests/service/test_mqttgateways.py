"""The section `mqtt_gateways` of a park file and the maps it names: what they take, refuse, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.smallpark import MARKET, PARK
from vpp.service.links.payloadmaps import load_payload_map, shipped_payload_maps
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park

GATEWAYS = """\
mqtt_gateways:
  - id: meters
    map: dlt645-gateway
    devices:
      - {resource: mill-meter, names: {collector: c1, meter: "000012345678"}}
  - id: building
    map: mine.yaml
    broker: {host: 192.0.2.17, username: {env: PATH}, password: {env: HOME}}
    devices:
      - {resource: battery, names: {name: b1}, read_only: false}
      - {resource: pv, names: {name: p1}}
"""

MAP = """\
payloads: mine
name: A gateway of ours
device_by: [name]
incoming:
  - topic: up/{name}
    time: {path: t, form: unix_s}
    points:
      power_kw: {path: p}
command:
  topic: down/{name}
  payload: {p: "{power}", until: "{expires_unix_s}"}
sources:
  incoming: {ref: data sheet, mark: found, confidence: H, valid: all}
  command: {ref: data sheet, mark: found, confidence: H, valid: all}
"""


def loaded(folder: Path, gateways: str, payloads: str = MAP) -> ParkFile:
    for name, text in {"park": PARK + gateways, "market": MARKET, "mine": payloads}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_park(folder / "park.yaml")


def faults(folder: Path, gateways: str, payloads: str = MAP) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        loaded(folder, gateways, payloads)
    return [f"{fault.path}: {fault.what}" for fault in raised.value.faults]


def test_gateways_name_their_devices_as_their_messages_do(tmp_path: Path) -> None:
    file = loaded(tmp_path, GATEWAYS)

    assert [gateway.id for gateway in file.mqtt_gateways] == ["meters", "building"]
    assert set(file.payload_maps) == {"dlt645-gateway", "mine.yaml"}
    assert [d.read_only for d in file.mqtt_gateways[1].devices] == [False, True]


@pytest.mark.parametrize("name", shipped_payload_maps())
def test_every_shipped_map_is_whole_and_a_device_without_a_timer_can_be_let_go(name: str) -> None:
    found = load_payload_map(name, Path())

    assert any("power_kw" in incoming.points for incoming in found.incoming)
    if found.command is not None and found.command.without_expiry:
        assert found.command.release is not None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "resource: pv",
            "resource: engine",
            "mqtt_gateways.1.devices.1.resource: unknown device 'engine'",
            id="a device that the park has not",
        ),
        pytest.param(
            "resource: pv",
            "resource: battery",
            "mqtt_gateways.1.devices.1.resource: device 'battery' is behind 'building' already",
            id="a device twice",
        ),
        pytest.param(
            "names: {name: p1}",
            "names: {name: b1}",
            "mqtt_gateways.1.devices.1.names: device 'battery' is called the same",
            id="two devices of one name",
        ),
        pytest.param(
            "names: {name: p1}",
            "names: {unit: p1}",
            "mqtt_gateways.1.devices.1.names: give ['name'], no more and no less",
            id="a name that the map does not ask for",
        ),
        pytest.param(
            "map: dlt645-gateway",
            "map: dlt646",
            "mqtt_gateways.0.map: unknown map of payloads 'dlt646'; shipped: dlt645-gateway",
            id="a map that is not shipped",
        ),
        pytest.param(
            "id: building",
            "id: mqtt",
            "mqtt_gateways.1.id: 'mqtt' is the name of the link to our own broker",
            id="our own name",
        ),
        pytest.param(
            '"000012345678"}}',
            '"000012345678"}, read_only: false}',
            "mqtt_gateways.0.devices.0.read_only: a main meter takes no set-points",
            id="a meter that is commanded",
        ),
        pytest.param(
            "resource: pv",
            "resource: mill-meter",
            "mqtt_gateways.1.devices.1.resource: the map tells no import_wh, which a main meter must",
            id="a meter without registers",
        ),
        pytest.param(
            "password: {env: HOME}",
            "password: {env: VPP_IS_NOT_SET}",
            "mqtt_gateways.1.broker.password: environment variable VPP_IS_NOT_SET",
            id="a password that is not there",
        ),
    ],
)
def test_what_does_not_fit_the_park_is_told_where_it_stands(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert any(one.startswith(fault) for one in faults(tmp_path, GATEWAYS.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param('{power}"', '{pover}"', "the payload never says {power}", id="no power"),
        pytest.param(', until: "{expires_unix_s}"', "", "give the payload an expiry", id="no end"),
        pytest.param("    time: {path: t, form: unix_s}\n", "", "frozen_after", id="no time"),
        pytest.param("path: p}", 'path: "p["}', "is no path at '['", id="no path"),
        pytest.param("up/{name}", "up/{other}", "capture 'name'", id="no capture"),
        pytest.param(
            "path: p}", 'path: "a[id={tag}].v"}', "capture 'tag'", id="no capture for a path"
        ),
        pytest.param("up/{name}", "up/#/{name}", "is no topic pattern", id="no topic"),
        pytest.param("down/{name}", "down/{who}", "nobody knows ['who']", id="unknown name"),
        pytest.param("payloads: mine", "payloads: yours", "the file is called", id="other name"),
        pytest.param("power_kw: {path", "soc: {path", "power_kw is missing", id="no power read"),
        pytest.param(
            "  command: {ref", "  answer: {ref", "has no entry in sources", id="unfounded"
        ),
    ],
)
def test_a_map_that_cannot_work_is_refused(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in MAP

    assert any(fault in one for one in faults(tmp_path, GATEWAYS, MAP.replace(old, new)))
