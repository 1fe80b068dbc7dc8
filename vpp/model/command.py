"""What is asked of devices, and what was delivered of what was sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import copysign, isfinite, trunc

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """One command. When `expires_at` has passed the device returns to its own default."""

    command_id: str
    seq: int
    """Rises with every command to the same device; a lower one is stale."""

    resource_id: ResourceId
    enterprise_id: EnterpriseId
    issued_at: datetime
    expires_at: datetime
    power_kw: float
    """Net injection; what it means to each kind stands in `vpp/model/resource.py`."""

    serves: str
    """Why: the plan, and with it the award, that this command serves."""

    strategy_version: str = ""
    """By which strategies that plan was made; empty where there is no plan."""

    def __post_init__(self) -> None:
        if not isfinite(self.power_kw):
            raise DataError(
                f"power_kw is {self.power_kw}", where=self.resource_id, fix="Never send this"
            )
        if self.expires_at <= self.issued_at:
            raise DataError(
                f"expires {self.expires_at}, issued {self.issued_at}",
                where=self.resource_id,
                fix="Give every command a life longer than 0",
            )


def unknown_resource(setpoint: Setpoint) -> DataError:
    """What a link raises of a set-point whose resource it does not carry, or not for that enterprise."""
    return DataError(
        f"is no resource of {setpoint.enterprise_id}",
        where=setpoint.resource_id,
        fix="Command only what the park file knows, under its own enterprise",
    )


def whole_counts(counts: float) -> int:
    """A power in whole counts of a device, towards zero: rounded up it would pass the limit that it was cut to.

    A millionth short of a whole count is that count: turning units loses as much.

    Raises:
        ValueError, OverflowError: It is not finite.
    """
    return trunc(counts + copysign(1e-6, counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Owed against delivered for one interval, as net injection of the unit."""

    interval: Interval
    owed_kwh: float
    delivered_kwh: float
