"""A laboratory: broker, devices and market are held by the test; only the service dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import aiomqtt
import pytest

from adapters.broker_process import PrivateBroker
from tests.chaos.httpproxy import HttpProxy
from tests.patience import PATIENCE_S
from vpp.clock import WallClock
from vpp.model.time import isoformat
from vpp.service.http import reserved_port
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.wiring import BrokerDoor, open_broker
from vpp.simulate.market import SeriesIds, VenueTimes
from vpp.simulate.world import World, WorldSpec

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
START = datetime(2025, 12, 2, 10, 20, tzinfo=UTC)
"""11:20 in Stockholm: before the day-ahead gate, and forty minutes before the unit trades."""

SERIES = SeriesIds(
    unit="EUR/MWh",
    day_ahead="price.day-ahead.se3",
    quarter_hour="price.quarter-hour.se3",
    short="price.imbalance-short.se3",
    long="price.imbalance-long.se3",
)
MINUTE = timedelta(minutes=1)

TIMES = VenueTimes(ask_rolling_before=8 * MINUTE)
"""Time enough before a gate for a service that dies over one request again and again."""


@dataclass(kw_only=True)
class Death:
    """One kill, and how long it was until the service steered again."""

    point: str
    at: datetime
    seen_s: float
    """Wall time, on an arbitrary scale."""

    recovered_s: float | None = None


@dataclass(kw_only=True)
class Lab:
    """One park, its market, and whatever service lives at the moment."""

    file: ParkFile
    folder: Path
    world: World
    spec: WorldSpec
    """What `world` is made of."""

    proxy: HttpProxy
    door: BrokerDoor
    venue_url: str
    port: int
    fork: Callable[[str], None] | None
    """Starts a daemon by fork; None starts a new interpreter each time."""

    now: datetime = START
    deaths: list[Death] = field(default_factory=list)
    commands: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every command that the broker carried: device and message."""

    state: str = ""
    away: bool = False
    """The broker is dead: nobody is heard, and no command arrives."""

    seqs: dict[str, int] = field(default_factory=dict)
    """The newest message of each device, as it was sent."""

    at_turn: Callable[[Lab], None] | None = None
    """Called before each word to go on."""

    _arrivals: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=asyncio.Queue
    )
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _process: asyncio.subprocess.Process | None = None
    _ahead: bytes = b""
    _turns: int = 0
    _pid: int = 0
    _armed: str = ""
    _trade: asyncio.Task[None] | None = None
    _began: asyncio.Task[None] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """The market's books, as they are on disk."""
        lines = (self.folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def service(self) -> str:
        """Where the living service answers, past the proxy."""
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------ life and death

    async def start(
        self, point: str = "", hits: int = 1, *, own_solver: bool = False, speed: float = 0.0
    ) -> None:
        """Start a daemon on the same folder, armed to die at `point`; with a `speed` nobody leads it."""
        address = self.door.access.address()
        text = json.dumps(
            {
                "park": str(HERE / "park.yaml"),
                "data": str(self.data),
                "socket": str(self.folder / "leash"),
                "broker_host": address.host,
                "broker_port": address.port,
                "broker_user": address.username,
                "broker_password": address.password,
                "venue_url": self.venue_url,
                "port": self.port,
                "began": isoformat(START),
                "start": isoformat(self.now),
                "point": point,
                "hits": hits,
                "own_solver": own_solver,
                "speed": speed,
            }
        )
        self._armed = point
        if self._process is not None:
            await self._process.wait()
        if self.fork is not None:
            self.fork(text)
        else:
            (self.folder / "spec.json").write_text(text, encoding="utf-8")
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(HERE / "daemon.py"),
                str(self.folder / "spec.json"),
                env=_environment(),
            )
        self._line = await asyncio.wait_for(self._arrivals.get(), PATIENCE_S)
        self._turns = 0

    def kill(self) -> None:
        """SIGKILL to the daemon, wherever it stands."""
        self._armed = "anywhere"
        os.kill(self._pid, signal.SIGKILL)

    async def free(self, speed: float) -> WallClock:
        """Start a daemon that nobody leads; a clock that goes with its own."""
        await self.start(speed=speed)
        told = json.loads(await self._word())
        self._pid = told["pid"]
        return WallClock(start=datetime.fromisoformat(told["at"]), speed=speed)

    def signal(self, number: signal.Signals) -> None:
        """To the daemon."""
        os.kill(self._pid, number)

    async def minute(self) -> bool:
        """Let a minute pass; False where the daemon died meanwhile, and time stands a minute later."""
        assert self._line is not None
        _, writer = self._line
        line, self._ahead = self._ahead or await self._word(), b""
        if not line:
            return self._died()
        told = json.loads(line)
        self._pid, self.state = told["pid"], told["state"]
        self.now = datetime.fromisoformat(told["at"])
        self._turns += 1
        if self._turns > 1 and self.deaths and self.deaths[-1].recovered_s is None:
            assert self.state == "normal", f"after a restart: {self.state}: {told['reason']}"
            self.deaths[-1].recovered_s = perf_counter() - self.deaths[-1].seen_s
        heard: dict[str, int] = {}
        if self._began is None:
            self._began = asyncio.create_task(self.world.start())
        elif self._turns > 1 or self._began.done():
            await self._began
            self.seqs = await self.world.advance(self.now, {} if self.away else told["sent"])
            heard = {} if self.away else self.seqs
            if not await self._market():
                return self._died()
        if self.at_turn is not None:
            self.at_turn(self)
        try:
            writer.write(json.dumps({"heard": heard}).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return self._died()
        return True

    async def _word(self) -> bytes:
        """What the daemon says next; nothing where it is dead."""
        assert self._line is not None
        try:
            return await asyncio.wait_for(self._line[0].readline(), PATIENCE_S)
        except ConnectionError:
            return b""

    async def until(self, moment: datetime) -> None:
        """Let time pass until `moment`; the daemon must live."""
        while self.now < moment:
            assert await self.minute(), f"died at {self.now}"

    async def die_at(self, point: str, hits: int = 1, *, within: timedelta) -> None:
        """Start a daemon that is to die at `point`, and let it."""
        latest = self.now + within
        await self.start(point, hits)
        while await self.minute():
            assert self.now < latest, f"{point} was not reached"

    async def lose_broker(self) -> None:
        """SIGKILL to the broker; return when the service has noticed."""
        assert isinstance(self.door.broker, PrivateBroker)
        assert self.door.broker.pid is not None
        self._ahead = self._ahead or await self._word()  # it has heard all that was sent so far
        os.kill(self.door.broker.pid, signal.SIGKILL)
        self.away = True
        async with asyncio.timeout(PATIENCE_S):
            while "broker" not in await self.not_ready():  # noqa: ASYNC110  asked as an operator would
                await asyncio.sleep(0.01)

    async def find_broker(self) -> None:
        """Start the broker again; return when service and gateways are there."""
        gone = (await self.world.report())["connects"]
        await self.door.broker.start()
        async with asyncio.timeout(PATIENCE_S):
            while (await self.world.report())["connects"] < gone + len(self.file.park.enterprises):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while "broker" in await self.not_ready():  # noqa: ASYNC110  asked as an operator would
                await asyncio.sleep(0.01)
        self.away = False

    async def not_ready(self) -> set[str]:
        """What the living service names as a reason why it is not ready."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.service}/readyz") as answer,
        ):
            told = await answer.json(content_type=None)
            return {reason["path"] for reason in told.get("errors", ())}

    async def in_force(self) -> dict[str, Any]:
        """The set-point of each device that has not ended."""
        plain = await self.world.snapshot()
        orders = {name: device["_in_force"] for name, device in plain["devices"].items()}
        return {name: o for name, o in orders.items() if o and o[2] > plain["taken_at"]}

    async def stop(self) -> None:
        """Let the daemon end by itself."""
        if self._line is not None:
            reader, writer = self._line
            writer.close()
            while await reader.readline():
                pass
            self._line = None
            async with asyncio.timeout(PATIENCE_S):
                while _lives(self._pid):  # noqa: ASYNC110  a forked one is no child of ours
                    await asyncio.sleep(0.01)
        if self._process is not None:
            await self._process.wait()
            self._process = None

    async def _market(self) -> bool:
        """Let the market do what is due; False where the daemon dies over it.

        A daemon answers from its second turn on. What was asked of its predecessor is asked again.
        """
        if self._trade is None:
            self._trade = asyncio.create_task(self.world.trade(self.now))
        if self._turns == 1 and self.deaths:
            return True
        assert self._line is not None
        ended = asyncio.create_task(_ended(self._line[0]))
        try:
            await asyncio.wait({self._trade, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return False
        finally:
            ended.cancel()
        self._trade.result()
        self._trade = None
        return True

    def _died(self) -> bool:
        assert self._armed, f"the daemon died at {self.now}, and was not told to"
        assert self._turns, "the daemon ended before it stood"
        self.deaths.append(Death(point=self._armed, at=self.now, seen_s=perf_counter()))
        assert self._line is not None
        self._line[1].close()
        self._armed, self._line = "", None
        self.now += MINUTE
        return False


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.split()[0] != "Z"


async def _ended(reader: asyncio.StreamReader) -> None:
    """Return when the other side is gone; it says nothing before it is told to."""
    while not (reader.at_eof() or reader.exception()):  # noqa: ASYNC110  reading would take its word away
        await asyncio.sleep(0.005)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def nursery() -> Iterator[Callable[[str], None]]:
    """Forks daemons from a process that has imported everything."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "daemon.py")], stdin=subprocess.PIPE, env=_environment()
    ) as process:

        def fork(spec: str) -> None:
            assert process.stdin is not None
            process.stdin.write(spec.encode() + b"\n")
            process.stdin.flush()

        yield fork
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def chaos_park() -> ParkFile:
    return load_park(HERE / "park.yaml")


Laboratory = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture
def laboratory(nursery: Callable[[str], None], chaos_park: ParkFile, tmp_path: Path) -> Laboratory:
    """`async with laboratory() as lab:`; no daemon runs yet."""

    @asynccontextmanager
    async def open_lab(*, forked: bool = True, embedded: bool = True) -> AsyncIterator[Lab]:
        assert chaos_park.simulation is not None
        async with AsyncExitStack() as stack:
            door = await stack.enter_async_context(
                open_broker(None, chaos_park.park, embedded=embedded)
            )
            port, venue_port = (stack.enter_context(reserved_port()) for _ in range(2))
            proxy = await stack.enter_async_context(HttpProxy(port, patience_s=PATIENCE_S))
            spec = WorldSpec(
                park=chaos_park.park,
                scenario=chaos_park.simulation,
                brokers={
                    e.enterprise_id: door.gateway(e.enterprise_id)
                    for e in chaos_park.park.enterprises
                },
                service_url=proxy.url,
                seed=1,
                opened_at=START,
                series=SERIES,
                times=TIMES,
                ledger_path=tmp_path / "ledger.jsonl",
                venue_port=venue_port,
            )
            world = World(spec)
            lab = Lab(
                file=chaos_park,
                folder=tmp_path,
                world=world,
                spec=spec,
                proxy=proxy,
                door=door,
                venue_url=f"http://127.0.0.1:{venue_port}",
                port=port,
                fork=nursery if forked else None,
            )
            lab.data.mkdir()
            arrivals = lab._arrivals
            leash = await asyncio.start_unix_server(
                lambda reader, writer: arrivals.put_nowait((reader, writer)), tmp_path / "leash"
            )
            listening = asyncio.create_task(_record_commands(lab))
            try:
                yield lab
            finally:
                await lab.stop()
                listening.cancel()
                if lab._trade is not None:
                    lab._trade.cancel()
                await world.stop()
                leash.close()
                await asyncio.gather(listening, return_exceptions=True)

    return open_lab


async def _record_commands(lab: Lab) -> None:
    address = lab.door.access.address()
    while True:
        with suppress(aiomqtt.MqttError):  # a broker that a test has killed
            async with aiomqtt.Client(
                address.host, address.port, username=address.username, password=address.password
            ) as client:
                await client.subscribe("vpp/v1/+/+/+/cmd", qos=1)
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    command = json.loads(message.payload)
                    lab.commands.append((str(message.topic).split("/")[4], command))
        await asyncio.sleep(0.05)
