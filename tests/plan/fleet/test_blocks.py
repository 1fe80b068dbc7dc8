"""A forest packed for the kernels: everything where the layout says, and back in the forest's units."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from benchmarks._forests import random_forest
from tests.plan.fleet.packed import crowded
from vpp.errors import DataError
from vpp.plan.fleet.blocks import NOBODY, blank
from vpp.plan.fleet.forest import Duals, Forest, Point
from vpp.plan.fleet.layout import Counts, Layout, Rows
from vpp.plan.fleet.packing import USUAL, cost_scales, pack
from vpp.plan.fleet.written import written


def unpacked(forest: Forest, share: float) -> tuple[Point, Duals]:
    """The point at so much of every column's room, and duals of 1 at scaled costs."""
    packed = pack(forest)
    point, duals = blank(forest)
    for block in packed.blocks:
        ones = Rows(*(np.ones_like(rows) for rows in block.layout.rows(len(block.bus))))
        packed.unpack(block, share * block.u, ones, point, duals)
    return point, duals


@pytest.mark.parametrize("seed", range(5))
def test_columns_at_their_ends_come_back_as_the_bounds_of_the_forest(seed: int) -> None:
    forest = random_forest(seed, trees=5, levels=2)
    whole = written(forest)
    least, most = (whole.columns(unpacked(forest, share)[0]) for share in (0.0, 1.0))
    np.testing.assert_allclose(least, whole.programme.lower, atol=1e-9)
    np.testing.assert_allclose(most, whole.programme.upper, atol=1e-9)


def test_scaled_costs_times_their_scale_are_the_costs_of_the_forest() -> None:
    forest = random_forest(7, trees=4)
    whole = written(forest)
    packed = pack(forest)
    point, duals = blank(forest)
    for block in packed.blocks:
        packed.unpack(block, block.c * block.scale[:, None], block.right, point, duals)
    floors = unpacked(forest, 0.0)[0]
    cost = whole.columns(point) - whole.columns(floors)
    spare = np.flatnonzero(whole.columns(floors) != 0)
    np.testing.assert_allclose(
        np.delete(cost, spare), np.delete(whole.programme.cost, spare), atol=1e-12
    )


def test_a_unit_of_dual_is_worth_the_scale_of_its_tree() -> None:
    forest = random_forest(2, trees=3, levels=2)
    duals = unpacked(forest, 0.5)[1]
    scale = cost_scales(forest)
    np.testing.assert_allclose(duals.bus, np.repeat(scale[:, None], forest.steps, axis=1))
    np.testing.assert_allclose(duals.store[:, 0], scale[forest.stores.bus])


def test_every_bus_of_a_tree_has_the_scale_that_brings_its_usual_price_near_a_twentieth() -> None:
    forest = random_forest(4, trees=3, levels=3)
    scale = cost_scales(forest)
    np.testing.assert_array_equal(scale, scale[forest.trees().roots][forest.trees().of])
    dearer = replace(forest, parts=replace(forest.parts, cost=1000 * forest.parts.cost))
    np.testing.assert_allclose(cost_scales(dearer), 1000 * scale)
    block = pack(dearer).blocks[0]
    price = np.abs(block.layout.split(block.c).part[0])
    assert USUAL / 10 < np.quantile(price[price > 0], 0.25) < 10 * USUAL


def test_places_of_nobody_are_held_at_nothing_and_owe_nothing() -> None:
    dummies = 0
    for block in pack(crowded(random_forest(9, trees=12), 3)).blocks:
        nobody = block.store == NOBODY
        columns = block.layout.split(block.u)
        assert (columns.into[nobody] == 0).all()
        assert (columns.level[nobody] == 0).all()
        assert (block.r_store[nobody] == 0).all()
        assert (block.keep[nobody] == 1).all()
        dummies += int(nobody.sum())
    assert dummies > 0


def test_a_level_that_may_not_be_empty_is_shifted_out_of_its_rows() -> None:
    forest = random_forest(1, trees=1, steps=3)
    stores = forest.stores
    floor = np.full(stores.given.shape, 2.0)
    raised = replace(
        forest,
        stores=replace(stores, level_least=floor, level_most=stores.level_most + floor),
    )
    before, after = (pack(one).blocks[0].r_store for one in (forest, raised))
    np.testing.assert_allclose(before[0, :, 0] - after[0, :, 0], 2.0)
    np.testing.assert_allclose(
        before[0, :, 1] - after[0, :, 1], 2.0 * (1 - stores.keep[: before.shape[1]])
    )


def test_some_buses_are_packed_without_the_others() -> None:
    forest = random_forest(6, trees=4)
    packed = pack(forest, np.array([1, 3]))
    assert sorted(int(bus) for block in packed.blocks for bus in block.bus) == [1, 3]


def test_gains_have_a_step_each_only_where_one_of_them_changes() -> None:
    forest = random_forest(5, trees=4)
    gain = np.array(forest.stores.gain)
    assert {block.gain.shape[2] for block in pack(forest).blocks} == {1}
    gain[0, -1] *= 0.5
    packed = pack(replace(forest, stores=replace(forest.stores, gain=gain)))
    own, at = next((b, np.argwhere(b.store == 0)[0]) for b in packed.blocks if (b.store == 0).any())
    np.testing.assert_array_equal(own.gain[tuple(at)], gain[0])


def test_an_endless_column_is_refused() -> None:
    forest = random_forest(0)
    endless = replace(forest.parts, most=np.full(forest.parts.most.shape, np.inf))
    with pytest.raises(DataError, match="endless"):
        pack(replace(forest, parts=endless))


def test_a_peak_of_two_steps_an_interval_is_long_and_of_one_is_not() -> None:
    forest = random_forest(3, trees=8, steps=4)
    for block in pack(forest).blocks:
        doubled = [
            (np.bincount(of[share > 0]) > 1).any()
            for bus in range(len(block.bus))
            for of, share in zip(block.interval[bus], block.share[bus], strict=True)
        ]
        assert block.long == any(doubled)


def test_groups_of_columns_stand_in_the_order_that_is_told() -> None:
    layout = Layout(steps=2, intervals=1, counts=Counts(1, 1, 1, 1, 1, 1, 1))
    columns = layout.split(np.arange(float(layout.size))[None])
    assert [float(group.ravel()[0]) for group in columns] == [
        *(0, 2, 4, 6, 8, 10),
        *(12, 13, 14, 15, 16, 17),
    ]
    assert layout.size == 19


def test_a_second_peak_on_a_bus_is_refused() -> None:
    forest = random_forest(3, trees=8)
    peaks = forest.peaks
    twice = {field.name: getattr(peaks, field.name).repeat(2, 0) for field in fields(peaks)}
    with pytest.raises(DataError, match="two peaks"):
        replace(forest, peaks=replace(peaks, **(twice | {"counts": peaks.counts})))
