"""Tells when the machine's clock leaps: once, not at every look; what follows from it is on the ladder."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from vpp.clock import Drift
from vpp.service.events import Severity
from vpp.service.plant import Plant

LOOK_S = 1.0

TOLD_FROM = timedelta(seconds=1)
"""So far ahead of the machine it is an event."""

DOUBTED_FROM = timedelta(seconds=30)
"""So far ahead gates and deadlines of markets can no longer be told: no new bids."""


async def watch(plant: Plant, stop: asyncio.Event) -> None:
    """Look once a second until `stop`, by the time of the wall: a simulated clock does not drift."""
    teller = ClockTeller()
    while not stop.is_set():
        now = plant.clock.now()  # before the drift, which is that of the newest reading
        teller.look(plant, plant.drift(), now)
        try:
            await asyncio.wait_for(stop.wait(), LOOK_S)
        except TimeoutError:
            continue


def doubt(drift: Drift) -> str | None:
    """Why nothing new is offered; None where the clock can be trusted."""
    if drift.ahead < DOUBTED_FROM:
        return None
    ahead_s = drift.ahead.total_seconds()
    return f"the machine's clock was set back: ours runs {ahead_s:.0f} s ahead (a restart takes it over)"


class ClockTeller:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._ahead = False
        self._leaps = 0

    def look(self, plant: Plant, drift: Drift, now: datetime) -> None:
        """Tell of a leap that was not told yet, and when the clock is in step again."""
        plant.metrics.clock_ahead(drift.ahead.total_seconds())
        if drift.leaps > self._leaps:
            self._leaps = drift.leaps
            _tell(plant, f"was set forward by {drift.leap.total_seconds():.1f} s, or slept", now)
        if not self._ahead and drift.ahead > TOLD_FROM:
            self._ahead = True
            _tell(
                plant,
                f"was set back by {drift.ahead.total_seconds():.1f} s; ours wears it off",
                now,
            )
        elif self._ahead and not drift.ahead:
            self._ahead = False
            _tell(plant, "and ours are in step again", now, Severity.INFO)


def _tell(plant: Plant, what: str, now: datetime, severity: Severity = Severity.ALARM) -> None:
    plant.events.emit("clock", f"the machine's clock {what}", at=now, severity=severity)
