"""Units that know steps: what comes out can be done, and adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.rules import Room, Rule
from vpp.act.steps import Standing, Stepped, Steps, hand_out_steps, reachable, to_tell
from vpp.errors import DataError

NONE = float("nan")
INF = float("inf")


def a_room(low_kw: list[float], high_kw: list[float], base_kw: list[float] | None = None) -> Room:
    size = len(low_kw)
    return Room(
        base_kw=np.array([0.0] * size if base_kw is None else base_kw, dtype=np.float64),
        low_kw=np.array(low_kw, dtype=np.float64),
        high_kw=np.array(high_kw, dtype=np.float64),
        cost_up_per_kwh=np.zeros(size),
        cost_down_per_kwh=np.zeros(size),
        stored_kwh=np.full(size, NONE),
        capacity_kwh=np.full(size, NONE),
    )


def standing(power_kw: list[float], **more: list[float]) -> Standing:
    size = len(power_kw)
    values: dict[str, list[float]] = {
        "power_kw": power_kw,
        "since_s": [INF] * size,
        "told_kw": [NONE] * size,
        "told_s": [0.0] * size,
        "closes_s": [INF] * size,
    }
    return Standing(**{name: np.array(column) for name, column in (values | more).items()})


def steps(size: int, **columns: list[Any]) -> Steps:
    return replace(Steps.none(size), **{name: np.array(v) for name, v in columns.items()})


def shared(
    room: Room,
    total_kw: float,
    known: Steps,
    at: Standing,
    *,
    rule: Rule = Rule.PROPORTIONAL,
    period_s: float = 10,
) -> Stepped:
    return hand_out_steps(rule, room, total_kw, None, steps=known, standing=at, period_s=period_s)


# ---------------------------------------------------------------- levels and least powers


def heaters(size: int) -> Steps:
    """The first two of `size` units know 0, 50 and 100 kW of draw."""
    return Steps.none(size).with_levels({0: [0, -50, -100], 1: [0, -50, -100]})


def test_what_rounding_leaves_goes_to_units_that_know_any_power() -> None:
    """Two heaters of 0, 50 or 100 kW and a battery are to draw 90 kW: 30 each would be fair."""
    room = a_room([-100, -100, -100], [0, 0, 100])
    found = shared(room, -90, heaters(3), standing([0, 0, 0]))
    assert list(found.power_kw) == [0, -50, -40]
    assert found.left_kw == 0
    alone = shared(a_room([-100] * 2, [0] * 2), -90, heaters(2), standing([0, 0]))
    assert (sum(alone.power_kw), alone.left_kw) == (-100, 10)


def test_without_such_a_unit_the_levels_come_as_near_as_they_can_and_the_rest_is_told() -> None:
    room = a_room([-100] * 3, [0] * 3)
    known = Steps.none(3).with_levels({key: [0, -100] for key in range(3)})
    found = shared(room, -140, known, standing([0, 0, 0]))
    assert sorted(found.power_kw) == [-100, 0, 0]
    assert found.left_kw == -40


def test_as_many_switch_as_the_others_can_make_up_for_not_as_is_nearest() -> None:
    """60 kW less from loads of 100 kW: nearest is one load, and a battery that can only feed 10."""
    room = a_room([-100, -100, -10], [0, 0, 10], [-50, -50, 0])
    known = Steps.none(3).with_levels({0: [0, -100], 1: [0, -100]})
    assert shared(room, -60, known, standing([-100, 0, 0])).left_kw == 30
    wide = a_room([-100, -100, -60], [0, 0, 60], [-50, -50, 0])
    assert shared(wide, -60, known, standing([-100, 0, 0])).left_kw == 0


def test_a_machine_with_a_least_power_is_off_or_above_it_never_between() -> None:
    room = a_room([-100, -100], [0, 0])
    known = steps(2, least_kw=[40.0, 40.0])
    found = shared(room, -60, known, standing([0, 0]))
    assert sorted(found.power_kw) == [-60, 0]
    assert found.left_kw == 0
    assert sorted(shared(room, -120, known, standing([0, 0])).power_kw) == [-60, -60]


def test_two_machines_do_not_swap_places_for_nothing() -> None:
    room = a_room([-100, -100], [0, 0], [-49.0, -51.0])
    known = Steps.none(2).with_levels({0: [0, -100], 1: [0, -100]})
    assert list(shared(room, -100, known, standing([-100, 0])).power_kw) == [-100, 0]
    assert list(shared(room, -100, known, standing([0, -100])).power_kw) == [0, -100]


@pytest.mark.parametrize("side", [-1, 1])
def test_where_the_room_has_no_level_the_unit_takes_the_one_nearest_to_zero(side: int) -> None:
    low, high = sorted((10.0 * side, 40.0 * side))
    known = Steps.none(1).with_levels({0: [0, 50 * side, 100 * side]})
    found = shared(a_room([low], [high]), 30.0 * side, known, standing([0]))
    assert (list(found.power_kw), found.left_kw) == ([0], 30 * side)


# ---------------------------------------------------------------- dwell, notice, once, ramps


def test_who_came_on_stays_on_and_who_went_off_stays_off_for_the_least_time() -> None:
    room = a_room([-100, -100, -100], [0, 0, 0])
    known = steps(3, least_kw=[40.0] * 3, least_on_s=[60.0] * 3, least_off_s=[60.0] * 3)
    at = standing([-50, 0, 0], since_s=[30, 30, INF])
    found = shared(room, 0, known, at)
    assert list(found.power_kw) == [-40, 0, 0]
    assert list(found.held) == [True, True, False]
    assert found.left_kw == 40
    assert list(shared(room, -240, known, at).power_kw) == [-100, 0, -100]
    rested = standing([-50, 0, 0], since_s=[60, 60, INF])
    assert list(shared(room, 0, known, rested).power_kw) == [0, 0, 0]
    assert list(shared(room, -300, known, rested).power_kw) == [-100, -100, -100]


def test_a_machine_may_have_to_rest_without_having_to_stay_on() -> None:
    known = steps(1, least_off_s=[60.0])
    room = a_room([-100], [0])
    assert list(shared(room, -50, known, standing([0], since_s=[59])).power_kw) == [0]
    assert list(shared(room, -50, known, standing([0], since_s=[60])).power_kw) == [-50]
    assert list(shared(room, 0, known, standing([-50], since_s=[0])).power_kw) == [0]


def test_a_unit_that_wants_notice_moves_when_it_is_over_and_only_to_what_it_was_told() -> None:
    room = a_room([-100, -100], [100, 100])
    known = steps(2, notice_s=[600.0, 0.0])
    early = standing([0, 0], told_kw=[60, NONE], told_s=[590, 0])
    assert list(shared(room, 100, known, early).power_kw) == [0, 100]
    due = standing([0, 0], told_kw=[60, NONE], told_s=[600, 0])
    assert list(shared(room, 100, known, due).power_kw) == [60, 40]
    untold = standing([0, 0])
    assert list(shared(room, 100, known, untold).power_kw) == [0, 100]


def test_a_unit_is_told_when_what_is_coming_is_not_what_it_expects() -> None:
    known = steps(4, notice_s=[600.0, 600.0, 600.0, 0.0], dead_kw=[1.0] * 4)
    at = standing([0, 0, 0, 0], told_kw=[NONE, 50, NONE, NONE])
    assert list(to_tell(known, at, np.array([50.0, 50.0, 0.5, 50.0]))) == [
        True,
        False,
        False,
        False,
    ]


def test_a_run_that_has_started_is_not_stopped_and_a_missed_start_is_told() -> None:
    known = replace(
        Steps.none(3).with_levels({key: [0, -100] for key in range(3)}), once=np.full(3, True)
    )
    room = a_room([-100] * 3, [0] * 3)
    at = standing([-100, 0, 0], closes_s=[INF, 10, 11])
    found = shared(room, -100, known, at)
    assert list(found.power_kw) == [-100, 0, 0]
    assert list(found.held) == [True, False, False]
    assert list(found.missed) == [False, True, False]
    assert list(shared(room, 0, known, at).power_kw) == [-100, 0, 0]


def test_nobody_goes_further_than_its_ramp_in_the_period() -> None:
    room = a_room([-100, -100], [100, 100])
    known = steps(2, ramp_kw_per_s=[2.0, INF])
    found = shared(room, 150, known, standing([0, 0]))
    assert list(found.power_kw) == [20, 100]
    assert found.left_kw == 30


def test_a_limit_that_a_ramp_cannot_reach_is_neared_as_fast_as_it_goes() -> None:
    within, _ = reachable(
        steps(1, ramp_kw_per_s=[2.0]), standing([100]), a_room([0], [40]), period_s=10
    )
    assert (within.low_kw[0], within.high_kw[0]) == (80, 80)


def test_a_switch_is_no_ramp() -> None:
    """A slow machine of 40 kW at least still comes on, and goes off from there."""
    known = steps(1, least_kw=[40.0], ramp_kw_per_s=[0.1])
    room = a_room([-100], [0])
    assert list(shared(room, -100, known, standing([0])).power_kw) == [-40]
    assert list(shared(room, 0, known, standing([-40])).power_kw) == [0]
    assert list(shared(room, 0, known, standing([-90])).power_kw) == [-89]


def test_levels_are_taken_at_once_whatever_the_ramp() -> None:
    known = replace(heaters(2), ramp_kw_per_s=np.array([0.1, 0.1]))
    found = shared(a_room([-100] * 2, [0] * 2), -200, known, standing([0, -50]))
    assert list(found.power_kw) == [-100, -100]


# ---------------------------------------------------------------- dead bands


def test_a_small_correction_is_made_by_one_unit_that_moves_enough() -> None:
    """Ten batteries with a dead band of 5 kW, and 6 kW more: 0.6 kW each would move nobody."""
    room = a_room([-100] * 10, [100] * 10)
    found = shared(room, 6, steps(10, dead_kw=[5.0] * 10), standing([0] * 10))
    assert sorted(found.power_kw) == [0] * 9 + [6]
    assert found.left_kw == 0


def test_a_correction_within_every_dead_band_is_left() -> None:
    room = a_room([-100] * 2, [100] * 2)
    found = shared(room, 2, steps(2, dead_kw=[5.0] * 2), standing([0, 0]))
    assert (list(found.power_kw), found.left_kw) == ([0, 0], 2)


def test_the_last_bit_to_a_bound_may_be_smaller_than_the_dead_band() -> None:
    found = shared(a_room([0], [100]), 100, steps(1, dead_kw=[5.0]), standing([98]))
    assert list(found.power_kw) == [100]


# ---------------------------------------------------------------- whatever the units are


@st.composite
def parks(draw: st.DrawFn) -> tuple[Room, Steps, Standing, float]:
    """Up to 7 units of five sorts, anywhere, and a total from too little to too much."""
    size = draw(st.integers(1, 7))
    sorts = draw(st.lists(st.sampled_from("flodn"), min_size=size, max_size=size))

    def column(values: st.SearchStrategy[Any]) -> Any:
        return np.array(draw(st.lists(values, min_size=size, max_size=size)))

    def where(sort: str, values: Any, other: float) -> Any:
        return np.where([s == sort for s in sorts], values, other)

    levels = {i: [0.0, -30.0, -70.0] for i, s in enumerate(sorts) if s == "l"}
    known = replace(
        Steps.none(size),
        least_kw=where("o", 40.0, 0.0),
        dead_kw=where("d", 5.0, 0.0),
        least_on_s=np.full(size, 60.0),
        least_off_s=np.full(size, 60.0),
        notice_s=where("n", 30.0, 0.0),
        ramp_kw_per_s=column(st.sampled_from([1.0, 5.0, INF])),
    ).with_levels(levels)
    at = {
        "l": st.sampled_from([0.0, -30.0, -70.0]),
        "o": st.sampled_from([0.0, -40.0, -90.0]),
    }
    power = [draw(at.get(sort, st.integers(-100, 100).map(float))) for sort in sorts]
    stands = Standing(
        power_kw=np.array(power),
        since_s=column(st.sampled_from([0.0, 59.0, 60.0, INF])),
        told_kw=column(st.sampled_from([NONE, -20.0, 20.0])),
        told_s=column(st.sampled_from([0.0, 30.0])),
        closes_s=np.full(size, INF),
    )
    draws = np.isin(sorts, ["l", "o"])
    room = a_room([-100.0] * size, list(np.where(draws, 0.0, 100.0)), list(np.array(power) / 2))
    return room, known, stands, draw(st.floats(-120 * size, 120 * size))


@pytest.mark.parametrize("rule", list(Rule))
@settings(max_examples=60, deadline=None)
@given(case=parks())
def test_every_power_can_be_done_and_the_total_is_accounted_for(
    rule: Rule, case: tuple[Room, Steps, Standing, float]
) -> None:
    room, known, stands, total_kw = case
    found = shared(room, total_kw, known, stands, rule=rule)
    power, at = found.power_kw, stands.power_kw
    assert power.sum() + found.left_kw == pytest.approx(total_kw, abs=1e-6)
    within, held = reachable(known, stands, room, period_s=10)
    assert (within.low_kw - 1e-9 <= power).all()
    assert (power <= within.high_kw + 1e-9).all()
    assert (held == found.held).all()
    for unit in range(room.size):
        size, least = abs(power[unit]), known.least_kw[unit]
        assert size == 0 or size >= least - 1e-9
        moved = abs(power[unit] - at[unit])
        at_bound = power[unit] in (within.low_kw[unit], within.high_kw[unit])
        assert moved == 0 or moved >= known.dead_kw[unit] - 1e-9 or at_bound
        if least > 0 and stands.since_s[unit] < 60:
            assert (power[unit] == 0) == (at[unit] == 0)
    for column, unit in enumerate(known.level_rows):
        assert power[unit] in known.level_kw[:, column]


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=9),
    on=st.integers(0, 511),
    part=st.floats(0, 1),
)
def test_switches_alone_come_within_half_a_step_of_the_total(
    sizes: list[int], on: int, part: float
) -> None:
    kws = [-float(size) for size in sizes]
    known = Steps.none(len(kws)).with_levels({i: [kw, 0] for i, kw in enumerate(kws)})
    at = standing([kw * (on >> i & 1) for i, kw in enumerate(kws)])
    found = shared(a_room(kws, [0.0] * len(kws)), part * sum(kws), known, at)
    assert abs(found.left_kw) <= max(sizes) / 2 + 1e-6


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["least_kw", "dead_kw", "notice_s", "ramp_kw_per_s"])
@pytest.mark.parametrize("wrong", [NONE, -1.0])
def test_what_is_no_size_is_refused(name: str, wrong: float) -> None:
    with pytest.raises(DataError, match=name):
        steps(2, **{name: [0.0, wrong]})


@pytest.mark.parametrize("levels", [[0, 0], [0, NONE], [-INF, 0]])
def test_levels_that_are_none_are_refused(levels: list[float]) -> None:
    with pytest.raises(DataError, match="levels"):
        Steps.none(1).with_levels({0: levels})


@pytest.mark.parametrize(("power_kw", "period_s"), [(NONE, 10.0), (INF, 10.0), (0.0, 0.0)])
def test_a_standing_or_a_period_that_is_none_is_refused(power_kw: float, period_s: float) -> None:
    with pytest.raises(DataError, match="reachable"):
        shared(a_room([0], [1]), 0, Steps.none(1), standing([power_kw]), period_s=period_s)
