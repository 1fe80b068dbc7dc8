"""Each device of a park file is behind one link and each link has a name of its own, whatever they speak."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from tests.service.smallpark import MARKET, PARK
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park

FLEET = """\
          - {id: cars, kind: ev_fleet, charger_kw: 22, max_draw_kw: 22, unserved_cost_per_kwh: 1}
"""
LINKS = {
    "modbus": """\
modbus:
  - {id: NAME, host: 192.0.2.9, devices: [{resource: DEVICE, unit: 1, map: battery-inverter}]}
""",
    "mqtt": """\
mqtt_gateways:
  - {id: NAME, map: neuron, devices: [{resource: DEVICE, names: {node: n, group: g}}]}
""",
    "http": """\
http_devices:
  listen: {port: 8443}
  gateways:
    - id: NAME
      map: push-json
      push: {token: {file: long.secret}}
      devices: [{resource: DEVICE, names: {device: d}}]
""",
    "recording": """\
replays:
  - {id: NAME, file: summer.csv, devices: [{resource: DEVICE, names: {device: d}}]}
""",
    "sparkplug": """\
sparkplug:
  - {id: NAME, group: g, devices: [{resource: DEVICE, node: n, points: {power_kw: {metric: P}}}]}
""",
    "iec104": """\
iec104:
  - role: client
    id: NAME
    host: 192.0.2.20
    devices: [{resource: DEVICE, points: {power_kw: {ioa: 1}}}]
""",
    "ocpp": """\
ocpp:
  - id: NAME
    listen: {port: 8887}
    car_parks:
      - resource: DEVICE
        kind: ac-22kw
        cars: {wanted_kwh: 20, stay_minutes: 240}
        stations: [{id: CP-001}]
""",
    "s2": """\
s2:
  id: NAME
  listen: {port: 8888}
  devices: [{resource: DEVICE, token: {file: long.secret}, control: frbc}]
""",
    "openadr": """\
openadr_vtn:
  listen: {port: 8447}
  sites:
    - id: NAME
      client_id: {file: long.secret}
      client_secret: {file: long.secret}
      devices: [{resource: DEVICE}]
""",
}
"""A section of each kind of link, with one device that it reads."""


PAIRS = [*combinations(LINKS, 2)]


def faults(folder: Path, *sections: str) -> list[str]:
    """What is wrong with a park file of these links."""
    for name in ("long.secret", "summer.csv"):
        (folder / name).write_text("nobody-can-guess-this", encoding="utf-8")
    park = PARK.replace("bidding_units:", f"{FLEET}bidding_units:")
    (folder / "park.yaml").write_text(park + "".join(sections), encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    try:
        load_park(folder / "park.yaml")
    except ConfigErrors as errors:
        return [f"{fault.path}: {fault.what}" for fault in errors.faults]
    return []


def section(kind: str, name: str, device: str = "cars") -> str:
    return LINKS[kind].replace("NAME", name).replace("DEVICE", device)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_device_behind_two_links_is_told_at_the_second(
    first: str, second: str, tmp_path: Path
) -> None:
    (told,) = faults(tmp_path, section(first, "one"), section(second, "two"))
    assert "device 'cars' is behind 'one' already" in told or "behind 'two' already" in told


@pytest.mark.parametrize("kind", LINKS)
def test_one_link_alone_is_in_order_and_may_not_be_called_as_our_own_broker(
    kind: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, section(kind, "one")) == []
    (told,) = faults(tmp_path, section(kind, "mqtt"))
    assert "'mqtt' is the name of the link to our own broker" in told


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_links_of_one_name_are_told(first: str, second: str, tmp_path: Path) -> None:
    other = "cars" if second == "ocpp" else "battery"
    device = "battery" if other == "cars" else "cars"
    told = faults(tmp_path, section(first, "one", device), section(second, "one", other))
    assert [fault for fault in told if "'one'" in fault], told
