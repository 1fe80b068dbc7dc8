"""`vpp simulate`: simulations for others, and no park of one's own.

A demo ends with its span, and a live park must not share its event loop with thirty simulated days. So
whoever writes a market simulator gets a service that does nothing else, until it is told to stop.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

from vpp.clock import WallClock
from vpp.service.api.face import build_simulators_api
from vpp.service.http import serve_app
from vpp.service.park.schema import SimulatorSettings
from vpp.service.run import keep_start
from vpp.service.simulations.desk import SimulationDesk

log = structlog.get_logger("vpp")


async def serve_simulations(
    settings: SimulatorSettings, *, parks: Path | None, host: str, port: int
) -> None:
    """Serve until SIGTERM or SIGINT; every simulation ends with it.

    Raises:
        ConfigError: A bind beyond loopback, or a port in use.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    desk = SimulationDesk(settings, parks=parks, clock=WallClock())
    async with serve_app(build_simulators_api(desk), host=host, port=port) as address:
        log.warning("serving simulations", address=address)
        keep_start()
        await stop.wait()
