"""What fills a store and what empties it never run in the same step.

    columns   filling (·) 0/1, where burning energy could pay
    rows      into <= most into·filling        out <= most out·(1 - filling)

A kWh drawn and fed back at once shrinks to e, the product of both efficiencies: what is lost is
burned. It costs what wears the store on the way in and out, and pays where energy at the node is worth
less than

    -(wear in + e · wear out) / (1 - e)

Only there a decision is made; a store without such losses burns nothing. What a store loses by standing
plays no part: it is lost whether or not power goes both ways in a step. `search.py` repairs what is left:
where both ways cost nothing, or a reason that no price shows makes them pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.programme import Builder, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BothWays:
    """Pairs of columns, shape (k, T), of which one at most is above 0 in each step."""

    into: Ints
    out: Ints
    into_kw: Floats
    """The most of each, shape (k, T)."""
    out_kw: Floats

    kept_into: Floats
    """kWh stored per kWh drawn, shape (k, 1)."""
    kept_out: Floats
    """kWh fed per kWh taken out, shape (k, 1)."""

    wear_into_per_kwh: Floats
    """Cost of a kWh drawn, shape (k, 1)."""
    wear_out_per_kwh: Floats
    """Cost of a kWh fed, shape (k, 1)."""

    node: Ints
    """Where both meet the rest: rows of `Builder.balance`, shape (k,)."""

    def fills(self, x: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether more goes in than out, counted in the store, shape (k, T)."""
        filled: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (
            self.kept_into * x[self.into] >= x[self.out] / self.kept_out
        )
        return filled


def forbid(b: Builder, pairs: Sequence[BothWays], worth_per_kwh: Floats) -> None:
    """Decide on one way where both could pay.

    `worth_per_kwh` is the least that a kWh fed at each node is worth, shape (P + N, T); -inf where
    nothing is known.
    """
    for pair in pairs:
        _forbid(b, pair, worth_per_kwh)


def _forbid(b: Builder, pair: BothWays, worth_per_kwh: Floats) -> None:
    kept = pair.kept_into * pair.kept_out
    wear = pair.wear_into_per_kwh + kept * pair.wear_out_per_kwh
    # Where burning pays in no step no step is looked at: in most plans, nowhere.
    least = worth_per_kwh.min(axis=1, keepdims=True)[pair.node]
    some = np.flatnonzero(_pays(kept, wear, least))
    could = (pair.into_kw[some] > 0) & (pair.out_kw[some] > 0)
    unit, step = np.nonzero(could & _pays(kept[some], wear[some], worth_per_kwh[pair.node[some]]))
    at = some[unit], step
    into, out = pair.into[at], pair.out[at]
    filling = b.decide_ways(into, out)
    in_rows = b.add_rows(into.shape, -np.inf, 0.0)
    b.put(in_rows, into, 1.0)
    b.put(in_rows, filling, -pair.into_kw[at])
    out_rows = b.add_rows(out.shape, -np.inf, pair.out_kw[at])
    b.put(out_rows, out, 1.0)
    b.put(out_rows, filling, pair.out_kw[at])


def _pays(kept: Floats, wear: Floats, worth_per_kwh: Floats) -> NDArray[np.bool_]:
    """Whether burning a kWh of such worth earns something; broadcasts."""
    # Nothing is burned where kept is 1, whatever energy is worth.
    pays: NDArray[np.bool_] = np.where(kept < 1, worth_per_kwh, 0.0) * (1 - kept) + wear < 0
    return pays
