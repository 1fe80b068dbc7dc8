"""The buses of a compiled park, and which stands above which.

    market          Σ over all points                       every limit of several points is a bus of its
      └ feeder      Σ over its points                       own, below the next that holds all its points
          └ point   what feeds and draws there
              ├ node of a carrier that machines feed from there
              └ car park whose room may be short

Limits whose points cross, and carriers that are fed from two buses, make no forest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, Role, SomeInts
from vpp.plan.fleet.forest import ROOT
from vpp.plan.programme import Ints


@dataclass(slots=True, eq=False)
class Places:
    """Buses: balances of the programme first, then its market, groups of points, car parks."""

    parent: list[int]
    groups: dict[int, Ints] = field(default_factory=dict)
    """Points below each bus that stands for a limit of several, or for the market."""

    limit_bus: SomeInts = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    """The bus whose net position each limit's row prices, shape (rows,)."""

    clashes: list[int] = field(default_factory=list)
    """Rows whose buses make no forest."""


def places_of(ledger: Ledger, limit: Bools, balances: int, market: int) -> Places:
    """Buses and their parents; `limit` says which rows price net positions, shape (rows,).

    `balances` are the balances of the programme, `market` is the bus of its market, or `NOWHERE`.
    """
    found = Places(parent=[ROOT] * (balances + (market != NOWHERE)))
    found.limit_bus = np.full(len(ledger.kind), NOWHERE, dtype=np.int32)
    sets = _sets(ledger, limit, found)
    top = np.arange(balances)
    for points, rows in sorted(sets, key=lambda one: len(one[0])):
        below = np.unique(top[points])
        held = sum(len(found.groups.get(bus, (0,))) for bus in below.tolist())
        if held != len(points):
            found.clashes += rows[:1].tolist()
            continue
        bus = len(found.parent)
        found.parent.append(ROOT)
        for child in below.tolist():
            found.parent[child] = bus
        found.groups[bus] = points
        found.limit_bus[rows] = bus
        top[points] = bus
    if market != NOWHERE:
        exports = ledger.role == Role.EXPORT
        sold = ledger.entries(ledger.programme.fleet.market.rows, exports).column
        points = np.unique(ledger.place[sold]).astype(np.int64)
        found.groups[market] = points
        for child in np.unique(top[points]).tolist():
            found.parent[child] = market
    return found


def _sets(ledger: Ledger, limit: Bools, found: Places) -> Sequence[tuple[Ints, Ints]]:
    """Points and rows of the limits that join several points; those of one price its own bus."""
    row, column, _ = ledger.aside
    at = limit[row] & (ledger.role[column] == Role.EXPORT)
    row, point = row[at], ledger.place[column[at]].astype(np.int64)
    count = np.bincount(row, minlength=len(limit))
    single = count[row] == 1
    found.limit_bus[row[single]] = point[single]
    row, point = row[~single], point[~single]
    # Rows of the same points have the same sum of scattered numbers; which points, the first one says.
    scattered = (point.astype(np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    scattered ^= scattered >> np.uint64(29)
    scattered *= np.uint64(0xBF58476D1CE4E5B9)
    sums = np.zeros(len(limit), dtype=np.uint64)
    np.add.at(sums, row, scattered ^ (scattered >> np.uint64(32)))
    if not len(row):
        return []
    order = np.argsort(row, kind="stable")
    point = point[order]
    rows, begins = np.unique(row[order], return_index=True)
    ends = np.append(begins[1:], len(row))
    _, first, of, many = np.unique(
        sums[rows], return_index=True, return_inverse=True, return_counts=True
    )
    alike = np.split(rows[np.argsort(of, kind="stable")], np.cumsum(many)[:-1])
    return [
        (np.sort(point[begins[one] : ends[one]]), mine)
        for one, mine in zip(first.tolist(), alike, strict=True)
    ]


def hang_nodes(ledger: Ledger, places: Places, points: int) -> None:
    """Put the buses of carriers below what machines and pipes join them to."""
    plain = ledger.plain
    row, column, _ = plain.only(ledger.repeated(plain.column)[plain.column])
    bus = ledger.bus[row]
    order = np.argsort(column, kind="stable")
    column, bus, row = column[order], bus[order], row[order]
    two = np.flatnonzero(column[1:] == column[:-1])
    pairs = np.unique(np.sort(np.stack([bus[two], bus[two + 1]], axis=1), axis=1), axis=0)
    first_row = dict(zip(bus.tolist(), row.tolist(), strict=True))
    beside: dict[int, list[tuple[int, int]]] = {}
    for number, (one, other) in enumerate(pairs.tolist()):
        if one != other:
            beside.setdefault(one, []).append((number, other))
            beside.setdefault(other, []).append((number, one))
    placed, seen = set(range(points)), set[int]()
    # Carriers that only meet each other come last: the first of them is the root.
    for root in [*range(points), *sorted(beside)]:
        placed.add(root)
        reached = [root]
        for upper in reached:
            for number, lower in beside.get(upper, []):
                if number in seen:
                    continue
                seen.add(number)
                if lower in placed:
                    places.clashes.append(first_row[upper])
                    continue
                places.parent[lower] = upper
                placed.add(lower)
                reached.append(lower)
