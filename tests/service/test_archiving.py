"""Bulky entries leave the journal once they are old; numbers, money and what was promised stay."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.sqlite_journal import SqliteJournal
from vpp.errors import UnavailableError
from vpp.service import archiving
from vpp.service.plant import Plant
from vpp.service.steering import setpoints

MIDNIGHT = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_set_points_leave_after_the_days_that_the_park_file_says_and_bids_never(
    plant: Plant, tmp_path: Path
) -> None:
    keep = plant.file.record.keep

    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            for day in range(3):
                at = MIDNIGHT + day * DAY
                await journal.append("setpoints", f"{day:012}/x", b'[{"power_kw":1}]', now=at)
                await journal.append("dispatch_order", f"{day:012}/grid", b"{}", now=at)
                await journal.append("bid_set", f"b-{day}", b"{}", now=at)
            plant.set_aside = journal.set_aside
            await archiving.archive(plant, MIDNIGHT + keep)
            assert [e.key[:12] for e in journal.entries("setpoints")] == [
                f"{day:012}" for day in range(3)
            ], "nothing is older than that"
            await archiving.archive(plant, MIDNIGHT + keep + 30 * DAY)
            assert setpoints.newest_number(journal) == 2
            assert len([*journal.entries("setpoints")]) == 1, "the newest stays"
            assert len([*journal.entries("bid_set")]) == 3
            (order,) = journal.entries("dispatch_order")
            assert order.key == "000000000002/grid", "numbers go on from it"

    asyncio.run(play())
    packed = (tmp_path / "archive" / "journal-2026-07.jsonl.gz").read_bytes()
    lines = gzip.decompress(packed).splitlines()
    keys = [f"{day:012}/{who}" for day in range(2) for who in ("x", "grid")]
    assert [json.loads(line)["key"] for line in lines] == keys
    assert json.loads(lines[0])["body"] == [{"power_kw": 1}]


def test_a_disk_that_refuses_is_told_and_the_service_goes_on(plant: Plant) -> None:
    async def refuse(kinds: object, before: datetime, *, after: int = 0) -> int | None:
        raise UnavailableError("No space left on device", where="archive", fix="Look at the disk")

    plant.set_aside = refuse
    asyncio.run(archiving.archive(plant, MIDNIGHT))
    (told,) = [event for event in plant.events.recent() if event.kind == "archive"]
    assert "No space left" in told.text
