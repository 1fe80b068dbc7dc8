"""The local time of each step, read once for a plan: for loads that follow the clock on the wall."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vpp.model.calendar import same_clock_time
from vpp.model.horizon import Horizon
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import local_date
from vpp.plan.view import PlanningView


class Clock:
    """Local days and times of one view's horizon."""

    def __init__(self, view: PlanningView) -> None:
        self.now = view.now
        self.horizon: Horizon = view.horizon
        self.zone = view.park.timezone
        local = [start.astimezone(self.zone) for start in view.horizon.starts()]
        self._weekday = np.array([moment.weekday() for moment in local])
        self._second = np.array([_seconds(moment.time()) for moment in local])
        first = local_date(view.horizon.start, self.zone)
        last = local_date(view.horizon.end - timedelta(microseconds=1), self.zone)
        self.days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        self.hour = cache(self._hour)

    def operates(self, load: InterruptibleLoad) -> NDArray[np.bool_]:
        """Steps that begin in the operating hours of a process, shape (T,)."""
        on_day = np.isin(self._weekday, load.operating_days)
        from_, to = _seconds(load.operating_from), _seconds(load.operating_to)
        return on_day & (self._second >= from_) & (self._second < to)

    def _hour(self, day: date, hour: int) -> int | None:
        """The step that begins when the clocks show a full hour, None where none does."""
        moment = same_clock_time(day, time(hour), self.zone)
        if moment is None:
            return None  # the spring change skips this hour
        step, late = divmod(moment - self.horizon.start, self.horizon.step)
        return None if late else step

    def is_on(self, measured_at: datetime, day: date) -> bool:
        """Whether what a reading says of today is about `day`."""
        return local_date(measured_at, self.zone) == day


def _seconds(at: time) -> float:
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
