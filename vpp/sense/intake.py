"""Telemetry comes in: each message is checked at the edge and counted, nothing else passes.

    topic, bytes ──▶ decode ──▶ Measurement ──▶ plausible ──▶ newest (for control)   in order, in time
                       │                  └───▶ returned late                        history only
                       └──▶ Refusal, with a reason of a closed list       counted, said once

How the stream of one device is read, by source time and sequence number:

    time rises, seq rises      the newest; numbers skipped on the way are missing
    time rises, seq does not   the device began anew: no number is missing
    time falls, seq known      a repetition: counted and dropped
    time falls, seq missing    late (a buffer sent after an outage): returned, never the newest
    time falls, seq unheard-of the device's clock ran backwards: refused
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement, MeterReading, Reading
from vpp.sense.decode import Owners, PlausibleKw, Refusal, RefusalReason, decode
from vpp.sense.plausible import Facts, Plausibility
from vpp.sense.quarantine import Patience, Quarantine

MAX_GAP = 10_000
"""Numbers skipped at once beyond this mean that the device began to count anew."""


@dataclass(slots=True)
class _Stream:
    """What is remembered of one device's messages."""

    newest: Measurement
    began_at: datetime
    """Source time at which the device last began to count."""

    first_seq: int
    highest_seq: int
    missing: set[int] | None = None
    """None until something was: most devices never miss a number."""

    older: OrderedDict[tuple[datetime, int], None] | None = None
    """Late readings from before `first_seq`, since no gap tells them from repetitions; None until there were any."""


class Intake:
    """The door for telemetry: checks, orders and counts messages, and keeps the newest readings.

    `newest` is what control may use, `newest_meter` the same for main meters; `newest_reactive` is the
    newest that told reactive power, for some devices do so only now and then. The counters only rise, apart from `lost`, which falls when a buffer brings back what was missing.
    """

    def __init__(
        self,
        park_devices: Owners,
        plausible_kw: PlausibleKw,
        meters: Set[ResourceId],
        *,
        facts: Mapping[ResourceId, Facts] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`facts` are what messages of each device are held against; who is not named is believed.

        `patience` is how much nonsense of one topic is listened to.
        """
        self._owners = park_devices
        self._plausible_kw = plausible_kw
        self._meters = meters
        self.plausibility = Plausibility(facts or {})
        self._streams: dict[ResourceId, _Stream] = {}
        self.quarantine = Quarantine(patience)
        self.newest: dict[ResourceId, Reading] = {}
        self.newest_meter: dict[ResourceId, MeterReading] = {}
        self.newest_reactive: dict[ResourceId, Reading] = {}
        self.received = 0
        self.accepted = 0
        self.duplicates = 0
        self.late = 0
        self.restarts = 0
        self.refused: Counter[RefusalReason] = Counter()

    def accept(
        self, topic: str, payload: bytes, received_at: datetime
    ) -> Measurement | Refusal | None:
        """Take one message.

        Returns:
            The measurement, new or late: it belongs in the history either way, and where it is
            the newest it stands in `newest`. None for a repetition. A `Refusal` where it may not
            enter; its `first` says whether to write it to the log.
        """
        self.received += 1
        try:
            if (until := self.quarantine.until(topic, received_at)) is not None:
                raise _quarantined(topic, until)
            measurement = decode(
                topic,
                payload,
                self._owners,
                self._plausible_kw,
                self._meters,
                received_at,
            )
            new, measurement = self._place(measurement, topic)
        except Refusal as refusal:
            self.refused[refusal.reason] += 1
            if refusal.reason is not RefusalReason.QUARANTINED:
                refusal.first = self.quarantine.refused(topic, refusal.reason, received_at)
            return refusal
        self.quarantine.good(topic)
        if not new:
            self.duplicates += 1
            return None
        self.accepted += 1
        return measurement

    @property
    def lost(self) -> int:
        """Messages that the devices counted and we never had."""
        return sum(len(stream.missing) for stream in self._streams.values() if stream.missing)

    def gaps(self) -> dict[ResourceId, list[tuple[int, int]]]:
        """What is missing of each device: first and last number of each gap, in order."""
        return {
            device_id: _ranges(stream.missing)
            for device_id, stream in self._streams.items()
            if stream.missing
        }

    def newest_seq(self, device_id: ResourceId) -> int:
        """Sequence number of a device's newest message; -1 where there was none."""
        stream = self._streams.get(device_id)
        return -1 if stream is None else stream.newest.seq

    def _place(self, measurement: Measurement, topic: str) -> tuple[bool, Measurement]:
        """Put a measurement where its time and number belong. False for a repetition.

        What is the newest is held against what came before it, and may be told otherwise.
        """
        device_id = _device_id(measurement)
        stream = self._streams.get(device_id)
        if stream is None:
            self._streams[device_id] = _Stream(
                newest=measurement,
                began_at=measurement.measured_at,
                first_seq=measurement.seq,
                highest_seq=measurement.seq,
            )
        elif (measurement.measured_at, measurement.seq) > (
            stream.newest.measured_at,
            stream.newest.seq,
        ):
            self._advance(stream, measurement)
        else:
            return self._place_late(stream, measurement, topic), measurement
        believed = self.plausibility.looked_at(device_id, measurement)
        if isinstance(believed, Reading):
            self.newest[believed.resource_id] = believed
            if believed.reactive_kvar is not None:
                self.newest_reactive[believed.resource_id] = believed
        else:
            self.newest_meter[believed.meter_id] = believed
        return True, believed

    def _advance(self, stream: _Stream, measurement: Measurement) -> None:
        skipped = measurement.seq - stream.newest.seq - 1
        if 0 < skipped <= MAX_GAP:
            missing = stream.missing = stream.missing or set()
            missing.update(range(stream.newest.seq + 1, measurement.seq))
            if (too_many := len(missing) - MAX_GAP) > 0:
                # Very long outages: give the oldest up. At once, for a device may skip so many each time.
                missing.difference_update(sorted(missing)[:too_many])
        elif skipped:
            self.restarts += 1
            stream.began_at, stream.first_seq = measurement.measured_at, measurement.seq
        if measurement.seq > stream.highest_seq:
            stream.highest_seq = measurement.seq
        stream.newest = measurement

    def _place_late(self, stream: _Stream, measurement: Measurement, topic: str) -> bool:
        if measurement.seq > stream.highest_seq:
            raise Refusal(
                RefusalReason.REGRESS,
                f"a new message dated {measurement.measured_at}, before the newest one",
                where=topic,
                fix="Set the device's clock; it ran backwards",
            )
        if stream.missing and measurement.seq in stream.missing:
            stream.missing.remove(measurement.seq)
        elif measurement.measured_at >= stream.began_at and measurement.seq >= stream.first_seq:
            return False
        else:
            key, older = (measurement.measured_at, measurement.seq), stream.older or OrderedDict()
            if key in older:
                return False
            stream.older = older
            older[key] = None
            if len(older) > MAX_GAP:
                older.popitem(last=False)
        self.late += 1
        return True


def _ranges(numbers: Set[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return ranges


def _quarantined(topic: str, until: datetime) -> Refusal:
    return Refusal(
        RefusalReason.QUARANTINED,
        f"sent too much that cannot be read, and is not read until {until}",
        where=topic,
        fix="Mend the device; it is tried again by itself",
    )


def _device_id(measurement: Measurement) -> ResourceId:
    return measurement.resource_id if isinstance(measurement, Reading) else measurement.meter_id
