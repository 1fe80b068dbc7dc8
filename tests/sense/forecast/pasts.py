"""Builders of small pasts whose forecasts can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, local_day, local_moment
from vpp.sense.forecast.base import Past

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def a_past(
    value: Callable[[datetime], float],
    *,
    first: date,
    until: date,
    at: time = time(0),
    step: timedelta = QUARTER,
    calendar: Calendar | None = None,
    unit: str = "kW",
) -> Past:
    """What was known at `at` on the local day `until`: `value(local time)` since `first`."""
    calendar = calendar or Calendar(zone=BERLIN)
    start = local_day(first, calendar.zone).start
    end = local_moment(until, at, calendar.zone)
    horizon = Horizon(start, step, (end - start) // step)
    values = np.array([value(moment.astimezone(calendar.zone)) for moment in horizon.starts()])
    return Past(
        series_id="power.load",
        unit=unit,
        issued_at=end,
        values=Profile(horizon, values),
        calendar=calendar,
    )


def a_day(day: date, *, step: timedelta = QUARTER, zone: ZoneInfo = BERLIN) -> Horizon:
    return Horizon.over(local_day(day, zone), step)


def cut(past: Past, issued_at: datetime) -> Past:
    """The same series as it was known earlier."""
    axis = past.values.horizon
    steps = (issued_at - axis.start) // axis.step
    return Past(
        series_id=past.series_id,
        unit=past.unit,
        issued_at=issued_at,
        values=Profile(Horizon(axis.start, axis.step, steps), past.values.values[:steps]),
        calendar=past.calendar,
    )
