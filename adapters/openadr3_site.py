"""The link to devices of one site over our OpenADR 3 server: set-points become events, reports become telemetry.

    Setpoint ─▶ an event of its device, until it ends ─▶ the site reads it: acknowledged
                                                      ─▶ reports SETPOINT: read back, or somebody else's
    READING, DEMAND, USAGE of a report ─▶ TelemetryMessage ─▶ inbox ─▶ messages()

The site asks us, so the link stands while it was heard of lately. One event stands for what is asked of a device now: a
refresh makes it longer, another value changes it, and when its time is over, or somebody else has set the device, it
is off the list, which is how OpenADR cancels. An event of its own asks for reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Literal, Self

from adapters.link_inbox import LinkInbox
from adapters.openadr3_reports import SiteReading
from adapters.openadr3_shelf import Shelf
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.ids import ResourceId
from vpp.model.programme import (
    EventInterval,
    EventPeriod,
    Payload,
    PayloadUnits,
    ProgrammeEvent,
    ReportAsked,
)
from vpp.model.time import isoformat
from vpp.ports import Message, Unsent
from vpp.wire import AckMessage, TelemetryMessage

LOOK_S = 1.0
"""How often at least it is looked whether an event has ended."""

REPORTS_FOR = timedelta(days=31)
"""So long reports are asked for at a time; asked for anew at half of it. Strangers fail at a P9999Y."""

SAME_KW = 0.5
"""So far may what a device says to hold lie from what it was asked for: people round."""

AHEAD = timedelta(seconds=5)
"""How far a site's clock may run ahead of ours, as of `vpp/sense/decode.py`: a time beyond would be the newest for
ever."""

LATE_SEQ = 0
"""Of a reading from before the newest, as in a report after an outage: below all that we count."""

Sends = Literal["DISPATCH_SETPOINT", "IMPORT_CAPACITY_LIMIT", "EXPORT_CAPACITY_LIMIT"]
"""What a set-point is written as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDevice:
    """One device of the site."""

    device_id: ResourceId
    enterprise_id: str
    site_id: str
    sends: Sends | None = "DISPATCH_SETPOINT"
    """None: nothing is ever asked of it."""
    report_s: float = 60.0
    """How long an interval of its reports is to be."""


@dataclass(slots=True, kw_only=True)
class _State:
    device: SiteDevice
    seq: int = 0
    newest: SiteReading | None = None
    """Of its power, not from the future."""
    force: Setpoint | None = None
    """What the event on the shelf asks for."""
    event_id: str = ""
    asking: ProgrammeEvent
    """The event that asks for reports."""
    read_seq: int = -1
    """The newest command that the site has read."""
    agreed_at: datetime | None = None
    """From when on the device has said to hold what is in force; None while it has not."""


class SiteLink:
    """A `MessageSource` and `SetpointSink` over the shelf of one client; an async context manager."""

    def __init__(
        self,
        shelf: Shelf,
        devices: Iterable[SiteDevice],
        *,
        now: Callable[[], datetime],
        silent_after: timedelta,
        capacity: int = 10_000,
    ) -> None:
        """`silent_after` is how long the site may say nothing; `capacity` bounds what waits for the reader."""
        self.shelf, self._now, self._silent_after = shelf, now, silent_after
        self._states = {
            device.device_id: _State(
                device=device, asking=shelf.put_event(_asks_for_reports(device, now(), ""))
            )
            for device in devices
        }
        self._by_event: dict[str, _State] = {}
        self.inbox = LinkInbox(capacity)
        self._wake = asyncio.Event()
        self._opened_at = now()
        self._heard_at: datetime | None = None
        self._heard_from = ""
        self._up_since: datetime | None = None
        self._times_up = 0
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._tending = asyncio.create_task(self._tend(), name=f"openadr-{self.shelf.owner.name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        for state in self._states.values():
            self._withdraw(state)
        self.inbox.close()

    # ------------------------------------------------------------ how it does

    @property
    def connected(self) -> bool:
        """Whether the site was heard of lately."""
        return self._heard_at is not None and self._now() - self._heard_at <= self._silent_after

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        if self._heard_at is None:
            return self._opened_at
        if self.connected:
            return self._up_since or self._heard_at
        return self._heard_at + self._silent_after

    @property
    def reconnects(self) -> int:
        """How often the site came back after a silence."""
        return max(0, self._times_up - 1)

    @property
    def fault(self) -> str | None:
        """Why it is not as it should be; None while all is well."""
        if not self.connected:
            name, last = self.shelf.owner.name, ""
            if self._heard_at is not None:
                last = f" since {isoformat(self._heard_at)}, then from {self._heard_from}"
            return f"the site {name} has not asked{last}"
        return self.inbox.late

    @property
    def heard_from(self) -> str:
        """Address of its newest request; empty where there was none."""
        return self._heard_from

    def heard(self, address: str) -> None:
        """The site has asked or told something with its own token, from an address."""
        now = self._now()
        if not self.connected:
            self._up_since, self._times_up = now, self._times_up + 1
        self._heard_at, self._heard_from = now, address

    # ------------------------------------------------------------ in

    def messages(self) -> AsyncIterator[Message]:
        """Yield telemetry and answers as they come, until the link is closed. One reader."""
        return self.inbox.messages()

    def read(self, event_id: str, modified_at: datetime | None) -> None:
        """The site has read an event in a version: it has the command that stands behind it."""
        state = self._by_event.get(event_id)
        if state is None or state.force is None or state.read_seq == state.force.seq:
            return
        event = self.shelf.event(event_id)
        if event is not None and event.modified_at == modified_at:
            state.read_seq = state.force.seq
            self._answer(state, state.force)

    def tell(self, readings: Iterable[SiteReading]) -> None:
        """A report of the site: what is not of a device of ours was refused before."""
        for reading in readings:
            device_id = self.shelf.device(reading.resource_name)
            assert device_id is not None
            state = self._states[ResourceId(device_id)]
            if reading.held_kw is not None:
                self._holds(state, reading.held_kw, reading.at)
            if reading.power_kw is not None and reading != state.newest:
                self._say(state, self._telemetry(state, reading, reading.power_kw))

    def _telemetry(self, state: _State, reading: SiteReading, power_kw: float) -> TelemetryMessage:
        late = state.newest is not None and reading.at < state.newest.at
        if not late:
            state.seq += 1
            if reading.at <= self._now() + AHEAD:
                state.newest = reading
        held = state.agreed_at is not None and reading.at >= state.agreed_at
        return TelemetryMessage(
            ts=isoformat(reading.at),
            seq=LATE_SEQ if late else state.seq,
            power_kw=power_kw,
            quality=reading.quality,
            soc=reading.soc,
            setpoint_seq=state.force.seq if state.force and held else None,
        )

    def _holds(self, state: _State, held_kw: float, at: datetime) -> None:
        """What the device says it was set to then: ours, not ours yet, or not ours any more."""
        force, event = state.force, self.shelf.event(state.event_id)
        if force is None or event is None or event.period is None or event.period.start is None:
            return
        if at < event.period.start:
            return  # what it held before it was asked says nothing; reports come late, or again
        if abs(held_kw - _asked_kw(state.device, force)) <= SAME_KW:
            state.agreed_at = state.agreed_at or min(at, self._now())
        elif state.agreed_at is not None and at >= state.agreed_at:
            self._answer(state, force, f"somebody else changed it: it holds {held_kw:g} kW")
            self._withdraw(state)

    def _answer(self, state: _State, setpoint: Setpoint, refused: str | None = None) -> None:
        self._say(
            state,
            AckMessage(
                command_id=setpoint.command_id,
                seq=setpoint.seq,
                ts=isoformat(self._now()),
                accepted=refused is None,
                reason=refused,
            ),
        )

    def _say(self, state: _State, told: TelemetryMessage | AckMessage) -> None:
        device = state.device
        self.inbox.tell(device.enterprise_id, device.site_id, device.device_id, told)

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Put each command on the list that the site reads; return those that it may not read in time.

        These too are on the list, for a site that comes back: their end bounds what comes of it.

        Raises:
            DataError: A set-point names no device of this site, or another enterprise's.
        """
        unsent = []
        for setpoint in setpoints:
            state = self._states.get(setpoint.resource_id)
            if state is None or state.device.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            if state.device.sends is None:
                unsent.append(Unsent(setpoint=setpoint, reason="is read-only"))
                continue
            self._ask(state, setpoint)
            if not self.connected:
                unsent.append(Unsent(setpoint=setpoint, reason=self.fault or ""))
        self._wake.set()
        return tuple(unsent)

    def _ask(self, state: _State, setpoint: Setpoint) -> None:
        before, event = state.force, self.shelf.event(state.event_id)
        same = before is not None and event is not None and before.power_kw == setpoint.power_kw
        start = setpoint.issued_at
        if (
            same
            and event is not None
            and event.period is not None
            and event.period.start is not None
        ):
            start = event.period.start  # it goes on
        state.agreed_at = state.agreed_at if same else None
        put = self.shelf.put_event(_asks_for_power(state.device, setpoint, start, state.event_id))
        state.event_id, state.force = put.event_id, setpoint
        self._by_event[put.event_id] = state

    def _withdraw(self, state: _State) -> None:
        if state.event_id:
            del self._by_event[state.event_id]
            self.shelf.drop_event(state.event_id)
        state.event_id, state.force, state.agreed_at, state.read_seq = "", None, None, -1

    def end_what_is_over(self) -> None:
        """Take what has ended off the list, and ask for reports anew in time."""
        for state in self._states.values():
            if state.force is not None and state.force.expires_at <= self._now():
                self._withdraw(state)
            self._ask_for_reports(state)

    async def _tend(self) -> None:
        while True:
            self._wake.clear()
            self.end_what_is_over()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()

    def _ask_for_reports(self, state: _State) -> None:
        """Ask anew when half of the time is over that was asked for."""
        now, period = self._now(), state.asking.period
        assert period is not None
        assert period.start is not None
        if now - period.start > REPORTS_FOR / 2:
            event_id = state.asking.event_id
            state.asking = self.shelf.put_event(_asks_for_reports(state.device, now, event_id))


def _asked_kw(device: SiteDevice, setpoint: Setpoint) -> float:
    """Net injection that the device can be expected to name: a limit says nothing of the other direction."""
    if device.sends == "IMPORT_CAPACITY_LIMIT":
        return min(setpoint.power_kw, 0.0)
    if device.sends == "EXPORT_CAPACITY_LIMIT":
        return max(setpoint.power_kw, 0.0)
    return setpoint.power_kw


def _asks_for_power(
    device: SiteDevice, setpoint: Setpoint, start: datetime, event_id: str
) -> ProgrammeEvent:
    assert device.sends is not None
    fed_kw = _asked_kw(device, setpoint)
    drawn_kw = -fed_kw + 0.0  # OpenADR counts what is drawn
    value = fed_kw if device.sends == "EXPORT_CAPACITY_LIMIT" else drawn_kw
    return replace(
        _of_one_interval(device, start, setpoint.expires_at - start, device.sends, value),
        event_id=event_id,
        name=f"{device.device_id} power",
        priority=1,
    )


def _of_one_interval(
    device: SiteDevice, start: datetime, length: timedelta, kind: str, value: float
) -> ProgrammeEvent:
    return ProgrammeEvent(
        event_id="",
        program_id="",
        targets=(device.device_id,),
        period=EventPeriod(start=start, duration=length),
        units=(PayloadUnits(payload_type=kind, units="KW"),),
        intervals=(
            EventInterval(
                interval_id=0, payloads=(Payload(payload_type=kind, values=(round(value, 3),)),)
            ),
        ),
    )


def _asks_for_reports(device: SiteDevice, now: datetime, event_id: str) -> ProgrammeEvent:
    """An interval without a signal that is repeated: a report is wanted after each."""
    length = timedelta(seconds=device.report_s)
    asked = ReportAsked(
        payload_type="READING", reading_type="DIRECT_READ", units="KW", num_intervals=1, frequency=1,
        start_interval=0, repeat=-1,
    )  # fmt: skip
    return ProgrammeEvent(
        event_id=event_id,
        program_id="",
        name=f"{device.device_id} reports",
        targets=(device.device_id,),
        period=EventPeriod(start=now.replace(microsecond=0), duration=length),
        duration=REPORTS_FOR,
        reports=(asked,),
        intervals=(EventInterval(interval_id=0, payloads=()),),
    )
