"""`vpp run`: the service for a live park, until it is told to stop."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import structlog

from adapters.brokers import choose_broker
from vpp.clock import WallClock
from vpp.service.http import serve
from vpp.service.loops import loops_of
from vpp.service.parkfile import ParkFile
from vpp.service.run import run
from vpp.service.security import require_loopback
from vpp.service.wiring import open_plant

log = structlog.get_logger("vpp")


async def run_daemon(
    file: ParkFile,
    stop: asyncio.Event,
    stack: AsyncExitStack,
    *,
    data: Path,
    host: str,
    port: int,
    broker_url: str | None,
    venue_url: str | None,
    seed: int,
) -> None:
    """Serve `file` until `stop` is set; what is opened is closed with `stack`, broker last.

    Raises:
        ConfigError: A bind beyond loopback, a port in use, a folder that cannot be used.
        UnavailableError: Broker, journal or solver do not come up.
    """
    require_loopback(host)
    clock = WallClock()
    enterprises = [e.enterprise_id for e in file.park.enterprises]
    broker = choose_broker(broker_url, enterprises, prefer="auto")
    access = await broker.start()
    stack.push_async_callback(broker.stop)
    opened = await stack.enter_async_context(
        open_plant(
            file,
            clock=clock,
            seed=seed,
            data=data,
            broker=access.address(),
            venue_url=venue_url,
        )
    )
    address = await stack.enter_async_context(serve(opened.plant, host=host, port=port))
    log.warning("serving", park=file.park.park_id, address=address, broker_port=access.port)
    grace = timedelta(seconds=file.planning.hard_s + 5)
    await run(loops_of(opened.plant, lambda _: clock), stop, grace=grace)
