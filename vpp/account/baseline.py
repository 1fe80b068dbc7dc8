"""What a connection point would have done without steering: for information on statements.

The mean of the metered values at the same local clock time on the last days of the same type, as
the common rules for demand response have it. Nothing is paid by it yet. Days on which we steered
are in the history too, so it drifts towards what steering made usual.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from vpp.model.calendar import Calendar, same_clock_time
from vpp.model.ids import ConnectionPointId

History = Callable[[ConnectionPointId, datetime], float | None]
"""Mean metered net injection, kW, of the interval that starts at a moment; None if not known."""


def baseline_kw(
    history: History,
    point: ConnectionPointId,
    start: datetime,
    *,
    calendar: Calendar,
    days: int = 5,
    window_days: int = 45,
) -> float | None:
    """Net injection expected without steering in the interval that starts at `start`, in kW.

    Averages the last `days` days of the same type within `window_days` for which `history` has a
    value at the same local clock time. None where there is no such day. A past day on which that
    time was skipped by a clock change is passed over.
    """
    local = start.astimezone(calendar.zone)
    kind = calendar.day_type(local.date())
    values: list[float] = []
    for back in range(1, window_days + 1):
        day = local.date() - timedelta(days=back)
        moment = same_clock_time(day, local.time(), calendar.zone)
        if moment is None or calendar.day_type(day) is not kind:
            continue
        value = history(point, moment)
        if value is not None:
            values.append(value)
        if len(values) == days:
            break
    return sum(values) / len(values) if values else None
