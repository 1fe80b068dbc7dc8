"""What is done with one device over the line: read it, command it, let it go.

    poll      registers ─▶ telemetry; what is held is compared with what was written
    command   write in order ▸ read back ▸ enable ▸ read back ▸ told as taken, or let go and told as refused
    refresh   the same words again, before the device's own timer runs out
    release   the enable flag first, then what else has a value to go back to

Each raises what the line raises; what follows from that, and whose turn it is, is `modbus_tcp.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

import structlog

from adapters.modbus_device import DeviceState, Force, Laid
from adapters.modbus_wire import ModbusLine
from adapters.sunspec import discover
from vpp.errors import AdapterError, DataError, RejectedError, UnavailableError
from vpp.model.command import Setpoint
from vpp.model.registers import Place, Span, What
from vpp.wire import AckMessage, TelemetryMessage

log = structlog.get_logger(__name__)

LET_GO_S, LET_GO_EACH_S = 2.0, 0.3
"""How long the last releases may take when the link is stopped, and how much longer for each device."""

RETRY_S = 1.0
"""How soon a refresh that failed is tried again."""

Tell: TypeAlias = Callable[[DeviceState, TelemetryMessage | AckMessage], None]


class Talk:
    """One line, and how to tell what comes of it."""

    def __init__(self, line: ModbusLine, *, now: Callable[[], datetime], tell: Tell) -> None:
        self._line, self._now, self._tell = line, now, tell

    async def poll(self, state: DeviceState) -> None:
        """Read a device and tell what it says.

        Raises:
            UnavailableError, RejectedError: It does not answer, or not all of it.
            DataError: It tells no power.
        """
        unit = state.device.unit
        if state.map is None:
            state.map = await discover(self._line, unit, state.device.sunspec)
        lapsed = state.lapsed(asyncio.get_running_loop().time())
        held = _watched(state.force.laid) if state.force is not None and not lapsed else ()
        image = await self._read(unit, (*state.map.reads, *state.read_back(held)))
        state.image = image
        if (changed := state.disagreement(held, image)) is not None and state.force is not None:
            self.refuse(state, state.force.setpoint, f"somebody else changed it: {changed}")
            state.force, state.release_at = None, 0.0
        if not state.seen:
            state.seen = True
            await self._take_over(state)
        if lapsed and state.force is not None:
            state.force.refresh_at = 0.0
        told = state.telemetry(self._now(), follows=not lapsed)
        if told is None:
            raise DataError(
                "tells no power",
                where=state.device.device_id,
                fix="Compare power_kw of the register map with the device's data sheet",
            )
        self._tell(state, told)

    async def _take_over(self, state: DeviceState) -> None:
        """Let a device go that follows a command from before we began, and has no timer to end it."""
        assert state.map is not None
        if state.device.read_only or state.map.revert_s is not None or state.wanted is not None:
            return
        laid = state.released()
        # Where there is no flag, a power that is not the released one is such a command.
        flags = tuple(one for one in laid if one.write.what is What.ENABLE) or laid
        image = await self._read(state.device.unit, state.read_back(flags))
        if state.disagreement(flags, image) is not None:
            state.release_at = 0.0

    async def _read(self, unit: int, asked: Iterable[Span]) -> dict[Place, int]:
        image: dict[Place, int] = {}
        for span in asked:
            words = await self._line.read(unit, span)
            image |= {(span.table, span.at + n): word for n, word in enumerate(words)}
        return image

    async def command(self, state: DeviceState) -> None:
        """Write the newest command and tell what became of it. Raises as `_write`, and DataError."""
        setpoint, state.wanted = state.wanted, None
        assert setpoint is not None
        if setpoint.expires_at <= self._now():
            self.refuse(state, setpoint, "it ended before it could be written")
            return
        try:
            laid = state.laid_down(setpoint)
            if state.force is not None and laid == state.force.laid:
                state.force.setpoint = setpoint  # the value stands; its life goes on
                return
            await self._write(state, setpoint, laid)
        except (AdapterError, DataError) as error:
            self.refuse(state, setpoint, error.what)
            raise
        self._tell(state, state.answer(setpoint, self._now()))

    async def refresh(self, state: DeviceState) -> None:
        """Write the command in force again before the device's timer runs out. Raises as `_write`."""
        force = state.force
        assert force is not None
        assert state.map is not None
        assert state.map.revert_s is not None
        retry_s = min(RETRY_S, state.map.revert_s / 8)
        force.refresh_at = asyncio.get_running_loop().time() + retry_s
        try:
            await self._write(state, force.setpoint, force.laid)
        except RejectedError as error:
            self.refuse(state, force.setpoint, error.what)
            raise
        except UnavailableError:
            # The same words were on their way: half of them are no other command. Its timer runs.
            state.force, state.release_at = force, None
            raise

    async def _write(self, state: DeviceState, setpoint: Setpoint, laid: Sequence[Laid]) -> None:
        """Write in order, read back, enable last; whoever is stopped half way is let go.

        Raises:
            UnavailableError: Nobody knows how far it came.
            RejectedError: The device does not take it, or holds something else afterwards.
        """
        loop = asyncio.get_running_loop()
        state.written_at = loop.time()
        state.force, state.release_at = None, state.written_at
        flags = [one for one in laid if one.write.what is What.ENABLE]
        others = [one for one in laid if one.write.what is not What.ENABLE]
        for some in (others, flags):
            for one in some:
                register = one.write.register
                await self._line.write(
                    state.device.unit, register.at, one.words, code=one.write.code
                )
            image = await self._read(state.device.unit, state.read_back(tuple(some)))
            if (wrong := state.disagreement(tuple(some), image)) is not None:
                raise RejectedError(
                    f"what was written does not stand: {wrong}",
                    where=state.device.device_id,
                    fix="See whether the device is in remote mode",
                )
        assert state.map is not None
        revert_s = state.map.revert_s
        state.force = Force(
            setpoint=setpoint,
            laid=tuple(laid),
            refresh_at=None if revert_s is None else state.written_at + revert_s / 2,
        )
        state.release_at = None

    async def release(self, state: DeviceState) -> None:
        """Let the device go: the enable flag first, then what else has a value to go back to.

        Raises:
            UnavailableError: It cannot be reached.
            RejectedError: It refuses, or holds on to what it was told.
        """
        laid = state.released()
        for one in laid:
            register = one.write.register
            await self._line.write(state.device.unit, register.at, one.words, code=one.write.code)
        image = await self._read(state.device.unit, state.read_back(laid))
        if (wrong := state.disagreement(laid, image)) is not None:
            raise RejectedError(
                f"was not let go: {wrong}",
                where=state.device.device_id,
                fix="Switch its remote mode off at the device",
            )
        state.release_at = None

    async def let_go(self, states: Sequence[DeviceState]) -> None:
        """At the end: who has no timer of its own would follow its last command for ever."""
        for state in states:
            if state.force is not None and state.map is not None and state.map.revert_s is None:
                state.release_at = 0.0
        waiting = [s for s in states if s.release_at is not None and not s.dead]
        try:
            async with asyncio.timeout(LET_GO_S + LET_GO_EACH_S * len(waiting)):
                for state in waiting:
                    await self._let_go(state)
        except TimeoutError:
            left = [s.device.device_id for s in waiting if s.release_at is not None]
            log.warning("not let go in time", where=str(self._line.address), devices=left)

    async def _let_go(self, state: DeviceState) -> None:
        """Let one go over a line that stands; one that does not let itself be holds up no other."""
        try:
            if not self._line.connected:  # closed after one that did not answer
                await self._line.open()
            await self.release(state)
        except (AdapterError, DataError) as error:
            log.warning("not let go", device=state.device.device_id, reason=str(error))

    def refuse(self, state: DeviceState, setpoint: Setpoint, reason: str) -> None:
        self._tell(state, state.answer(setpoint, self._now(), reason=reason))


def _watched(laid: Iterable[Laid]) -> tuple[Laid, ...]:
    """What must still stand at each poll: not the timer, which runs."""
    return tuple(one for one in laid if one.write.what is not What.REVERT)
