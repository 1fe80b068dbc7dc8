"""Charging stations over OCPP: the listener they come to, and what happens there told as events.

listener ─▶ `OcppLink.connect`          notices ─▶ events, each kind about each station not too often
"""

from __future__ import annotations

import asyncio
from functools import partial

from vpp.service.events import Severity
from vpp.service.ocpp.desk import ChargerDesk
from vpp.service.plant import Plant
from vpp.service.run import Loop

LOOK_S = 0.5


def loops(plant: Plant) -> dict[str, Loop]:
    """One for each central system."""
    return {f"ocpp-{desk.section.id}": partial(watch, plant, desk) for desk in plant.chargers}


async def watch(plant: Plant, desk: ChargerDesk, stop: asyncio.Event) -> None:
    """Tell what happens until `stop`; then take every limit back, while the listener still stands."""
    stopped = asyncio.create_task(stop.wait(), name="ocpp-watch")
    try:
        while not stopped.done():
            tell(plant, desk)
            await asyncio.wait({stopped}, timeout=LOOK_S)
    finally:
        stopped.cancel()
    await desk.port.let_go()
    tell(plant, desk)


def tell(plant: Plant, desk: ChargerDesk) -> None:
    """Tell what happened since it was looked last."""
    now = plant.clock.now()
    for notice in desk.port.news():
        beyond = desk.worth_telling(notice, now)
        if beyond is None:
            continue
        more = f" (and {beyond} more that were not told)" if beyond else ""
        plant.events.emit(
            notice.kind,
            f"{desk.section.id}: {notice.who} {notice.text}{more}",
            at=now,
            severity=Severity.WARNING,
            link=desk.section.id,
            station=notice.who,
        )
