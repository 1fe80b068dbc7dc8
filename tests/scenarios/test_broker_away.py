"""The broker is killed, stays away for minutes, and comes back on its port.

The lockstep of the demo would wait for messages that cannot come; so this file keeps time itself:
each minute the world lives, and while the broker is there everything sent is waited for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from adapters.broker_process import PrivateBroker
from tests.commandsread import commands_of
from tests.patience import PATIENCE_S
from vpp.clock import SimulatedClock
from vpp.model.time import QUARTER, Interval
from vpp.service.accounting import current_statements
from vpp.service.demo.demo import DemoOptions, Run, open_demo
from vpp.service.demo.simulation import GRACE
from vpp.service.loops import loops_of
from vpp.service.run import run as run_loops
from vpp.service.run import until_heard

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenarios.conftest import Eve, MakePark

Lived = tuple["Outage", dict[str, Any], "Path"]
"""The run, the world's report at its end, and the folder of the record."""

MINUTE = timedelta(minutes=1)


class Outage:
    """A run in which the broker is away from `gone_at` to `back_at`."""

    def __init__(self, run: Run, clock: SimulatedClock, gone_at: datetime, back_at: datetime):
        self.run, self.clock = run, clock
        self.gone_at, self.back_at = gone_at, back_at
        self.seen: dict[str, Any] = {}
        self.doubtful: dict[str, int] = {}

    async def until(self, end: datetime) -> None:
        """Live until `end`."""
        plant, stop = self.run.plant, asyncio.Event()
        market = self.clock.seat("market")
        devices = self.clock.seat("devices")

        async def living(stop: asyncio.Event) -> None:
            due = self.clock.now()
            while await devices.wait_until(due, stop):
                await self._minute(due)
                due += MINUTE
                if due > end:
                    stop.set()

        async def trading(stop: asyncio.Event) -> None:
            while await market.wait_until(self.run.world.next_trade(), stop):
                await self.run.world.trade(self.clock.now())

        loops = {"devices": living, "market": trading} | loops_of(plant, self.clock.seat)
        async with asyncio.TaskGroup() as group:
            group.create_task(run_loops(loops, stop, grace=GRACE))
            group.create_task(self.clock.run(stop))

    async def _minute(self, now: datetime) -> None:
        plant, world, link = self.run.plant, self.run.world, self.run.opened.link
        if now == self.gone_at:
            broker = self.run.broker.broker
            assert isinstance(broker, PrivateBroker)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGKILL)
            await asyncio.wait_for(link.wait_until(connected=False), PATIENCE_S)
        if now == self.back_at:
            self.seen["away"] = await self.ready()
            await self.run.broker.broker.start()
            await asyncio.wait_for(link.wait_until(connected=True), PATIENCE_S)
            async with asyncio.timeout(PATIENCE_S):
                while (await world.report())["connects"] < 2 * len(self.run.file.park.enterprises):
                    pass  # each question is a round trip to the world's process
        away = self.gone_at <= now < self.back_at
        told = {str(name): s.seq for name, s in plant.setpoints.items()}
        if now == self.gone_at:
            self.doubtful = told  # what it had confirmed, and not handed on, died with it
        sent = {} if away else {n: seq for n, seq in told.items() if seq != self.doubtful.get(n)}
        sequence = await world.advance(now, sent)
        battery = (await world.snapshot())["devices"]["works-battery"]
        self.seen.setdefault("battery_kwh", {})[now] = battery["stored_kwh"]
        if not away:
            await self._heard(sequence)

    async def _heard(self, sequence: dict[str, int]) -> None:
        """A gateway that reconnects later than the link brings its minutes then."""
        await until_heard(self.run.plant, sequence, timeout_s=PATIENCE_S)

    async def ready(self) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.run.address + "/readyz") as answer,
        ):
            return {"status": answer.status, "body": await answer.json(content_type=None)}


@pytest.fixture(scope="module")
def outage(small_park: MakePark, eve: Eve, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Away from 12:28 to 12:32 local, over the end of a quarter-hour; traded from 12:00 on."""
    file = small_park(period_s=60, trades_from="2025-12-02T12:00:00+01:00")
    folder = tmp_path_factory.mktemp("record")
    options = DemoOptions(length=QUARTER, speed=None, seed=1, port=0, data=folder)

    async def play() -> tuple[Outage, dict[str, Any]]:
        async with open_demo(file, options) as (run, clock):
            assert isinstance(clock, SimulatedClock)
            lived = Outage(run, clock, eve(file, 12, 28), eve(file, 12, 32))
            await lived.until(eve(file, 13, 4))
            lived.seen["back"] = await lived.ready()
            return lived, await run.world.report()

    return *asyncio.run(play()), folder


def test_readyz_says_since_when_the_broker_is_away_and_when_all_is_well_again(
    outage: Lived,
) -> None:
    lived, _, _ = outage
    away, back = lived.seen["away"], lived.seen["back"]

    assert away["status"] == 503
    reasons = {fault["path"]: fault["what"] for fault in away["body"]["errors"]}
    assert reasons["broker"] == "the broker is away since 2025-12-02T11:28:00Z"
    assert back["status"] == 200
    assert lived.run.opened.link.reconnects == 1


def test_set_points_expire_on_the_devices_which_go_to_their_defaults(outage: Lived) -> None:
    lived, _, _ = outage
    kwh = lived.seen["battery_kwh"]
    before, after = (lived.gone_at + n * MINUTE for n in (-1, 3))

    assert kwh[before] != kwh[before - MINUTE], "it was under way when the broker went"
    assert kwh[after] == kwh[after - MINUTE], "its set-point has ended: a battery then rests"


def test_what_the_gateways_kept_arrives_or_is_counted_as_lost(outage: Lived) -> None:
    """A gateway that is back before the service speaks to nobody: the broker confirms all the same."""
    lived, report, _ = outage
    intake = lived.run.plant.intake

    assert (report["waiting"], report["dropped"], report["connects"]) == (0, 0, 4)
    assert sum(report["published"].values()) == intake.accepted + intake.lost
    assert intake.lost <= 4 * len(report["published"])
    assert not intake.refused


def test_the_run_goes_on_and_every_interval_is_settled(outage: Lived) -> None:
    lived, report, _ = outage
    plant = lived.run.plant
    traded = Interval(plant.file.park.bidding_units[0].trades_from, lived.clock.now())

    settled = sorted(i for i in plant.accounted if traded.covers(i))

    assert settled == [part for part in traded.split(QUARTER) if traded.covers(part)][:4]
    assert len(current_statements(plant)) == 2
    assert report["ledger"].get("no_bid", 0) == 0
    assert report["unsent"] == 0


def test_no_record_is_lost(outage: Lived) -> None:
    """Every bid and award the venue knows is in the journal, every reading taken in the historian."""
    lived, report, folder = outage
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        kinds = dict(journal.execute("select kind, count(*) from journal group by kind"))
        commands = journal.execute("select body from journal where kind = 'setpoints'")
        on_disk = sum(len(commands_of(body)) for (body,) in commands)

    assert kinds["bid_set"] == report["ledger"]["received"]
    assert kinds["award"] == report["ledger"]["award_acknowledged"]
    assert on_disk >= lived.run.plant.setpoints_sent
