"""What strategies let be sold, by whom and at what least price: reserve, regulation, answers to calls.

    product ─▶ its strategy ─▶ who holds it as each interval of the delivery begins ─▶ fewer resources, a share,
                                                                                  a higher least price

A park whose file has no strategy of that kind sells as its markets and members allow. Where several hold, each
for resources of its own, the offer is one: the highest of their least prices, the lowest of their shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from vpp.model.ids import ResourceId
from vpp.model.market import MarketProduct
from vpp.model.money import exact
from vpp.model.offer import PriceUnit
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.service.strategies.strategies import Entry, Strategies

RESERVE, REGULATION, ANSWERS = "reserve", "frequency_regulation", "demand_response_event"
"""Strategies that say what may be sold."""

SETTLED_AS = {
    "capacity_availability": RESERVE,
    "reserve_energy": RESERVE,
    "fcas_enabled": RESERVE,
    "mileage_k": REGULATION,
}
"""By the formula that settles a product."""

LEAST_PRICE = {
    RESERVE: "least_price_per_mw_h",
    REGULATION: "least_mileage_price_per_mw",
    ANSWERS: "least_price_per_mwh",
}

SHARE = "most_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which something may be sold."""

    resources: frozenset[ResourceId]
    """By whom; empty where nothing may."""

    least_price: float
    """In the product's own unit."""

    most_share: float

    names: tuple[str, ...]
    """Of the strategies, as people know them."""


def terms_of(strategies: Strategies, use: str, moment: datetime) -> Terms | None:
    """On which terms strategies of one kind sell at `moment`; None where the file has none of them."""
    entries = [entry for entry in strategies.entries if entry.use == use]
    if not entries:
        return None
    calendar, taken = strategies.ground.calendars.park, dict[ResourceId, Entry]()
    local = moment.astimezone(calendar.zone)
    holiday = local.date() in calendar.rest_days
    for entry in entries:  # highest priority first
        if not entry.hours or any(one.hold(local, holiday=holiday) for one in entry.hours):
            taken = dict.fromkeys(entry.resources, entry) | taken
    owner = strategies.ground.park.resource_by_id
    settings = [e.overrides.get(owner[name].enterprise_id, e.settings) for name, e in taken.items()]
    return Terms(
        resources=frozenset(taken),
        least_price=max((float(getattr(s, LEAST_PRICE[use])) for s in settings), default=0.0),
        most_share=min((float(getattr(s, SHARE)) for s in settings), default=1.0),
        names=tuple(sorted({entry.name for entry in taken.values()})),
    )


def keepers(
    strategies: Strategies,
    product: MarketProduct,
    able: frozenset[ResourceId],
    begins: Iterable[datetime],
) -> frozenset[ResourceId]:
    """Who of those that are able keeps what is sold of a product in intervals that begin then.

    What is sold is owed: where no strategy holds any more at any of those moments, all that are able keep it.
    """
    use = SETTLED_AS.get(product.settled_by)
    if use is None:
        return able
    found = [terms_of(strategies, use, moment) for moment in sorted(set(begins))]
    kept = frozenset[ResourceId]().union(
        *(able if terms is None else able & terms.resources for terms in found)
    )
    return kept or able


def allowed(
    strategies: Strategies,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
) -> tuple[MarketProduct, BiddingUnit, Schedule]:
    """Product, unit and plan as an offer for a delivery may look at them.

    Each interval of the delivery is sold by those that a strategy gives as it begins; the others are left alone
    in it. One offer has one least price and one share: the highest and the lowest of its intervals that are sold.
    """
    use = SETTLED_AS.get(product.settled_by)
    if use is None:
        return product, unit, schedule
    selling: list[tuple[Interval, Terms]] = []
    for interval in product.intervals(delivery):
        terms = terms_of(strategies, use, interval.start)
        if terms is None:
            return product, unit, schedule
        if unit.resource_ids & terms.resources and _payable(product, terms):
            selling.append((interval, terms))
    names = unit.resource_ids & frozenset[ResourceId]().union(*(t.resources for _, t in selling))
    least = max((exact(terms.least_price) for _, terms in selling), default=Decimal(0))
    share = min((terms.most_share for _, terms in selling), default=1.0)
    grid = product.price
    if grid is not None and grid.unit is not PriceUnit.ENERGY and least > grid.least:
        product = replace(product, price=replace(grid, least=least))
    return (
        product,
        replace(
            unit,
            resource_ids=names,
            tested_kw=min(unit.tested_kw, unit.declared_kw * share),
        ),
        _left_alone(schedule, delivery, selling, names),
    )


def _payable(product: MarketProduct, terms: Terms) -> bool:
    """Whether somebody may pay what is asked."""
    grid = product.price
    if grid is None or grid.unit is PriceUnit.ENERGY:
        return True
    return exact(terms.least_price) < grid.most


def _left_alone(
    schedule: Schedule,
    delivery: Interval,
    selling: Sequence[tuple[Interval, Terms]],
    names: frozenset[ResourceId],
) -> Schedule:
    """The plan, with each resource left alone in steps of the delivery in which it does not sell."""
    alone = dict(schedule.left_alone)
    steps = tuple(schedule.horizon.intervals())
    for name in names:
        sells = [span for span, terms in selling if name in terms.resources]
        rests = np.array(
            [s.overlaps(delivery) and not any(s.overlaps(span) for span in sells) for s in steps]
        )
        if rests.any():
            alone[name] = rests | alone.get(name, False)
    return replace(schedule, left_alone=alone)


def owners(strategies: Strategies, terms: Terms) -> Mapping[str, bool]:
    """Enterprises by whether something of theirs is in the scope."""
    found: dict[str, bool] = {}
    for resource in strategies.ground.park.resources:
        within = resource.resource_id in terms.resources
        found[resource.enterprise_id] = found.get(resource.enterprise_id, False) or within
    return found
