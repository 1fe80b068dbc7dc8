"""Blocks as they are given, and the arrays they become: small enough to check by hand."""

from __future__ import annotations

import numpy as np

from vpp.plan.blocks import Entries, Flows, Prices, Sides, filled


def test_blocks_stand_one_after_the_other_each_broadcast_to_its_shape() -> None:
    given = [np.array([[1], [2]]), np.array(7), np.array([3, 4])]
    found = filled(given, [(2, 3), (), (2,)], np.float64)
    assert found.tolist() == [1, 1, 1, 2, 2, 2, 7, 3, 4]


def test_sides_number_their_blocks_in_the_order_in_which_they_come() -> None:
    sides = Sides()
    first = sides.add((2, 2), 0.0, np.array([[5.0], [6.0]]))
    assert sides.add((0, 4), 0.0, 1.0).shape == (0, 4)
    assert first.tolist() == [[0, 1], [2, 3]]
    assert sides.add((), -1.0, np.inf).tolist() == 4
    lower, upper = sides.arrays()
    assert lower.tolist() == [0, 0, 0, 0, -1]
    assert upper.tolist() == [5, 5, 6, 6, np.inf]


def test_entries_broadcast_and_what_is_put_twice_in_one_place_adds_up() -> None:
    entries = Entries()
    assert entries.matrix((2, 3)).toarray().tolist() == [[0, 0, 0], [0, 0, 0]]
    entries.put(np.array([[0], [1]]), np.array([2, 0]), np.array([[1.0], [2.0]]))
    entries.put(np.array([0, 0]), np.array([2, 1]), 4.0)
    found = entries.matrix((2, 3))
    assert found.toarray().tolist() == [[1, 4, 5], [2, 0, 2]]
    assert found.nnz == 5
    assert found.indices.dtype == np.int32
    blocks = [[part.tolist() for part in block] for block in entries]
    assert blocks == [
        [[0, 0, 1, 1], [2, 0, 2, 0], [1, 1, 2, 2]],
        [[0, 0], [2, 1], [4, 4]],
    ]


def test_rows_below_those_that_are_named_are_theirs() -> None:
    entries = Entries()
    entries.put(np.array([[0], [2]]), np.array([[0, 1], [1, 1]]), 2.0, below=np.arange(2))
    entries.put(np.array([3]), np.array([0]), 5.0)
    want = [[2, 0], [0, 2], [0, 2], [5, 2]]
    assert entries.matrix((4, 2)).toarray().tolist() == want
    assert [block[0].tolist() for block in entries] == [[0, 1, 2, 3], [3]]
    flows = Flows(entries, (4, 2))
    assert (flows @ np.array([1.0, 10.0])).tolist() == [2, 20, 20, 25]
    assert flows.matrix.toarray().tolist() == want


def test_prices_of_one_column_add_up() -> None:
    prices = Prices()
    prices.add(np.array([[0, 1], [2, 0]]), np.array([[1.0], [3.0]]))
    prices.add(np.array([2]), 0.5)
    assert prices.columns.tolist() == [0, 1, 2, 0, 2]
    assert prices.cost(np.array([1.0, 10.0, 100.0])) == 1 + 10 + 300 + 3 + 50
    assert Prices().cost(np.zeros(0)) == 0.0


def test_a_matrix_that_32_bits_cannot_count_is_counted_with_64() -> None:
    entries = Entries()
    far = 2**31
    entries.put(np.array([1]), np.array([far]), 3.0)
    found = entries.matrix((2, far + 1))
    assert found.indices.tolist() == [far]
    assert found.data.tolist() == [3]
