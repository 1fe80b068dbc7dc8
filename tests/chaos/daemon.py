"""A service on a leash, which kills itself at a named point: run by the tests of this folder.

    python daemon.py SPEC.json    one daemon, in this process
    python daemon.py              a nursery: for each line of stdin (a specification) it forks a daemon

The nursery imports once what takes a second or two to import, so that thirty restarts fit into a
minute. A daemon is the real plant (`open_plant`, `serve`, all loops) on a simulated clock. Before each
control period it tells the test over a socket where it stands, and waits for the word to go on:

    daemon ─▶ {"at", "pid", "sent", "state", "reason"}      test: devices live, publish; the market acts
    daemon ◀─ {"heard"}                           daemon: waits for these messages, then its cycles run
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from adapters.mqtt_life import BrokerAddress
from tests.patience import PATIENCE_S
from vpp.clock import SimulatedClock, WallClock
from vpp.model.time import isoformat, parse_utc
from vpp.service.demo.history import give_history
from vpp.service.forecasting.inline import InlineForecaster
from vpp.service.http import serve
from vpp.service.links import backfill
from vpp.service.loops import loops_of
from vpp.service.park.parkfile import load_park
from vpp.service.run import run, until_heard
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import Opened, open_plant

"""Wall time in which a published message must have arrived; only ever ends a broken run."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What one daemon is told."""

    park: str
    data: str
    socket: str
    """Unix socket of the test."""

    broker_host: str
    broker_port: int
    broker_user: str
    broker_password: str
    venue_url: str
    port: int
    began: str
    """When the first daemon of the run began: up to then the past is given."""

    start: str
    point: str = ""
    """Where to die; empty: nowhere."""

    hits: int = 1
    """At which arrival there."""

    speed: float = 0.0
    """So many times as fast as the wall, with nobody leading; 0: on the test's leash."""

    own_solver: bool = False
    """Whether to start the solver's process, as a live service does."""


def killer(point: str, hits: int) -> Callable[[str], None]:
    """Kill this process with SIGKILL when `point` is reached for the `hits`-th time."""
    seen: Counter[str] = Counter()

    def reach(name: str) -> None:
        seen[name] += 1
        if name == point and seen[name] == hits:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


async def live(spec: Spec) -> None:
    """Open everything as the service does, and go on as long as the test says so."""
    # It looks by the wall, where a minute of this laboratory takes a moment.
    backfill.LOOK_S = 0.05
    file = load_park(Path(spec.park))
    assert file.simulation is not None
    start = parse_utc(spec.start, where="start")
    by_wall = WallClock(start=start, speed=spec.speed) if spec.speed else None
    clock = SimulatedClock(start)
    reader, writer = await asyncio.open_unix_connection(spec.socket)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(
            open_plant(
                file,
                clock=by_wall or clock,
                seed=1,
                data=Path(spec.data),
                broker=BrokerAddress(
                    host=spec.broker_host,
                    port=spec.broker_port,
                    username=spec.broker_user,
                    password=spec.broker_password,
                ),
                venue_url=spec.venue_url,
                reach=killer(spec.point, spec.hits),
                executor=None if spec.own_solver else InlineExecutor(),
                forecaster=None if spec.own_solver else InlineForecaster(),
            )
        )
        plant = opened.plant
        give_history(plant, file.simulation, parse_utc(spec.began, where="began"))
        await opened.link.wait_until(connected=True)
        if by_wall is not None:
            await stack.enter_async_context(serve(plant, host="127.0.0.1", port=spec.port))
            await _free(reader, writer, opened, by_wall)
            return
        leash = clock.seat("leash")
        period = timedelta(seconds=file.control.period_s)

        async def led(stop: asyncio.Event) -> None:
            due = clock.now()
            while await leash.wait_until(due, stop):
                if due == clock.now() and plant.state is not None and not serving:
                    # A market that asks is answered when there is a plan, not before.
                    serving.append(
                        await stack.enter_async_context(
                            serve(plant, host="127.0.0.1", port=spec.port)
                        )
                    )
                order = await _ask(reader, writer, opened, due)
                if order is None:
                    stop.set()
                    return
                await until_heard(plant, order["heard"], timeout_s=PATIENCE_S)
                # A group of telemetry is a second of the wall; here that would be many minutes.
                await opened.historian.flush()
                due += period

        serving: list[str] = []
        loops = {"leash": led, **loops_of(plant, clock.seat)}
        async with asyncio.TaskGroup() as group:
            group.create_task(run(loops, stop, grace=timedelta(seconds=5)))
            group.create_task(clock.run(stop))


async def _free(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: Opened, clock: WallClock
) -> None:
    """Tell the test once what time it is here; live by the wall's clock until it hangs up."""
    told = {"at": isoformat(clock.now()), "pid": os.getpid()}
    writer.write(json.dumps(told).encode() + b"\n")
    await writer.drain()
    stop = asyncio.Event()

    async def until_hung_up(stop: asyncio.Event) -> None:
        await reader.read()
        stop.set()

    loops = {"leash": until_hung_up, **loops_of(opened.plant, lambda _: clock)}
    await run(loops, stop, grace=timedelta(seconds=5))


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: Opened, at: datetime
) -> dict[str, Any] | None:
    """Tell the test where we stand; its word to go on, None where it is over."""
    plant = opened.plant
    told = {
        "at": isoformat(at),
        "pid": os.getpid(),
        "sent": {name: setpoint.seq for name, setpoint in plant.setpoints.items()},
        "state": plant.safe_state.value,
        "reason": plant.safe_state_reason,
    }
    writer.write(json.dumps(told).encode() + b"\n")
    try:
        await writer.drain()
        line = await reader.readline()
    except ConnectionError:
        return None
    return json.loads(line) if line else None


def nursery() -> None:
    """Fork a daemon for each specification; children that have ended need no care."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(live(Spec(**json.loads(line))))
            finally:
                sys.stderr.flush()
            os._exit(0)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    )
    if len(sys.argv) > 1:
        asyncio.run(live(Spec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
    else:
        nursery()
