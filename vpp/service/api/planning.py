"""The newest plan with its reasons, and the forecasts it was made from."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from vpp.model.horizon import Profile
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Unsolved
from vpp.service.api.numbers import as_exact, listed
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import (
    CostOfCause,
    ForecastsView,
    ForecastView,
    PlanView,
    PriceAhead,
    ResourcePlan,
    ScheduleView,
    TradePlan,
)
from vpp.service.plant import Plant
from vpp.wire import WireModel

Status: TypeAlias = Literal["none", "optimal", "feasible", "unsolved"]


class ForecastsQuery(WireModel):
    series: Annotated[str, Field(max_length=80)] | None = None
    """Only this series."""


async def show_plan(plant: Plant, call: Call[Nothing, Nothing]) -> PlanView:
    status, reason = _status(plant.outcome)
    schedule = None if plant.schedule is None else _schedule(plant, plant.schedule)
    return PlanView(status=status, reason=reason, schedule=schedule)


async def list_forecasts(plant: Plant, call: Call[ForecastsQuery, Nothing]) -> ForecastsView:
    wanted = call.query.series
    found = [f for f in plant.forecasts if wanted in (None, f.series_id)]
    if wanted is not None and not found:
        raise HttpRefusal(
            "no forecast of it was made",
            code="unknown_series",
            where=f"series {wanted}",
            fix="Leave `series` out to see what there is",
        )
    return ForecastsView(
        forecasts=[
            ForecastView(
                series_id=f.series_id,
                unit=f.unit,
                issued_at=f.issued_at,
                model=f.model,
                start=f.expected.horizon.start,
                step_s=f.expected.horizon.step // timedelta(seconds=1),
                values=listed(f.expected.values),
            )
            for f in found
        ]
    )


def _status(outcome: Outcome | None) -> tuple[Status, str]:
    match outcome:
        case None:
            return "none", "no plan was made yet"
        case Optimal():
            return "optimal", ""
        case Feasible(gap=gap):
            return "feasible", f"cut off by the time limit with a gap of {gap:.2g}"
        case Unsolved(reason=reason):
            return "unsolved", reason


def _schedule(plant: Plant, of: Schedule) -> ScheduleView:
    prices = [PriceAhead(name="net_value", per_kwh=listed(of.net_value_per_kwh))]
    spot = _spot(plant, of)
    if spot is not None:
        prices.insert(0, PriceAhead(name="spot", per_kwh=listed(spot.values)))
    return ScheduleView(
        plan_id=of.plan_id,
        issued_at=of.issued_at,
        start=of.horizon.start,
        step_s=of.horizon.step // timedelta(seconds=1),
        steps=of.horizon.steps,
        resources=_resources(of),
        net_kw=listed(of.net_kw),
        committed_kw=listed(of.committed_kw),
        trades=[TradePlan(product=p, power_kw=listed(kw)) for p, kw in of.trade_kw.items()],
        prices=prices,
        cost=as_exact(of.cost),
        cost_by_cause=[
            CostOfCause(cause=cause, cost=as_exact(cost))
            for cause, cost in of.cost_by_cause.items()
        ],
        gap=of.gap,
        binaries=of.binaries,
        build_s=of.build_s,
        solve_s=of.solve_s,
        strategy_version=of.strategy_version,
        input_digest=of.input_digest,
    )


def _resources(of: Schedule) -> list[ResourcePlan]:
    found = []
    for row, name in enumerate(of.resource_ids):
        stored, temperature = of.stored_kwh.get(name), of.temperature_degc.get(name)
        found.append(
            ResourcePlan(
                resource_id=name,
                power_kw=listed(of.power_kw[row]),
                stored_kwh=None if stored is None else listed(stored),
                temperature_degc=None if temperature is None else listed(temperature),
                starts=list(of.starts.get(name, ())),
            )
        )
    return found


def _spot(plant: Plant, of: Schedule) -> Profile | None:
    """The prices that plan was made with; None where a newer view took their place."""
    if plant.view is None or plant.view.horizon != of.horizon:
        return None
    return plant.view.spot_per_kwh


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/plan", "The newest plan, with costs by cause and prices", show_plan, gives=PlanView
    ),
    reading(
        "/v1/forecasts",
        "The forecasts of the newest plan",
        list_forecasts,
        gives=ForecastsView,
        query=ForecastsQuery,
        codes=("unknown_series",),
    ),
)
