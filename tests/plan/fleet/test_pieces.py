"""A forest in pieces is the forest: nothing lost, nothing twice, and the same answer."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest

from benchmarks._forests import random_forest
from vpp.plan.fleet import solve
from vpp.plan.fleet.forest import Forest, Infeasible, Shared, Solved
from vpp.plan.fleet.kernels import Structured
from vpp.plan.fleet.pick import Picked, pick
from vpp.plan.fleet.pieces import pieces
from vpp.plan.fleet.presolve import presolve
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)
FEW = 300
"""Columns: one tree or two of `random_forest`."""

KINDS = ("buses", "stores", "soft", "budgets", "parts", "peaks", "day_limits", "tapers")


def same(one: Forest, other: Forest) -> bool:
    return one.steps == other.steps and all(
        np.array_equal(
            getattr(getattr(one, kind), each.name), getattr(getattr(other, kind), each.name)
        )
        for kind in KINDS
        for each in fields(getattr(one, kind))
    )


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_each_piece_is_what_picking_its_buses_gives_and_all_are_the_whole(
    seed: int, joined: bool
) -> None:
    forest = random_forest(seed, trees=12, steps=12)
    if joined:  # each second of three buses stands above the other two
        up = np.where(np.arange(12) % 3 == 1, -1, np.arange(12) // 3 * 3 + 1)
        forest = replace(forest, buses=replace(forest.buses, parent=up))
    counts = np.random.default_rng(seed).random(len(forest.parts.bus)) < 0.5
    forest = replace(forest, peaks=replace(forest.peaks, counts=counts))
    cut = pieces(forest, FEW)
    assert len(cut) > 2
    for one in cut:
        mine = np.zeros(len(forest.buses.parent), dtype=bool)
        mine[one.buses] = True
        assert same(one.forest, pick(forest, buses=mine).forest)
    for kind in KINDS:
        owner = getattr(forest, kind)
        count = len(getattr(owner, fields(owner)[0].name))
        numbers = np.concatenate([getattr(one, kind) for one in cut])
        assert numbers.tolist() == list(range(count))


def test_a_tree_is_never_cut_wherever_its_root_stands() -> None:
    """Buses 0 and 1 hang on 2, 4 and 5 on 3; 6 is alone: cuts are before 3 and before 6."""
    forest = random_forest(0, trees=7, steps=4)
    up = np.array([2, 2, -1, -1, 3, 3, -1])
    forest = replace(forest, buses=replace(forest.buses, parent=up))
    assert [one.buses.tolist() for one in pieces(forest, 1)] == [[0, 1, 2], [3, 4, 5], [6]]
    crossing = replace(
        forest, buses=replace(forest.buses, parent=np.array([3, -1, 3, -1, 1, 1, -1]))
    )
    assert [one.buses.tolist() for one in pieces(crossing, 1)] == [[0, 1, 2, 3, 4, 5], [6]]


def test_pieces_are_alike_in_size_and_nothing_is_copied() -> None:
    forest = random_forest(1, trees=60, steps=24)
    cut = pieces(forest, 4 * FEW)
    sizes = [columns(one) for one in cut]
    assert len(cut) > 4
    assert max(sizes) < 2 * 4 * FEW
    assert all(np.shares_memory(one.forest.stores.given, forest.stores.given) for one in cut)


def columns(piece: Picked) -> int:
    units = 3 * len(piece.stores) + len(piece.budgets) + len(piece.parts)
    return units * piece.forest.steps


def test_a_small_forest_is_one_piece_an_empty_one_too_and_trees_that_share_columns() -> None:
    forest = random_forest(2, trees=6, steps=12)
    nothing = pick(forest, buses=np.zeros(6, dtype=bool)).forest
    assert len(pieces(forest)) == len(pieces(nothing)) == 1
    shared = Shared(
        roots=np.array([0, 3]),
        step=np.array([0]),
        here=np.ones(1),
        most=np.ones(1),
        cost=np.ones(1),
    )
    whole = replace(forest, shared=shared)
    assert len(pieces(whole, 1)) == 1
    assert pieces(whole, 1)[0].forest.shared is shared


def test_the_answer_is_the_same_however_a_forest_is_cut(
    kernels: Structured, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = random_forest(7, trees=6, steps=16)
    whole = solve.solve_forest(forest, kernels=kernels, deadline=NEVER)
    monkeypatch.setattr(solve, "pieces", partial(pieces, columns=FEW))
    cut = solve.solve_forest(forest, kernels=kernels, deadline=NEVER)
    assert isinstance(whole, Solved)
    assert isinstance(cut, Solved)
    assert (cut.cost, cut.bound) == pytest.approx((whole.cost, whole.bound), rel=1e-9)
    assert (cut.iterations, cut.fallbacks) == (whole.iterations, whole.fallbacks)
    for name in ("into", "level", "draw", "part", "peak"):
        assert getattr(cut.point, name) == pytest.approx(getattr(whole.point, name), abs=1e-3)
    assert cut.duals.bus == pytest.approx(whole.duals.bus, abs=1e-3)


def test_what_cannot_be_in_any_piece_is_told_of_the_whole_before_one_is_solved(
    kernels: Structured, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = random_forest(3, trees=6, steps=12)
    load_kw = forest.buses.load_kw.copy()
    load_kw[1, 3], load_kw[5, 7] = 1e5, 3e5
    asked = forest.budgets.asked.copy()
    asked[-1] = 1e6
    forest = replace(
        forest,
        buses=replace(forest.buses, load_kw=load_kw),
        budgets=replace(forest.budgets, asked=asked),
    )
    monkeypatch.setattr(solve, "pieces", partial(pieces, columns=FEW))
    expected = presolve(forest)
    assert isinstance(expected, Infeasible)
    assert {one.bus for one in expected.clashes} >= {1, 5}
    assert solve.solve_forest(forest, kernels=kernels, deadline=NEVER) == expected
