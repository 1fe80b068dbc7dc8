"""Interruptible loads: which calls may start, and what the load draws if nobody calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, time
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.calendar import same_clock_time
from vpp.model.horizon import Floats, Horizon
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import local_date
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder


def possible(
    b: Builder, load: InterruptibleLoad, reading: Reading | None, row: int, days: Sequence[date]
) -> list[Start]:
    """Calls that may start in the horizon, their groups numbered from 0.

    What the load draws by itself goes into `b.base_kw[row]`.

    Raises:
        DataError: A call is no whole number of steps.
    """
    horizon, zone = b.view.horizon, b.view.park.timezone
    b.base_kw[row] = -_rated(load, horizon, zone)
    _quiet_during_call(b.base_kw[row], load, reading, horizon)
    return list(_calls(load, reading, horizon, zone, -b.base_kw[row], days))


def _rated(load: InterruptibleLoad, horizon: Horizon, zone: ZoneInfo) -> Floats:
    """Draw of an interruptible load that nobody calls, shape (T,)."""
    local = [start.astimezone(zone) for start in horizon.starts()]
    runs = [
        moment.weekday() in load.operating_days
        and load.operating_from <= moment.time() < load.operating_to
        for moment in local
    ]
    return np.where(runs, load.rated_draw_kw, 0.0)


def _quiet_during_call(
    base: Floats, load: InterruptibleLoad, reading: Reading | None, horizon: Horizon
) -> None:
    """A call that is running goes on to its end."""
    if reading is not None and reading.phase is RunPhase.CALLED and reading.phase_since is not None:
        ends = reading.phase_since + load.call_length
        left = -((horizon.start - ends) // horizon.step)
        base[: max(left, 0)] = 0.0


def _calls(
    load: InterruptibleLoad,
    reading: Reading | None,
    horizon: Horizon,
    zone: ZoneInfo,
    draw_kw: Floats,
    days: Sequence[date],
) -> Iterator[Start]:
    """Calls that may start in the horizon: on named hours, wholly inside operating hours."""
    if reading is None:
        return
    length, rest = divmod(load.call_length, horizon.step)
    if rest:
        raise DataError(
            f"a call of {load.call_length} is no whole number of steps of {horizon.step}",
            where=load.resource_id,
            fix="Plan in steps that divide it",
        )
    measured_on = local_date(reading.measured_at, zone)
    for group, day in enumerate(days):
        used = (reading.calls_today or 0) if day == measured_on else 0
        if used >= load.max_calls_per_day or day.weekday() not in load.operating_days:
            continue
        for hour in load.callable_hours:
            start = same_clock_time(day, time(hour), zone)
            if start is None:
                continue  # the spring change skips this hour
            step, late = divmod(start - horizon.start, horizon.step)
            if late or step < 0 or step + length > horizon.steps:
                continue
            shed = draw_kw[step : step + length]
            if (shed > 0).all():
                yield Start(
                    resource_id=load.resource_id,
                    group=group,
                    must=False,
                    most=load.max_calls_per_day - used,
                    step=step,
                    draw_kw=tuple(-shed),
                    cost=float(shed.sum()) * horizon.step_hours * load.call_cost_per_kwh,
                    words="max_calls_per_day",
                )
