"""What the plant has to trade again: the delta curve between two of its plans, and until when it can be traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite

import numpy as np

from vpp.errors import DataError
from vpp.model.money import exact
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading.positiondesk import PlanCourse
from vpp.service.trading.positions import WATT
from vpp.trade.delta import DeltaLine, DeltaPoint, delta_curve

CENT = 2
"""Decimals of a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrade:
    """A delta curve, and which plans it stands between."""

    since: str | None
    """The older plan; None where there is none yet."""
    plan_id: str
    issued_at: datetime
    dead_band_mw: Decimal
    lines: tuple[DeltaLine, ...]
    tradable_until: tuple[datetime | None, ...]
    """For each line the last gate of an energy product that is still open; None: it is too late."""


def retrade(
    plant: Plant, span: Interval | None, since: str | None, now: datetime
) -> Retrade | None:
    """What is to be traded of `span` (None: of all that the newest plan still reaches); None without a plan.

    `since` names the older plan; left out, it is the one before the newest.

    Raises:
        DataError: No such plan is kept, or the span lies outside of the newest one.
    """
    plans = plant.positions.plans
    if not plans:
        return None
    newest = plans[-1]
    older = _older(plant, newest, since)
    ahead = Interval(max(newest.horizon.start, latest_boundary(now, QUARTER)), newest.horizon.end)
    span = ahead if span is None else span
    if not newest.horizon.span.covers(span):
        raise DataError(
            f"{newest.plan_id} reaches from {newest.horizon.start} to {newest.horizon.end}",
            where="delta curve",
            fix="Ask for a span within it, or for none",
        )
    dead_band_mw = plant.file.trading.retrade_dead_band_mw
    intervals = list(span.split(QUARTER))
    points = [_point(plant, interval, older, newest) for interval in intervals]
    return Retrade(
        since=None if older is None else older.plan_id,
        plan_id=newest.plan_id,
        issued_at=newest.issued_at,
        dead_band_mw=dead_band_mw,
        lines=delta_curve(points, dead_band_mw),
        tradable_until=tuple(_tradable_until(plant, interval, now) for interval in intervals),
    )


def _older(plant: Plant, newest: PlanCourse, since: str | None) -> PlanCourse | None:
    plans = plant.positions.plans
    if since is None:
        return plans[-2] if len(plans) > 1 else None
    for plan in plans:
        if plan.plan_id == since and plan is not newest:
            return plan
    raise DataError(
        f"it is not among the {len(plans) - 1} plans before {newest.plan_id} that are kept",
        where=f"plan {since}",
        fix=f"Use one from {plans[0].plan_id} on, or leave it out",
    )


def _point(
    plant: Plant, interval: Interval, older: PlanCourse | None, newest: PlanCourse
) -> DeltaPoint:
    unit = trading_unit(plant)
    position = plant.book.position(unit.unit_id)
    sold_mw = sum(
        (t.sold_mw for t in position.trades(interval) if t.product_id in plant.energy_products),
        Decimal(0),
    )
    place = newest.horizon.index(interval.start)
    value = float(newest.value_per_kwh[place]) if len(newest.value_per_kwh) else np.nan
    return DeltaPoint(
        interval=interval,
        before_mw=None if older is None else _mw_at(older, interval.start),
        planned_mw=round(exact(float(newest.net_kw[place])) / 1000, WATT),
        owed_mw=sold_mw + position.activated_mw(interval),
        value_per_mwh=round(exact(value * 1000), CENT) if isfinite(value) else None,
    )


def _mw_at(plan: PlanCourse, start: datetime) -> Decimal | None:
    if start not in plan.horizon.span:
        return None
    return round(exact(float(plan.net_kw[plan.horizon.index(start)])) / 1000, WATT)


def _tradable_until(plant: Plant, interval: Interval, now: datetime) -> datetime | None:
    """The last gate of the unit's energy products at which `interval` can still be bid."""
    gates = [
        product.gate_closes_at(product.delivery_at(interval.start))
        for name in trading_unit(plant).product_ids
        if (product := plant.products.get(name)) is not None and product.trades_energy
    ]
    return max((gate for gate in gates if gate > now), default=None)
