"""Who is left alone, and when: vetoes and maintenance of members, in the plan and in steering.

    windows of the strategy file ─▶ steps of a horizon ─▶ the view: nothing is planned of them then
                                 └─▶ now ─▶ share and guard: no set-point, whoever wishes one

Cars, work within windows and jobs keep the hours of their owners anyway: they are planned until such a window
begins, and are unknown to the plan while it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

import numpy as np

from vpp.act.units import Bools, Units
from vpp.model.horizon import Horizon
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, Unknown
from vpp.model.members import Window
from vpp.model.resource import EvFleet, FlexibleLoad, ShiftableRun
from vpp.plan.view import PlanningView
from vpp.service.strategies.strategies import Strategies


def left_alone(strategies: Strategies, now: datetime) -> Mapping[ResourceId, str]:
    """Resources that are not steered at `now`, each with the reason; windows begin and end on whole minutes."""
    return _left_alone(strategies, now.replace(second=0, microsecond=0))


@lru_cache(maxsize=64)
def _left_alone(strategies: Strategies, minute: datetime) -> Mapping[ResourceId, str]:
    calendar, found = strategies.ground.calendars.park, dict[ResourceId, str]()
    for window, names in _windows(strategies):
        if window.holds(minute, calendar):
            found |= dict.fromkeys(names, window.reason)
    return found


def units_left_alone(strategies: Strategies, units: Units, now: datetime) -> Bools:
    """Which units are not steered at `now`, shape (N,)."""
    found = np.zeros(len(units), dtype=np.bool_)
    found[[units.index[name] for name in left_alone(strategies, now)]] = True
    return found


def counted(strategies: Strategies, view: PlanningView) -> PlanningView:
    """The view, with who is left alone in which steps, and who is at `view.now` taken as not heard."""
    steps = _steps(strategies, view.horizon)
    if not steps:
        return view
    now = left_alone(strategies, max(view.now, view.horizon.start))

    def seen(one: Reading | Unknown) -> Reading | Unknown:
        resource = view.park.resource_by_id[one.resource_id]
        own_hours = isinstance(resource, EvFleet | FlexibleLoad | ShiftableRun)
        if one.resource_id in now and own_hours and isinstance(one, Reading):
            return Unknown(resource_id=one.resource_id, reason=now[one.resource_id])
        return one

    state = replace(view.state, resources=tuple(seen(one) for one in view.state.resources))
    return replace(view, left_alone=steps, state=state)


def _steps(strategies: Strategies, horizon: Horizon) -> dict[ResourceId, Bools]:
    """Steps of a horizon in which somebody is left alone, shape (T,) each."""
    calendar, starts = strategies.ground.calendars.park, horizon.starts()
    found: dict[ResourceId, Bools] = {}
    for window, names in _windows(strategies):
        held = np.array([window.holds(start, calendar) for start in starts], dtype=np.bool_)
        if held.any():
            for name in names:
                found[name] = found.get(name, False) | held
    return found


def _windows(strategies: Strategies) -> list[tuple[Window, list[ResourceId]]]:
    """Windows in which somebody is not steered, each with whom."""
    owners = {name for name, rule in strategies.members.items() if rule.windows}
    owned: dict[str, list[ResourceId]] = {name: [] for name in owners}
    for resource in strategies.ground.park.resources if owners else ():
        if resource.enterprise_id in owners:
            owned[resource.enterprise_id].append(resource.resource_id)
    return [
        (window, sorted(window.resources) or owned[name])
        for name, rule in strategies.members.items()
        for window in rule.windows
        if not window.steered
    ]
