"""`vpp run`: the service for a live park, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import structlog

from vpp.clock import WallClock
from vpp.service.http import serve
from vpp.service.loops import loops_of
from vpp.service.outerfaces import serve_outside
from vpp.service.park.parkfile import ParkFile
from vpp.service.run import keep_start, run
from vpp.service.runnable import require_real_market, require_runnable
from vpp.service.security import require_loopback
from vpp.service.wiring import open_broker, open_plant

MOST_GRACE = timedelta(seconds=45)
"""Of a plan under way when we are told to stop. One of a fleet may take a quarter of an hour, in which nobody is
steered any more; systemd and Docker (`deploy/`) would end us before."""

log = structlog.get_logger("vpp")


async def run_daemon(
    file: ParkFile,
    *,
    data: Path,
    host: str,
    port: int,
    broker_url: str | None,
    venue_url: str | None,
    seed: int,
) -> None:
    """Serve `file` until SIGTERM or SIGINT; what is opened is closed in reverse, the broker last.

    Raises:
        ConfigError: A bind beyond loopback, a port in use, a folder that cannot be used, or a park whose
            market is simulated, or that names no day-ahead market or no bidding unit.
        UnavailableError: Broker, journal or solver do not come up.
    """
    require_loopback(host)
    require_real_market(file)
    require_runnable(file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = WallClock()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_broker(broker_url, file.park, embedded=False))
        opened = await stack.enter_async_context(
            open_plant(
                file,
                clock=clock,
                seed=seed,
                data=data,
                broker=broker.access.address(),
                venue_url=venue_url,
            )
        )
        address = await stack.enter_async_context(serve(opened.plant, host=host, port=port))
        outside = await stack.enter_async_context(serve_outside(opened.plant))
        log.warning("serving", park=file.park.park_id, address=address, **outside)
        keep_start()
        grace = min(timedelta(seconds=file.most_plan_s + 5), MOST_GRACE)
        await run(loops_of(opened.plant, lambda _: clock), stop, grace=grace)
