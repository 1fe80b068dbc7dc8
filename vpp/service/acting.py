"""What an act cycle goes by: which products run, how often and by which rule the park is steered now."""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.model.ids import ProductId
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.controlschema import ProductControlSection, SharingSection
from vpp.service.plant import Plant


def running(plant: Plant, now: datetime) -> frozenset[ProductId]:
    """Products of which something is awarded, or called, at `now`."""
    start = latest_boundary(now, QUARTER)
    lines = plant.book.position().trades(Interval(start, start + QUARTER))
    calls = plant.book.calls.standing()
    return frozenset(line.product_id for line in lines) | {
        call.product_id for call in calls if now in call.interval and call.quantity_mw
    }


def period_at(plant: Plant, now: datetime) -> timedelta:
    """The shortest period that a product which runs now asks for; else the park's."""
    settings = plant.file.control
    asked = [one.period_s for one in _steered(plant, now) if one.period_s is not None]
    return timedelta(seconds=min([settings.period_s, *asked]))


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
