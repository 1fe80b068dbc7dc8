"""The picture of the newest plan, as far as the end of tomorrow: what a preview plans under two versions.

A plan looks a day ahead, and farther while a gate is open; tomorrow's evening is out of its sight in the afternoon.
Where forecasts of the plan end, the seasonal baseline goes on. Nothing that the plant goes by is changed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import local_date, local_day
from vpp.service.calls import activations, reserves
from vpp.service.demandresponse import plan as drplan
from vpp.service.feeds import carbonseries
from vpp.service.forecasting.standin import by_baseline
from vpp.service.inputs import build_view, series_needed
from vpp.service.plant import Plant
from vpp.service.quotas.prices import terms_of
from vpp.service.tuning.nofollow import Basis


def to_the_end_of_tomorrow(plant: Plant, basis: Basis, now: datetime) -> Basis:
    """The basis on a horizon that ends with tomorrow's local day; the same where it reaches there already.

    Raises:
        DataError, PlanError: A series does not reach that far.
    """
    near, zone = basis.problem.view.horizon, plant.file.park.timezone
    end = local_day(local_date(now, zone) + timedelta(days=1), zone).end
    if near.end >= end:
        return basis
    horizon = Horizon(near.start, near.step, (end - near.start) // near.step)
    forecasts = _forecasts(plant, horizon, basis.problem.view.now)
    kept = plant.state, plant.quotas.peaks
    try:
        view = build_view(plant, basis.problem.view.now, horizon, forecasts)
    finally:
        plant.state, plant.quotas.peaks = kept
    priced = [state for states in plant.quotas.states.values() for state in states]
    asked = (
        *(terms_of(priced, view) if priced else ()),
        *activations.terms(plant, horizon),
        *drplan.terms(plant, horizon, now),
        *reserves.terms(plant, horizon),
    )
    problem = replace(
        basis.problem,
        view=view,
        terms=asked,
        futures=(),
        curves=(),
        announced_kw=plant.schedule.announced_kw(horizon) if plant.schedule else {},
    )
    return Basis(problem=problem, asked=asked)


def _forecasts(plant: Plant, horizon: Horizon, now: datetime) -> dict[str, Forecast]:
    """Those of the newest plan, continued by the seasonal baseline.

    Raises:
        DataError, PlanError: A series has no course over the horizon.
    """
    names = [*series_needed(plant), *carbonseries.usable(plant, horizon, now)]
    found, lacking = by_baseline(plant, names, horizon, now)
    for error in lacking.values():
        raise error
    near = {one.series_id: one.expected for one in plant.forecasts}
    return {name: _continued(one, near.get(name)) for name, one in found.items()}


def _continued(far: Forecast, near: Profile | None) -> Forecast:
    """The near course where there is one, the far one after it; without a spread, which no plan reads here."""
    if near is None or near.horizon.start != far.expected.horizon.start:
        return far
    steps = min(near.horizon.steps, far.expected.horizon.steps)
    values = np.concatenate([near.values[:steps], far.expected.values[steps:]])
    return replace(far, expected=Profile(far.expected.horizon, values), quantiles=None)
