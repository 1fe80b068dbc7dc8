"""What cannot be is named: which limits clash, when, and what would help."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, vstack

from vpp.model.schedule import Conflict
from vpp.model.time import Interval
from vpp.plan.compile import build
from vpp.plan.conflict import find_conflict
from vpp.plan.lp import Deadline
from vpp.plan.programme import Named, Programme, Side

NEVER = Deadline(lambda: 0.0, 1e6)


def with_rows(
    programme: Programme, *rows: tuple[str, Side, Any, float], whole: bool = False
) -> Programme:
    """The programme with more rows: words, side, columns that add up, and what limits them."""
    count, columns = programme.matrix.shape
    new = np.zeros((len(rows), columns))
    lower, upper = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    named = list(programme.named)
    for number, (words, side, some, limit) in enumerate(rows):
        new[number, some] = 1.0
        (lower if side is Side.ROW_LOWER else upper)[number] = limit
        named.append(Named((words,), side, np.array([[count + number]]), np.array([[-1]])))
    return replace(
        programme,
        matrix=csr_array(vstack([programme.matrix, csr_array(new)])),
        row_lower=np.append(programme.row_lower, lower),
        row_upper=np.append(programme.row_upper, upper),
        named=tuple(named),
        integral=rows[0][2] if whole else programme.integral,
    )


@pytest.fixture
def battery(lab: Any) -> tuple[Any, Programme]:
    """Four hours of a lossless 100 kWh / 100 kW battery that holds 10 kWh."""
    view = lab.view(
        lab.battery(), price=[0.1, 0.2, 0.3, 0.4], readings=[lab.reading("bat", soc=0.1)]
    )
    return view, build(view, lab.terms(view), limit_excess_price_per_kwh=lab.excess_per_kwh)


def conflict_of(battery: tuple[Any, Programme], *rows: Any, whole: bool = False) -> Conflict:
    view, programme = battery
    found = find_conflict(with_rows(programme, *rows, whole=whole), view.horizon, NEVER)
    assert found is not None
    return found


def test_only_limits_that_are_needed_for_the_clash_are_named(
    lab: Any, battery: tuple[Any, Programme]
) -> None:
    """150 kWh are to come out, 10 are there, 50 may come in: 90 are missing."""
    storages = battery[1].fleet.storages

    found = conflict_of(
        battery,
        ("bat: work", Side.ROW_LOWER, storages.discharge[0], 150.0),
        ("bat: intake", Side.ROW_UPPER, storages.charge[0], 50.0),
        ("bat: first hours", Side.ROW_UPPER, storages.charge[0, :2], 500.0),
    )

    assert [limit.limit for limit in found.limits] == ["bat: min_soc", "bat: work", "bat: intake"]
    last_hour = Interval(lab.noon + timedelta(hours=3), lab.noon + timedelta(hours=4))
    assert found.limits[0].span == last_hour
    assert [(r.limit, round(r.most, 6)) for r in found.relaxations] == [("bat: work", 90.0)]
    assert str(found) == (
        "these limits cannot all hold: bat: min_soc (2025-12-03T14:00Z to 2025-12-03T15:00Z),"
        " bat: work (2025-12-03T11:00Z to 2025-12-03T15:00Z),"
        " bat: intake (2025-12-03T11:00Z to 2025-12-03T15:00Z);"
        " the smallest relaxation that helps:"
        " bat: work by 90 (2025-12-03T11:00Z to 2025-12-03T15:00Z)"
    )


def test_the_smallest_relaxation_is_enough_and_no_more(battery: tuple[Any, Programme]) -> None:
    view, programme = battery
    discharge = programme.fleet.storages.discharge[0]
    rows = (
        ("bat: work", Side.ROW_LOWER, discharge, 500.0),
        (
            "bat: pace",
            Side.ROW_UPPER,
            discharge[:3],
            120.0,
        ),
    )
    (relaxation,) = conflict_of(battery, *rows).relaxations

    def clashes(work: float) -> bool:
        eased = with_rows(programme, ("bat: work", Side.ROW_LOWER, discharge, work), rows[1])
        return find_conflict(eased, view.horizon, NEVER) is not None

    assert relaxation.most == pytest.approx(500 - 220)  # 120 in three hours, 100 in the last
    assert not clashes(500 - relaxation.most - 0.01)
    assert clashes(500 - relaxation.most + 0.01)


def test_decisions_that_clash_only_as_whole_numbers_are_found_too(
    battery: tuple[Any, Programme],
) -> None:
    """The charging columns become 0 or 1: neither more than 2.5 nor less than 2.2 of them."""
    charge = battery[1].fleet.storages.charge[0]

    found = conflict_of(
        battery,
        ("bat: at least", Side.ROW_LOWER, charge, 2.2),
        ("bat: at most", Side.ROW_UPPER, charge, 2.5),
        whole=True,
    )

    assert {limit.limit for limit in found.limits} == {"bat: at least", "bat: at most"}
    (relaxation,) = found.relaxations
    assert relaxation.limit == "bat: at least"
    assert relaxation.most == pytest.approx(0.2)


def test_limits_of_the_tree_that_cannot_be_kept_are_broken_as_little_as_can_be_and_named(
    lab: Any,
) -> None:
    """130 and 120 kW come by themselves, 100 may; the battery has 10 kWh to help with."""
    view = lab.view(
        lab.load(),
        lab.battery(),
        price=[0.1, 0.1, 0.1],
        base_kw={"load": [-130.0, -50.0, -120.0]},
        readings=[lab.reading("bat", soc=0.1)],
        point_limits=lab.limits(import_kw=100.0),
    )

    schedule = lab.plan(view)

    (broken,) = schedule.broken
    assert broken.limit == "connection point cp-a: import_kw"
    hour = lab.noon + timedelta(hours=1)
    assert broken.span == Interval(lab.noon, hour)  # by 13:00 the battery has charged 20 more
    assert broken.most == pytest.approx(20)
    assert lab.plan(replace(view, park=lab.park(*view.park.resources))).broken == ()


def test_a_plan_that_exists_has_no_conflict(battery: tuple[Any, Programme]) -> None:
    assert find_conflict(battery[1], battery[0].horizon, NEVER) is None
