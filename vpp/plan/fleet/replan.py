"""One bus planned anew while all others stay as they are: what a fleet's small change costs.

A tree's answer comes with the prices of its buses. With the price mu of the bus above held, the bound of the
whole is a sum over what hangs below it, so that a change at one bus b moves one summand:

    point    b and the buses above it are solved with all other buses held: what these send up is given
    prices   b by itself, paid mu for what it sends up (its parts cost less up·mu)
    bound    L - L_b(before) + L_b(anew)          cost   less what b and those above cost, plus what they do

So two small forests are solved however large the whole one is. What the others could do better now is not
looked for; it shows in the gap, which is certified as ever, and the next plan of all takes it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.bound import lower_bounds, sound
from vpp.plan.fleet.certify import costs
from vpp.plan.fleet.forest import (
    ROOT,
    Answer,
    Duals,
    Failed,
    Forest,
    Infeasible,
    Ints,
    Point,
    Solved,
)
from vpp.plan.fleet.pick import Mask, Picked, pick
from vpp.plan.fleet.solve import TOLERANCE, Kernels, solve_forest
from vpp.plan.fleet.sums import summed
from vpp.plan.lp import Deadline

ROUNDING = 1e-10
"""Of a summand that is taken out of the bound and put in anew, relative to 1 + its size."""


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """A bus with what hangs below it, and the buses above it, as a forest of their own."""

    picked: Picked
    below: Mask
    """Of the picked buses: the bus itself and what hangs below it."""

    bus: int
    """Of the picked ones."""

    held_kw: Floats
    """What the buses that are held send up to each of the picked ones, shape (buses, T)."""


def replan_bus(
    before: Forest,
    solved: Solved,
    forest: Forest,
    bus: int,
    *,
    kernels: Kernels,
    deadline: Deadline,
    tolerance: float = TOLERANCE,
) -> Answer:
    """The answer to a forest that differs from one that was solved in one bus and what hangs below it.

    Args:
        before: What was solved.
        solved: Its answer; left as it is.
        forest: The same but for `bus` and below: as many stores, parts and so on, with other numbers.
        bus: Where it differs.
        kernels: Of the structured solver.
        deadline: When to give up.
        tolerance: Of the two small forests that are solved.
    """

    def small(of: Forest) -> Answer:
        return solve_forest(of, kernels=kernels, deadline=deadline, tolerance=tolerance)

    path = _path(forest, solved.point, bus)
    here = path.picked.forest
    load_kw = here.buses.load_kw - path.held_kw
    answer = small(replace(here, buses=replace(here.buses, load_kw=load_kw)))
    if isinstance(answer, Infeasible):
        return _named(answer, path.picked)
    if isinstance(answer, Failed):
        return answer
    was = _path(before, solved.point, bus).picked
    old_point, old_duals = was.take(solved.point, solved.duals)
    own, own_before = _alone(here, old_duals, path), _alone(was.forest, old_duals, path)
    proof = answer if forest.buses.parent[bus] == ROOT else small(own.forest)
    if not isinstance(proof, Solved):
        return Failed(reason=f"bus {bus} has no prices of its own: {proof}")
    _, theirs = own_before.take(old_point, old_duals)
    old_bound = float(lower_bounds(own_before.forest, sound(own_before.forest, theirs)).sum())
    root = _root(forest, bus)
    point, prices, duals = _copied(solved.point), _copied(solved.duals), _copied(old_duals)
    own.put(proof.point, proof.duals, _copied(answer.point), duals)
    path.picked.put(answer.point, duals, point, prices)
    moved = proof.bound - old_bound - ROUNDING * (1.0 + abs(old_bound))
    bound = solved.bound + moved
    if root in solved.decided:
        # That bound counts decisions of this bus too; the prices prove something without them.
        bound = float(lower_bounds(forest, sound(forest, prices)).sum())
    # What is decided, or left to HiGHS, is so of the one tree that both small forests are of.
    decided = {root} if answer.decided or proof.decided else set[int]()
    return replace(
        answer,
        point=point,
        duals=prices,
        cost=solved.cost - float(costs(was.forest, old_point).sum()) + answer.cost,
        bound=bound,
        residual=max(solved.residual, answer.residual),
        decided=tuple(sorted({*solved.decided, *decided})),
        fallbacks=(root,) if answer.fallbacks or proof.fallbacks else (),
    )


def _named(answer: Infeasible, picked: Picked) -> Infeasible:
    """What lacks, by the numbers of the whole forest."""

    def of_whole(which: Ints, number: int) -> int:
        return number if number < 0 else int(which[number])

    return Infeasible(
        clashes=tuple(
            replace(
                one,
                bus=of_whole(picked.buses, one.bus),
                budget=of_whole(picked.budgets, one.budget),
                store=of_whole(picked.stores, one.store),
            )
            for one in answer.clashes
        )
    )


def _path(forest: Forest, point: Point, bus: int) -> _Path:
    parent = forest.buses.parent
    below = np.zeros(len(parent), dtype=bool)
    below[bus] = True
    while (more := below | (below[parent] & (parent != ROOT))).sum() > below.sum():
        below = more
    mask, above = below.copy(), int(parent[bus])
    while above != ROOT:
        mask[above] = True
        above = int(parent[above])
    picked = pick(forest, buses=mask)
    number = np.cumsum(mask) - 1
    up_to = parent[forest.parts.bus]
    held = np.flatnonzero(~mask[forest.parts.bus] & (up_to != ROOT) & mask[up_to])
    sent_kw = forest.parts.up[held] * point.part[held]
    return _Path(
        picked=picked,
        below=below[mask],
        bus=int(number[bus]),
        held_kw=summed(sent_kw, number[up_to[held]], len(picked.buses)),
    )


def _alone(forest: Forest, duals: Duals, path: _Path) -> Picked:
    """The path's bus and what hangs below it, paid the price of the bus above for what it sends up."""
    above = int(forest.buses.parent[path.bus])
    parent, cost, up = forest.buses.parent.copy(), forest.parts.cost, forest.parts.up
    if above != ROOT:
        parent[path.bus] = ROOT
        mine = (forest.parts.bus == path.bus)[:, None]
        cost = cost - np.where(mine, up * duals.bus[above], 0.0)
        up = np.where(mine, 0.0, up)
    cut = replace(
        forest,
        buses=replace(forest.buses, parent=parent),
        parts=replace(forest.parts, cost=cost, up=up),
    )
    return pick(cut, buses=path.below)


Arrays = TypeVar("Arrays", Point, Duals)


def _copied(arrays: Arrays) -> Arrays:
    return replace(
        arrays, **{each.name: getattr(arrays, each.name).copy() for each in fields(arrays)}
    )


def _root(forest: Forest, bus: int) -> int:
    while (above := int(forest.buses.parent[bus])) != ROOT:
        bus = above
    return bus
