"""What every `Journal` promises, whatever holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from vpp.errors import ConflictError, DataError
from vpp.ports import Journal

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)

Check = Callable[[Journal], Awaitable[None]]
Run = Callable[[Check], None]


@pytest.fixture(params=["memory", "sqlite"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a check against one kind of journal."""

    async def against_sqlite(check: Check) -> None:
        async with SqliteJournal.open(tmp_path / "data" / "journal.sqlite") as journal:
            await check(journal)

    async def against_memory(check: Check) -> None:
        await check(MemoryJournal())

    against = against_sqlite if request.param == "sqlite" else against_memory
    return lambda check: asyncio.run(against(check))


def test_an_entry_is_found_as_it_was_written(run: Run) -> None:
    async def check(journal: Journal) -> None:
        entry = await journal.append("bid_set", "b-1", b'{"mw": "1.5"}', now=NOON)

        assert (entry.kind, entry.key, entry.body) == ("bid_set", "b-1", b'{"mw": "1.5"}')
        assert entry.recorded_at == NOON
        assert entry.recorded_at.tzinfo is UTC
        assert journal.find("bid_set", "b-1") == entry
        assert journal.find("bid_set", "b-2") is None
        assert journal.find("award", "b-1") is None

    run(check)


def test_the_same_entry_twice_is_one_entry(run: Run) -> None:
    async def check(journal: Journal) -> None:
        first = await journal.append("award", "a-1", b"{}", now=NOON)
        again = await journal.append("award", "a-1", b"{}", now=NOON + timedelta(hours=1))

        assert again == first
        assert list(journal.entries("award")) == [first]

    run(check)


def test_the_same_id_with_another_body_is_refused(run: Run) -> None:
    async def check(journal: Journal) -> None:
        first = await journal.append("award", "a-1", b"{}", now=NOON)
        with pytest.raises(ConflictError, match="award a-1"):
            await journal.append("award", "a-1", b'{"mw": 2}', now=NOON)

        assert list(journal.entries("award")) == [first]

    run(check)


def test_entries_come_in_the_order_they_were_written_and_only_the_kinds_asked_for(
    run: Run,
) -> None:
    async def check(journal: Journal) -> None:
        for n in range(1201):
            await journal.append("abc"[n % 3], f"k-{n}", b"%d" % n, now=NOON)

        found = list(journal.entries("a", "c"))
        assert [entry.key for entry in found] == [f"k-{n}" for n in range(1201) if n % 3 != 1]
        assert [entry.number for entry in found] == [n + 1 for n in range(1201) if n % 3 != 1]
        assert list(journal.entries()) == []

    run(check)


def test_several_entries_are_written_all_or_none(run: Run) -> None:
    async def check(journal: Journal) -> None:
        await journal.append("award", "a-1", b"{}", now=NOON)
        with pytest.raises(ConflictError):
            await journal.append_all(
                [("award", "a-0", b"{}"), ("award", "a-1", b"other")], now=NOON
            )
        with pytest.raises(ConflictError):
            await journal.append_all(
                [("award", "a-2", b"{}"), ("award", "a-2", b"other")], now=NOON
            )
        assert [entry.key for entry in journal.entries("award")] == ["a-1"]

        await journal.append_all(
            [("award", "a-2", b"{}"), ("award", "a-1", b"{}"), ("award", "a-2", b"{}")], now=NOON
        )
        await journal.append_all([], now=NOON)
        assert [entry.key for entry in journal.entries("award")] == ["a-1", "a-2"]

    run(check)


def test_a_time_without_a_zone_is_refused(run: Run) -> None:
    async def check(journal: Journal) -> None:
        with pytest.raises(DataError, match="not in UTC"):
            await journal.append("award", "a-1", b"{}", now=datetime(2025, 12, 3))  # noqa: DTZ001

        assert list(journal.entries("award")) == []

    run(check)


def test_a_name_that_is_no_text_is_refused_and_harms_nobody_else(run: Run) -> None:
    async def check(journal: Journal) -> None:
        outcomes = await asyncio.gather(
            journal.append("award", "a-1", b"{}", now=NOON),
            journal.append("award", "\ud800", b"{}", now=NOON),
            journal.append("award", "a-2", b"{}", now=NOON),
            return_exceptions=True,
        )

        assert isinstance(outcomes[1], DataError)
        assert [entry.key for entry in journal.entries("award")] == ["a-1", "a-2"]

    run(check)


def test_the_greatest_key_of_a_kind_is_found_in_whatever_order_they_came(run: Run) -> None:
    async def check(journal: Journal) -> None:
        assert journal.greatest_key("plan") is None
        for key in ("plan-000002", "plan-000010", "plan-000009"):
            await journal.append("plan", key, b"{}", now=NOON)
        await journal.append("setpoint", "zzz", b"{}", now=NOON)

        assert journal.greatest_key("plan") == "plan-000010"

    run(check)
