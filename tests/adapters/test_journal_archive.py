"""Old entries go into the archive first and out of the journal's file then, whatever happens in between."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters import sqlite_journal
from adapters.sqlite_journal import SqliteJournal
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.ports import Journal

JUNE = datetime(2026, 6, 29, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]


async def fill(journal: Journal, days: int, a_day: int = 1) -> None:
    """`a_day` bulky entries and one of money on each day from 29 June on."""
    for day in range(days):
        at = JUNE + day * DAY
        entries = [("bulk", f"{day:03}-{n:04}", b'{"n":%d}' % n) for n in range(a_day)]
        await journal.append_all([*entries, ("award", f"{day:03}", b"{}")], now=at)


async def all_aside(journal: SqliteJournal, before: datetime) -> int:
    """Page by page; how many pages."""
    pages, reached = 0, 0
    while (page := await journal.set_aside(["bulk"], before, after=reached)) is not None:
        pages, reached = pages + 1, page
    return pages


def archived(folder: Path) -> dict[str, list[Any]]:
    files = sorted((folder / "archive").glob("*.gz"))
    return {
        file.name: [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
        for file in files
    }


def test_entries_go_into_the_file_of_their_month_and_are_whole(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=4)
            await all_aside(journal, JUNE + 3 * DAY)
            assert [entry.key for entry in journal.entries("bulk")] == ["003-0000"]
            assert len([*journal.entries("award")]) == 4
            later = await journal.append("award", "later", b"{}", now=JUNE + 9 * DAY)
            assert later.number == 9, "no number is given twice"

    asyncio.run(play())
    found = archived(tmp_path)
    assert {name: [line["key"] for line in lines] for name, lines in found.items()} == {
        "journal-2026-06.jsonl.gz": ["000-0000", "001-0000"],
        "journal-2026-07.jsonl.gz": ["002-0000"],
    }
    assert found["journal-2026-07.jsonl.gz"] == [
        {
            "number": 5,
            "recorded_at": "2026-07-01T00:00:00Z",
            "kind": "bulk",
            "key": "002-0000",
            "body": {"n": 0},
        }
    ]


def test_many_pages_lose_and_double_nothing_while_others_write(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=2, a_day=1200)
            writing = asyncio.gather(
                *(journal.append("award", f"x-{n}", b"{}", now=JUNE + 2 * DAY) for n in range(50))
            )
            assert await all_aside(journal, JUNE + 2 * DAY) == 5, "of five hundred numbers each"
            await writing
            assert [entry.key for entry in journal.entries("bulk")] == ["001-1199"]
            assert len([*journal.entries("award")]) == 52

    asyncio.run(play())
    (lines,) = archived(tmp_path).values()
    assert [line["number"] for line in lines] == sorted({line["number"] for line in lines})
    assert len(lines) == 2399


def test_a_clock_that_once_stood_years_ahead_does_not_end_what_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_journal, "PAGE", 3)

    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            for n in range(5):
                await journal.append("bulk", f"000-ahead-{n}", b"{}", now=JUNE + 4000 * DAY)
            await fill(journal, days=4)
            pages = await all_aside(journal, JUNE + 2 * DAY)
            assert pages == 3, "of three numbers each"
            assert [entry.key for entry in journal.entries("bulk")] == [
                *(f"000-ahead-{n}" for n in range(5)),
                "002-0000",
                "003-0000",
            ]
            assert await all_aside(journal, JUNE + 3 * DAY) == 4, "not stopped the next time either"
            assert [entry.key for entry in journal.entries("bulk")][5:] == ["003-0000"]

    asyncio.run(play())


def test_a_page_is_cut_where_it_grows_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_journal, "ASIDE_BYTES", 20)

    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=1, a_day=10)
            assert await all_aside(journal, JUNE + DAY) == 4, "three bodies of seven bytes a page"
            assert len([*journal.entries("bulk")]) == 1

    asyncio.run(play())
    assert [len(lines) for lines in archived(tmp_path).values()] == [9]


def test_nothing_that_was_not_set_aside_can_be_deleted(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=2)
            await all_aside(journal, JUNE + DAY)

    asyncio.run(play())
    file = sqlite3.connect(tmp_path / "journal.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        file.execute("DELETE FROM journal WHERE kind = 'bulk'")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        file.execute("DELETE FROM journal WHERE kind = 'award'")


def test_a_torn_write_is_cut_off_by_the_next_one(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=3)
            await all_aside(journal, JUNE + DAY)
            with (tmp_path / "archive" / "journal-2026-06.jsonl.gz").open("ab") as torn:
                torn.write(b"\x1f\x8b" + b"half of a long member" * 1000)
            await all_aside(journal, JUNE + 2 * DAY)

    asyncio.run(play())
    (lines,) = archived(tmp_path).values()
    assert [line["key"] for line in lines] == ["000-0000", "001-0000"]


def test_a_file_that_was_taken_away_is_not_begun_again_in_its_middle(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=4)
            await all_aside(journal, JUNE + DAY)
            (tmp_path / "archive" / "journal-2026-06.jsonl.gz").rename(tmp_path / "kept.gz")
            await all_aside(journal, JUNE + 2 * DAY)
            (tmp_path / "kept.gz").rename(tmp_path / "archive" / "journal-2026-06.jsonl.gz")
            await all_aside(journal, JUNE + 3 * DAY)

    asyncio.run(play())
    found = archived(tmp_path)
    assert {name: [line["key"] for line in lines] for name, lines in found.items()} == {
        "journal-2026-06.jsonl.gz": ["000-0000"],
        "journal-2026-06-2.jsonl.gz": ["001-0000"],
        "journal-2026-07.jsonl.gz": ["002-0000"],
    }


def test_a_bug_while_entries_are_set_aside_is_its_callers_and_ends_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    async def play() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=3)
            monkeypatch.setattr(sqlite_journal, "add_all", full)
            with pytest.raises(MemoryError):
                await all_aside(journal, JUNE + 2 * DAY)
            assert (await journal.append("award", "x", b"{}", now=JUNE)).key == "x"

    asyncio.run(asyncio.wait_for(play(), PATIENCE_S))


def test_a_journal_of_the_first_format_keeps_its_entries_and_what_guards_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.sqlite"
    old = sqlite3.connect(path)
    old.executescript(
        """
        CREATE TABLE journal (
            number INTEGER PRIMARY KEY,
            recorded_at TEXT NOT NULL,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            body BLOB NOT NULL,
            UNIQUE (kind, key)
        ) STRICT;
        CREATE TRIGGER journal_never_changes BEFORE UPDATE ON journal
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
        CREATE TRIGGER journal_never_forgets BEFORE DELETE ON journal
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
        PRAGMA user_version=1;
        """
    )
    for number, kind in ((1, "bulk"), (2, "award"), (3, "bulk")):
        at = f"2026-06-{28 + number // 2}T00:00:00Z"
        row = (number, at, kind, f"{number:03}", b"{}")
        old.execute("INSERT INTO journal VALUES (?,?,?,?,?)", row)
    old.commit()
    old.close()

    async def play() -> None:
        async with SqliteJournal.open(path) as journal:
            found = [(entry.number, entry.kind) for entry in journal.entries("bulk", "award")]
            assert found == [(1, "bulk"), (2, "award"), (3, "bulk")]
            await all_aside(journal, JUNE + 9 * DAY)
            assert [entry.number for entry in journal.entries("bulk", "award")] == [2, 3]

    asyncio.run(play())
    file = sqlite3.connect(path)
    for forbidden in ("DELETE FROM journal", "UPDATE journal SET key = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            file.execute(forbidden)


def test_an_archive_that_cannot_be_written_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    async def play() -> None:
        (tmp_path / "archive").write_text("a file where the folder should be")
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            await fill(journal, days=3)
            with pytest.raises(UnavailableError):
                await all_aside(journal, JUNE + 3 * DAY)
            assert len([*journal.entries("bulk")]) == 3
            assert (await journal.append("award", "x", b"{}", now=JUNE)).key == "x"

    asyncio.run(play())


SET_ASIDE_FOR_EVER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from adapters import sqlite_journal
from adapters.sqlite_journal import SqliteJournal

async def main():
    sqlite_journal.ASIDE_BYTES = 50
    async with SqliteJournal.open(Path(sys.argv[1])) as journal:
        print("open", flush=True)
        reached = 0
        while (page := await journal.set_aside(["bulk"], datetime(2027, 1, 1, tzinfo=UTC), after=reached)) is not None:
            reached = page
            print(page, flush=True)

asyncio.run(main())
"""


def test_a_kill_9_while_entries_are_set_aside_loses_and_doubles_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    async def write() -> None:
        async with SqliteJournal.open(path) as journal:
            await fill(journal, days=1, a_day=3000)

    asyncio.run(write())
    for kill_after in (1, 20, 75):
        with subprocess.Popen(
            [sys.executable, "-c", SET_ASIDE_FOR_EVER, str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for _ in range(kill_after):
                assert child.stdout.readline()
            child.kill()

    async def left() -> list[str]:
        async with SqliteJournal.open(path) as journal:
            await journal.set_aside(["bulk"], JUNE + DAY)  # cuts off what the last kill tore
            return [entry.key for entry in journal.entries("bulk")]

    there = asyncio.run(left())
    gone = [line["key"] for lines in archived(tmp_path).values() for line in lines]
    assert sorted(gone + there) == sorted(f"000-{n:04}" for n in range(3000))
