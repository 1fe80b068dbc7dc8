"""How far a store goes along with a power that somebody holds it at.

    held[t] = least and most: charge and discharge limits of the store, as they taper with what is stored,
                              and what fills it, or leaves its floor, within the step
    stored[t] = kept·stored[t-1] + h·ηc·charge - h/ηd·discharge

The same physics as `kinds/storage.py`, forwards: nothing is decided. Where its owner wants it left alone it does
nothing, whoever has it in hand.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Storage
from vpp.plan.view import PlanningView

ROUNDING = 1e-9
"""Share of a capacity or a limit that is left where a store comes to it: sums of a solver are no better."""

NOTHING = 1e-5
"""Share of its power limit below which a store does nothing: a solver's on or off cannot be told from so little."""


def held_course_kw(
    view: PlanningView, store: Storage, soc: float, power_kw: float, steps: int
) -> Floats:
    """The power of a store that is held at `power_kw` for the first steps, as far as it goes; NaN then, shape (T,)."""
    hours, capacity_kwh = view.horizon.step_hours, store.capacity_kwh
    series = store.power_series_id
    share = np.ones(view.horizon.steps) if series is None else view.power_share[series].values
    share = share * ~view.alone(store.resource_id)
    kept, stored_kwh = store.kept(hours), soc * capacity_kwh
    floor_kwh = min(store.min_soc * capacity_kwh, stored_kwh)
    course_kw = np.full(view.horizon.steps, np.nan)
    for step in range(min(steps, view.horizon.steps)):
        into_kw, out_kw = _most_kw(store, stored_kwh)
        stored_kwh, floor_kwh = kept * stored_kwh, min(floor_kwh, kept * stored_kwh)
        room_kwh = max((1 - ROUNDING) * capacity_kwh - stored_kwh, 0.0)
        left_kwh = max(stored_kwh - floor_kwh - ROUNDING * capacity_kwh, 0.0)
        into_kw = min(into_kw * share[step], room_kwh / (store.charge_efficiency * hours))
        out_kw = min(out_kw * share[step], left_kwh * store.discharge_efficiency / hours)
        kw = min(max(power_kw, -into_kw), out_kw)
        most_kw = store.max_charge_kw if kw < 0 else store.max_discharge_kw
        course_kw[step] = kw if abs(kw) > NOTHING * most_kw else 0.0
        stored_kwh += hours * store.charge_efficiency * max(-course_kw[step], 0.0)
        stored_kwh -= hours / store.discharge_efficiency * max(course_kw[step], 0.0)
    return course_kw


def left_kwh(store: Storage, stored_kwh: float, course_kw: Floats, hours: float) -> Floats:
    """What is in a store at the end of each step by its course from `held_course_kw`, and left idle then; shape (T,).

    Less what rounding may take of it.
    """
    kept, found = store.kept(hours), np.empty(len(course_kw))
    for step, kw in enumerate(np.nan_to_num(course_kw)):
        stored_kwh = kept * stored_kwh + hours * store.charge_efficiency * max(-kw, 0.0)
        stored_kwh -= hours / store.discharge_efficiency * max(kw, 0.0)
        found[step] = stored_kwh
    return found - ROUNDING * store.capacity_kwh


def _most_kw(store: Storage, stored_kwh: float) -> tuple[float, float]:
    """What it charges and discharges at most with so much in it."""
    soc, into_kw, out_kw = (
        stored_kwh / store.capacity_kwh,
        store.max_charge_kw,
        store.max_discharge_kw,
    )
    if store.charge_taper_soc < 1:
        into_kw *= min(max((1 - soc) / (1 - store.charge_taper_soc) - ROUNDING, 0.0), 1.0)
    if store.discharge_taper_soc > 0:
        out_kw *= min(max(soc / store.discharge_taper_soc - ROUNDING, 0.0), 1.0)
    return into_kw, out_kw
