"""What stands in the fields of the Redis window, as JSON; `docs/redis.md` names the keys.

Times are ISO 8601 in UTC, powers kW net injection (feeding positive), energies kWh.
"""

from __future__ import annotations

import msgspec

FORMAT = "1"
"""Rises when a field changes its meaning or goes; new fields may come beside those that are there."""


class ResourceEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One resource in a hash or stream of states."""

    known: bool
    """Whether anybody can speak for it: heard of late, and not called bad. Never use the rest if not."""
    at: str
    """When it was measured; of one that is unknown, since when it is."""
    power_kw: float | None = None
    soc: float | None = None
    energy_kwh: float | None = None
    temperature_degc: float | None = None
    available_kw: float | None = None
    phase: str | None = None
    quality: str | None = None
    seq: int | None = None
    """The device's own count of its messages."""
    setpoint_seq: int | None = None
    """The newest command that the device has taken."""
    reason: str | None = None
    """Why it is unknown."""


class SetpointEntry(msgspec.Struct, frozen=True):
    """The newest command to one resource. Past `expires_at` it is on its own default."""

    command_id: str
    seq: int
    power_kw: float
    issued_at: str
    expires_at: str
    serves: str
    """The plan that this command serves."""


class PlanRow(msgspec.Struct, frozen=True):
    """What the newest plan means one resource to do; one mean power a step, from `start` on."""

    plan_id: str
    start: str
    step_s: int
    power_kw: list[float]
