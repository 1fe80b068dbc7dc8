"""A venue's door on a socket, loopback only: it answers, is late, hangs up, or is not there at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from vpp.errors import UnavailableError
from vpp.simulate.venuedoor import Asked, HungUp, VenueDoor

MOST_BYTES = 4_000_000


class VenueServer:
    """Serves a `VenueDoor` over HTTP."""

    def __init__(
        self,
        door: VenueDoor,
        port: int = 0,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Make a server; port 0 takes any that is free. `pause` is how a late answer waits."""
        self._door = door
        self._port = port
        self._pause = pause
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Where it listens, or did before it went away.

        Raises:
            UnavailableError: It has not listened yet.
        """
        if self._url is None:
            raise UnavailableError("not listening", where="VenueServer", fix="Call start() first")
        return self._url

    async def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: The port is taken.
        """
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)  # an id may hold slashes
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await self.come_back()
        except UnavailableError:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = self._site = None

    async def go_away(self) -> None:
        """Refuse connections until `come_back`."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def come_back(self) -> None:
        """Listen again, at the same address. Raises as `start`."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        try:
            await self._site.start()
        except OSError as error:
            raise UnavailableError(
                str(error), where=f"venue port {self._port}", fix="Give a free port, or 0"
            ) from error
        self._port = self._runner.addresses[0][1]
        self._url = f"http://127.0.0.1:{self._port}"

    async def _answer(self, request: web.Request) -> web.Response:
        asked = Asked(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            authorization=request.headers.get("Authorization", ""),
            body=await request.read(),
        )
        answer = self._door.answer(asked)
        if isinstance(answer, HungUp):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # nobody hears it
        if answer.after_s:
            await self._pause(answer.after_s)
        return web.Response(
            status=answer.status,
            body=answer.body,
            content_type=answer.content_type,
            headers=dict(answer.headers),
        )
