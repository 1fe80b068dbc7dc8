"""SEC-B8: reachable four ways, latched on disk, by scope, released by two persons."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vpp.act.ladder import SafeState
from vpp.cli import app
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.service import control, cycle
from vpp.service.kill import ALL, KillSwitch, Scope
from vpp.service.plant import Plant
from vpp.service.steering import setpoints
from vpp.wire import KillRequest

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
MARKET = "/v1/markets/se3-day-ahead"
ASK = {"request_id": "r1", "delivery": DAY}


def order(killed: bool, by: str | None = None, **scope: str) -> KillRequest:
    return KillRequest(killed=killed, reason="a drill", by=by, **scope)


async def give(plant: Plant, request: KillRequest, minutes: int = 0) -> None:
    await control.set_kill(plant, request, now=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("scope", "da", "qh"),
    [
        ({}, "killed", "killed"),
        ({"market": "se3-day-ahead"}, "killed", "gate_not_open"),
        ({"enterprise": "office"}, "killed", "killed"),
    ],
    ids=["everything", "one market", "one enterprise of the unit"],
)
def test_what_is_killed_bids_no_more_and_the_rest_goes_on(
    plant: Plant, serving: Any, scope: dict[str, str], da: str, qh: str
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            body = {"killed": True, "reason": "a drill"} | scope
            assert (await client.post("/v1/kill", json=body)).status == 200
            span = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-02T23:15:00Z"}
            for product, delivery, expected in (
                ("se3-day-ahead", DAY, da),
                ("se3-quarter-hour", span, qh),
            ):
                asked = {"request_id": f"r-{product}", "delivery": delivery}
                answer = await client.post(f"/v1/markets/{product}/bids", json=asked)
                found = (await answer.json()).get("code", "made")
                assert found == expected, (product, await answer.text())
            shown = await (await client.get("/v1/kill")).json()
            assert len(shown["latches"]) == 1

    asyncio.run(run())


def test_a_killed_enterprise_gets_no_set_points_and_the_others_do(plant: Plant) -> None:
    assert not setpoints.stopped(plant).any()
    plant.kill.kill("a drill", Scope("enterprise", "office"))
    control.tell_latches(plant, NOW)  # what every control cycle does first
    stopped = dict(zip(plant.units.names, setpoints.stopped(plant), strict=True))
    assert stopped[ResourceId("office-battery")]
    assert not stopped[ResourceId("steel-battery")]


@pytest.mark.parametrize("scope", [{}, {"market": "se3-day-ahead"}, {"enterprise": "steel"}])
def test_a_release_takes_two_persons(plant: Plant, scope: dict[str, str]) -> None:
    async def run() -> None:
        await give(plant, order(True, **scope))
        await give(plant, order(False, "Li", **scope))
        assert len(plant.kill.latched()) == 1, "one person is not enough"
        with pytest.raises(ConflictError, match="has asked already"):
            await give(plant, order(False, " LI", **scope), minutes=1)
        assert len(plant.kill.latched()) == 1
        await give(plant, order(False, "Wang", **scope), minutes=2)
        assert plant.kill.latched() == {}

    asyncio.run(run())
    recorded = [json.loads(entry.body) for entry in plant.journal.entries("kill")]
    assert [said["by"] for said in recorded] == [None, "Li", "Wang"]


def test_the_second_person_must_come_in_time_and_for_the_same_thing(plant: Plant) -> None:
    async def run() -> None:
        await give(plant, order(True))
        await give(plant, order(True, market="se3-day-ahead"))
        await give(plant, order(False, "Li"))
        await give(plant, order(False, "Wang", market="se3-day-ahead"))
        await give(plant, order(False, "Wang"), minutes=16)  # asks anew: Li's word is too old
        assert len(plant.kill.latched()) == 2
        await give(plant, order(False, "Li"), minutes=17)
        assert plant.kill.latched() == {Scope("market", "se3-day-ahead"): "a drill"}

    asyncio.run(run())


def test_a_new_kill_makes_a_release_that_was_asked_for_void(plant: Plant) -> None:
    async def run() -> None:
        await give(plant, order(True))
        await give(plant, order(False, "Li"))
        await give(plant, order(True), minutes=1)
        await give(plant, order(False, "Wang"), minutes=2)
        assert plant.kill.killed
        await give(plant, order(False, "Li"), minutes=3)
        assert not plant.kill.killed

    asyncio.run(run())


def test_what_does_not_exist_cannot_be_killed(plant: Plant) -> None:
    with pytest.raises(DataError, match="there is no market nowhere"):
        asyncio.run(give(plant, order(True, market="nowhere")))
    assert plant.kill.latched() == {}


def test_a_file_and_the_local_command_latch_without_the_service(tmp_path: Path) -> None:
    (tmp_path / "KILLED.market.se3-day-ahead").touch()
    done = CliRunner().invoke(
        app, ["kill", "--data", str(tmp_path), "--reason", "smoke", "--enterprise", "steel"]
    )
    assert done.exit_code == 0, done.output
    switch = KillSwitch(tmp_path)
    assert switch.latched() == {
        Scope("enterprise", "steel"): "smoke",
        Scope("market", "se3-day-ahead"): "no reason given",
    }
    assert switch.stops_bids("se3-day-ahead", []) is not None
    assert switch.stops_bids("se3-quarter-hour", ["office"]) is None
    everything = CliRunner().invoke(app, ["kill", "--data", str(tmp_path), "--reason", "smoke"])
    assert everything.exit_code == 0
    assert switch.reason_of(ALL) == "smoke"


def test_a_latch_that_comes_or_goes_by_hand_is_said_once(plant: Plant, tmp_path: Path) -> None:
    scope = Scope("market", "se3-day-ahead")
    (tmp_path / scope.file_name).write_text("too dear\n")
    for _ in range(2):
        control.tell_latches(plant, NOW)
    (tmp_path / scope.file_name).unlink()
    for _ in range(2):
        control.tell_latches(plant, NOW)
    said = [event.text for event in plant.events.recent() if event.kind == "kill"]
    assert said == [f"killed by hand: {scope}: too dear", f"released by hand: {scope}"]


@pytest.mark.parametrize("scope", [{}, {"market": "se3-day-ahead"}, {"enterprise": "office"}])
def test_a_request_that_comes_again_after_a_kill_gets_no_bids(
    plant: Plant, serving: Any, scope: dict[str, str]
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            first = await client.post(f"{MARKET}/bids", json=ASK)
            assert first.status == 200, await first.text()
            await client.post("/v1/kill", json={"killed": True, "reason": "a drill"} | scope)
            again = await client.post(f"{MARKET}/bids", json=ASK)
            assert (again.status, (await again.json())["code"]) == (503, "killed")

    asyncio.run(run())


def test_a_kill_while_a_bid_is_written_keeps_it_from_leaving(plant: Plant, serving: Any) -> None:
    def kill_when_written(point: str) -> None:
        if point == "bid journalled":
            plant.kill.kill("too late to be made, not to be sent")

    plant.reach = kill_when_written

    async def run() -> None:
        async with serving(plant) as client:
            refused = await client.post(f"{MARKET}/bids", json=ASK)
            assert (refused.status, (await refused.json())["code"]) == (503, "killed")
            (bid_set,) = plant.book.live_sets()
            assert plant.book.states(bid_set.bid_set_id).keys() == {"journalled"}, "never sent"
            plant.kill.release()
            assert (await client.post(f"{MARKET}/bids", json=ASK)).status == 200

    asyncio.run(run())


def test_a_latch_that_cannot_be_read_stops_everything_and_ends_nothing(
    plant: Plant, serving: Any, tmp_path: Path
) -> None:
    (tmp_path / "KILLED").mkdir()  # as unreadable as a file without permission, for everybody

    async def run() -> None:
        await cycle.act(plant, NOW)
        async with serving(plant) as client:
            refused = await client.post(f"{MARKET}/bids", json=ASK)
            assert (refused.status, (await refused.json())["code"]) == (503, "killed")

    asyncio.run(run())
    assert plant.safe_state is SafeState.KILLED
    told = next(event.text for event in plant.events.recent() if event.kind == "kill")
    assert "cannot be read, so it counts" in told


def test_a_kill_that_cannot_be_written_holds_all_the_same_and_says_so(
    plant: Plant, tmp_path: Path
) -> None:
    plant.kill = KillSwitch(tmp_path / "not-mounted")

    async def run() -> None:
        with pytest.raises(UnavailableError, match="a restart would forget it"):
            await give(plant, order(True))
        control.tell_latches(plant, NOW)
        assert plant.kill.latched() == plant.latches == {ALL: "a drill"}
        assert plant.kill.stops_bids("se3-day-ahead", ()) == (ALL, "a drill")
        await give(plant, order(False, "Li"))
        await give(plant, order(False, "Wang"))
        assert not plant.kill.killed

    asyncio.run(run())


def test_a_folder_whose_latches_cannot_be_listed_counts_as_killed(tmp_path: Path) -> None:
    (tmp_path / "data").touch()  # a file: nothing can be looked up under it
    switch = KillSwitch(tmp_path / "data")
    assert switch.latched().keys() == {ALL}
    assert switch.killed


def test_a_release_that_was_asked_for_is_of_that_kill_and_no_later_one(
    plant: Plant, tmp_path: Path
) -> None:
    """Also where the later one came by hand, past the service."""

    async def run() -> None:
        await give(plant, order(True))
        await give(plant, order(False, "Li"))
        latch = tmp_path / "KILLED"
        latch.write_text("smoke\n")
        os.utime(latch, ns=(10**18, 10**18))  # written at another moment, whatever the disk's clock
        await give(plant, order(False, "Wang"), minutes=1)
        assert plant.kill.reason == "smoke", "Wang is the first to look at this one"
        await give(plant, order(False, "Li"), minutes=2)
        assert not plant.kill.killed

    asyncio.run(run())


def test_no_release_is_asked_for_where_nothing_is_killed(plant: Plant) -> None:
    with pytest.raises(ConflictError, match="everything is not killed"):
        asyncio.run(give(plant, order(False, "Li")))
    assert not plant.releases
    assert not list(plant.journal.entries("kill"))


def test_what_nobody_ordered_is_on_record_too_once_the_journal_takes_it(
    plant: Plant, tmp_path: Path
) -> None:
    class FullDisk:
        async def append_all(self, entries: Any, *, now: Any) -> None:
            raise UnavailableError("disk full", where="journal", fix="free it")

    market = Scope("market", "se3-day-ahead")
    journal, away = plant.journal, FullDisk()

    async def run() -> None:
        plant.journal = away  # type: ignore[assignment]
        control.latch_by_itself(plant, market, "20 hard refusals", now=NOW, by="the limits")
        (tmp_path / ALL.file_name).write_text("smoke\n")
        control.tell_latches(plant, NOW + timedelta(minutes=1))
        await control.record_latches(plant)
        plant.journal = journal
        (tmp_path / ALL.file_name).unlink()
        control.tell_latches(plant, NOW + timedelta(minutes=2))
        await control.record_latches(plant)
        await control.record_latches(plant)

    asyncio.run(run())
    kept = [json.loads(entry.body) for entry in journal.entries(control.KIND)]
    assert [(one["killed"], one["market"], one["by"]) for one in kept] == [
        (True, "se3-day-ahead", "the limits"),
        (True, None, control.BY_HAND),
        (False, None, control.BY_HAND),
    ]
    assert [one["reason"] for one in kept[:2]] == ["20 hard refusals", "smoke"]
    assert not plant.trade.unrecorded
