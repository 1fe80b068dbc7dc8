"""What is remembered of the controlled stations of a park: what stands of the orders, and how each does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from vpp.model.telecontrol import DispatchOrder, Shown
from vpp.service.iec104schema import StationSection

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
    def masters(self) -> tuple[str, ...]:
        """Addresses of those that get data now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOrder:
    """The newest order at one address that was taken."""

    value: float
    at: datetime
    until: datetime


@dataclass(slots=True, kw_only=True)
class StationDesk:
    """One controlled station."""

    section: StationSection
    port: DispatchDoor
    standing: dict[int, StandingOrder] = field(default_factory=dict)
    fault: str | None = None
    """Why it does not listen, as it was told last."""
