"""A backup made while the service runs is put in its place, and the service goes on from its moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.sqlite_journal import SqliteJournal
from tests.service.rebuilt import Bench, a_request, an_award, award, bench_of, bid
from vpp.cli import app
from vpp.errors import ConfigError, UnavailableError
from vpp.service.backup import back_up, check_backup
from vpp.service.kill import ALL, KillSwitch
from vpp.service.plant import Plant
from vpp.service.trading import log

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)


def a_record(data: Path) -> None:
    """A journal with one bid set in it, as it stands after a service has ended."""
    data.mkdir()
    with sqlite3.connect(data / "journal.sqlite") as base:
        base.execute("CREATE TABLE entry (number INTEGER)")
        base.execute("INSERT INTO entry VALUES (1)")


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


def test_a_service_goes_on_from_a_backup_that_was_made_while_it_ran(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"

    async def first() -> tuple[bytes, bytes]:
        journal = SqliteJournal(data / "journal.sqlite")
        running = bench(journal)
        kept = await bid(running, a_request("kept", 0))
        assert await award(running, an_award(kept, "a-1", 1, Decimal(1))) == "booked"
        back_up(data, copy, NOW)  # the journal is open, and locked against a second service
        later = await bid(running, a_request("later", 1))
        await journal.close()
        return kept, later

    async def restored() -> tuple[bytes, int, int]:
        (data / "journal.sqlite").unlink()
        copy.rename(tmp_path / "restored")
        journal = SqliteJournal(tmp_path / "restored" / "journal.sqlite")
        again = bench(journal)
        kept = await bid(again, a_request("kept", 0))
        await award(again, an_award(kept, "a-1", 1, Decimal(1)))
        bid_sets, awards = (len([*journal.entries(kind)]) for kind in (log.BID_SET, log.AWARD))
        await journal.close()
        return kept, bid_sets, awards

    kept, _ = asyncio.run(first())
    again, bid_sets, awards = asyncio.run(restored())

    assert again == kept  # the same request gets the same bytes
    assert bid_sets == 1  # what came after the backup is not in it
    assert awards == 1  # the one that came again was booked already


def test_a_kill_that_is_latched_is_in_the_backup_and_the_lock_is_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    a_record(data)
    KillSwitch(data).kill("smoke in hall 3", ALL)
    (data / "vpp.lock").touch()
    (data / "archive").mkdir()
    (data / "archive" / "journal-2026-01.jsonl.gz").write_bytes(b"lines")

    made = back_up(data, tmp_path / "copy", NOW)

    there = {
        str(file.relative_to(made.folder)) for file in made.folder.rglob("*") if file.is_file()
    }
    assert there == {
        *("journal.sqlite", "KILLED", "archive/journal-2026-01.jsonl.gz", "backup.json"),
    }
    assert KillSwitch(made.folder).killed
    assert check_backup(made.folder) == 3


def test_a_file_that_changed_since_is_found_before_it_is_put_in_place(tmp_path: Path) -> None:
    a_record(tmp_path / "data")
    made = back_up(tmp_path / "data", tmp_path / "copy", NOW)
    with (made.folder / "journal.sqlite").open("ab") as file:
        file.write(b"\0")

    with pytest.raises(ConfigError, match=r"journal.sqlite is not what was written"):
        check_backup(made.folder)
    with pytest.raises(ConfigError, match="is no backup"):
        check_backup(tmp_path / "data")


def test_a_damaged_journal_makes_no_backup_that_looks_like_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "journal.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)

    with pytest.raises(UnavailableError, match="cannot be copied"):
        back_up(data, tmp_path / "copy", NOW)

    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_is_written_over_and_an_interrupted_backup_is_begun_anew(tmp_path: Path) -> None:
    a_record(tmp_path / "data")
    (tmp_path / ".copy.making").mkdir()
    (tmp_path / ".copy.making" / "half").touch()

    back_up(tmp_path / "data", tmp_path / "copy", NOW)

    assert not (tmp_path / "copy" / "half").exists()
    with pytest.raises(ConfigError, match="is there already"):
        back_up(tmp_path / "data", tmp_path / "copy", NOW)
    with pytest.raises(ConfigError, match="holds no journal"):
        back_up(tmp_path / "nowhere", tmp_path / "other", NOW)


def test_the_command_writes_a_backup_and_reads_one_through(tmp_path: Path) -> None:
    a_record(tmp_path / "data")
    words = ["backup", str(tmp_path / "copy")]

    made = CliRunner().invoke(app, [*words, "--data", str(tmp_path / "data")])
    read = CliRunner().invoke(app, [*words, "--check"])

    assert (made.exit_code, read.exit_code) == (0, 0)
    assert "1 files" in made.output
    assert "whole, 1 files" in read.output
