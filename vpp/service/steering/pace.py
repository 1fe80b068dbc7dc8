"""How often the park is steered: at `control.period_s`, faster while a product asks for it, at once when asked to.

    12:00:00 ────────── 12:01:00 ─ 12:01:04 ─ 12:01:08 ──┬─ 12:01:12 ── …   a signal runs, its product says 4 s
                        a signal of that product begins  └ an award that counts now: a cycle beside the grid

Ticks lie on multiples of the period, so that the grid stays the same however often the period changes. Where an
override ends, or an order or a call begins or ends, between two of them, there is a cycle at that moment too.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import perf_counter

from vpp.clock import Clock
from vpp.model.time import isoformat, latest_boundary
from vpp.service import cycle
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.run import Loop
from vpp.service.steering.acting import next_turn, period_at


def acting(plant: Plant, clock: Clock) -> Loop:
    """The loop of the act cycle. What an overrun missed is counted, and not made up for."""

    async def loop(stop: asyncio.Event) -> None:
        due = latest_boundary(clock.now(), plant.file.control.period)
        start = clock.now()  # the tick before it is made up for, and is no late one
        while await clock.wait_until(due, stop, plant.acting.nudge):
            now, began = clock.now(), perf_counter()
            if now >= due:
                if due >= start:
                    plant.metrics.control.late((now - due).total_seconds())
                await cycle.act(plant, due)
            else:
                await cycle.act(plant, now)
            plant.metrics.cycle("act", perf_counter() - began)
            due = _following(plant, min(due, now), clock.now())
        plant.events.tell_alike(clock.now())  # what waits for the next cycle: there is none

    return loop


def _following(plant: Plant, done: datetime, now: datetime) -> datetime:
    """The tick that follows the cycle of `done`; those that it overran are told."""
    step = period_at(plant, now)
    following = latest_boundary(done, step) + step
    newest = latest_boundary(now, step)
    if (skipped := (newest - following) // step) > 0:
        plant.metrics.skipped("act", skipped)
        plant.events.emit(
            "skipped",
            f"the act cycle of {isoformat(done)} overran: {skipped} skipped",
            at=now,
            severity=Severity.WARNING,
            cycle="act",
        )
    tick, turn = max(following, newest), next_turn(plant, done)
    return tick if turn is None else min(tick, turn)
