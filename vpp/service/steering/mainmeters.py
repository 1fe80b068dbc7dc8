"""What the main meters tell the act cycle: their power now, and their energy since the interval began.

    start      one meter's newest      another's newest     now
      ├───────────────┼────────────────────────┼─────────────┤
      └── metered ────┘ until: as far as all of them were read; `correct` goes on with what was expected

Meters are read when they like. A moment that is not read yet is not 0 kWh: energy is told as far as it is known.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.act.correct import Metered, Shown
from vpp.model.time import Interval
from vpp.service import accounting
from vpp.service.plant import Plant

FRESH = timedelta(minutes=3)
"""A main meter that was not heard for so long shows nothing."""


def metered_so_far(plant: Plant, interval: Interval, now: datetime) -> Metered | None:
    """Net injection of all main meters since `interval` began, as far as every one of them was read.

    None where nobody can tell: a register began anew, or a meter was never read before.
    """
    until = now
    for point in plant.file.park.connection_points:
        read_at = plant.meters.last_read_at(point.meter_id, now)
        if read_at is None:
            return None
        until = min(until, read_at)
    if until <= interval.start:
        return Metered(0.0, interval.start)
    metered = accounting.metered_by_enterprise(plant, Interval(interval.start, until))
    if metered is None:
        return None
    return Metered(sum(one.net_wh for one in metered.values()) / 1000, until)


def shown(plant: Plant, now: datetime) -> Shown | None:
    """The power of all main meters together, as old as the oldest; None where one is not heard lately, or doubted."""
    total_kw, oldest = 0.0, now
    for point in plant.file.park.connection_points:
        reading = plant.intake.newest_meter.get(point.meter_id)
        if reading is None or now - reading.measured_at > FRESH or reading.doubt is not None:
            return None
        total_kw += reading.power_kw
        oldest = min(oldest, reading.measured_at)
    return Shown(total_kw, oldest)
