"""Modbus slaves for tests: pymodbus's own server and simulator, which notes every frame that comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

OnWrite = Callable[[int, int, list[int]], Awaitable[ExcCodes | None]]
"""Called with unit, address and words before they are stored; an exception code refuses them."""

WRITING = {5, 6, 15, 16, 22, 23}


@dataclass
class Slaves:
    """Devices behind one gateway; `words` are their registers by unit, the same in both tables."""

    words: dict[int, dict[int, int]]
    silent: set[int] = field(default_factory=set)
    """Units that do not answer."""

    on_write: OnWrite | None = None
    clamped: dict[int, list[int]] = field(default_factory=dict)
    """What is stored at an address whatever is written there: a device that confirms and keeps its own."""

    on_read: dict[int, Callable[[], None]] = field(default_factory=dict)
    """What happens when a unit is read, before it answers."""

    frames: list[bytes] = field(default_factory=list)
    """Every request, whole."""

    port: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this is over: whoever was kept waiting for an answer need not wait any longer."""

    _server: ModbusTcpServer | None = None
    _live: dict[int, tuple[int, list[int]]] = field(default_factory=dict)

    async def start(self) -> None:
        """Listen, on the port of the last time where there was one."""
        self._live.clear()
        self._over = asyncio.Event()
        self._server = ModbusTcpServer(
            [self._device(unit, words) for unit, words in self.words.items()],
            address=("127.0.0.1", self.port),
            ignore_missing_devices=True,
            trace_packet=self._note,
        )
        await self._server.serve_forever(background=True)
        listener: Any = self._server.transport
        self.port = listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        assert self._server is not None
        self._over.set()
        shutdown: Callable[[], Awaitable[None]] = self._server.shutdown
        await shutdown()

    def written(self, unit: int | None = None) -> list[tuple[int, int, tuple[int, ...]]]:
        """Every write that came, as unit, address and words, in order."""
        found = []
        for frame in self.frames:
            code, at = frame[7], int.from_bytes(frame[8:10], "big")
            if code not in WRITING or (unit is not None and frame[6] != unit):
                continue
            data = frame[10:] if code == 6 else frame[13:]
            words = tuple(int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2))
            found.append((frame[6], at, words))
        return found

    def asked(self, unit: int) -> int:
        """How many requests of any kind came for a unit."""
        return sum(frame[6] == unit for frame in self.frames)

    def set(self, unit: int, at: int, *words: int) -> None:
        """Change registers under the link's feet."""
        for n, word in enumerate(words):
            self.words[unit][at + n] = word
        if unit in self._live:
            start, registers = self._live[unit]
            registers[at - start : at - start + len(words)] = words

    def _device(self, unit: int, words: Mapping[int, int]) -> SimDevice:
        data = [
            SimData(address=at, values=word, datatype=DataType.REGISTERS)
            for at, word in sorted(words.items())
        ]
        return SimDevice(id=unit, simdata=data, action=partial(self._touched, unit))

    async def _touched(
        self,
        unit: int,
        code: int,
        start: int,
        at: int,
        count: int,
        registers: list[int],
        values: Any,
    ) -> ExcCodes | None:
        if unit not in self._live:
            for where, word in self.words[unit].items():  # what was set before anybody looked
                registers[where - start] = word
        self._live[unit] = (start, registers)
        if unit in self.silent:
            await self._over.wait()
        if values is None:
            if unit in self.on_read:
                self.on_read[unit]()
                await self._over.wait()
            return None
        words = [int(value) for value in values]
        refused = await self.on_write(unit, at, words) if self.on_write else None
        if refused is None and values is not None:
            words = self.clamped.get(at, words)
            values[:] = words
            self.words[unit] |= {at + n: word for n, word in enumerate(words)}
        return refused

    def _note(self, sending: bool, data: bytes) -> bytes:
        if not sending and data:
            self.frames.append(bytes(data))
        return data


@asynccontextmanager
async def slaves(
    words: Mapping[int, Mapping[int, int]], *, on_write: OnWrite | None = None
) -> AsyncIterator[Slaves]:
    """Slaves that listen for as long as the block lasts."""
    found = Slaves({unit: dict(held) for unit, held in words.items()}, on_write=on_write)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()
