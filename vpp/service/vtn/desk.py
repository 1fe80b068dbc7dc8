"""What is remembered of our OpenADR 3 server while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vpp.model.programme import ProgrammeEvent
from vpp.model.site import SiteHealth
from vpp.service.vtn.schema import SiteSection


class EventShelf(Protocol):
    """The events that one site is shown."""

    @property
    def events(self) -> tuple[ProgrammeEvent, ...]:
        """All that there are now."""
        ...

    def put_event(self, event: ProgrammeEvent) -> ProgrammeEvent:
        """Add one (its id empty), or a new version of one; as it stands then."""
        ...

    def drop_event(self, event_id: str) -> None:
        """Cancel one."""
        ...


@dataclass(slots=True, kw_only=True)
class SiteDesk:
    """One site."""

    section: SiteSection
    shelf: EventShelf
    limits: dict[str, ProgrammeEvent] = field(default_factory=dict)
    """The event that tells each limit order, by the order's id."""


@dataclass(slots=True, kw_only=True)
class VtnDesk:
    """The server."""

    sites: Mapping[str, SiteDesk]
    health: Callable[[], tuple[SiteHealth, ...]]
    """How each does now."""
