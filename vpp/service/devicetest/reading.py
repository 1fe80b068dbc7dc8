"""Read a device over its own channel, and nothing else: the first half of a device test.

    messages ─▶ the service's own door (intake) ─▶ values, cadence, age, what was refused and why

Whoever reads is given a source and no sink.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from vpp.account.qualification import Direction
from vpp.clock import Clock
from vpp.model.ids import ResourceId
from vpp.model.measurement import MeterReading, Reading
from vpp.ports import MessageSource
from vpp.sense.decode import Refusal
from vpp.sense.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTestOptions:
    """What the command was asked for."""

    read_for: timedelta = timedelta(seconds=10)
    least_messages: int = 5
    most_wait: timedelta = timedelta(seconds=90)
    """So long messages are waited for."""

    repeat: int = 1
    step_kw: float | None = None
    """How far from the baseline; None as far as device and connection let it."""

    only: Direction | None = None
    """Step it this way alone."""

    baseline: timedelta = timedelta(seconds=10)
    patience: timedelta = timedelta(seconds=30)
    """So long the change is waited for, beyond twice what delay and ramp of the park file make it take."""

    hold: timedelta = timedelta(seconds=60)
    """How long the full change must be sustained."""

    period: timedelta = timedelta(seconds=1)
    """How often it is looked and, where needed, commanded."""

    ttl: timedelta = timedelta(seconds=15)
    """Life of each command: so long after the last one the device is at its default."""


@dataclass(slots=True, kw_only=True)
class Read:
    """What a device told."""

    device_id: ResourceId
    messages: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Of its messages, by reason."""

    refusal: str | None = None
    """The newest reason in words."""

    readings: list[Reading | MeterReading] = field(default_factory=list)

    @property
    def cadence_s(self) -> float | None:
        """Between two readings, by the device's own stamps."""
        stamps = [r.measured_at for r in self.readings]
        gaps = [(after - before).total_seconds() for before, after in pairwise(stamps)]
        return median(gaps) if gaps else None

    @property
    def age_s(self) -> float | None:
        """How old a reading is when it comes."""
        ages = [(r.received_at - r.measured_at).total_seconds() for r in self.readings]
        return median(ages) if ages else None

    def quality(self) -> dict[str, int]:
        """How often each was told; a main meter tells none."""
        return dict(Counter(r.quality.value for r in self.readings if isinstance(r, Reading)))

    def values(self) -> dict[str, Any]:
        """What the newest reading holds."""
        if not self.readings:
            return {}
        newest = self.readings[-1]
        left_out = ("resource_id", "meter_id", "enterprise_id", "quality", "seq")
        found = {name: getattr(newest, name) for name in newest.__dataclass_fields__}
        return {k: v for k, v in found.items() if v is not None and k not in left_out}


async def read(
    source: MessageSource,
    intake: Intake,
    device_id: ResourceId,
    *,
    clock: Clock,
    options: DeviceTestOptions,
) -> Read:
    """Listen to a device until enough came, or nobody would wait longer. Sends nothing: it has no sink."""
    heard, began, enough = Read(device_id=device_id), clock.now(), asyncio.Event()

    async def listening() -> None:
        async for message in source.messages():
            if not message.topic.endswith(f"/{device_id}/telemetry"):
                continue
            heard.messages += 1
            taken = intake.accept(message.topic, message.payload, clock.now())
            if isinstance(taken, Refusal):
                heard.refused[taken.reason.value] += 1
                heard.refusal = f"{taken.what}: {taken.fix}"
            elif taken is not None:
                heard.readings.append(taken)
            waited = clock.now() - began
            if heard.messages >= options.least_messages and waited >= options.read_for:
                enough.set()

    task = asyncio.create_task(listening(), name="device-test-read")
    try:
        await clock.wait_until(began + options.most_wait, enough)
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return heard
