"""Devices whose commands do not end by themselves: what lets them go is said by us, when it is time.

a command leaves ─▶ note(its end) ─ ─ unrenewed ─ ─▶ say(what lets the device go)   again until it was heard
the start: whoever may hold a command of before and is not commanded soon ─▶ the same
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from adapters.payload_mapping import PayloadTranslator
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""How often expired commands are looked for."""

Say = Callable[[Mapping[ResourceId, tuple[str, bytes]]], Awaitable[Sequence[str | None]]]
"""Says to each device its text at its place; returns for each why it did not leave, None where it did."""


class LettingGo:
    """Remembers until when each device holds a command that it will not drop by itself."""

    def __init__(
        self,
        translator: PayloadTranslator,
        commanded: Iterable[ResourceId],
        *,
        now: Callable[[], datetime],
        say: Say,
    ) -> None:
        """`commanded` are the devices that may be commanded.

        At the start all may hold a command of before, if we were killed: who is not commanded soon is let go.
        """
        self._translator, self._now, self._say = translator, now, say
        self.texts = {d: r for d in commanded if (r := translator.release(d)) is not None}
        """What lets each go, and where it is said."""
        self._ends_at = dict.fromkeys(self.texts, now())
        self._held: set[ResourceId] = set()
        """Who could not be let go, as it was told."""
        self._stopping = False

    def note(self, setpoints: Iterable[Setpoint]) -> None:
        """Remember commands, before they leave.

        One that is not confirmed may arrive all the same, and whoever waits for that may be stopped.
        """
        for setpoint in setpoints:
            if setpoint.resource_id in self.texts:
                self._ends_at[setpoint.resource_id] = setpoint.expires_at

    def at_once(self, device_id: ResourceId) -> None:
        """Let a device go at the next look: somebody else has taken it over."""
        if device_id in self.texts:
            self._ends_at[device_id] = self._now()

    def is_due(self, device_id: ResourceId) -> bool:
        """Whether a device is still to be let go: false where a newer command left while that waited."""
        until = self._ends_at.get(device_id)
        return until is not None and (self._stopping or until <= self._now())

    async def run(self, standing: Callable[[], bool]) -> None:
        """Let go, for ever, whose command has ended, while the link is `standing`."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._now()
            if standing():
                await self._let_go([d for d, until in self._ends_at.items() if until <= now])

    async def all(self) -> None:
        """Let everybody go: the service stops."""
        self._stopping = True
        await self._let_go(list(self._ends_at))

    async def _let_go(self, devices: Sequence[ResourceId]) -> None:
        """Say what lets these go; whoever could not be told is tried again."""
        ended = [self._ends_at[d] for d in devices]
        reasons = await self._say({d: self.texts[d] for d in devices})
        for device_id, until, reason in zip(devices, ended, reasons, strict=True):
            if reason is not None:
                if device_id not in self._held:
                    log.warning("a device could not be let go", device=device_id, reason=reason)
                self._held.add(device_id)
                continue
            self._held.discard(device_id)
            # A newer command that left meanwhile has an end of its own.
            if self._ends_at.get(device_id) == until:
                del self._ends_at[device_id]
