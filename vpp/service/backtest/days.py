"""The local days of a back-test: what each one cost by cause, and what it drew, fed and wore.

A day's bill is that of the span up to its end less that of the span up to its beginning: so a month's
peak counts on the day that raised it, and the days add up to the span. What stands in stores is valued
at the mean import price of the whole span, in every day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from vpp.model.park import Park
from vpp.model.resource import Storage
from vpp.model.time import Interval, local_date, local_day
from vpp.service.backtest.rows import money
from vpp.service.backtest.score import (
    Actual,
    Bill,
    bill,
    cut,
    mean_import_price_per_kwh,
    opening_worth,
)
from vpp.service.backtest.scoring import Scored, platform_paid
from vpp.service.feeds import carbonseries
from vpp.service.plant import Plant
from vpp.simulate.trajectory import Trajectory

SERVICES = "services"
"""The cause that is in no bill of a span: what load-management platforms paid, below 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day, or the part of it that lies in the span."""

    day: date
    causes: Mapping[str, float]
    """Costs positive, in the park's currency; the market by product, as the venue booked it."""

    import_kwh: float
    export_kwh: float
    """Through the main meters, sizes."""

    highest_draw_kw: float
    """Of the whole park, over a quarter-hour; a size."""

    carbon_kgco2: float
    """Of the import."""

    cycles: float
    """Equivalent full cycles of all storages together: a kWh in and a kWh out of each kWh they hold."""

    @property
    def cost(self) -> float:
        return sum(self.causes.values())


def plain_day(day: Day) -> dict[str, Any]:
    """A day as JSON shows it."""
    return {
        "day": day.day.isoformat(),
        "cost": money(day.cost),
        "cost_by_cause": {name: money(cost) for name, cost in day.causes.items()},
        "import_kwh": round(day.import_kwh, 1),
        "export_kwh": round(day.export_kwh, 1),
        "highest_draw_kw": round(day.highest_draw_kw, 1),
        "carbon_kgco2": round(day.carbon_kgco2, 1),
        "cycles": round(day.cycles, 3),
    }


def days_of(plant: Plant, scored: Scored) -> tuple[Day, ...]:
    """The days of a span that has ended.

    Raises:
        DataError: The course does not cover the span.
    """
    park, actual, course = plant.file.park, scored.actual, scored.ours_course
    worth_per_kwh = mean_import_price_per_kwh(park, actual)
    billed = partial(
        bill,
        park,
        market_cost=0.0,
        lacked_per_kwh=plant.file.planning.limit_excess_per_kwh,
        left_per_kwh=worth_per_kwh,
    )
    grid = carbonseries.measured(plant, actual.span, plant.clock.now())
    before = _no_bill(opening_worth(park, actual, course))
    days = []
    for day, part in local_days(park, actual.span):
        so_far = Interval(actual.span.start, part.end)
        bill_so_far = billed(_until(actual, so_far), course.part(so_far))
        causes = _booked(scored, part) | _difference(bill_so_far, before)
        causes[SERVICES] = float(-platform_paid(scored.report, part))
        days.append(_day(park, day, course.part(part), causes, grid))
        before = bill_so_far
    return tuple(days)


def local_days(park: Park, span: Interval) -> Iterator[tuple[date, Interval]]:
    """The local days that a span touches, each with its part of it."""
    start = span.start
    while start < span.end:
        day = local_date(start, park.timezone)
        end = min(local_day(day, park.timezone).end, span.end)
        yield day, Interval(start, end)
        start = end


def _no_bill(opening: float) -> Bill:
    """Before the span nothing was paid, and its stores hold what they hold then."""
    zeros = dict.fromkeys((field.name for field in fields(Bill)), 0.0)
    return Bill(**zeros | {"left_in_stores": -opening})


def _until(actual: Actual, span: Interval) -> Actual:
    shorter = replace(actual, span=span)
    return replace(
        shorter,
        day_ahead_per_mwh=cut(actual.day_ahead_per_mwh, shorter.horizon),
        quarter_hour_per_mwh=cut(actual.quarter_hour_per_mwh, shorter.horizon),
    )


def _booked(scored: Scored, part: Interval) -> dict[str, float]:
    booked: dict[str, Decimal] = {}
    for kind, _, start, _, amount in scored.report["bookings"]:
        if start in part:
            booked[kind] = booked.get(kind, Decimal(0)) - Decimal(amount)
    return {kind: float(cost) for kind, cost in booked.items()}


def _difference(now: Bill, before: Bill) -> dict[str, float]:
    causes = {
        field.name: getattr(now, field.name) - getattr(before, field.name)
        for field in fields(Bill)
        if field.name != "market"
    }
    causes["stores"] = causes.pop("left_in_stores")
    return causes


def _day(
    park: Park,
    day: date,
    course: Trajectory,
    causes: Mapping[str, float],
    grid: Mapping[datetime, float],
) -> Day:
    zeros = np.zeros(course.horizon.steps)
    import_kwh = sum((wh / 1000 for wh in course.import_wh.values()), zeros)
    export_kwh = sum((wh / 1000 for wh in course.export_wh.values()), zeros)
    factors = [grid.get(start, park.grid_kgco2_per_kwh) for start in course.horizon.starts()]
    net_draw_kw = (import_kwh - export_kwh) / course.horizon.step_hours
    stores = [r for r in park.resources if isinstance(r, Storage)]
    capacity_kwh = sum(store.capacity_kwh for store in stores)
    through_kwh = sum(float(course.throughput_kwh[s.resource_id].sum()) for s in stores)
    return Day(
        day=day,
        causes=causes,
        import_kwh=float(import_kwh.sum()),
        export_kwh=float(export_kwh.sum()),
        highest_draw_kw=max(float(net_draw_kw.max()), 0.0),
        carbon_kgco2=float(import_kwh @ np.array(factors)),
        cycles=through_kwh / (2 * capacity_kwh) if capacity_kwh else 0.0,
    )
