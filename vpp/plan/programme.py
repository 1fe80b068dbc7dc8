"""One sparse mixed-integer programme, and the builder it grows in: whole blocks of columns and rows.

Nobody writes an index: a block of columns or rows has a name and a shape, and hands back the
numbers of its members in that shape.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.plan.fleet import Fleet, Ints


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

    columns: dict[str, Ints]
    """Where each block of columns stands, in its shape."""

    rows: dict[str, Ints]
    causes: dict[str, tuple[Ints, Floats]]
    """Columns that each cause of cost prices, and at how much; together they are `cost`."""

    fleet: Fleet
    products: tuple[ProductId, ...]

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
        """SHA-256 of the numbers: the same input gives the same digest."""
        sha = hashlib.sha256()
        for array in (
            *(self.cost, self.lower, self.upper, self.integral, self.row_lower, self.row_upper),
            *(self.matrix.data, self.matrix.indices, self.matrix.indptr.astype(np.int64)),
        ):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


@dataclass(slots=True)
class Builder:
    """Columns and rows as they are added, block by block."""

    steps: int
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    columns: dict[str, Ints] = field(default_factory=dict)
    rows: dict[str, Ints] = field(default_factory=dict)
    causes: dict[str, list[tuple[Ints, Floats]]] = field(default_factory=dict)
    row_lower: list[Floats] = field(default_factory=list)
    row_upper: list[Floats] = field(default_factory=list)
    triplets: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    n_columns: int = 0
    n_rows: int = 0

    def add_columns(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        lower: float | Floats = 0.0,
        upper: float | Floats = np.inf,
    ) -> Ints:
        """A block of columns in `shape`; bounds broadcast to it."""
        size = int(np.prod(shape))
        index = np.arange(self.n_columns, self.n_columns + size).reshape(shape)
        self.n_columns += size
        for values, store in ((lower, self.lower), (upper, self.upper)):
            store.append(np.broadcast_to(np.asarray(values, dtype=float), shape).ravel())
        self.columns[name] = index
        return index

    def price(self, columns: Ints, per_unit: float | Floats, cause: str) -> None:
        """Let each unit of `columns` cost `per_unit` more, for `cause`; the two broadcast."""
        columns, filled = np.broadcast_arrays(columns, np.asarray(per_unit, dtype=float))
        self.causes.setdefault(cause, []).append((columns.ravel(), filled.ravel()))

    def add_rows(
        self, name: str, shape: tuple[int, ...], lower: float | Floats, upper: float | Floats
    ) -> Ints:
        """A block of rows in `shape`; sides broadcast to it."""
        size = int(np.prod(shape))
        index = np.arange(self.n_rows, self.n_rows + size).reshape(shape)
        self.n_rows += size
        self.row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), shape).ravel())
        self.row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), shape).ravel())
        self.rows[name] = index
        return index

    def put(self, rows: Ints, columns: Ints, values: float | Floats) -> None:
        """Coefficients `values` at (rows, columns); all three broadcast together."""
        rows, columns, filled = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=float))
        self.triplets.append((rows.ravel(), columns.ravel(), filled.ravel()))

    def programme(
        self, *, integral: list[Ints], fleet: Fleet, products: tuple[ProductId, ...]
    ) -> Programme:
        """All blocks as one programme; the columns in `integral` are 0 or 1."""
        rows, columns, values = (np.concatenate(part) for part in zip(*self.triplets, strict=True))
        causes = {
            cause: (np.concatenate([c for c, _ in parts]), np.concatenate([v for _, v in parts]))
            for cause, parts in self.causes.items()
        }
        cost = np.zeros(self.n_columns)
        for priced, per_unit in causes.values():
            np.add.at(cost, priced, per_unit)
        return Programme(
            cost=cost,
            lower=np.concatenate(self.lower),
            upper=np.concatenate(self.upper),
            integral=np.concatenate([block.ravel() for block in integral]),
            matrix=csr_array((values, (rows, columns)), shape=(self.n_rows, self.n_columns)),
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            columns=self.columns,
            rows=self.rows,
            causes=causes,
            fleet=fleet,
            products=products,
        )
