"""One sparse mixed-integer programme, and the builder it grows in: whole blocks of columns and rows.

Nobody writes an index: a block of columns or rows has a shape, and hands back the numbers of its
members in that shape. What feeds or draws is *injected*: the builder puts it into the balance of the
node where it happens and remembers whose power it is.

    balance of a connection point    export - import                  - Σ injections decided = base
    balance of a carrier node        spill - lacking + out - arrived  - Σ injections decided = base

`base` is what nobody decides (`Builder.base_kw`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.ids import NodeId, ResourceId
from vpp.model.time import local_date
from vpp.plan.blocks import Entries, Flows, Prices, Sides
from vpp.plan.blocks import Ints as Ints

if TYPE_CHECKING:
    from vpp.plan.compiled import Fleet
    from vpp.plan.view import PlanningView

BLOCK_BYTES = 2**20
"""What one checksum of a programme's digest is about."""


class Side(StrEnum):
    """Which side of a row, or which bound of a column, a name stands for."""

    ROW_LOWER = "row_lower"
    ROW_UPPER = "row_upper"
    LOWER = "lower"
    UPPER = "upper"
    BROKEN = "broken"
    """Columns above 0 say how far a limit is broken, at a price."""


class Counted(StrEnum):
    """What resources do that a quota or a fair share counts, whatever their kind."""

    STARTS = "starts"
    """Runs and machines that start, calls of loads."""

    HOURS_ON = "hours_on"
    TAKEN_OUT_KWH = "taken_out_kwh"
    """What leaves a store, before its discharge losses."""

    TURNED_DOWN_KWH = "turned_down_kwh"
    """What a load would have drawn, and is kept from."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Limits in the words of the park file: which numbers of the programme they became."""

    words: tuple[str, ...]
    """Shape (k,): `bess-1: max_charge_kw`."""

    side: Side
    index: Ints
    """Rows or columns, shape (k, n)."""

    steps: Ints
    """The step of each, shape (k, n); -1 where it speaks of the whole horizon."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearProgramme:
    """minimise cost·x  subject to  row_lower <= A x <= row_upper, lower <= x <= upper."""

    cost: Floats
    lower: Floats
    upper: Floats
    matrix: csr_array
    row_lower: Floats
    row_upper: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme(LinearProgramme):
    """A linear programme some of whose columns are 0 or 1, and what its numbers stand for."""

    integral: Ints
    """Columns that are 0 or 1."""

    decisions: Ints
    """What is on or off, settled beforehand or not, but for `ways`. Park, state and horizon alone say
    which stands where: the programmes of two futures have the same in the same places."""

    ways: Ints
    """Columns that decide which way a store goes, what fills it and what empties it, shape (3, n)."""

    coupling: Ints
    """Rows that join connection points: without them the programme falls into small parts."""

    balance: Ints
    """Rows of the connection points, then of the carrier nodes, shape (P + N, T)."""

    base_kw: Floats
    """Net injection of each resource that is not decided here, shape (R, T), park order."""

    power: Flows
    """kW that one unit of each column adds to a resource's power, shape (R·T, columns)."""

    ports: dict[tuple[ResourceId, NodeId], csr_array]
    """The same for what a converter feeds into a carrier node, shape (T, columns) each."""

    causes: dict[str, Prices]
    """What each cause of cost prices; together they are `cost`."""

    named: tuple[Named, ...]
    fleet: Fleet

    def linear(self) -> LinearProgramme:
        """The numbers alone: little to send to another process."""
        return LinearProgramme(
            cost=self.cost,
            lower=self.lower,
            upper=self.upper,
            matrix=self.matrix,
            row_lower=self.row_lower,
            row_upper=self.row_upper,
        )

    def digest(self) -> str:
        """The same input gives the same digest: SHA-256 of checksums, a CRC-32 for each `BLOCK_BYTES` of the numbers.

        It tells inputs apart that differ by chance, three times as fast as SHA-256 of all of it; it is no seal.
        """
        sha = hashlib.sha256()
        for array in (
            *(self.cost, self.lower, self.upper, self.integral, self.row_lower, self.row_upper),
            *(self.matrix.data, self.matrix.indices, self.matrix.indptr),
        ):
            numbers = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            blocks = range(0, len(numbers), BLOCK_BYTES)
            sums = [len(numbers), *(crc32(numbers[at : at + BLOCK_BYTES]) for at in blocks)]
            sha.update(np.array(sums, dtype="<u8").data)
        return sha.hexdigest()


class Builder:
    """Columns and rows as they are added, block by block, for one view."""

    def __init__(self, view: PlanningView) -> None:
        park = view.park
        self.view = view
        self.steps = view.horizon.steps
        self.hours = view.horizon.step_hours
        self.row_of = {r.resource_id: i for i, r in enumerate(park.resources)}
        self.point_of = {p.connection_point_id: i for i, p in enumerate(park.connection_points)}
        self.node_of = {
            node.node_id: i for i, node in enumerate(park.nodes, start=len(self.point_of))
        }
        self._main = np.array(
            [
                self.point_of[r.connection_point_id]
                if r.node_id is None
                else self.node_of[r.node_id]
                for r in park.resources
            ],
            dtype=np.int64,
        )
        ones = (np.ones(len(self._main)), (self._main, np.arange(len(self._main))))
        nodes = len(self.point_of) + len(self.node_of)
        self._at_node = csr_array(ones, shape=(nodes, len(self._main)))
        self.base_kw = np.zeros((len(park.resources), self.steps))
        self._columns, self._rows = Sides(), Sides()
        self._entries = Entries()
        self._power = Entries()
        self._ports: dict[tuple[ResourceId, NodeId], Entries] = {}
        self._causes: dict[str, Prices] = {}
        self._counted = {what: Entries() for what in Counted}
        self._coupling: list[Ints] = []
        self._named: list[Named] = []
        self._integral: list[Ints] = []
        self._decisions: list[Ints] = []
        self._ways: list[Ints] = [np.zeros((3, 0), dtype=np.int64)]
        self.balance = self.add_rows((nodes, self.steps), 0.0, 0.0)
        self.most_drawn_kw = np.zeros((nodes, self.steps))
        """The most that decisions could draw at each node; sizes. So that limits which are far from
        what stands behind them become no rows."""
        self.most_fed_kw = np.zeros((nodes, self.steps))

    @cached_property
    def local_days(self) -> dict[date, Ints]:
        """The steps that begin on each local day of the horizon."""
        zone = self.view.park.timezone
        days = [local_date(start, zone) for start in self.view.horizon.starts()]
        return {
            day: np.array([step for step, d in enumerate(days) if d == day], dtype=np.int64)
            for day in dict.fromkeys(days)
        }

    # ------------------------------------------------------------ columns, rows, cost

    def add_columns(
        self, shape: tuple[int, ...], *, lower: float | Floats = 0.0, upper: float | Floats = np.inf
    ) -> Ints:
        """A block of columns in `shape`; bounds broadcast to it."""
        return self._columns.add(shape, lower, upper)

    def decide(
        self, shape: tuple[int, ...], *, lower: float | Floats = 0.0, upper: float | Floats = 1.0
    ) -> Ints:
        """A block of columns that are 0 or 1; what `lower` or `upper` settles is no decision."""
        columns = self.add_columns(shape, lower=lower, upper=upper)
        self._integral.append(columns[np.broadcast_to(np.less(lower, upper), shape)])
        self._decisions.append(columns)
        return columns

    def decide_ways(self, into: Ints, out: Ints) -> Ints:
        """A column for each pair, shapes (n,), that is 1 where it fills: `into` may be above 0, else `out`."""
        columns = self.add_columns(into.shape, upper=1.0)
        self._integral.append(columns)
        self._ways.append(np.array([columns, into, out]))
        return columns

    def add_rows(
        self,
        shape: tuple[int, ...],
        lower: float | Floats,
        upper: float | Floats,
        *,
        couples: bool = False,
    ) -> Ints:
        """A block of rows in `shape`; sides broadcast to it. `couples`: they join connection points."""
        rows = self._rows.add(shape, lower, upper)
        if couples:
            self._coupling.append(rows.ravel())
        return rows

    def put(self, rows: Ints, columns: Ints, values: float | Floats) -> None:
        """Coefficients `values` at (rows, columns); all three broadcast together."""
        self._entries.put(rows, columns, values)

    def price(self, columns: Ints, per_unit: float | Floats, cause: str) -> None:
        """Let each unit of `columns` cost `per_unit` more, for `cause`; the two broadcast."""
        self._causes.setdefault(cause, Prices()).add(columns, per_unit)

    def name(
        self, words: Sequence[str], side: Side, index: Ints, steps: Ints | None = None
    ) -> None:
        """Say in the words of the park file what limits are: one of `words` for each row of `index`.

        `steps` broadcasts to `index`, shape (k, n); left out, n is either the horizon or 1 (a limit
        of the whole horizon).
        """
        index = index.reshape(len(words), -1) if len(words) else index.reshape(0, 1)
        if steps is None:
            whole = index.shape[1] == self.steps
            steps = np.arange(self.steps) if whole else np.array([-1])
        self._named.append(Named(tuple(words), side, index, np.broadcast_to(steps, index.shape)))

    # ------------------------------------------------------------ injections

    def rows(self, names: Sequence[ResourceId]) -> Ints:
        """Where resources stand in park order, shape (k,)."""
        return np.array([self.row_of[name] for name in names], dtype=np.int64)

    def nodes(self, which: Ints) -> Ints:
        """Rows of `balance` where resources meet the rest, shape (k,)."""
        return self._main[which]

    def inject(
        self,
        which: Ints,
        columns: Ints,
        kw: float | Floats,
        *,
        steps: Ints | None = None,
    ) -> None:
        """A unit of each column feeds `kw` of its resource into the resource's own node.

        `which` (rows in park order) and `columns` broadcast together, over `steps`: left out, the
        last axis is the horizon.
        """
        steps = np.arange(self.steps) if steps is None else steps
        kw = np.asarray(kw, dtype=float)
        self._entries.put(self.balance[self._main[which], 0], columns, -kw, below=steps)
        self._power.put(which * self.steps, columns, kw, below=steps)

    def inject_port(
        self, resource_id: ResourceId, node_id: NodeId, columns: Ints, kw: float | Floats
    ) -> None:
        """A unit of each column, shape (…, T), feeds `kw` of a converter into a carrier node."""
        kw = np.asarray(kw, dtype=float)
        self._entries.put(self.balance[self.node_of[node_id]], columns, -kw)
        flows = self._ports.setdefault((resource_id, node_id), Entries())
        flows.put(np.arange(self.steps), columns, kw)

    def count(
        self,
        what: Counted,
        which: Ints,
        columns: Ints,
        per_unit: float | Floats,
        *,
        steps: Ints | None = None,
    ) -> None:
        """A unit of each column is `per_unit` of `what` its resource (rows in park order) does.

        They broadcast together, over `steps`: left out, the last axis is the horizon. `counted` finds
        them again.
        """
        steps = np.arange(self.steps) if steps is None else steps
        self._counted[what].put(which * self.steps + steps, columns, per_unit)

    def counted(self, what: Counted, row: int, within: slice = slice(None)) -> tuple[Ints, Floats]:
        """Columns of some steps, and how much of `what` a unit of each is, of one resource; shapes (n,)."""
        first, last, _ = within.indices(self.steps)
        found = []
        for at, columns, per_unit in self._counted[what]:
            mine = (row * self.steps + first <= at) & (at < row * self.steps + last)
            found.append((columns[mine], per_unit[mine]))
        return (
            _joined([columns for columns, _ in found]),
            np.concatenate([np.zeros(0), *(per_unit for _, per_unit in found)]),
        )

    def put_power(self, rows: Ints, which: Ints, steps: Ints) -> None:
        """Put what has been decided of resources' power in some steps into rows, one each; shapes (n,).

        Called once every kind has been added; what nobody decides stands in `base_kw`.
        """
        row_of = np.full(self.base_kw.size, -1)
        row_of[which * self.steps + steps] = rows
        for powers, columns, kw in self._power:
            kept = row_of[powers] >= 0
            self._entries.put(row_of[powers[kept]], columns[kept], kw[kept])

    def may(
        self, which: Ints, *, draw_kw: float | Floats = 0.0, feed_kw: float | Floats = 0.0
    ) -> None:
        """What decisions about resources could draw and feed at most; sizes, broadcast to (k, T)."""
        shape = (len(which), self.steps)
        np.add.at(self.most_drawn_kw, self._main[which], np.broadcast_to(draw_kw, shape))
        np.add.at(self.most_fed_kw, self._main[which], np.broadcast_to(feed_kw, shape))

    @cached_property
    def node_base_kw(self) -> Floats:
        """What nobody decides, by node, shape (P + N, T). Asked once every kind has been added."""
        base: Floats = self._at_node @ self.base_kw
        return base

    # ------------------------------------------------------------ the end

    def programme(self, fleet: Fleet) -> Programme:
        """All blocks as one programme."""
        lower, upper = self._columns.arrays()
        row_lower, row_upper = self._rows.arrays()
        base = self.node_base_kw
        row_lower[self.balance], row_upper[self.balance] = base, base
        columns = self._columns.count
        cost = np.zeros(columns)
        for prices in self._causes.values():
            for priced, per_unit in prices:
                np.add.at(cost, priced, per_unit)
        return Programme(
            cost=cost,
            lower=lower,
            upper=upper,
            integral=_joined(self._integral),
            decisions=_joined(self._decisions),
            ways=np.hstack(self._ways),
            matrix=self._entries.matrix((self._rows.count, columns)),
            row_lower=row_lower,
            row_upper=row_upper,
            coupling=_joined(self._coupling),
            balance=self.balance,
            base_kw=self.base_kw,
            power=Flows(self._power, (self.base_kw.size, columns)),
            ports={key: flows.matrix((self.steps, columns)) for key, flows in self._ports.items()},
            causes=self._causes,
            named=tuple(self._named),
            fleet=fleet,
        )


def _joined(blocks: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, dtype=np.int64), *(block.ravel() for block in blocks)])
