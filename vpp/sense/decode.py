"""One telemetry message: from topic and bytes to a checked measurement, or a refusal with its reason.

What passes here is finite, believable, of a device we know, sent under its owner's topic, dated
with a zone, not from the future. Whoever reads a `Measurement` need not ask again.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import TypeAlias

import msgspec

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import (
    EvSession,
    Measurement,
    MeterReading,
    Quality,
    Reading,
    RunPhase,
)
from vpp.model.park import Park
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import parse_utc
from vpp.wire import TOPIC_ROOT, TelemetryMessage

MAX_BYTES = 16 * 1024
"""Larger payloads are not even parsed."""

MAX_AHEAD = timedelta(seconds=5)
"""How far a device's clock may run ahead of ours."""

MAX_BACKFILL = timedelta(days=31)
"""Older than this is no buffer sent late but a wrong clock."""

_ROOT = TOPIC_ROOT.split("/")
_LARGEST = 2**53
"""Integers up to here are exact everywhere, in JavaScript too."""

_RANGES = (
    ("energy_kwh", -1e10, 1e10),
    ("soc", 0.0, 1.0),
    ("temperature_degc", -90.0, 500.0),
    ("hours_on_today", 0.0, 25.0),
    ("done_kwh", 0.0, 1e9),
    ("discharged_today_kwh", 0.0, 1e9),
    ("reactive_kvar", -1e7, 1e7),
)
_ranged = attrgetter(*(name for name, _, _ in _RANGES))

_QUALITIES = {quality.value: quality for quality in Quality}

Owners: TypeAlias = Mapping[ResourceId, tuple[EnterpriseId, ConnectionPointId]]
PlausibleKw: TypeAlias = Mapping[ResourceId, tuple[float, float]]


class RefusalReason(StrEnum):
    """Why a message was refused: the label of the counter."""

    TOPIC = "topic"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    SCHEMA = "schema"
    NOT_FINITE = "not_finite"
    UNKNOWN_DEVICE = "unknown_device"
    FOREIGN_DEVICE = "foreign_device"
    BAD_TIME = "bad_time"
    NAIVE_TIME = "naive_time"
    FROM_FUTURE = "from_future"
    TOO_OLD = "too_old"
    IMPLAUSIBLE = "implausible"
    WRONG_UNIT = "wrong_unit"
    """A power beyond anything the device can do, and not beyond it in W."""
    WRONG_SIGN = "wrong_sign"
    """A power in a direction the device has no size in."""
    REGRESS = "regress"
    QUARANTINED = "quarantined"


class Refusal(DataError):  # noqa: N818 - an answer that callers match on, raised inside only
    """A message that may not enter."""

    def __init__(self, reason: RefusalReason, what: str, *, where: str, fix: str) -> None:
        super().__init__(what, where=where[:120], fix=fix)
        self.reason = reason
        self.first = False
        """True where this source was good until now: the moment to write it to the log."""


def plausible_kw(park: Park) -> dict[ResourceId, tuple[float, float]]:
    """Lowest and highest believable net injection of each resource and main meter, in kW.

    A resource may read 125 % of its size, and 2 % in a direction it has no size in (the inverter
    of a PV plant draws a little at night). What a load makes up for after a call is part of its size
    here. A main meter may read what all behind it add up to, other carriers than electricity left out.
    """
    limits: dict[ResourceId, tuple[float, float]] = {}
    for resource in park.resources:
        draw_kw = resource.draw_kw
        if isinstance(resource, InterruptibleLoad):
            draw_kw = resource.most_draw_kw
        spare = 0.02 * max(draw_kw, resource.feed_kw)
        limits[resource.resource_id] = (
            -max(1.25 * draw_kw, spare),
            max(1.25 * resource.feed_kw, spare),
        )
    for point in park.connection_points:
        behind = [
            limits[resource_id] for resource_id in park.behind_point[point.connection_point_id]
        ]
        limits[point.meter_id] = (sum(low for low, _ in behind), sum(high for _, high in behind))
    return limits


def decode(
    topic: str,
    payload: bytes,
    park_devices: Owners,
    plausible_kw: PlausibleKw,
    meters: Set[ResourceId],
    received_at: datetime,
) -> Measurement:
    """Read one message. Pure, so that every odd payload seen in the field gets a test.

    `plausible_kw` holds lowest and highest power of every device, kW net injection; `meters`
    the devices which are main meters.

    Raises:
        Refusal: Whatever is wrong with the message, and nothing else is ever raised.
    """
    device_id, enterprise_id = _device(topic, park_devices)
    message = _parse(topic, payload)
    measured_at = _time(message.ts, received_at, topic)
    if not 0 <= message.seq < _LARGEST:
        raise _implausible(topic, "seq is negative or huge", "Count messages from 0")
    low, high = plausible_kw[device_id]
    if not low <= message.power_kw <= high:
        raise _out_of_range(topic, message.power_kw, low, high)
    if device_id in meters:
        return _meter_reading(topic, message, device_id, enterprise_id, measured_at, received_at)
    return _reading(topic, message, device_id, enterprise_id, measured_at, received_at, high)


def _device(topic: str, owners: Owners) -> tuple[ResourceId, EnterpriseId]:
    parts = topic.split("/")
    if len(parts) != 6 or parts[:2] != _ROOT or parts[5] != "telemetry":
        raise Refusal(
            RefusalReason.TOPIC,
            "is no telemetry topic",
            where=topic,
            fix=f"Publish to {TOPIC_ROOT}/{{enterprise}}/{{site}}/{{device}}/telemetry",
        )
    device_id = ResourceId(parts[4])
    owner = owners.get(device_id)
    if owner is None:
        raise Refusal(
            RefusalReason.UNKNOWN_DEVICE,
            "the park has no such device",
            where=topic,
            fix="Add the device to the park file, or correct its topic",
        )
    if (parts[2], parts[3]) != owner:
        raise Refusal(
            RefusalReason.FOREIGN_DEVICE,
            "the device does not belong to this enterprise and site",
            where=topic,
            fix="Check the credentials and the topic of this gateway",
        )
    return device_id, owner[0]


_decoder = msgspec.json.Decoder(TelemetryMessage)


def _parse(topic: str, payload: bytes) -> TelemetryMessage:
    if len(payload) > MAX_BYTES:
        raise Refusal(
            RefusalReason.TOO_LARGE,
            f"{len(payload)} bytes",
            where=topic,
            fix=f"Send at most {MAX_BYTES} bytes a message",
        )
    try:
        return _decoder.decode(payload)
    except RecursionError as error:
        reason, what = RefusalReason.SCHEMA, "nested too deeply"
        cause: Exception = error
    except msgspec.ValidationError as error:
        # The parser's word for 1e999 and for a float of 400 digits.
        beyond = "out of range" in str(error)
        reason = RefusalReason.NOT_FINITE if beyond else RefusalReason.SCHEMA
        what, cause = str(error), error
    except ValueError as error:  # malformed, not UTF-8, an integer too long for Python
        literal = b"NaN" in payload or b"Infinity" in payload
        reason = RefusalReason.NOT_FINITE if literal else RefusalReason.NOT_JSON
        what, cause = str(error)[:120], error
    raise Refusal(
        reason,
        f"{what} in {payload[:80]!r}",
        where=topic,
        fix="Compare the device's firmware with TelemetryMessage in vpp/wire.py",
    ) from cause


def _time(text: str, received_at: datetime, topic: str) -> datetime:
    """A source time, neither ahead of us nor older than any buffer."""
    moment = _moment(text, topic)
    if moment - received_at > MAX_AHEAD:
        raise Refusal(
            RefusalReason.FROM_FUTURE,
            f"{text[:40]} lies ahead of {received_at}",
            where=topic,
            fix="Set the device's clock",
        )
    if received_at - moment > MAX_BACKFILL:
        raise Refusal(
            RefusalReason.TOO_OLD,
            f"{text[:40]} lies far behind {received_at}",
            where=topic,
            fix="Set the device's clock",
        )
    return moment


def _moment(text: str, topic: str) -> datetime:
    try:
        return parse_utc(text, where=topic)
    except (DataError, OverflowError) as error:
        naive = isinstance(error, DataError) and "no time zone" in error.what
        raise Refusal(
            RefusalReason.NAIVE_TIME if naive else RefusalReason.BAD_TIME,
            f"{text[:40]!r} has no time zone" if naive else f"{text[:40]!r} is no time",
            where=topic,
            fix="Send ISO 8601 with a zone, such as 2025-12-03T00:00:00Z",
        ) from error


def _out_of_range(topic: str, power_kw: float, low: float, high: float) -> Refusal:
    """A power that cannot be; by what it would be in W, or with the other sign, the likely mistake is named."""
    reason, fix = RefusalReason.IMPLAUSIBLE, "Check unit, sign and the size in the park file"
    if low <= -power_kw <= high:
        reason, fix = RefusalReason.WRONG_SIGN, "Send net injection: what is drawn lies below 0"
    elif low <= power_kw / 1000 <= high or low <= -power_kw / 1000 <= high:
        reason, fix = RefusalReason.WRONG_UNIT, "Send kW, not W"
    what = f"power_kw is {power_kw}, outside {low} … {high}"
    return Refusal(reason, what, where=topic, fix=fix)


def _implausible(topic: str, what: str, fix: str) -> Refusal:
    return Refusal(RefusalReason.IMPLAUSIBLE, what, where=topic, fix=fix)


def _meter_reading(
    topic: str,
    message: TelemetryMessage,
    meter_id: ResourceId,
    enterprise_id: EnterpriseId,
    measured_at: datetime,
    received_at: datetime,
) -> MeterReading:
    if message.import_wh is None or message.export_wh is None:
        raise Refusal(
            RefusalReason.SCHEMA,
            "a main meter without import_wh or export_wh",
            where=topic,
            fix="Send both registers, in whole Wh",
        )
    if not (0 <= message.import_wh < _LARGEST and 0 <= message.export_wh < _LARGEST):
        raise _implausible(topic, "a register is negative or huge", "Send both registers in Wh")
    return MeterReading(
        meter_id=meter_id,
        enterprise_id=enterprise_id,
        measured_at=measured_at,
        received_at=received_at,
        seq=message.seq,
        import_wh=message.import_wh,
        export_wh=message.export_wh,
        power_kw=message.power_kw,
    )


def _reading(
    topic: str,
    message: TelemetryMessage,
    resource_id: ResourceId,
    enterprise_id: EnterpriseId,
    measured_at: datetime,
    received_at: datetime,
    highest_kw: float,
) -> Reading:
    for value, (name, low, high) in zip(_ranged(message), _RANGES, strict=True):
        if value is not None and not low <= value <= high:
            raise _implausible(topic, f"{name} is {value}", f"Send {low} … {high}")
    available_kw = message.available_kw
    if available_kw is not None and not 0 <= available_kw <= highest_kw:
        raise _implausible(topic, f"available_kw is {available_kw}", f"Send {0.0} … {highest_kw}")
    for name, count in (
        ("calls_today", message.calls_today),
        ("setpoint_seq", message.setpoint_seq),
    ):
        if count is not None and not 0 <= count < _LARGEST:
            raise _implausible(topic, f"{name} is negative or huge", "Send a count")
    since = message.phase_since
    return Reading(
        resource_id=resource_id,
        enterprise_id=enterprise_id,
        measured_at=measured_at,
        received_at=received_at,
        seq=message.seq,
        quality=_QUALITIES[message.quality],
        power_kw=message.power_kw,
        energy_kwh=message.energy_kwh,
        soc=message.soc,
        temperature_degc=message.temperature_degc,
        available_kw=message.available_kw,
        phase=None if message.phase is None else RunPhase(message.phase),
        phase_since=None if since is None else _time(since, received_at, topic),
        calls_today=message.calls_today,
        hours_on_today=message.hours_on_today,
        done_kwh=message.done_kwh,
        discharged_today_kwh=message.discharged_today_kwh,
        reactive_kvar=message.reactive_kvar,
        sessions=_sessions(topic, message),
        setpoint_seq=message.setpoint_seq,
    )


def _sessions(topic: str, message: TelemetryMessage) -> tuple[EvSession, ...] | None:
    if message.sessions is None:
        return None
    sessions = []
    for session in message.sessions:
        for name in ("wanted_kwh", "lends_kwh"):
            if not 0 <= getattr(session, name) <= 10_000:
                raise _implausible(topic, f"{name} is {getattr(session, name)}", "Send 0 … 10000")
        departs_at = _moment(session.departs_at, topic)
        sessions.append(
            EvSession(
                session_id=session.session_id,
                departs_at=departs_at,
                wanted_kwh=session.wanted_kwh,
                lends_kwh=session.lends_kwh,
            )
        )
    return tuple(sessions)
