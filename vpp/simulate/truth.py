"""What a simulated world knows of itself and tells afterwards: prices, the venue's books, meters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from vpp.model.ids import ConnectionPointId
from vpp.model.park import Park
from vpp.model.time import Interval
from vpp.simulate.ledger import Ledger
from vpp.simulate.prices import Prices


def metering_points(park: Park) -> Mapping[str, list[ConnectionPointId]]:
    """The connection points whose main meters count for each bidding unit."""
    return {
        unit.unit_id: [
            point.connection_point_id
            for point in park.connection_points
            if any(
                resource.connection_point_id == point.connection_point_id
                for resource in park.resources
                if resource.resource_id in unit.resource_ids
            )
        ]
        for unit in park.bidding_units
    }


def true_prices(prices: Prices, span: Interval) -> dict[str, list[list[Any]]]:
    """Start and price of each quarter-hour of `span`, as text, by kind of price; plain data."""
    starts = [part.start for part in span.split(timedelta(minutes=15))]
    asked = {
        "day_ahead": prices.day_ahead,
        "quarter_hour": prices.quarter_hour,
        "short": prices.short,
        "long": prices.long,
    }
    return {
        name: [[start, _text(price(start))] for start in starts] for name, price in asked.items()
    }


def books_of(ledger: Ledger) -> dict[str, Any]:
    """What the venue counted and booked, as plain data."""
    return {
        "ledger": dict(ledger.counts),
        "totals": {kind: str(amount) for kind, amount in ledger.totals().items()},
        "energies_mwh": {kind: str(mwh) for kind, mwh in ledger.energies().items()},
        "bookings": [
            [b.kind, b.unit, b.slot[0], str(b.energy_mwh), str(b.amount)] for b in ledger.bookings
        ],
    }


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)
