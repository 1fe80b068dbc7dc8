"""One device of Sparkplug B: what its metrics say, and what is written for a set-point. Pure but for what it remembers.

metrics by name ──points──▶ TelemetryMessage     each time its power comes
Setpoint ──▶ the metrics of one command ──▶ the device shows them: taken; shows others later: somebody else
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.sparkplug_node import NODE
from adapters.sparkplug_wire import Metric, Payload, Value, as_written
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.wire import AckMessage, TelemetryMessage

REGISTERS_WH = frozenset({"import_wh", "export_wh"})
LARGEST_WH = 2.0**53
LATE_SEQ = 0
"""Of a value older than the newest, such as one out of a node's buffer: below all that we count."""
AHEAD = timedelta(seconds=5)
"""How far a clock may run ahead of ours, as of `vpp/sense/decode.py`: a time beyond is told, and refused
there, and is no newest one, or all that follow would be late for ever."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 7_258_118_400_000
"""The year 2200."""

SINGLE = 1e-6
"""Of a value: what is lost on the way through a number of single precision, and a little more."""

TypeOf = Callable[[str], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMetric:
    """Where a value stands."""

    name: str
    factor: float
    """Our unit for each of theirs, with the sign that makes feeding positive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteMetric:
    """What a set-point is written to, and how the device is let go."""

    name: str
    factor: float
    """kW for each of theirs, with the sign that makes feeding positive."""
    tolerance: float = 0.001
    """How far what it shows may lie from what was written, in its own unit."""
    ends_in_s: str | None = None
    """The metric that takes for how many seconds a command holds."""
    enable: str | None = None
    """A metric that is true while the device follows us."""
    released: float | None = None
    """What is written to let it go where there is no such metric; in its own unit."""

    @property
    def is_let_go(self) -> bool:
        """Whether anything is written to let it go."""
        return self.enable is not None or self.released is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkplugDevice:
    """How one device is read and commanded."""

    device_id: ResourceId
    enterprise_id: str
    site_id: str
    node: str
    device: str = NODE
    """Empty: the metrics of the node itself."""
    points: Mapping[str, ReadMetric]
    """By field of a telemetry message; power_kw among them."""
    setpoint: WriteMetric | None = None


@dataclass(slots=True, kw_only=True)
class SparkplugState:
    """What is remembered of a device."""

    device: SparkplugDevice
    values: dict[str, float] = field(default_factory=dict)
    seq: int = 0
    told_at: datetime | None = None
    heard_at: datetime | None = None
    """When its power came last, by our clock."""
    force: Setpoint | None = None
    """The newest command that was said."""
    written: float | None = None
    """What it was, in the device's unit."""
    agreed: bool = False
    """Whether it has shown that."""
    answered_seq: int = -1
    let_go: bool = False
    """It may follow something that nobody stands for."""
    held: str | None = None
    """Why it could not be let go."""

    # ------------------------------------------------------------ in

    def take(
        self, metrics: Iterable[Metric], sent_ms: int | None, now: datetime, *, at_birth: bool
    ) -> list[TelemetryMessage | AckMessage]:
        """What metrics that came say; `sent_ms` is when their message was sent.

        A birth says what holds when it is sent, however long ago that last changed.
        """
        found: list[TelemetryMessage | AckMessage] = []
        fields = {point.name: name for name, point in self.device.points.items()}
        came_at: datetime | None = None
        for metric in metrics:
            number = _number(metric.value)
            name = fields.get(metric.name or "")
            own_ms = None if at_birth and not metric.historical else metric.timestamp_ms
            at = _moment(own_ms, sent_ms, now)
            if metric.historical:
                if name == "power_kw" and number is not None:
                    found.append(self._message(LATE_SEQ, at, {name: self._ours(name, number)}))
                continue
            if name is not None and not self._keep(name, number):
                continue
            if name == "power_kw":
                came_at = at
            written = self.device.setpoint
            if written is not None and metric.name == written.name and number is not None:
                found += self._shown(number, now)
        if came_at is not None:
            self.heard_at = now
            found += self._telemetry(came_at, now)
        return found

    def forget(self, *, died: bool) -> None:
        """Nothing that was known is known any more; one that has died follows nobody."""
        self.values.clear()
        self.agreed = self.agreed and not died

    def _keep(self, name: str, number: float | None) -> bool:
        """Keep a value; whether there is one. What it does not know it has no value of."""
        if number is None or (name in REGISTERS_WH and abs(number) > LARGEST_WH):
            self.values.pop(name, None)
            return False
        self.values[name] = self._ours(name, number)
        return True

    def _ours(self, name: str, number: float) -> float:
        return number * self.device.points[name].factor + 0.0

    def _telemetry(self, at: datetime, now: datetime) -> list[TelemetryMessage | AckMessage]:
        """Its newest values; nothing where their time is the one that was told."""
        if at == self.told_at:
            return []
        late = at - now > AHEAD or (self.told_at is not None and at < self.told_at)
        if not late:
            self.told_at, self.seq = at, self.seq + 1
        return [self._message(LATE_SEQ if late else self.seq, at, self.values)]

    def _message(self, seq: int, at: datetime, values: Mapping[str, float]) -> TelemetryMessage:
        told: dict[str, Any] = {
            name: round(value) if name in REGISTERS_WH else value for name, value in values.items()
        }
        taken = self.force.seq if self.force is not None and self.agreed else None
        return TelemetryMessage(ts=isoformat(at), seq=seq, setpoint_seq=taken, **told)

    def _shown(self, number: float, now: datetime) -> list[AckMessage]:
        """It shows what it holds: ours is taken, and another one after that is somebody else's."""
        force, point = self.force, self.device.setpoint
        if force is None or point is None or self.written is None or force.expires_at <= now:
            return []
        if abs(number - self.written) <= max(point.tolerance, SINGLE * abs(self.written)):
            first, self.agreed = force.seq > self.answered_seq and not self.agreed, True
            return [self._answer(force, now)] if first else []
        if not self.agreed:
            return []  # it may still be on its way there
        reason = f"somebody else changed it: holds {number:g}, not {self.written:g}"
        self.force, self.agreed, self.let_go = None, False, point.is_let_go
        return [self._answer(force, now, reason=reason)]

    def _answer(
        self, setpoint: Setpoint, now: datetime, *, reason: str | None = None
    ) -> AckMessage:
        self.answered_seq = max(self.answered_seq, setpoint.seq)
        return AckMessage(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            ts=isoformat(now),
            accepted=reason is None,
            reason=reason,
        )

    # ------------------------------------------------------------ out

    def command(self, setpoint: Setpoint, type_of: TypeOf, now: datetime) -> Payload:
        """What a command is said as.

        Raises:
            DataError: The device was not born with the metrics that it is said by.
        """
        point = self.device.setpoint
        assert point is not None
        counts = setpoint.power_kw / point.factor
        metrics = [_metric(point.name, counts, type_of, now)]
        if point.ends_in_s is not None:
            left_s = max(0, math.floor((setpoint.expires_at - now).total_seconds()))
            metrics.append(_metric(point.ends_in_s, left_s, type_of, now))
        if point.enable is not None:
            metrics.append(_metric(point.enable, True, type_of, now))
        return Payload(timestamp_ms=_ms(now), metrics=tuple(metrics))

    def said(self, setpoint: Setpoint, payload: Payload) -> None:
        """A command leaves: it may arrive, whatever is heard of that."""
        written = _number(payload.metrics[0].value)
        if written != self.written or self.force is None:
            self.agreed = False
        self.force, self.written, self.let_go = setpoint, written, False

    def release(self, type_of: TypeOf, now: datetime) -> Payload:
        """What lets it go. Raises as `command`."""
        point = self.device.setpoint
        assert point is not None
        metrics = []
        if point.enable is not None:
            metrics.append(_metric(point.enable, False, type_of, now))
        if point.released is not None:
            metrics.append(_metric(point.name, point.released, type_of, now))
        return Payload(timestamp_ms=_ms(now), metrics=tuple(metrics))

    def end(self, now: datetime) -> None:
        """A command whose time is over is let go, where that has to be said."""
        point = self.device.setpoint
        if self.force is not None and point is not None and self.force.expires_at <= now:
            self.force, self.agreed = None, False
            self.let_go = point.is_let_go


def _metric(name: str, value: Value, type_of: TypeOf, now: datetime) -> Metric:
    datatype = type_of(name)
    if datatype is None:
        raise DataError(
            f"was not born with a metric {name!r}", where=name, fix="Compare names with its birth"
        )
    if not isinstance(value, str | bool):
        value = as_written(value, datatype)
    return Metric(name=name, datatype=datatype, timestamp_ms=_ms(now), value=value)


def _number(value: Value | None) -> float | None:
    if value is None or isinstance(value, str):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _moment(own_ms: int | None, sent_ms: int | None, now: datetime) -> datetime:
    """When a value was measured; a time that cannot be is replaced by when it came."""
    for stamp_ms in (own_ms, sent_ms):
        if stamp_ms is not None and 0 < stamp_ms < LAST_MS:
            return EPOCH + timedelta(milliseconds=stamp_ms)
    return now


def _ms(now: datetime) -> int:
    return round(now.timestamp() * 1000)
