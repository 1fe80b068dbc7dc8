"""One connection to a Modbus TCP gateway: a question, its answer, and nothing in between.

    [ transaction 2 ][ protocol 0 2 ][ length 2 ][ unit 1 ][ function 1 ][ data … ]

pymodbus builds the frames and reads what is in them; the socket is ours, for its client cannot promise
what control needs (3.16): an answer with transaction 0 passes for any question, neither function nor
number of registers is compared with what was asked, bytes of a late frame that are half read are
thrown away so that the rest is taken for a header, a question may be sent a second time by itself, and
nothing keeps a writing function from leaving. Here:

* one question at a time, and one answer: transaction, protocol, length, unit, function and number of
  registers are those that were asked, or the connection is closed and its answer is nobody's;
* on every time-out, cancellation or broken frame the connection is closed: what comes late comes to a
  closed socket. Transaction numbers go on over connections, for gateways that mix their clients up;
* a unit that is not named as writable gets no writing function: the frame is refused before it leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpp.errors import RejectedError, UnavailableError
from vpp.model.registers import Span, Table

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

READING = {Table.HOLDING: 3, Table.INPUT: 4}
"""Function code by table."""

HEADER = 7
LONGEST = 254
"""Unit and protocol data unit, the most that the header's length may say."""

_DECLINED = {
    1: "does not know this function",
    2: "has no such register",
    3: "does not take this value",
    4: "failed while it was at it",
    5: "has begun and is not done",
    6: "is busy",
    10: "cannot be reached through this gateway",
    11: "does not answer its gateway",
}
_FOR_NOW = {4, 5, 6, 10, 11}
_ABSENT = {10, 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """Where a gateway, or a device with a network port of its own, listens."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        return f"modbus {self.host}:{self.port}"


class LineLostError(UnavailableError):
    """There is no connection, or it broke; it says nothing about one device."""


class SilentError(UnavailableError):
    """The device did not answer, though its gateway was there."""


class ModbusLine:
    """A connection to one gateway, for one user at a time."""

    def __init__(
        self,
        address: GatewayAddress,
        *,
        writable: Collection[int],
        connect_timeout_s: float,
        timeout_s: float,
    ) -> None:
        """A line that is not open yet; only the units `writable` are ever sent a writing function."""
        from pymodbus.framer import FramerSocket
        from pymodbus.pdu import DecodePDU

        self.address = address
        self._writable = frozenset(writable)
        self._connect_timeout_s, self._timeout_s = connect_timeout_s, timeout_s
        self._decoder = DecodePDU(is_server=False)
        self._framer = FramerSocket(self._decoder)
        self._transaction = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def connected(self) -> bool:
        return self._streams is not None

    async def open(self) -> None:
        """Connect.

        Raises:
            LineLostError: Nobody listens, or not in time.
        """
        self.close()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                self._streams = await asyncio.open_connection(self.address.host, self.address.port)
        except (OSError, TimeoutError) as error:
            raise self._lost(f"cannot connect: {_said(error)}") from error

    def close(self) -> None:
        """Let the connection go, and whatever is still on its way in it."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def read(self, unit: int, span: Span) -> tuple[int, ...]:
        """The words of a span.

        Raises:
            LineLostError: The connection broke, or the answer was not the one to this question.
            SilentError: The unit did not answer in time.
            UnavailableError: It cannot answer now.
            RejectedError: It has no such registers.
        """
        from pymodbus.pdu import register_message as told

        asks = {
            Table.HOLDING: told.ReadHoldingRegistersRequest,
            Table.INPUT: told.ReadInputRegistersRequest,
        }
        request = asks[span.table](dev_id=unit, address=span.at, count=span.count)
        answer = await self._ask(request, shape=2 + 2 * span.count)
        words = tuple(answer.registers)
        if len(words) != span.count:
            self.close()
            raise self._lost(f"{len(words)} registers came for {span.count}")
        return words

    async def write(self, unit: int, at: int, words: Sequence[int], code: Literal[6, 16]) -> None:
        """Write registers from `at` on; with function code 6 a single one.

        Raises:
            RejectedError: The unit does not take them, or may not be written at all.
            LineLostError, SilentError, UnavailableError: As `read`; they may be written or not.
        """
        from pymodbus.pdu import register_message as told

        request: ModbusPDU
        if code == 6:
            request = told.WriteSingleRegisterRequest(dev_id=unit, address=at, registers=[*words])
        else:
            request = told.WriteMultipleRegistersRequest(
                dev_id=unit, address=at, count=len(words), registers=[*words]
            )
        answer = await self._ask(request, shape=5)
        same = answer.registers == [*words] if code == 6 else answer.count == len(words)
        if answer.address != at or not same:
            self.close()
            raise self._lost("another write was confirmed")

    async def _ask(self, request: ModbusPDU, *, shape: int) -> ModbusPDU:
        """Send a question and take its answer, function and data of `shape` bytes where it is no refusal."""
        if request.function_code not in READING.values() and request.dev_id not in self._writable:
            raise RejectedError(
                f"unit {request.dev_id} is read-only: function {request.function_code} does not leave",
                where=str(self.address),
                fix="Say read_only: false where the park file names the device",
            )
        if self._streams is None:
            raise self._lost("is not connected")
        self._transaction = self._transaction % 0xFFFF + 1
        request.transaction_id = self._transaction
        reader, writer = self._streams
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.write(self._framer.buildFrame(request))
                await writer.drain()
                data = await self._answer(reader, request, shape)
        except TimeoutError as error:
            self.close()
            raise SilentError(
                f"unit {request.dev_id} did not answer within {self._timeout_s} s",
                where=str(self.address),
                fix="See whether the device is on and has this unit number",
            ) from error
        except (OSError, EOFError) as error:
            self.close()
            raise self._lost(f"connection lost: {_said(error)}") from error
        except BaseException:  # a cancelled question must not leave its answer to the next one
            self.close()
            raise
        if data[0] & 0x80:
            raise self._declined(request, data[1])
        answer = self._decoder.decode(data)
        assert answer is not None
        return answer

    async def _answer(self, reader: asyncio.StreamReader, request: ModbusPDU, shape: int) -> bytes:
        """Function and data of the one answer that fits; anything else breaks the line."""
        header = await reader.readexactly(HEADER)
        transaction, protocol, length = (
            int.from_bytes(header[at : at + 2], "big") for at in (0, 2, 4)
        )
        if (transaction, protocol) != (request.transaction_id, 0) or header[6] != request.dev_id:
            raise self._lost(
                f"answer {transaction} of unit {header[6]} came for question"
                f" {request.transaction_id} to unit {request.dev_id}"
            )
        if not 3 <= length <= LONGEST:
            raise self._lost(f"an answer of {length} bytes")
        data = await reader.readexactly(length - 1)
        refused = data[0] == request.function_code | 0x80 and len(data) == 2
        fits = data[0] == request.function_code and len(data) == shape
        counted = request.function_code not in READING.values() or data[1] == shape - 2
        if not (refused or (fits and counted)):
            raise self._lost(f"function {data[0]} with {len(data)} bytes came for {request}")
        return data

    def _declined(self, request: ModbusPDU, code: int) -> UnavailableError | RejectedError:
        what = f"unit {request.dev_id} {_DECLINED.get(code, 'refuses')} (exception {code})"
        said = f"{what}: function {request.function_code} at {request.address}"
        if code in _ABSENT:
            return SilentError(said, where=str(self.address), fix="See whether the device is on")
        if code in _FOR_NOW:
            return UnavailableError(said, where=str(self.address), fix="Ask again later")
        fix = "Compare the register map with the device's data sheet"
        return RejectedError(said, where=str(self.address), fix=fix)

    def _lost(self, what: str) -> LineLostError:
        fix = "See whether the gateway is on, and whether somebody else uses it"
        return LineLostError(what, where=str(self.address), fix=fix)


def _said(error: BaseException) -> str:
    return "in time nobody answered" if isinstance(error, TimeoutError) else str(error)
