"""Rows and columns between the scenarios of bid curves: what they sell, in the order of their prices.

interval, neighbours in price    sold[next] - sold[this] >= 0      = 0 where their prices are the same
interval of several steps        sold[step] - sold[first] = 0
interval, scenario               sold - over + under = middle      over and under cost next to nothing
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, vstack

from vpp.model.horizon import Floats
from vpp.plan.curvecheck import Delivery
from vpp.plan.lp import padded
from vpp.plan.programme import Ints, LinearProgramme
from vpp.plan.stack import Stack


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Where a stack says what is sold and bought, shapes (S, I, width)."""

    sell: Ints
    buy: Ints

    @classmethod
    def of(cls, stack: Stack, delivery: Delivery) -> Columns:
        return cls(
            np.array([place[delivery.sell] for place in stack.places]),
            np.array([place[delivery.buy] for place in stack.places]),
        )


def ordered(programme: LinearProgramme, at: Columns, order: Ints, rises: Floats) -> LinearProgramme:
    """With the rows between scenarios, and those within an interval.

    `order`, shape (S, I), are scenarios from the cheapest on, `rises`, shape (S - 1, I), is above 0 where one
    may sell more than the one before it.
    """
    which = np.arange(at.sell.shape[1])
    more, less, free = [], [], []
    for (low, high), rise in zip(pairwise(order), rises, strict=True):
        more.append((at.sell[high, which, 0], at.buy[high, which, 0]))
        less.append((at.sell[low, which, 0], at.buy[low, which, 0]))
        free.append(rise > 0)
    for step in range(1, at.sell.shape[2]):
        for s in range(len(at.sell)):
            more.append((at.sell[s, :, step], at.buy[s, :, step]))
            less.append((at.sell[s, :, 0], at.buy[s, :, 0]))
            free.append(np.zeros(len(which), dtype=bool))
    if not free:
        return programme
    columns = np.concatenate([np.array(more), np.array(less)[:, ::-1]], axis=1)  # (rows, 4, I)
    signs = np.array([1.0, -1.0, 1.0, -1.0])
    return _with_rows(programme, columns, signs, 0.0, np.where(np.ravel(free), np.inf, 0.0))


def near(
    programme: LinearProgramme, at: Columns, middle_kw: Floats, per_kw: float
) -> LinearProgramme:
    """With a price on leaving the point plan's quantities: of what pays the same, the nearest is sold.

    sold - over + under = middle, for each scenario and interval
    """
    sell, buy = at.sell[:, :, 0], at.buy[:, :, 0]
    count, before = sell.size, len(programme.cost)
    off = before + np.arange(2 * count).reshape(2, *sell.shape)
    wider = replace(
        programme,
        cost=np.append(programme.cost, np.full(2 * count, per_kw)),
        lower=np.append(programme.lower, np.zeros(2 * count)),
        upper=np.append(programme.upper, np.full(2 * count, np.inf)),
        matrix=padded(programme.matrix, 2 * count),
    )
    columns = np.stack([sell, buy, off[0], off[1]], axis=1)  # (S, 4, I)
    middle = np.tile(middle_kw, len(sell))
    return _with_rows(wider, columns, np.array([1.0, -1.0, -1.0, 1.0]), middle, middle)


def _with_rows(
    programme: LinearProgramme,
    columns: Ints,
    signs: Floats,
    lower: float | Floats,
    upper: Floats,
) -> LinearProgramme:
    """With a row for each last and first axis of `columns`, shape (rows, terms, I); `signs` of its terms."""
    count = columns.shape[0] * columns.shape[2]
    rows = np.arange(count).reshape(columns.shape[0], 1, -1)
    rows, values = np.broadcast_arrays(rows, signs[None, :, None], columns)[:2]
    added = csr_array(
        (values.ravel(), (rows.ravel(), columns.ravel())), shape=(count, len(programme.cost))
    )
    return replace(
        programme,
        matrix=csr_array(vstack([programme.matrix, added], format="csr")),
        row_lower=np.append(programme.row_lower, np.broadcast_to(lower, count)),
        row_upper=np.append(programme.row_upper, upper),
    )
