"""Rows of an array by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.rows import Rows

ROWS = Rows(("b", "a"), np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_rows_read_as_a_dict_of_arrays_in_their_order() -> None:
    assert list(ROWS) == ["b", "a"]
    assert ROWS["a"].tolist() == [3, 4]
    assert "c" not in ROWS
    assert ROWS.get("c") is None
    assert {name: row.tolist() for name, row in ROWS.items()} == {"b": [1, 2], "a": [3, 4]}


def test_rows_are_the_same_in_another_process_and_one_array_there() -> None:
    again = pickle.loads(pickle.dumps(ROWS))

    assert again.names == ROWS.names
    assert again["b"].base is again["a"].base


@pytest.mark.parametrize("names", [("a",), ("a", "a")])
def test_every_row_has_a_name_of_its_own(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="2 rows"):
        Rows(names, np.zeros((2, 3)))
