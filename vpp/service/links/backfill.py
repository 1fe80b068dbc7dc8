"""Messages that devices counted and we never had are asked for again, patiently.

    a gap ─▶ 10 s: late ones may fill it ─▶ ask ─▶ 30 s ─▶ ask ─▶ 60 s … 10 min, eight times without an answer
                                             └─ some came ─▶ ask for the rest, as at first

Brokers drop in silence where their queue is full, and forget who was away. Sequence numbers show it; devices
with a buffer send again what they are asked for, and intake puts it where its time belongs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.ports import AskAgain
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.wirebackfill import ResendMessage

LOOK_S = 5.0
FIRST, LONGEST = timedelta(seconds=30), timedelta(minutes=10)
SETTLES = timedelta(seconds=10)
"""A gap younger than that is not asked for: messages may be on their way."""

ASKED_AT_MOST = 8
"""Times in a row without an answer; then a device is left alone until it misses something new."""

MOST_NUMBERS = 1000
"""In one request, the newest: a buffer may have forgotten the oldest."""

Range: TypeAlias = tuple[int, int]
Gaps: TypeAlias = Mapping[ResourceId, Sequence[Range]]


@dataclass(slots=True, kw_only=True)
class _Asked:
    missing: int
    newest: int
    times: int = 0
    next_at: datetime
    given_up: bool = False


class Backfill:
    """Whom to ask, and for what."""

    def __init__(self) -> None:
        self._asked: dict[ResourceId, _Asked] = {}

    def due(self, gaps: Gaps, now: datetime) -> dict[ResourceId, tuple[Range, ...]]:
        """What to ask for at `now`; each answer of this counts as one request."""
        for device_id in self._asked.keys() - gaps.keys():
            del self._asked[device_id]
        wanted = {}
        for device_id, ranges in gaps.items():
            missing = sum(last - first + 1 for first, last in ranges)
            newest = max(last for _, last in ranges)
            asked = self._asked.get(device_id)
            if asked is None or newest > asked.newest or missing < asked.missing:
                # New, or it answers: patience begins anew.
                wait = SETTLES if asked is None or newest > asked.newest else timedelta(0)
                asked = self._asked[device_id] = _Asked(
                    missing=missing, newest=newest, next_at=now + wait
                )
            if now >= asked.next_at and asked.times < ASKED_AT_MOST:
                wanted[device_id] = newest_of(ranges, MOST_NUMBERS)
                asked.next_at = now + min(LONGEST, FIRST * 2**asked.times)
                asked.times += 1
        return wanted

    def given_up(self, now: datetime) -> dict[ResourceId, int]:
        """Devices that were asked often enough and how much of theirs is missing; each is told once."""
        gone = {
            device_id: asked.missing
            for device_id, asked in self._asked.items()
            if asked.times >= ASKED_AT_MOST and now >= asked.next_at and not asked.given_up
        }
        for device_id in gone:
            self._asked[device_id].given_up = True
        return gone


def newest_of(ranges: Sequence[Range], most: int) -> tuple[Range, ...]:
    """The newest `most` numbers of ranges in order, as ranges in order."""
    kept: list[Range] = []
    for first, last in reversed(ranges):
        if most <= 0:
            break
        kept.append((max(first, last - most + 1), last))
        most -= last - first + 1
    return tuple(reversed(kept))


async def watch(plant: Plant, ask: AskAgain, stop: asyncio.Event) -> None:
    """Ask for what is missing until `stop`; looked at every five seconds of the wall."""
    backfill = Backfill()
    while not stop.is_set():
        await look(plant, ask, backfill, plant.clock.now())
        try:
            await asyncio.wait_for(stop.wait(), LOOK_S)
        except TimeoutError:
            continue


async def look(plant: Plant, ask: AskAgain, backfill: Backfill, now: datetime) -> None:
    """Ask once for what is due, and tell who was asked often enough; while nobody hears us nobody is asked.

    Over other links than our own nobody can be asked: what lacks there comes by itself, or never.
    """
    if not plant.source.connected:
        return
    gaps = plant.intake.gaps()
    if plant.resends is not None:
        gaps = {device: ranges for device, ranges in gaps.items() if device in plant.resends}
    due = backfill.due(gaps, now)
    if due:
        await ask(
            {
                device_id: ResendMessage(
                    issued_at=isoformat(now), expires_at=isoformat(now + FIRST), ranges=ranges
                )
                for device_id, ranges in due.items()
            }
        )
    for device_id, missing in backfill.given_up(now).items():
        plant.events.emit(
            "backfill",
            f"{device_id} does not send {missing} missing messages again; it is asked no more",
            at=now,
            severity=Severity.WARNING,
            resource_id=device_id,
        )
