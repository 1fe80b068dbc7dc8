"""Serve an HTTP face on loopback: a plant's, or that of simulations alone."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from vpp.errors import ConfigError
from vpp.service.api.face import build_api
from vpp.service.plant import Plant
from vpp.service.security import require_loopback

SHUTDOWN_S = 2.0
"""Event streams never end by themselves; they are cut after this."""


@asynccontextmanager
async def serve(plant: Plant, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve a plant until the block is left; yields the address. Raises as `serve_app`."""
    async with serve_app(build_api(plant), host=host, port=port) as address:
        yield address


@asynccontextmanager
async def serve_app(app: web.Application, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block is left; yields the address, e.g. `http://127.0.0.1:8080`.

    Raises:
        ConfigError: The host is not loopback, or the port is taken.
    """
    require_loopback(host)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"port {port} cannot be used: {error.strerror or error}",
                where="--port",
                fix="Stop the other program, or choose another port",
            ) from error
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that the kernel gives to nobody else until the block is left.

    For a server whose address must be known before it listens. The socket here is bound and never
    listens: a server that sets SO_REUSEADDR, as aiohttp's do, can come and go beside it, and
    neither a search for a free port nor an outgoing connection is given this one meanwhile.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
