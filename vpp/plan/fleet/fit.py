"""A compiled programme as a forest, tree by tree: what fits, and in which words what does not.

    programme                                         forest
    balance of a connection point, of a carrier       bus                      (signs turned)
    import and export, limits of that point           parts of its bus: one a stair of the price
    limit of several points, market                   a bus above, with parts of its own
    storages, cars that feed, zones                   stores; floors and wishes are soft levels
    powers that the level before limits               tapers
    windows of loads, cars that only charge           budgets; a car park that is short of room is a bus
    paid peak; the margin below it                    a peak; a second one
    everything else that feeds or draws               parts
    which way a store goes, where burning could pay   nothing: no store of a forest goes both ways

Nothing is asked of what made the programme but the names of its columns: rows are recognised by what stands in
them (`sides.py`). Every entry of the programme stands in a row that was recognised as a whole, so that
none is counted twice or left out; trees (what no row joins) in which one row is strange do not fit. What
comes back is checked against the programme itself all the same (`back.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import Chains, chains_of, name_chains, values_of
from vpp.plan.fleet.fitting.hanging import Hanging, hang
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, Role, RowKind
from vpp.plan.fleet.fitting.places import Places, hang_nodes, places_of
from vpp.plan.fleet.fitting.sides import Sides, sides_of
from vpp.plan.fleet.fitting.words import words
from vpp.plan.fleet.forest import Forest
from vpp.plan.parts import Narrow
from vpp.plan.programme import Ints, Programme


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFit:
    """A tree that is no forest's, and why."""

    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What fits, as a forest, and how to find the way back."""

    ledger: Ledger
    sides: Sides
    places: Places
    chains: Chains
    signs: Floats
    """Of each chain, as `ChainValues` has it."""

    hanging: Hanging
    forest: Forest
    columns: Bools
    """Columns of the programme that the forest decides, shape (columns,)."""

    rows: Bools
    """Rows of the programme that it keeps, shape (rows,)."""

    tree: Narrow
    """Which tree each row, then each column belongs to."""

    misfits: tuple[NoFit, ...]
    """Trees that do not fit, one word each, and no word twice."""

    def of_roots(self, roots: Sequence[int]) -> Ints:
        """The programme's trees that stand in the forest's trees of some roots."""
        trees = self.forest.trees()
        inside = np.isin(trees.roots[trees.of], roots)
        rows = np.flatnonzero((self.ledger.kind == RowKind.BUS) & self.ledger.used)
        bus = self.hanging.bus[self.ledger.bus[rows]]
        return np.unique(self.tree[rows[inside[bus]]])


def fit(
    programme: Programme, lower: Floats, upper: Floats, columns: Bools | None = None
) -> Fitted | NoFit:
    """The trees of a programme that fit, under bounds that may be tighter than its own.

    `columns` says which of them are asked about, whole trees; left out: all. `NoFit` where none does.
    """
    rows, count = programme.matrix.shape
    columns = np.ones(count, dtype=bool) if columns is None else columns.copy()
    every = Ledger(programme, lower, upper, columns, one_way=False)
    tree, standing = every.blocks(), every.standing()
    moves, used = every.free, every.used
    del every
    told: dict[str, None] = {}
    decided = np.setdiff1d(programme.integral, programme.ways[0])
    strange_columns = decided[(lower < upper)[decided] & columns[decided]]
    strange_rows = np.zeros(0, dtype=np.int64)
    while True:
        for said in words(programme, strange_rows, strange_columns):
            told[said] = None
        bad = np.zeros(int(tree.max(initial=0)) + 1, dtype=bool)
        bad[tree[strange_rows]] = True
        bad[tree[rows + strange_columns]] = True
        columns &= ~bad[tree[rows:]]
        misfits = tuple(NoFit(words=one) for one in told)
        if not (columns & standing).any():
            return misfits[0] if misfits else NoFit(words="nothing moves")
        found = _attempt(programme, lower, upper, columns, tree, misfits)
        if isinstance(found, Fitted):
            mine = columns & moves
            good = np.zeros(len(bad), dtype=bool)
            good[tree[rows:][mine]] = True
            return replace(found, columns=mine, rows=used & good[tree[:rows]])
        strange_rows, strange_columns = found


def _attempt(
    programme: Programme,
    lower: Floats,
    upper: Floats,
    columns: Bools,
    tree: Narrow,
    misfits: tuple[NoFit, ...],
) -> Fitted | tuple[Ints, Ints]:
    """The trees of some columns as a forest, or rows and columns that are strange to it."""
    ledger = Ledger(programme, lower, upper, columns)
    fleet = programme.fleet
    balances, steps = programme.balance.shape
    market = balances if len(fleet.market.rows) else NOWHERE
    ledger.name(fleet.points.imports, Role.IMPORT)
    ledger.name(fleet.points.exports, Role.EXPORT)
    chains = chains_of(fleet)
    name_chains(ledger, chains)
    for rows, bus in (
        (programme.balance, np.arange(balances)[:, None]),
        (fleet.market.rows.reshape(-1, steps), np.array([[market]])),
    ):
        ledger.kind[rows] = RowKind.BUS
        ledger.bus[rows], ledger.row_step[rows] = np.broadcast_arrays(bus, np.arange(steps))
    ledger.kind[fleet.cars.room] = RowKind.ROOM
    ledger.bus[fleet.cars.room] = np.arange(len(fleet.cars.fleets))[:, None]
    ledger.row_step[fleet.cars.room] = np.arange(steps)
    wandering = _name_plain(ledger)
    values = values_of(ledger, chains)
    strange_chains = np.flatnonzero(values.strange & ledger.used[chains.rows].any(axis=1))
    sides = sides_of(ledger, values.guests)
    places = places_of(ledger, sides.limit, balances, market)
    hang_nodes(ledger, places, len(fleet.points.imports))
    strange = np.concatenate(
        [
            np.flatnonzero(sides.strange),
            chains.rows[strange_chains, 0],
            np.array(places.clashes, dtype=np.int64),
        ]
    )
    if len(strange) or len(wandering):
        return strange, wandering
    hanging = hang(ledger, sides, places, chains, values)
    if isinstance(hanging, tuple):
        return hanging
    ledger.forget()
    return Fitted(
        ledger=ledger,
        sides=sides,
        places=places,
        chains=chains,
        signs=values.sign,
        hanging=hanging,
        forest=hanging.forest,
        columns=ledger.free,
        rows=ledger.used,
        tree=tree,
        misfits=misfits,
    )


def _name_plain(ledger: Ledger) -> Ints:
    """Give plain columns the step of the balances they meet; which meet several steps."""
    column, step = ledger.plain.column, ledger.row_step[ledger.plain.row]
    ledger.step[column] = step
    return np.unique(column[ledger.step[column] != step])
