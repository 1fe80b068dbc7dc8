"""Telemetry through a real Mosquitto: how much of it a second on one core, at what cost, how late.

    sender ─▶ Mosquitto ─▶ link ─▶ listen: decode, validate, newest, means, historian        one core
    (the other core: sender, broker, and the solver where one runs)

- the hot path: the daemon's own link and loop; one message in 50 is nonsense, which must not enter
- the plain path: aiomqtt's own loop in the place of the link, all else the same
- bare loops of our wire, aiomqtt, gmqtt and amqtt that only count, each in a process of its own (`make peers`)
- a thousand devices once a second while the solver works without a pause

Everything goes at QoS 1; the broker is the private one of `vpp run`, and its settings are among the figures.
What was lost is what the broker confirmed to the sender and the service never had.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from random import Random
from time import perf_counter, process_time

import aiomqtt

from adapters.broker_process import BrokerAccess
from adapters.brokers import (
    MAX_INFLIGHT_MESSAGES,
    MAX_QUEUED_MESSAGES,
    MosquittoBroker,
    find_mosquitto,
)
from adapters.memory_journal import MemoryJournal
from adapters.mqtt_link import MqttLink
from adapters.sqlite_telemetry import SqliteTelemetry
from benchmarks._fieldpark import field_park
from benchmarks._fieldsender import Orders
from benchmarks._park import NoLink, a_park, its_problem
from benchmarks.harness import ROOT, BrokenBenchmarkError, Figure, percentile
from vpp.clock import WallClock
from vpp.model.measurement import Measurement
from vpp.model.schedule import Unsolved
from vpp.plan.problem import Problem
from vpp.ports import MessageSource
from vpp.service.links.wiring import homes_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.run import keep_start, listen, probe_lag, take
from vpp.service.solving.executor import ProcessExecutor
from vpp.service.wiring import build_plant
from vpp.wire import topic

NOON = time(12)
LIMIT_S = 120.0
POLL_S = 0.02
PEERS = ("vpp", "aiomqtt", "gmqtt", "amqtt")
NOT_RUN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    devices: int
    flood: int
    peer: int
    seconds: int
    """Of the paced run."""


FULL = Size(devices=1000, flood=100_000, peer=40_000, seconds=60)
SMALL = Size(devices=20, flood=600, peer=300, seconds=1)


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the plant took, and when."""

    delays_s: deque[float] = field(default_factory=lambda: deque(maxlen=500_000))
    began: tuple[float, float] | None = None
    """Wall and processor at the first message."""

    def note(self, measurement: Measurement) -> None:
        """A measurement is in the state."""
        if self.began is None:
            self.began = perf_counter(), process_time()
        self.delays_s.append((datetime.now(UTC) - measurement.measured_at).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run."""

    per_s: float
    cpu_us: float
    lost: int
    wrongly_accepted: int


def figures(*, small: bool) -> Sequence[Figure]:
    """All of the above.

    Raises:
        BrokenBenchmarkError: There is no Mosquitto, or a process failed.
    """
    size = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="vpp-ingest-") as folder:
        problem = its_problem(a_park(NOON, Path(folder)).plant)
        return asyncio.run(_figures(size, Path(folder), problem))


async def _figures(size: Size, folder: Path, problem: Problem) -> list[Figure]:
    here, there = _cores()
    file = field_park(size.devices, folder)
    async with _mosquitto(file, there) as access:
        lab = _Lab(file=file, folder=folder, access=access, core=there)
        if here is not None:
            os.sched_setaffinity(0, {here})
        hot = await _flood(lab, size, _by_link)
        plain = await _flood(lab, size, _by_aiomqtt)
        paced = await _paced(lab, size, problem)
        peers = [await _peer(lab, name, size, here) for name in PEERS]
    return [
        Figure(name="ingest_msgs_per_s", measured=hot.per_s, unit="messages/s", at_least=20_000),
        Figure(name="ingest_plain_aiomqtt_msgs_per_s", measured=plain.per_s, unit="messages/s", at_least=12_000),
        Figure(name="ingest_lost", measured=hot.lost + plain.lost, at_least=0, at_most=0),
        Figure(name="ingest_invalid_accepted", measured=hot.wrongly_accepted + plain.wrongly_accepted, at_least=0, at_most=0),
        Figure(name="ingest_cpu_us", measured=hot.cpu_us, unit="µs"),
        Figure(name="ingest_plain_aiomqtt_cpu_us", measured=plain.cpu_us, unit="µs"),
        *peers,
        *paced,
        Figure(name="mosquitto max_inflight_messages", measured=MAX_INFLIGHT_MESSAGES),
        Figure(name="mosquitto max_queued_messages", measured=MAX_QUEUED_MESSAGES),
    ]  # fmt: skip


def _cores() -> tuple[int | None, int | None]:
    """The core for the service, and the one for the others; None where there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    return (mine[0], mine[1]) if len(mine) > 1 else (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lab:
    """What all runs share."""

    file: ParkFile
    folder: Path
    access: BrokerAccess
    core: int | None
    """Of the sender."""

    def orders(self, messages: int, **others: bool) -> Orders:
        """So many messages of all batteries of the first enterprises, as one who may speak for all."""
        owner = self.file.park.device_owner
        topics = [
            topic(*owner[resource.resource_id], resource.resource_id, "telemetry")
            for resource in self.file.park.resources
        ]
        address = self.access.address()
        assert address.username is not None
        assert address.password is not None
        return Orders(
            port=address.port,
            user=address.username,
            password=address.password,
            topics=topics,
            messages=messages,
            core=self.core,
            **others,
        )


@asynccontextmanager
async def _mosquitto(file: ParkFile, core: int | None) -> AsyncIterator[BrokerAccess]:
    program = find_mosquitto()
    if program is None:
        raise BrokenBenchmarkError("no mosquitto: make system")
    enterprises = [enterprise.enterprise_id for enterprise in file.park.enterprises]
    broker = MosquittoBroker(enterprises, program=program)
    async with broker as access:
        if core is not None and broker.pid is not None:
            os.sched_setaffinity(broker.pid, {core})
        yield access


# ---------------------------------------------------------------- as much as goes

Read = Callable[[_Lab, Plant, AsyncExitStack], Awaitable[asyncio.Task[None]]]


async def _flood(lab: _Lab, size: Size, read: Read) -> Result:
    """All at once, one in 50 of them nonsense."""
    heard = Heard()
    orders = replace(lab.orders(size.flood), nonsense_every=50)
    nonsense = size.flood // 50
    async with AsyncExitStack() as stack:
        plant = await _plant(lab, heard, stack)
        await read(lab, plant, stack)
        keep_start()
        sender = await _start_sender(orders)
        await _until(lambda: plant.intake.received >= size.flood)
        wall, cpu = perf_counter(), process_time()
        await _facts(sender)
    if heard.began is None:
        raise BrokenBenchmarkError("nothing was heard")
    return Result(
        per_s=size.flood / (wall - heard.began[0]),
        cpu_us=1e6 * (cpu - heard.began[1]) / size.flood,
        lost=size.flood - nonsense - plant.intake.accepted,
        wrongly_accepted=nonsense - sum(plant.intake.refused.values()),
    )


async def _plant(lab: _Lab, heard: Heard, stack: AsyncExitStack) -> Plant:
    """A plant with a historian on disk, as the daemon has; it tells `heard` of every measurement."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=lab.folder)))
    historian = await stack.enter_async_context(SqliteTelemetry(folder / "telemetry.sqlite"))

    def record(measurement: Measurement) -> bool:
        heard.note(measurement)
        return historian.add(measurement)

    link = NoLink(datetime.now(UTC))
    return build_plant(
        lab.file,
        clock=WallClock(),
        data=folder,
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=await stack.enter_async_context(ProcessExecutor()),
        record=record,
    )


async def _by_link(lab: _Lab, plant: Plant, stack: AsyncExitStack) -> asyncio.Task[None]:
    """The daemon's way in."""
    link = MqttLink(
        lab.access.address(),
        homes_of(lab.file.park),
        client_id="benchmark-service",
        now=plant.clock.now,
        jitter=Random(1),
    )
    await stack.enter_async_context(link)
    await link.wait_until(connected=True)
    source: MessageSource = link
    plant.source = source
    return await _task(listen(plant, asyncio.Event()), stack)


async def _by_aiomqtt(lab: _Lab, plant: Plant, stack: AsyncExitStack) -> asyncio.Task[None]:
    """What one would write first."""
    address = lab.access.address()
    client = await stack.enter_async_context(
        aiomqtt.Client(
            address.host, address.port, username=address.username, password=address.password
        )
    )
    await client.subscribe("vpp/v1/+/+/+/telemetry", qos=1)

    async def read() -> None:
        async for message in client.messages:
            take(plant, message.topic.value, message.payload)

    return await _task(read(), stack)


async def _task(work: Awaitable[None], stack: AsyncExitStack) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task


# ---------------------------------------------------------------- once a second, beside the solver


async def _paced(lab: _Lab, size: Size, problem: Problem) -> list[Figure]:
    heard, stop = Heard(), asyncio.Event()
    messages = size.devices * size.seconds
    async with AsyncExitStack() as stack:
        plant = await _plant(lab, heard, stack)
        await _by_link(lab, plant, stack)
        solves = 0

        async def solve() -> None:
            nonlocal solves
            while True:
                if isinstance(outcome := await plant.executor.solve(problem, hard_s=60), Unsolved):
                    raise BrokenBenchmarkError(f"no plan: {outcome.reason}")
                solves += 1

        solving = await _task(solve(), stack)
        await _task(probe_lag(plant, stop), stack)
        keep_start()
        sender = await _start_sender(lab.orders(messages, paced=True))
        await _until(lambda: plant.intake.received >= messages)
        if solving.done():
            solving.result()
        facts = await _facts(sender)
    delays_ms = [1000 * seconds for seconds in heard.delays_s]
    lags_ms = [1000 * seconds for seconds in plant.lag_s]
    return [
        Figure(name="paced_devices", measured=size.devices),
        Figure(name="paced_lost", measured=messages - plant.intake.accepted, at_least=0, at_most=0),
        Figure(name="paced_ingest_p99_ms", measured=percentile(delays_ms, 0.99), unit="ms", at_most=250),
        Figure(name="paced_ingest_p50_ms", measured=percentile(delays_ms, 0.5), unit="ms"),
        Figure(name="paced_loop_lag_p99_ms", measured=percentile(lags_ms, 0.99) if lags_ms else None, unit="ms", at_most=50),
        Figure(name="paced_sender_late_ms", measured=1000 * facts["late_s"], unit="ms"),
        Figure(name="paced_solves", measured=solves),
    ]  # fmt: skip


# ---------------------------------------------------------------- beside others


async def _peer(lab: _Lab, tool: str, size: Size, core: int | None) -> Figure:
    """Processor time a message of a bare loop; None where the tool is not here."""
    name = f"bare {tool}: cpu a message"
    address = lab.access.address()
    asked = {
        "port": address.port,
        "user": address.username,
        "password": address.password,
        "messages": size.peer,
        "core": core,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *(_interpreter(tool), "-m", "benchmarks._fieldsubscriber", tool, json.dumps(asked)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        return Figure(name=name, measured=None, unit="µs")
    try:
        async with asyncio.timeout(LIMIT_S):
            assert process.stdout is not None
            if await process.stdout.readline() != b"ready\n":
                if await process.wait() == NOT_RUN:
                    return Figure(name=name, measured=None, unit="µs")
                raise BrokenBenchmarkError(f"{tool} did not subscribe")
            sender = await _start_sender(lab.orders(size.peer))
            facts = json.loads(await process.stdout.readline())
            await _facts(sender)
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Figure(name=name, measured=1e6 * facts["cpu_s"] / facts["messages"], unit="µs")


def _interpreter(tool: str) -> str:
    if tool in ("vpp", "aiomqtt"):
        return sys.executable
    own = ROOT / ".venv-mqtt-peers" / "bin" / "python"
    return os.environ.get("VPP_MQTT_PEERS_PYTHON") or str(own)


async def _start_sender(orders: Orders) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks._fieldsender", orders.text()),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


async def _facts(sender: asyncio.subprocess.Process) -> dict[str, float]:
    said, _ = await sender.communicate()
    if sender.returncode:
        raise BrokenBenchmarkError("the sender failed, see stderr")
    facts: dict[str, float] = json.loads(said)
    return facts


async def _until(done: Callable[[], bool]) -> None:
    """Wait for what no event tells of, where an event for each message would be measured too."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return  # what is missing then is lost, and told as that
