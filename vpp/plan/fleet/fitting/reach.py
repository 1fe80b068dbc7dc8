"""The most that can flow through what the park file leaves without a bound: a forest has none such.

Where import and export, spill and lack, short and long stand in one balance, both at once cost something or
nothing; so of the best plans there is one in which none is more than what everything else there could ask
for. A little is left on top: an interior point wants room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import NOWHERE, Ledger, RowKind
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.forest import ROOT
from vpp.plan.programme import Ints

ROOM = 1.01, 1.0
"""What a bound is multiplied by, and kW on top."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """Sizes by bus, shape (B, T), kW."""

    drawn_kw: Floats
    fed_kw: Floats
    load_kw: Floats
    """The right side of each bus in the forest."""


def signs_of(places: Places, balances: int) -> Floats:
    """What a balance of the programme is multiplied by in the forest, shape (B,): balances turn round."""
    sign = np.ones(len(places.parent))
    sign[:balances] = -1.0
    return sign


def reach_of(ledger: Ledger, places: Places, balances: int, market: int) -> Reach:
    """How far each bus reaches; gives a bound to every column of a balance that had none."""
    steps = int(ledger.row_step.max(initial=0)) + 1
    shape = (len(places.parent), steps)
    sign = signs_of(places, balances)
    load = np.zeros(shape)
    rows = np.flatnonzero((ledger.kind == RowKind.BUS) & ledger.used)
    load[ledger.bus[rows], ledger.row_step[rows]] = sign[ledger.bus[rows]] * ledger.row_lower[rows]
    drawn, fed = np.zeros(shape), np.zeros(shape)
    at_market = ledger.bus[rows] == market
    _bound(ledger, rows[~at_market], sign, load, drawn, fed)
    for bus in _upwards(places):
        parent = places.parent[bus]
        if parent not in (ROOT, market) and parent >= balances:
            drawn[parent] += drawn[bus]
            fed[parent] += fed[bus]
    if market != NOWHERE:
        _bound(ledger, rows[at_market], sign, load, drawn, fed)
    return Reach(drawn_kw=drawn, fed_kw=fed, load_kw=load)


def _bound(
    ledger: Ledger, rows: Ints, sign: Floats, load: Floats, drawn: Floats, fed: Floats
) -> None:
    """Bound what has no bound in some balances, and say how far these reach."""
    least, most = np.zeros((2, len(ledger.kind)))
    here = np.zeros(len(ledger.kind), dtype=bool)
    endless = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))]
    for row, column, value in ledger.chunks(rows):
        value = sign[ledger.bus[row]] * value
        lower, upper = value * ledger.lower[column], value * ledger.upper[column]
        open_ended = np.isinf(ledger.upper[column])
        if open_ended.any():
            endless.append((row[open_ended], column[open_ended], value[open_ended]))
            lower[open_ended] = upper[open_ended] = 0.0
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        least[row[begins]] = np.add.reduceat(np.minimum(lower, upper), begins)
        most[row[begins]] = np.add.reduceat(np.maximum(lower, upper), begins)
        here[row[begins]] = True
    factor, more = ROOM
    # A balance without columns keeps its zeros.
    rows = rows[here[rows]]
    bus, step = ledger.bus[rows], ledger.row_step[rows]
    drawn[bus, step] = factor * np.maximum(load[bus, step] - least[rows], 0.0) + more
    fed[bus, step] = factor * np.maximum(most[rows] - load[bus, step], 0.0) + more
    row, column, value = (np.concatenate(each) for each in zip(*endless, strict=True))
    bus, step = ledger.bus[row], ledger.row_step[row]
    bound = np.where(value > 0, drawn[bus, step], fed[bus, step]) / np.abs(value)
    ledger.upper[column] = bound


def _upwards(places: Places) -> list[int]:
    """Buses, each behind all that stand below it."""
    depth = np.zeros(len(places.parent), dtype=np.int64)
    for bus, parent in enumerate(places.parent):
        up, at = 0, parent
        while at != ROOT:
            up, at = up + 1, places.parent[at]
        depth[bus] = up
    upwards: list[int] = np.argsort(-depth, kind="stable").tolist()
    return upwards
