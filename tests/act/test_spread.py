"""Starts by lot: the sum ramps, in a window, and the energy owed is met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.spread import Spread, moved_kw, spread
from vpp.errors import DataError

moves = st.lists(
    st.one_of(st.just(0.0), st.floats(0.1, 100), st.floats(-100, -0.1)), min_size=1, max_size=30
)


def starts(move_kw: Sequence[float], seed: float = 1, **more: float) -> Spread:
    limits = {"most_kw_per_s": 10.0, "longest_s": 600.0} | more
    return spread(np.array(move_kw), np.random.default_rng(int(seed)), **limits)


def test_ten_loads_of_30_kw_at_10_kw_a_second_take_half_a_minute() -> None:
    found = starts([30] * 10)
    assert found.window_s == 30
    assert sorted(found.start_s) == pytest.approx([1.5 + 3 * i for i in range(10)])


def test_the_window_is_no_longer_than_it_may_be() -> None:
    assert starts([1000] * 10, longest_s=60).window_s == 60


def test_who_can_start_before_the_moment_spreads_evenly_around_it_and_owes_nothing() -> None:
    found = starts([30, 50, 20], earliest_s=600)
    assert found.late_kwh == pytest.approx(0, abs=1e-12)
    assert min(found.start_s) < 0 < max(found.start_s)


def test_who_cannot_start_before_the_moment_tells_what_is_missing() -> None:
    """300 kW over half a minute: a triangle of 300 kW * 15 s."""
    assert starts([30] * 10).late_kwh == pytest.approx(300 * 15 / 3600)
    assert starts([-30] * 10).late_kwh == pytest.approx(-300 * 15 / 3600)


def test_the_same_seed_gives_the_same_queue_and_another_one_another() -> None:
    kws = list(range(1, 30))
    assert list(starts(kws, 7).start_s) == list(starts(kws, 7).start_s)
    assert list(starts(kws, 7).start_s) != list(starts(kws, 8).start_s)


def test_units_move_when_their_turn_has_come() -> None:
    found = starts([30] * 10)
    zero, full = np.zeros(10), np.full(10, 30.0)
    assert moved_kw(zero, full, found, since_s=0).sum() == 0
    assert moved_kw(zero, full, found, since_s=15).sum() == 150
    assert moved_kw(zero, full, found, since_s=30).sum() == 300


@settings(max_examples=100)
@given(move_kw=moves, seed=st.integers(0, 99), earliest_s=st.sampled_from([0.0, 5.0, 1000.0]))
def test_the_sum_never_leaves_the_ramp_by_more_than_one_unit(
    move_kw: list[float], seed: int, earliest_s: float
) -> None:
    found = starts(move_kw, seed, earliest_s=earliest_s)
    sizes = np.abs(move_kw)
    early_s = min(earliest_s, found.window_s / 2)
    for since_s in np.linspace(-early_s, found.window_s - early_s, 23):
        moved = sizes[(found.start_s <= since_s) & (sizes > 0)].sum()
        ramp = sizes.sum() * (since_s + early_s) / max(found.window_s, 1e-9)
        assert abs(moved - ramp) <= sizes.max() + 1e-6


@settings(max_examples=100)
@given(move_kw=moves, seed=st.integers(0, 99), earliest_s=st.sampled_from([0.0, 3.0, 1000.0]))
def test_what_is_late_is_what_the_powers_really_miss(
    move_kw: list[float], seed: int, earliest_s: float
) -> None:
    found = starts(move_kw, seed, earliest_s=earliest_s)
    missing_kwh = sum(kw * s for kw, s in zip(move_kw, found.start_s, strict=True)) / 3600
    assert found.late_kwh == pytest.approx(missing_kwh, abs=1e-9)
    assert (found.start_s[np.array(move_kw) == 0] == 0).all()


@pytest.mark.parametrize(
    ("kw", "limits"),
    [
        (float("nan"), {}),
        (float("inf"), {}),
        (1.0, {"most_kw_per_s": 0.0}),
        (1.0, {"longest_s": -1.0}),
        (1.0, {"earliest_s": float("nan")}),
    ],
)
def test_what_makes_no_sense_is_refused(kw: float, limits: dict[str, float]) -> None:
    with pytest.raises(DataError, match="spread"):
        starts([kw], **limits)
