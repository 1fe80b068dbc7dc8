"""A dispatch centre in a process of its own, for `iec104.py`: takes what is told, and orders when it is asked to.

stdin: one line of JSON {port, first, orders: [kW …], every_s}; then `order`, then its end
stdout: `started`, `sent KW TIME` and `confirmed KW TIME` for each order, and one line of JSON at the end
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict, deque
from itertools import pairwise
from random import Random
from time import time
from zoneinfo import ZoneInfo

from adapters.iec104_asdu import Asdu, Cause, Element, Type, command
from adapters.iec104_line import Line
from vpp.model.telecontrol import LinkTiming

UTC = ZoneInfo("UTC")
CALL = 70_000
"""Where the call is written."""


class Centre:
    """What it has heard."""

    def __init__(self) -> None:
        self.cyclic: dict[int, list[float]] = defaultdict(list)
        self.spontaneous = self.negative = 0
        self.line: Line | None = None
        self.out: deque[bytes] = deque()
        self.confirmed = asyncio.Event()
        self.started = asyncio.Event()
        self.gone = asyncio.Event()

    def make(self) -> Line:
        """Its side of the connection."""
        return Line(
            LinkTiming(),
            UTC,
            controlling=True,
            made=lambda line: True,
            take=self._take,
            give=lambda line: self.out.popleft() if self.out else None,
            turned=lambda line: self.started.set(),
            lost=lambda line, why: self.gone.set(),
        )

    def _take(self, line: Line, asdu: Asdu) -> None:
        if asdu.cause == Cause.CYCLIC:
            at = time()
            for element in asdu.elements:
                self.cyclic[element.address].append(at)
        elif asdu.cause == Cause.SPONTANEOUS:
            self.spontaneous += asdu.count
        elif asdu.cause == Cause.ACTIVATION_CON and asdu.type == Type.C_SE_NC_1:
            self.negative += asdu.negative
            self.confirmed.set()

    async def order(self, kw: float) -> None:
        """A set-point, until it is confirmed."""
        assert self.line is not None
        self.confirmed.clear()
        element = Element(CALL, kw)
        self.out.append(command(Type.C_SE_NC_1, element, common_address=1, zone=UTC).octets())
        print("sent", f"{kw:g}", time(), flush=True)
        self.line.pump()
        await self.confirmed.wait()
        print("confirmed", f"{kw:g}", time(), flush=True)

    def plain(self) -> dict[str, float]:
        """What was heard, in numbers."""
        gaps = [b - a for at in self.cyclic.values() for a, b in pairwise(at)]
        return {
            "points": len(self.cyclic),
            "cyclic": sum(map(len, self.cyclic.values())),
            "longest_gap_s": max(gaps, default=0.0),
            "spontaneous": self.spontaneous,
            "negative": self.negative,
        }


async def _main() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asked = json.loads(await reader.readline())
    centre, chance = Centre(), Random(1)
    _, centre.line = await loop.create_connection(centre.make, "127.0.0.1", asked["port"])
    await centre.started.wait()
    print("started", flush=True)
    await reader.readline()
    for kw in asked["orders"]:
        await centre.order(kw)
        await asyncio.sleep(chance.uniform(0.5, 1.5) * asked["every_s"])
    print("ordered", flush=True)
    await reader.read()
    print(json.dumps(centre.plain()), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
