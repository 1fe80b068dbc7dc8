"""Nominations: a file for each day and unit, on record first, matched with what comes back, missed aloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.memory_journal import MemoryJournal
from adapters.nomination_folder import NominationFolder
from tests.service.rebuilt import Bench, Killed, bench_of
from tests.service.test_positions import a_deal
from vpp.errors import UnavailableError
from vpp.model.time import QUARTER, Interval, isoformat, local_day
from vpp.service.plant import Plant
from vpp.service.trading import nominating, outside
from vpp.service.trading.nominationschema import NominationSection
from vpp.service.trading.positiondesk import HeldNomination

DAY = date(2025, 12, 3)
DUE = datetime(2025, 12, 2, 13, 30, tzinfo=UTC)
"""14:30 in Stockholm, on the eve."""

NAME = "park-se3.20251203"
OF_BENCH = ("die_at", "journal")
SECTION = NominationSection(unit="park-se3", at=time(14, 30), outbox="out", inbox="in")


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    make = bench_of(plant, tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()

    def with_nominations(**changes: Any) -> Bench:
        lab = make(**{k: v for k, v in changes.items() if k in OF_BENCH})
        more = {k: v for k, v in changes.items() if k not in OF_BENCH}
        section = SECTION.model_copy(update=more)
        lab.file = replace(lab.file, folder=tmp_path, nominations=(section,))
        lab.clock.at = DUE
        return lab

    return with_nominations


async def look(lab: Bench, at: datetime) -> None:
    lab.clock.at = at
    plant = lab.plant
    plant.positions.boxes = {
        "park-se3": NominationFolder(
            lab.file.folder / "out", lab.file.folder / "in", max_bytes=100_000
        )
    }
    await nominating.look(plant, at)


def files(lab: Bench) -> list[str]:
    return sorted(path.name for path in (lab.file.folder / "out").iterdir())


def newest(lab: Bench) -> HeldNomination:
    (held,) = nominating.newest_versions(lab.plant)
    return held


def told(lab: Bench) -> list[str]:
    return [event.kind for event in lab.plant.events.recent() if event.kind.startswith("nomin")]


def a_confirmation(lab: Bench, name: str, *, version: int = 1, off: dict[int, str | None]) -> None:
    """A file that confirms what was nominated, but for some quarter-hours (None: left out)."""
    rows = ["nomination_id,version,start,end,confirmed_mw"]
    held = lab.plant.positions.nominations[NAME, version]
    for place, (interval, mw) in enumerate(held.nomination.nominated_mw.items()):
        said = off.get(place, format(mw, "f"))
        if said is not None:
            span = f"{isoformat(interval.start)},{isoformat(interval.end)}"
            rows.append(f"{NAME},{version},{span},{said}")
    (lab.file.folder / "in" / name).write_text("\n".join(rows) + "\n")


async def sell(lab: Bench, mw: str, **more: Any) -> None:
    """For the first hour of the day."""
    deal = a_deal(quantity_mw=mw, **more)
    await outside.take(lab.plant, deal, now=lab.clock.at)


def test_the_position_of_a_day_is_nominated_at_its_time_and_not_before(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await sell(lab, "0.8")
        await look(lab, DUE - QUARTER)
        assert files(lab) == []
        await look(lab, DUE)
        await look(lab, DUE + QUARTER)

    asyncio.run(run())
    assert files(lab) == [f"{NAME}.v1.csv"]
    header, *rows = (lab.file.folder / "out" / f"{NAME}.v1.csv").read_text().splitlines()
    assert header == "nomination_id,unit,delivery_day,version,start,end,nominated_mw"
    assert len(rows) == 96
    assert rows[0] == (
        f"{NAME},park-se3,2025-12-03,1,2025-12-02T23:00:00Z,2025-12-02T23:15:00Z,0.8"
    )
    assert [row.rsplit(",", 1)[1] for row in rows[3:5]] == ["0.8", "0"]
    assert newest(lab).status == "awaited"


def test_what_moves_before_it_begins_is_a_new_version_and_what_has_begun_stays(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await sell(lab, "0.8")
        await look(lab, DUE)
        await sell(lab, "0.5", revision=2)
        await look(lab, DUE + QUARTER)
        midnight = local_day(DAY, lab.file.park.timezone).start
        lab.clock.at = midnight + QUARTER
        await sell(lab, "0.2", revision=3)
        await look(lab, midnight + QUARTER)

    asyncio.run(run())
    assert files(lab)[-1] == f"{NAME}.v3.csv"
    values = [*newest(lab).nomination.nominated_mw.values()]
    assert [str(mw) for mw in values[:5]] == ["0.5", "0.5", "0.2", "0.2", "0"]


def test_where_it_does_not_follow_the_first_version_stays(bench: Callable[..., Bench]) -> None:
    lab = bench(follows=False)

    async def run() -> None:
        await look(lab, DUE)
        await sell(lab, "0.5")
        await look(lab, DUE + QUARTER)

    asyncio.run(run())
    assert newest(lab).nomination.version == 1


def test_a_confirmation_by_file_is_matched_and_one_that_differs_says_where_and_by_how_much(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await sell(lab, "0.8")
        await look(lab, DUE)
        a_confirmation(lab, "confirmation-1.csv", off={0: "0.7", 5: None})
        await look(lab, DUE + QUARTER)
        held = newest(lab)
        assert held.status == "differs"
        first, second = held.differences
        assert (first.by_mw, second.confirmed_mw) == (Decimal("-0.1"), None)
        assert "nomination_differs" in told(lab)
        a_confirmation(lab, "confirmation-2.csv", off={})
        await look(lab, DUE + 2 * QUARTER)

    asyncio.run(run())
    assert newest(lab).status == "matched"
    lab.build()
    assert newest(lab).status == "matched"
    assert newest(lab).differences == ()


def test_a_restart_tells_no_old_confirmation_again_and_puts_out_nothing_that_was_carried_away(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await look(lab, DUE)
        a_confirmation(lab, "confirmation-1.csv", off={0: "0.7"})
        await look(lab, DUE + QUARTER)
        a_confirmation(lab, "confirmation-2.csv", off={})
        await look(lab, DUE + 2 * QUARTER)
        for name in files(lab):
            (lab.file.folder / "out" / name).unlink()  # by whoever carries it to the portal
        lab.build()
        await look(lab, DUE + 3 * QUARTER)

    asyncio.run(run())
    assert "nomination_differs" not in told(lab)
    assert newest(lab).status == "matched"
    assert files(lab) == []
    assert len(list(lab.journal.entries(nominating.CONFIRMATION))) == 2


def test_what_is_not_confirmed_in_time_is_missing_once_and_may_be_confirmed_later(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        await look(lab, DUE)
        await look(lab, DUE + timedelta(minutes=45))
        assert newest(lab).status == "awaited"
        await look(lab, DUE + timedelta(minutes=60))
        await look(lab, DUE + timedelta(minutes=75))
        assert told(lab).count("nomination_missing") == 1
        lab.build()
        assert newest(lab).status == "missing"
        a_confirmation(lab, "confirmation.csv", off={})
        await look(lab, DUE + timedelta(minutes=90))

    asyncio.run(run())
    assert newest(lab).status == "matched"


class _Unsure(MemoryJournal):
    """Refuses the first nomination, and has it all the same: what a commit that fails may leave."""

    refused = False

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        await super().append_all(entries, now=now)
        if not self.refused and entries[0][0] == nominating.NOMINATION:
            self.refused = True
            raise UnavailableError("the disk is away", where="journal", fix="Wait")


def test_a_nomination_that_the_journal_refused_and_has_stands_and_the_next_one_follows(
    bench: Callable[..., Bench],
) -> None:
    lab = bench(journal=_Unsure())

    async def run() -> None:
        await sell(lab, "0.8")
        await look(lab, DUE)
        assert files(lab) == []
        await sell(lab, "0.5", revision=2)
        await look(lab, DUE + QUARTER)
        await look(lab, DUE + 2 * QUARTER)

    asyncio.run(run())
    assert files(lab)[-1] == f"{NAME}.v2.csv"


def test_what_was_delivered_long_ago_is_not_read_again_at_a_restart(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    asyncio.run(lab.journal.append(nominating.NOMINATION, "park-se3.20251123/1", b"", now=DUE))
    asyncio.run(lab.journal.append(nominating.MISSING, "park-se3.20251123/1", b"", now=DUE))

    lab.build()

    assert lab.plant.positions.nominations == {}


def test_a_kill_between_record_and_file_loses_no_nomination(bench: Callable[..., Bench]) -> None:
    lab = bench(die_at="nomination journalled")

    async def run() -> None:
        with pytest.raises(Killed):
            await look(lab, DUE)
        assert files(lab) == []
        lab.build()
        await look(lab, DUE + QUARTER)

    asyncio.run(run())
    assert files(lab) == [f"{NAME}.v1.csv"]
    assert len(list(lab.journal.entries(nominating.NOMINATION))) == 1


def test_a_folder_that_is_away_is_told_once_and_the_file_leaves_when_it_is_back(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    out = lab.file.folder / "out"
    out.rmdir()

    async def run() -> None:
        await look(lab, DUE)
        await look(lab, DUE + QUARTER)
        assert told(lab).count("nomination_late") == 1
        out.mkdir()
        await look(lab, DUE + 2 * QUARTER)

    asyncio.run(run())
    assert files(lab) == [f"{NAME}.v1.csv"]


def test_a_confirmation_of_nothing_or_out_of_shape_is_a_fault_told_once(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()
    inbox = lab.file.folder / "in"

    async def run() -> None:
        await look(lab, DUE)
        head = "nomination_id,version,start,end,confirmed_mw\n"
        row = f"{NAME},9,2025-12-02T23:00:00Z,2025-12-02T23:15:00Z,1\n"
        (inbox / "confirmation-a.csv").write_text(head + row)
        (inbox / "confirmation-b.csv").write_text(head + row.replace("9", "one"))
        (inbox / "confirmation-c.csv").write_text("x\n1\n")
        before_all_years = head + row.replace("2025-12-02T23:00:00Z", "0001-01-01T00:00:00+14:00")
        (inbox / "confirmation-d.csv").write_text(before_all_years)
        vast = head + row.replace(",9,", ",1,").replace("Z,1\n", "Z,1e999999999999\n")
        (inbox / "confirmation-e.csv").write_text(vast)
        box_at = DUE + QUARTER
        await look(lab, box_at)
        await nominating.look(lab.plant, box_at)

    asyncio.run(run())
    assert told(lab).count("nomination_fault") == 5
    assert newest(lab).status == "awaited"


def test_a_planned_schedule_waits_for_a_plan_that_reaches_the_whole_day(
    bench: Callable[..., Bench],
) -> None:
    lab = bench(basis="planned")

    async def run() -> None:
        await look(lab, DUE)
        assert told(lab) == ["nomination_late"]
        span = local_day(DAY, lab.file.park.timezone)
        for part in Interval(span.start, span.end).split(QUARTER):
            lab.plant.positions.unit_planned_kw[part.start] = -1250.0
        await look(lab, DUE + QUARTER)

    asyncio.run(run())
    assert set(newest(lab).nomination.nominated_mw.values()) == {Decimal("-1.25")}


def test_a_nomination_is_shown_and_confirmed_over_http(
    bench: Callable[..., Bench], serving: Any
) -> None:
    lab = bench()

    async def run() -> None:
        await sell(lab, "0.8")
        await look(lab, DUE)
        path = f"/v1/positions/nominations/{NAME}"
        async with serving(lab.plant) as client:
            listed = (await (await client.get("/v1/positions/nominations")).json())["nominations"]
            assert [(n["version"], n["status"], n["written"]) for n in listed] == [
                (1, "awaited", True)
            ]
            shown = await (await client.get(path)).json()
            lines = [
                {"start": x["start"], "end": x["end"], "confirmed_mw": x["nominated_mw"]}
                for x in shown["lines"]
            ]
            lines[1]["confirmed_mw"] = "0.9"
            said = {"version": 1, "confirmed": lines}
            answer = await client.post(f"{path}/confirmation", json=said)
            view = await answer.json()
            assert (answer.status, view["nomination"]["status"]) == (200, "differs")
            assert [d["by_mw"] for d in view["differences"]] == ["0.1"]
            none = await client.post(f"{path}/confirmation", json=said | {"version": 7})
            assert (none.status, (await none.json())["code"]) == (422, "invalid_data")
            lost = await client.get("/v1/positions/nominations/nobody")
            assert (lost.status, (await lost.json())["code"]) == (404, "unknown_nomination")

    asyncio.run(run())


def test_a_schedule_that_moves_all_the_time_is_missed_all_the_same_and_aloud_once(
    bench: Callable[..., Bench],
) -> None:
    lab = bench()

    async def run() -> None:
        for quarter in range(7):
            await sell(lab, f"0.{quarter + 1}", revision=quarter + 1)
            await look(lab, DUE + quarter * QUARTER)
            assert told(lab).count("nomination_missing") == (1 if quarter >= 4 else 0)
        a_confirmation(lab, "confirmation.csv", version=6, off={})
        await look(lab, DUE + 8 * QUARTER)
        await look(lab, DUE + 10 * QUARTER)

    asyncio.run(run())
    held = lab.plant.positions.nominations
    assert [held[NAME, version].status for version in (1, 3, 5, 6, 7)] == [
        "missing", "missing", "awaited", "matched", "missing"
    ]  # fmt: skip
    assert told(lab).count("nomination_missing") == 2
