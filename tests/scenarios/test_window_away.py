"""The same hours with a Redis window, without one, and with one that is killed in the middle: one record.

Rows F9 and F10: nothing is recorded in the window alone, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contracts.redisserver import RedisServer
from tests.patience import PATIENCE_S
from tests.scenarios.eves import Eve, live
from vpp.ports import JournalEntry
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.steering.setpoints import SETPOINTS
from vpp.service.window.schema import RedisSection

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

Record = list[JournalEntry]


async def up(plant: Plant) -> None:
    """Wait until the window shows what is."""
    window = plant.window
    assert window is not None
    window.changed.set()
    async with asyncio.timeout(PATIENCE_S):
        while window.changed.is_set() or not window.up:  # noqa: ASYNC110  nothing tells of a picture
            await asyncio.sleep(0.001)


def test_the_record_is_the_same_with_a_window_without_and_with_one_that_dies(
    small_park: MakePark, redis_server: Path, tmp_path: Path
) -> None:
    plain = small_park(trades_from="2025-12-02T12:00:00+01:00")
    for name in ("without", "with", "dies"):
        (tmp_path / name).mkdir()

    async def without() -> Record:
        return (await live(plain, tmp_path / "without", Eve())).record

    async def with_one() -> Record:
        async def sees(plant: Plant) -> None:
            await up(plant)
            assert plant.schedule is not None
            with server.client() as client:
                assert client.hget("vpp:v1:small:plan", "plan_id") == plant.schedule.plan_id

        async with RedisServer(redis_server, tmp_path) as server:
            return (await live(shown(plain, server), tmp_path / "with", Eve(end=sees))).record

    async def with_one_that_dies() -> Record:
        async def kills(plant: Plant) -> None:
            await up(plant)
            server.kill()

        async def misses(plant: Plant) -> None:
            assert plant.window is not None
            assert not plant.window.up

        async with RedisServer(redis_server, tmp_path) as server:
            eve = Eve(middle=kills, end=misses)
            return (await live(shown(plain, server), tmp_path / "dies", eve)).record

    record = asyncio.run(without())

    assert {"plan", SETPOINTS} <= {entry.kind for entry in record}
    assert len(record) > 100
    assert asyncio.run(with_one()) == record
    assert asyncio.run(with_one_that_dies()) == record


def shown(file: ParkFile, server: RedisServer) -> ParkFile:
    section = RedisSection(url=server.url, timeout_s=0.2, longest_retry_s=0.1)
    return replace(file, redis=section)
