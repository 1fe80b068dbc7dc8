"""A dispatch centre for tests: the controlling side of our own line, which keeps what it hears."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from adapters.iec104_asdu import Asdu, Cause, Element, Type, command
from adapters.iec104_line import Line
from adapters.iec104_station import Operate, Station
from vpp.model.telecontrol import LinkTiming, StationSpec

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Dispatcher:
    """Connects, starts, asks and listens."""

    def __init__(self, timing: LinkTiming | None = None) -> None:
        self.heard: list[Asdu] = []
        self.gone: str | None = None
        self._timing = timing or LinkTiming()
        self._out: deque[bytes] = deque()
        self._news = asyncio.Event()
        self.line: Line | None = None

    async def connect(self, port: int, *, starts: bool = True) -> None:
        def line() -> Line:
            return Line(
                self._timing,
                ZONE,
                controlling=starts,
                made=lambda _: True,
                take=lambda _, asdu: self._take(asdu),
                give=lambda _: self._out.popleft() if self._out else None,
                turned=lambda _: self._news.set(),
                lost=self._lost,
            )

        _, self.line = await asyncio.get_running_loop().create_connection(line, "127.0.0.1", port)

    def _take(self, asdu: Asdu) -> None:
        self.heard.append(asdu)
        self._news.set()

    def _lost(self, line: Line, why: str) -> None:
        self.gone = why
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._news.clear()
            await self._news.wait()

    async def started(self) -> None:
        assert self.line is not None
        await self.until(lambda: self.line is not None and self.line.session.started)

    async def ended(self) -> None:
        await self.until(lambda: self.gone is not None)

    def says(self, asdu: Asdu) -> None:
        assert self.line is not None
        self._out.append(asdu.octets())
        self.line.pump()

    async def asks(
        self, kind: Type, element: Element, cause: Cause = Cause.ACTIVATION, station: int = 1
    ) -> Asdu:
        """Send a command; the first answer to it."""
        before = len(self.heard)
        self.says(command(kind, element, common_address=station, zone=ZONE, cause=cause))

        def answers() -> list[Asdu]:
            return [a for a in self.heard[before:] if a.type == kind]

        await self.until(lambda: bool(answers()))
        return answers()[0]

    def close(self) -> None:
        if self.line is not None:
            self.line.close("done")


@asynccontextmanager
async def serving(
    spec: StationSpec, operate: Operate, told: list[tuple[str, str]] | None = None
) -> AsyncIterator[Station]:
    """A station that runs, on a port of its own."""
    station, stop, notes = Station(spec, now=lambda: NOON), asyncio.Event(), told
    task = asyncio.create_task(
        station.run(operate, lambda *told: None if notes is None else notes.append(told), stop)
    )
    while not station.port and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    try:
        yield station
    finally:
        stop.set()
        await task
