"""A port that is kept for a server which comes later."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from vpp.service.http import reserved_port


def test_a_reserved_port_is_given_to_no_other_program_until_its_server_comes_and_goes() -> None:
    async def serve_twice(port: int) -> None:
        for _ in range(2):
            runner = web.AppRunner(web.Application())
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await runner.cleanup()

    with reserved_port() as port:
        given = set()
        for reuse in (0, 1):
            for _ in range(20_000):  # more than half of the ports that the kernel has to give
                with socket.socket() as other:
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
                    other.bind(("127.0.0.1", 0))
                    given.add(other.getsockname()[1])
        asyncio.run(serve_twice(port))

    assert len(given) > 10_000
    assert port not in given
