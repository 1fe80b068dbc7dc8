"""One device behind a Modbus gateway: what its registers say, and what is written to command it.

    words ──RegisterMap──▶ TelemetryMessage                 a device without a power says nothing
    Setpoint ──RegisterMap──▶ writes, the enable flag last ──▶ read back, compared word by word

Pure but for what it remembers; who asks when, and over what, is `modbus_tcp.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vpp.errors import DataError
from vpp.model.command import Setpoint, whole_counts
from vpp.model.ids import ResourceId
from vpp.model.registers import Place, RegisterMap, Span, What, Write, spans
from vpp.model.sunspec import Choices
from vpp.model.time import isoformat
from vpp.wire import AckMessage, TelemetryMessage

FAILURES = 3
"""So many questions in a row without an answer, and a device counts as dead."""

TELEMETRY = frozenset(
    name
    for name in TelemetryMessage.__struct_fields__
    if name.endswith(("_kw", "_kwh", "_kvar", "_degc"))
) | {"soc"}
"""Points that are numbers of a telemetry message as they are."""

REGISTERS_WH = frozenset({"import_wh", "export_wh"})
LARGEST_WH = 2.0**53
"""A register beyond what a float holds exactly counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusDevice:
    """How one device is reached and read."""

    device_id: ResourceId
    """A resource or a main meter."""

    enterprise_id: str
    site_id: str
    unit: int
    map: RegisterMap | None
    """None: it says by itself what it has, by SunSpec."""

    poll_s: float
    sunspec: Choices = field(default_factory=Choices)
    read_only: bool = True
    rated_kw: float | None = None
    """What shares are of, where the device does not say it."""

    write_s: float = 1.0
    """Commands follow each other no faster; of those between, the newest counts."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A register with the words that it is written with."""

    write: Write
    words: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Force:
    """A command that the device has taken."""

    setpoint: Setpoint
    laid: tuple[Laid, ...]
    refresh_at: float | None
    """When its revert timer must be set anew, in seconds of the loop; None where it has none."""


@dataclass(slots=True, kw_only=True)
class DeviceState:
    """What is remembered of a device."""

    device: ModbusDevice
    map: RegisterMap | None
    next_poll: float = 0.0
    seq: int = 0
    failures: int = 0
    fault: str | None = None
    image: dict[Place, int] = field(default_factory=dict)
    """The words that were read last."""

    wanted: Setpoint | None = None
    """The newest command that is not written yet: a queue of one."""

    written_at: float = float("-inf")
    force: Force | None = None
    release_at: float | None = None
    """When to let it go, in seconds of the loop: it may follow something that nobody stands for."""

    seen: bool = False
    """Whether its registers were read since we began."""

    @property
    def dead(self) -> bool:
        return self.failures >= FAILURES

    def lapsed(self, at: float) -> bool:
        """Whether its revert timer may have run out by now: it could not be renewed in time."""
        if self.map is None or self.map.revert_s is None or self.force is None:
            return False
        return at - self.written_at > self.map.revert_s

    def waits_s(self, dead_poll_s: float) -> float:
        """From one question to the next; a dead device is asked no more often than each `dead_poll_s`."""
        return max(dead_poll_s, self.device.poll_s) if self.dead else self.device.poll_s

    def values(self) -> dict[str, float | None]:
        """Every point of the newest image, in our unit and sign."""
        assert self.map is not None
        return self.map.values(self.image, self._known())

    def _known(self) -> dict[str, float | None]:
        rated_kw = self.device.rated_kw
        return {} if rated_kw is None else {"rated_kw": rated_kw}

    # ------------------------------------------------------------ in

    def telemetry(self, now: datetime, *, follows: bool) -> TelemetryMessage | None:
        """What the newest image says, and whether it follows its command; None where it tells no power."""
        values = self.values()
        power_kw = values.get("power_kw")
        if power_kw is None:
            return None
        told: dict[str, Any] = {
            name: value
            for name, value in values.items()
            if value is not None and name in TELEMETRY and name != "power_kw"
        }
        told |= {
            name: round(value)
            for name in REGISTERS_WH
            if (value := values.get(name)) is not None and abs(value) < LARGEST_WH
        }
        if self.force is not None and follows:
            told["setpoint_seq"] = self.force.setpoint.seq
        self.seq += 1
        return TelemetryMessage(ts=isoformat(now), seq=self.seq, power_kw=power_kw, **told)

    # ------------------------------------------------------------ out

    def laid_down(self, setpoint: Setpoint) -> tuple[Laid, ...]:
        """Every register that a command writes, with its words, in the order of the map.

        Raises:
            DataError: The power does not fit, or is a share of a size that nobody knows.
        """
        assert self.map is not None
        values = self.values()
        return tuple(Laid(w, self._words(w, setpoint, values)) for w in self.map.writes)

    def _words(
        self, write: Write, setpoint: Setpoint, values: Mapping[str, float | None]
    ) -> tuple[int, ...]:
        assert self.map is not None
        register = write.register
        factor = register.factor(self.image, values)
        if factor is None:
            raise DataError(
                f"{register.of or 'its scale factor'} is unknown",
                where=f"register {register.at}",
                fix="Give rated_kw where the park file names the device",
            )
        match write.what:
            case What.POWER:
                return register.laid_down(setpoint.power_kw, factor, to_whole=whole_counts)
            case What.REVERT:
                value = self.map.revert_s or 0.0
            case What.FIXED | What.ENABLE:
                value = write.value or 0.0
        return register.laid_down(value, factor)

    def released(self) -> tuple[Laid, ...]:
        """What is written to let the device go, the enable flag first."""
        assert self.map is not None
        values = self.values() if self.image else {}
        found = []
        for write in reversed(self.map.writes):
            factor = write.register.factor(self.image, values) if self.image else None
            if write.released is not None and factor is not None:
                found.append(Laid(write, write.register.laid_down(write.released, factor)))
        return tuple(found)

    def disagreement(self, laid: tuple[Laid, ...], image: Mapping[Place, int]) -> str | None:
        """Which of some registers does not hold what was written; None where all do."""
        values = self.values()
        for one in laid:
            register = one.write.register
            if not one.write.reads_back:
                continue
            found = tuple(image[register.table, register.at + n] for n in range(len(one.words)))
            if found == one.words:
                continue
            meant = register.value(self._with(one), values)
            holds = register.value({**self.image, **image}, values)
            if meant is None or holds is None or abs(meant - holds) > one.write.tolerance:
                return f"{one.write.what} at {register.at} reads {holds}, not {meant}"
        return None

    def _with(self, laid: Laid) -> dict[Place, int]:
        register = laid.write.register
        own = {(register.table, register.at + n): word for n, word in enumerate(laid.words)}
        return {**self.image, **own}

    def read_back(self, laid: tuple[Laid, ...]) -> tuple[Span, ...]:
        """The requests that bring what was written."""
        assert self.map is not None
        runs = [
            one.write.register.places[: one.write.register.words]
            for one in laid
            if one.write.reads_back
        ]
        places = {place for run in runs for place in run}
        return spans(places, runs, max_words=self.map.max_words, gap=0)

    def answer(self, setpoint: Setpoint, now: datetime, *, reason: str | None = None) -> AckMessage:
        """What is told of a command: taken, or refused with a reason."""
        return AckMessage(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            ts=isoformat(now),
            accepted=reason is None,
            reason=reason,
        )
