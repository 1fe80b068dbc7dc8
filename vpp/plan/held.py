"""How far a store goes along with a power that somebody holds it at.

    held[t] = least and most: charge and discharge limits of the store, as they taper with what is stored,
                              and what fills it, or leaves its floor, within the step
    stored[t] = kept·stored[t-1] + h·ηc·charge - h/ηd·discharge

The same physics as `kinds/storage.py`, forwards: nothing is decided.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Storage
from vpp.plan.view import PlanningView

ROUNDING = 1e-9
"""Share of a capacity or a limit that is left where a store comes to it: sums of a solver are no better."""


def held_course_kw(
    view: PlanningView, store: Storage, soc: float, power_kw: float, steps: int
) -> Floats:
    """The power of a store that is held at `power_kw` for the first steps, as far as it goes; NaN then, shape (T,)."""
    hours, capacity_kwh = view.horizon.step_hours, store.capacity_kwh
    series = store.power_series_id
    share = np.ones(view.horizon.steps) if series is None else view.power_share[series].values
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
        course_kw[step] = min(max(power_kw, -into_kw), out_kw)
        stored_kwh += hours * store.charge_efficiency * max(-course_kw[step], 0.0)
        stored_kwh -= hours / store.discharge_efficiency * max(course_kw[step], 0.0)
    return course_kw


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
