"""One device behind a resource manager of S2: what it has told, and what it is told.

    PowerMeasurement, StorageStatus ──▶ TelemetryMessage     each time its power comes
    Setpoint ──▶ FRBC.Instruction, and one for its end        or PEBC.Instruction, which ends by itself

Pure but for what it remembers; who says what when, and over what, is `s2_session.py` and `s2_link.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from adapters.s2_frbc import (
    W_DRAWN_PER_KW_FED,
    Mode,
    drawn_kwh_per_level,
    is_electric,
    mode_for,
)
from adapters.s2_pebc import Limits, envelopes_for
from adapters.s2_wire import (
    ELECTRIC,
    Actuator,
    Control,
    FrbcActuatorStatus,
    FrbcFillLevelTargetProfile,
    FrbcInstruction,
    FrbcSystemDescription,
    PebcInstruction,
    PebcPowerConstraints,
    PowerMeasurement,
    Quantity,
)
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.wire import AckMessage, SessionMessage, TelemetryMessage

REMEMBERED_INSTRUCTIONS = 16
FACTOR_TOLERANCE = 0.02
"""How far the factor that a device shows may lie from the one it was told."""
LATE_SEQ = 0
"""Of a measurement older than the newest: below all that we count."""
AHEAD = timedelta(seconds=5)
"""How far a clock may run ahead of ours, as of `vpp/sense/decode.py`: a time beyond is told, and refused
there, and is no newest one, or all that follow would be late for ever."""
TIMERS = 1000
"""A device that names more of them is not believed."""

Instruction: TypeAlias = FrbcInstruction | PebcInstruction
NewId: TypeAlias = Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLevel:
    """What the fill level of a storage is to us."""

    field: Literal["soc", "temperature_degc"] = "soc"
    scale: float = 0.01
    """Our unit for each of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S2Device:
    """How one device is read and commanded."""

    device_id: ResourceId
    enterprise_id: str
    site_id: str
    control: Control
    """PEBC or FRBC."""
    limits: Limits = "feed"
    """Of PEBC: what a set-point limits."""
    fill_level: FillLevel = field(default_factory=FillLevel)
    charge_efficiency: float | None = None
    """Of a charging point: its target profile is a session then; kWh in the car per kWh drawn."""
    idle_kw: float = 0.0
    """Of FRBC: what it runs at when a command has ended and nobody can tell it so."""
    keeps_later: bool = True
    """Of FRBC: whether it keeps an instruction until its time comes."""
    tolerance_kw: float = 0.1
    read_only: bool = True


@dataclass(slots=True, kw_only=True)
class S2State:
    """What is remembered of a device."""

    device: S2Device
    seq: int = 0
    told_at: datetime | None = None
    description: FrbcSystemDescription | None = None
    constraints: PebcPowerConstraints | None = None
    fill_level: float | None = None
    status: FrbcActuatorStatus | None = None
    targets: FrbcFillLevelTargetProfile | None = None
    timers: dict[str, datetime] = field(default_factory=dict)
    wanted: Setpoint | None = None
    """The newest command that is not said yet: a queue of one."""
    force: Setpoint | None = None
    """The command that it was told, and has not refused."""
    mode: Mode | None = None
    """Of FRBC: the mode of that command."""
    agreed: bool = False
    """Whether it has shown that it runs so."""
    end_id: str | None = None
    """The instruction that ends that command where nobody else can."""
    let_go: bool = False
    """It may follow something that nobody stands for."""
    answered_seq: int = -1
    instructions: OrderedDict[str, Setpoint] = field(default_factory=OrderedDict)
    fault: str | None = None

    # ------------------------------------------------------------ in

    def take_power(self, measured: PowerMeasurement, now: datetime) -> TelemetryMessage | None:
        """A measurement came; None where it is a repetition, or tells no electric power."""
        told = [one for one in measured.values if one.commodity_quantity in ELECTRIC]
        together = [one for one in told if one.commodity_quantity == Quantity.SYMMETRIC]
        if not told or self.told_at == measured.measurement_timestamp:
            return None
        drawn_w = sum(one.value for one in together or told)
        at = measured.measurement_timestamp
        late = at - now > AHEAD or (self.told_at is not None and at < self.told_at)
        if not late:
            self.told_at, self.seq = measured.measurement_timestamp, self.seq + 1
        filled = None if self.fill_level is None else self.fill_level * self.device.fill_level.scale
        kind = self.device.fill_level.field
        return TelemetryMessage(
            ts=isoformat(measured.measurement_timestamp),
            seq=LATE_SEQ if late else self.seq,
            power_kw=drawn_w / W_DRAWN_PER_KW_FED + 0.0,
            soc=filled if kind == "soc" else None,
            temperature_degc=filled if kind == "temperature_degc" else None,
            sessions=self._sessions(now),
            setpoint_seq=self.force.seq if self.force is not None and self.agreed else None,
        )

    def _sessions(self, now: datetime) -> tuple[SessionMessage, ...] | None:
        """The car at a charging point: the last target that is still to be reached, in kWh."""
        if self.device.charge_efficiency is None:
            return None
        if self.targets is None or self.fill_level is None or (actuator := self.actuator()) is None:
            return ()
        per_level_kwh = drawn_kwh_per_level(actuator)
        ends = self.targets.start_time
        for element in self.targets.elements:
            ends += timedelta(milliseconds=element.duration)
        if per_level_kwh is None or ends <= now:
            return ()
        short = max(
            0.0, self.targets.elements[-1].fill_level_range.start_of_range - self.fill_level
        )
        session = SessionMessage(
            session_id=f"s2-{isoformat(ends)}",
            departs_at=isoformat(ends),
            wanted_kwh=short * per_level_kwh * self.device.charge_efficiency,
        )
        return (session,)

    def take_status(self, status: FrbcActuatorStatus, now: datetime) -> str | None:
        """It shows how it runs; what somebody else has made of it, None where that is ours."""
        actuator = self.actuator()
        if actuator is None or status.actuator_id != actuator.id:
            return None
        self.status = status
        if self.force is None or self.mode is None or self.force.expires_at <= now:
            return None
        off = abs(status.operation_mode_factor - self.mode.factor)
        if status.active_operation_mode_id == self.mode.mode_id and off <= FACTOR_TOLERANCE:
            self.agreed = True
            return None
        shown = f"{status.active_operation_mode_id} at {status.operation_mode_factor:g}"
        # Before it has shown ours once, it may still be on its way there.
        return (
            f"it runs {shown}, not {self.mode.mode_id} at {self.mode.factor:g}"
            if self.agreed
            else None
        )

    def take_timer(self, timer_id: str, finished_at: datetime) -> None:
        """Until when a timer runs."""
        if timer_id in self.timers or len(self.timers) < TIMERS:
            self.timers[timer_id] = finished_at

    def describe(self, told: FrbcSystemDescription | None) -> None:
        """What it can do is other now, or unknown; targets and timers of before are of another thing."""
        self.description, self.status, self.targets = told, None, None
        self.timers.clear()
        self._again()

    def constrain(self, told: PebcPowerConstraints | None) -> None:
        """Which envelopes may be asked for is other now, or unknown."""
        self.constraints = told
        self._again()

    def _again(self) -> None:
        """What it was told spoke of something that is no more: it is told anew."""
        if self.force is not None and self.wanted is None:
            self.wanted, self.mode, self.agreed = self.force, None, False

    def forget(self) -> None:
        """The line is gone, or it was let go: nothing that was known is known any more."""
        self.description = self.constraints = self.status = self.targets = None
        self.fill_level = None
        self.timers.clear()
        self.dropped()

    # ------------------------------------------------------------ out

    @property
    def ready(self) -> bool:
        """Whether it has told what it can do."""
        if self.device.control is Control.PEBC:
            return self.constraints is not None
        return self.description is not None

    def actuator(self) -> Actuator | None:
        """What fills its storage by electricity, where that is one thing."""
        every = () if self.description is None else self.description.actuators
        electric = [one for one in every if is_electric(one)]
        return electric[0] if len(electric) == 1 else None

    def instruct(self, setpoint: Setpoint, now: datetime, new_id: NewId) -> Instruction | None:
        """What a command is said as; None where it is in force already, as it would be said.

        Raises:
            DataError: The device cannot be told that.
        """
        if self.device.control is Control.PEBC:
            return self._envelope(setpoint, now, new_id)
        active = None if self.status is None else self.status.active_operation_mode_id
        mode = self._mode(setpoint.power_kw, now, active, self.timers)
        if self.force is not None and mode == self.mode:
            return None
        return self._run(mode, now, new_id)

    def ends(self, setpoint: Setpoint, now: datetime, new_id: NewId) -> FrbcInstruction | None:
        """What ends a command where nobody else can; None where it ends by itself, or cannot.

        Raises:
            DataError: The device cannot be told that.
        """
        if self.device.control is Control.PEBC or not self.device.keeps_later:
            return None
        # It will come from the mode of this command then, and timers of now say nothing of that.
        active = None if self.mode is None else self.mode.mode_id
        mode = self._mode(self.device.idle_kw, now, active, {})
        return self._run(mode, setpoint.expires_at, new_id)

    def said(self, setpoint: Setpoint, instruction: Instruction | None) -> None:
        """A command is on its way, or goes on."""
        if instruction is not None:
            self.agreed = False
            self.mode = _mode_of(instruction)
            self.instructions[instruction.id] = setpoint
            while len(self.instructions) > REMEMBERED_INSTRUCTIONS:
                self.instructions.popitem(last=False)
        self.force = setpoint

    def dropped(self) -> None:
        """Nothing that we said stands any more."""
        self.force, self.mode, self.agreed, self.end_id = None, None, False, None
        self.instructions.clear()

    def answer(
        self, setpoint: Setpoint, now: datetime, *, reason: str | None = None
    ) -> AckMessage | None:
        """What is told of a command: taken, or refused with a reason; None where it was told before."""
        if reason is None and setpoint.seq <= self.answered_seq:
            return None
        self.answered_seq = max(self.answered_seq, setpoint.seq)
        return AckMessage(
            command_id=setpoint.command_id,
            seq=setpoint.seq,
            ts=isoformat(now),
            accepted=reason is None,
            reason=reason,
        )

    def _mode(
        self, power_kw: float, now: datetime, active_id: str | None, timers: Mapping[str, datetime]
    ) -> Mode:
        actuator = self.actuator()
        if actuator is None:
            raise DataError(
                "it has no actuator for electricity, or several",
                where=self.device.device_id,
                fix="Leave it read-only: one actuator is what is spoken here",
            )
        return mode_for(
            actuator,
            power_kw,
            fill_level=self.fill_level,
            active_mode_id=active_id,
            timers=timers,
            now=now,
            tolerance_kw=self.device.tolerance_kw,
        )

    def _run(self, mode: Mode, at: datetime, new_id: NewId) -> FrbcInstruction:
        actuator = self.actuator()
        assert actuator is not None  # `_mode` has asked
        return FrbcInstruction(
            message_id=new_id(),
            id=new_id(),
            actuator_id=actuator.id,
            operation_mode=mode.mode_id,
            operation_mode_factor=mode.factor,
            execution_time=at,
            abnormal_condition=False,
        )

    def _envelope(self, setpoint: Setpoint, now: datetime, new_id: NewId) -> PebcInstruction:
        assert self.constraints is not None  # it is `ready`
        envelopes = envelopes_for(
            self.constraints,
            setpoint.power_kw,
            limits=self.device.limits,
            now=now,
            until=setpoint.expires_at,
            tolerance_kw=self.device.tolerance_kw,
            new_id=new_id,
        )
        return PebcInstruction(
            message_id=new_id(),
            id=new_id(),
            execution_time=now,
            abnormal_condition=False,
            power_constraints_id=self.constraints.id,
            power_envelopes=envelopes,
        )


def _mode_of(instruction: Instruction) -> Mode | None:
    if isinstance(instruction, PebcInstruction):
        return None
    return Mode(instruction.operation_mode, instruction.operation_mode_factor)
