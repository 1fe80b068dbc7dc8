"""The plant's net position: the bid book beside plans and meters."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite

from vpp.model.horizon import Floats
from vpp.model.ids import UnitId
from vpp.model.money import exact
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval
from vpp.service import accounting
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading.positiondesk import PlanCourse
from vpp.trade.netposition import NetLine, net_position
from vpp.trade.rest import rows_of

PLANNED_KEPT = timedelta(days=62)
"""As long as meters are."""

WATT = 6
"""Decimals of a MW that a plan is told with."""


def note_plan(plant: Plant, schedule: Schedule) -> None:
    """Remember what a plan that is adopted means to feed: the past is read from it, and what changes next."""
    desk, horizon, unit_kw = plant.positions, schedule.horizon, _unit_kw(plant, schedule)
    desk.plans.append(
        PlanCourse(
            plan_id=schedule.plan_id,
            issued_at=schedule.issued_at,
            horizon=horizon,
            net_kw=unit_kw,
            value_per_kwh=schedule.net_value_per_kwh,
        )
    )
    oldest = horizon.start - PLANNED_KEPT
    for known, kw in ((desk.planned_kw, schedule.net_kw), (desk.unit_planned_kw, unit_kw)):
        known.update(zip(horizon.starts(), kw.tolist(), strict=True))
        for start in [start for start in known if start < oldest]:
            del known[start]


def _unit_kw(plant: Plant, schedule: Schedule) -> Floats:
    """What the park's unit feeds by a plan: what offers are made of, where it holds not all of the park."""
    park = plant.file.park
    if not park.bidding_units:
        return schedule.net_kw
    mine: Floats = schedule.power_kw[rows_of(trading_unit(plant), park, schedule)].sum(axis=0)
    return mine


def net_lines(plant: Plant, span: Interval, unit_id: UnitId | None = None) -> tuple[NetLine, ...]:
    """The net position of a unit (None: of the park) by quarter-hour of `span`."""
    return net_position(
        span.split(QUARTER),
        plant.book.position(unit_id),
        plant.book.outside,
        plant.products,
        unit_id=unit_id,
        planned_mw=lambda interval: planned_mw(plant, interval.start, unit_id),
        metered_mw=lambda interval: _metered_mw(plant, interval),
    )


def planned_mw(plant: Plant, start: datetime, unit_id: UnitId | None = None) -> Decimal | None:
    """What the newest plan has a unit (None: the park) feed in a quarter-hour; None where none reached it.

    Plans are made for the park's one trading unit: of another there is none.
    """
    desk = plant.positions
    if unit_id is None:
        kw = desk.planned_kw.get(start)
    elif unit_id == trading_unit(plant).unit_id:
        kw = desk.unit_planned_kw.get(start)
    else:
        kw = None
    return None if kw is None or not isfinite(kw) else round(exact(kw) / 1000, WATT)


def _metered_mw(plant: Plant, interval: Interval) -> Decimal | None:
    if interval.end > plant.clock.now():
        return None
    metered = accounting.metered_by_enterprise(plant, interval)
    if metered is None:
        return None
    return (
        Decimal(sum(energy.net_wh for energy in metered.values()))
        / 1_000_000
        / exact(interval.hours)
    )


def plain_mw(number: Decimal) -> Decimal:
    """To the watt, without trailing zeros: as people and files are told it."""
    shown = round(number, WATT).normalize()
    return Decimal(format(shown, "f")) if shown else Decimal(0)
