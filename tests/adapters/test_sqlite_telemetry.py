"""What the historian keeps, what it gives back, and what it does when the disk cannot follow."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.sqlite_telemetry import SqliteTelemetry
from tests.patience import PATIENCE_S
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import EvSession, MeterReading, Quality, Reading, RunPhase
from vpp.model.time import Interval

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BESS, METER = ResourceId("bess-1"), ResourceId("meter-1")


def a_reading(n: int, *, device: ResourceId = BESS, power_kw: float = 10.0) -> Reading:
    """The reading of minute `n` after noon."""
    return Reading(
        resource_id=device,
        enterprise_id=EnterpriseId("steel"),
        measured_at=NOON + n * MINUTE,
        received_at=NOON + n * MINUTE + timedelta(milliseconds=250),
        seq=n,
        quality=Quality.GOOD,
        power_kw=power_kw,
    )


def a_meter_reading(n: int, *, import_wh: int | None = None) -> MeterReading:
    return MeterReading(
        meter_id=METER,
        enterprise_id=EnterpriseId("steel"),
        measured_at=NOON + n * MINUTE,
        received_at=NOON + n * MINUTE,
        seq=n,
        import_wh=9_000_000_000_000 + n if import_wh is None else import_wh,
        export_wh=n,
        power_kw=-3.5,
    )


def run(path: Path, check: Callable[[SqliteTelemetry], Awaitable[None]]) -> None:
    async def main() -> None:
        async with SqliteTelemetry(path) as historian, asyncio.timeout(PATIENCE_S):
            await check(historian)

    asyncio.run(main())


def test_a_file_of_the_first_format_is_brought_up_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.db"

    async def write(historian: SqliteTelemetry) -> None:
        historian.add(a_reading(1))
        await historian.flush()

    async def read(historian: SqliteTelemetry) -> None:
        after = replace(a_reading(2), hours_on_today=1.5, done_kwh=20.0, discharged_today_kwh=3.0)
        historian.add(after)
        await historian.flush()
        found = historian.query(BESS, Interval(NOON, NOON + 10 * MINUTE))
        assert found == [a_reading(1), after]

    run(path, write)
    with sqlite3.connect(path) as old:  # as the first release made it
        for name in ("hours_on_today", "done_kwh", "discharged_today_kwh", "reactive_kvar"):
            old.execute(f"ALTER TABLE reading DROP COLUMN {name}")
        old.execute("DROP TABLE archive")
        old.execute("PRAGMA user_version=1")
    old.close()
    run(path, read)


def test_a_reading_comes_back_whole(tmp_path: Path) -> None:
    full = Reading(
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        measured_at=NOON + timedelta(milliseconds=123),
        received_at=NOON + timedelta(seconds=1),
        seq=4,
        quality=Quality.UNCERTAIN,
        power_kw=-12.25,
        energy_kwh=1234.5,
        soc=0.5,
        temperature_degc=-18.0,
        available_kw=0.1,
        reactive_kvar=-3.5,
        phase=RunPhase.CALLED,
        phase_since=NOON,
        calls_today=2,
        sessions=(EvSession(session_id="car-1", departs_at=NOON + 5 * MINUTE, wanted_kwh=11.0),),
        setpoint_seq=9,
    )

    async def check(historian: SqliteTelemetry) -> None:
        assert historian.add(full)
        assert historian.add(a_reading(1))
        await historian.flush()
        found = historian.query(BESS, Interval(NOON, NOON + 2 * MINUTE))
        assert found == [full, a_reading(1)]
        assert historian.written == 2

    run(tmp_path / "data" / "telemetry.sqlite", check)


def test_a_query_takes_one_device_and_a_half_open_span(tmp_path: Path) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        for n in reversed(range(10)):
            historian.add(a_reading(n))
            historian.add(a_reading(n, device=ResourceId("bess-2")))
        await historian.flush()
        found = historian.query(BESS, Interval(NOON + 2 * MINUTE, NOON + 5 * MINUTE))
        assert found == [a_reading(2), a_reading(3), a_reading(4)]

    run(tmp_path / "telemetry.sqlite", check)


def test_a_message_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        historian.add(a_reading(1, power_kw=1.0))
        historian.add(a_reading(1, power_kw=2.0))
        await historian.flush()
        assert historian.query(BESS, Interval(NOON, NOON + 2 * MINUTE)) == [
            a_reading(1, power_kw=1.0)
        ]

    run(tmp_path / "telemetry.sqlite", check)


def test_meter_registers_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite"

    async def before(historian: SqliteTelemetry) -> None:
        for n in range(2500):
            historian.add(a_meter_reading(n))

    async def after(historian: SqliteTelemetry) -> None:
        since = NOON + 2000 * MINUTE
        assert historian.meter_registers(METER, since) == [
            a_meter_reading(n) for n in range(2000, 2500)
        ]
        assert historian.meter_registers(BESS, NOON) == []

    run(path, before)
    run(path, after)


def test_a_group_is_written_by_itself_after_its_time(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "telemetry.sqlite"
        async with asyncio.timeout(PATIENCE_S), SqliteTelemetry(path, group_s=0.01) as historian:
            historian.add(a_reading(1))
            while not historian.written:  # noqa: ASYNC110  no event tells of a group
                await asyncio.sleep(0.001)
            assert historian.query(BESS, Interval(NOON, NOON + 2 * MINUTE)) == [a_reading(1)]

    asyncio.run(main())


def test_a_disk_that_cannot_follow_costs_readings_that_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite"

    async def main() -> None:
        async with SqliteTelemetry(path, capacity=10, group_rows=1) as historian:
            # Another program holds the file, so the writer waits with its first row.
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            taken = sum(historian.add(a_reading(n)) for n in range(50))
            other.execute("COMMIT")
            other.close()
            await historian.flush()
            assert taken + historian.dropped == 50
            assert historian.dropped >= 39
            assert historian.written == taken
            assert len(historian.query(BESS, Interval(NOON, NOON + 60 * MINUTE))) == taken

    asyncio.run(main())


def test_a_group_that_the_disk_refuses_is_counted_and_told_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "telemetry.sqlite"

    async def check(historian: SqliteTelemetry) -> None:
        other = sqlite3.connect(path)
        other.execute("ALTER TABLE reading RENAME TO hidden")
        historian.add(a_reading(1))
        with pytest.raises(UnavailableError, match="no such table"):
            await historian.flush()
        assert (historian.dropped, historian.written) == (1, 0)
        assert historian.fault is not None

        other.execute("ALTER TABLE hidden RENAME TO reading")
        other.close()
        historian.add(a_reading(2))
        await historian.flush()
        assert (historian.refused, historian.overflowed, historian.written) == (1, 0, 1)

    run(path, check)


def test_a_register_that_no_column_holds_costs_only_itself(tmp_path: Path) -> None:
    async def check(historian: SqliteTelemetry) -> None:
        historian.add(a_meter_reading(1))
        historian.add(a_meter_reading(2, import_wh=2**63))
        historian.add(a_meter_reading(3))
        await historian.flush()
        assert historian.meter_registers(METER, NOON) == [a_meter_reading(1), a_meter_reading(3)]
        assert (historian.refused, historian.written) == (1, 2)

    run(tmp_path / "telemetry.sqlite", check)


def test_a_closed_historian_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteTelemetry(tmp_path / "telemetry.sqlite") as historian:
            pass
        await historian.close()
        with pytest.raises(UnavailableError, match="closed"):
            await historian.flush()

    asyncio.run(main())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, no folder")
    with pytest.raises(ConfigError, match="data folder"):
        SqliteTelemetry(tmp_path / "data" / "telemetry.sqlite")
