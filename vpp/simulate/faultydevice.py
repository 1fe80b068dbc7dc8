"""One simulated device or main meter with its faults: between it and the wire, and in its physics.

    command ─▶ lost | refused | believed and dropped | made less ─▶ device
    device ─▶ stuck ▸ drift ▸ noise ▸ spike ▸ scale ▸ register ▸ clock ─▶ telemetry, or nothing

What is true stays in the device: the trajectory, the main meters and the venue's books are not touched by
what a device tells. `fired` counts, by kind, how often a fault changed a message, a command or a step.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from math import inf
from typing import Any, TypeVar

import msgspec

from vpp.model.ids import ResourceId
from vpp.model.time import isoformat, parse_utc
from vpp.simulate.device import Device, DeviceState
from vpp.simulate.devicefaults import (
    UNDISTURBED,
    Active,
    ClockSkew,
    Delay,
    Disturbance,
    Drift,
    Fallback,
    FaultPlan,
    Lie,
    MeterRegister,
    Noise,
    Panel,
    Partial,
    PowerLoss,
    Refuse,
    Register,
    Scale,
    Silence,
    SlowRamp,
    Spike,
    Stuck,
    What,
    kind_of,
)
from vpp.simulate.meter import MainMeter
from vpp.wire import AckMessage, CommandMessage, TelemetryMessage

F = TypeVar("F", bound=What)
REGISTERS = ("energy_kwh", "import_wh", "export_wh")


class FaultyDevice:
    """A device, or a main meter, as the wire sees it while its plan of faults goes on."""

    def __init__(
        self, sender: Device | MainMeter, plan: FaultPlan, *, size_kw: float, opened_at: datetime
    ) -> None:
        """`size_kw` is what shares in the plan are shares of."""
        self._sender = sender
        self._plan = plan
        self._size_kw = size_kw
        self._opened_at = opened_at
        self._meter = isinstance(sender, MainMeter)
        self.fired: Counter[str] = Counter()
        self.received_seq = 0
        """The highest number of any command that was sent to it, those that were lost too."""
        self._believed_seq: int | None = None
        """The newest command that it says it has taken and has not."""
        self._held: dict[str, Any] | None = None
        """The message whose values stand still."""
        self._off = False
        self._seq_before = 0
        """Messages counted before it last lost power."""
        self._lost: dict[str, float] = {}
        """What is taken off each register."""
        self._handled: datetime | None = None
        """Beginning of the newest register fault that was done."""

    @property
    def resource_id(self) -> ResourceId:
        return self._sender.resource_id

    # ------------------------------------------------------------ physics

    def prepare(self, start: datetime) -> None:
        """Before a step that begins at `start`: let the physics feel what is wrong."""
        if isinstance(self._sender, MainMeter):
            return
        active = self._active(start)
        loss = _of(active, PowerLoss)
        if loss is not None and not self._off:
            self._sender.release()
            self._believed_seq = None
        self._off = loss is not None
        for kind in (PowerLoss, SlowRamp, Panel):
            self._note(_of(active, kind))
        self._sender.disturb(self._disturbance(active))

    def _disturbance(self, active: tuple[Active, ...]) -> Disturbance:
        if not active:
            return UNDISTURBED
        delay, slow, panel = _of(active, Delay), _of(active, SlowRamp), _of(active, Panel)
        return Disturbance(
            delay=timedelta(seconds=delay.seconds) if delay else timedelta(0),
            ramp_kw_per_h=slow.share_per_min * 60 * self._size_kw if slow else inf,
            held_kw=panel.share * self._size_kw if panel else None,
            without_power=_of(active, PowerLoss) is not None,
        )

    def in_local_mode(self, now: datetime) -> bool:
        """Whether somebody holds it at its panel."""
        return _of(self._active(now), Panel) is not None

    # ------------------------------------------------------------ commands

    def receive(self, command: CommandMessage, now: datetime) -> AckMessage | None:
        """Take a command as the faults let it; an answer as a sound device would give, or none."""
        assert not isinstance(self._sender, MainMeter), "a meter takes no commands"
        self.received_seq = max(self.received_seq, command.seq)
        active = self._active(now)
        if (lost := _of(active, Silence) or _of(active, PowerLoss)) is not None:
            self._note(lost)
            return None
        panel, refuse, lie = _of(active, Panel), _of(active, Refuse), _of(active, Lie)
        if refuse is not None:
            self._note(refuse)
            return _answer(command, now, refuse.reason)
        if panel is not None and panel.refuses:
            return _answer(command, now, "in local mode")
        if panel is not None or lie is not None:
            self._note(lie)
            self._believed_seq = max(self._believed_seq or 0, command.seq)
            return _answer(command, now, None)
        self._sender.disturb(
            self._disturbance(active)
        )  # a delay holds for what comes in between steps
        self._note(_of(active, Delay))
        return self._sender.receive(self._weakened(command, active, now), now)

    def _weakened(
        self, command: CommandMessage, active: tuple[Active, ...], now: datetime
    ) -> CommandMessage:
        partial, fallback = _of(active, Partial), _of(active, Fallback)
        if partial is not None:
            self._note(partial)
            command = msgspec.structs.replace(command, power_kw=command.power_kw * partial.share)
        if fallback is not None:
            ends = now + timedelta(seconds=fallback.after_s)
            if ends < parse_utc(command.expires_at, where="expires_at"):
                self._note(fallback)
                command = msgspec.structs.replace(command, expires_at=isoformat(ends))
        return command

    # ------------------------------------------------------------ telemetry

    def telemetry(self) -> TelemetryMessage | None:
        """What the wire gets of the step that has just ended; None where nothing comes."""
        told = self._sender.telemetry()
        now = parse_utc(told.ts, where="telemetry")
        active = self._active(now)
        if self._off:
            self._seq_before, self._held = told.seq, None
            return None
        told = msgspec.structs.replace(told, seq=told.seq - self._seq_before)
        if (silence := _of(active, Silence)) is not None:
            self._note(silence)
            return None
        told = self._stuck(self._believing(told), active)
        for one in active:
            told = self._wrong(told, one, now)
        return self._registered(told, active)

    def _believing(self, told: TelemetryMessage) -> TelemetryMessage:
        if self._believed_seq is None or (told.setpoint_seq or 0) >= self._believed_seq:
            return told
        return msgspec.structs.replace(told, setpoint_seq=self._believed_seq)

    def _stuck(self, told: TelemetryMessage, active: tuple[Active, ...]) -> TelemetryMessage:
        stuck = _of(active, Stuck)
        if stuck is None:
            self._held = None
            return told
        if self._held is None:
            self._held = msgspec.to_builtins(told)
            return told
        self._note(stuck)
        held = msgspec.convert(self._held, TelemetryMessage)
        return msgspec.structs.replace(held, ts=told.ts, seq=told.seq) if stuck.fresh else held

    def _wrong(self, told: TelemetryMessage, one: Active, now: datetime) -> TelemetryMessage:
        """One message under one fault that changes what is told."""
        what, change = one.what, msgspec.structs.replace
        match what:
            case Drift():
                hours = (now - one.since) / timedelta(hours=1)
                kw = told.power_kw + what.share_per_h * hours * self._size_kw
                told = change(told, power_kw=kw)
            case Noise():
                noise = self._plan.draws(self.resource_id, "noise", now).gauss(0, what.sd_share)
                told = change(told, power_kw=told.power_kw + noise * self._size_kw)
            case Spike():
                chance = self._plan.draws(self.resource_id, "spike", now)
                if chance.random() >= what.chance:
                    return told
                jump_kw = chance.choice((-1, 1)) * what.share * self._size_kw
                told = change(told, power_kw=told.power_kw + jump_kw)
            case Scale():
                told = _scaled(told, what.factor)
            case ClockSkew():
                ahead = timedelta(seconds=what.seconds)
                told = change(told, ts=isoformat(parse_utc(told.ts, where="ts") + ahead))
            case _:
                return told
        self._note(what)
        return told

    def _registered(self, told: TelemetryMessage, active: tuple[Active, ...]) -> TelemetryMessage:
        """Registers as they read after they were reset, swapped or rolled over."""
        what = _of(active, MeterRegister)
        if what is None and not self._lost:
            return told
        values = {
            name: float(value) for name in REGISTERS if (value := getattr(told, name)) is not None
        }
        if what is not None:
            self._note(what)
            if what.how is not Register.ROLL_OVER:
                self._begin_anew(what, values, active)
        full_kwh = 10.0**what.digits if what is not None and what.how is Register.ROLL_OVER else inf
        shown: dict[str, float] = {}
        for name, value in values.items():
            left = value - self._lost.get(name, 0.0)
            full = full_kwh * 1000 if name.endswith("_wh") else full_kwh
            left = left % full if full < inf else left
            shown[name] = round(left) if name.endswith("_wh") else left
        return msgspec.structs.replace(told, **shown)

    def _begin_anew(
        self, what: MeterRegister, values: dict[str, float], active: tuple[Active, ...]
    ) -> None:
        """Once for each time it happens: from now on registers count from 0, or from another reading."""
        since = next(one.since for one in active if one.what is what)
        if since == self._handled:
            return
        self._handled = since
        shows_kwh = what.other_kwh if what.how is Register.SWAP else 0.0
        for name, value in values.items():
            self._lost[name] = value - (shows_kwh * 1000 if name.endswith("_wh") else shows_kwh)

    # ------------------------------------------------------------ state

    def snapshot(self) -> DeviceState:
        """The state of the faults, plain; that of the device is the device's."""
        return {
            "fired": dict(self.fired),
            "received_seq": self.received_seq,
            "believed_seq": self._believed_seq,
            "held": self._held,
            "off": self._off,
            "seq_before": self._seq_before,
            "lost": dict(self._lost),
            "handled": self._handled,
            "opened_at": self._opened_at,
        }

    def restore(self, state: DeviceState) -> None:
        self.fired = Counter(state["fired"])
        self.received_seq = state["received_seq"]
        self._believed_seq = state["believed_seq"]
        self._held = state["held"]
        self._off = state["off"]
        self._seq_before = state["seq_before"]
        self._lost = dict(state["lost"])
        self._handled = state["handled"]
        self._opened_at = state["opened_at"]

    def _active(self, now: datetime) -> tuple[Active, ...]:
        return self._plan.active(self.resource_id, now, self._opened_at, meter=self._meter)

    def _note(self, what: What | None) -> None:
        if what is not None:
            self.fired[kind_of(what)] += 1


def _of(active: tuple[Active, ...], kind: type[F]) -> F | None:
    return next((one.what for one in active if isinstance(one.what, kind)), None)


def _scaled(told: TelemetryMessage, factor: float) -> TelemetryMessage:
    """A message whose unit (factor 1000) or sign (below 0) was mistaken."""
    change: dict[str, float | int | None] = {"power_kw": told.power_kw * factor}
    for name in ("energy_kwh", "available_kw"):
        value = getattr(told, name)
        if value is not None:
            change[name] = value * (factor if name == "energy_kwh" else abs(factor))
    registers = (told.import_wh, told.export_wh)
    if factor < 0:
        registers = registers[::-1]
    for name, register in zip(("import_wh", "export_wh"), registers, strict=True):
        if register is not None:
            change[name] = round(register * abs(factor))
    return msgspec.structs.replace(told, **change)


def _answer(command: CommandMessage, now: datetime, reason: str | None) -> AckMessage:
    return AckMessage(
        command_id=command.command_id,
        seq=command.seq,
        ts=isoformat(now),
        accepted=reason is None,
        reason=reason,
    )
