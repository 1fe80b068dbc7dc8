"""What every simulated device has: set-points that expire by themselves, a ramp, a register.

A device obeys the newest set-point it has accepted until that expires, and then its own default
(the table in `vpp/model/resource.py`); nobody has to tell it. Rules:

* Expiry is judged at the start of each step: a set-point that expires inside a step holds to the
  step's end. Its start is exact: a response delay that ends inside a step divides the step.
* A ramp moves the power linearly; the mean over the step is exact, and it is this mean that
  physics and registers see.
* A refresh (the same power again) prolongs the set-point in force without a new delay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isfinite
from typing import Any, ClassVar, Protocol

from vpp.errors import DataError
from vpp.model.horizon import Profile
from vpp.model.ids import ResourceId
from vpp.model.resource import Resource
from vpp.model.time import isoformat, parse_utc
from vpp.simulate.devicefaults import UNDISTURBED, Disturbance
from vpp.wire import AckMessage, CommandMessage, TelemetryMessage

HOUR = timedelta(hours=1)
DeviceState = dict[str, Any]
"""Plain data: numbers, texts, times, and lists of them."""


class Device(Protocol):
    """One simulated device, as the fleet sees it. Synchronous; time is what it is told."""

    @property
    def resource_id(self) -> ResourceId: ...

    @property
    def energy_kwh(self) -> float:
        """Net injection since the beginning."""
        ...

    @property
    def received_seq(self) -> int:
        """The highest number of any command that arrived, obeyed or refused; 0 before the first."""
        ...

    def step(self, now: datetime, dt: timedelta) -> None:
        """Live through the span of length `dt` that ends `now`."""
        ...

    def receive(self, command: CommandMessage, now: datetime) -> AckMessage | None:
        """Take or refuse a command; an answer only where it changed something or is refused."""
        ...

    def telemetry(self) -> TelemetryMessage:
        """What the device says of the step that has just ended; each call counts `seq` up."""
        ...

    def release(self) -> None:
        """Forget every set-point: from now on the default."""
        ...

    def disturb(self, by: Disturbance) -> None:
        """Live with a fault from now on; no part of a snapshot, since it follows from the time."""
        ...

    def snapshot(self) -> DeviceState: ...

    def restore(self, state: DeviceState) -> None: ...


@dataclass(frozen=True, slots=True)
class _Order:
    """A set-point that was accepted."""

    power_kw: float
    effective_at: datetime
    expires_at: datetime


class Course:
    """A profile unpacked for quick look-ups: the value of the step that a moment falls into."""

    __slots__ = ("_start", "_step", "_values", "_what")

    def __init__(self, profile: Profile, what: str) -> None:
        """Unpack `profile`; `what` names it in messages.

        Raises:
            DataError: A value is missing.
        """
        if not profile.complete:
            raise DataError(
                "has steps without a value", where=what, fix="Fill the series before simulating"
            )
        self._start = profile.horizon.start
        self._step = profile.horizon.step
        self._values: list[float] = profile.values.tolist()
        self._what = what

    def at(self, moment: datetime) -> float:
        """The value at `moment`.

        Raises:
            DataError: The series does not reach that far.
        """
        index = (moment - self._start) // self._step
        if not 0 <= index < len(self._values):
            raise DataError(
                f"has no value at {moment}", where=self._what, fix="Simulate inside the series"
            )
        return self._values[index]


class BaseDevice:
    """Set-points, ramp and register; a kind adds `_run` and what it reports."""

    STATE: ClassVar[tuple[str, ...]] = (
        "_now", "_seq", "_power_kw", "_level_kw", "_energy_kwh",
        "_taken_seq", "_received_seq", "_in_force", "_coming",
    )  # fmt: skip
    """Attributes that a snapshot holds; a kind appends its own."""

    def __init__(self, resource: Resource, opened_at: datetime) -> None:
        self._id = resource.resource_id
        self._ramp_kw_per_h = resource.ramp_kw_per_min * 60
        self._delay = timedelta(seconds=resource.response_delay_s)
        self._now = opened_at
        self._seq = 0
        self._power_kw = 0.0
        self._level_kw: float | None = None
        """Power at this instant; None before the first step, where no ramp has a beginning."""
        self._energy_kwh = 0.0
        self._taken_seq: int | None = None
        self._received_seq = 0
        self._in_force: _Order | None = None
        self._coming: list[_Order] = []
        self._disturbed = UNDISTURBED

    @property
    def resource_id(self) -> ResourceId:
        return self._id

    @property
    def energy_kwh(self) -> float:
        return self._energy_kwh

    @property
    def received_seq(self) -> int:
        return self._received_seq

    def step(self, now: datetime, dt: timedelta) -> None:
        start = now - dt
        energy_kwh = 0.0
        if self._disturbed.without_power:
            self._stand(start, now)
            self._power_kw, self._level_kw, self._now = 0.0, 0.0, now
            return
        while self._coming and self._coming[0].effective_at < now:
            order = self._coming.pop(0)
            if order.effective_at > start:
                energy_kwh += self._run(start, order.effective_at)
                start = order.effective_at
            self._in_force = order
        energy_kwh += self._run(start, now)
        self._power_kw = energy_kwh / (dt / HOUR)
        self._energy_kwh += energy_kwh
        self._now = now

    def receive(self, command: CommandMessage, now: datetime) -> AckMessage | None:
        self._received_seq = max(self._received_seq, command.seq)
        if reason := self._refusal(command, now):
            return self._answer(command, now, reason)
        expires_at = parse_utc(command.expires_at, where=f"{self._id}.expires_at")
        self._taken_seq = command.seq
        newest = self._coming[-1] if self._coming else self._in_force
        if newest and newest.power_kw == command.power_kw and now < newest.expires_at:
            fresh = _Order(newest.power_kw, newest.effective_at, expires_at)
            if self._coming:
                self._coming[-1] = fresh
            else:
                self._in_force = fresh
            return None
        delay = self._delay + self._disturbed.delay
        self._coming.append(_Order(command.power_kw, now + delay, expires_at))
        return self._answer(command, now, None)

    def telemetry(self) -> TelemetryMessage:
        self._seq += 1
        return TelemetryMessage(
            ts=isoformat(self._now),
            seq=self._seq,
            power_kw=self._power_kw,
            energy_kwh=self._energy_kwh,
            setpoint_seq=self._taken_seq,
            **self._report(),
        )

    def release(self) -> None:
        self._in_force = None
        self._coming = []

    def disturb(self, by: Disturbance) -> None:
        self._disturbed = by

    def snapshot(self) -> DeviceState:
        state = {name: copy.deepcopy(getattr(self, name)) for name in self.STATE}
        for name in ("_in_force", "_coming"):
            state[name] = _plain(state[name])
        return state

    def restore(self, state: DeviceState) -> None:
        for name in self.STATE:
            setattr(self, name, copy.deepcopy(state[name]))
        self._in_force = _order(self._in_force)
        self._coming = [_Order(*parts) for parts in state["_coming"]]

    # ------------------------------------------------------------ for the kinds

    def _run(self, start: datetime, end: datetime) -> float:
        """Live from `start` to `end` under one set-point; answers net injection in kWh."""
        raise NotImplementedError

    def _stand(self, start: datetime, end: datetime) -> None:
        """Live from `start` to `end` without any power."""

    def _report(self) -> Mapping[str, Any]:
        """What this kind adds to its telemetry."""
        return {}

    def _commandable(self) -> str | None:
        """Why this kind takes no commands; None where it does."""
        return None

    def _wish_kw(self, moment: datetime) -> float | None:
        """The set-point in force at `moment`; None where the default holds."""
        if self._disturbed.held_kw is not None:
            return self._disturbed.held_kw
        order = self._in_force
        return order.power_kw if order and moment < order.expires_at else None

    def _ramped_kw(self, target_kw: float, hours: float) -> float:
        """Move towards `target_kw` for `hours`; the mean power on the way."""
        level = self._level_kw
        ramp_kw_per_h = min(self._ramp_kw_per_h, self._disturbed.ramp_kw_per_h)
        if level is None or ramp_kw_per_h == inf or level == target_kw:
            self._level_kw = target_kw
            return target_kw
        gap = target_kw - level
        moving_h = abs(gap) / ramp_kw_per_h
        if moving_h >= hours:
            reached = level + (hours / moving_h) * gap
            self._level_kw = reached
            return (level + reached) / 2
        self._level_kw = target_kw
        return target_kw - gap / 2 * moving_h / hours

    # ------------------------------------------------------------ within

    def _refusal(self, command: CommandMessage, now: datetime) -> str | None:
        if reason := self._commandable():
            return reason
        if not isfinite(command.power_kw):
            return "power_kw is not finite"
        if self._taken_seq is not None and command.seq <= self._taken_seq:
            return f"stale: seq {command.seq}, newest {self._taken_seq}"
        try:
            expires_at = parse_utc(command.expires_at, where="expires_at")
        except DataError as error:
            return str(error)
        return f"expired at {command.expires_at}" if expires_at <= now else None

    def _answer(self, command: CommandMessage, now: datetime, reason: str | None) -> AckMessage:
        return AckMessage(
            command_id=command.command_id,
            seq=command.seq,
            ts=isoformat(now),
            accepted=reason is None,
            reason=reason,
        )


def _plain(orders: _Order | list[_Order] | None) -> Any:
    if isinstance(orders, list):
        return [_plain(order) for order in orders]
    return orders and [orders.power_kw, orders.effective_at, orders.expires_at]


def _order(parts: Any) -> _Order | None:
    return _Order(*parts) if parts else None
