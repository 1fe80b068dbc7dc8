"""Some buses planned anew while all others stay as they are: what a fleet's small change costs.

Trees in which nothing differs keep their answer. Of a tree that differs in a few buses alone, these are planned
with the others held; where much of a tree differs, or what is proven that way is too little, all of that tree is
planned anew.

A tree's answer comes with the prices of its buses. With the prices of the buses above held, the bound of the
whole is a sum over what hangs below them, so that a change at some buses moves their summands alone:

    point    those buses, what hangs below them and the buses above are solved with all others held: what
             these send up is given
    prices   each of those buses by itself, paid the price mu above it for what it sends up (its parts cost
             less up·mu)
    bound    L - L_path(before) + L_path(anew)      cost   less what the path cost, plus what it costs

So two small forests are solved however large the whole one is. What the others could do better now is not
looked for; it shows in the gap, which is certified as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from vpp.plan.fleet.bound import lower_bounds, sound
from vpp.plan.fleet.certify import costs
from vpp.plan.fleet.differing import Differing, carried, differing
from vpp.plan.fleet.forest import ROOT, Answer, Duals, Forest, Ints, Point, Solved, Trees
from vpp.plan.fleet.pick import Mask, Picked, pick
from vpp.plan.fleet.sums import summed

ROUNDING = 1e-10
"""Of a summand that is taken out of the bound and put in anew, relative to 1 + its size."""

FEW = 0.25
"""Share of a tree's buses up to which they are planned with the others held."""

Solve: TypeAlias = Callable[[Forest], Answer]
"""`solve_forest`, but for the forest."""


def replan(
    before: Forest, solved: Solved, forest: Forest, *, solve: Solve, most_gap: float
) -> Solved | None:
    """The answer to a forest of which much is as it was in one that was solved.

    Args:
        before: What was solved.
        solved: Its answer; left as it is.
        forest: What is asked.
        solve: Solves small forests, or some trees.
        most_gap: Of all trees together, relative to 1 + their cost: where more is left with others held,
            those trees are planned whole.

    Returns:
        None where too little is as it was, or what differs has no plan by itself: who asks solves it all.
    """
    found = differing(before, forest)
    if found is None:
        return None
    trees = forest.trees()
    touched = np.zeros(len(trees.roots), dtype=bool)
    touched[trees.of[found.buses]] = True
    if touched[trees.of[list(solved.decided)]].any():
        # Of what was decided the prices do not prove what it is worth: nothing could be taken out of the bound.
        return None
    where = _Region.of(forest, trees, found.buses)
    for held in (touched & where.few, touched & False):
        whole = touched & ~held
        if whole.all():
            return None
        again = _replanned(before, solved, forest, found, where, whole, held, solve)
        if again is not None and again.cost - again.bound <= most_gap * (1.0 + abs(again.cost)):
            return again
        if not held.any():
            return None
    return None


def _replanned(
    before: Forest,
    solved: Solved,
    forest: Forest,
    found: Differing,
    where: _Region,
    whole: Mask,
    held: Mask,
    solve: Solve,
) -> Solved | None:
    """With some trees planned whole, of others what differs; None where one of them has no plan."""
    trees, fresh = forest.trees(), whole | held

    def others(roots: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(root for root in roots if not fresh[trees.of[root]])

    point, duals = carried(before, solved.point, solved.duals, forest, found)
    anew = _Anew(
        before,
        solved,
        forest,
        replace(
            solved,
            point=point,
            duals=duals,
            iterations=0,
            fallbacks=others(solved.fallbacks),
            decided=others(solved.decided),
            held=others(solved.held),
        ),
    )
    if whole.any() and not anew.whole(whole[trees.of], solve):
        return None
    if held.any() and not anew.beside(where.path & held[trees.of], where.core, solve):
        return None
    return anew.answer


# ------------------------------------------------------------ which buses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Region:
    """Which buses are planned where a forest differs; shapes (B,), (trees,)."""

    core: Mask
    """The lowest buses that differ, and all that hangs below them."""

    path: Mask
    """These, and the buses above."""

    few: Mask
    """Trees that have so small a path that the others may be held."""

    @classmethod
    def of(cls, forest: Forest, trees: Trees, changed: Mask) -> _Region:
        parent = forest.buses.parent
        above = _with_above(parent, changed)
        higher = np.zeros(len(parent), dtype=bool)  # than one that differs
        higher[parent[above & (parent != ROOT)]] = True
        core = changed & ~higher
        while (more := core | (core[parent] & (parent != ROOT))).sum() > core.sum():
            core = more
        path = above | core
        count = len(trees.roots)
        mine = np.bincount(trees.of, path, count)
        return cls(core=core, path=path, few=mine <= FEW * np.bincount(trees.of, minlength=count))


def _with_above(parent: Ints, some: Mask) -> Mask:
    found, at = some.copy(), np.flatnonzero(some)
    while len(at := np.unique(parent[at][parent[at] != ROOT])):
        found[at] = True
    return found


# ------------------------------------------------------------ what is put in place of what was


@dataclass(slots=True, eq=False)
class _Anew:
    """An answer in which some of the forest is planned anew; its arrays are written into."""

    before: Forest
    solved: Solved
    forest: Forest
    answer: Solved

    def whole(self, buses: Mask, solve: Solve) -> bool:
        """Take whole trees anew; whether they have a plan."""
        picked = pick(self.forest, buses=buses)
        theirs = solve(picked.forest)
        if not isinstance(theirs, Solved):
            return False
        picked.put(theirs.point, theirs.duals, self.answer.point, self.answer.duals)
        roots = picked.buses
        self._count(buses, theirs, theirs.bound, fallbacks=roots[list(theirs.fallbacks)])
        decided = roots[list(theirs.decided)].tolist()
        self.answer = replace(self.answer, decided=(*self.answer.decided, *decided))
        return True

    def beside(self, buses: Mask, core: Mask, solve: Solve) -> bool:
        """Take `core` of some trees anew, and the buses above, beside what they hold; whether there is a plan."""
        path = pick(self.forest, buses=buses)
        theirs = solve(_beside_others(self.forest, self.answer.point, path, buses))
        scratch, prices = path.take(self.answer.point, self.answer.duals)
        own = _alone(path.forest, prices, core[buses])
        proof = solve(own.forest) if isinstance(theirs, Solved) else theirs
        if not (isinstance(theirs, Solved) and isinstance(proof, Solved)):
            return False
        own.put(proof.point, proof.duals, scratch, prices)
        prices = sound(path.forest, prices)
        path.put(theirs.point, prices, self.answer.point, self.answer.duals)
        roots = self._roots()[buses]
        fell_back = [*theirs.fallbacks, *own.buses[list(proof.fallbacks)].tolist()]
        bound = float(lower_bounds(path.forest, prices).sum())
        self._count(buses, theirs, bound, fallbacks=np.unique(roots[fell_back]))
        held = (*self.answer.held, *np.unique(roots).tolist())
        self.answer = replace(self.answer, held=held)
        return True

    def _count(self, buses: Mask, theirs: Solved, bound: float, *, fallbacks: Ints) -> None:
        """What some buses cost and prove now, in place of what they did."""
        was, answer = pick(self.before, buses=buses), self.answer
        point, duals = was.take(self.solved.point, self.solved.duals)
        old_bound = float(lower_bounds(was.forest, sound(was.forest, duals)).sum())
        moved = bound - old_bound - ROUNDING * (1.0 + abs(old_bound))
        self.answer = replace(
            answer,
            cost=answer.cost - float(costs(was.forest, point).sum()) + theirs.cost,
            bound=answer.bound + moved,
            residual=max(answer.residual, theirs.residual),
            iterations=max(answer.iterations, theirs.iterations),
            method=theirs.method,
            fallbacks=(*answer.fallbacks, *fallbacks.tolist()),
        )

    def _roots(self) -> Ints:
        """The root above each bus."""
        trees = self.forest.trees()
        return trees.roots[trees.of]


def _beside_others(forest: Forest, point: Point, path: Picked, buses: Mask) -> Forest:
    """The picked buses, for whom what the others send up is given."""
    parent = forest.buses.parent
    number = np.cumsum(buses) - 1
    up_to = parent[forest.parts.bus]
    held = np.flatnonzero(~buses[forest.parts.bus] & (up_to != ROOT) & buses[up_to])
    sent_kw = forest.parts.up[held] * point.part[held]
    load_kw = path.forest.buses.load_kw - summed(sent_kw, number[up_to[held]], len(path.buses))
    return replace(path.forest, buses=replace(path.forest.buses, load_kw=load_kw))


def _alone(forest: Forest, duals: Duals, core: Mask) -> Picked:
    """Some buses and what hangs below them, paid the prices of the buses above for what they send up."""
    parent = forest.buses.parent
    tops = core & (parent != ROOT) & ~core[parent]
    parts = forest.parts
    paid = tops[parts.bus][:, None]
    above = duals.bus[parent[parts.bus]]  # a root has none, and pays nothing
    cut = replace(
        forest,
        buses=replace(forest.buses, parent=np.where(tops, ROOT, parent)),
        parts=replace(
            parts,
            cost=np.where(paid, parts.cost - parts.up * above, parts.cost),
            up=np.where(paid, 0.0, parts.up),
        ),
    )
    return pick(cut, buses=core)
