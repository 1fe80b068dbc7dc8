"""Once a day old bulky entries and readings go into the archive, so that a disk lasts for years.

Only kinds that nothing takes up at a restart, and nobody looks up once they are old. All else stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.iec104 import orders as iec104orders
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.results import noting
from vpp.service.steering import setpoints
from vpp.service.trading import log as tradelog

EVERY = timedelta(days=1)

BULKY = (
    setpoints.SETPOINTS,
    setpoints.SETPOINT,
    reporting.REPORT,
    reporting.ANSWER,
    tradelog.REASONS,
    iec104orders.ORDER,
    noting.CAME,
    noting.EXPECTED,
)
"""Kinds of entries; they make up more than nine tenths of a journal."""


async def archive(plant: Plant, now: datetime) -> None:
    """Set aside what is older than the section `record` says, page by page: others write in between."""
    try:
        await _entries(plant, now)
        await _telemetry(plant, now)
    except UnavailableError as error:
        plant.events.emit(
            "archive",
            f"what is old stays where it is: {error}",
            at=now,
            severity=Severity.WARNING,
        )


async def _entries(plant: Plant, now: datetime) -> None:
    set_aside, before, reached = plant.set_aside, now - plant.file.record.keep, 0
    if set_aside is None:
        return
    while (page := await set_aside(BULKY, before, after=reached)) is not None:
        reached = page


async def _telemetry(plant: Plant, now: datetime) -> None:
    set_aside, before = plant.set_telemetry_aside, now - plant.file.record.keep_telemetry
    if set_aside is None:
        return
    page = await set_aside(before)
    while page is not None:
        page = await set_aside(before, after=page)
