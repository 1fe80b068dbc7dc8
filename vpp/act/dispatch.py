"""Guarded powers become commands: numbered, with an end, and not more of them than needed.

    value   ●───────────────●───────────●──────
            └ ttl ──────┊   │ moved     │
                    refresh ●           refresh
                    while two control periods are left

A resource that is wanted no longer is simply not refreshed: its command ends, and the device goes
to its own default. So does every device when this service falls silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The newest command to a device, and since when it has been asked for this value."""

    setpoint: Setpoint
    since: datetime
    since_seq: int
    """The first command with this value; later ones only refreshed it."""


class Dispatcher:
    """Remembers the command in force on each device of one park."""

    def __init__(
        self,
        park: Park,
        *,
        first_seq: int,
        ttl: timedelta,
        control_period: timedelta,
        deadband_kw: float,
    ) -> None:
        """Start numbering at `first_seq` on every device.

        `first_seq` must lie above every number used before a restart. The epoch second of the start
        does, as long as no device gets more than one command a second.

        Raises:
            DataError: Commands would end before they can be refreshed.
        """
        if ttl <= 2 * control_period:
            raise DataError(
                f"ttl {ttl}, control period {control_period}",
                where="Dispatcher",
                fix="Let a command live longer than two control periods",
            )
        self._park = park
        self._next_seq = {r.resource_id: first_seq for r in park.resources}
        self._ttl = ttl
        self._period = control_period
        self._deadband_kw = deadband_kw
        self._in_force: dict[ResourceId, InForce] = {}

    def commands(
        self, power_kw: Mapping[ResourceId, float], now: datetime, *, serves: str
    ) -> tuple[Setpoint, ...]:
        """What must be sent now so that each device does `power_kw` (guarded), in park order."""
        return tuple(
            self._command(resource.resource_id, power_kw[resource.resource_id], now, serves)
            for resource in self._park.resources
            if resource.resource_id in power_kw
            and self._needed(resource.resource_id, power_kw[resource.resource_id], now)
        )

    def forget(self, setpoints: Iterable[Setpoint]) -> None:
        """Commands that never left: their values must be sent anew, under new numbers."""
        for setpoint in setpoints:
            force = self._in_force.get(setpoint.resource_id)
            if force is not None and force.setpoint == setpoint:
                del self._in_force[setpoint.resource_id]

    def latest(self) -> dict[ResourceId, int]:
        """The newest number sent to each device."""
        return {name: force.setpoint.seq for name, force in self._in_force.items()}

    def in_force(self, now: datetime) -> tuple[InForce, ...]:
        """The commands that have not ended."""
        return tuple(f for f in self._in_force.values() if f.setpoint.expires_at > now)

    def _needed(self, name: ResourceId, kw: float, now: datetime) -> bool:
        force = self._in_force.get(name)
        if force is None or force.setpoint.expires_at - now <= 2 * self._period:
            return True
        return self._moved(name, kw, force)

    def _moved(self, name: ResourceId, kw: float, force: InForce) -> bool:
        """Hold, start, stop and call are words, not amounts: for them every difference counts."""
        resource, before_kw = self._park.resource_by_id[name], force.setpoint.power_kw
        words = isinstance(resource, ShiftableRun | InterruptibleLoad | CurtailableLoad)
        machine = isinstance(resource, Generator | FlexibleLoad | Converter)
        switched = machine and (kw == 0) != (before_kw == 0)
        return switched or abs(kw - before_kw) > (0.0 if words else self._deadband_kw)

    def _command(self, name: ResourceId, kw: float, now: datetime, serves: str) -> Setpoint:
        seq = self._next_seq[name]
        self._next_seq[name] = seq + 1
        setpoint = Setpoint(
            command_id=f"{name}-{seq}",
            seq=seq,
            resource_id=name,
            enterprise_id=self._park.resource_by_id[name].enterprise_id,
            issued_at=now,
            expires_at=now + self._ttl,
            power_kw=kw,
            serves=serves,
        )
        before = self._in_force.get(name)
        if before is None or before.setpoint.expires_at <= now or self._moved(name, kw, before):
            self._in_force[name] = InForce(setpoint=setpoint, since=now, since_seq=seq)
        else:
            self._in_force[name] = InForce(
                setpoint=setpoint, since=before.since, since_seq=before.since_seq
            )
        return setpoint
