"""Curtailable loads: turned down where that is cheaper, freely or in calls that something limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.schedule import Schedule

HOUR = timedelta(hours=1)
DRAW = [-100.0] * 6
DEAR = 0.5
CHEAP = 0.1


def planned(
    lab: Any,
    load: Any,
    price: list[float],
    *,
    said: dict[str, Any] | None = None,
    heard: bool = True,
    **more: Any,
) -> Schedule:
    """A plan of one load that draws 100 kW; half of it may be turned down for 0.20 a kWh."""
    view = lab.view(
        load,
        price=price,
        readings=[lab.reading("shop", **({"power_kw": -100.0} | (said or {})))] if heard else [],
        base_kw={"shop": DRAW[: len(price)]},
        **more,
    )
    schedule: Schedule = lab.plan(view)
    return schedule


def test_a_load_is_turned_down_where_its_energy_is_dearer_than_its_patience(lab: Any) -> None:
    schedule = planned(lab, lab.curtailable(), [CHEAP, DEAR, CHEAP])

    assert lab.power(schedule, "shop").tolist() == [-100, -50, -100]
    assert schedule.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx([0, 50, 0])
    assert schedule.cost_by_cause["curtailment"] == pytest.approx(50 * 0.2)
    assert schedule.starts == {}  # nothing limits its calls: they are not counted


def test_a_load_that_is_not_heard_is_not_turned_down(lab: Any) -> None:
    schedule = planned(lab, lab.curtailable(), [DEAR], heard=False)

    assert lab.power(schedule, "shop").tolist() == [-100]
    assert "shop" not in schedule.curtailed_kw


def test_a_load_that_feeds_cannot_be_turned_down(lab: Any) -> None:
    view = lab.view(
        lab.curtailable(), price=[DEAR], readings=[lab.reading("shop")], base_kw={"shop": [30.0]}
    )

    assert lab.power(lab.plan(view), "shop").tolist() == [30]


@pytest.mark.parametrize(
    ("limits", "price", "starts", "lengths"),
    [
        pytest.param(
            {"max_calls_per_day": 1, "longest_call": 2 * HOUR},
            [DEAR, CHEAP, 0.6, 0.7, CHEAP, DEAR],
            (2,),
            (2,),
            id="the best span where one call is left",
        ),
        pytest.param(
            {"max_calls_per_day": 1},
            [DEAR, 0.15, 0.6, CHEAP, CHEAP, CHEAP],
            (0,),
            (3,),
            id="a call may go on over an hour that does not pay",
        ),
        pytest.param(
            {"rest": 2 * HOUR, "longest_call": HOUR},
            [DEAR, CHEAP, DEAR, DEAR, CHEAP, CHEAP],
            (0, 3),
            (1, 1),
            id="two hours of rest between calls",
        ),
        pytest.param(
            {"longest_call": 2 * HOUR, "rest": HOUR},
            [0.9, 0.8, 0.3, 0.7, 0.8, 0.3],
            (0, 3),
            (2, 2),
            id="no call is longer than two hours",
        ),
        pytest.param(
            {"notice": 90 * timedelta(minutes=1)},
            [DEAR, DEAR, DEAR, CHEAP, CHEAP, CHEAP],
            (2,),
            (1,),
            id="no call begins before it was announced",
        ),
    ],
)
def test_calls_keep_their_limits(
    lab: Any,
    limits: dict[str, Any],
    price: list[float],
    starts: tuple[int, ...],
    lengths: tuple[int, ...],
) -> None:
    schedule = planned(lab, lab.curtailable(**limits), price)

    assert schedule.starts == {"shop": starts}
    assert schedule.start_lengths == {"shop": lengths}
    called = {s + k for s, length in zip(starts, lengths, strict=True) for k in range(length)}
    expected = [50 if step in called and price[step] > 0.2 else 0 for step in range(6)]
    assert schedule.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("limits", "said", "curtailed", "starts"),
    [
        pytest.param(
            {"max_calls_per_day": 1},
            {"calls_today": 1},
            [0, 0, 0, 0],
            (),
            id="no call is left today",
        ),
        pytest.param(
            {"longest_call": 3 * HOUR, "max_calls_per_day": 1},
            {"phase": RunPhase.CALLED, "phase_since": datetime(2025, 12, 3, 10, tzinfo=UTC)},
            [50, 50, 0, 0],
            (),
            id="the call under way has lasted an hour of three",
        ),
        pytest.param(
            {"rest": 2 * HOUR},
            {"phase": RunPhase.WAITING, "phase_since": datetime(2025, 12, 3, 10, tzinfo=UTC)},
            [0, 50, 50, 50],
            (1,),
            id="the last call ended an hour ago",
        ),
        pytest.param(
            {"longest_call": HOUR, "rest": 2 * HOUR},
            {"phase": RunPhase.CALLED, "phase_since": datetime(2025, 12, 3, 10, tzinfo=UTC)},
            [0, 0, 50, 0],
            (2,),
            id="the call under way is over, and the load rests",
        ),
    ],
)
def test_what_was_called_before_the_plan_counts(
    lab: Any,
    limits: dict[str, Any],
    said: dict[str, Any],
    curtailed: list[float],
    starts: tuple[int, ...],
) -> None:
    price = [0.6, DEAR, 0.7, DEAR]
    if "longest_call" in limits and "max_calls_per_day" in limits:
        price = [0.6, DEAR, 0.4, CHEAP]

    schedule = planned(lab, lab.curtailable(**limits), price, said=said)

    assert schedule.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx(curtailed)
    assert schedule.starts.get(ResourceId("shop"), ()) == starts


def test_calls_are_counted_by_the_local_day_on_which_they_begin(lab: Any) -> None:
    load = lab.curtailable(max_calls_per_day=1)

    schedule = planned(
        lab, load, [DEAR, CHEAP, DEAR, DEAR], start=datetime(2025, 12, 3, 21, tzinfo=UTC)
    )

    # 22:00 on Wednesday, and from midnight on Thursday.
    assert schedule.starts == {"shop": (0, 2)}
    assert schedule.start_lengths == {"shop": (1, 2)}


def test_a_call_that_was_announced_in_time_is_made_when_its_time_has_come(lab: Any) -> None:
    """Every plan would move it on for ever otherwise: what is near is always too near to be announced."""
    view = lab.view(
        lab.curtailable(notice=3 * HOUR),
        price=[CHEAP, DEAR, CHEAP, CHEAP],
        readings=[lab.reading("shop", power_kw=-100.0)],
        base_kw={"shop": DRAW[:4]},
    )
    assert lab.plan(view).starts == {}
    at = view.horizon.starts()[1]
    told = replace(view, announced={ResourceId("shop"): (at, at - timedelta(days=1))})
    schedule = lab.plan(told)
    assert schedule.starts == {"shop": (1,)}
    assert any("notice" in fault for fault in lab.violations(schedule, view, lab.terms(view)))


def test_a_load_that_a_person_turns_is_turned_down_no_further_than_may_be_asked(lab: Any) -> None:
    view = lab.view(
        lab.curtailable(),
        price=[DEAR] * 3,
        readings=[lab.reading("shop", power_kw=-100.0)],
        base_kw={"shop": DRAW[:3]},
    )
    bounded = replace(view, most_turned_down_kw={ResourceId("shop"): np.array([0.0, 20.0, 999.0])})
    schedule = lab.plan(bounded)

    assert schedule.curtailed_kw[ResourceId("shop")].tolist() == pytest.approx([0, 20, 50])
    unbounded = lab.plan(view)
    assert any(
        "curtailable_share" in fault
        for fault in lab.violations(unbounded, bounded, lab.terms(bounded))
    )
