"""Who is left out, for how long, and comes back by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.health import BackOff, Fault, Health, judged
from vpp.act.rules import Room, Rule, hand_out
from vpp.errors import DataError

TEN_TO_FORTY = BackOff(first_s=10, longest_s=40)


def after(faults: dict[int, Fault], *, until_s: int, back_off: BackOff = TEN_TO_FORTY) -> Health:
    """One unit, looked at each second from 0 to `until_s`; `faults` by second."""
    health = Health.well(1)
    for second in range(until_s + 1):
        fault = np.array([faults.get(second, Fault.NONE)], dtype=np.int8)
        health = judged(health, fault, back_off, now_s=second)
    return health


def test_a_unit_that_fails_is_left_out_for_the_first_wait_and_returns_by_itself() -> None:
    faults = {5: Fault.FAILED_COMMAND}
    assert not after(faults, until_s=5).usable(5)[0]
    health = after(faults, until_s=15)
    assert not health.usable(14.9)[0]
    assert health.usable(15)[0]


def test_a_unit_that_fails_on_trial_waits_twice_as_long_up_to_the_longest() -> None:
    faults = {0: Fault.NOT_FOLLOWED, 10: Fault.NOT_FOLLOWED, 30: Fault.NOT_FOLLOWED}
    assert after(faults, until_s=10).until_s[0] == 30
    assert after(faults, until_s=30).until_s[0] == 70
    assert after(faults | {70: Fault.NOT_FOLLOWED}, until_s=70).until_s[0] == 110


def test_data_that_stay_bad_keep_a_unit_out_and_double_once_a_wait_not_once_a_second() -> None:
    health = after(dict.fromkeys(range(100), Fault.BAD_DATA), until_s=69)
    assert (health.wait_s[0], health.until_s[0]) == (40, 70)
    assert not health.usable(69)[0]


def test_the_wait_is_forgotten_after_a_good_time_as_long_as_it_was() -> None:
    faults = {0: Fault.FAILED_COMMAND}
    assert after(faults, until_s=19).wait_s[0] == 10
    well = after(faults, until_s=20)
    assert (well.wait_s[0], well.fault[0]) == (0, Fault.NONE)
    assert after(faults | {21: Fault.FAILED_COMMAND}, until_s=21).until_s[0] == 31


def test_who_fails_again_before_that_is_not_asked_at_the_same_short_turns_for_ever() -> None:
    every_fifteen = dict.fromkeys(range(0, 200, 15), Fault.NOT_FOLLOWED)
    assert after(every_fifteen, until_s=150).wait_s[0] == 40


def test_who_takes_long_to_be_found_out_is_not_forgiven_before_that() -> None:
    """It takes 25 s until it shows: out for 10 s, found out at 35 s, out for 20, found out at 80, out for 40."""
    health, one = Health.well(1), {0, 35, 80}
    for second in range(81):
        fault = np.array([Fault.NOT_FOLLOWED if second in one else 0], dtype=np.int8)
        health = judged(health, fault, TEN_TO_FORTY, now_s=second, shows_s=np.array([25.5]))
    assert health.wait_s[0] == 40


def test_the_reason_stays_until_it_is_well() -> None:
    faults = {0: Fault.NOT_FOLLOWED}
    assert after(faults, until_s=12).fault[0] == Fault.NOT_FOLLOWED
    assert after(faults, until_s=25).fault[0] == Fault.NONE


def test_the_share_of_who_is_left_out_goes_to_the_others() -> None:
    """Four batteries of 100 kW, one refuses: the other three do what all four were to do."""
    faults = np.array([0, Fault.FAILED_COMMAND, 0, 0], dtype=np.int8)
    health = judged(Health.well(4), faults, TEN_TO_FORTY, now_s=0)

    def shares(now_s: float) -> list[float]:
        in_use = health.usable(now_s)
        room = Room(
            base_kw=np.zeros(4),
            low_kw=np.where(in_use, -100.0, 0.0),
            high_kw=np.where(in_use, 100.0, 0.0),
            cost_up_per_kwh=np.zeros(4),
            cost_down_per_kwh=np.zeros(4),
            stored_kwh=np.full(4, np.nan),
            capacity_kwh=np.full(4, np.nan),
        )
        return list(hand_out(Rule.PROPORTIONAL, room, 120).power_kw)

    assert shares(0) == [40, 0, 40, 40]
    assert shares(10) == [30, 30, 30, 30]


@pytest.mark.parametrize(
    ("first_s", "longest_s"), [(0, 10), (-1, 10), (20, 10), (1, float("inf")), (float("nan"), 1)]
)
def test_waits_that_make_no_sense_are_refused(first_s: float, longest_s: float) -> None:
    with pytest.raises(DataError, match="back_off"):
        BackOff(first_s=first_s, longest_s=longest_s)


@pytest.mark.parametrize("fault", [[0, 0], [9]])
def test_faults_of_others_or_unknown_ones_are_refused(fault: list[int]) -> None:
    with pytest.raises(DataError, match="code of Fault"):
        judged(Health.well(1), np.array(fault, dtype=np.int8), TEN_TO_FORTY, now_s=0)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(Fault), min_size=1, max_size=120))
def test_no_wait_is_longer_than_the_longest_and_a_good_unit_always_returns(
    seen: list[Fault],
) -> None:
    good_after = dict(enumerate(seen))
    end = len(seen) + 80
    health = after(good_after, until_s=end)
    assert health.usable(end)[0]
    assert health.wait_s[0] == 0
    assert after(good_after, until_s=len(seen) - 1).wait_s[0] <= 40


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from(Fault), min_size=3, max_size=3), max_size=40))
def test_units_do_not_touch_each_other(seen: list[list[Fault]]) -> None:
    together = Health.well(3)
    for second, faults in enumerate(seen):
        codes = np.array(faults, dtype=np.int8)
        together = judged(together, codes, TEN_TO_FORTY, now_s=second)
    for unit in range(3):
        alone = after(
            {second: faults[unit] for second, faults in enumerate(seen)}, until_s=len(seen) - 1
        )
        assert together.until_s[unit] == alone.until_s[0]
        assert together.wait_s[unit] == alone.wait_s[0]
