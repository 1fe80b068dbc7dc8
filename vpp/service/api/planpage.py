"""The newest plan as a person reads it: sums in place of every resource's own line, the dearest limits first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import groupby

import numpy as np

from vpp.model.schedule import LimitPrice, Schedule
from vpp.service.api.overview import spot_per_kwh, spread_kw
from vpp.service.api.pageviews import BindingLimit, ForecastName, KindPlan, PlanPageView
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.park.numbers import as_exact, listed
from vpp.service.planning.view import (
    broken_views,
    changes_view,
    costs_view,
    shadow_prices,
    status_of,
)
from vpp.service.planning.views import ChangesView
from vpp.service.plant import Plant

MOST_LIMITS = 60
MANY_LIMITS = 4096
"""So many are summed at once: a fleet has hundreds of thousands, and all of them together are as large as its plan."""

MOST_CHANGES = 12
NOTHING_PER_UNIT = 1e-6
"""Less than this is what a solver leaves of a limit that costs nothing."""


async def show_plan_page(plant: Plant, call: Call[Nothing, Nothing]) -> PlanPageView:
    of = plant.schedule
    status, reason = (
        ("none", "no plan was made yet") if plant.outcome is None else status_of(plant.outcome)
    )
    if of is None:
        return PlanPageView(
            status=status, reason=reason, plan_id=None, issued_at=None, strategy_version="",
            gap=None, solve_s=None, shadow_prices="", start=None, step_s=0, kinds=[], net_kw=[],
            low_kw=[], high_kw=[], spot_per_mwh=[], value_per_mwh=[], stored_kwh=[], cost=None,
            cost_by_cause=[], limits=[], limits_left_out=0, broken=[], broken_left_out=0, uncertainty="", changes=None,
            series=[],
        )  # fmt: skip
    below_kw, above_kw = spread_kw(plant.forecasts, of)
    limits, cheaper = dearest(of, MOST_LIMITS)
    electric = {r.resource_id for r in plant.file.park.electric}
    stored = [kwh for name, kwh in of.stored_kwh.items() if name in electric]
    return PlanPageView(
        status=status,
        reason=reason,
        plan_id=of.plan_id,
        issued_at=of.issued_at,
        strategy_version=of.strategy_version,
        gap=of.gap,
        solve_s=of.solve_s,
        shadow_prices=shadow_prices(of),
        start=of.horizon.start,
        step_s=of.horizon.step // timedelta(seconds=1),
        kinds=_kinds(plant, of),
        net_kw=listed(of.net_kw),
        low_kw=listed(of.net_kw - below_kw),
        high_kw=listed(of.net_kw + above_kw),
        spot_per_mwh=listed(1000 * spot_per_kwh(plant, of)),
        value_per_mwh=listed(1000 * of.net_value_per_kwh),
        stored_kwh=listed(np.sum(stored, axis=0)) if stored else [],
        cost=as_exact(of.cost),
        cost_by_cause=costs_view(of.cost_by_cause),
        limits=limits,
        limits_left_out=cheaper,
        broken=broken_views(of.broken[:MOST_LIMITS]),
        broken_left_out=max(0, len(of.broken) - MOST_LIMITS),
        uncertainty="" if of.uncertainty is None else of.uncertainty.status,
        changes=_changes(plant),
        series=[ForecastName(series_id=f.series_id, unit=f.unit) for f in plant.forecasts],
    )


def _kinds(plant: Plant, of: Schedule) -> list[KindPlan]:
    """Electric power by kind of resource, in the order of its names."""
    row = {name: at for at, name in enumerate(of.resource_ids)}
    known = sorted(
        (type(r).__name__, row[r.resource_id])
        for r in plant.file.park.electric
        if r.resource_id in row
    )
    kinds = []
    for kind, members in groupby(known, key=lambda one: one[0]):
        rows = [at for _, at in members]
        power_kw = of.power_kw[rows].sum(axis=0)
        kinds.append(KindPlan(kind=kind, resources=len(rows), power_kw=listed(power_kw)))
    return kinds


def dearest(of: Schedule, most: int) -> tuple[list[BindingLimit], int]:
    """At most so many limits, those that cost most over the horizon first; and how many more cost something."""
    sums = np.zeros(len(of.limit_prices))
    for first in range(0, len(sums), MANY_LIMITS):
        some = of.limit_prices[first : first + MANY_LIMITS]
        saves = -np.array([price.per_unit for price in some])
        sums[first : first + len(some)] = np.where(saves > NOTHING_PER_UNIT, saves, 0.0).sum(axis=1)
    rows = np.argsort(-sums, kind="stable")[: min(most, np.count_nonzero(sums))]
    shown = [_binding(of, of.limit_prices[row]) for row in rows.tolist()]
    return shown, int(np.count_nonzero(sums)) - len(shown)


def _binding(of: Schedule, price: LimitPrice) -> BindingLimit:
    """A limit that costs something in one step at least."""
    saves = -price.per_unit
    binds = saves > NOTHING_PER_UNIT
    at = int(np.argmax(saves))
    return BindingLimit(
        limit=price.limit,
        steps=int(binds.sum()),
        dearest_at=of.horizon.start + at * of.horizon.step,
        dearest_per_unit=round(float(saves[at]), 6),
        sum_per_unit=round(float(saves[binds].sum()), 6),
    )


def _changes(plant: Plant) -> ChangesView | None:
    if plant.changes is None:
        return None
    first = replace(
        plant.changes,
        powers=plant.changes.powers[:MOST_CHANGES],
        starts=plant.changes.starts[:MOST_CHANGES],
    )
    view = changes_view(first, plant.file.park.timezone, plant.file.park.currency)
    said = view.sentences
    if len(said) > MOST_CHANGES:  # the last two are of the park and its cost
        said = [*said[: MOST_CHANGES - 2], *said[-2:]]
    return view.model_copy(update={"sentences": said})


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/plan/page",
        "The newest plan in sums: power by kind, cost by cause, the dearest limits, what changed",
        show_plan_page,
        gives=PlanPageView,
    ),
)
