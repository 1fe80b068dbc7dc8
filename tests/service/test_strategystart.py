"""A service that begins with a broken strategy file goes on with what was live last, or does not begin."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.sqlite_journal import SqliteJournal
from tests.scenarios.conftest import write_park
from vpp.service.park.config import ConfigErrors
from vpp.service.strategies.strategies import Strategies, version_of
from vpp.service.tuning import record
from vpp.service.tuning.wiring import load_to_run

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)


@pytest.fixture
def park(tmp_path: Path) -> Path:
    path = write_park(
        tmp_path,
        zone="Europe/Stockholm",
        day=datetime(2025, 12, 3, tzinfo=UTC).date(),
        period_s=300,
        area="SE3",
        currency="EUR",
    )
    text = path.read_text()
    shared = next(line for line in text.splitlines() if line.startswith("strategies:"))
    own = tmp_path / "strategies.yaml"
    own.write_text(Path(shared.removeprefix("strategies: ").strip()).read_text())
    path.write_text(text.replace(shared, "strategies: strategies.yaml"))
    return path


def on_record(journal: Path, strategies: Strategies) -> None:
    """What a service before this one left: version 1 is live."""

    async def write() -> None:
        async with SqliteJournal.open(journal) as opened:
            entry = record.accepted_entry(1, strategies, "start", "file", "at the start", None)
            await opened.append_all([entry, record.live_entry(1, "plan-000001")], now=NOW)

    asyncio.run(write())


def test_the_version_that_was_live_last_takes_the_place_of_a_broken_file(park: Path) -> None:
    journal = park.parent / "journal.sqlite"
    before = load_to_run(park, journal)
    on_record(journal, before.strategies)
    path = before.strategies.path
    assert path is not None
    path.write_text("strategies: [oh no\n")

    file = load_to_run(park, journal)

    assert file.strategies.text == before.strategies.text
    assert file.strategies.version == version_of(before.strategies.text)
    assert file.strategies.path == path  # it is watched, so that it can be mended


def test_a_file_that_was_refused_at_its_first_plan_leaves_what_was_live_in_its_place(
    park: Path,
) -> None:
    journal = park.parent / "journal.sqlite"
    before = load_to_run(park, journal).strategies
    on_record(journal, before)
    assert before.path is not None
    before.path.write_text("strategies: []\n")
    hopeless = load_to_run(park, journal).strategies

    async def refuse() -> None:
        async with SqliteJournal.open(journal) as opened:
            entries = [
                record.accepted_entry(2, hopeless, "put", "Li", "less is more", before.version),
                record.live_entry(2, "plan-000002"),
                record.refused_entry(2, "plan-000002", "no plan"),
            ]
            await opened.append_all(entries, now=NOW)

    asyncio.run(refuse())
    assert load_to_run(park, journal).strategies.version == before.version
    before.path.write_text("strategies: []  # another\n")
    assert load_to_run(park, journal).strategies.version not in (before.version, hopeless.version)


def test_without_a_version_on_record_every_fault_is_told_and_nothing_begins(park: Path) -> None:
    journal = park.parent / "journal.sqlite"
    path = load_to_run(park, journal).strategies.path
    assert path is not None
    path.write_text("strategies:\n  - name: a\n    use: magic\n")

    with pytest.raises(ConfigErrors, match="there is no strategy 'magic'"):
        load_to_run(park, journal)


def test_a_park_file_with_faults_of_its_own_is_refused_whatever_is_on_record(park: Path) -> None:
    journal = park.parent / "journal.sqlite"
    on_record(journal, load_to_run(park, journal).strategies)
    park.write_text(park.read_text() + "nonsense: 1\n")

    with pytest.raises(ConfigErrors, match="nonsense: unknown key"):
        load_to_run(park, journal)
