"""Once a day old bulky entries leave the journal for the archive, so that a disk lasts for years.

Only kinds that nothing takes up at a restart, and nobody looks up once they are old. All else stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.steering import setpoints
from vpp.service.trading import log as tradelog

EVERY = timedelta(days=1)

BULKY = (
    setpoints.SETPOINTS,
    setpoints.SETPOINT,
    reporting.REPORT,
    reporting.ANSWER,
    tradelog.REASONS,
)
"""Kinds of entries; they make up more than nine tenths of a journal."""


async def archive(plant: Plant, now: datetime) -> None:
    """Set aside what is older than `record.keep_days`, page by page: others write in between."""
    set_aside = plant.set_aside
    if set_aside is None:
        return
    before, reached = now - plant.file.record.keep, 0
    try:
        while (page := await set_aside(BULKY, before, after=reached)) is not None:
            reached = page
    except UnavailableError as error:
        plant.events.emit(
            "archive",
            f"old entries stay in the journal: {error}",
            at=now,
            severity=Severity.WARNING,
        )
