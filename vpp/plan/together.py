"""Futures of a fleet hedged together by the structured solver: bids as shared columns, first steps by their prices.

What is bid is a column of all futures' markets (`fleet/futures.py`). The first step of thousands of resources
is not: as columns in common they would join every bus of every future with every other. So each future has a
first step of its own, x_k, and is paid for being like the others (Lagrange):

    min Σ_k cost_k(x_k) - pi_k x_k  +  min over x of rho x + doubt |x - before|,    rho = Σ_k pi_k

No first step in common costs less, whatever the prices are. They are what a unit of it costs in each future at
the first step that was tried last (its marginal there), moved alike until rho x is least at that very x. So at
the best first step nothing is lost by them, and near to it little.

    the point's first step; what its futures cost, and what a unit of each is worth there
      ▼
    all futures relaxed at those prices ──▶ a bound, bids, a first step of each future
      ▼
    each future with these bids, and the first step as it was ──▶ cost;   gap small? ──▶ done
      │ no
    the same with the mean of the futures' first steps ─────────▶ cost;   gap small? ──▶ done
      │ no
      └── again, with the marginals of the better of the two, while bound and cost come nearer

Both ends are certified: the bound by prices alone, the cost by plans of each future that keep every row. What is
decided is the best that was tried, and its gap is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.schedule import HowSolved
from vpp.plan.fleet.futures import Bids, Relaxed, away, relaxed
from vpp.plan.fleet.solve import Kernels
from vpp.plan.lp import Deadline
from vpp.plan.programme import Ints, Programme
from vpp.plan.search import relative_gap

ROUNDS = 5

GAIN = 0.95
"""A round that leaves more than this share of what lay between bound and cost is the last."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tried:
    """The S futures with something decided now."""

    costs: Floats
    """Of each, inf where that is impossible; shape (S,)."""

    per_unit: Floats
    """What one more unit of each of the k columns that are decided now costs there, shape (S, k)."""

    residual: float = 0.0
    """The largest violation of a row in any of them."""

    fallbacks: int = 0
    """Trees of theirs that HiGHS solved for the structured solver."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Futures that are equally likely, and what is decided now in all of them."""

    programmes: tuple[Programme, ...]
    """With their on/off decisions taken."""

    now: tuple[Ints, ...]
    """The k columns of each that are decided now: those of the first step, then what is bid."""

    bids: int
    """How many of them are bid."""

    least: Floats
    """The bounds that these have in all futures, shape (k,)."""

    most: Floats
    before: Floats
    """What the point plan decides now, shape (k,)."""

    doubt: Floats
    """What a unit decided otherwise has to save at least, shape (k,)."""

    at_point: Tried
    try_now: Callable[[Floats], Tried | str]
    """The futures with something else decided now; or why that was not found."""

    one_way: Callable[[Floats], Floats]
    """The same of what is decided now, with no store filled and emptied at once."""

    kernels: Kernels
    deadline: Deadline
    gap: float
    """Relative, that is good enough."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Together:
    """What is decided now for all futures."""

    now: Floats
    """Shape (k,)."""

    costs: Floats
    """Of each future, shape (S,)."""

    row_marginals: tuple[Floats, ...]
    """Of the rows of each future, at its share of the cost."""

    how: HowSolved
    """Its `gap` is that of what is decided now: mean cost, doubts included, against the bound."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Best:
    now: Floats
    tried: Tried
    cost: float
    """Mean of the futures and what is doubted of it."""


def together(of: Asked) -> Together | str:
    """What to decide now for all futures, with a proven gap; or why that is for HiGHS."""
    best = at = _Best(now=of.before, tried=of.at_point, cost=float(of.at_point.costs.mean()))
    bound, proof = -np.inf, None
    if of.least[len(of.before) - of.bids :].any():
        return "does not fit: something must be bid"
    for _ in range(ROUNDS):
        if of.deadline.passed:
            break
        found = _relaxed(of, at)
        if isinstance(found, str):
            if proof is None:
                return found
            break
        lower, made = found
        was = best.cost - bound
        if proof is None or lower > bound:
            bound, proof = lower, made
        tried = _tried(of, at, made, best.cost, bound)
        if not tried:
            break
        at = min(tried, key=lambda one: one.cost)
        best = min(best, at, key=lambda one: one.cost)
        if _gap(best.cost, bound) <= of.gap or best.cost - bound > GAIN * was:
            break
    if proof is None:
        return "no time was left"
    if not np.isfinite(best.cost):
        return "no first step that was tried suits all futures"
    return Together(
        now=best.now,
        costs=best.tried.costs,
        row_marginals=proof.row_marginals,
        how=HowSolved(
            method=f"structured ({proof.made_by})",
            why="every tree of every future fits",
            gap=_gap(best.cost, bound),
            residual=best.tried.residual,
            iterations=proof.iterations,
            fallbacks=best.tried.fallbacks,
        ),
    )


def _gap(cost: float, bound: float) -> float:
    return relative_gap(cost, bound) if np.isfinite(cost) else np.inf


def _relaxed(of: Asked, at: _Best) -> tuple[float, Relaxed] | str:
    """A bound, and what it was found with: the futures with first steps of their own, at prices."""
    first = slice(0, len(of.before) - of.bids)
    share = 1.0 / len(of.programmes)
    least, most, before, doubt = (each[first] for each in (of.least, of.most, of.before, of.doubt))
    marginal = share * at.tried.per_unit[:, first]
    whole = marginal.sum(axis=0)
    price = _least_at(at.now[first], least, most, before, doubt, whole)
    marginal = marginal + share * (price - whole)
    programmes = []
    for one, columns, paid in zip(of.programmes, of.now, marginal, strict=True):
        cost, lower, upper = share * one.cost, one.lower.copy(), one.upper.copy()
        cost[columns[first]] -= paid
        lower[columns], upper[columns] = of.least, of.most
        programmes.append(replace(one, cost=cost, lower=lower, upper=upper))
    bid = slice(first.stop, None)
    bids = Bids(
        columns=tuple(columns[bid] for columns in of.now),
        most=of.most[bid],
        before=np.clip(of.before[bid], 0.0, of.most[bid]),
        doubt=of.doubt[bid],
    )
    found = relaxed(programmes, bids, kernels=of.kernels, deadline=of.deadline)
    if isinstance(found, str):
        return found
    return found.bound + away(price, least, most, before, doubt), found


def _least_at(
    x: Floats, least: Floats, most: Floats, before: Floats, doubt: Floats, price: Floats
) -> Floats:
    """The price nearest to `price` at which rho·x + doubt·|x - before| is least, within bounds, at `x`."""
    rises, fell = np.where(x >= before, doubt, -doubt), np.where(x > before, doubt, -doubt)
    lowest = np.where(x >= most, -np.inf, -rises)
    highest = np.where(x <= least, np.inf, -fell)
    found: Floats = np.clip(price, lowest, np.maximum(lowest, highest))
    # Nothing holds a column without a bound but its own future.
    return np.where(np.isfinite(most), found, np.clip(found, -rises, -fell))


def _tried(of: Asked, at: _Best, made: Relaxed, least: float, bound: float) -> list[_Best]:
    """The new bids with the first step as it was, and with the mean of the futures' own where that is too dear."""
    first = len(of.before) - of.bids
    own = [x[columns[:first]] for x, columns in zip(made.x, of.now, strict=True)]
    mean = np.clip(np.mean(own, axis=0), of.least[:first], of.most[:first])
    found: list[_Best] = []
    for steps in (at.now[:first], mean):
        if of.deadline.passed or _gap(least, bound) <= of.gap:
            break
        now = of.one_way(np.concatenate([steps, made.bids]))
        tried = of.try_now(now)
        if isinstance(tried, str):
            break
        cost = float(tried.costs.mean() + of.doubt @ np.abs(now - of.before))
        least = min(least, cost)
        found.append(_Best(now=now, tried=tried, cost=cost))
    return found
