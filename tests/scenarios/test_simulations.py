"""Simulations on request, over HTTP: each for itself, repeatable, and honest about what it is."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import pytest

from tests.patience import PATIENCE_S
from tests.scenarios.conftest import MakePark
from vpp.clock import WallClock
from vpp.ports import Unsent
from vpp.service.api.face import build_simulators_api
from vpp.service.http import serve_app
from vpp.service.park.schema import SimulatorSettings
from vpp.service.simulations.desk import SimulationDesk

OPENING = "2025-12-02T10:00:00Z"
"""11:00 in Stockholm on the eve."""

RESULTS = "2025-12-02T11:45:00Z"
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example_simulation.py"

MIDNIGHT = "2025-12-02T23:00:00Z"
MORNING = "2025-12-03T05:00:00Z"


@dataclass
class Caller:
    """Somebody who calls a service over HTTP."""

    address: str
    session: aiohttp.ClientSession
    desk: SimulationDesk
    elapsed_s: list[float] = field(default_factory=lambda: [0.0])

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, path, json=body) as answer:
            read = answer.json() if "json" in answer.content_type else answer.text()
            return answer.status, await read

    async def get(self, path: str) -> Any:
        status, content = await self.ask("GET", path)
        assert status == 200, content
        return content

    async def post(self, path: str, body: Any) -> Any:
        status, content = await self.ask("POST", path, body)
        assert status == 200, content
        return content

    async def make(self, **asked: Any) -> str:
        """A new simulation; the path of its routes."""
        made = await self.post("/v1/simulations", {"park": "park", **asked})
        return f"/v1/simulations/{made['simulation_id']}"

    async def trade(self, one: str, request_id: str) -> dict[str, Any]:
        """Ask for the next day-ahead bids, take the first step of each; the bid set."""
        market = f"{one}/markets/se3-day-ahead"
        product = await self.get(market)
        delivery = product["next_delivery"]["delivery"]
        asked = {"request_id": request_id, "delivery": delivery}
        bid_set: dict[str, Any] = await self.post(f"{market}/bids", asked)
        cleared = [
            {k: bid[k] for k in ("bid_id", "start", "end")} | bid["offer"]["steps"][0]
            for bid in bid_set["bids"]
        ]
        gate = datetime.fromisoformat(product["next_delivery"]["closes_at"])
        await self.post(f"{one}/step", {"until": (gate + timedelta(minutes=45)).isoformat()})
        award = {"award_id": f"award-{request_id}", "revision": 1, "final": True}
        award |= {"bid_set_id": bid_set["bid_set_id"], "cleared": cleared}
        booked = await self.post(f"{market}/awards", award)
        assert booked["status"] == "booked"
        return bid_set


Using = Callable[[Caller], Awaitable[None]]


@pytest.fixture(scope="module")
def parks(small_park: MakePark) -> Path:
    """A folder with one park file, `park.yaml`, beside what it names."""
    return small_park(day=date(2025, 12, 3)).folder


@asynccontextmanager
async def served(parks: Path, at_most: int = 8, most_requests: int = 1000) -> AsyncIterator[Caller]:
    elapsed_s = [0.0]
    desk = SimulationDesk(
        SimulatorSettings(at_most=at_most, most_requests=most_requests),
        parks=parks,
        clock=WallClock(),
        elapsed_s=lambda: elapsed_s[0],
    )
    app = build_simulators_api(desk)
    async with (
        serve_app(app, host="127.0.0.1", port=0) as address,
        aiohttp.ClientSession(address) as session,
    ):
        yield Caller(address, session, desk, elapsed_s)


# ---------------------------------------------------------------- each for itself


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a simulation left behind."""

    manifest: dict[str, Any]
    table: list[dict[str, Any]]
    csv: str
    bids: dict[str, Any]

    @property
    def digest(self) -> str:
        return str(self.manifest["record_digest"])


async def left(caller: Caller, one: str, bids: dict[str, Any]) -> Left:
    return Left(
        manifest=await caller.get(f"{one}/manifest"),
        table=(await caller.get(f"{one}/table"))["rows"],
        csv=await caller.get(f"{one}/table?format=csv"),
        bids=bids,
    )


@dataclass(frozen=True, kw_only=True)
class Played:
    one: Left
    other: Left
    alone: Left
    branch_digest: str
    branch: dict[str, Any]
    reset: dict[str, Any]


@pytest.fixture(scope="module")
def played(parks: Path) -> Played:
    """Two simulations for a day side by side, the first of them again alone, branched and reset."""

    async def day(caller: Caller, one: str) -> Left:
        bids = await caller.trade(one, "day-1")
        await caller.post(f"{one}/step", {"until": MIDNIGHT})
        await caller.post(f"{one}/step", {"until": MORNING})
        return await left(caller, one, bids)

    async def live() -> Played:
        async with served(parks) as caller:
            first, second = await asyncio.gather(caller.make(seed=1), caller.make(seed=2))
            one, other = await asyncio.gather(day(caller, first), day(caller, second))
        async with served(parks) as caller:
            only = await caller.make(seed=1)
            bids = await caller.trade(only, "day-1")
            snapshot = await caller.post(f"{only}/snapshot", {})
            await caller.post(f"{only}/step", {"until": MORNING})
            alone = await left(caller, only, bids)
            again = {"snapshot_id": snapshot["snapshot_id"]}
            branch = await caller.post(f"{only}/branch", again)
            path = f"/v1/simulations/{branch['simulation_id']}"
            await caller.post(f"{path}/step", {"until": MORNING})
            digest = (await caller.get(f"{path}/manifest"))["record_digest"]
            reset = await caller.post(f"{only}/reset", {})
        return Played(
            one=one, other=other, alone=alone, branch_digest=digest, branch=branch, reset=reset
        )

    return asyncio.run(live())


def test_a_simulation_beside_another_leaves_the_record_of_one_alone_byte_by_byte(
    played: Played,
) -> None:
    assert played.one.digest == played.alone.digest
    assert played.one.csv == played.alone.csv
    assert played.one.manifest["record_entries"]["setpoints"] > 100


def test_another_seed_is_another_run(played: Played) -> None:
    assert played.other.digest != played.one.digest


def test_a_branch_that_goes_on_as_the_first_did_leaves_the_same_record(played: Played) -> None:
    assert played.branch["now"] == RESULTS
    assert played.branch["branch_of"].endswith("@2-20251202T114500Z")
    assert played.branch_digest == played.alone.digest


def test_a_reset_simulation_stands_at_its_start_under_the_same_id(played: Played) -> None:
    stood = played.alone.manifest["simulation"]
    reset = played.reset

    assert (reset["simulation_id"], reset["now"]) == (stood["simulation_id"], OPENING)
    assert (reset["requests"], stood["requests"]) == (0, 2)


def test_the_table_has_every_bid_award_and_delivery(played: Played) -> None:
    rows, bids = played.one.table, played.one.bids["bids"]
    by_record = {
        kind: [row for row in rows if row["record"] == kind]
        for kind in ("bid", "award", "delivery")
    }

    assert [row["offer"] for row in by_record["bid"]] == [bid["offer"] for bid in bids]
    assert [row["bid_id"] for row in by_record["award"]] == [bid["bid_id"] for bid in bids]
    first, bid = by_record["award"][0], bids[0]
    step, sign = bid["offer"]["steps"][0], 1 if bid["side"] == "sell" else -1
    assert first["quantity_mw"] == step["quantity_mw"]
    money = Decimal(step["quantity_mw"]) * Decimal(step["price_per_mwh"]) * sign / 4
    assert Decimal(first["money"]) == money
    # 23:00 UTC to 05:00 is delivered; the newest quarter-hour is not metered yet.
    assert len(by_record["delivery"]) in (23, 24)
    assert all(row["delivered_kwh"] is not None for row in by_record["delivery"])


def test_the_table_as_csv_says_the_same(played: Played) -> None:
    read = list(csv.DictReader(io.StringIO(played.one.csv)))

    assert len(read) == len(played.one.table)
    for text, row in zip(read, played.one.table, strict=True):
        assert (text["record"], text["start"]) == (row["record"], row["start"])
        assert text["quantity_mw"] == (row["quantity_mw"] or "")


def test_what_nobody_was_there_to_do_is_a_warning_and_time_goes_on(played: Played) -> None:
    stood = played.one.manifest["simulation"]

    assert stood["now"] == MORNING
    # Nobody asked for the quarter-hours of the night: 6 hours of them are past their gate.
    assert stood["warnings"]["gate_missed"] >= 23


# ---------------------------------------------------------------- one, and how it is refused


def test_the_example_of_the_documents_plays_a_day(parks: Path) -> None:
    spec = importlib.util.spec_from_file_location("example_simulation", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    async def live() -> list[dict[str, Any]]:
        async with served(parks) as caller:
            rows = await asyncio.to_thread(example.play, caller.address, "park", 1)
            assert caller.desk.all() == ()
            return list(rows)

    rows = asyncio.run(live())

    kinds = [row["record"] for row in rows]
    assert kinds.count("bid") == kinds.count("award") > 90
    # The last quarter-hour of the day is metered after its end.
    assert kinds.count("delivery") == 95


def test_time_moves_by_steps_alone_and_prices_may_come_from_outside(parks: Path) -> None:
    async def live() -> None:
        async with served(parks, at_most=1) as caller:
            one = await caller.make(prices="caller", plan_every_minutes=720)
            assert (await caller.get(one))["now"] == OPENING
            names = (await caller.get(one))["series"]
            assert (names["day_ahead"], names["unit"]) == ("price.day-ahead.se3", "EUR/MWh")

            upload = {"unit": "EUR/MWh", "resolution_s": 900, "issued_at": OPENING, "source": "us"}
            value = {"interval_start": "2025-12-02T10:00:00Z", "value": 777.0}
            for name in (names["imbalance_short"], names["imbalance_long"]):
                put = await caller.ask("PUT", f"{one}/series/{name}", {**upload, "values": [value]})
                assert put[0] == 200
            stepped = await caller.post(f"{one}/step", {"until": "2025-12-02T10:32:00Z"})
            assert (stepped["now"], stepped["requests"]) == ("2025-12-02T10:32:00Z", 2)
            shown = await caller.get(f"{one}/series/{names['imbalance_short']}")
            assert [v for v in shown["values"] if v is not None] == [777.0]

            same = await caller.ask("POST", f"{one}/step", {"until": "2025-12-02T10:32:00Z"})
            back = await caller.ask("POST", f"{one}/step", {"until": OPENING})
            beyond = await caller.ask("POST", f"{one}/step", {"until": "2026-12-02T10:00:00Z"})
            assert (same[0], back[0], beyond[0]) == (200, 422, 422)
            assert back[1]["code"] == beyond[1]["code"] == "invalid_data"

            more = await caller.ask("POST", "/v1/simulations", {"park": "park"})
            assert (more[0], more[1]["code"]) == (429, "too_many_simulations")

            caller.elapsed_s[0] += 3599.0
            assert await caller.desk.remove_idle() == []
            caller.elapsed_s[0] += 2.0
            assert [f"/v1/simulations/{name}" for name in await caller.desk.remove_idle()] == [one]
            gone = await caller.ask("GET", f"{one}/markets")
            assert (gone[0], gone[1]["code"]) == (404, "unknown_simulation")

    asyncio.run(live())


def test_a_step_that_is_under_way_ends_when_its_simulation_is_removed(parks: Path) -> None:
    async def live() -> None:
        async with served(parks) as caller:
            one = await caller.make(plan_every_minutes=720)
            stepping = asyncio.create_task(caller.ask("POST", f"{one}/step", {"until": MORNING}))
            while (await caller.get(one))["now"] == OPENING:
                pass  # each question is a turn of the loop
            assert (await caller.get(one))["status"] == "stepping"
            assert (await caller.ask("POST", f"{one}/snapshot", {}))[0] == 409
            removed = await caller.ask("DELETE", one)
            status, problem = await stepping

            assert removed[1]["status"] == "removed"
            assert (status, problem["code"]) == (404, "unknown_simulation")
            assert "removed" in problem["detail"]
            assert (await caller.get("/v1/simulations"))["simulations"] == []
            left_over = {task.get_name() for task in asyncio.all_tasks()}
            assert not left_over & {"listen-read", "listen-stop", "clock-seats", "clock-stop"}

    asyncio.run(live())


def test_bids_that_would_wait_for_a_person_leave_with_a_warning_on_record(parks: Path) -> None:
    strict = "\ntrading: {mode: live, limits: {novelty_share: 0.0001}}\n"
    text = (parks / "park.yaml").read_text(encoding="utf-8")
    (parks / "strict.yaml").write_text(text + strict, encoding="utf-8")

    async def live() -> None:
        async with served(parks) as caller:
            one = await caller.make(park="strict", plan_every_minutes=720)
            await caller.trade(one, "day-1")
            await caller.post(f"{one}/step", {"until": "2025-12-03T10:30:00Z"})
            await caller.trade(one, "day-2")
            manifest = await caller.get(f"{one}/manifest")
            assert manifest["simulation"]["warnings"]["bid_warning"] >= 1
            assert manifest["record_entries"]["bid_warning"] == 1
            assert "bid_held" not in manifest["record_entries"]

    asyncio.run(live())


def test_the_command_serves_simulations_alone_until_it_is_told_to_stop(parks: Path) -> None:
    command = [sys.executable, "-m", "vpp", "simulate", "--parks", str(parks), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        address = json.loads(running.stderr.readline())["address"]
        with urlopen(f"{address}/v1/simulations", timeout=PATIENCE_S) as answer:
            assert json.load(answer) == {"at_most": 8, "simulations": []}
        with urlopen(f"{address}/openapi.json", timeout=PATIENCE_S) as answer:
            paths = json.load(answer)["paths"]
        assert {path for path in paths if "simulations" not in path} == {"/openapi.json"}
        running.terminate()
        assert running.wait(timeout=PATIENCE_S) == 0


class BrokenLink:
    """Raises what no cycle expects."""

    async def send(self, setpoints: object) -> tuple[Unsent, ...]:
        raise RuntimeError("the wire is cut")


def test_a_simulation_whose_cycle_breaks_says_so_and_does_not_go_on(parks: Path) -> None:
    async def live() -> None:
        async with served(parks) as caller:
            one = await caller.make(plan_every_minutes=720)
            caller.desk.all()[0].plant.sink = BrokenLink()
            until = {"until": "2025-12-02T10:30:00Z"}
            status, problem = await caller.ask("POST", f"{one}/step", until)
            assert (status, problem["code"]) == (500, "simulation_failed")
            assert "the wire is cut" in problem["detail"]
            stands = await caller.get(one)
            assert (stands["status"], stands["why"]) == ("failed", "the wire is cut")
            again = await caller.ask("POST", f"{one}/step", until)
            asked = {"request_id": "r", "delivery": {"start": OPENING, "end": MORNING}}
            bids = await caller.ask("POST", f"{one}/markets/se3-day-ahead/bids", asked)
            assert again[1]["code"] == bids[1]["code"] == "simulation_failed"

    asyncio.run(live())


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        pytest.param({"park": "nowhere"}, 422, "unknown_park", id="no such park"),
        pytest.param({"park": "../park"}, 422, "invalid_body", id="a path"),
        pytest.param({"park": "series.csv"}, 422, "invalid_body", id="another file"),
        pytest.param({"park": "day_ahead"}, 422, "unknown_park", id="a file that is no park"),
        pytest.param(
            {"park": "park", "start": "2025-12-02T10:07:00Z"},
            422,
            "invalid_data",
            id="off the grid",
        ),
        pytest.param(
            {"park": "park", "start": "2026-06-01T00:00:00Z"}, 422, "invalid_data", id="no series"
        ),
        pytest.param(
            {"park": "park", "control_period_s": 420}, 422, "invalid_data", id="seven minutes"
        ),
        pytest.param({"park": "park", "seed": -1}, 422, "invalid_body", id="a seed below 0"),
        pytest.param({"park": "park", "now": OPENING}, 422, "invalid_body", id="an unknown field"),
    ],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    parks: Path, asked: dict[str, Any], status: int, code: str
) -> None:
    async def live() -> None:
        async with served(parks) as caller:
            refused, problem = await caller.ask("POST", "/v1/simulations", asked)
            assert (refused, problem["code"]) == (status, code)
            assert (await caller.get("/v1/simulations"))["simulations"] == []

    asyncio.run(live())


def test_a_reset_that_fails_leaves_the_simulation_that_was_there(parks: Path) -> None:
    async def live() -> None:
        async with served(parks) as caller:
            one = await caller.make(plan_every_minutes=720)
            await caller.post(f"{one}/step", {"until": "2025-12-02T10:15:00Z"})
            (simulation,) = caller.desk.all()
            good = simulation.park_file
            simulation.park_file = replace(good, products=())  # nothing has a price
            status, _ = await caller.ask("POST", f"{one}/reset", {})
            assert status == 500
            assert caller.desk.all() == (simulation,)
            assert (await caller.get(one))["now"] == "2025-12-02T10:15:00Z"
            await caller.post(f"{one}/step", {"until": "2025-12-02T10:30:00Z"})
            simulation.park_file = good
            assert (await caller.post(f"{one}/reset", {}))["now"] == OPENING
            assert caller.desk.all() != (simulation,)
            assert simulation.status == "removed"

    asyncio.run(live())


def test_requests_are_kept_up_to_a_number_and_then_nothing_branches_off(parks: Path) -> None:
    async def live() -> None:
        async with served(parks, most_requests=2) as caller:
            one = await caller.make(plan_every_minutes=720)
            for number in range(4):
                values = [{"interval_start": OPENING, "value": float(number)}]
                upload = {
                    "unit": "EUR/MWh", "resolution_s": 900, "issued_at": OPENING,
                    "source": "test", "revision": number + 1, "values": values,
                }  # fmt: skip
                await caller.ask("PUT", f"{one}/series/price.other", upload)
                if number == 1:
                    kept = await caller.post(f"{one}/snapshot", {})
            (simulation,) = caller.desk.all()
            assert (simulation.done, (await caller.get(one))["requests"]) == ([], 4)
            status, problem = await caller.ask("POST", f"{one}/snapshot", {})
            assert (status, problem["code"]) == (409, "conflict")
            branch = await caller.post(f"{one}/branch", {"snapshot_id": kept["snapshot_id"]})
            assert branch["requests"] == 2

    asyncio.run(live())
