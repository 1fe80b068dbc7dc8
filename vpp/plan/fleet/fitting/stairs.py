r"""Limits that may be broken at a price, and wishes, as convex stairs in the price of one quantity.

A row low <= q + slacks <= high whose slacks cost something is, for the quantity q that it limits, a convex
price: nothing inside, and outside the cheapest slacks that fill the row. Each slack makes a kink at which
the price of one more unit of q rises:

        price                     low side    kinks at low, low - (what the cheapest slack holds), …
    \              /              high side   kinks at high, high + …
     \____________/
        low   high        slope(q) = - Σ rises of low kinks + Σ rises of all kinks below q

Stairs of several rows at one quantity add up. Where the quantity's own price is known, the stairs say what
each row is worth: the rises are filled from the lowest kink up until the slope meets the price, and a low
row is worth what of its rises is left, a high row minus what is filled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import Ledger, summed
from vpp.plan.programme import Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slacks:
    """Priced columns that stand in one row alone, cheapest first within a side of a row; shape (n,)."""

    row: Ints
    column: Ints
    value: Floats
    price: Floats
    """Per unit of the row."""

    before: Floats
    """What the cheaper ones of the same side hold, in units of the row."""

    cheaper: Floats
    """Price of the one before; 0 for the first."""


def slacks_of(ledger: Ledger, slack: NDArray[np.bool_]) -> Slacks:
    """The slacks of all rows; `slack` says which columns are some, shape (columns,)."""
    row, column, value = ledger.aside.only(slack[ledger.aside.column])
    price = ledger.cost[column] / np.abs(value)
    order = np.lexsort((price, value < 0, row))
    row, column, value, price = row[order], column[order], value[order], price[order]
    holds = np.abs(value) * ledger.upper[column]
    same = np.zeros(len(row), dtype=bool)
    same[1:] = (row[1:] == row[:-1]) & ((value[1:] < 0) == (value[:-1] < 0))
    before, cheaper = np.zeros(len(row)), np.zeros(len(row))
    rank = _rank(~same)
    for r in range(
        1, int(rank.max(initial=0)) + 1
    ):  # a side has one slack, or two where it has a margin
        at = np.flatnonzero(rank == r)
        before[at], cheaper[at] = before[at - 1] + holds[at - 1], price[at - 1]
    return Slacks(
        row=row,
        column=column,
        value=value,
        price=price,
        before=before,
        cheaper=cheaper,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stairs:
    """Kinks by what they limit, rising with their place; shape (n,)."""

    row: Ints
    owner: Ints
    rank: Ints
    """How many kinks of the same owner stand below."""

    at: Floats
    rise: Floats
    low: NDArray[np.bool_]
    """Whether it is of a row's low side."""

    most: int
    """Kinks of one owner."""

    def table(self, owners: int) -> tuple[Floats, Floats]:
        """Where the kinks of each owner are, and how much the price rises there; shapes (most, owners).

        Where an owner has fewer, inf and 0.
        """
        at, rise = np.full((self.most, owners), np.inf), np.zeros((self.most, owners))
        at[self.rank, self.owner], rise[self.rank, self.owner] = self.at, self.rise
        return at, rise

    def low_rises(self, owners: int) -> Floats:
        """The slope of each owner's price below all kinks, as a size; shape (owners,)."""
        return summed(self.owner[self.low], self.rise[self.low], owners)

    def worth(self, slope: Floats, rows: int) -> Floats:
        """The price of each row, shape (rows,), where the owners' prices have a `slope`, shape (owners,)."""
        need = self.low_rises(len(slope)) + slope
        _, rise = self.table(len(slope))
        below = np.vstack([np.zeros((1, len(slope))), np.cumsum(rise, axis=0)])
        filled = np.clip(need[self.owner] - below[self.rank, self.owner], 0.0, self.rise)
        price = np.where(self.low, self.rise - filled, -filled)
        return summed(self.row, price, rows)


def stairs_of(
    slacks: Slacks,
    rows: NDArray[np.bool_],
    owner: Ints,
    ledger: Ledger,
) -> Stairs:
    """The stairs of some rows; `owner` says whose each row is, shape (rows,)."""
    mine = rows[slacks.row]
    row, low = slacks.row[mine], slacks.value[mine] > 0
    before = slacks.before[mine]
    at = np.where(low, ledger.row_lower[row] - before, ledger.row_upper[row] + before)
    rise, owners = slacks.price[mine] - slacks.cheaper[mine], owner[row]
    order = np.lexsort((at, owners))
    row, low, owners, at, rise = row[order], low[order], owners[order], at[order], rise[order]
    rank = _rank(np.diff(owners, prepend=-1) != 0)
    return Stairs(
        row=row,
        owner=owners,
        rank=rank,
        at=at,
        rise=rise,
        low=low,
        most=int(rank.max(initial=-1)) + 1,
    )


def _rank(first: NDArray[np.bool_]) -> Ints:
    """How far each stands behind the first of its own."""
    number = np.arange(len(first))
    return number - np.maximum.accumulate(np.where(first, number, 0)) if len(first) else number
