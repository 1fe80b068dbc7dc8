"""The steps, dwell and notice that the resources of a park know, compiled once.

Order is park order throughout, as in `Units`; a dead band is the caller's, for everybody who follows a
power. Words (hold, start, stop) are no powers: who takes those has no dead band.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vpp.act.steps import Steps
from vpp.act.units import RUNS_AT_ITS_COMMAND, Units
from vpp.model.horizon import Floats
from vpp.model.park import Park
from vpp.model.resource import (
    CurtailableLoad,
    FlexibleLoad,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
)


def steps_of(park: Park, units: Units, *, dead_kw: float) -> Steps:
    """What the resources of `park`, compiled as `units`, can do at all.

    Raises:
        DataError: `dead_kw` is no size.
    """

    def column(value: Callable[[Resource], float]) -> Floats:
        return np.array([value(resource) for resource in park.resources], dtype=np.float64)

    plain = Steps(
        level_rows=np.zeros(0, dtype=np.int64),
        level_kw=np.zeros((1, 0)),
        least_kw=np.maximum(units.least_draw_kw, units.least_feed_kw),
        dead_kw=np.where(np.isin(units.kind, RUNS_AT_ITS_COMMAND), dead_kw, 0.0),
        least_on_s=units.min_up_s,
        least_off_s=units.min_down_s,
        notice_s=column(_notice_s),
        ramp_kw_per_s=units.ramp_kw_per_s,
        once=column(lambda r: isinstance(r, ShiftableRun)) > 0,
    )
    levels = {at: _levels_kw(resource) for at, resource in enumerate(park.resources)}
    return plain.with_levels({at: known for at, known in levels.items() if known})


def _levels_kw(resource: Resource) -> list[float]:
    """The powers it knows; empty where it knows any."""
    match resource:
        case FlexibleLoad(bands_kw=bands) if bands:
            return sorted({0.0, *(-kw for kw in bands)})
        case InterruptibleLoad():
            return sorted({-resource.rated_draw_kw, 0.0})
        case _:
            return []


def _notice_s(resource: Resource) -> float:
    if isinstance(resource, CurtailableLoad | InterruptibleLoad):
        return resource.notice.total_seconds()
    return 0.0
