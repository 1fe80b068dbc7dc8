"""Stores of the forest, made of chains: their powers, their levels cut at kinks, and what levels may miss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import Chains, ChainValues, in_one, stacked
from vpp.plan.fleet.fitting.ledger import Bools, Ledger
from vpp.plan.fleet.fitting.stairs import Stairs
from vpp.plan.fleet.forest import SoftLevels, Stores
from vpp.plan.fleet.sums import slices
from vpp.plan.programme import Ints

Soft = tuple[Ints, Floats, Floats, Floats]
"""Stores, shape (m,), and least, most and cost of a piece of their levels, shapes (m, T)."""


def stores_of(
    ledger: Ledger, chains: Chains, values: ChainValues, stores: Ints, bus: Ints, levels: Stairs
) -> tuple[Stores, SoftLevels]:
    """Stores and their soft levels, a slice after the other."""
    steps = chains.rows.shape[1]
    table = levels.table(chains.rows.size)
    made = [
        _some_stores(ledger, chains, values, stores[some], bus[some], table, some.start)
        for some in [slice(0, 0), *slices(len(stores), steps)]
    ]
    return (
        Stores(**_joined([store for store, _ in made])),
        SoftLevels(**_joined([soft for _, soft in made])),
    )


def _joined(groups: Sequence[Stores] | Sequence[SoftLevels]) -> dict[str, Any]:
    """The arrays of some groups behind each other."""
    names = [each.name for each in fields(groups[0])]
    return {name: stacked([getattr(one, name) for one in groups]) for name in names}


def _some_stores(
    ledger: Ledger,
    chains: Chains,
    values: ChainValues,
    stores: Ints,
    bus: Ints,
    table: tuple[Floats, Floats],
    begin: int,
) -> tuple[Stores, SoftLevels]:
    """Some stores, the first of which is number `begin`; `table` has the stairs of all levels."""
    sign = values.sign[stores, None]
    low, high, cost = _bounds(ledger, chains.level[stores])
    least, most = np.where(sign > 0, low, -high), np.where(sign > 0, high, -low)
    main_least, soft = _pieces(table, chains, stores, least, most, sign * cost)
    into_least, into_most, into_cost = _bounds(ledger, chains.into[stores])
    _, out_most, out_cost = _bounds(ledger, chains.out[stores])
    assert not into_least.any()
    chain = Stores(
        bus=bus,
        keep=values.keep[stores],
        gain=_rows(values.gain, stores),
        loss=values.loss[stores],
        given=values.given[stores],
        into_most=in_one(into_most),
        into_cost=in_one(into_cost),
        out_most=in_one(out_most),
        out_cost=in_one(out_cost),
        level_least=in_one(main_least),
        level_most=in_one(most),
        level_cost=in_one(sign * cost),
    )
    highest, lowest = _free_range(chain)
    above, below = highest - most, least - lowest
    # Turned round, what is too hot is a level too low.
    for columns, way, far in (
        (chains.hot[stores], 1.0, np.where(sign > 0, above, below)),
        (chains.cold[stores], -1.0, np.where(sign > 0, below, above)),
    ):
        soft.append(_missed(ledger, columns, far, rises=way * sign[:, 0] > 0))
    which, least, most, cost = (np.concatenate(columns) for columns in zip(*soft, strict=True))
    order = np.argsort(which, kind="stable")
    return chain, SoftLevels(
        store=begin + which[order], least=least[order], most=most[order], cost=cost[order]
    )


def _bounds(ledger: Ledger, columns: Ints) -> tuple[Floats, Floats, Floats]:
    """Least, most and cost, 0 where nothing moves."""
    free = (columns >= 0) & ledger.free[columns]
    return (
        np.where(free, ledger.lower[columns], 0.0),
        np.where(free, ledger.upper[columns], 0.0),
        np.where(free, ledger.cost[columns], 0.0),
    )


def _pieces(
    table: tuple[Floats, Floats],
    chains: Chains,
    stores: Ints,
    least: Floats,
    most: Floats,
    cost: Floats,
) -> tuple[Floats, list[Soft]]:
    """Levels cut at the kinks within their bounds: where the main piece begins, above the last; and those below."""
    at, rise = (one.reshape(len(one), *chains.rows.shape)[:, stores] for one in table)
    at = np.where(np.isfinite(at), np.clip(at, least, most), -np.inf)
    main_least = np.maximum(least, at.max(axis=0, initial=-np.inf))
    edges = np.maximum.accumulate(np.concatenate([least[None], np.maximum(at, least)]), axis=0)
    dearer = np.flip(np.cumsum(np.flip(rise, axis=0), axis=0), axis=0) if len(rise) else rise
    soft: list[Soft] = []
    for k in range(len(rise)):  # below kink k: all rises from k on are lost for each unit less
        width = edges[k + 1] - edges[k]
        some = np.flatnonzero((width > 0).any(axis=1))
        price = (cost - dearer[k])[some]
        soft.append((some, -width[some], np.zeros(price.shape), price))
    return main_least, soft


def _missed(ledger: Ledger, columns: Ints, far: Floats, *, rises: Bools) -> Soft:
    """What a level may be too hot, or too cold, by as much as it can be; gives these columns a bound.

    `columns`, shape (n, T), are -1 where there are none; a level could be `far` beyond its bound, shape (n, T);
    `rises`: whether the column raises it, shape (n,).
    """
    free = (columns >= 0) & ledger.free[columns]
    some = np.flatnonzero(free.any(axis=1))
    size = np.where(free, np.maximum(far, 0.0) + 1.0, 0.0)
    ledger.upper[columns[free]] = size[free]
    size, up = size[some], rises[some, None]
    price = np.where(free, ledger.cost[columns], 0.0)[some]
    return (
        some,
        np.where(up, 0.0, -size),
        np.where(up, size, 0.0),
        np.where(up, price, -price),
    )


def _rows(values: Floats, which: Ints) -> Floats:
    """Some rows; what is alike in all steps stays a view of one column."""
    if values.shape[1] and values.strides[1] == 0:
        return np.broadcast_to(values[which, :1], (len(which), values.shape[1]))
    return values[which]


def _free_range(chain: Stores) -> tuple[Floats, Floats]:
    """The highest and lowest that each level could be without its bounds, shapes (n, T)."""
    rising = chain.given + chain.gain * chain.into_most
    falling = chain.given - chain.loss[:, None] * chain.out_most
    high, low = np.empty_like(rising), np.empty_like(falling)
    top, bottom = np.zeros((2, len(chain.keep)))
    for t in range(rising.shape[1]):
        top, bottom = chain.keep * top + rising[:, t], chain.keep * bottom + falling[:, t]
        high[:, t], low[:, t] = top, bottom
    return high, low
