"""What a unit would do without being called, as reports tell it: by the method that its product is settled by.

    mean of like days   from the main meters of its enterprises (`demandresponse/baseline.py`); in the window of a call corrected
                        as it will be settled
    none                the standing plan less what calls have asked of it

Worked out once a quarter-hour. Where there is none, reports say so, and why is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Horizon
from vpp.model.telecontrol import Flaw, Shown
from vpp.model.time import QUARTER, Interval, latest_boundary, local_date, local_day
from vpp.service.calls import activations
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.events import Severity
from vpp.service.reports.desk import Owed
from vpp.service.reports.values import Look, course, planned_kw
from vpp.trade.drlifecycle import CALLED

KW_PER_MWH_A_QUARTER = 4000


def baseline(look: Look, owed: Owed, horizon: Horizon) -> tuple[Shown, ...]:
    """KW over the steps of a horizon: an estimate, so substituted; unknown where there is none."""
    first = latest_boundary(horizon.start, QUARTER)
    last = -((first - horizon.end) // QUARTER)
    quarters = Horizon(first, QUARTER, max(last, 1))
    if owed.pack.section.baseline.n_days is None:
        values = _uncalled(look, owed, quarters)
    else:
        values = quarters, _by_days(look, owed, quarters)
    return course(look, horizon, values, Flaw.SUBSTITUTED)


def _uncalled(look: Look, owed: Owed, quarters: Horizon) -> tuple[Horizon, np.ndarray] | None:
    rows = planned_kw(look)
    if rows is None:
        return None
    part = None if look.is_whole else (owed.unit.unit_id, rows[1])
    found = activations.uncalled_kw(look.plant, quarters.span, part)
    return None if found is None else (found.horizon, found.values)


def _by_days(look: Look, owed: Owed, quarters: Horizon) -> np.ndarray:
    desk, zone = look.plant.reports, look.plant.file.park.timezone
    if (now := latest_boundary(look.now, QUARTER)) != desk.baselines_at:
        desk.baselines.clear()
        desk.baselines_at, today = now, local_date(now, zone)
        for key in [key for key in desk.no_baseline if key[1] < today]:
            del desk.no_baseline[key]
    found = []
    for start in quarters.starts():
        key = owed.duty.duty_id, local_date(start, zone)
        if key not in desk.baselines:
            desk.baselines[key] = _day(look, owed, key[1])
        found.append(desk.baselines[key].get(start, float("nan")))
    return np.array(found)


def _day(look: Look, owed: Owed, day: date) -> Mapping[datetime, float]:
    """One local day, with the windows of calls in it as they will be settled."""
    plant, product_id = look.plant, owed.duty.product_id
    span = local_day(day, plant.file.park.timezone)
    windows = [
        story.invitation.window
        for story in plant.dr.book.stories()
        if story.invitation.product_id == product_id
        and story.stage in CALLED
        and story.invitation.window.overlaps(span)
    ]
    try:
        found = dict(_window(look, owed, span))
        for window in windows:
            found |= _window(look, owed, window)
    except DataError as error:
        _tell(look, owed, day, str(error))
        return {}
    _tell(look, owed, day, None)
    return found


def _window(look: Look, owed: Owed, window: Interval) -> Mapping[datetime, float]:
    owners = {resource.enterprise_id for resource in look.members}
    members = [
        e.enterprise_id for e in look.plant.file.park.enterprises if e.enterprise_id in owners
    ]
    drawn = drbaseline.expected_mwh(look.plant, owed.pack, members, window, now=look.now)
    starts = [quarter.start for quarter in window.split(QUARTER)]
    sums = (sum(own) for own in zip(*drawn.values(), strict=True))
    return {  # baselines count draw
        start: -float(mwh) * KW_PER_MWH_A_QUARTER for start, mwh in zip(starts, sums, strict=True)
    }


def _tell(look: Look, owed: Owed, day: date, why: str | None) -> None:
    """Say once of a day why there is none, and once that there is one again."""
    told, key = look.plant.reports.no_baseline, (owed.duty.duty_id, day)
    if told.get(key) == why:
        return
    if why is None:
        del told[key]
        text = f"there is a baseline of {day} again"
    else:
        told[key] = why
        text = f"reports have no baseline of {day}: {why}"
    look.plant.events.emit(
        "report",
        f"{owed.duty.product_id}: {text}"[:500],
        at=look.now,
        severity=Severity.INFO if why is None else Severity.WARNING,
        product=owed.duty.product_id,
    )
