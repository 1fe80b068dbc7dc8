"""A utility's server of OpenADR 2.0b, asked through the VEN of openleadr: events as the same nouns as OpenADR 3's.

Thin on purpose: openleadr speaks the XML, registers, answers events with `optIn` and sends the power that the
server asks for. Each look fetches the whole list of events (`oadrRequestEvent`), so that what is not in it is
cancelled here as in OpenADR 3. openleadr is an extra (`vpp[openadr2b]`) and imported when a server is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from types import TracebackType
from typing import Any, Self

from adapters.certificate import ClientCertificate
from adapters.safe_url import require_safe
from vpp.errors import ConfigError, RejectedError, UnavailableError
from vpp.model.programme import (
    EventFault,
    EventInterval,
    EventList,
    EventPeriod,
    Payload,
    PayloadUnits,
    Program,
    ProgrammeEvent,
    ProgrammeReport,
)

KEPT_CHARS = 500
"""Of an event that cannot be read."""

PAYLOADS = {
    ("SIMPLE", "level"): ("SIMPLE", None),
    ("ELECTRICITY_PRICE", "price"): ("PRICE", "KWH"),
    ("LOAD_DISPATCH", "setpoint"): ("DISPATCH_SETPOINT", "KW"),
    ("LOAD_DISPATCH", "delta"): ("DISPATCH_SETPOINT_RELATIVE", "KW"),
}
"""Name and type of a signal here, and the payload of OpenADR 3 that says the same, with its unit."""

GONE = ("cancelled", "completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vtn2b:
    """Which server, and who we are to it."""

    url: str
    """Ends in `/OpenADR2/Simple/2.0b`."""

    ven_name: str
    ven_id: str | None = None
    certificate: ClientCertificate | None = None
    vtn_fingerprint: str | None = None
    sample_s: float = 60.0
    """How often power is sampled for the reports that the server asks for."""


class OpenAdr2b:
    """A `ProgrammeServer`; an async context manager."""

    def __init__(self, vtn: Vtn2b) -> None:
        """Take who to ask; nothing is asked yet.

        Raises:
            ConfigError: The address is neither https nor loopback, or openleadr is not installed.
        """
        require_safe(vtn.url, where="openadr.url")
        try:
            from openleadr import OpenADRClient
        except ImportError as error:
            raise ConfigError(
                "OpenADR 2.0b needs openleadr",
                where="openadr.version",
                fix="Install vpp[openadr2b], or use version 3.1",
            ) from error
        self._make = OpenADRClient
        self._vtn = vtn
        self._client: Any = None
        self._power_kw: Callable[[], float | None] = _unknown
        self._answered: set[tuple[str, str]] = set()
        """Which versions of which events were opted into."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.stop()
            self._client = None

    def offer_power(self, power_kw: Callable[[], float | None]) -> None:
        """What is told where the server asks for RealPower: draw positive, None where it is not known."""
        self._power_kw = power_kw

    async def register(self) -> None:
        """Register, say what we can report, and let openleadr poll. Raises as the port says."""
        if self._client is not None:
            return
        vtn, shown = self._vtn, self._vtn.certificate
        client = self._make(
            ven_name=vtn.ven_name,
            vtn_url=vtn.url,
            ven_id=vtn.ven_id,
            cert=None if shown is None else str(shown.cert),
            key=None if shown is None else str(shown.key),
            ca_file=None if shown is None or shown.ca is None else str(shown.ca),
            vtn_fingerprint=vtn.vtn_fingerprint,
            show_fingerprint=False,
        )
        client.add_handler("on_event", _opt_in)
        client.add_handler("on_update_event", _opt_in)
        client.add_report(
            callback=self._sample,
            resource_id=vtn.ven_name,
            measurement="RealPower",
            unit="W",
            scale="k",
            report_duration=timedelta(hours=1),
            sampling_rate=timedelta(seconds=vtn.sample_s),
        )
        try:
            await client.run()
        except (TypeError, KeyError) as error:  # how openleadr meets an answer that is none
            raise UnavailableError(
                f"answers something else: {error!r:.100}", where=vtn.url, fix="Ask again"
            ) from error
        if client.registration_id is None:  # openleadr has logged why, and closed itself
            raise UnavailableError("does not register us", where=vtn.url, fix="Ask again")
        self._client = client

    async def events(self, programs: Sequence[str]) -> EventList:
        """All events of the market contexts with these names. Raises as the port says."""
        await self.register()
        try:
            kind, message = await self._client.request_event()
            if kind not in (
                "oadrDistributeEvent",
                "oadrResponse",
            ):  # None: openleadr has logged why
                raise UnavailableError("no list of events", where=self._vtn.url, fix="Ask again")
            listed = message.get("events") or []
            if any(_version(one) not in self._answered for one in listed):
                await self._client.sync_events()
                self._answered = {_version(one) for one in listed}
        except (TypeError, KeyError) as error:
            raise UnavailableError(
                f"answers something else: {error!r:.100}", where=self._vtn.url, fix="Ask again"
            ) from error
        read = [read_event(one) for one in listed]
        events = [one for one in read if isinstance(one, ProgrammeEvent)]
        return EventList(
            programs=tuple(Program(program_id=name, name=name) for name in programs),
            events=tuple(one for one in events if one.program_id in programs),
            faults=tuple(one for one in read if isinstance(one, EventFault)),
        )

    async def send_report(self, report: ProgrammeReport) -> None:
        """Raises RejectedError: 2.0b knows the power that it asks for, and no reports of events."""
        raise RejectedError(
            "takes no reports of events", where=self._vtn.url, fix="It asks for power by itself"
        )

    async def has_report(self, report: ProgrammeReport) -> bool:
        """No: see `send_report`."""
        return False

    def _sample(self) -> list[tuple[datetime, float]]:
        """The power now, as openleadr asks for it.

        Raises:
            UnavailableError: It is not known. openleadr logs that and sends nothing: an old value would be
                taken for a new one, and a report without values is one that servers stumble over.
        """
        power_kw = self._power_kw()
        if power_kw is None:
            raise UnavailableError("no fresh reading", where="power", fix="Look at the meters")
        return [(datetime.now(UTC), power_kw)]


def read_event(event: Mapping[str, Any]) -> ProgrammeEvent | EventFault | None:
    """One event as openleadr parses it; None where it is over or cancelled."""
    try:
        descriptor = event["event_descriptor"]
        if descriptor["event_status"] in GONE:
            return None
        signals = event["event_signals"]
        return ProgrammeEvent(
            event_id=str(descriptor["event_id"]),
            program_id=_context(descriptor),
            created_at=_utc(descriptor.get("created_date_time")),
            modified_at=_utc(descriptor.get("modification_date_time")),
            modification=int(descriptor["modification_number"]),
            priority=int(descriptor.get("priority") or 0) or None,
            period=EventPeriod(
                start=_utc(event["active_period"]["dtstart"]),
                duration=event["active_period"]["duration"],
            ),
            units=tuple(_units(signal) for signal in signals),
            intervals=_intervals(event, signals),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        name = None
        if isinstance(event, Mapping) and isinstance(event.get("event_descriptor"), Mapping):
            name = event["event_descriptor"].get("event_id")
        return EventFault(
            event_id=name if isinstance(name, str) else None,
            what=f"{type(error).__name__}: {error}"[:KEPT_CHARS],
            raw=repr(event)[:KEPT_CHARS],
        )


def _version(event: Mapping[str, Any]) -> tuple[str, str]:
    descriptor = event["event_descriptor"]
    return str(descriptor["event_id"]), str(descriptor["modification_number"])


def _intervals(event: Mapping[str, Any], signals: Sequence[Any]) -> tuple[EventInterval, ...]:
    """The intervals of all signals, each with its own start: signals need not have the same ones."""
    found: list[EventInterval] = []
    for signal in signals:
        kind, _ = _payload(signal)
        start = _utc(event["active_period"]["dtstart"])
        for interval in signal["intervals"]:
            begins = _utc(interval.get("dtstart")) or start
            length = interval.get("duration") or event["active_period"]["duration"]
            value = float(interval["signal_payload"])
            if not isfinite(value):  # XML can say NaN, the record cannot
                raise ValueError(f"{kind} is {value}")
            payload = Payload(payload_type=kind, values=(value,))
            found.append(
                EventInterval(
                    interval_id=len(found),
                    period=EventPeriod(start=begins, duration=length),
                    payloads=(payload,),
                )
            )
            start = begins + length if begins is not None else None
    return tuple(found)


def _payload(signal: Mapping[str, Any]) -> tuple[str, str | None]:
    name, kind = str(signal["signal_name"]), str(signal["signal_type"])
    return PAYLOADS.get((name.upper(), kind), (f"{name}/{kind}"[:128], None))


def _units(signal: Mapping[str, Any]) -> PayloadUnits:
    kind, units = _payload(signal)
    return PayloadUnits(payload_type=kind, units=units)


def _context(descriptor: Mapping[str, Any]) -> str:
    """The market context: in 2.0b the name of a program."""
    context = descriptor.get("market_context") or ""
    if isinstance(context, Mapping):
        context = context.get("market_context", "")
    return str(context)


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} names no zone")
    return moment.astimezone(UTC)


def _unknown() -> float | None:
    return None


async def _opt_in(event: Mapping[str, Any]) -> str:
    """Whatever we can do about an event is decided afterwards, and told with its reason."""
    return "optIn"
