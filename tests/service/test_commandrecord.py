"""The commands of an act are one record of columns; entries of releases before are read too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.commandsread import commands_of
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.service.steering.commandrecord import encoded

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_setpoint(name: str, seq: int, power_kw: float) -> Setpoint:
    return Setpoint(
        command_id=f"{name}-{seq}", seq=seq, resource_id=ResourceId(name),
        enterprise_id=EnterpriseId("a"), issued_at=NOON, expires_at=NOON + timedelta(minutes=5),
        power_kw=power_kw, serves="plan-1", strategy_version="v1",
    )  # fmt: skip


TWO = [a_setpoint("press", 7, -40.0), a_setpoint("battery", 7, 25.5)]
HOW: dict[str, list[object]] = {
    "won": ["strategy", "grid"],
    "by": ["plan-1", "the grid"],
    "left.grid.low": [None, -10.0],
    "left.grid.high": [None, None],
}


def test_commands_are_read_back_one_by_one() -> None:
    press, battery = commands_of(encoded(TWO, HOW))

    assert press == {
        "resource_id": "press", "seq": 7, "power_kw": -40, "expires_at": "2026-03-02T12:05:00Z",
        "serves": "plan-1", "strategies": "v1", "won": "strategy", "by": "plan-1",
        "left": {"grid": [None, None]},
    }  # fmt: skip
    assert battery["power_kw"] == 25.5
    assert battery["left"] == {"grid": [-10, None]}


def test_what_all_have_in_common_stands_once() -> None:
    record = json.loads(encoded(TWO, HOW))

    assert record["seq"] == 7
    assert record["expires_at"] == "2026-03-02T12:05:00Z"
    assert record["left.grid.high"] is None
    assert record["won"] == ["strategy", "grid"]


def test_one_command_is_a_record_too() -> None:
    (one,) = commands_of(encoded(TWO[:1], {"won": ["strategy"], "by": ["plan-1"]}))

    assert (one["resource_id"], one["won"], one["left"]) == ("press", "strategy", {})


def test_an_entry_of_a_release_before_is_read() -> None:
    assert commands_of(b'[{"resource_id": "press", "seq": 1}]') == [
        {"resource_id": "press", "seq": 1}
    ]
