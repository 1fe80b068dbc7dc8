"""Energy that stores must keep, for reserve that is sold or because a strategy wants it: nothing else spends it.

The plan has put it there (`vpp/plan/reserve.py`). Between two plans it is the guard that sees to it, whatever
makes up for the quarter-hour. While a product is called its energy is there to be used, and a person who takes a
store in hand and names its power outranks what was sold of it, as everywhere (`vpp/act/arbitration.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.schedule import Reserve
from vpp.model.time import Interval
from vpp.plan.terms import ReserveHeadroom
from vpp.service.plant import Plant

MOMENT = timedelta(seconds=1)


def reserved_kwh(plant: Plant, now: datetime) -> Floats | None:
    """What must stay in each store above its least charge, shape (N,); None where the plan keeps nothing."""
    schedule, made_from = plant.schedule, plant.made_from
    if schedule is None or made_from is None or now not in schedule.horizon.span:
        return None
    step = schedule.horizon.index(now)
    calls = plant.book.calls.standing_in(Interval(now, now + MOMENT))
    called = {call.product_id for call in calls if call.quantity_mw or call.signal}
    reserved = np.zeros(len(plant.units))
    for term in made_from[1]:
        if isinstance(term, ReserveHeadroom) and term.up and term.product_id not in called:
            kept = schedule.reserve.get(term.key)
            if kept is not None:
                reserved += _stored_kwh(plant, term, kept, step)
    for name, kept_kwh in schedule.kept_kwh.items():
        at = plant.units.index[name]
        least_kwh = plant.units.min_soc[at] * plant.units.capacity_kwh[at]
        reserved[at] = np.fmax(reserved[at], kept_kwh[step] - least_kwh)
    for name, held in plant.acting.overrides.items():
        if held.holds(now) and held.low_kw == held.high_kw:
            reserved[plant.units.index[name]] = 0.0
    return reserved if reserved.any() else None


def _stored_kwh(plant: Plant, term: ReserveHeadroom, kept: Reserve, step: int) -> Floats:
    """What a call of what is owed would take out of each store, or keep from it."""
    units, stored = plant.units, np.zeros(len(plant.units))
    total_kw = sum(float(kw[step]) for kw in kept.kept_kw.values())
    owed = min(float(term.firm_kw[step]) / total_kw, 1.0) if total_kw > 0 else 0.0
    for name, kw in kept.kept_kw.items():
        at = units.index[name]
        relief_kw = float(kept.relief_kw[name][step]) if name in kept.relief_kw else 0.0
        extra_kw = float(kw[step]) - relief_kw
        stored[at] = (
            owed
            * term.activation_hours
            * (units.charge_efficiency[at] * relief_kw + extra_kw / units.discharge_efficiency[at])
        )
    return np.nan_to_num(stored)  # NaN: no store
