"""A x and A'y of packed buses, against the matrix that is written out for HiGHS."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._forests import random_forest
from tests.plan.fleet.packed import dense, flat, unflat
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.layout import Rows
from vpp.plan.fleet.matrix import Frame, times, transposed
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.written import written


@pytest.mark.parametrize("seed", range(6))
def test_what_a_packed_point_leaves_of_its_rows_is_what_the_written_matrix_leaves(
    seed: int,
) -> None:
    forest = random_forest(seed, trees=4)
    whole, packed = written(forest), pack(forest)
    dice = np.random.default_rng(seed)
    x = [dice.uniform(0, 1, block.u.shape) * block.u for block in packed.blocks]
    point, duals = blank(forest)
    left = []
    for block, columns in zip(packed.blocks, x, strict=True):
        slacks = block.layout.split(columns)
        slacks.slack[...] = 0
        slacks.rest[...] = 0
        rows = times(Frame.of(block), columns)
        left.append(Rows(*(r - a for r, a in zip(block.right, rows, strict=True))))
    for block, columns, rows in zip(packed.blocks, x, left, strict=True):
        unscaled = Rows(*((group.T / block.scale).T for group in rows))
        packed.unpack(block, columns, unscaled, point, duals)
    programme = whole.programme
    lower = np.where(np.isneginf(programme.row_lower), programme.row_upper, programme.row_lower)
    expected = whole.duals(lower - programme.matrix @ whole.columns(point))
    np.testing.assert_allclose(duals.bus, expected.bus, atol=1e-8)
    np.testing.assert_allclose(duals.store, expected.store, atol=1e-8)
    np.testing.assert_allclose(duals.budget, expected.budget, atol=1e-8)
    there = np.isfinite(forest.peaks.least)
    np.testing.assert_allclose(duals.peak[there], expected.peak[there], atol=1e-8)
    np.testing.assert_allclose(duals.day_limit, expected.day_limit, atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_the_transposed_is_the_transpose(seed: int) -> None:
    block = pack(random_forest(seed, trees=1)).blocks[0]
    matrix = dense(block, 0)
    y = np.random.default_rng(seed).normal(size=(1, len(matrix)))
    out = np.full((1, block.layout.size), np.nan)
    transposed(Frame.of(block), unflat(block.layout, y), out)
    np.testing.assert_allclose(out[0], matrix.T @ y[0], atol=1e-12)


def test_rows_come_back_from_one_list_as_they_were() -> None:
    block = pack(random_forest(1, trees=3)).blocks[0]
    rows = block.right
    for one, other in zip(unflat(block.layout, flat(rows)), rows, strict=True):
        np.testing.assert_array_equal(one, other)
