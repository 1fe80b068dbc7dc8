"""Resources of one kind, gathered once: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.kindred import Kindred
from vpp.model.resource import Storage


def battery(name: str, **more: Any) -> Storage:
    told = {"capacity_kwh": 10.0, "max_charge_kw": 4.0, "max_discharge_kw": 5.0} | more
    return Storage(
        resource_id=ResourceId(name),
        enterprise_id=EnterpriseId("works"),
        connection_point_id=ConnectionPointId("gate"),
        **told,
    )


@pytest.fixture
def three() -> Kindred[Storage]:
    units = [
        battery("a", standing_loss_per_h=0.5),
        battery("b", final_soc=0.0, capacity_kwh=20.0),
        battery("c", power_series_id="share"),
    ]
    return Kindred(units, np.array([1, 4, 6]))


def test_columns_are_what_each_says_and_nothing_where_it_says_none(three: Kindred[Storage]) -> None:
    assert three.column("capacity_kwh").tolist() == [[10], [20], [10]]
    assert three.column("kept", 2.0).tolist() == [[0.25], [1], [1]]
    assert three.column("kept", 1.0).tolist() == [[0.5], [1], [1]]
    assert np.isnan(three.column("final_soc")).tolist() == [[True], [False], [True]]
    assert three.where("power_series_id").tolist() == [2]
    assert three.words("min_soc") == ("a: min_soc", "b: min_soc", "c: min_soc")
    assert three.place == {"a": 0, "b": 1, "c": 2}


def test_what_is_kept_is_gathered_once_and_nobody_writes_into_it(three: Kindred[Storage]) -> None:
    kept = three.column("capacity_kwh")
    assert three.column("capacity_kwh") is kept
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 5.0


def test_some_of_them_have_their_own_columns(three: Kindred[Storage]) -> None:
    three.column("capacity_kwh")
    last = three.only(np.array([False, True, True]))
    assert last.names == ("b", "c")
    assert last.rows.tolist() == [4, 6]
    assert last.column("capacity_kwh").tolist() == [[20], [10]]
    assert three.only(np.array([False, True, True])) is last
    assert three.only(np.array([True, False, False])).names == ("a",)
    assert three.only(np.array([True, True, True])) is three
    assert len(three.only(np.zeros(3, dtype=bool)).column("capacity_kwh")) == 0
