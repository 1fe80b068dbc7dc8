"""Several futures of a fleet with what is bid in common, as one forest: what they cost at least, and what to bid.

    each future fitted (`fit`) and settled (`presolve`) by itself
      ▼
    forests side by side, bids taken out of their markets and put in as shared columns (`shared`)
      ▼
    kernels ──▶ one quantity of each bid, a point and prices of every future
      ▼
    bound in the futures' own columns and rows (`back`), with each bid counted once:

        Σ_k L_k(y_k) - Σ_k min over bids of r_kj x_j + Σ_j min over x_j of (Σ_k r_kj) x_j + doubt_j |x_j - before_j|

with r_kj the reduced cost of bid j in future k. It holds whatever the kernels did wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.abreast import Abreast, abreast
from vpp.plan.fleet.back import Back, back
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.bound import sound
from vpp.plan.fleet.fit import Fitted, NoFit, fit
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools
from vpp.plan.fleet.forest import (
    ROOT,
    Duals,
    Forest,
    Infeasible,
    Ints,
    Point,
    Shared,
    Solved,
)
from vpp.plan.fleet.presolve import Presolved, presolve
from vpp.plan.fleet.repair import repaired
from vpp.plan.fleet.solve import Kernels
from vpp.plan.lp import Deadline
from vpp.plan.programme import Programme

TOLERANCE = 1e-8
"""Of the kernels' own gap, relative to 1 + the cost of all futures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bids:
    """What is bid in all futures alike, shape (n,)."""

    columns: tuple[Ints, ...]
    """Of the programme of each future."""

    most: Floats
    before: Floats
    """What is bid without the futures, from 0 to `most`."""

    doubt: Floats
    """What a unit more or less than that costs beside its price."""

    def cheapest(self, price: Floats) -> float:
        """The least of Σ price·x + doubt·|x - before|."""
        return float(away(price, np.zeros_like(self.most), self.most, self.before, self.doubt))


def away(price: Floats, least: Floats, most: Floats, before: Floats, doubt: Floats) -> float:
    """The least of Σ price·x + doubt·|x - before| between bounds, shapes (n,): at one of three points."""
    at = np.stack([least, most, np.clip(before, least, most)])
    return float((price * at + doubt * np.abs(at - before)).min(axis=0, initial=np.inf).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """What was found for all futures together."""

    bids: Floats
    """Shape (n,)."""

    x: tuple[Floats, ...]
    """The columns of each future."""

    row_marginals: tuple[Floats, ...]
    bound: float
    """Nothing that bids the same in all futures costs less."""

    iterations: int
    made_by: str
    """The name of the kernels."""


def relaxed(
    programmes: Sequence[Programme], bids: Bids, *, kernels: Kernels, deadline: Deadline
) -> Relaxed | str:
    """Solve programmes that have bids in common, each with its share of the cost; or why that cannot be done."""
    futures = []
    for programme, columns in zip(programmes, bids.columns, strict=True):
        made = _future(programme, columns, bids.most > 0)
        if isinstance(made, str):
            return made
        futures.append(made)
    side = abreast([one.closed() for one in futures])
    forest = replace(side.forest, shared=_shared(programmes, bids, futures, side))
    point, duals = blank(forest)
    iterations = kernels.solve(forest, point, duals, tolerance=TOLERANCE, deadline=deadline)
    quantity = _quantities(bids, point.shared)
    x, prices, bound = [], [], 0.0
    price = np.zeros(len(quantity))
    with np.errstate(invalid="ignore", over="ignore"):
        for one, columns, (own, theirs) in zip(
            futures, bids.columns, side.apart(point, duals), strict=True
        ):
            own.part[one.part, one.step] = quantity[bids.most > 0]
            came = _back(one, own, theirs)
            reduced = came.column_marginals[columns]
            price += reduced
            bound += float(came.bound.sum()) + one.held_cost
            bound -= float(np.minimum(reduced * bids.most, 0.0).sum())
            x.append(came.x)
            prices.append(came.row_marginals)
        bound += bids.cheapest(price)
    if not np.isfinite(bound):
        return "the structured solver found no prices that prove anything"
    return Relaxed(
        bids=quantity,
        x=tuple(x),
        row_marginals=tuple(prices),
        bound=bound,
        iterations=int(iterations.max(initial=0)),
        made_by=kernels.name,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Future:
    """One future as a forest, and where its bids are."""

    fitted: Fitted
    ready: Presolved
    part: Ints
    """Of the forest, and `step`: the place of each bid that is not 0 by its bounds."""

    step: Ints
    held_cost: float
    """Of what cannot move."""

    @property
    def market(self) -> int:
        """The bus that the bids enter; there are some."""
        return int(self.fitted.forest.parts.bus[self.part[0]])

    @property
    def here(self) -> Floats:
        found: Floats = self.fitted.forest.parts.here[self.part, self.step]
        return found

    def closed(self) -> Forest:
        """The forest with no bids of its own."""
        parts = self.ready.forest.parts
        most = parts.most.copy()
        most[self.part, self.step] = 0.0
        return replace(self.ready.forest, parts=replace(parts, most=most))


def _future(programme: Programme, columns: Ints, free: Bools) -> _Future | str:
    fitted = fit(programme, programme.lower, programme.upper)
    if isinstance(fitted, NoFit):
        return f"does not fit: {fitted.words}"
    if fitted.misfits:
        return f"does not fit: {fitted.misfits[0].words}"
    ready = presolve(fitted.forest)
    if isinstance(ready, Infeasible):
        return "a future has no plan"
    table = fitted.hanging.parts.columns
    place = np.full(len(programme.cost), NOWHERE, dtype=np.int64)
    place[table[table >= 0]] = np.flatnonzero(table.ravel() >= 0)
    at = place[columns[free]]
    part, step = at // fitted.forest.steps, at % fitted.forest.steps
    parents, bus = fitted.forest.buses.parent, fitted.forest.parts.bus[part]
    if len(at) and ((at < 0).any() or (bus != bus[0]).any() or parents[bus[0]] != ROOT):
        return "does not fit: bids that enter no market"
    if len(at) and not (parents == bus[0]).any():
        return "does not fit: a market without connection points"
    still = ~(programme.lower < programme.upper)
    held_cost = float(programme.cost[still] @ programme.lower[still])
    return _Future(fitted=fitted, ready=ready, part=part, step=step, held_cost=held_cost)


def _shared(
    programmes: Sequence[Programme],
    bids: Bids,
    futures: Sequence[_Future],
    side: Abreast,
) -> Shared | None:
    """A column a bid, and one more for what is above `before` where that costs something else."""
    free = np.flatnonzero(bids.most > 0)
    if not len(free):
        return None
    cost = sum(
        (one.cost[at] for one, at in zip(programmes, bids.columns, strict=True)), np.zeros(1)
    )
    doubted = bids.doubt[free] > 0
    first = futures[0]
    return Shared(
        roots=np.array([at.buses[one.market] for one, at in zip(futures, side.each, strict=True)]),
        step=np.concatenate([first.step, first.step[doubted]]),
        here=np.concatenate([first.here, first.here[doubted]]),
        most=np.concatenate(
            [
                np.where(doubted, bids.before[free], bids.most[free]),
                (bids.most - bids.before)[free][doubted],
            ]
        ),
        cost=np.concatenate(
            [(cost - bids.doubt)[free], (cost + bids.doubt)[free][doubted]],
        ),
    )


def _quantities(bids: Bids, shared: Floats) -> Floats:
    """Each bid from the columns that `_shared` made of them, shape (n,)."""
    free = np.flatnonzero(bids.most > 0)
    found = np.zeros(len(bids.most))
    found[free] = shared[: len(free)]
    found[free[bids.doubt[free] > 0]] += shared[len(free) :]
    clipped: Floats = np.clip(found, 0.0, bids.most)
    return clipped


def _back(one: _Future, point: Point, duals: Duals) -> Back:
    """A future's part of the answer in its own columns and rows."""
    forest = one.fitted.forest
    point, duals = one.ready.restore(point, duals)
    return back(
        one.fitted,
        Solved(
            point=repaired(forest, point),
            duals=sound(forest, duals),
            cost=np.nan,
            bound=np.nan,
            residual=np.nan,
            iterations=0,
            method="",
        ),
    )
