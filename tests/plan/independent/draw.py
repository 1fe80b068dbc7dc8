"""Dice for random parks: the same seed gives the same park."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, NodeId, ResourceId
from vpp.model.measurement import Quality, Reading
from vpp.model.network import Node, Pipe
from vpp.model.park import PowerGroup
from vpp.model.resource import Resource

T = TypeVar("T")
ZONE = ZoneInfo("Europe/Stockholm")
MIDNIGHT = datetime(2025, 12, 2, 23, tzinfo=UTC)  # of a Wednesday in Stockholm


@dataclass
class Dice:
    rng: np.random.Generator

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 2)

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *choices: T) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def some(self, of: Sequence[T], most: int, *, least: int = 1) -> list[T]:
        """At least and at most so many of them, in their order."""
        size = self.count(least, min(most, len(of)))
        chosen = sorted(self.rng.choice(len(of), size, replace=False).tolist())
        return [of[i] for i in chosen]


@dataclass(eq=False)
class Making:
    """A park while it is made."""

    dice: Dice
    horizon: Horizon
    now: datetime
    points: tuple[tuple[str, str], ...]
    """Connection points with their enterprises."""

    resources: list[Resource] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    pipes: list[Pipe] = field(default_factory=list)
    groups: list[PowerGroup] = field(default_factory=list)
    base_kw: dict[ResourceId, Profile] = field(default_factory=dict)
    available_kw: dict[ResourceId, Profile] = field(default_factory=dict)
    arriving_kw: dict[ResourceId, Profile] = field(default_factory=dict)
    power_share: dict[str, Profile] = field(default_factory=dict)

    @property
    def step(self) -> timedelta:
        return self.horizon.step

    @property
    def local_start(self) -> datetime:
        return self.horizon.start.astimezone(ZONE)

    def course(self, low: float, high: float) -> Floats:
        return np.round(self.dice.rng.uniform(low, high, self.horizon.steps), 3)

    def profile(self, low: float, high: float) -> Profile:
        return Profile(self.horizon, self.course(low, high))

    def common(self, kind: str, node: str | None = None) -> dict[str, Any]:
        """What every resource has, with a new name."""
        point, enterprise = self.dice.pick(*self.points)
        return {
            "resource_id": ResourceId(f"{kind}-{len(self.resources)}"),
            "enterprise_id": EnterpriseId(enterprise),
            "connection_point_id": ConnectionPointId(point),
            "node_id": None if node is None else NodeId(node),
        }

    def add(self, resource: Resource, *, heard: float = 0.85, **said: Any) -> None:
        self.resources.append(resource)
        if self.dice.chance(heard):
            usual: dict[str, Any] = {"power_kw": 0.0}
            self.readings[resource.resource_id] = Reading(
                resource_id=resource.resource_id,
                enterprise_id=resource.enterprise_id,
                measured_at=self.now,
                received_at=self.now,
                seq=1,
                quality=Quality.GOOD,
                **(usual | said),
            )

    def since(self, most_steps: int) -> datetime:
        """A moment that is over, at most so many steps before the horizon where there is room."""
        at = self.horizon.start - self.dice.count(0, most_steps) * self.step
        return at if at <= self.now else at - self.step

    def heard(self, resource: Resource) -> bool:
        return resource.resource_id in self.readings

    def clock(self, hours: float) -> time:
        """A wall-clock time so many hours after the horizon's start, on the quarter-hour, that day."""
        minute = self.local_start.hour * 60 + self.local_start.minute + round(hours * 4) * 15
        return time(23, 59) if minute >= 1440 else time(max(minute, 0) // 60, max(minute, 0) % 60)
