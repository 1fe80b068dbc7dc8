"""Reserve that is sold: how much of it may be called in each step, by product and direction.

A MW of capacity is what the energy product of its group draws on: who won capacity must offer energy, and the
same MW serves both. So energy that is awarded within capacity of its direction holds nothing more, and capacity
does not stand in the way of offering the energy that it is for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ProductId
from vpp.model.market import Direction, MarketProduct
from vpp.trade.position import Position

CAPACITY, ENERGY = "reserve_capacity", "reserve_energy"


def held_kw(
    position: Position,
    products: Mapping[ProductId, MarketProduct],
    grid: Horizon,
    *,
    offering: MarketProduct | None = None,
) -> dict[tuple[ProductId, bool], Floats]:
    """KW that may still be called of each product, upwards (True) and downwards, shape (T,); what is 0 is left out.

    `offering`: what is about to be offered; capacity that it draws on does not stand in its way.
    """
    sold: dict[tuple[ProductId, bool], Floats] = {}
    for name, one in products.items():
        if one.trades_energy:
            continue
        sold_kw = position.committed_kw(grid, {name}) - position.activated_kw(grid, {name})
        up = one.direction in (Direction.UP, Direction.SYMMETRIC)
        down = one.direction in (Direction.DOWN, Direction.SYMMETRIC)
        if one.direction in (Direction.BOTH_SEPARATE, Direction.NET):
            sold[name, True], sold[name, False] = sold_kw.clip(0), (-sold_kw).clip(0)
        if up:
            sold[name, True] = sold_kw
        if down:
            sold[name, False] = sold_kw
    held = {}
    for (name, up), kw in sold.items():
        one = products[name]
        if one.kind == ENERGY:
            below = [
                other_kw
                for (other, way), other_kw in sold.items()
                if way == up and serves(products[other], one)
            ]
            kw = np.maximum(kw - np.sum([0 * kw, *below], axis=0), 0.0)
        if offering is not None and offering.kind == ENERGY and serves(one, offering):
            continue
        if kw.any():
            held[name, up] = kw
    return held


def serves(capacity: MarketProduct, energy: MarketProduct) -> bool:
    """Whether capacity is held for this energy product."""
    return (
        capacity.kind == CAPACITY
        and capacity.exclusivity_group == energy.exclusivity_group
        and capacity.direction == energy.direction
    )
