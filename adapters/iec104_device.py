"""One device behind a remote terminal unit of IEC 60870-5-104: what its points say, and what is written to it.

    objects ──points──▶ TelemetryMessage       only with a power that came since the last one
    Setpoint ──▶ a set-point, then its switch   let go: the switch off, or a value to go back to

Pure but for what it remembers; who asks when, and over what, is `iec104_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Literal

from adapters.iec104_asdu import Element, Type
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.telecontrol import Flaw
from vpp.model.time import isoformat
from vpp.wire import AckMessage, TelemetryMessage

REGISTERS_WH = frozenset({"import_wh", "export_wh"})
LARGEST_WH = 2.0**53
USELESS = Flaw.INVALID | Flaw.NOT_TOPICAL | Flaw.OVERFLOW
DOUBTFUL = Flaw.BLOCKED | Flaw.SUBSTITUTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPoint:
    """Where a value stands."""

    address: int
    factor: float
    """Our unit for each count, with the sign that makes feeding positive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePoint:
    """What a set-point is written to, and how the device is let go."""

    address: int
    factor: float
    """kW for each count, with the sign that makes feeding positive."""
    selects: bool = True
    enable_address: int | None = None
    """A switch that makes the device follow, and lets it go."""
    released: float | None = None
    """What is written to let it go where it has no switch, in counts."""
    reads_at: int | None = None
    """Where the device shows what it holds."""
    tolerance: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDevice:
    """How one device is read and commanded."""

    device_id: ResourceId
    """A resource or a main meter."""
    enterprise_id: str
    site_id: str
    points: Mapping[str, ReadPoint]
    """By field of a telemetry message; power_kw among them."""
    setpoint: WritePoint | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One command to the station."""

    type: Type
    address: int
    value: float


@dataclass(slots=True)
class _Known:
    value: float
    flaw: Flaw
    at: datetime


@dataclass(slots=True, kw_only=True)
class RemoteState:
    """What is remembered of a device."""

    device: RemoteDevice
    values: dict[str, _Known] = field(default_factory=dict)
    fresh: bool = False
    """Whether its power came since it was told last."""
    seq: int = 0
    fault: str | None = None
    wanted: Setpoint | None = None
    """The newest command that is not written yet: a queue of one."""
    force: Setpoint | None = None
    """The command that the device has taken."""
    written: float | None = None
    """The counts of that command."""
    held: float | None = None
    """What the device shows to hold, in counts."""
    agreed: bool = False
    """Whether it has shown what was written since that was written."""
    let_go: bool = False
    """It follows something that nobody stands for."""

    # ------------------------------------------------------------ in

    def take(self, name: str, element: Element, now: datetime) -> None:
        """A value came. A time tag that cannot be believed is replaced by when it came."""
        point = self.device.points[name]
        flaw = element.flaw if isfinite(element.value) else Flaw.INVALID
        value = element.value * point.factor if isfinite(element.value) else 0.0
        self.values[name] = _Known(value, flaw, element.at or now)
        if name == "power_kw":
            self.fresh = True

    def take_held(self, element: Element) -> str | None:
        """The device shows what it holds; what somebody else has made of it, None where it is ours."""
        if element.flaw & USELESS or not isfinite(element.value):
            return None
        self.held = element.value
        point = self.device.setpoint
        if self.force is None or self.written is None or point is None:
            return None
        if abs(self.held - self.written) <= point.tolerance:
            self.agreed = True
            return None
        # Before it has shown ours once, it may still be on its way there.
        return f"holds {self.held:g}, not {self.written:g}" if self.agreed else None

    def forget(self) -> None:
        """The line is gone: nothing that was known is known any more."""
        self.values.clear()
        self.fresh, self.held = False, None

    def telemetry(self) -> TelemetryMessage | None:
        """What its newest values say; None where its power did not come anew."""
        power = self.values.get("power_kw")
        if power is None or not self.fresh:
            return None
        self.fresh = False
        told: dict[str, Any] = {
            name: round(known.value) if name in REGISTERS_WH else known.value
            for name, known in self.values.items()
            if name != "power_kw" and _usable(name, known)
        }
        if self.force is not None and self.agreed:
            told["setpoint_seq"] = self.force.seq
        self.seq += 1
        return TelemetryMessage(
            ts=isoformat(power.at),
            seq=self.seq,
            power_kw=power.value,
            quality=_quality(power.flaw),
            **told,
        )

    # ------------------------------------------------------------ out

    @property
    def selects(self) -> bool:
        """Whether what is written is selected first."""
        return self.device.setpoint is not None and self.device.setpoint.selects

    def writes(self, setpoint: Setpoint) -> tuple[Write, ...]:
        """What a command is written as, in order."""
        point = self.device.setpoint
        assert point is not None
        found = [Write(Type.C_SE_NC_1, point.address, setpoint.power_kw / point.factor)]
        if point.enable_address is not None:
            found.append(Write(Type.C_SC_NA_1, point.enable_address, 1))
        return tuple(found)

    def releases(self) -> tuple[Write, ...]:
        """What lets the device go."""
        point = self.device.setpoint
        assert point is not None
        found = []
        if point.enable_address is not None:
            found.append(Write(Type.C_SC_NA_1, point.enable_address, 0))
        if point.released is not None:
            found.append(Write(Type.C_SE_NC_1, point.address, point.released))
        return tuple(found)

    def taken(self, setpoint: Setpoint) -> None:
        """The device has confirmed a command."""
        point = self.device.setpoint
        assert point is not None
        self.force, self.let_go = setpoint, False
        self.written = setpoint.power_kw / point.factor
        self.agreed = self.held is not None and abs(self.held - self.written) <= point.tolerance

    def answer(self, setpoint: Setpoint, now: datetime, *, reason: str | None = None) -> AckMessage:
        """What is told of a command: taken, or refused with a reason."""
        return AckMessage(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            ts=isoformat(now),
            accepted=reason is None,
            reason=reason,
        )


def _usable(name: str, known: _Known) -> bool:
    if known.flaw & USELESS:
        return False
    return name not in REGISTERS_WH or abs(known.value) < LARGEST_WH


def _quality(flaw: Flaw) -> Literal["good", "uncertain", "bad"]:
    if flaw & USELESS:
        return "bad"
    return "uncertain" if flaw & DOUBTFUL else "good"
