"""What the next plan is told of the plan that stands, so that nothing is moved for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.service.plant import Plant


class Announced(TypedDict):
    """These parts of a problem."""

    preferred_starts: dict[ResourceId, tuple[datetime, ...]]
    preferred_lengths: dict[ResourceId, tuple[timedelta, ...]]
    announced_kw: Mapping[ResourceId, Floats]


def announced(plant: Plant, horizon: Horizon) -> Announced:
    """Starts that the standing plan promised, how long each lasts (calls under way included), and powers."""
    schedule = plant.schedule
    starts: dict[ResourceId, tuple[datetime, ...]] = {}
    lengths: dict[ResourceId, tuple[timedelta, ...]] = {}
    found = Announced(preferred_starts=starts, preferred_lengths=lengths, announced_kw={})
    if schedule is None:
        return found
    start, step = schedule.horizon.start, schedule.horizon.step
    for name in schedule.starts.keys() | schedule.longer_until.keys():
        begun = list(schedule.starts.get(name, ()))
        last = list(schedule.start_lengths.get(name, ()))
        if name in schedule.longer_until:  # known by its end
            begun, last = [0, *begun], [schedule.longer_until[name], *last]
        starts[name] = tuple(start + k * step for k in begun)
        if len(last) == len(begun):
            lengths[name] = tuple(k * step for k in last)
    found["announced_kw"] = schedule.announced_kw(horizon)
    return found
