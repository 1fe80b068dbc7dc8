"""Step responses worked out by hand: a battery asked for 100 kW from 0, or from 20 kW."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.account.qualification import Direction, Response, Sample, Step, certified, judge

NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_step(target_kw: float = 100.0, base_kw: float = 0.0, seconds: int = 60) -> Step:
    direction = Direction.UP if target_kw > base_kw else Direction.DOWN
    return Step(
        direction=direction,
        base_kw=base_kw,
        target_kw=target_kw,
        asked_at=NOON,
        until=NOON + seconds * SECOND,
    )


def each_second(*powers_kw: float) -> list[Sample]:
    return [Sample(NOON + n * SECOND, kw) for n, kw in enumerate(powers_kw, start=1)]


def judged(step: Step, *powers_kw: float, sustain_s: float = 10) -> Response:
    return judge(each_second(*powers_kw), step, sustain=timedelta(seconds=sustain_s))


def test_a_ramp_of_ten_kw_a_second_after_two_seconds() -> None:
    got = judged(a_step(), 0, 0, *range(10, 101, 10), *[100.0] * 20)
    assert (got.response_s, got.nearly_s, got.full_s) == (3, 11, 12)
    assert got.ramp_kw_per_min == 600
    assert (got.accuracy, got.sustained_s, got.sustained) == (1.0, 20, True)
    assert got.tested_kw == 100


def test_what_runs_anyway_is_no_response() -> None:
    got = judged(a_step(target_kw=20, base_kw=-80), -80, -30, 20, *[20.0] * 20)
    assert (got.response_s, got.full_s) == (2, 3)
    assert got.ramp_kw_per_min == 3000
    assert got.tested_kw == 100


def test_down_is_judged_as_up_is() -> None:
    got = judged(a_step(target_kw=-50), -5, -25, -50, *[-50.0] * 20)
    assert (got.response_s, got.full_s, got.tested_kw) == (1, 3, 50)


def test_accuracy_counts_overshoot_and_shortfall_alike() -> None:
    got = judged(a_step(), 100, *[98.0, 102.0] * 10)
    assert got.accuracy == pytest.approx(1 - 20 * 0.02 / 21)
    assert got.tested_kw == pytest.approx(100)


def test_a_device_that_does_96_of_100_is_tested_at_96() -> None:
    got = judged(a_step(), 96, *[96.0] * 20)
    assert [got.tested_kw, got.accuracy] == pytest.approx([96, 0.96])


@pytest.mark.parametrize("most_kw", [0.0, 50.0, 94.0])
def test_a_device_that_never_comes_to_95_per_cent_proves_nothing(most_kw: float) -> None:
    got = judged(a_step(), *[most_kw] * 40)
    assert (got.full_s, got.accuracy, got.tested_kw, got.sustained) == (None, None, 0, False)
    assert (got.response_s is None) == (most_kw < 10)


def test_a_device_that_drops_before_the_required_time_proves_nothing() -> None:
    got = judged(a_step(), *[100.0] * 6, *[60.0] * 20)
    assert (got.sustained_s, got.sustained, got.tested_kw) == (5, False, 0)
    assert got.accuracy == pytest.approx(1 - 20 * 0.4 / 26)


def test_a_step_within_one_sample_has_no_ramp() -> None:
    assert judged(a_step(), *[100.0] * 12).ramp_kw_per_min is None


def test_samples_before_the_step_and_after_its_end_count_for_nothing() -> None:
    step = a_step(seconds=12)
    before = [Sample(NOON - SECOND, 100.0), Sample(NOON, 100.0)]
    after = [Sample(NOON + n * SECOND, 0.0) for n in range(13, 20)]
    got = judge([*before, *each_second(0, *[100.0] * 11), *after], step, sustain=10 * SECOND)
    assert (got.response_s, got.sustained_s, got.tested_kw) == (2, 10, 100)


def test_no_sample_at_all_proves_nothing() -> None:
    got = judge([], a_step(), sustain=SECOND)
    assert (got.response_s, got.full_s, got.tested_kw) == (None, None, 0)


def test_the_least_of_repeated_runs_is_certified_by_direction() -> None:
    runs = [
        judged(a_step(target_kw=kw), *[kw * share] * 20)
        for kw, share in ((100.0, 1.0), (100.0, 0.97), (-80.0, 1.0), (-80.0, 0.99))
    ]
    tested = certified(runs, NOON)
    assert [tested.up_kw, tested.down_kw] == pytest.approx([97, 79.2])
    assert tested.tested_kw == pytest.approx(79.2)
    assert (tested.runs, tested.at) == (2, NOON)
    assert certified(runs[:2], NOON).down_kw is None
    assert certified([], NOON).tested_kw is None


@given(
    powers=st.lists(st.floats(-200, 200), max_size=40),
    base_kw=st.floats(-100, 100),
    change_kw=st.floats(1, 100),
    up=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_nothing_is_certified_beyond_what_was_asked_and_times_are_in_order(
    powers: list[float], base_kw: float, change_kw: float, up: bool
) -> None:
    step = a_step(base_kw + (change_kw if up else -change_kw), base_kw)
    got = judged(step, *powers, sustain_s=3)
    assert 0 <= got.tested_kw <= step.change_kw * (1 + 1e-9)
    times = [t for t in (got.response_s, got.nearly_s, got.full_s) if t is not None]
    assert times == sorted(times)
    assert got.sustained == (got.tested_kw > 0)
    if got.tested_kw:
        assert got.tested_kw >= 0.9 * step.change_kw * (1 - 1e-9)
