"""Tells when a link to devices goes down, comes back, or has devices that are ill: once, not each second."""

from __future__ import annotations

import asyncio
from datetime import datetime

from vpp.service.events import Severity
from vpp.service.links.health import NATIVE, LinkHealth
from vpp.service.plant import Plant

STARTING_S = 5.0
"""A link that is being opened is not one that is down."""

LOOK_S = 1.0

QUIET_S = 60.0
"""A link that goes up and down is told of no more often than this; how it stands then is told."""


async def watch(plant: Plant, stop: asyncio.Event) -> None:
    """Look at every link each second until `stop`. Time of the wall: a link's recovery is not simulated."""
    teller, wait_s = LinkTeller(), STARTING_S
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), wait_s)
        except TimeoutError:
            teller.look(plant, at_s=loop.time(), now=plant.clock.now())
            wait_s = LOOK_S


def broker(plant: Plant) -> tuple[bool, datetime]:
    """Whether the link to our own broker stands, and since when that is so."""
    for link in plant.links():
        if link.name == NATIVE:
            return link.connected, link.since
    return plant.source.connected, plant.source.since


class LinkTeller:
    """Remembers what was told of each link."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[bool, bool]] = {}
        self._told_at_s: dict[str, float] = {}

    def look(self, plant: Plant, *, at_s: float, now: datetime) -> None:
        """Tell of every link that stands otherwise than it was told; `at_s` is on a steady clock."""
        for link in plant.links():
            stands = (link.connected, link.fault is None)
            before = self._told.get(link.name, (True, True))
            if stands == before or at_s - self._told_at_s.get(link.name, -QUIET_S) < QUIET_S:
                continue
            self._told[link.name], self._told_at_s[link.name] = stands, at_s
            plant.events.emit(
                "link",
                _text(link),
                at=now,
                severity=Severity.INFO if all(stands) else Severity.WARNING,
                link=link.name,
                connected=link.connected,
                devices=link.devices,
            )


def _text(link: LinkHealth) -> str:
    if not link.connected:
        return f"the link {link.name} with {link.devices} devices is down: {link.fault}"
    if link.fault is not None:
        return f"devices behind the link {link.name} are ill: {link.fault}"
    return f"the link {link.name} with {link.devices} devices stands"
