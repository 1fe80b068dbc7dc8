"""What an act cycle goes by: which products run, how often and by which rule the park is steered now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vpp.act.correct import Owed
from vpp.act.units import Bools, Seen, Units
from vpp.model.ids import ProductId
from vpp.model.measurement import ParkState, Reading
from vpp.model.park import Park
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.sense.state import freeze
from vpp.service.calls import limits
from vpp.service.plant import Plant
from vpp.service.steering import owing
from vpp.service.steering.schema import ProductControlSection, SharingSection


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """What one act cycle goes by; frozen when it begins."""

    now: datetime
    interval: Interval
    """The market interval that runs."""

    period: timedelta
    """Until the next cycle, if nothing asks for one before."""

    park: Park
    """Under the orders in force."""

    units: Units
    state: ParkState
    seen: Seen
    said: Seen
    """The same as devices said it, spikes and all: a step that was commanded looks like a spike at first."""

    usable: Bools
    """Who is not left out for a while."""

    owed: Owed | None
    running: frozenset[ProductId]
    """Products of which something is owed now: what comes while the cycle gives way is the next one's."""

    sharing: SharingSection
    """By which rule, and over whom, the residual is shared."""


def picture(plant: Plant, now: datetime) -> Picture:
    """Freeze what this cycle goes by."""
    seen_at = max(now, plant.clock.now())  # later than its tick after a restart or an overrun
    state = plant.state = freeze(plant.file.park, plant.intake.newest, seen_at)
    park = limits.park_at(plant, now)
    units = plant.units if park is plant.file.park else plant.units.under(park)
    start = latest_boundary(now, QUARTER)
    return Picture(
        now=now,
        interval=Interval(start, start + QUARTER),
        period=period_at(plant, now),
        park=park,
        units=units,
        state=state,
        seen=(seen := Seen.of(units, state)),
        said=_as_said(seen, state),
        usable=plant.acting.health.usable(now.timestamp()),
        owed=owing.owed_at(plant, now),
        running=running(plant, now),
        sharing=sharing_at(plant, now),
    )


def _as_said(seen: Seen, state: ParkState) -> Seen:
    """With the raw power of each whose value is not believed yet."""
    raw = {
        at: one.raw_power_kw
        for at, one in enumerate(state.resources)
        if isinstance(one, Reading) and one.raw_power_kw is not None
    }
    if not raw:
        return seen
    power_kw = seen.power_kw.copy()
    power_kw[list(raw)] = list(raw.values())
    return replace(seen, power_kw=power_kw)


def running(plant: Plant, now: datetime) -> frozenset[ProductId]:
    """Products of which something is awarded, or called, at `now`."""
    start = latest_boundary(now, QUARTER)
    quarter = Interval(start, start + QUARTER)
    lines = plant.book.position().trades(quarter)
    calls = plant.book.calls.standing_in(quarter)
    return frozenset(line.product_id for line in lines) | {
        call.product_id for call in calls if now in call.interval and call.quantity_mw
    }


def period_at(plant: Plant, now: datetime) -> timedelta:
    """The shortest period that a product which runs now asks for; else the park's."""
    settings = plant.file.control
    asked = [one.period_s for one in _steered(plant, now) if one.period_s is not None]
    return timedelta(seconds=min([settings.period_s, *asked]))


def next_turn(plant: Plant, after: datetime) -> datetime | None:
    """When the next override ends, or an order or a call begins or ends: steering waits for no tick then."""
    moments = [held.until for held in plant.acting.overrides.values() if held.holds(after)]
    spans = [order.span for order in limits.not_over(plant, after)]
    soon = Interval(after, after + period_at(plant, after))
    spans += [call.interval for call in plant.book.calls.standing_in(soon)]
    moments += [moment for span in spans for moment in (span.start, span.end)]
    return min((moment for moment in moments if moment > after), default=None)


def sharing_at(plant: Plant, now: datetime) -> SharingSection:
    """By which rule, and over whom, the residual is shared now."""
    asked = (one.sharing for one in _steered(plant, now) if one.sharing is not None)
    return next(asked, plant.file.control.sharing)


def _steered(plant: Plant, now: datetime) -> list[ProductControlSection]:
    """What the park file says of the products that run now, in its order."""
    settings = plant.file.control.products
    if not settings:  # most parks: nothing to look up
        return []
    products = running(plant, now)
    return [one for one in settings if one.product in products]
