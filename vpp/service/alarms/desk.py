"""What a plant keeps of its alarms."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vpp.model.alarm import Condition
from vpp.model.ids import ResourceId
from vpp.service.alarms.book import AlarmBook

MOST_UNRECORDED = 1000


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that only happens, and when it was told last."""

    condition: Condition
    at: datetime


@dataclass(slots=True, kw_only=True)
class AlarmDesk:
    """Filled from the journal; what holds is read anew."""

    book: AlarmBook = field(default_factory=AlarmBook)
    carrier: Mapping[ResourceId, str] = field(default_factory=dict)
    """Behind which link each device is; those that are not named are behind our own broker."""

    heard: int = 0
    """Number of the newest event that was looked at."""

    happened: dict[tuple[str, str], Happened] = field(default_factory=dict)
    lost: int = 0
    """Things that happened while too many did."""

    unrecorded: deque[tuple[str, bytes, datetime]] = field(default_factory=deque)
    """Changes that the disk did not take yet (key, body, moment), oldest first; at most `MOST_UNRECORDED`."""

    forgotten: int = 0
    """Changes that waited for the disk until too many did: they are on no record. 0 once that is told."""

    acting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a person changes an alarm: one after the other."""

    looked_at: datetime | None = None
