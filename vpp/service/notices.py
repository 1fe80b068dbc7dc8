"""What an operator should hear before it hurts; each is told when it changes, not again and again."""

from __future__ import annotations

from datetime import datetime

from vpp.model.time import local_date
from vpp.service.events import Severity
from vpp.service.plant import Plant


def tell_calendar(plant: Plant, now: datetime) -> None:
    """Holidays of this year or the next that nobody has decreed yet, as far as is known here."""
    calendars = plant.file.calendars
    warning = calendars.warning(local_date(now, calendars.park.zone))
    if warning is not None and warning != plant.calendar_told:
        plant.events.emit("calendar", warning, at=now, severity=Severity.WARNING)
    plant.calendar_told = warning
