"""Old readings go into tables of their month first and out of the historian then; the tables can be told again."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters import sqlite_telemetry
from adapters.sqlite_telemetry import SqliteTelemetry
from tests.adapters.httpdevices import Wall, until
from tests.adapters.test_csv_replay import MONDAY, NOW, a_replay
from tests.adapters.test_sqlite_telemetry import BESS, METER, NOON, a_meter_reading, a_reading
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession
from vpp.model.time import Interval

DAY = timedelta(days=1)
CARS = ResourceId('yard, "of cars"')  # sorts behind the meter


def run(folder: Path, check: Callable[[SqliteTelemetry], Awaitable[None]]) -> None:
    async def main() -> None:
        async with (
            SqliteTelemetry(folder / "telemetry.sqlite") as historian,
            asyncio.timeout(PATIENCE_S),
        ):
            await check(historian)

    asyncio.run(main())


async def all_aside(historian: SqliteTelemetry, before: timedelta) -> int:
    """Page by page, what was measured before so long after noon; how many pages."""
    pages, page = 1, await historian.set_aside(NOON + before)
    while page is not None:
        pages, page = pages + 1, await historian.set_aside(NOON + before, after=page)
    return pages


def table(folder: Path, name: str) -> list[dict[str, str]]:
    text = gzip.decompress((folder / "archive" / name).read_bytes()).decode()
    return [*csv.DictReader(io.StringIO(text))]


def test_old_rows_of_every_device_and_meter_leave_and_young_ones_stay(tmp_path: Path) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        for n in range(10):
            historian.add(a_reading(n))
            historian.add(a_reading(n, device=CARS, power_kw=float(n)))
            historian.add(a_meter_reading(n))
        await all_aside(historian, timedelta(minutes=6))
        span = Interval(NOON, NOON + DAY)
        assert [one.seq for one in historian.query(BESS, span)] == [6, 7, 8, 9]
        assert [one.seq for one in historian.query(CARS, span)] == [6, 7, 8, 9]
        assert [one.seq for one in historian.meter_registers(METER, NOON)] == [6, 7, 8, 9]

    run(tmp_path, check)
    told = table(tmp_path, "telemetry-2025-12.csv.gz")
    assert [(row["device"], row["ts"], row["power_kw"]) for row in told] == [
        *[("bess-1", f"2025-12-03T12:{n:02}:00Z", "10.0") for n in range(6)],
        *[(CARS, f"2025-12-03T12:{n:02}:00Z", f"{float(n)}") for n in range(6)],
    ]
    meters = table(tmp_path, "meters-2025-12.csv.gz")
    assert [row["import_wh"] for row in meters] == [f"{9_000_000_000_000 + n}" for n in range(6)]


def test_each_month_has_its_table_with_one_head_however_often_it_is_added_to(
    tmp_path: Path,
) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        for day in range(40):
            at = NOON + day * DAY
            historian.add(replace(a_reading(day), measured_at=at, received_at=at))
        await historian.flush()
        for days in (5, 20, 35):
            await all_aside(historian, days * DAY)

    run(tmp_path, check)
    december = table(tmp_path, "telemetry-2025-12.csv.gz")
    january = table(tmp_path, "telemetry-2026-01.csv.gz")
    assert [int(row["seq"]) for row in december + january] == [*range(35)]
    assert (len(december), len(january)) == (29, 6)


def test_what_a_car_park_told_is_in_one_cell(tmp_path: Path) -> None:
    session = EvSession(session_id="s-1", wanted_kwh=20.0, departs_at=NOON + DAY)

    async def check(historian: SqliteTelemetry) -> None:
        historian.add(replace(a_reading(1), sessions=(session,)))
        await all_aside(historian, DAY)

    run(tmp_path, check)
    (row,) = table(tmp_path, "telemetry-2025-12.csv.gz")
    assert '"session_id":"s-1"' in row["sessions"]


def test_many_pages_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_telemetry, "ASIDE_ROWS", 10)

    async def check(historian: SqliteTelemetry) -> None:
        for n in range(95):
            historian.add(a_reading(n))
        assert await all_aside(historian, DAY) == 11, "ten of them, and nobody behind"
        assert historian.query(BESS, Interval(NOON, NOON + DAY)) == []

    run(tmp_path, check)
    told = table(tmp_path, "telemetry-2025-12.csv.gz")
    assert [int(row["seq"]) for row in told] == [*range(95)]


def test_an_archive_that_cannot_be_written_leaves_everything_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")

    async def check(historian: SqliteTelemetry) -> None:
        historian.add(a_reading(1))
        with pytest.raises(UnavailableError):
            await all_aside(historian, DAY)
        historian.add(a_reading(2))
        await historian.flush()
        assert len(historian.query(BESS, Interval(NOON, NOON + DAY))) == 2

    run(tmp_path, check)


def test_an_unpacked_table_is_a_recording_that_can_be_told_again(tmp_path: Path) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        for n in range(3):
            at = MONDAY + timedelta(seconds=10 * n)
            one = a_reading(n, device=ResourceId("b1"), power_kw=-float(n))
            historian.add(replace(one, measured_at=at, received_at=at, soc=0.5))
        await all_aside(historian, timedelta(0))

    async def tell() -> list[float]:
        packed = (tmp_path / "archive" / "telemetry-2025-06.csv.gz").read_bytes()
        wall = Wall(NOW)
        async with a_replay(tmp_path, gzip.decompress(packed), wall) as link:
            messages = link.messages()
            await until(lambda: link.connected)
            wall.moment += timedelta(minutes=2)
            told = [json.loads((await anext(messages)).payload) for _ in range(3)]
        return [message["power_kw"] for message in told]

    run(tmp_path, check)
    assert asyncio.run(asyncio.wait_for(tell(), PATIENCE_S)) == [0.0, -1.0, -2.0]


def test_a_bug_while_rows_are_set_aside_is_its_callers_and_ends_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    async def check(historian: SqliteTelemetry) -> None:
        monkeypatch.setattr(sqlite_telemetry, "add_all", full)
        historian.add(a_reading(1))
        with pytest.raises(MemoryError):
            await all_aside(historian, DAY)
        historian.add(a_reading(2))
        await historian.flush()
        assert len(historian.query(BESS, Interval(NOON, NOON + DAY))) == 2

    run(tmp_path, check)
