"""What a plant keeps of its feeds between one look and the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from vpp.ports import SeriesFeed
from vpp.service.feeds.schema import AnyFeed


@dataclass(slots=True, kw_only=True)
class Feed:
    """One feed, and how it stands."""

    section: AnyFeed
    port: SeriesFeed
    due: datetime | None = None
    """None: at once."""

    failures: int = 0
    """In a row."""

    ill: str | None = None
    """Why it was not reached, or not taken, the last time; None where it was."""

    taken_at: datetime | None = None
    """When something of it was taken last."""

    issued_at: dict[str, datetime] = field(default_factory=dict)
    """The newest issue of each of its series."""
