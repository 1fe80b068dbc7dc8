"""Recordings that are told anew: when each row is due, and what becomes of files that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import csv_replay
from adapters.csv_replay import Moved, Recording, ReplayLink, shift_of
from adapters.payload_mapping import ForeignDevice
from tests.adapters.httpdevices import Wall, a_setpoint, until
from tests.patience import PATIENCE_S
from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.service.links.payloadmaps import load_payload_map
from vpp.wire import TelemetryMessage

MONDAY = datetime(2025, 6, 2, 12, tzinfo=UTC)
NOW = datetime(2026, 1, 12, 11, 59, tzinfo=UTC)  # a Monday, a minute before
WEEKS_32 = timedelta(weeks=32)
FILE = """\
ts,device,power_kw,soc
2025-06-02T12:00:00Z,b1,-5,0.5
2025-06-02T12:00:10Z,b1,-6,
2025-06-02T12:00:10Z,b2,1,
2025-06-02T12:00:20Z,b1,-7,0.4
"""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_replay, "LOOK_S", 0.002)


def a_replay(folder: Path, text: str | bytes, wall: Wall, *, moved: Moved = "weeks") -> ReplayLink:
    file = folder / "rec.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    device = ForeignDevice(
        device_id=ResourceId("u1"),
        enterprise_id=EnterpriseId("mill"),
        site_id="gate",
        names={"device": "b1"},
        is_meter=False,
        read_only=True,
    )
    recorded = load_payload_map("recorded", folder)
    return ReplayLink(Recording(file=file, moved=moved), recorded, [device], now=wall.now)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_each_row_is_told_when_its_hour_of_the_week_has_come_again(tmp_path: Path) -> None:
    wall, heard = Wall(NOW), []

    async def check() -> None:
        async with a_replay(tmp_path, FILE, wall) as link:

            async def read() -> None:
                async for message in link.messages():
                    assert message.topic == "vpp/v1/mill/gate/u1/telemetry"
                    heard.append(msgspec.json.decode(message.payload, type=TelemetryMessage))

            reading = asyncio.create_task(read())
            await until(lambda: link.connected)
            for seconds, count in ((60, 1), (70, 2), (80, 3)):
                wall.moment = NOW + timedelta(seconds=seconds - 0.001)
                assert len(heard) == count - 1
                wall.moment = NOW + timedelta(seconds=seconds)
                await until(lambda count=count: len(heard) == count)  # type: ignore[misc]
            await until(lambda: not link.connected)
            assert link.fault == "the recording has ended at 2026-01-12T12:00:20Z"
            assert link.refused == 1  # b2 is nobody here
        await reading

    run(check())
    assert heard == [
        TelemetryMessage(ts="2026-01-12T12:00:00Z", seq=1, power_kw=-5.0, soc=0.5),
        TelemetryMessage(ts="2026-01-12T12:00:10Z", seq=2, power_kw=-6.0, soc=0.5),
        TelemetryMessage(ts="2026-01-12T12:00:20Z", seq=3, power_kw=-7.0, soc=0.4),
    ]


def test_rows_before_the_start_are_left_out(tmp_path: Path) -> None:
    wall = Wall(NOW + timedelta(seconds=75))

    async def check() -> None:
        async with a_replay(tmp_path, FILE, wall) as link:
            messages = link.messages()
            await until(lambda: link.connected)
            wall.moment += timedelta(seconds=10)
            told = msgspec.json.decode((await anext(messages)).payload, type=TelemetryMessage)
            assert told.power_kw == -7.0

    run(check())


@pytest.mark.parametrize(
    ("moved", "now", "shift"),
    [
        ("weeks", NOW, WEEKS_32 - timedelta(0)),
        ("weeks", NOW + timedelta(minutes=2), WEEKS_32 + timedelta(weeks=1)),
        ("days", NOW + timedelta(days=1), WEEKS_32 + timedelta(days=1)),
        ("start", NOW, NOW - MONDAY),
    ],
)
def test_recorded_times_come_to_the_present(moved: Moved, now: datetime, shift: timedelta) -> None:
    assert shift_of(MONDAY, MONDAY + timedelta(seconds=20), now, moved) == shift


@given(
    length=st.timedeltas(timedelta(0), timedelta(days=400)),
    ago=st.timedeltas(timedelta(days=-400), timedelta(days=4000)),
    moved=st.sampled_from(("weeks", "days")),
)
def test_however_long_and_old_a_recording_is_there_is_something_left_to_tell_soon(
    length: timedelta, ago: timedelta, moved: Moved
) -> None:
    step = timedelta(weeks=1) if moved == "weeks" else timedelta(days=1)
    now = MONDAY + ago
    shift = shift_of(MONDAY, MONDAY + length, now, moved)
    assert shift % step == timedelta(0)
    assert MONDAY + length + shift > now
    assert MONDAY + shift <= now + step


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "has no row with a time that can be read", id="empty"),
        pytest.param("a,b\n1,2\n", "has no row with a time that can be read", id="other columns"),
        pytest.param(b"ts,device\n\xff\xfe,\x00\n", "cannot be read", id="no text"),
        pytest.param('ts,device\n"2025', "cannot be read", id="a quote without end"),
    ],
)
def test_a_file_that_is_no_recording_is_a_fault_and_ends_nothing(
    tmp_path: Path, text: str | bytes, fault: str
) -> None:
    async def check() -> None:
        async with a_replay(tmp_path, text, Wall(NOW)) as link:
            await until(lambda: fault in (link.fault or ""))
            assert not link.connected

    run(check())


def test_a_year_that_no_recorder_knows_is_left_out_and_ends_nothing(tmp_path: Path) -> None:
    text = f"{FILE}9999-12-31T00:00:00Z,b1,-9,\n0001-01-01T00:00:00Z,b1,-9,\n"

    async def check() -> None:
        wall = Wall(NOW)
        async with a_replay(tmp_path, text, wall) as link:
            messages = link.messages()
            await until(lambda: link.connected)
            wall.moment = NOW + timedelta(minutes=2)
            told = [msgspec.json.decode((await anext(messages)).payload) for _ in range(3)]
            assert [one["power_kw"] for one in told] == [-5.0, -6.0, -7.0]
            await until(lambda: "ended at 2026-01-12T12:00:20Z" in (link.fault or ""))
            assert link.untimed == 2

    run(check())


def test_a_recording_takes_no_command(tmp_path: Path) -> None:
    async def check() -> None:
        async with a_replay(tmp_path, FILE, Wall(NOW)) as link:
            await until(lambda: link.connected)
            (unsent,) = await link.send([a_setpoint(-3.0)])
            assert unsent.reason == "rec.csv: is read-only"
            with pytest.raises(DataError, match="pump: is no resource of mill"):
                await link.send([a_setpoint(-3.0, name="pump")])

    run(check())
