"""What the page shows first: how the park stands, what today brought, and what waits for somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from vpp.account.carbon import import_carbon
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Floats
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, latest_boundary, local_date, local_day
from vpp.service import inputs
from vpp.service.api import todo
from vpp.service.api.pageviews import (
    AheadView,
    EnterpriseName,
    OverviewView,
    PositionLine,
    StatusView,
    TodayView,
)
from vpp.service.api.park import METER_MAX_AGE, trace_view
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.feeds import carbonseries
from vpp.service.links.watch import broker
from vpp.service.park.numbers import finite, listed
from vpp.service.plant import Plant, TracePoint

SHOWN = timedelta(days=1)
"""Back and ahead."""

MOMENTS = 300
"""Of the past day: as many as a chart has room for."""

LOW, HIGH = LEVELS.index(0.1), LEVELS.index(0.9)


async def show_status(plant: Plant, call: Call[Nothing, Nothing]) -> StatusView:
    park = plant.file.park
    broker_connected, broker_since = broker(plant)
    return StatusView(
        park_id=park.park_id,
        name=park.name,
        timezone=park.timezone.key,
        currency=park.currency,
        now=call.now,
        safe_state=plant.safe_state.value,
        safe_state_reason=plant.safe_state_reason,
        kill_reason=plant.kill.reason,
        broker_connected=broker_connected,
        broker_since=broker_since,
        enterprises=[
            EnterpriseName(enterprise_id=e.enterprise_id, name=e.name) for e in park.enterprises
        ],
    )


async def show_overview(plant: Plant, call: Call[Nothing, Nothing]) -> OverviewView:
    now, schedule = call.now, plant.schedule
    power_kw, power_at, silent = _power(plant, now)
    last = plant.trace[-1] if plant.trace else None
    planned_kw = None
    if schedule is not None and now in schedule.horizon.span:
        planned_kw = finite(float(schedule.net_kw[schedule.horizon.index(now)]))
    return OverviewView(
        now=now,
        power_kw=power_kw,
        power_at=power_at,
        silent_meters=silent,
        planned_kw=planned_kw,
        owed_kw=None if last is None else finite(last.owed_kw),
        plan_id=None if schedule is None else schedule.plan_id,
        plan_issued_at=None if schedule is None else schedule.issued_at,
        spot_per_mwh=finite(inputs.spot_now(plant, now)),
        price_series=inputs.reference_product(plant).price_series_id,
        stored_kwh=None if last is None else finite(last.stored_kwh),
        capacity_kwh=sum(
            r.capacity_kwh for r in plant.file.park.electric if isinstance(r, Storage)
        ),
        position=_position(plant, now),
        today=_today(plant, now),
        trace=trace_view(thinned([p for p in plant.trace if p.at > now - SHOWN], MOMENTS)),
        ahead=None if schedule is None else _ahead(plant, schedule, now),
        todo=todo.todo(plant, now),
    )


def _power(plant: Plant, now: datetime) -> tuple[float | None, datetime | None, list[str]]:
    """All main meters together, as old as the oldest; which are not heard where some are not."""
    total_kw, oldest, silent = 0.0, now, list[str]()
    for point in plant.file.park.connection_points:
        heard = plant.intake.newest_meter.get(point.meter_id)
        if heard is None or now - heard.measured_at > METER_MAX_AGE or heard.doubt is not None:
            silent.append(point.meter_id)
            continue
        total_kw += heard.power_kw
        oldest = min(oldest, heard.measured_at)
    return (None, None, silent) if silent else (finite(total_kw), oldest, [])


def _position(plant: Plant, now: datetime) -> list[PositionLine]:
    """What is sold of each product for the interval that runs."""
    start = latest_boundary(now, QUARTER)
    lines = plant.book.position().trades(Interval(start, start + QUARTER))
    return [PositionLine(product=line.product_id, sold_mw=line.sold_mw) for line in lines]


def _today(plant: Plant, now: datetime) -> TodayView:
    zone = plant.file.park.timezone
    day = local_date(now, zone)
    span = local_day(day, zone)
    settled = sorted(
        (one for interval, one in plant.accounted.items() if span.covers(interval)),
        key=lambda one: one.interval.start,
    )
    grid = carbonseries.measured(plant, span, now) if settled else {}
    by_enterprise = import_carbon(
        (
            ({e: m.import_wh for e, m in one.metered.items()}, grid.get(one.interval.start))
            for one in settled
        ),
        figure_kgco2_per_kwh=plant.file.park.grid_kgco2_per_kwh,
    )
    metered = [m for one in settled for m in one.metered.values()]
    drawn_wh = sum(m.import_wh for m in metered)
    by_figure_wh = sum(c.by_figure_wh for c in by_enterprise.values())
    return TodayView(
        day=day,
        settled_until=settled[-1].interval.end if settled else None,
        money=sum((plant.interval_money.get(o.interval, Decimal(0)) for o in settled), Decimal(0)),
        import_kwh=drawn_wh / 1000,
        export_kwh=sum(m.export_wh for m in metered) / 1000,
        carbon_kgco2=sum(c.kgco2 for c in by_enterprise.values()),
        carbon_by_figure_share=by_figure_wh / drawn_wh if drawn_wh else None,
        provisional=any(m.provisional for m in metered)
        or any(line.provisional for one in settled for line in one.lines),
    )


def thinned(points: list[TracePoint], most: int) -> list[TracePoint]:
    """At most `most` of them, evenly by place, the newest among them."""
    if len(points) <= most:
        return points
    places = np.unique(np.linspace(0, len(points) - 1, most).round().astype(int))
    return [points[at] for at in places.tolist()]


def _ahead(plant: Plant, schedule: Schedule, now: datetime) -> AheadView | None:
    """The part of the plan that is still to come; None where it ended."""
    horizon = schedule.horizon
    if now not in horizon.span:
        return None
    first = horizon.index(now)
    steps = slice(first, min(horizon.steps, first + SHOWN // horizon.step))
    below_kw, above_kw = spread_kw(plant.forecasts, schedule)
    electric = {r.resource_id for r in plant.file.park.electric}
    stored = [kwh for name, kwh in schedule.stored_kwh.items() if name in electric]
    unknown = np.full(horizon.steps, np.nan)
    spot = spot_per_kwh(plant, schedule)
    return AheadView(
        start=horizon.start + first * horizon.step,
        step_s=horizon.step // timedelta(seconds=1),
        net_kw=listed(schedule.net_kw[steps]),
        low_kw=listed((schedule.net_kw - below_kw)[steps]),
        high_kw=listed((schedule.net_kw + above_kw)[steps]),
        sold_kw=listed(schedule.committed_kw[steps]),
        spot_per_mwh=listed(1000 * spot[steps]),
        stored_kwh=listed((np.sum(stored, axis=0) if stored else unknown)[steps]),
    )


def spot_per_kwh(plant: Plant, schedule: Schedule) -> Floats:
    """The price that the plan was made with, a number a step; NaN where the view of it is gone."""
    if plant.made_from is None or plant.made_from[0].horizon != schedule.horizon:
        return np.full(schedule.horizon.steps, np.nan)
    return plant.made_from[0].spot_per_kwh.values


def spread_kw(forecasts: tuple[Forecast, ...], schedule: Schedule) -> tuple[Floats, Floats]:
    """How far below and above its expectation all forecast power may lie, kW, each a step of the plan.

    Each series' distance from its mean to its 10 % and 90 % quantile, added as errors do that are
    independent of each other: squares add up. Errors that go together (one cloud over all roofs) spread
    wider than this. NaN where no forecast of power stands on the plan's steps.
    """
    horizon = schedule.horizon
    below, above = np.zeros(horizon.steps), np.zeros(horizon.steps)
    found = False
    for one in forecasts:
        if one.unit != "kW" or one.quantiles is None or one.expected.horizon != horizon:
            continue
        found = True
        mean = one.expected.values
        below += np.maximum(mean - one.quantiles[LOW], 0.0) ** 2
        above += np.maximum(one.quantiles[HIGH] - mean, 0.0) ** 2
    if not found:
        return np.full(horizon.steps, np.nan), np.full(horizon.steps, np.nan)
    return np.sqrt(below), np.sqrt(above)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/status",
        "Whose park, what time there, and on which rung of the ladder",
        show_status,
        gives=StatusView,
    ),
    reading(
        "/v1/overview",
        "The park at a glance: power, plan with its spread, price, today's money and carbon, what waits",
        show_overview,
        gives=OverviewView,
    ),
)
