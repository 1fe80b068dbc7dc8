"""The most that can flow through what the park file leaves without a bound: a forest has none such.

Where import and export, spill and lack, short and long stand in one balance, both at once cost something or
nothing; so of the best plans there is one in which none is more than what everything else there could ask
for. A little is left on top: an interior point wants room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, RowKind
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.forest import ROOT

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
    at_bus = ledger.kind[ledger.row] == RowKind.BUS
    at_market = at_bus & (ledger.bus[ledger.row] == market)
    _bound(ledger, at_bus & ~at_market, sign, load, drawn, fed)
    for bus in _upwards(places):
        parent = places.parent[bus]
        if parent not in (ROOT, market) and parent >= balances:
            drawn[parent] += drawn[bus]
            fed[parent] += fed[bus]
    if market != NOWHERE:
        _bound(ledger, at_market, sign, load, drawn, fed)
    return Reach(drawn_kw=drawn, fed_kw=fed, load_kw=load)


def _bound(
    ledger: Ledger, entries: Bools, sign: Floats, load: Floats, drawn: Floats, fed: Floats
) -> None:
    """Bound what has no bound in some balances, and say how far these reach."""
    row, column = ledger.row[entries], ledger.column[entries]
    bus, step = ledger.bus[row], ledger.row_step[row]
    value = sign[bus] * ledger.value[entries]
    endless = np.isinf(ledger.upper[column])
    ends = value * ledger.lower[column], value * np.where(endless, 0.0, ledger.upper[column])
    shape = load.shape
    at = bus * shape[1] + step
    least, most = (
        np.bincount(at[~endless], pick(*ends)[~endless], load.size).reshape(shape)
        for pick in (np.minimum, np.maximum)
    )
    factor, more = ROOM
    # A balance without columns keeps its zeros.
    here = np.bincount(at, minlength=load.size).reshape(shape) > 0
    drawn[here] = (factor * np.maximum(load - least, 0.0) + more)[here]
    fed[here] = (factor * np.maximum(most - load, 0.0) + more)[here]
    bound = np.where(value > 0, drawn[bus, step], fed[bus, step]) / np.abs(value)
    ledger.upper[column[endless]] = bound[endless]


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
