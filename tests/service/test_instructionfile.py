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
