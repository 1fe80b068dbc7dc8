"""What every kind of resource has, and the rules that several kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from math import inf

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, NodeId, ResourceId, require_id

WORKDAYS = (0, 1, 2, 3, 4)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every kind has."""

    resource_id: ResourceId
    enterprise_id: EnterpriseId
    connection_point_id: ConnectionPointId

    node_id: NodeId | None = None
    """The carrier node where its energy enters; None for electricity at its connection point."""

    max_age_s: float = 180.0
    """A reading older than this is unknown, and the resource is not commanded."""

    ramp_kw_per_min: float = inf
    """How fast the device changes its power; inf where it is quicker than anyone looks."""

    response_delay_s: float = 0.0
    """Time between a set-point's arrival and the first change of power."""

    def __post_init__(self) -> None:
        require_id(self.resource_id, where="resource_id")
        require_positive(self, "max_age_s", "ramp_kw_per_min")
        require_size(self, "response_delay_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnOffRules:
    """What a machine asks that is either on or off: limits of its running, and what a start costs.

    While it is on its power lies between `min_power_kw` and its size; while it is off it is 0.
    """

    min_power_kw: float = 0.0
    """Least power while on; a size."""

    min_up: timedelta = timedelta(0)
    """Once started it stays on at least this long."""

    min_down: timedelta = timedelta(0)
    """Once stopped it stays off at least this long."""

    start_cost: float = 0.0
    """Paid for each start, in the park's currency."""

    max_starts_per_day: int | None = None
    """Starts on one local day; None where nothing limits them."""

    def __post_init__(self) -> None:
        for name in ("min_power_kw", "start_cost"):
            if not 0 <= getattr(self, name) < inf:
                raise DataError(
                    f"{name} is {getattr(self, name)}",
                    where="on_off",
                    fix="Give a size, finite and not negative",
                )
        if min(self.min_up, self.min_down) < timedelta(0) or (self.max_starts_per_day or 0) < 0:
            raise DataError(
                f"min_up {self.min_up}, min_down {self.min_down},"
                f" max_starts_per_day {self.max_starts_per_day}",
                where="on_off",
                fix="Give lengths and a count that are not negative",
            )


def require_size(of: Common, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(of, name) < inf:
            raise DataError(
                f"{name} is {getattr(of, name)}",
                where=of.resource_id,
                fix="Give a size, finite and not negative; the sign lives in the set-point",
            )


def require_positive(of: Common, *names: str) -> None:
    for name in names:
        if not getattr(of, name) > 0:
            raise DataError(
                f"{name} is {getattr(of, name)}", where=of.resource_id, fix="Give a number above 0"
            )


def require_fraction(of: Common, *names: str) -> None:
    for name in names:
        if not 0 < getattr(of, name) <= 1:
            raise DataError(
                f"{name} is {getattr(of, name)}",
                where=of.resource_id,
                fix="Give a fraction such as 0.96, not a percentage",
            )


def require_share(of: Common, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(of, name) <= 1:
            raise DataError(
                f"{name} is {getattr(of, name)}",
                where=of.resource_id,
                fix="Give a share between 0 and 1, not a percentage",
            )


def require_days(of: Common, days: tuple[int, ...]) -> None:
    if not set(days) <= set(EVERY_DAY) or len(set(days)) != len(days):
        raise DataError(
            f"days {days}", where=of.resource_id, fix="Name each weekday at most once, 0 is Monday"
        )


def minutes(at: time) -> int:
    """Minutes since midnight; 00:00 as the end of a window means 24:00 and is written 23:59."""
    return at.hour * 60 + at.minute + (1 if at == time(23, 59) else 0)
