"""One edge node of Sparkplug B: who of it is alive, what its metrics are called, and whether anything was lost. Pure.

    NBIRTH ─▶ alive, numbers begin ─▶ DBIRTH: a device, its names, types and aliases ─▶ NDATA, DDATA: values
       ▲                                             │
       └── asked for where a number is missing, where nobody was born, where data is old ──┘
    DDEATH ─▶ the device is gone       NDEATH, of this birth alone ─▶ all of them

After a gap nothing is believed until the node is born again: the birth of a device may be what was lost, and its
aliases would name other metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from adapters.sparkplug_wire import Metric, Payload, named, signed

ROOT = "spBv1.0"
SEQUENCE = 256
BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(seconds=60)
MOST_DEVICES, MOST_NAMES = 5_000, 100_000
"""Of one node; beyond, births are not believed."""

NODE = ""
"""The name of what is said of the node itself."""


class Kind(StrEnum):
    """Messages of an edge node."""

    NBIRTH = "NBIRTH"
    NDATA = "NDATA"
    NDEATH = "NDEATH"
    DBIRTH = "DBIRTH"
    DDATA = "DDATA"
    DDEATH = "DDEATH"


@dataclass(slots=True)
class _Device:
    aliases: dict[int, str] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class EdgeNode:
    """What is known of one."""

    born: bool = False
    bd_seq: int | None = None
    seq: int = 0
    devices: dict[str, _Device] = field(default_factory=dict)
    """Those that are alive; `NODE` is the node itself."""
    gaps: int = 0
    why: str | None = "has not been born"
    """Why it must be born again; None where nothing is missing."""
    is_old: bool = False
    """Whether a birth is wanted though nothing is missing."""
    asked_at: datetime | None = None
    wait: timedelta = FIRST_WAIT

    def take(self, kind: Kind, device: str, payload: Payload) -> Sequence[Metric]:
        """A message; its metrics by name and type, those that cannot be named left out."""
        match kind:
            case Kind.NBIRTH:
                self._birth(payload)
                return self._named(NODE, payload.metrics)
            case Kind.NDEATH:
                self._death(payload)
                return ()
            case _ if not self._follows(payload.seq):
                return ()
            case Kind.DBIRTH:
                if len(self.devices) > MOST_DEVICES or len(payload.metrics) > MOST_NAMES:
                    self.why = "bears more than can be"
                    return ()
                self.devices[device] = _born(payload.metrics)
            case Kind.DDEATH:
                self.devices.pop(device, None)
                return ()
            case _ if device not in self.devices:
                self.why = f"{device} speaks before its birth"
                return ()
        return self._named(device, payload.metrics)

    def alive(self, device: str) -> bool:
        """Whether a device, or the node itself, was born and has not died."""
        return self.born and self.why is None and device in self.devices

    def type_of(self, device: str, name: str) -> int | None:
        """The type of a metric, as its birth has it; None where there is none."""
        found = self.devices.get(device)
        return None if found is None else found.types.get(name)

    def must_ask(self, now: datetime) -> bool:
        """Whether to ask for a birth now; the longer nobody answers, the more seldom."""
        missing = self.why is not None or self.is_old
        if not missing:
            return False
        if self.asked_at is None or now - self.asked_at > 2 * LONGEST_WAIT:
            self.wait = FIRST_WAIT
        elif now - self.asked_at < self.wait:
            return False  # also where each birth is followed by a gap: two who call themselves the same
        else:
            self.wait = min(2 * self.wait, LONGEST_WAIT)
        self.asked_at = now
        return True

    def ask_for_news(self) -> None:
        """Nothing is missing, and a value has not come for long: a birth tells it."""
        self.is_old = True

    def lost(self, why: str) -> None:
        """The line is gone: what was said meanwhile is missing."""
        self.why = why

    def _birth(self, payload: Payload) -> None:
        number = named(payload.metrics, BD_SEQ)
        self.bd_seq = number.value if number is not None and isinstance(number.value, int) else None
        self.born, self.seq, self.why = True, payload.seq % SEQUENCE, None
        self.is_old = False
        self.devices = {NODE: _born(payload.metrics)}

    def _death(self, payload: Payload) -> None:
        number = named(payload.metrics, BD_SEQ)
        if self.born and number is not None and number.value != self.bd_seq:
            return  # the last will of a connection that was replaced
        self.born, self.devices = False, {}
        self.lost("has died")

    def _follows(self, seq: int) -> bool:
        """Whether nothing is missing before a message."""
        if self.why is not None or not self.born:
            return False
        expected, self.seq = (self.seq + 1) % SEQUENCE, seq % SEQUENCE
        if self.seq != expected:
            self.gaps += 1
            self.lost(f"message {expected} is missing, {self.seq} came")
            return False
        return True

    def _named(self, device: str, metrics: Sequence[Metric]) -> list[Metric]:
        known, found = self.devices[device], []
        for metric in metrics:
            name = metric.name
            if name is None and metric.alias is not None:
                name = known.aliases.get(metric.alias)
            if name is None:
                continue
            datatype = known.types.get(name, metric.datatype)
            value = metric.value
            if value is not None and datatype is not None:
                value = signed(value, datatype)
            found.append(replace(metric, name=name, datatype=datatype, value=value))
        return found


def _born(metrics: Sequence[Metric]) -> _Device:
    return _Device(
        aliases={m.alias: m.name for m in metrics if m.alias is not None and m.name is not None},
        types={
            m.name: m.datatype for m in metrics if m.name is not None and m.datatype is not None
        },
    )
