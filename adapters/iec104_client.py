"""The link to a remote terminal unit of IEC 60870-5-104: reads its devices and writes their set-points.

    interrogation, spontaneous and cyclic values ─▶ TelemetryMessage ─┐
    a command taken or refused ───────────────────────────────────────┴▶ inbox ─▶ messages()

One connection; a task tells what came, one asks for everything now and then, and one writes, one command at
a time: selected, executed, each confirmed with the very same value, or told as refused and let go.

* Of the commands to a device the newest counts: a queue of one.
* A command that ends is let go by us; what the device held before we came, or while the line was away, too.
* What a device shows to hold is read. Where somebody else has changed it, it is let go and told.
* While the line is away nothing is told, so what was known grows old where it is used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from adapters.iec104_asdu import STATION, Asdu, Element, Type, command
from adapters.iec104_device import RemoteDevice, RemoteState
from adapters.iec104_line import Line
from adapters.iec104_talk import COMMANDS, Talk
from adapters.link_life import InboxLink, ill_devices
from vpp.errors import AdapterError, RejectedError
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.telecontrol import LinkTiming
from vpp.ports import Unsent
from vpp.wire import AckMessage, TelemetryMessage

MEASURED = frozenset({Type.M_ME_NC_1, Type.M_ME_TF_1})
LOOK_S = 1.0
"""How often at least it is looked whether a command has ended."""
LET_GO_S = 2.0
"""How long the last releases may take when the link is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteUnit:
    """Where a remote terminal unit is, and how it is spoken to."""

    host: str
    port: int
    common_address: int
    zone: ZoneInfo
    originator: int = 0
    timing: LinkTiming = field(default_factory=LinkTiming)
    interrogate_s: float = 15.0
    report_s: float = 1.0
    answer_s: float = 5.0
    first_delay_s: float = 0.5
    """Bound of the first wait after a failure; doubles with each, full jitter."""
    longest_delay_s: float = 6.0
    stable_after_s: float = 10.0
    """A connection that lasts so long makes the delays start anew."""

    def delay_s(self, failures: int, jitter: Random) -> float:
        """How long to wait after so many failures in a row."""
        bound = min(self.longest_delay_s, self.first_delay_s * 2 ** min(failures - 1, 30))
        return jitter.uniform(0, bound) if failures else 0.0


class RemoteLink(InboxLink):
    """A `MessageSource` and `SetpointSink` over one remote terminal unit."""

    def __init__(
        self,
        unit: RemoteUnit,
        devices: Iterable[RemoteDevice],
        *,
        now: Callable[[], datetime],
        jitter: Random,
        capacity: int = 10_000,
    ) -> None:
        """`capacity` is the number of messages kept for a reader that is late; the oldest gives way."""
        super().__init__(f"{unit.host}:{unit.port}", now=now, capacity=capacity)
        self._unit, self._jitter = unit, jitter
        self._states = {d.device_id: RemoteState(device=d) for d in devices}
        self._values: dict[int, tuple[RemoteState, str]] = {}
        self._held: dict[int, RemoteState] = {}
        for state in self._states.values():
            for name, point in state.device.points.items():
                self._values[point.address] = state, name
            written = state.device.setpoint
            if written is not None and written.reads_at is not None:
                self._held[written.reads_at] = state
        self._writable = {
            address
            for state in self._states.values()
            if (write := state.device.setpoint) is not None
            for address in (write.address, write.enable_address)
        }
        self._line: Line | None = None
        self._out: deque[bytes] = deque()
        self._talk = Talk(unit.host, send=self._send, answer_s=unit.answer_s)
        self._wake = asyncio.Event()
        self._turned, self._gone = asyncio.Event(), asyncio.Event()
        self._failures = 0

    # ------------------------------------------------------------ how it does

    @property
    def fault(self) -> str | None:
        """What is wrong with the unit, else with devices behind it; None while all is well."""
        if self._standing.away is not None:
            return self._standing.away
        devices = ((name, state.fault) for name, state in self._states.items())
        return ill_devices(devices, late=self.inbox.late)

    # ------------------------------------------------------------ in

    def _tell(self, state: RemoteState, told: TelemetryMessage | AckMessage) -> None:
        device = state.device
        self.inbox.tell(device.enterprise_id, device.site_id, device.device_id, told)

    def _take(self, line: Line, asdu: Asdu) -> None:
        """One ASDU of the unit; what is of another station or unknown to us is left aside."""
        if asdu.common_address != self._unit.common_address:
            return
        if asdu.type in MEASURED:
            for element in asdu.elements:
                self._measured(element)
        elif asdu.type == Type.M_EI_NA_1:
            self._began_anew()
        elif asdu.type in COMMANDS:
            self._talk.answered(asdu)

    def _began_anew(self) -> None:
        """The unit has started: whether anything of ours is in force there, nobody knows."""
        for state in self._states.values():
            if state.force is not None:
                self._refuse(state, state.force, "the remote terminal unit began anew")
                state.force, state.let_go = None, True
        self._wake.set()
        self._interrogate()

    def _measured(self, element: Element) -> None:
        if (found := self._values.get(element.address)) is not None:
            state, name = found
            state.take(name, element, self._now())
        elif (holder := self._held.get(element.address)) is not None:
            changed = holder.take_held(element)
            if changed is not None and holder.force is not None:
                self._refuse(holder, holder.force, f"somebody else changed it: {changed}")
                holder.force, holder.let_go = None, True
                self._wake.set()

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Let each command wait for its turn in place of an older one; return those that cannot.

        What becomes of a command that waits is told as an acknowledgement.

        Raises:
            DataError: A set-point names no device of this unit, or another enterprise's.
        """
        unsent = []
        for setpoint in setpoints:
            state = self._states.get(setpoint.resource_id)
            if state is None or state.device.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            why = "is read-only" if state.device.setpoint is None else self._standing.away
            if why is not None:
                reason = f"{self._where}: {why}"
                unsent.append(Unsent(setpoint=setpoint, reason=reason))
            else:
                state.wanted = setpoint
        self._wake.set()
        return tuple(unsent)

    async def _write(self) -> None:
        """Write what waits, one thing after the other, for as long as the line stands."""
        while True:
            self._wake.clear()
            for state in self._states.values():
                self._end(state)
                if state.wanted is not None:
                    await self._command(state, state.wanted)
                elif state.let_go:
                    await self._release(state)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):  # wait_for may swallow that we are cancelled
                    await self._wake.wait()

    def _end(self, state: RemoteState) -> None:
        """A command whose time is over is let go."""
        if state.force is not None and state.force.expires_at <= self._now():
            state.force, state.let_go = None, True

    async def _command(self, state: RemoteState, setpoint: Setpoint) -> None:
        state.wanted = None
        if setpoint.expires_at <= self._now():
            self._refuse(state, setpoint, "it ended before it could be written")
            return
        same = state.force is not None and state.force.power_kw == setpoint.power_kw
        if same and not state.let_go:
            state.force = setpoint  # the value stands; its life goes on
            return
        # Until it is confirmed half of it may be in force: whoever is stopped half way is let go.
        state.force, state.let_go = None, True
        try:
            await self._talk.write_all(state.writes(setpoint), selects=state.selects)
        except AdapterError as error:
            state.fault = error.what
            self._refuse(state, setpoint, error.what)
            return
        except asyncio.CancelledError:
            self._refuse(state, setpoint, "the line went away before it was confirmed")
            raise
        state.fault = None
        state.taken(setpoint)
        self._tell(state, state.answer(setpoint, self._now()))

    async def _release(self, state: RemoteState) -> None:
        try:
            await self._talk.write_all(state.releases(), selects=state.selects)
        except AdapterError as error:
            state.fault = f"cannot be let go: {error.what}"
            return  # it is tried again at the next look
        state.let_go, state.written, state.agreed, state.fault = False, None, False, None

    def _refuse(self, state: RemoteState, setpoint: Setpoint, reason: str) -> None:
        self._tell(state, state.answer(setpoint, self._now(), reason=reason))

    # ------------------------------------------------------------ the connection's life

    async def _live(self, stop: asyncio.Event) -> None:
        """Keep the connection until `stop`; then let go whatever follows us."""
        stopped = asyncio.create_task(stop.wait(), name=f"104-{self._unit.host}-stop")
        try:
            while not stopped.done():
                delay_s = self._unit.delay_s(self._failures, self._jitter)
                await asyncio.wait({stopped}, timeout=delay_s)
                if not stopped.done():
                    await self._connection(stopped)
        finally:
            stopped.cancel()

    async def _connection(self, stopped: asyncio.Task[bool]) -> None:
        """One connection, from its first octet to its last."""
        loop = asyncio.get_running_loop()
        self._turned.clear()
        self._gone.clear()
        self._out.clear()
        try:
            async with asyncio.timeout(self._unit.timing.t0_s):
                _, self._line = await loop.create_connection(
                    self._made, self._unit.host, self._unit.port
                )
        except (OSError, TimeoutError) as error:
            self._failures += 1
            self._standing.went_down(f"cannot connect: {error or 'no answer'}")
            return
        began_s = loop.time()
        using = asyncio.create_task(self._use(), name=f"104-{self._unit.host}-use")
        gone = asyncio.create_task(self._gone.wait(), name=f"104-{self._unit.host}-gone")
        try:
            await asyncio.wait({stopped, gone, using}, return_when=asyncio.FIRST_COMPLETED)
            if using.done():
                using.result()
            if stopped.done() and self.connected:
                await self._let_go(using)
        finally:
            gone.cancel()
            using.cancel()
            await asyncio.gather(gone, using, return_exceptions=True)
            self._line.close("we stop")
            self._line = None
        stood = self.connected and loop.time() - began_s >= self._unit.stable_after_s
        self._failures = 1 if stood else self._failures + 1
        self._lost_everything("stopped" if stopped.done() else self._standing.away or "lost")

    def _made(self) -> Line:
        return Line(
            self._unit.timing,
            self._unit.zone,
            controlling=True,
            made=lambda line: True,
            take=self._take,
            give=lambda line: self._out.popleft() if self._out else None,
            turned=lambda line: self._turned.set(),
            lost=self._lost,
        )

    def _lost(self, line: Line, why: str) -> None:
        if self._line in (line, None):
            self._standing.away = why
            self._gone.set()

    async def _use(self) -> None:
        """All that is done over one connection once it has started."""
        await self._turned.wait()
        self._standing.went_up()
        for state in self._states.values():
            # It may follow something from before we began, or while the line was away.
            state.let_go = state.device.setpoint is not None and state.force is None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._asking())
            group.create_task(self._telling())
            group.create_task(self._write())

    async def _asking(self) -> None:
        while True:
            self._interrogate()
            await asyncio.sleep(self._unit.interrogate_s)

    async def _telling(self) -> None:
        while True:
            for state in self._states.values():
                if (told := state.telemetry()) is not None:
                    self._tell(state, told)
            await asyncio.sleep(self._unit.report_s)

    async def _let_go(self, using: asyncio.Task[None]) -> None:
        """The last thing that is done: who follows us is let go, as far as time allows."""
        using.cancel()
        await asyncio.gather(using, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S):
                for state in self._states.values():
                    if state.force is not None or state.let_go:
                        await self._release(state)

    def _lost_everything(self, reason: str) -> None:
        for state in self._states.values():
            state.forget()
            if state.wanted is not None:
                self._refuse(state, state.wanted, reason)
                state.wanted = None
        self._standing.went_down(reason)

    # ------------------------------------------------------------ words

    def _interrogate(self) -> None:
        self._send(Type.C_IC_NA_1, Element(0, qualifier=STATION))

    def _send(self, kind: Type, element: Element) -> None:
        """Put one ASDU on its way; the only door to the line.

        Raises:
            RejectedError: It commands what the park file lets nobody write to.
        """
        if kind in COMMANDS and element.address not in self._writable:
            raise RejectedError(
                "nothing may be written here",
                where=f"{self._unit.host}, object {element.address}",
                fix="Give the device a setpoint in the park file",
            )
        asdu = command(
            kind,
            element,
            common_address=self._unit.common_address,
            zone=self._unit.zone,
            originator=self._unit.originator,
        )
        self._out.append(asdu.octets())
        if self._line is not None:
            self._line.pump()
