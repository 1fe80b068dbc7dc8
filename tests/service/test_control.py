from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.memory_journal import MemoryJournal
from vpp.errors import ConflictError
from vpp.service.control import set_kill
from vpp.service.kill import FILE_NAME, KillSwitch
from vpp.service.plant import Plant
from vpp.wire import KillRequest

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
KILL = KillRequest(killed=True, reason="smoke in hall 3")
RELEASE = KillRequest(killed=False, reason="drill over", by="Li")
AGREE = KillRequest(killed=False, reason="drill over", by="Wang")


class SlowJournal(MemoryJournal):
    """Takes an entry when it is told that the disk is done."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.done = asyncio.Event(), asyncio.Event()

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        self.asked.set()
        await self.done.wait()
        await super().append_all(entries, now=now)


def test_a_kill_that_meets_a_release_on_its_way_to_disk_stands(
    empty_plant: Plant, tmp_path: Path
) -> None:
    async def run() -> None:
        plant = empty_plant
        plant.kill.kill("fire drill")
        os.utime(tmp_path / FILE_NAME, (0, 0))  # long ago: file systems' clocks tick coarsely
        await set_kill(plant, AGREE, now=NOW)
        plant.journal = journal = SlowJournal()
        release = asyncio.create_task(set_kill(plant, RELEASE, now=NOW))
        await journal.asked.wait()
        kill = asyncio.create_task(set_kill(plant, KILL, now=NOW))
        await asyncio.sleep(0)  # its first step: the latch
        assert plant.kill.reason == KILL.reason
        journal.done.set()

        with pytest.raises(ConflictError, match="smoke in hall 3"):
            await release
        await kill
        assert plant.kill.reason == "smoke in hall 3"

    asyncio.run(run())


def test_a_reason_in_any_encoding_stops_the_plant(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes("brûlé".encode("latin-1"))

    assert KillSwitch(tmp_path).killed
    assert KillSwitch(tmp_path).reason == "br\N{REPLACEMENT CHARACTER}l\N{REPLACEMENT CHARACTER}"
