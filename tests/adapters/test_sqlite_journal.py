"""What the journal's file must stand: kill -9, a full disk, a second process, a meddling hand."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from tests.patience import PATIENCE_S
from vpp.errors import ConfigError, UnavailableError
from vpp.ports import Journal

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """A Python child with our code, its output to be read line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


APPEND_FOR_EVER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from adapters.sqlite_journal import SqliteJournal

async def main():
    async with SqliteJournal.open(Path(sys.argv[1])) as journal:
        async def writer(name):
            n = 0
            while True:
                await journal.append("test", f"{name}-{n}", b"{}", now=datetime.now(UTC))
                print(f"{name}-{n}", flush=True)
                n += 1
        await asyncio.gather(*(writer(name) for name in "abcd"))

asyncio.run(main())
"""


def test_everything_acknowledged_survives_a_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for _ in range(3):
        with start(APPEND_FOR_EVER, path) as child:
            assert child.stdout is not None
            acknowledged = [child.stdout.readline() for _ in range(200)]
            os.kill(child.pid, signal.SIGKILL)
            acknowledged += child.stdout.readlines()

        async def found() -> set[str]:
            async with SqliteJournal.open(path) as journal:
                return {entry.key for entry in journal.entries("test")}

        # The last line may be cut short by the kill.
        whole = {line.strip() for line in acknowledged if line.endswith("\n")}
        assert len(whole) >= 200
        assert whole <= asyncio.run(found())


def test_a_hundred_callers_share_commits(tmp_path: Path) -> None:
    said: list[str] = []

    async def append() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            assert journal._writing is not None
            journal._writing.set_trace_callback(said.append)
            asked = (journal.append("test", f"k-{n}", b"{}" * 500, now=NOON) for n in range(100))
            await asyncio.gather(*asked)
            assert len(list(journal.entries("test"))) == 100

    asyncio.run(append())
    # One fsync each, one after the other, would take seconds on a slow disk.
    assert 1 <= said.count("COMMIT") <= 20


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE journal SET body = x'00'", id="nothing is changed"),
        pytest.param("DELETE FROM journal", id="nothing is deleted"),
    ],
)
def test_the_file_itself_refuses_to_change(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "journal.sqlite"

    async def append() -> None:
        async with SqliteJournal.open(path) as journal:
            await journal.append("test", "k", b"{}", now=NOON)

    asyncio.run(append())
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_a_second_process_on_the_same_folder_is_refused_by_name(tmp_path: Path) -> None:
    with start(APPEND_FOR_EVER, tmp_path / "journal.sqlite") as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(ConfigError, match=rf"{tmp_path}: is in use by process {child.pid}"):
            SqliteJournal.open(tmp_path / "journal.sqlite")
        child.kill()
    # The kernel has let go of the folder with the process.
    asyncio.run(SqliteJournal.open(tmp_path / "journal.sqlite").close())


FULL_DISK = """
import asyncio, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from adapters.sqlite_journal import SqliteJournal
from vpp.errors import UnavailableError

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

async def main():
    async with SqliteJournal.open(Path(sys.argv[1])) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        written = refused = 0
        while refused < 3:
            try:
                await journal.append("test", f"k-{written}", b"x" * 5000, now=NOON)
                written += 1
            except UnavailableError:
                refused += 1
        assert len(list(journal.entries("test"))) == written, "a refused entry was written"
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        entry = await journal.append("test", f"k-{written}", b"x" * 5000, now=NOON)
        print(written, entry.number)

asyncio.run(main())
"""


def test_a_full_disk_refuses_and_loses_nothing_and_recovers(tmp_path: Path) -> None:
    with start(FULL_DISK, tmp_path / "journal.sqlite") as child:
        output, _ = child.communicate(timeout=PATIENCE_S)
    written, number = map(int, output.split())
    assert written > 10
    assert number == written + 1


def spoil_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def spoil_text(path: Path) -> None:
    path.write_bytes(b"this is no database, it is a letter " * 100)


def spoil_pages(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[4096:] = b"\xff" * (len(body) - 4096)
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(spoil_version, "newer release", id="written by a newer release"),
        pytest.param(spoil_text, "cannot be opened", id="no database at all"),
        pytest.param(spoil_pages, "damaged|cannot be opened", id="pages overwritten"),
    ],
)
def test_an_unusable_file_is_refused_with_its_name(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "journal.sqlite"

    async def append() -> None:
        async with SqliteJournal.open(path) as journal:
            await journal.append("test", "k", b"{}" * 5000, now=NOON)

    asyncio.run(append())
    spoil(path)
    with pytest.raises(ConfigError, match=says) as caught:
        SqliteJournal.open(path)
    assert str(path) in str(caught.value)
    # A refusal does not keep the folder.
    asyncio.run(SqliteJournal.open(tmp_path / "other.sqlite").close())


def test_a_cancelled_caller_leaves_the_journal_in_order(tmp_path: Path) -> None:
    async def keys() -> Sequence[str]:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            for n in range(50):
                task = asyncio.create_task(journal.append("test", f"k-{n:02}", b"{}", now=NOON))
                await asyncio.sleep(0)
                task.cancel()
            await journal.append("test", "last", b"{}", now=NOON)
            return [entry.key for entry in journal.entries("test")]

    # Handed over is written, though nobody waits for it any more.
    assert asyncio.run(keys()) == [*(f"k-{n:02}" for n in range(50)), "last"]


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    async def append() -> None:
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            pass
        await journal.append("test", "k", b"{}", now=NOON)

    with pytest.raises(UnavailableError, match="closed"):
        asyncio.run(append())


def test_the_newest_of_some_kinds_are_read_back_a_page_at_a_time(tmp_path: Path) -> None:
    async def pages() -> list[list[str]]:
        found: list[list[str]] = []
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as on_disk:
            both: list[Journal] = [on_disk, MemoryJournal()]
            for journal in both:
                for n in range(1, 7):
                    kind = "bulk" if n == 4 else f"act-{n % 2}"
                    await journal.append(kind, f"k-{n}", b"{}", now=NOON)
                for before in (None, 5, 1, 2**70):
                    page = journal.newest("act-0", "act-1", before=before, limit=3)
                    found.append([entry.key for entry in page])
        return found

    once = [["k-6", "k-5", "k-3"], ["k-3", "k-2", "k-1"], [], ["k-6", "k-5", "k-3"]]
    assert asyncio.run(pages()) == [*once, *once]
