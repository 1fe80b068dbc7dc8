"""From a schedule to the document that people and programmes read (`api/planviews.py`), and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.schedule import (
    Feasible,
    HowSolved,
    Optimal,
    Outcome,
    Relaxation,
    Schedule,
    Uncertainty,
    Unsolved,
)
from vpp.plan.changes import Changes, Planned, PowerChange
from vpp.plan.explain import Explanation
from vpp.service.park.numbers import as_exact, finite, listed
from vpp.service.planning import views
from vpp.service.quotas.peaks import PeakState
from vpp.service.quotas.prices import QuotaState
from vpp.wire import Span

SECOND = timedelta(seconds=1)

Status: TypeAlias = Literal["optimal", "feasible", "unsolved"]


def status_of(outcome: Outcome) -> tuple[Status, str]:
    """Its name, and what there is to say of it."""
    match outcome:
        case Optimal():
            return "optimal", ""
        case Feasible(gap=gap):
            return "feasible", f"cut off by the time limit with a gap of {gap:.2g}"
        case Unsolved(reason=reason):
            return "unsolved", reason


def schedule_view(
    of: Schedule, *, currency: str, spot: Profile | None, validate_s: float | None
) -> views.ScheduleView:
    """All that a schedule says. `spot` is the price it was made with, where that is known."""
    prices = [views.PriceAhead(name="net_value", per_kwh=listed(of.net_value_per_kwh))]
    if spot is not None and spot.horizon == of.horizon:
        prices.insert(0, views.PriceAhead(name="spot", per_kwh=listed(spot.values)))
    return views.ScheduleView(
        plan_id=of.plan_id,
        issued_at=of.issued_at,
        start=of.horizon.start,
        step_s=of.horizon.step // SECOND,
        steps=of.horizon.steps,
        currency=currency,
        resources=_resources(of),
        connection_points=[
            views.PointPlan(
                connection_point_id=name,
                power_kw=listed(kw),
                value_per_kwh=_maybe(of.point_value_per_kwh.get(name)),
            )
            for name, kw in of.connection_point_kw.items()
        ],
        nodes=[
            views.NodePlan(
                node_id=name,
                value_per_kwh=listed(value),
                spilled_kw=_maybe(of.spilled_kw.get(name)),
                lacking_kw=_maybe(of.lacking_kw.get(name)),
            )
            for name, value in of.node_value_per_kwh.items()
        ],
        pipes=[
            views.PipePlan(pipe_id=name, power_kw=listed(kw)) for name, kw in of.pipe_kw.items()
        ],
        cars=[
            views.CarPlan(
                session=name, power_kw=_maybe(of.cars_kw.get(name)), unserved_kwh=round(kwh, 4)
            )
            for name, kwh in of.unserved_kwh.items()
        ],
        reserve=_reserve(of),
        undone=[
            views.Undone(window=name, units=round(units, 4))
            for name, units in of.undone_units.items()
        ],
        net_kw=listed(of.net_kw),
        committed_kw=listed(of.committed_kw),
        trades=[views.TradePlan(product=p, power_kw=listed(kw)) for p, kw in of.trade_kw.items()],
        prices=prices,
        broken=broken_views(of.broken),
        limit_prices=[_limit(price.limit, price.per_unit) for price in of.limit_prices],
        shadow_prices=shadow_prices(of),
        cost=as_exact(of.cost),
        cost_by_cause=costs_view(of.cost_by_cause),
        gap=of.gap,
        binaries=of.binaries,
        size=views.SizeView(
            columns=of.size.columns,
            rows=of.size.rows,
            nonzeros=of.size.nonzeros,
            binaries=of.size.binaries,
        ),
        how=_how(of.how),
        build_s=of.build_s,
        solve_s=of.solve_s,
        ties_s=of.ties_s,
        ties_left=of.ties_left,
        uncertainty=None if of.uncertainty is None else _uncertainty(of.uncertainty),
        validate_s=validate_s,
        strategy_version=of.strategy_version,
        input_digest=of.input_digest,
    )


def shadow_prices(of: Schedule) -> views.ShadowPrices:
    """What the values and limit prices of a plan hold for."""
    if of.binaries:
        return "on/off decisions fixed"
    return "from the inside" if of.how.structured else "exact"


def broken_views(of: Iterable[Relaxation]) -> list[views.BrokenView]:
    """Limits that a plan breaks, as little as it can."""
    return [
        views.BrokenView(
            limit=one.limit, most=round(one.most, 4), start=one.span.start, end=one.span.end
        )
        for one in of
    ]


def _resources(of: Schedule) -> list[views.ResourcePlan]:
    found = []
    for row, name in enumerate(of.resource_ids):
        on = of.on.get(name)
        found.append(
            views.ResourcePlan(
                resource_id=name,
                power_kw=listed(of.power_kw[row]),
                ports=[
                    views.PortPlan(node=node, power_kw=listed(kw))
                    for node, kw in of.port_kw.get(name, {}).items()
                ],
                stored_kwh=_maybe(of.stored_kwh.get(name)),
                stored_value_per_kwh=_maybe(of.stored_value_per_kwh.get(name)),
                temperature_degc=_maybe(of.temperature_degc.get(name)),
                curtailed_kw=_maybe(of.curtailed_kw.get(name)),
                on=None if on is None else on.tolist(),
                starts=list(of.starts.get(name, ())),
                start_lengths=list(of.start_lengths.get(name, ())),
            )
        )
    return found


def _reserve(of: Schedule) -> list[views.ReservePlan]:
    return [
        views.ReservePlan(
            name=name,
            kept=[
                views.KeptBy(resource_id=by, power_kw=listed(kw))
                for by, kw in reserve.kept_kw.items()
            ],
            sold_kw=listed(reserve.sold_kw),
            lacking_kw=listed(reserve.lacking_kw),
        )
        for name, reserve in of.reserve.items()
    ]


def _uncertainty(of: Uncertainty) -> views.UncertaintyView:
    return views.UncertaintyView(
        status=of.status,
        futures=of.futures,
        cvar_weight=of.cvar_weight,
        cvar_level=of.cvar_level,
        costs=listed(of.costs),
        expected_cost=finite(of.expected_cost),
        cvar_cost=finite(of.cvar_cost),
        objective=finite(of.objective),
        point_objective=finite(of.point_objective),
        first_stage=list(of.first_stage),
        bids=[views.HedgedBid(product=name, power_kw=listed(kw)) for name, kw in of.bid_kw.items()],
        how=_how(of.how),
        solve_s=of.solve_s,
    )


def _how(of: HowSolved) -> views.HowSolvedView:
    return views.HowSolvedView(
        method=of.method,
        why=of.why,
        gap=of.gap,
        residual=of.residual,
        iterations=of.iterations,
        fallbacks=of.fallbacks,
    )


def _limit(words: str, per_unit: Floats) -> views.LimitPriceView:
    """Where it binds only: most limits do so in few steps."""
    steps = np.flatnonzero(per_unit)
    return views.LimitPriceView(
        limit=words, steps=steps.tolist(), per_unit=np.round(per_unit[steps], 6).tolist()
    )


def costs_view(by_cause: Mapping[str, float]) -> list[views.CostOfCause]:
    return [views.CostOfCause(cause=cause, cost=as_exact(cost)) for cause, cost in by_cause.items()]


def _maybe(values: Floats | None) -> list[float | None] | None:
    return None if values is None else listed(values)


QUOTA_UNITS: dict[str, Literal["kWh", "calls", "h", "kgCO2"]] = {
    "calls": "calls",
    "hours_on": "h",
    "carbon": "kgCO2",
}
"""What is counted otherwise than in kWh."""


def quota_views(states: Iterable[QuotaState]) -> list[views.QuotaView]:
    """How each budget stands."""
    return [
        views.QuotaView(
            quota=state.quota_id,
            counts=str(state.counts),
            resource_id=state.resource_id,
            first_day=state.days.first,
            end_day=state.days.end,
            unit=QUOTA_UNITS.get(state.counts, "kWh"),
            used=round(state.used, 4),
            least=finite(state.least),
            most=finite(state.most),
            price_per_unit=round(state.price_per_unit, 6),
            state=state.status,
            missed_by=state.unreachable_by,
            uncounted_h=state.uncounted_h,
        )
        for state in states
    ]


def peak_views(states: Iterable[PeakState]) -> list[views.ComingPeakView]:
    """What the coming peak of each month costs."""
    return [
        views.ComingPeakView(
            quota=state.quota_id,
            connection_point_id=state.connection_point_id,
            first_day=state.days.first,
            end_day=state.days.end,
            paid_kw=round(state.paid_kw, 4),
            free_kw=round(state.free_kw, 4),
            price_per_kw=round(state.price_per_kw, 6),
        )
        for state in states
    ]


# ---------------------------------------------------------------- changes, reasons


def changes_view(of: Changes, zone: ZoneInfo, currency: str) -> views.ChangesView:
    """What changed, with words on the clock of `zone`."""
    return views.ChangesView(
        since=of.since,
        span=None if of.span is None else Span(start=of.span.start, end=of.span.end),
        powers=[_power_change(change) for change in of.powers],
        net=None if of.net is None else _power_change(of.net),
        starts=[
            views.StartChangeView(
                resource_id=start.resource_id, before=list(start.before), now=list(start.now)
            )
            for start in of.starts
        ],
        cost_by_cause=None if of.cost_by_cause is None else costs_view(of.cost_by_cause),
        sentences=list(of.sentences(zone, currency)),
    )


def _power_change(change: PowerChange) -> views.PowerChangeView:
    return views.PowerChangeView(
        resource_id=change.resource_id,
        moved_kwh=round(change.moved_kwh, 4),
        most_at=change.most_at,
        before_kw=round(change.before_kw, 4),
        now_kw=round(change.now_kw, 4),
    )


def explanation_view(plan_id: str, of: Explanation) -> views.ExplanationView:
    """Why, as numbers and words."""
    return views.ExplanationView(
        plan_id=plan_id,
        resource_id=of.resource_id,
        start=of.start,
        end=of.end,
        power_kw=round(of.power_kw, 4),
        value_per_kwh=of.value_per_kwh,
        stored_value_per_kwh=of.stored_value_per_kwh,
        binding=[views.BindingView(limit=words, saves=price) for words, price in of.binding],
        sentences=list(of.sentences),
    )


# ---------------------------------------------------------------- back


def planned_before(view: views.ScheduleView) -> Planned:
    """What a plan that was written down says, to be compared with."""
    horizon = Horizon(view.start.astimezone(UTC), view.step_s * SECOND, view.steps)
    starts = horizon.starts()
    return Planned(
        plan_id=view.plan_id,
        horizon=horizon,
        power_kw={r.resource_id: _array(r.power_kw) for r in view.resources},
        net_kw=_array(view.net_kw),
        starts={
            r.resource_id: tuple(starts[step] for step in r.starts)
            for r in view.resources
            if r.starts
        },
        cost_by_cause={cost.cause: float(cost.cost) for cost in view.cost_by_cause},
    )


def _array(numbers: Sequence[float | None]) -> Floats:
    return np.array([np.nan if number is None else number for number in numbers], dtype=float)
