"""The park file's section `instructions`: what must fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.peoplepark import write_park
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.service.devicetest.wiring import require_writable
from vpp.service.park.config import ConfigErrors

REACHED = "{resource: press-1, person: person-1}"


def faults(folder: Path, changes: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        write_park(folder, changes=changes)
    return [str(fault).rpartition("park.yaml:")[2] for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({REACHED: "{resource: press-9, person: person-1}"}, "unknown resource 'press-9'"),
        ({REACHED: "{resource: press-1, person: nobody}"}, "unknown person 'nobody'"),
        ({REACHED: "{resource: hand-base-1, person: person-1}"}, "is no curtailable_load"),
        ({REACHED: f"{REACHED}\n    - {REACHED}"}, "press-1 stands there already"),
        ({"notice_minutes: 90": "notice_minutes: 59"}, "give 60 or more"),
        ({"notice_minutes: 90": "notice_minutes: 0"}, "notice_minutes of 0"),
        (
            {REACHED: "{resource: press-1, person: person-1, answer_before_minutes: 61}"},
            "give 91 or more",
        ),
        ({"tell_before_minutes: 240": "tell_before_minutes: 104"}, "are 105: tell_before_minutes"),
        ({"remind_before_minutes: 15": "remind_before: 15"}, "remind_before"),
    ],
)
def test_what_does_not_fit_is_said_at_its_place(
    tmp_path: Path, changes: dict[str, str], what: str
) -> None:
    found = faults(tmp_path, changes)
    assert any(what in one for one in found), found


LINKS = {
    "modbus": """\
modbus:
  - id: other
    host: 192.0.2.9
    devices: [{resource: press-1, unit: 1, map: battery-inverter, read_only: WAY}]
""",
    "mqtt": """\
mqtt_gateways:
  - id: other
    map: neuron
    devices: [{resource: press-1, names: {node: n, group: g}, read_only: WAY}]
""",
    "sparkplug": """\
sparkplug:
  - id: other
    group: g
    devices:
      - resource: press-1
        node: n
        points: {power_kw: {metric: P}}
        setpoint: WAY
""",
    "iec104": """\
iec104:
  - role: client
    id: other
    host: 192.0.2.20
    devices:
      - resource: press-1
        points: {power_kw: {ioa: 1}}
        setpoint: WAY
""",
    "openadr": """\
openadr_vtn:
  listen: {port: 8447}
  sites:
    - id: other
      client_id: {file: long.secret}
      client_secret: {file: long.secret}
      devices: [{resource: press-1, sends: WAY}]
""",
}
WAYS = {
    "modbus": ("false", "true"),
    "mqtt": ("false", "true"),
    "sparkplug": ("{metric: S, ends_in_s: E}", "null"),
    "iec104": ("{ioa: 2, released: 0}", "null"),
    "openadr": ("DISPATCH_SETPOINT", "null"),
}
"""Sent set-points, and only read."""


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_that_sends_set_points_to_what_a_person_turns_is_told(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "long.secret").write_text("nobody-can-guess-this", encoding="utf-8")
    sent, read = (LINKS[kind].replace("WAY", way) for way in WAYS[kind])
    said = "person-1 turns press-1 by hand, and 'other' sends it set-points"
    found = faults(tmp_path, {"simulation:\n": f"{sent}simulation:\n"})
    assert [one for one in found if said in one], found
    write_park(tmp_path, changes={"simulation:\n": f"{read}simulation:\n"})


def test_a_section_that_fits_is_read(tmp_path: Path) -> None:
    section = write_park(tmp_path, hands=2).instructions
    assert [(one.resource, one.person) for one in section.resources] == [
        ("press-1", "person-1"),
        ("press-2", "person-2"),
    ]


def test_a_device_test_steps_nothing_that_a_person_turns(tmp_path: Path) -> None:
    file = write_park(tmp_path)
    require_writable(file, ResourceId("battery-1"))
    with pytest.raises(ConfigError, match="person-1 turns it by hand"):
        require_writable(file, ResourceId("press-1"))
