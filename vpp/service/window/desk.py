"""What is known about the window: what it shows, and whether it can be reached."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from vpp.model.ids import ResourceId
from vpp.model.measurement import ResourceState
from vpp.ports import StateWindow
from vpp.service.window.schema import RedisSection


@dataclass(slots=True, kw_only=True)
class Shown:
    """What other processes see already; whoever makes the next picture leaves it out."""

    states: dict[ResourceId, ResourceState] = field(default_factory=dict)
    seqs: dict[ResourceId, int] = field(default_factory=dict)
    """Numbers of the newest commands."""

    plan_id: str | None = None


@dataclass(slots=True, kw_only=True)
class WindowDesk:
    """The window of one plant. Nothing waits here: a picture is made when there is room for one."""

    section: RedisSection
    port: StateWindow
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each control cycle; who looks clears it."""

    shown: Shown | None = None
    """None where nothing is known to be there: the next picture is whole."""

    up: bool = False
    fault: str | None = "nothing shown yet"
    """Why it is down, as it was told last; None while it is up."""

    since: datetime | None = None
    """When `up` last changed; None before the first try."""
