"""OpenADR 3 as a server writes it: programs, events, VENs, resources as JSON objects. Pure, both dialects.

3.1 differs in targets, which are texts, and in an event's own `duration`, which repeats its intervals; 3.0
has neither: what is repeated is one long interval there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from adapters.openadr3_wire import Version
from vpp.model.programme import (
    EventInterval,
    EventPeriod,
    PayloadUnits,
    Program,
    ProgrammeEvent,
    ReportAsked,
)
from vpp.model.time import isoformat


def program_object(program: Program, *, created_at: datetime) -> dict[str, Any]:
    """A program; it never changes."""
    return {
        **head("PROGRAM", program.program_id, created_at, created_at),
        "programName": program.name,
        "payloadDescriptors": _descriptors(program.units),
    }


def event_object(event: ProgrammeEvent, version: Version) -> dict[str, Any]:
    """An event in its newest version. It has both of its times: a server gives them."""
    assert event.created_at is not None
    assert event.modified_at is not None
    whole = event.duration if version == "3.0" else None
    found = {
        **head("EVENT", event.event_id, event.created_at, event.modified_at),
        "programID": event.program_id,
        "eventName": event.name,
        "targets": targets_object(event.targets, version),
        "payloadDescriptors": _descriptors(event.units),
        "reportDescriptors": [_asked(one) for one in event.reports],
        "intervals": [_interval(one) for one in event.intervals],
    }
    if event.priority is not None:
        found["priority"] = event.priority
    if event.period is not None:
        found["intervalPeriod"] = _period(event.period, whole)
    if event.duration is not None and version == "3.1":
        found["duration"] = duration_text(event.duration)
    return found


def ven_object(
    ven_id: str, ven_name: str, *, client: str, created_at: datetime, version: Version
) -> dict[str, Any]:
    """A client that takes events."""
    found = {**head("VEN", ven_id, created_at, created_at), "venName": ven_name}
    return found | ({"clientID": client} if version == "3.1" else {})


def resource_object(
    resource_id: str, name: str, *, ven_id: str, created_at: datetime, version: Version
) -> dict[str, Any]:
    """A device of a client."""
    return {
        **head("RESOURCE", resource_id, created_at, created_at),
        "resourceName": name,
        "venID": ven_id,
        "targets": targets_object((name,), version),
    }


def head(kind: str, name: str, created_at: datetime, modified_at: datetime) -> dict[str, Any]:
    """What stands in every object."""
    return {
        "id": name,
        "objectType": kind,
        "createdDateTime": isoformat(created_at),
        "modificationDateTime": isoformat(modified_at),
    }


def targets_object(names: tuple[str, ...], version: Version) -> list[Any]:
    """Whom something is for: names of resources."""
    if version == "3.1":
        return list(names)
    return [{"type": "RESOURCE_NAME", "values": list(names)}] if names else []


def duration_text(length: timedelta) -> str:
    """ISO 8601 in seconds: what every client reads."""
    seconds = length.total_seconds()
    return f"PT{seconds:.0f}S" if seconds == round(seconds) else f"PT{seconds:.3f}S"


def _descriptors(units: Iterable[PayloadUnits]) -> list[dict[str, Any]]:
    return [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": one.payload_type}
        | ({} if one.units is None else {"units": one.units})
        for one in units
    ]


def _asked(one: ReportAsked) -> dict[str, Any]:
    return {
        "payloadType": one.payload_type,
        **({} if one.reading_type is None else {"readingType": one.reading_type}),
        **({} if one.units is None else {"units": one.units}),
        "startInterval": one.start_interval,
        "numIntervals": one.num_intervals,
        "historical": one.historical,
        "frequency": one.frequency,
        "repeat": one.repeat,
    }


def _interval(interval: EventInterval) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": interval.interval_id,
        "payloads": [{"type": p.payload_type, "values": list(p.values)} for p in interval.payloads],
    }
    if interval.period is not None:
        found["intervalPeriod"] = _period(interval.period, None)
    return found


def _period(period: EventPeriod, whole: timedelta | None) -> dict[str, Any]:
    found = {}
    if period.start is not None:
        found["start"] = isoformat(period.start)
    length = whole or period.duration
    if length is not None:
        found["duration"] = duration_text(length)
    return found
