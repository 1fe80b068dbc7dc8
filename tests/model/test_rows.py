"""Rows of an array by name."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.horizon import Horizon
from vpp.model.rows import Profiles, Rows
from vpp.model.time import QUARTER

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


HORIZON = Horizon(datetime(2025, 12, 3, tzinfo=UTC), QUARTER, 2)


def test_profiles_read_as_a_dict_of_profiles_here_and_in_another_process() -> None:
    for profiles in (p := Profiles(HORIZON, ROWS), pickle.loads(pickle.dumps(p))):
        assert {name: one.values.tolist() for name, one in profiles.items()} == {
            "b": [1, 2],
            "a": [3, 4],
        }
        assert profiles["a"].horizon == HORIZON
        assert "c" not in profiles


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_profiles_are_complete_where_every_value_is_known(unknown: float) -> None:
    assert Profiles(HORIZON, ROWS).complete
    assert not Profiles(HORIZON, Rows(("a",), np.array([[1.0, unknown]]))).complete


def test_profiles_have_a_value_for_each_step() -> None:
    with pytest.raises(DataError, match="on 3 steps"):
        Profiles(Horizon(HORIZON.start, QUARTER, 3), ROWS)
