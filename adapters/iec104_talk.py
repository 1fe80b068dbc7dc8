"""Commands to a remote terminal unit, one at a time: selected, executed, each confirmed with the very same value."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable

from adapters.iec104_asdu import Asdu, Cause, Element, Type
from adapters.iec104_device import Write
from vpp.errors import RejectedError, UnavailableError

COMMANDS = frozenset({Type.C_SC_NA_1, Type.C_SE_NC_1})
_SHORT = struct.Struct("<f")


class Talk:
    """What was asked of one unit, and what it answered."""

    def __init__(
        self, where: str, *, send: Callable[[Type, Element], None], answer_s: float
    ) -> None:
        """`send` puts one ASDU on its way; a confirmation is waited for `answer_s`."""
        self._where, self._send, self._answer_s = where, send, answer_s
        self._asked: tuple[Write, bool, asyncio.Future[None]] | None = None

    async def write_all(self, writes: Iterable[Write], *, selects: bool) -> None:
        """Write in order; `selects`: each is selected before it is executed.

        Raises:
            UnavailableError: No confirmation in time: nobody knows how far it came.
            RejectedError: The unit says no, or confirms something else.
        """
        for write in writes:
            if selects:
                await self._ask(write, select=True)
            await self._ask(write, select=False)

    async def _ask(self, write: Write, *, select: bool) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked = write, select, answer
        self._send(write.type, Element(write.address, write.value, select=select))
        try:
            async with asyncio.timeout(self._answer_s):
                await answer
        except TimeoutError:
            raise UnavailableError(
                f"did not confirm {write.value:g} at {write.address} in {self._answer_s:g} s",
                where=self._where,
                fix="Look at the remote terminal unit",
            ) from None
        finally:
            self._asked = None

    def answered(self, asdu: Asdu) -> None:
        """A confirmation of what was asked last; every other one comes late and says nothing."""
        if self._asked is None or asdu.cause == Cause.ACTIVATION_END or not asdu.elements:
            return
        write, select, answer = self._asked
        element = asdu.elements[0]
        if (asdu.type, element.address) != (write.type, write.address) or answer.done():
            return
        if asdu.negative or asdu.cause != Cause.ACTIVATION_CON:
            why = f"{'selection' if select else 'order'} refused (cause {asdu.cause})"
        elif (element.value, element.select) != (_short(write.value), select):
            why = f"confirms {element.value:g}, not {write.value:g}"
        else:
            answer.set_result(None)
            return
        fix = "Compare the point table with that of the unit"
        where = f"{self._where}, object {write.address}"
        answer.set_exception(RejectedError(why, where=where, fix=fix))


def _short(value: float) -> float:
    """As a short float holds it."""
    return float(_SHORT.unpack(_SHORT.pack(value))[0])
