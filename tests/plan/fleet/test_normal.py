"""The normal equations taken apart, against A Theta A' written out densely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._forests import random_forest
from tests.plan.fleet.packed import dense, flat, unflat
from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.dense import DEAD_PIVOT
from vpp.plan.fleet.forest import Forest
from vpp.plan.fleet.matrix import Frame
from vpp.plan.fleet.newton import STILL
from vpp.plan.fleet.normal import factor, solve
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.peaks import Peaks


def theta_of(block: Block, dice: np.random.Generator, decades: float) -> Floats:
    """Weights over so many decades either way; columns without room stand still."""
    found = 10.0 ** dice.uniform(-decades, decades, block.u.shape)
    return np.where(block.u > 0, found, STILL)


def worst(forest: Forest, decades: float, seed: int = 0) -> float:
    """The largest error of a solution beside the dense one, relative to the largest of it."""
    dice = np.random.default_rng(seed)
    errors = []
    for block in pack(forest).blocks:
        frame = Frame.of(block)
        theta = theta_of(block, dice, decades)
        right = dice.normal(size=flat(block.right).shape)
        found = flat(solve(frame, factor(frame, theta), unflat(block.layout, right)))
        for bus in range(len(block.bus)):
            a = dense(block, bus)
            alive = (a * a) @ theta[bus] > 1e-60  # the others belong to nobody
            a = a[alive]
            matrix = (a * theta[bus]) @ a.T
            scale = 1 / np.sqrt(np.diag(matrix))
            balanced = scale[:, None] * matrix * scale
            expected = scale * np.linalg.solve(balanced, scale * right[bus, alive])
            off = np.abs(found[bus, alive] - expected).max()
            errors.append(float(off / np.abs(expected).max()))
    return max(errors)


def lively(seed: int, steps: int = 0, trees: int = 6) -> Forest:
    """A random forest in which every row has a column that moves."""
    forest = random_forest(seed, trees=trees, steps=steps)
    stores, peaks = forest.stores, forest.peaks
    return replace(
        forest,
        stores=replace(stores, into_most=np.maximum(stores.into_most, 1.0)),
        peaks=replace(peaks, most=peaks.most + 1.0),
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_solution_is_the_dense_one_for_every_kind(seed: int) -> None:
    assert worst(lively(seed), decades=2, seed=seed) < 1e-9


@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 33, 48])
def test_any_number_of_steps_will_do(steps: int) -> None:
    assert worst(lively(5, steps=steps, trees=3), decades=1) < 1e-9


def test_peak_rows_that_one_huge_weight_ties_are_solved_to_rounding() -> None:
    # th_peak 1e10 makes all right sides nearly alike; only the second row has no column of its own.
    gd = np.array([[1e-10, 1e7, 1e-10, 1e-9]])
    before = 1e-10 + np.append(0.0, np.cumsum(gd[0]))[None]
    factors = Peaks(gd=gd, before=before, counted=np.zeros((1, 4)))
    q = np.array([0.1, 0.3, -0.2, 0.5], dtype=np.longdouble)
    right = q / gd[0] + q.sum() * np.longdouble(1e10)
    found = factors.apply(right.astype(np.float64)[None, None])[0, 0]
    left = found / gd[0] + found.astype(np.longdouble).sum() * np.longdouble(1e10)
    np.testing.assert_allclose(left.astype(float), right.astype(float), rtol=1e-13)


def test_a_bus_row_that_cannot_move_is_left_out_and_spoils_no_other() -> None:
    block = pack(lively(2, steps=8)).blocks[0].take(np.array([0]))
    frame = Frame.of(block)
    theta = theta_of(block, np.random.default_rng(2), 1.0)
    columns = block.layout.split(theta)
    for group in (columns.into, columns.out, columns.draw, columns.part):
        group[..., 3] = STILL
    right = unflat(block.layout, np.random.default_rng(3).normal(size=flat(block.right).shape))
    found = solve(frame, factor(frame, theta), right)
    assert abs(found.bus[0, 3]) < DEAD_PIVOT
    assert np.isfinite(flat(found)).all()
    a = dense(block, 0)
    alive = (a * a * theta[0]).sum(axis=1) > 1e-60
    matrix = (a[alive] * theta[0]) @ a[alive].T
    expected = np.linalg.solve(matrix, flat(right)[0, alive])
    np.testing.assert_allclose(flat(found)[0, alive], expected, rtol=1e-7, atol=1e-10)
