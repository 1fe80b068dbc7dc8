"""OpenADR 3 as JSON: programs and events read into our nouns, reports written. Pure, both dialects.

3.1 differs where it is read (targets are texts, `targets` may be null, an event may be repeated) and where it is
written (a report names no program). Unknown keys are passed over, for utilities add their own; everything known
must be of its type. One event that is not as it should be is a fault of that event, never of the list.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from vpp.errors import DataError
from vpp.model.programme import (
    OPEN_END,
    EventFault,
    EventInterval,
    EventPeriod,
    Payload,
    PayloadUnits,
    PayloadValue,
    Program,
    ProgrammeEvent,
    ProgrammeReport,
    ReportAsked,
)
from vpp.model.time import isoformat, parse_utc

MOST_INTERVALS = 10_000
KEPT_CHARS = 500
"""Of an event that cannot be read."""

Version = Literal["3.0", "3.1"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,18})Y)?(?:(\d{1,18})M)?(?:(\d{1,18})W)?(?:(\d{1,18})D)?"
    r"(?:T(?:(\d{1,18})H)?(?:(\d{1,18})M)?(?:(\d{1,18}(?:\.\d{1,18})?)S)?)?"
)
_ENDLESS_YEARS = 100
_LONGEST = timedelta(days=366 * _ENDLESS_YEARS)
LONGEST_SHIFT = timedelta(days=1)
"""By more no start is moved at random: nothing could be planned for it."""


class Values(msgspec.Struct, omit_defaults=True):
    """A type and its values."""

    type: Name
    values: list[bool | int | float | str | dict[str, Any]]


class Period(msgspec.Struct, omit_defaults=True):
    """When something begins, and how long it lasts."""

    start: str | None = None
    duration: str | None = None
    randomizeStart: str | None = None  # noqa: N815 - as the wire writes it


class Interval(msgspec.Struct, omit_defaults=True):
    """One stretch of an event or a report."""

    id: _Whole
    payloads: list[Values]
    intervalPeriod: Period | None = None  # noqa: N815


class Descriptor(msgspec.Struct, omit_defaults=True):
    """In what the values of a payload type are counted."""

    payloadType: Name  # noqa: N815
    objectType: str | None = None  # noqa: N815
    units: str | None = None
    currency: str | None = None


class _Asked(msgspec.Struct):
    payloadType: Name  # noqa: N815
    readingType: str | None = None  # noqa: N815
    units: str | None = None
    startInterval: _Whole = -1  # noqa: N815
    numIntervals: _Whole = -1  # noqa: N815
    historical: bool = True
    frequency: _Whole = -1
    repeat: _Whole = 1


class _Event(msgspec.Struct):
    id: Name
    programID: Name  # noqa: N815
    intervals: Annotated[list[Interval], msgspec.Meta(max_length=MOST_INTERVALS)]
    objectType: Literal["EVENT"] | None = None  # noqa: N815
    createdDateTime: str | None = None  # noqa: N815
    modificationDateTime: str | None = None  # noqa: N815
    eventName: str | None = None  # noqa: N815
    priority: _Count | None = None
    targets: list[str | Values] | None = None
    reportDescriptors: list[_Asked] | None = None  # noqa: N815
    payloadDescriptors: list[Descriptor] | None = None  # noqa: N815
    intervalPeriod: Period | None = None  # noqa: N815
    duration: str | None = None


class _Program(msgspec.Struct):
    id: Name
    programName: Name  # noqa: N815
    objectType: Literal["PROGRAM"] | None = None  # noqa: N815
    payloadDescriptors: list[Descriptor] | None = None  # noqa: N815


class _Named(msgspec.Struct):
    id: str


_event = msgspec.json.Decoder(_Event).decode
_program = msgspec.json.Decoder(_Program).decode
_named = msgspec.json.Decoder(_Named).decode


def id_of(raw: bytes | msgspec.Raw) -> str | None:
    """The id of an object, whatever else is wrong with it; None where it has none."""
    try:
        return _named(raw).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_event(raw: bytes | msgspec.Raw) -> ProgrammeEvent | EventFault:
    """One event, or what is wrong with it."""
    try:
        return _event_noun(_event(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = str(error)
    except DataError as error:
        what = f"{error.where}: {error.what}"
    shown = bytes(raw)[:KEPT_CHARS].decode("utf-8", "replace")
    return EventFault(event_id=id_of(raw), what=what[:KEPT_CHARS], raw=shown)


def read_program(raw: bytes | msgspec.Raw) -> Program | None:
    """One program; None where it is not one."""
    try:
        program = _program(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Program(
        program_id=program.id, name=program.programName, units=_units(program.payloadDescriptors)
    )


def _event_noun(event: _Event) -> ProgrammeEvent:
    return ProgrammeEvent(
        event_id=event.id,
        program_id=event.programID,
        name=event.eventName or "",
        created_at=read_moment(event.createdDateTime, "createdDateTime"),
        modified_at=read_moment(event.modificationDateTime, "modificationDateTime"),
        priority=event.priority,
        targets=_targets(event.targets),
        period=_period(event.intervalPeriod, "intervalPeriod"),
        duration=read_duration(event.duration, "duration"),
        units=_units(event.payloadDescriptors),
        reports=tuple(_asked(one) for one in event.reportDescriptors or ()),
        intervals=tuple(
            EventInterval(
                interval_id=one.id,
                period=_period(one.intervalPeriod, f"intervals.{place}.intervalPeriod"),
                payloads=tuple(
                    Payload(payload_type=p.type, values=tuple(_value(v) for v in p.values))
                    for p in one.payloads
                ),
            )
            for place, one in enumerate(event.intervals)
        ),
    )


def _value(value: bool | int | float | str | dict[str, Any]) -> PayloadValue:
    """A point is kept as its text: nothing that we understand has one. So is a number beyond all sense."""
    if isinstance(value, dict):
        return json.dumps(value)
    return value if isinstance(value, str) or abs(value) < 2**53 else str(value)


def _asked(one: _Asked) -> ReportAsked:
    return ReportAsked(
        payload_type=one.payloadType,
        reading_type=one.readingType,
        units=one.units,
        start_interval=one.startInterval,
        num_intervals=one.numIntervals,
        historical=one.historical,
        frequency=one.frequency,
        repeat=one.repeat,
    )


def _targets(targets: list[str | Values] | None) -> tuple[str, ...]:
    """3.0 writes `{type, values}`, 3.1 texts alone."""
    names: list[str] = []
    for target in targets or ():
        names += (
            [target]
            if isinstance(target, str)
            else [v for v in target.values if isinstance(v, str)]
        )
    return tuple(names)


def _units(descriptors: list[Descriptor] | None) -> tuple[PayloadUnits, ...]:
    return tuple(
        PayloadUnits(payload_type=one.payloadType, units=one.units, currency=one.currency)
        for one in descriptors or ()
        if one.objectType != "REPORT_PAYLOAD_DESCRIPTOR"
    )


def _period(period: Period | None, where: str) -> EventPeriod | None:
    if period is None:
        return None
    randomize = read_duration(period.randomizeStart, f"{where}.randomizeStart")
    if randomize is not None and randomize > LONGEST_SHIFT:
        raise DataError(
            f"{period.randomizeStart:.40} moves it by more than a day",
            where=f"{where}.randomizeStart",
            fix="Write PT15M",
        )
    return EventPeriod(
        start=read_moment(period.start, f"{where}.start"),
        duration=read_duration(period.duration, f"{where}.duration"),
        randomize=randomize or None,
    )


def read_moment(text: str | None, where: str) -> datetime | None:
    """A time; None where there is none, or where it says the beginning of time."""
    if text is None or text.startswith(("0001-01-01", "0000-")):
        return None
    moment = parse_utc(text, where=where)
    if not 1970 <= moment.year <= 2200:
        raise DataError(f"{text} lies outside the years 1970 to 2200", where=where, fix="Mend it")
    return moment


def read_duration(text: str | None, where: str) -> timedelta | None:
    """An ISO 8601 duration; None where there is none, `OPEN_END` for a hundred years and more.

    Raises:
        DataError: No duration, or months or a few years, whose length nobody knows.
    """
    if text is None:
        return None
    if (parts := _DURATION.fullmatch(text)) is None:
        raise DataError(f"{text[:40]!r} is no duration", where=where, fix="Write PT1H")
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in parts.groups()[:6])
    if years >= _ENDLESS_YEARS:
        return OPEN_END
    if years or months:
        raise DataError(f"{text} has no certain length", where=where, fix="Write it in days")
    seconds = float(parts.group(7) or 0)
    try:
        found = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return OPEN_END
    return OPEN_END if found > _LONGEST else found


# ---------------------------------------------------------------- written


def report_body(report: ProgrammeReport, *, client_name: str, version: Version) -> bytes:
    """A report as the body of a POST."""
    body: dict[str, Any] = {
        "objectType": "REPORT",
        "eventID": report.event_id,
        "clientName": client_name,
        "reportName": report.report_name,
        "payloadDescriptors": [
            {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": one.payload_type}
            | ({} if one.units is None else {"units": one.units})
            for one in report.units
        ],
        "resources": [
            {
                "resourceName": "AGGREGATED_REPORT",
                "intervals": [
                    {
                        "id": one.interval_id,
                        "intervalPeriod": {
                            "start": isoformat(one.start),
                            "duration": f"PT{one.duration.total_seconds():.0f}S",
                        },
                        "payloads": [
                            {"type": p.payload_type, "values": list(p.values)} for p in one.payloads
                        ],
                    }
                    for one in report.intervals
                ],
            }
        ],
    }
    if version == "3.0":
        body["programID"] = report.program_id
    return msgspec.json.encode(body)


def ven_body(ven_name: str, *, version: Version) -> bytes:
    """Ourselves, as the body of a POST."""
    kind = "VEN" if version == "3.0" else "VEN_VEN_REQUEST"
    return msgspec.json.encode({"objectType": kind, "venName": ven_name})
