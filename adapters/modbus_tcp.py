"""The link to a Modbus TCP gateway: polls the devices behind it and writes their set-points.

    every device's poll, command, refresh, release ─▶ the one that is due ─▶ ModbusLine ─▶ gateway
    registers ─▶ TelemetryMessage ─┐
    a command taken or refused ────┴▶ inbox ─▶ messages()          our own contract, as over MQTT

One task owns the connection and does one thing at a time, so the devices behind a gateway share it
without knowing of each other:

* A device that does not answer three times, or breaks the line while others are answered over it, is dead
  and asked once a minute; the others keep their pace, however many are dead. When the gateway itself was
  away, all are asked at once again.
* Of the commands to a device the newest counts: a queue of one, and no faster than `write_s`. A
  command is written in the order of the map, read back, and only then enabled; where anything of that
  fails, the device is let go as soon as it can be reached, and the command is told as refused.
* A command that ends is let go by us. Where the device has a revert timer, that is set too and renewed at
  half its time for as long as the command lives, so that a device goes back when we are gone.
* What a device holds is read at each poll. Where somebody else has changed it, it is let go and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from random import Random

import structlog

from adapters.link_life import InboxLink, ill_devices
from adapters.modbus_device import DeviceState, ModbusDevice
from adapters.modbus_talk import Talk
from adapters.modbus_wire import GatewayAddress, LineLostError, ModbusLine, SilentError
from vpp.errors import AdapterError, DataError
from vpp.model.command import Setpoint, unknown_resource
from vpp.ports import Unsent
from vpp.wire import AckMessage, TelemetryMessage

log = structlog.get_logger(__name__)

SPARED = 9
"""After a time-out it is so many time-outs before another device that is ill is asked: nine tenths of the
line belong to those that answer, however many do not."""

LOOK_S = 1.0
"""How often at least it is looked whether a command has ended, for clocks that run faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTiming:
    """Patience with a gateway, in seconds of the wall."""

    timeout_s: float = 1.0
    """For one answer."""
    connect_timeout_s: float = 3.0
    first_delay_s: float = 0.5
    """Bound of the first wait after a failure; doubles with each, full jitter."""
    longest_delay_s: float = 6.0
    stable_after_s: float = 10.0
    """A connection that lasts so long makes the delays start anew."""
    dead_poll_s: float = 60.0
    """How often a dead device is asked whether it is back; all behind its gateway wait for that."""

    def delay_s(self, failures: int, jitter: Random) -> float:
        """How long to wait after so many failures in a row."""
        bound = min(self.longest_delay_s, self.first_delay_s * 2 ** min(failures - 1, 30))
        return jitter.uniform(0, bound) if failures else 0.0


class _Job(IntEnum):
    """What can be due, the most urgent first where two are due at once."""

    RELEASE = 0
    COMMAND = 1
    REFRESH = 2
    POLL = 3


class ModbusLink(InboxLink):
    """A `MessageSource` and `SetpointSink` over one gateway."""

    def __init__(
        self,
        address: GatewayAddress,
        devices: Iterable[ModbusDevice],
        *,
        now: Callable[[], datetime],
        jitter: Random,
        timing: GatewayTiming | None = None,
        capacity: int = 10_000,
    ) -> None:
        """`capacity` is the number of messages kept for a reader that is late; the oldest gives way."""
        super().__init__(f"{address}", now=now, capacity=capacity)
        self._states = {d.device_id: DeviceState(device=d, map=d.map) for d in devices}
        self._timing = timing or GatewayTiming()
        self._line = ModbusLine(
            address,
            writable={d.device.unit for d in self._states.values() if not d.device.read_only},
            connect_timeout_s=self._timing.connect_timeout_s,
            timeout_s=self._timing.timeout_s,
        )
        self._talk = Talk(self._line, now=now, tell=self._tell)
        self._jitter = jitter
        self._wake = asyncio.Event()
        self._failures = 0
        self._opened_at = float("-inf")
        self._unreachable = True
        self._answered: DeviceState | None = None
        self._spared: tuple[DeviceState | None, float] = (None, float("-inf"))

    # ------------------------------------------------------------ how it does

    @property
    def fault(self) -> str | None:
        """What is wrong with the gateway, else with devices behind it; None while all is well."""
        if self._standing.away is not None:
            return self._standing.away
        devices = ((name, state.fault) for name, state in self._states.items())
        return ill_devices(devices, late=self.inbox.late)

    # ------------------------------------------------------------ in

    def _tell(self, state: DeviceState, told: TelemetryMessage | AckMessage) -> None:
        device = state.device
        self.inbox.tell(device.enterprise_id, device.site_id, device.device_id, told)

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Let each command wait for its turn in place of an older one; return those that cannot.

        What becomes of a command that waits is told as an acknowledgement.

        Raises:
            DataError: A set-point names no device of this gateway, or another enterprise's.
        """
        unsent = []
        for setpoint in setpoints:
            state = self._states.get(setpoint.resource_id)
            if state is None or state.device.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            if (why := self._deaf(state)) is not None:
                if state.wanted is not None:  # written later it would undo what is wanted now
                    self._talk.refuse(state, state.wanted, f"overtaken while it waited: {why}")
                    state.wanted = None
                reason = f"{self._where}: {why}"
                unsent.append(Unsent(setpoint=setpoint, reason=reason))
            else:
                state.wanted = setpoint
        self._wake.set()
        return tuple(unsent)

    def _deaf(self, state: DeviceState) -> str | None:
        """Why a device can take no command now."""
        if state.device.read_only:
            return "is read-only"
        if self._standing.away is not None:
            return self._standing.away
        if state.dead or not state.seen or state.map is None:
            return state.fault or "was not read yet"
        return None if state.map.takes_setpoints else "its register map has no set-point"

    # ------------------------------------------------------------ the connection's life

    async def _live(self, stop: asyncio.Event) -> None:
        """Keep the connection and serve the devices until `stop`; then let go who has no timer."""
        stopped = asyncio.create_task(stop.wait(), name=f"{self._where}-stop")
        try:
            while not stopped.done():
                if self._line.connected or await self._open(stopped):
                    await self._turn(stopped)
            if self.connected:
                await self._talk.let_go(tuple(self._states.values()))
        finally:
            stopped.cancel()
            self._line.close()

    async def _open(self, stopped: asyncio.Task[bool]) -> bool:
        """Connect, after a wait where it failed before; False where that was in vain."""
        if not self.connected:  # else we closed it ourselves, after a device that did not answer
            delay_s = self._timing.delay_s(self._failures, self._jitter)
            await asyncio.wait({stopped}, timeout=delay_s)
        if stopped.done():
            return False
        try:
            await self._line.open()
        except LineLostError as error:
            self._unreachable = True
            self._lost(error.what)
            return False
        self._opened_at = asyncio.get_running_loop().time()
        if not self.connected:
            self._went_up()
        return True

    def _went_up(self) -> None:
        for state in self._states.values():
            if self._unreachable:  # nobody could answer, whatever was thought of them
                state.failures, state.next_poll = 0, 0.0
            if state.force is not None and state.force.refresh_at is not None:
                state.force.refresh_at = 0.0  # before it is read: its timer may have run out
        self._unreachable = False
        self._standing.went_up()

    def _lost(self, reason: str) -> None:
        """The connection is gone, or there is none: the next one waits the longer the less this one lasted."""
        age_s = asyncio.get_running_loop().time() - self._opened_at
        stood = self.connected and age_s >= self._timing.stable_after_s
        self._failures = 1 if stood else self._failures + 1
        self._standing.went_down(reason)

    # ------------------------------------------------------------ whose turn it is

    async def _turn(self, stopped: asyncio.Task[bool]) -> None:
        """Do what is due, or wait until something is."""
        at = asyncio.get_running_loop().time()
        due, job, state = min(self._dues(), key=lambda one: one[:2])
        if due <= at:
            await self._do(job, state, due)
            return
        self._wake.clear()
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait(
                {stopped, waking},
                timeout=min(due - at, LOOK_S),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waking.cancel()

    def _dues(self) -> list[tuple[float, _Job, DeviceState]]:
        """Everything that waits for its turn, and when it is due in seconds of the loop."""
        now, found = self._now(), []
        spared_by, spared_until = self._spared
        for state in self._states.values():
            waits = state.failures and state is not spared_by
            due = max(state.next_poll, spared_until) if waits else state.next_poll
            found.append((due, _Job.POLL, state))
            force = state.force
            if force is not None and force.setpoint.expires_at <= now:
                state.release_at, state.force, force = 0.0, None, None
            if state.dead:
                continue
            if state.release_at is not None:
                found.append((state.release_at, _Job.RELEASE, state))
            elif force is not None and force.refresh_at is not None:
                found.append((force.refresh_at, _Job.REFRESH, state))
            if state.wanted is not None and state.image:
                due = state.written_at + state.device.write_s
                found.append((due, _Job.COMMAND, state))
        return found

    async def _do(self, job: _Job, state: DeviceState, due: float) -> None:
        """Do one thing with one device, and note how it went and when it is its turn again."""
        fault = await self._attempt(job, state)
        now = asyncio.get_running_loop().time()
        if fault is not None and fault != state.fault:
            log.warning("modbus device", device=state.device.device_id, fault=fault)
        if job is _Job.POLL or fault is not None:
            state.fault = fault
        if job is _Job.POLL:
            state.next_poll = _next(due, now, state.waits_s(self._timing.dead_poll_s))
        elif job is _Job.RELEASE and fault is not None:
            state.release_at = now + state.device.poll_s
        if state.dead and state.wanted is not None:
            self._talk.refuse(state, state.wanted, fault or "does not answer")
            state.wanted = None

    async def _attempt(self, job: _Job, state: DeviceState) -> str | None:
        """Do it; whatever fails is that device's, or the line's. Return what was wrong."""
        doing = {
            _Job.POLL: self._talk.poll,
            _Job.COMMAND: self._talk.command,
            _Job.REFRESH: self._talk.refresh,
            _Job.RELEASE: self._talk.release,
        }
        try:
            await doing[job](state)
        except SilentError as error:
            state.failures += 1
            now, wasted_s = asyncio.get_running_loop().time(), SPARED * self._timing.timeout_s
            self._spared = state, now + wasted_s
            return error.what
        except LineLostError as error:
            # It is the device's fault only where others are answered over the same line.
            if self._answered not in (None, state):
                state.failures += 1
            self._answered = None
            self._lost(error.what)
            return error.what
        except (AdapterError, DataError) as error:  # it answers, and not what was hoped for
            state.failures, self._answered = 0, state
            return error.what
        state.failures, self._answered = 0, state
        return None


def _next(due: float, now: float, period_s: float) -> float:
    """The next moment of a steady pace; what was missed is not made up for."""
    if now - due >= period_s:
        return now + period_s if due <= 0 else due + ((now - due) // period_s + 1) * period_s
    return due + period_s
