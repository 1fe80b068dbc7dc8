"""Foreign payloads become our telemetry, our commands become theirs: by a map, without code, over any carrier.

    their topic, JSON ──▶ read ──▶ [Message(our topic, our TelemetryMessage or AckMessage)] ──▶ intake
    Setpoint ──▶ command ──▶ their topic, JSON

A topic is what the carrier has for one: a topic of MQTT, a path of HTTP, the name of a recording.

Pure: no connection, time comes in. Whatever a gateway sends is translated or counted in `refused`, and
nothing is ever raised.

Gateways that send a point a message: points are gathered by device, and our message is made when power
(and, of a main meter, both registers) has come anew; other points go along while they are young.

Where a gateway numbers nothing we count ourselves, and repetitions show by their times:

    says when it measured   the same time and points again: a repetition, counted and dropped
                            an older time: a buffer sent late, told as such; the value stands still with its time,
                            so a device that is frozen grows old and is unknown
    says nothing of time    the time of receipt is all there is: the same points `frozen_after` times in a row, with a
                            power that is not 0, are called bad until one of them moves
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog

from adapters.payload_values import (
    Nonsense,
    NonsenseError,
    document_of,
    elements_of,
    is_one_of,
    names_of,
    points_of,
    quality_of,
    seq_of,
    shown,
    time_of,
)
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.payloads import (
    MISSING,
    Answer,
    Incoming,
    Names,
    PayloadMap,
    fill,
    fill_all,
)
from vpp.model.time import isoformat
from vpp.ports import Message
from vpp.wire import AckMessage, TelemetryMessage, topic

log = structlog.get_logger(__name__)

REMEMBERED_COMMANDS = 64
"""Of each device: answers to older ones are answers to nothing."""

REGISTERS = ("import_wh", "export_wh")
QUALITIES = ("good", "uncertain", "bad")
READ_BACK = "setpoint_kw"
"""A point that is not telemetry: what the device says it was told."""

AHEAD = timedelta(seconds=5)
"""How far a device's clock may run ahead of ours, as of `vpp/sense/decode.py`: a time beyond would be the
newest for ever."""

_LATE_SEQ = 0
"""Of a buffer sent late by one who does not number: below all that we count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignDevice:
    """A device of the park, and the names that its messages carry."""

    device_id: ResourceId
    enterprise_id: EnterpriseId
    site_id: str
    names: Names
    is_meter: bool
    read_only: bool


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What is known of one device."""

    device: ForeignDevice
    points: dict[str, tuple[float, datetime, str]] = field(default_factory=dict)
    """Value, when it was measured, quality."""
    came: set[str] = field(default_factory=set)
    """Required points since our last message."""
    seq: int = 0
    told_at: datetime | None = None
    told: Mapping[str, float] = field(default_factory=dict)
    same: int = 0
    """How often the very same was told."""
    commands: OrderedDict[str, Setpoint] = field(default_factory=OrderedDict)
    shown_id: str | None = None
    """The newest command whose power was read back."""
    shown_at: datetime | None = None
    """When the device showed that, by its own clock."""
    taken_seq: int | None = None

    @property
    def required(self) -> tuple[str, ...]:
        return ("power_kw", *REGISTERS) if self.device.is_meter else ("power_kw",)


class PayloadTranslator:
    """One gateway's side of the wire."""

    def __init__(self, payload_map: PayloadMap, devices: Sequence[ForeignDevice]) -> None:
        self._map = payload_map
        self._by_names = {
            tuple(device.names[name] for name in payload_map.device_by): _Gathered(device=device)
            for device in devices
        }
        self._by_id = {one.device.device_id: one for one in self._by_names.values()}
        self._encode = msgspec.json.Encoder().encode
        self._reads_back = any(READ_BACK in one.points for one in payload_map.incoming)
        """Whether devices show what they were told: then a word for it is not enough."""
        self._said: set[tuple[str, Nonsense]] = set()
        self.refused: Counter[Nonsense] = Counter()
        self.heard = 0
        """Parts of messages that told points or answered."""
        self.repeated = 0
        """Messages that came again."""
        self._taken_over: list[ResourceId] = []
        self.unasked = 0
        """Answers to what we did not say, or no longer know: others may command these devices too."""

    # ------------------------------------------------------------ in

    def read(self, their_topic: str, payload: bytes, received_at: datetime) -> list[Message]:
        """What a message says, in our words; nothing where it says nothing yet, or nonsense."""
        found: list[Message] = []
        try:
            document = document_of(payload)
            known = False
            for incoming in self._map.incoming:
                names = incoming.topic.match(their_topic)
                if names is not None:
                    known = True
                    found += self._incoming(incoming, names, document, received_at, their_topic)
            answer = self._map.answer
            if answer is not None and (names := answer.topic.match(their_topic)) is not None:
                known = True
                found += self._answer(answer, names, document, received_at)
            if not known:
                raise NonsenseError(Nonsense.TOPIC, "no part of the map speaks of this topic")
        except NonsenseError as nonsense:
            self._refuse(their_topic, nonsense)
        return found

    def _incoming(
        self,
        incoming: Incoming,
        names: dict[str, str],
        document: object,
        received_at: datetime,
        their_topic: str,
    ) -> Iterator[Message]:
        for element in elements_of(incoming, document, names):
            try:
                all_names = names | names_of(incoming.names, element, document)
                gathered = self._device(all_names)
                points = dict(points_of(incoming.points, element, all_names))
                if points:
                    self.heard += 1
                    yield from self._gather(
                        gathered, incoming, points, element, document, received_at
                    )
            except NonsenseError as nonsense:  # one element must not cost the others
                self._refuse(their_topic, nonsense)

    def _gather(
        self,
        gathered: _Gathered,
        incoming: Incoming,
        points: dict[str, float],
        element: object,
        document: object,
        received_at: datetime,
    ) -> Iterator[Message]:
        measured_at = time_of(incoming.time, element, document, received_at)
        if measured_at - received_at > AHEAD:
            raise NonsenseError(Nonsense.BAD_TIME, f"{isoformat(measured_at)} is still to come")
        seq = seq_of(incoming, element, document)
        if (told := self._note_read_back(gathered, points, measured_at)) is not None:
            yield told
        quality = quality_of(incoming.quality, element, document)
        for name, value in points.items():
            held = gathered.points.get(name)
            if held is None or held[1] <= measured_at or name in gathered.required:
                gathered.points[name] = value, measured_at, quality
        gathered.came |= points.keys() & set(gathered.required)
        # Power of now beside registers of an hour ago would be energy of the wrong hour.
        newest = max((gathered.points[name][1] for name in gathered.came), default=measured_at)
        hold = timedelta(seconds=self._map.hold_s)
        gathered.came = {n for n in gathered.came if newest - gathered.points[n][1] <= hold}
        if len(gathered.came) < len(gathered.required):
            return
        gathered.came.clear()
        message = self._message(gathered, timed=incoming.time is not None, seq=seq)
        if message is not None:
            yield self._ours(gathered.device, "telemetry", message)

    def _message(
        self, gathered: _Gathered, *, timed: bool, seq: int | None
    ) -> TelemetryMessage | None:
        """Our message of what was gathered; None for a repetition."""
        required = [gathered.points[name] for name in gathered.required]
        measured_at = max(at for _, at, _ in required)
        quality = max((quality for *_, quality in required), key=QUALITIES.index)
        hold = timedelta(seconds=self._map.hold_s)
        told = {
            name: value
            for name, (value, at, its) in gathered.points.items()
            if name in gathered.required
            or (abs(measured_at - at) <= hold and (its != "bad" or quality == "bad"))
        }
        same = told == gathered.told
        if timed and same and measured_at == gathered.told_at:
            self.repeated += 1
            return None
        late = gathered.told_at is not None and measured_at < gathered.told_at
        if not late:
            gathered.same = gathered.same + 1 if same else 1
            gathered.told, gathered.told_at = told, measured_at
            after = self._map.frozen_after
            if not timed and after is not None and gathered.same >= after and told["power_kw"]:
                quality = "bad"
        if seq is None:
            seq = _LATE_SEQ if late else gathered.seq + 1
        if not late:
            gathered.seq = seq
        registers = {name: round(told.pop(name)) for name in REGISTERS if name in told}
        said = {"ts": isoformat(measured_at), "seq": seq, "quality": quality}
        taken = {"setpoint_seq": gathered.taken_seq}
        return msgspec.convert(said | taken | registers | told, TelemetryMessage)

    # ------------------------------------------------------------ out

    def command(self, setpoint: Setpoint, now: datetime) -> tuple[str, bytes]:
        """A set-point as the gateway hears it.

        Raises:
            DataError: The device is not behind this gateway, another enterprise's, or only read.
        """
        gathered, said = self._by_id.get(setpoint.resource_id), self._map.command
        if gathered is None or gathered.device.enterprise_id != setpoint.enterprise_id:
            raise DataError(
                f"is no resource of {setpoint.enterprise_id}",
                where=setpoint.resource_id,
                fix="Command only what the park file puts behind this gateway",
            )
        if said is None or gathered.device.read_only:
            raise DataError(
                "is only read behind this gateway",
                where=setpoint.resource_id,
                fix="Give it `read_only: false` where the park file names it, and a map with a command",
            )
        gathered.commands[setpoint.command_id] = setpoint
        while len(gathered.commands) > REMEMBERED_COMMANDS:
            gathered.commands.popitem(last=False)
        left_s = (setpoint.expires_at - now).total_seconds()
        words = dict(gathered.device.names) | {
            "power": setpoint.power_kw * said.scale + 0.0,
            "command_id": setpoint.command_id,
            "seq": setpoint.seq,
            "issued_at": isoformat(setpoint.issued_at),
            "expires_at": isoformat(setpoint.expires_at),
            "expires_unix_s": math.floor(setpoint.expires_at.timestamp()),
            "expires_in_s": max(0, math.floor(left_s)),
        }
        return fill(said.topic, words), self._encode(fill_all(said.payload, words))

    def release(self, device_id: ResourceId) -> tuple[str, bytes] | None:
        """What lets a device go that does not by itself; None where it does."""
        said = self._map.command
        if said is None or said.release is None:
            return None
        words: dict[str, object] = dict(self._by_id[device_id].device.names)
        return fill(said.topic, words), self._encode(fill_all(said.release, words))

    def answered(self, setpoint: Setpoint, now: datetime, *, refused: str | None) -> Message:
        """What is told of a command that its carrier answers, where the map has no words for an answer.

        `refused` says why it was not taken; None where it was.
        """
        gathered = self._by_id[setpoint.resource_id]
        return self._told(gathered, setpoint, now, refused=refused)

    def taken_over(self) -> tuple[ResourceId, ...]:
        """Devices that somebody else has commanded since the last call: they are to be let go."""
        found, self._taken_over = tuple(self._taken_over), []
        return found

    def _note_read_back(
        self, gathered: _Gathered, points: dict[str, float], at: datetime
    ) -> Message | None:
        """A device that shows the power it was told has taken that command.

        One that did, and shows another while the command lives, was commanded by somebody else: the
        command is told as refused. Before it has shown it once the command may be on its way, and a buffer
        that is sent late shows what was before.
        """
        shown_kw = points.pop(READ_BACK, None)
        said = self._map.command
        if shown_kw is None or said is None or not gathered.commands:
            return None
        newest = next(reversed(gathered.commands.values()))
        if newest.expires_at <= at:
            return None
        if abs(newest.power_kw - shown_kw) <= said.tolerance_kw:
            gathered.taken_seq, gathered.shown_id = newest.seq, newest.command_id
            gathered.shown_at = at
            return None
        if gathered.shown_id != newest.command_id or at <= (gathered.shown_at or at):
            return None
        gathered.commands.clear()
        gathered.shown_id = gathered.taken_seq = None
        self._taken_over.append(gathered.device.device_id)
        why = f"somebody else has set it to {shown_kw:g} kW"
        return self._told(gathered, newest, at, refused=why)

    def _answer(
        self, answer: Answer, names: dict[str, str], document: object, received_at: datetime
    ) -> Iterator[Message]:
        gathered = self._device(names | names_of(answer.names, document, document))
        self.heard += 1
        meant = self._meant(answer, gathered, document)
        if meant is None:
            self.unasked += 1
            return
        refused = None
        if not is_one_of(answer.accepted.find(document, names), answer.values):
            reason = None if answer.reason is None else answer.reason.find(document, names)
            refused = "" if reason in (None, MISSING) else shown(reason)
        yield self._told(gathered, meant, received_at, refused=refused)

    def _told(
        self, gathered: _Gathered, setpoint: Setpoint, at: datetime, *, refused: str | None
    ) -> Message:
        """A command as taken, or as refused for a reason, which may be empty."""
        if refused is None and not self._reads_back:
            gathered.taken_seq = max(setpoint.seq, gathered.taken_seq or 0)
        return self._ours(
            gathered.device,
            "ack",
            AckMessage(
                command_id=setpoint.command_id,
                seq=setpoint.seq,
                ts=isoformat(at),
                accepted=refused is None,
                reason=refused or None,
            ),
        )

    def _meant(self, answer: Answer, gathered: _Gathered, document: object) -> Setpoint | None:
        """The command that an answer is to; None where that is none of ours."""
        if answer.command_id is None:
            return next(reversed(gathered.commands.values()), None)
        named = answer.command_id.find(document, {})
        return gathered.commands.get(named) if isinstance(named, str) else None

    # ------------------------------------------------------------ both

    def _device(self, names: Names) -> _Gathered:
        key = tuple(names.get(name, "") for name in self._map.device_by)
        gathered = self._by_names.get(key)
        if gathered is None:
            shown = ", ".join(f"{n}={k!r}" for n, k in zip(self._map.device_by, key, strict=True))
            raise NonsenseError(Nonsense.UNKNOWN_DEVICE, f"no device is {shown[:160]}")
        return gathered

    def _ours(
        self, device: ForeignDevice, leaf: str, message: TelemetryMessage | AckMessage
    ) -> Message:
        where = topic(device.enterprise_id, device.site_id, device.device_id, leaf)
        return Message(topic=where, payload=self._encode(message))

    def _refuse(self, their_topic: str, nonsense: NonsenseError) -> None:
        """Count it; say it once for each topic and reason, as long as they are not too many."""
        self.refused[nonsense.reason] += 1
        said = (their_topic, nonsense.reason)
        if said not in self._said and len(self._said) < 1000:
            self._said.add(said)
            log.warning(
                "a gateway's message is refused",
                gateway=self._map.name,
                topic=their_topic[:200],
                reason=nonsense.reason.value,
                what=str(nonsense)[:200],
            )
