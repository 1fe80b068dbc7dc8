"""What strategies let be sold, by whom and at what least price: reserve, regulation, answers to calls.

    product ─▶ its strategy ─▶ who holds it as the delivery begins ─▶ fewer resources, a share, a higher least price

A park whose file has no strategy of that kind sells as its markets and members allow. Where several hold, each
for resources of its own, the offer is one: the highest of their least prices, the lowest of their shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from vpp.model.ids import ResourceId
from vpp.model.market import MarketProduct
from vpp.model.money import exact
from vpp.model.offer import PriceUnit
from vpp.model.park import BiddingUnit
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
    strategies: Strategies, product: MarketProduct, able: frozenset[ResourceId], moment: datetime
) -> frozenset[ResourceId]:
    """Who of those that are able may keep what is sold of a product, as a delivery begins at `moment`."""
    use = SETTLED_AS.get(product.settled_by)
    terms = None if use is None else terms_of(strategies, use, moment)
    return able if terms is None else able & terms.resources


def allowed(
    strategies: Strategies, product: MarketProduct, unit: BiddingUnit, moment: datetime
) -> tuple[MarketProduct, BiddingUnit]:
    """Product and unit as an offer for a delivery that begins at `moment` may look at them."""
    use = SETTLED_AS.get(product.settled_by)
    terms = None if use is None else terms_of(strategies, use, moment)
    if terms is None:
        return product, unit
    names = unit.resource_ids & terms.resources
    grid = product.price
    if grid is not None and grid.unit is not PriceUnit.ENERGY:
        least = max(grid.least, exact(terms.least_price))
        if least >= grid.most:  # nobody may pay so much: nothing is sold
            names = frozenset()
        else:
            product = replace(product, price=replace(grid, least=least))
    return product, replace(
        unit,
        resource_ids=names,
        tested_kw=min(unit.tested_kw, unit.declared_kw * terms.most_share),
    )


def owners(strategies: Strategies, terms: Terms) -> Mapping[str, bool]:
    """Enterprises by whether something of theirs is in the scope."""
    found: dict[str, bool] = {}
    for resource in strategies.ground.park.resources:
        within = resource.resource_id in terms.resources
        found[resource.enterprise_id] = found.get(resource.enterprise_id, False) or within
    return found
