"""Sharing rules: by hand, against slow models of their own, and what every rule promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp.act.merit import ranked
from vpp.act.rules import Room, Rule, hand_out
from vpp.errors import DataError

NONE = float("nan")
SOME = settings(max_examples=25)
EVERY_RULE = pytest.mark.parametrize("rule", list(Rule))


def a_room(**arrays: list[float]) -> Room:
    """Units at 0 kW that may draw or feed 100 kW, cost nothing and are no store, but for `arrays`."""
    size = len(next(iter(arrays.values())))
    values: dict[str, list[float]] = {
        "base_kw": [0.0] * size,
        "low_kw": [-100.0] * size,
        "high_kw": [100.0] * size,
        "cost_up_per_kwh": [0.0] * size,
        "cost_down_per_kwh": [0.0] * size,
        "stored_kwh": [NONE] * size,
        "capacity_kwh": [NONE] * size,
    }
    columns = (values | arrays).items()
    return Room(**{name: np.array(column, dtype=np.float64) for name, column in columns})


def powers(rule: Rule, room: Room, total_kw: float, **more: Any) -> list[float]:
    return [round(float(kw), 6) for kw in hand_out(rule, room, total_kw, **more).power_kw]


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("total_kw", "expected"),
    [
        pytest.param(45, [15, 30], id="a quarter of the way up: 60 of 120 kW and 30 kW"),
        pytest.param(-75, [-25, -50], id="down it is the way to the low bound that counts"),
        pytest.param(0, [0, 0], id="nothing to do"),
    ],
)
def test_proportional_moves_each_by_the_same_part_of_its_headroom(
    total_kw: float, expected: list[float]
) -> None:
    room = a_room(low_kw=[-50, -100], high_kw=[50, 100])
    assert powers(Rule.PROPORTIONAL, room, total_kw) == expected


def test_merit_order_takes_the_cheapest_first_and_equals_by_their_room() -> None:
    room = a_room(high_kw=[100, 40, 20, 100], cost_up_per_kwh=[0.3, 0.1, 0.1, 0.2])
    assert powers(Rule.MERIT_ORDER, room, 30) == [0, 20, 10, 0]
    assert powers(Rule.MERIT_ORDER, room, 110) == [0, 40, 20, 50]
    assert powers(Rule.MERIT_ORDER, room, 160) == [0, 40, 20, 100]
    assert powers(Rule.MERIT_ORDER, room, 170) == [10, 40, 20, 100]


def test_merit_order_downwards_goes_by_what_a_kwh_less_costs() -> None:
    room = a_room(cost_up_per_kwh=[0.1, 0.2], cost_down_per_kwh=[0.1, -0.2])
    assert powers(Rule.MERIT_ORDER, room, -120) == [-20, -100]


def test_equal_level_runs_everybody_at_the_same_power_as_far_as_it_may() -> None:
    room = a_room(low_kw=[0, 0, 40], high_kw=[10, 100, 100])
    assert powers(Rule.EQUAL_LEVEL, room, 70) == [10, 20, 40]
    assert powers(Rule.EQUAL_LEVEL, room, 110) == [10, 50, 50]


def test_equal_soc_lets_the_fuller_store_feed_first_and_the_emptier_draw_first() -> None:
    room = a_room(stored_kwh=[80, 50], capacity_kwh=[100, 100])
    # Within an hour 40 kW bring 80 % and 50 % to 45 %: 35 and 5 kWh.
    assert powers(Rule.EQUAL_SOC, room, 40, meet_hours=1.0) == [35, 5]
    assert powers(Rule.EQUAL_SOC, room, 20, meet_hours=1.0) == [20, 0]
    assert powers(Rule.EQUAL_SOC, room, -40, meet_hours=1.0) == [-5, -35]


def test_equal_soc_fills_no_store_out_of_another() -> None:
    room = a_room(stored_kwh=[100, 0], capacity_kwh=[100, 100])
    assert powers(Rule.EQUAL_SOC, room, 0, meet_hours=1.0) == [0, 0]
    assert powers(Rule.EQUAL_SOC, room, 10, meet_hours=1.0) == [10, 0]


def test_equal_soc_asks_others_only_when_no_store_can_do_more() -> None:
    room = a_room(base_kw=[0, -60], stored_kwh=[50, NONE], capacity_kwh=[100, NONE])
    assert powers(Rule.EQUAL_SOC, room, 20) == [80, -60]
    assert powers(Rule.EQUAL_SOC, room, 60) == [100, -40]


def test_least_correction_stays_as_near_to_the_plan_as_the_squares_allow() -> None:
    room = a_room(base_kw=[50, -20, 0], high_kw=[55, 100, 100])
    assert powers(Rule.LEAST_CORRECTION, room, 30) == [50, -20, 0]
    assert powers(Rule.LEAST_CORRECTION, room, 60) == [55, -7.5, 12.5]


@EVERY_RULE
def test_what_nobody_has_room_for_is_left_and_said(rule: Rule) -> None:
    up, down = (hand_out(rule, a_room(base_kw=[0, 10]), kw) for kw in (250, -210))
    assert (list(up.power_kw), up.left_kw) == ([100, 100], 50)
    assert (list(down.power_kw), down.left_kw) == ([-100, -100], -10)


@EVERY_RULE
def test_no_unit_at_all_is_no_error(rule: Rule) -> None:
    shared = hand_out(rule, a_room(base_kw=[]), 5)
    assert (len(shared.power_kw), shared.left_kw) == (0, 5)


# ---------------------------------------------------------------- against other models


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """Up to 8 units of any size, with equal costs and equal units now and then; some are stores."""
    size = draw(st.integers(1, 8))
    kw = st.one_of(st.floats(-200, 200), st.sampled_from([-100.0, 0.0, 50.0]))

    def column(values: st.SearchStrategy[float]) -> Any:
        return np.array(draw(st.lists(values, min_size=size, max_size=size)))

    one, other = column(kw), column(kw)
    stores = column(st.sampled_from([1.0, 1.0, NONE]))
    capacity = column(st.floats(1, 1000)) * stores
    costs = st.sampled_from([-0.1, 0.0, 0.1, 0.2, 0.30000001])
    return Room(
        base_kw=column(kw),
        low_kw=np.minimum(one, other),
        high_kw=np.maximum(one, other),
        cost_up_per_kwh=column(costs),
        cost_down_per_kwh=column(costs),
        stored_kwh=column(st.floats(0, 1)) * capacity,
        capacity_kwh=capacity,
    )


parts = st.floats(-0.2, 1.2)


def total_of(room: Room, part: float) -> float:
    """`part` of the way from the least to the most that all together can do."""
    least, most = room.low_kw.sum(), room.high_kw.sum()
    return float(least + part * (most - least))


def bisected(power_at: Callable[[float], float], total_kw: float) -> float:
    """The level at which a sum that grows with it is `total_kw`."""
    below, above = -1e5, 1e5
    for _ in range(200):
        level = (below + above) / 2
        below, above = (level, above) if power_at(level) < total_kw else (below, level)
    return (below + above) / 2


def clipped(kw: float, low: float, high: float) -> float:
    return min(max(kw, low), high)


def slow_proportional(room: Room, total_kw: float) -> list[float]:
    units = list(zip(room.base_kw, room.low_kw, room.high_kw, strict=True))

    def at(part: float) -> list[float]:
        starts = [clipped(base, low, high) for base, low, high in units]
        return [
            start + part * (high - start) if part > 0 else start - part * (low - start)
            for start, (_, low, high) in zip(starts, units, strict=True)
        ]

    return at(clipped(bisected(lambda part: sum(at(clipped(part, -1, 1))), total_kw), -1, 1))


def slow_equal_level(room: Room, total_kw: float) -> list[float]:
    units = list(zip(room.low_kw, room.high_kw, strict=True))
    level = bisected(lambda x: sum(clipped(x, *unit) for unit in units), total_kw)
    return [clipped(level, *unit) for unit in units]


def slow_least_correction(room: Room, total_kw: float) -> list[float]:
    units = list(zip(room.base_kw, room.low_kw, room.high_kw, strict=True))

    def at(shift: float) -> list[float]:
        return [clipped(base + shift, low, high) for base, low, high in units]

    return at(bisected(lambda shift: sum(at(shift)), total_kw))


def slow_equal_soc(room: Room, total_kw: float) -> list[float]:
    """By the level of charge, for a room of stores alone."""
    columns = (room.stored_kwh, room.capacity_kwh, room.low_kw, room.high_kw)
    units = list(zip(*columns, strict=True))
    rest_kw = sum(clipped(0.0, low, high) for *_, low, high in units)

    def at(soc: float) -> list[float]:
        found = []
        for stored, capacity, low, high in units:
            rest = clipped(0.0, low, high)
            ends = (rest, high) if total_kw > rest_kw else (low, rest)
            found.append(clipped((stored - soc * capacity) / 0.25, *ends))
        return found

    return at(-bisected(lambda level: sum(at(-level)), total_kw))


@pytest.mark.parametrize(
    ("rule", "model"),
    [
        (Rule.PROPORTIONAL, slow_proportional),
        (Rule.EQUAL_LEVEL, slow_equal_level),
        (Rule.LEAST_CORRECTION, slow_least_correction),
    ],
)
@settings(max_examples=50)
@given(room=rooms(), part=st.floats(0, 1))
def test_a_rule_agrees_with_a_plain_loop_and_bisection(
    rule: Rule, model: Callable[[Room, float], list[float]], room: Room, part: float
) -> None:
    total_kw = total_of(room, part)
    shared = hand_out(rule, room, total_kw)
    np.testing.assert_allclose(shared.power_kw, model(room, total_kw), atol=1e-5)


@settings(max_examples=50)
@given(room=rooms(), part=st.floats(0, 1))
def test_equal_soc_agrees_with_a_plain_loop_and_bisection(room: Room, part: float) -> None:
    room = replace(
        room,
        stored_kwh=np.nan_to_num(room.stored_kwh, nan=30.0),
        capacity_kwh=np.nan_to_num(room.capacity_kwh, nan=60.0),
    )
    total_kw = total_of(room, part)
    shared = hand_out(Rule.EQUAL_SOC, room, total_kw)
    np.testing.assert_allclose(shared.power_kw, slow_equal_soc(room, total_kw), atol=1e-5)


@settings(max_examples=50)
@given(room=rooms(), part=st.floats(0, 1))
def test_merit_order_costs_what_a_linear_programme_finds_least(room: Room, part: float) -> None:
    total_kw = total_of(room, part)
    power_kw = hand_out(Rule.MERIT_ORDER, room, total_kw).power_kw
    start_kw = np.clip(room.base_kw, room.low_kw, room.high_kw)
    up = total_kw > start_kw.sum()
    costs = room.cost_up_per_kwh if up else room.cost_down_per_kwh
    ways_kw = room.high_kw - start_kw if up else start_kw - room.low_kw
    found = linprog(
        costs,
        A_eq=np.ones((1, len(costs))),
        b_eq=[abs(total_kw - start_kw.sum())],
        bounds=[(0, max(way, 0)) for way in ways_kw],
    )
    assume(found.status == 0)  # a total at the very end may be rounded beyond it
    assert costs @ np.abs(power_kw - start_kw) == pytest.approx(found.fun, abs=1e-6)


# ---------------------------------------------------------------- what every rule promises


@EVERY_RULE
@SOME
@given(room=rooms(), part=parts)
def test_the_sum_is_exact_or_everybody_is_at_a_bound(rule: Rule, room: Room, part: float) -> None:
    total_kw = total_of(room, part)
    shared = hand_out(rule, room, total_kw)
    assert shared.power_kw.sum() + shared.left_kw == pytest.approx(total_kw, rel=1e-6, abs=1e-6)
    if shared.left_kw > 0:
        assert (shared.power_kw == room.high_kw).all()
    if shared.left_kw < 0:
        assert (shared.power_kw == room.low_kw).all()


@EVERY_RULE
@SOME
@given(room=rooms(), part=parts)
def test_nobody_leaves_its_bounds(rule: Rule, room: Room, part: float) -> None:
    power_kw = hand_out(rule, room, total_of(room, part)).power_kw
    assert (room.low_kw <= power_kw).all()
    assert (power_kw <= room.high_kw).all()


@EVERY_RULE
@SOME
@given(room=rooms(), first=parts, second=parts)
def test_a_higher_total_lowers_nobody(rule: Rule, room: Room, first: float, second: float) -> None:
    low, high = (hand_out(rule, room, total_of(room, p)) for p in sorted((first, second)))
    assert (low.power_kw <= high.power_kw + 1e-6).all()


@EVERY_RULE
@SOME
@given(room=rooms(), part=parts)
def test_equal_units_get_equal_shares(rule: Rule, room: Room, part: float) -> None:
    columns = [getattr(room, name) for name in room.__slots__]
    twice = Room(**dict(zip(room.__slots__, (np.tile(c, 2) for c in columns), strict=True)))
    first, second = hand_out(rule, twice, total_of(twice, part)).power_kw.reshape(2, -1)
    np.testing.assert_allclose(first, second, atol=1e-9)


@EVERY_RULE
@SOME
@given(room=rooms(), part=parts, seed=st.integers(0, 9))
def test_the_order_of_the_units_does_not_matter(
    rule: Rule, room: Room, part: float, seed: int
) -> None:
    mixed = np.random.default_rng(seed).permutation(room.size)
    columns = [getattr(room, name)[mixed] for name in room.__slots__]
    total_kw = total_of(room, part)
    other = hand_out(rule, Room(**dict(zip(room.__slots__, columns, strict=True))), total_kw)
    np.testing.assert_allclose(
        hand_out(rule, room, total_kw).power_kw[mixed], other.power_kw, atol=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
@EVERY_RULE
def test_thousands_of_units_add_up_as_few_do(rule: Rule, seed: int) -> None:
    """Above some thousands a level is guessed from a part of the units."""
    rng = np.random.default_rng(seed)
    size = 20_000
    low, width = -rng.pareto(1.2, size) * 10, rng.pareto(1.2, size) * 10  # few large, many small
    capacity = np.where(rng.random(size) < 0.5, 1 + rng.random(size) * 100, NONE)
    room = Room(
        base_kw=low + width * rng.random(size) * 1.5,
        low_kw=low,
        high_kw=low + width,
        cost_up_per_kwh=rng.integers(0, 50, size) / 100,
        cost_down_per_kwh=rng.integers(0, 50, size) / 100,
        stored_kwh=capacity * rng.random(size),
        capacity_kwh=capacity,
    )
    before = np.full(size, -np.inf)
    for part in (0.001, 0.3, 0.5, 0.7, 0.999):
        total_kw = total_of(room, part)
        power_kw = hand_out(rule, room, total_kw).power_kw
        assert power_kw.sum() == pytest.approx(total_kw, rel=1e-9, abs=1e-6)
        assert ((room.low_kw <= power_kw) & (power_kw <= room.high_kw)).all()
        assert (power_kw >= before - 1e-6).all()
        before = power_kw


# ---------------------------------------------------------------- the order that is kept


@given(
    costs=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4]), min_size=12, max_size=40),
    changes=st.lists(st.tuples(st.integers(0, 11), st.sampled_from([0.05, 0.2, 0.5])), max_size=4),
)
def test_an_order_mended_where_costs_changed_is_the_order_sorted_anew(
    costs: list[float], changes: list[tuple[int, float]]
) -> None:
    before = np.array(costs)
    after = before.copy()
    for at, cost in changes:
        after[at] = cost
    mended, anew = ranked(ranked(None, before), after), ranked(None, after)
    assert (mended.sorted_per_kwh == anew.sorted_per_kwh).all()
    assert (after[mended.rank] == mended.sorted_per_kwh).all()
    assert sorted(mended.rank) == list(range(len(costs)))


def test_nothing_is_sorted_again_while_costs_stay_and_a_caller_may_write_into_its_arrays() -> None:
    room = a_room(cost_up_per_kwh=[0.3, 0.1, 0.2])
    first = hand_out(Rule.MERIT_ORDER, room, 120)
    again = hand_out(Rule.MERIT_ORDER, room, 150, first.order)
    assert again.order.up is first.order.up
    room.cost_up_per_kwh[0] = 0.0
    assert powers(Rule.MERIT_ORDER, room, 120, order=again.order) == [100, 20, 0]


def test_an_order_of_other_units_is_not_used() -> None:
    kept = hand_out(Rule.MERIT_ORDER, a_room(cost_up_per_kwh=[0.3, 0.1, 0.2]), 120).order
    room = a_room(cost_up_per_kwh=[0.2, 0.1])
    assert powers(Rule.MERIT_ORDER, room, 120, order=kept) == [20, 100]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf"), 1e308])
@pytest.mark.parametrize(
    "name", ["base_kw", "low_kw", "high_kw", "cost_up_per_kwh", "cost_down_per_kwh"]
)
def test_no_number_that_is_not_finite_gets_in(name: str, wrong: float) -> None:
    with pytest.raises(DataError, match=rf"{name} is \S+ at unit 1, .*-> Leave a unit out"):
        a_room(**{name: [0.0, wrong, 0.0]})


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"low_kw": [0.0, 7.0], "high_kw": [5.0, 5.0]}, "low_kw is 7.0 at unit 1"),
        ({"stored_kwh": [1.0], "capacity_kwh": [NONE]}, "stored_kwh is 1.0 at unit 0"),
        ({"stored_kwh": [NONE], "capacity_kwh": [9.0]}, "stored_kwh is nan at unit 0"),
        ({"stored_kwh": [float("inf")], "capacity_kwh": [9.0]}, "stored_kwh is inf"),
        ({"stored_kwh": [0.0], "capacity_kwh": [0.0]}, "capacity_kwh is 0.0 at unit 0"),
        ({"stored_kwh": [0.0], "capacity_kwh": [float("inf")]}, "capacity_kwh is inf"),
        ({"base_kw": [0.0, 0.0], "high_kw": [1.0]}, "high_kw has the shape"),
    ],
)
def test_a_room_that_cannot_be_is_refused(arrays: dict[str, list[float]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        a_room(**arrays)


def test_whole_numbers_are_refused_for_they_would_cut_what_is_shared() -> None:
    with pytest.raises(DataError, match="base_kw is an array of int64"):
        Room(**{name: np.zeros(2, dtype=np.int64) for name in Room.__slots__})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e300])
@EVERY_RULE
def test_a_total_that_is_not_finite_is_refused(rule: Rule, wrong: float) -> None:
    with pytest.raises(DataError, match="total_kw"):
        hand_out(rule, a_room(base_kw=[0.0]), wrong)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_stores_do_not_meet_in_no_time(wrong: float) -> None:
    with pytest.raises(DataError, match="meet_hours"):
        hand_out(Rule.EQUAL_SOC, a_room(base_kw=[0.0]), 1.0, meet_hours=wrong)
