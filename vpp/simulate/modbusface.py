"""Simulated devices behind a Modbus TCP gateway: a small server of our own, for functions 3, 4, 6 and 16.

    [ transaction 2 ][ protocol 0 2 ][ length 2 ][ unit 1 ][ function 1 ][ data … ]

A unit that is silent, or that nobody has, does not answer; the gateway lives on. Requests of one connection
are answered in order.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Iterable

from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.model.registers import MAX_READ, MAX_WRITE, Table
from vpp.simulate.modbusunit import (
    NO_SUCH_FUNCTION,
    NOT_THIS_VALUE,
    ModbusUnit,
    RefusedError,
)
from vpp.wire import TelemetryMessage

_HEADER = struct.Struct(">HHHB")
_LONGEST = 254


class ModbusFace:
    """The units of one gateway, served on loopback between `start` and `stop`."""

    def __init__(self, units: dict[int, ModbusUnit], *, port: int) -> None:
        """`port` 0 takes a free one; `units` by their number."""
        self._units = units
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = port
        self.asked: Counter[int] = Counter()
        """Requests by function code, those that were refused too."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: The port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        except OSError as error:
            raise ConfigError(
                f"cannot listen: {error}", where=f"modbus port {self.port}", fix="Name another"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await self._server.wait_closed()

    @property
    def device_ids(self) -> frozenset[ResourceId]:
        """Who speaks here, and so nowhere else."""
        return frozenset(unit.device_id for unit in self._units.values())

    def tell(self, told: Iterable[tuple[ResourceId, TelemetryMessage]]) -> None:
        """Take what its devices say of one step; who says nothing is silent until it does."""
        messages = dict(told)
        for unit in self._units.values():
            unit.tell(messages.get(unit.device_id))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                header = await reader.readexactly(_HEADER.size)
                transaction, protocol, length, number = _HEADER.unpack(header)
                if protocol or not 2 <= length <= _LONGEST:
                    return
                answer = self._answer(number, await reader.readexactly(length - 1))
                if answer is None:
                    continue
                writer.write(_HEADER.pack(transaction, 0, len(answer) + 1, number) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the other side is gone
        finally:
            self._open.discard(writer)
            writer.close()

    def _answer(self, number: int, asked: bytes) -> bytes | None:
        """The answer to one request; None where the unit says nothing."""
        unit = self._units.get(number)
        function = asked[0]
        self.asked[function] += 1
        if unit is None or not unit.speaks:
            return None
        try:
            return bytes([function]) + _done(unit, function, asked[1:])
        except RefusedError as refused:
            return bytes([function | 0x80, refused.code])
        except struct.error:  # shorter than its function says
            return bytes([function | 0x80, NOT_THIS_VALUE])


def _done(unit: ModbusUnit, function: int, data: bytes) -> bytes:
    match function:
        case 3 | 4:
            at, count = struct.unpack(">HH", data)
            if not 1 <= count <= MAX_READ:
                raise RefusedError(NOT_THIS_VALUE)
            words = unit.read(Table.HOLDING if function == 3 else Table.INPUT, at, count)
            return bytes([2 * count]) + struct.pack(f">{count}H", *words)
        case 6:
            at, word = struct.unpack(">HH", data)
            unit.write(at, [word])
            return data
        case 16:
            at, count, size = struct.unpack(">HHB", data[:5])
            if not 1 <= count <= MAX_WRITE or size != 2 * count:
                raise RefusedError(NOT_THIS_VALUE)
            unit.write(at, struct.unpack(f">{count}H", data[5:]))
            return data[:4]
        case _:
            raise RefusedError(NO_SUCH_FUNCTION)
