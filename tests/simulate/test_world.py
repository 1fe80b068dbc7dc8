from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time as wall
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import aiomqtt
import iotcore
import msgspec
import numpy as np
import pytest

from tests.patience import PATIENCE_S
from vpp.clock import SimulatedClock, WallClock
from vpp.errors import DataError, UnavailableError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import FixedLoad, ShiftableRun, Storage
from vpp.model.time import Interval, isoformat
from vpp.simulate.gateway import BrokerAccess
from vpp.simulate.market import SeriesIds
from vpp.simulate.process import RemoteWorld
from vpp.simulate.world import World, WorldSpec
from vpp.wire import CommandMessage, TelemetryMessage

OPENED = datetime(2025, 12, 1, 10, tzinfo=UTC)
MIDNIGHT = datetime(2025, 12, 1, 23, tzinfo=UTC)
SERIES = SeriesIds(
    unit="EUR/MWh",
    day_ahead="price.day-ahead.se3",
    quarter_hour="price.quarter-hour.se3",
    short="price.imbalance-short.se3",
    long="price.imbalance-long.se3",
)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
BESS = ResourceId("bess")
AnyWorld: TypeAlias = World | RemoteWorld
Play = Callable[[AnyWorld], Awaitable[None]]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(port: int) -> Iterator[iotcore.Broker]:
    with iotcore.Broker(port=port, listen="127.0.0.1", max_payload_size=300000) as running:
        yield running


def a_spec(tiny: Any, port: int, url: str, opened_at: datetime = OPENED) -> WorldSpec:
    acme: dict[str, Any] = {
        "enterprise_id": EnterpriseId("acme"),
        "connection_point_id": ConnectionPointId("gate-1"),
    }
    umbra: dict[str, Any] = {
        "enterprise_id": EnterpriseId("umbra"),
        "connection_point_id": ConnectionPointId("gate-2"),
    }
    built = tiny(
        resources=[
            FixedLoad(resource_id=ResourceId("hall"), max_draw_kw=100, **acme),
            Storage(
                resource_id=BESS,
                capacity_kwh=200,
                max_charge_kw=100,
                max_discharge_kw=100,
                **acme,
            ),
            ShiftableRun(
                resource_id=ResourceId("bake"),
                profile_kw=(40, 20),
                earliest_start=time(0),
                latest_end=time(16),
                default_start=time(0, 30),
                **umbra,
            ),
        ],
        level_kw={"hall": -80.0},
        trades_from=MIDNIGHT,
    )
    return WorldSpec(
        park=built.park,
        scenario=built.scenario,
        brokers={
            EnterpriseId("acme"): BrokerAccess("127.0.0.1", port),
            EnterpriseId("umbra"): BrokerAccess("127.0.0.1", port),
        },
        service_url=url,
        seed=7,
        opened_at=opened_at,
        series=SERIES,
    )


def in_a_world(
    kind: type[World] | type[RemoteWorld],
    play: Play,
    tiny: Any,
    service: Any,
    port: int,
    opened_at: datetime = OPENED,
) -> None:
    async def run() -> None:
        url = await service.start()
        world = kind(a_spec(tiny, port, url, opened_at))
        try:
            await world.start()
            await play(world)
        finally:
            await world.stop()
            await service.stop()

    asyncio.run(run())


async def send(port: int, seq: int, power_kw: float, at: datetime, lives: timedelta) -> None:
    command = CommandMessage(f"c-{seq}", seq, isoformat(at), isoformat(at + lives), power_kw)
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish("vpp/v1/acme/gate-1/bess/cmd", msgspec.json.encode(command), qos=1)


both = pytest.mark.parametrize("kind", [World, RemoteWorld], ids=["here", "in a child process"])


@both
@pytest.mark.usefixtures("broker")
def test_a_step_waits_for_its_commands_lives_and_publishes(
    kind: Any, tiny: Any, service: Any, port: int
) -> None:
    heard: list[TelemetryMessage] = []

    async def play(world: AnyWorld) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("vpp/v1/acme/gate-1/+/telemetry", qos=1)
            late = asyncio.create_task(world.advance(OPENED + MINUTE, {"bess": 4}))
            await send(port, 4, 60, OPENED, HOUR)
            assert await late == {
                "hall": 1,
                "bess": 1,
                "bake": 1,
                "meter-gate-1": 1,
                "meter-gate-2": 1,
            }
            seqs = await world.advance(OPENED + 2 * MINUTE, {})
            assert set(seqs.values()) == {2}
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard.append(msgspec.json.decode(message.payload, type=TelemetryMessage))
                if len(heard) == 6:
                    break
        report = await world.report()
        assert report["published"] == dict.fromkeys(seqs, 2)
        assert report["sent_seq"] == seqs
        assert (report["acked"], report["refused"], report["dropped"]) == (1, 0, 0)

    in_a_world(kind, play, tiny, service, port)
    assert [m.power_kw for m in heard] == pytest.approx([-80, 60, -20] * 2)
    assert heard[1].setpoint_seq == 4
    assert heard[5].import_wh == 666


@both
@pytest.mark.usefixtures("broker")
def test_a_day_in_lockstep_is_traded_settled_and_comparable_with_doing_nothing(
    kind: Any, tiny: Any, service: Any, port: int
) -> None:
    start = "2025-12-01T23:00:00Z"
    service.bids[start] = [
        {
            "bid_id": "b",
            "start": start,
            "end": "2025-12-01T23:15:00Z",
            "side": "buy",
            "offer": {
                "form": "curve_step",
                "steps": [{"quantity_mw": "0.1", "price_per_mwh": "4000"}],
            },
        }
    ]
    step = 15 * MINUTE

    async def play(world: AnyWorld) -> None:
        now = OPENED
        while now < MIDNIGHT + 2 * HOUR:
            if now == MIDNIGHT:
                await send(port, 1, 50, now, HOUR)
            now += step
            await world.advance(now, {"bess": 1} if now > MIDNIGHT else {})
            while world.next_trade() <= now:
                await world.trade(world.next_trade())
        span = Interval(MIDNIGHT, MIDNIGHT + 2 * HOUR)
        ours, nothing = await world.trajectory(span), await world.rollout(span)
        assert ours.power_kw[1] == pytest.approx([50] * 4 + [0] * 4)
        assert nothing.power_kw[1] == pytest.approx([0] * 8)
        # Midnight in Stockholm is 23:00 UTC; the run starts half an hour later.
        assert nothing.power_kw[2] == pytest.approx([0, 0, -40, -20, 0, 0, 0, 0])
        report = await world.report()
        # 0.1 MW bought twice for a quarter-hour, day ahead at 50; 30 kW drawn on average.
        assert report["totals"]["day_ahead"] == "-1.25"
        booked = [entry for entry in report["bookings"] if entry[2] == MIDNIGHT]
        assert [entry[0] for entry in booked] == ["day_ahead", "quarter_hour", "imbalance"]
        assert Decimal(booked[2][3]) == Decimal("0.0425")
        assert len(report["trajectory"]["power_kw"][0]) == 60
        assert len(report["prices"]["short"]) == 60
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{world.venue_url}/bid-sets/se3-day-ahead/unit-1/{start}") as answer,
        ):
            assert await answer.json() == {"status": "cleared"}

    in_a_world(kind, play, tiny, service, port)
    assert len(service.awards) == 1 + 9  # the day, and the quarter-hours from 00:00 to 02:00


@both
@pytest.mark.usefixtures("broker")
def test_errors_and_snapshots_are_the_same_on_both_sides_of_a_pipe(
    kind: Any, tiny: Any, service: Any, port: int
) -> None:
    async def play(world: AnyWorld) -> None:
        span = Interval(OPENED, OPENED + HOUR)
        with pytest.raises(DataError, match="whole steps"):
            await world.advance(OPENED - MINUTE, {})
        with pytest.raises(DataError, match="no state was kept"):
            await world.rollout(Interval(OPENED + HOUR, OPENED + 2 * HOUR))
        snapshot = await world.snapshot()
        await world.advance(span.end, {})
        first = await world.trajectory(span)
        await world.restore(snapshot)
        await world.advance(span.end, {})
        again = await world.trajectory(span)
        assert np.array_equal(first.power_kw, again.power_kw)

    in_a_world(kind, play, tiny, service, port)


@both
@pytest.mark.usefixtures("broker")
def test_on_a_wall_clock_the_world_lives_by_itself(
    kind: Any, tiny: Any, service: Any, port: int
) -> None:
    async def play(world: AnyWorld) -> None:
        stop = asyncio.Event()
        clock = WallClock(start=OPENED, speed=3600)
        running = asyncio.create_task(world.run(clock, stop, 60.0))
        async with asyncio.timeout(PATIENCE_S):
            while "price.imbalance-long.se3" not in service.series:
                await asyncio.wait({running}, timeout=0.02)
                assert not running.done()
        stop.set()
        await running
        report = await world.report()
        assert report["now"] > OPENED + 15 * MINUTE
        assert report["published"]["hall"] == report["sent_seq"]["hall"] > 0

    in_a_world(kind, play, tiny, service, port)


@pytest.mark.usefixtures("broker")
def test_a_command_that_never_comes_is_named(
    tiny: Any, service: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpp.simulate.devicelinks.COMMANDS_S", 0.2)

    async def play(world: AnyWorld) -> None:
        with pytest.raises(UnavailableError, match="device bess: has command 0, expected 3"):
            await world.advance(OPENED + MINUTE, {"bess": 3})

    in_a_world(World, play, tiny, service, port)


def test_a_simulated_clock_cannot_cross_the_pipe(tiny: Any, port: int) -> None:
    world = RemoteWorld(a_spec(tiny, port, "http://127.0.0.1:9"))
    with pytest.raises(DataError, match="cannot be shared"):
        asyncio.run(world.run(SimulatedClock(OPENED).seat("devices"), asyncio.Event(), 60.0))


@pytest.mark.usefixtures("broker")
def test_a_world_that_is_killed_says_so_to_whoever_waits(
    tiny: Any, service: Any, port: int
) -> None:
    async def play(world: AnyWorld) -> None:
        assert isinstance(world, RemoteWorld)
        waiting = asyncio.create_task(world.advance(OPENED + MINUTE, {"bess": 1}))
        await asyncio.sleep(0)
        assert world.pid is not None
        os.kill(world.pid, signal.SIGKILL)
        with pytest.raises(UnavailableError, match="ended with -9"):
            await waiting
        with pytest.raises(UnavailableError, match="ended with -9"):
            await world.report()

    in_a_world(RemoteWorld, play, tiny, service, port)


def test_a_world_that_cannot_start_gives_its_reason_and_leaves_nothing_behind(
    tiny: Any, service: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        world = RemoteWorld(
            a_spec(
                tiny,
                port,
                "http://127.0.0.1:9",
                opened_at=OPENED + MINUTE / 2,
            )
        )
        with pytest.raises(UnavailableError, match="Open at a whole step"):
            await world.start()
        await world.stop()

    asyncio.run(run())


def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "vpp.simulate"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        print(child.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    parent = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    child = int(parent.stdout)

    assert parent.returncode == -signal.SIGKILL
    give_up = wall.monotonic() + PATIENCE_S
    while alive(child):
        assert wall.monotonic() < give_up, "the child outlives its parent"
        os.sched_yield()


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
