"""Some of the units, with columns of their own: what only they need, gathered once for all cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vpp.act.branches import Places
from vpp.model.horizon import Floats

BLOCK = 1 << 15
"""So many units at a time: then what is reckoned on the way stays in the processor's cache."""


def blocks(count: int) -> Iterator[slice]:
    """`count` places, `BLOCK` after `BLOCK`."""
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


class Part(NamedTuple):
    """Some units, which have columns of their own."""

    at: Places
    row: Places
    """The place of each of the N units in the columns; -1 for who is not of the part."""

    span: Mapping[int, slice]
    """Where kinds stand in the columns, which are laid out kind after kind."""

    @classmethod
    def of(cls, kinds: Sequence[tuple[int, Places]], others: Places, size: int) -> Part:
        """The units of `kinds`, and then `others`."""
        at = np.concatenate([*(units for _, units in kinds), others])
        row = np.full(size, -1, dtype=np.intp)
        row[at] = np.arange(len(at))
        ends = np.cumsum([0, *(len(units) for _, units in kinds)]).tolist()
        span = {kind: slice(*ends[i : i + 2]) for i, (kind, _) in enumerate(kinds)}
        return cls(at, row, span)


class Stores(NamedTuple):
    """What the guard asks of stores; S of them."""

    at: Places
    min_soc: Floats
    out_kwh: Floats
    """What a full one feeds until it is empty."""

    in_kwh: Floats
    """What an empty one draws until it is full."""

    def blocks(self) -> Iterator[Stores]:
        """A few at a time."""
        return (
            Stores(self.at[some], self.min_soc[some], self.out_kwh[some], self.in_kwh[some])
            for some in blocks(len(self.at))
        )


class Ramps(NamedTuple):
    """What the guard asks of who is on a ramp."""

    at: Places
    kw_per_s: Floats
    least_draw_kw: Floats
    least_feed_kw: Floats
    low_kw: Floats
    high_kw: Floats

    def blocks(self) -> Iterator[Ramps]:
        """A few at a time."""
        at, *columns = self
        return (Ramps(at[some], *(column[some] for column in columns)) for some in blocks(len(at)))
