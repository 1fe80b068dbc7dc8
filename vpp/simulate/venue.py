"""The venue's one window: what it knows of a bid set, for a service that has lost its memory."""

from __future__ import annotations

from aiohttp import web

from vpp.errors import UnavailableError
from vpp.simulate.ledger import Ledger


class VenueServer:
    """`GET /bid-sets/{bid_set_id}` → `{"status": "received" | "cleared" | "unknown"}`, loopback only."""

    def __init__(self, ledger: Ledger, port: int = 0) -> None:
        """Make a server; port 0 takes any that is free."""
        self._ledger = ledger
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            UnavailableError: It does not listen (yet).
        """
        if self._runner is None or not self._runner.addresses:
            raise UnavailableError("not listening", where="VenueServer", fix="Call start() first")
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: The port is taken.
        """
        app = web.Application()
        # A bid set's id may hold slashes.
        app.router.add_get("/bid-sets/{bid_set_id:.+}", self._status)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError as error:
            await self.stop()
            raise UnavailableError(
                str(error), where=f"venue port {self._port}", fix="Give a free port, or 0"
            ) from error

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response({"status": self._ledger.status(request.match_info["bid_set_id"])})
