"""Serving a dispatch centre: what moved is shown each scan, and what it orders is taken, on the wall's clock.

    scan ─▶ picture of the plant ─▶ station          station ─▶ order ─▶ `orders.py` ─▶ yes or no

An address that cannot be bound is told and tried again: the park goes on without it.
"""

from __future__ import annotations

import asyncio
from functools import partial

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.iec104 import orders as iec104orders
from vpp.service.iec104 import points as iec104points
from vpp.service.iec104.desk import StationDesk
from vpp.service.plant import Plant
from vpp.service.run import Loop

RETRY_S = 5.0


def loops(plant: Plant) -> dict[str, Loop]:
    """Two for each station: one serves, one looks."""
    found: dict[str, Loop] = {}
    for desk in plant.stations:
        found[f"iec104-{desk.section.id}"] = partial(serve, plant, desk)
        found[f"iec104-{desk.section.id}-scan"] = partial(scan, plant, desk)
    return found


async def serve(plant: Plant, desk: StationDesk, stop: asyncio.Event) -> None:
    """Let masters connect until `stop`."""

    def tell(who: str, what: str) -> None:
        now = plant.clock.now()
        beyond = desk.worth_telling(who, now)
        if beyond is None:
            return
        more = f" (and {beyond} more that were not told)" if beyond else ""
        plant.events.emit(
            "dispatch",
            f"{desk.section.id}: {who} {what}{more}",
            at=now,
            severity=Severity.WARNING,
            station=desk.section.id,
        )

    while not stop.is_set():
        try:
            await desk.port.run(partial(iec104orders.take, plant, desk), tell, stop)
        except UnavailableError as error:
            if desk.fault is None:  # the change of state, not the state
                tell(error.where, error.what)
            desk.fault = error.what
            await _pause(stop, RETRY_S)


async def scan(plant: Plant, desk: StationDesk, stop: asyncio.Event) -> None:
    """Show what is new each scan until `stop`."""
    while not stop.is_set():
        desk.port.publish(iec104points.picture(plant, desk, plant.clock.now()))
        await _pause(stop, desk.section.scan_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    stopped = asyncio.create_task(stop.wait(), name="iec104-stop")
    try:
        await asyncio.wait({stopped}, timeout=seconds)
    finally:
        stopped.cancel()
