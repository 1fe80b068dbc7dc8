"""Parts of buses: stairs of what goes in and out of points and groups, and everything that feeds or draws.

The price of the net position n of a point or of a group (fed is above 0) is convex: what import costs, less
what export earns, and the stairs of its limits. Each stretch between two kinks is a part:

      n < 0   import   here +1, up -1   costs import - slope(n)
      n > 0   export   here -1, up +1   costs -earned + slope(n)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.fitting.reach import Reach
from vpp.plan.fleet.fitting.sides import Sides
from vpp.plan.fleet.fitting.stairs import Stairs
from vpp.plan.fleet.forest import ROOT
from vpp.plan.programme import Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartTable:
    """Parts as they are found, shapes (n,), (n, T)."""

    bus: Ints
    here: Floats
    up: Floats
    least: Floats
    most: Floats
    cost: Floats
    columns: Ints
    """Of the programme; -1 where a part is no single column."""

    imports: Bools
    """Which parts are imports of their bus."""


def joined(tables: list[PartTable]) -> PartTable:
    """All parts in the order of their buses."""
    bus = np.concatenate([one.bus for one in tables])
    order = np.argsort(bus, kind="stable")
    fields = ("here", "up", "least", "most", "cost", "columns", "imports")
    stacked = {
        name: np.concatenate([getattr(one, name) for one in tables])[order] for name in fields
    }
    return PartTable(bus=bus[order], **stacked)


def ways_of(ledger: Ledger, places: Places, buses: Ints, stairs: Stairs, reach: Reach) -> PartTable:
    """In and out of some buses, points or groups."""
    steps, count = reach.load_kw.shape[1], len(places.parent)
    points = ledger.programme.fleet.points
    into_cost, out_cost = np.zeros((2, len(buses), steps))
    real = buses < len(points.imports)
    into_cost[real] = ledger.cost[points.imports[buses[real]]]
    out_cost[real] = ledger.cost[points.exports[buses[real]]]
    at, rise = (
        one.reshape(stairs.most, count, steps)[:, buses] for one in stairs.table(count * steps)
    )
    slope = -stairs.low_rises(count * steps).reshape(count, steps)[buses]
    drawn, fed = reach.drawn_kw[buses], reach.fed_kw[buses]
    up = np.array([places.parent[bus] != ROOT for bus in buses.tolist()], dtype=float)
    found = []
    left = -drawn
    for k in range(len(at) + 1):
        right = np.clip(at[k], -drawn, fed) if k < len(at) else fed
        for sign, width, cost in (
            (1.0, np.minimum(right, 0) - np.minimum(left, 0), into_cost - slope),
            (-1.0, np.maximum(right, 0) - np.maximum(left, 0), out_cost + slope),
        ):
            some = np.flatnonzero((width > 0).any(axis=1))
            shape = (len(some), steps)
            found.append(
                PartTable(
                    bus=buses[some],
                    here=np.broadcast_to(sign, shape),
                    up=np.broadcast_to(-sign * up[some, None], shape),
                    least=np.zeros(shape),
                    most=width[some],
                    cost=cost[some],
                    columns=np.full(shape, NOWHERE),
                    imports=np.full(len(some), sign > 0),
                )
            )
        if k < len(at):
            left, slope = np.maximum(left, right), slope + rise[k]
    return joined(found)


def plain_parts(
    ledger: Ledger, sides: Sides, places: Places, sign: Floats, taken: Bools, guests: Bools
) -> PartTable | Ints:
    """What feeds or draws by itself, or columns that fit no bus.

    `taken` says which have a place already, `guests` which stand in chains (`ChainValues`).
    """
    steps = int(ledger.row_step.max(initial=0)) + 1
    plain, aside = ledger.plain, ledger.aside
    row, column, value = plain.only(~taken[plain.column])
    bus, value = ledger.bus[row].astype(np.int64), sign[ledger.bus[row]] * value
    bound = ledger.among(aside.column[~sides.idle[aside.row] & ~sides.fold[aside.row]])
    bound |= guests
    order = np.argsort(column, kind="stable")
    column, bus, value = column[order], bus[order], value[order]
    parent = np.array(places.parent, dtype=np.int64)
    columns, first, met = np.unique(column, return_index=True, return_counts=True)
    last = first + met - 1
    lower_first = (met == 2) & (parent[bus[first]] == bus[last])
    own, other = np.where(met == 1, first, np.where(lower_first, first, last)), first + last
    other = other - own
    joins = (met == 2) & (parent[bus[own]] == bus[other])
    bad = bound[columns] | ~((met == 1) | joins) | ~np.isfinite(ledger.upper[columns])
    if bad.any():
        strange: Ints = columns[bad]
        return strange
    here, up = value[own], np.where(joins, value[other], 0.0)
    # Columns of a bus that feed the same stand side by side, the first in each step in the first part.
    alike, fed = np.unique(np.where(joins, np.sign(here), here), return_inverse=True)
    kind = (2 * bus[own] + joins) * len(alike) + fed
    step = ledger.step[columns]
    key = kind * steps + step
    order = np.argsort(key, kind="stable")
    first_of = np.diff(key[order], prepend=-1) != 0
    number = np.arange(len(order))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = number - np.maximum.accumulate(np.where(first_of, number, 0))
    names, part = np.unique(kind * (rank.max(initial=0) + 1) + rank, return_inverse=True)
    shape = (len(names), steps)
    table = np.full(shape, NOWHERE, dtype=np.int64)
    table[part, step] = columns
    usual = np.zeros((2, len(names)))
    usual[0, part], usual[1, part] = here, up
    heres, ups = (np.repeat(one[:, None], steps, axis=1) for one in usual)
    heres[part, step], ups[part, step] = here, up
    least, most, cost = np.zeros((3, *shape))
    least[part, step], most[part, step] = ledger.lower[columns], ledger.upper[columns]
    cost[part, step] = ledger.cost[columns] - folded(ledger, sides)[columns]
    buses = np.zeros(len(names), dtype=np.int64)
    buses[part] = bus[own]
    return PartTable(
        bus=buses,
        here=heres,
        up=ups,
        least=least,
        most=most,
        cost=cost,
        columns=table,
        imports=np.zeros(len(names), dtype=bool),
    )


def folded(ledger: Ledger, sides: Sides) -> Floats:
    """What each column saves by leaving less to a slack that always fills the rest, shape (columns,)."""
    saved = np.zeros(len(ledger.cost))
    price = np.zeros(len(ledger.kind))
    price[sides.slacks.row] = sides.slacks.price
    aside = ledger.aside
    row, column, _ = aside.only(sides.fold[aside.row] & ~sides.slack[aside.column])
    saved[column] = price[row]
    return saved
