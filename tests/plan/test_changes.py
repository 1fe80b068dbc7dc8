"""What changed since the last plan, over the steps that both cover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.time import Interval
from vpp.plan.changes import Planned, PowerChange, StartChange, changes

START = datetime(2025, 12, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def plan(
    name: str,
    power_kw: dict[str, list[float]],
    *,
    start: datetime = START,
    step: timedelta = HOUR,
    starts: dict[str, tuple[datetime, ...]] | None = None,
    cost: dict[str, float] | None = None,
) -> Planned:
    power = {key: np.array(values) for key, values in power_kw.items()}
    return Planned(
        plan_id=name,
        horizon=Horizon(start, step, len(next(iter(power.values())))),
        power_kw=power,
        net_kw=np.sum(list(power.values()), axis=0),
        starts=starts or {},
        cost_by_cause=cost or {},
    )


def test_a_shifted_plan_is_compared_over_the_hours_that_both_know() -> None:
    old = plan("plan-1", {"b": [9.0, 10.0, 0.0, -10.0]})
    new = plan("plan-2", {"b": [10.0, 5.0, -30.0, 70.0]}, start=START + HOUR)

    found = changes(old, new)

    assert found.span == Interval(START + HOUR, START + 4 * HOUR)
    assert found.powers == (
        PowerChange(
            resource_id="b",
            moved_kwh=25.0,
            most_at=START + 3 * HOUR,
            before_kw=-10.0,
            now_kw=-30.0,
        ),
    )
    assert found.cost_by_cause is None


def test_the_most_moved_comes_first_and_what_did_not_move_is_not_told() -> None:
    old = plan("plan-1", {"a": [0.0, 0.0], "b": [0.0, 0.0], "c": [5.0, 5.0]})
    new = plan("plan-2", {"a": [1.0, 0.0], "b": [0.0, 7.0], "c": [5.0, 5.01]})

    assert [change.resource_id for change in changes(old, new).powers] == ["b", "a"]


def test_starts_that_came_went_or_moved_are_told_and_those_before_are_not() -> None:
    before = {"kiln": (START, START + 2 * HOUR), "saw": (START + HOUR,), "old": (START - HOUR,)}
    now = {"kiln": (START, START + 3 * HOUR), "oven": (START + HOUR,)}
    power = {"kiln": [0.0] * 4}

    found = changes(plan("plan-1", power, starts=before), plan("plan-2", power, starts=now))

    assert found.starts == (
        StartChange(
            resource_id="kiln",
            before=(START, START + 2 * HOUR),
            now=(START, START + 3 * HOUR),
        ),
        StartChange(resource_id="oven", before=(), now=(START + HOUR,)),
        StartChange(resource_id="saw", before=(START + HOUR,), now=()),
    )
    assert found.sentences(BERLIN, "EUR") == (
        "kiln starts at Wed 11:00, Wed 14:00, before at Wed 11:00, Wed 13:00.",
        "oven starts at Wed 12:00, before not at all.",
        "saw does not start, before at Wed 12:00.",
    )


def test_costs_are_compared_where_both_cover_the_same_hours() -> None:
    power = {"b": [0.0, 0.0]}
    old = plan("plan-1", power, cost={"market": 10.0, "wear": 2.0, "peak": 4.0})
    new = plan("plan-2", power, cost={"market": 7.0, "wear": 2.001, "fuel": 1.0, "peak": 4.0})

    found = changes(old, new)

    assert found.cost_by_cause == {"fuel": 1.0, "market": -3.0}
    assert found.sentences(BERLIN, "EUR") == (
        "The cost changes by -2.00 EUR: fuel +1.00, market -3.00.",
    )


def test_plans_of_different_steps_are_compared_on_the_finer() -> None:
    old = plan("plan-1", {"b": [10.0, 20.0]})
    new = plan("plan-2", {"b": [10.0, 12.0, 20.0, 20.0]}, step=HOUR / 2)

    (change,) = changes(old, new).powers

    assert (change.moved_kwh, change.most_at) == (1.0, START + HOUR / 2)


def test_plans_that_do_not_meet_have_nothing_to_compare() -> None:
    new = plan("plan-2", {"b": [1.0]}, start=START + 5 * HOUR)

    found = changes(plan("plan-1", {"b": [0.0]}), new)

    assert (found.span, found.powers) == (None, ())
    assert found.sentences(BERLIN, "EUR") == ("plan-1 covers other hours: nothing to compare.",)


def test_the_same_plan_changes_nothing() -> None:
    same = plan("plan-1", {"b": [1.0, 2.0]}, cost={"market": 1.0})

    assert changes(same, same).sentences(BERLIN, "EUR") == ("Nothing changed since plan-1.",)


def test_a_power_that_moves_is_told_on_the_parks_clock() -> None:
    old = plan("plan-1", {"b": [0.0, 0.0]})
    new = plan("plan-2", {"b": [0.0, -50.0]})

    assert changes(old, new).sentences(BERLIN, "EUR") == (
        "b moves 50.0 kWh, most at Wed 12:00: -50.0 kW, before +0.0 kW.",
        "The park moves 50.0 kWh, most at Wed 12:00: -50.0 kW, before +0.0 kW.",
    )
