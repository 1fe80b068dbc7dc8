"""What is remembered of the controlled stations of a park: how each does, and what was told of its masters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from vpp.model.telecontrol import DispatchOrder, MasterHealth, Shown
from vpp.service.iec104.schema import StationSection

Operate = Callable[[DispatchOrder], Awaitable[str | None]]
"""Does what is ordered; says why not, None where it is on record and in force."""

Tell = Callable[[str, str], None]
"""Who it is about, and what a person should hear of it."""


class DispatchDoor(Protocol):
    """A controlled station, whatever telecontrol protocol it speaks."""

    async def run(self, operate: Operate, tell: Tell, stop: asyncio.Event) -> None:
        """Serve the masters until `stop`.

        Raises:
            UnavailableError: The address cannot be bound.
        """
        ...

    def publish(self, shown: Mapping[int, Shown]) -> None:
        """Show the newest values of some points, by address."""
        ...

    @property
    def listens(self) -> bool:
        """Whether masters can connect now."""
        ...

    def health(self) -> tuple[MasterHealth, ...]:
        """How each master on the list does."""
        ...


MOST_TOLD = 20
"""Of one master a minute: what is beyond is counted, and told with the next."""

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Told:
    """What was told of one master lately."""

    since: datetime
    count: int = 0
    beyond: int = 0


@dataclass(slots=True, kw_only=True)
class StationDesk:
    """One controlled station."""

    section: StationSection
    port: DispatchDoor
    fault: str | None = None
    """Why it could not listen when it was tried last."""
    told: dict[str, Told] = field(default_factory=dict)
    """By master; those who may connect are few."""

    def worth_telling(self, who: str, now: datetime) -> int | None:
        """How many things about `who` were left out before this one; None where this one is too."""
        told = self.told.setdefault(who, Told(now))
        beyond = 0
        if now - told.since >= MINUTE:
            beyond = told.beyond
            self.told[who] = told = Told(now)
        told.count += 1
        if told.count > MOST_TOLD:
            told.beyond += 1
            return None
        return beyond
