"""Round numbers: quarter-hours of 60 s periods, 1 000 kW owed, loads of −500 kW beside what is steered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.correct import (
    Corrected,
    Expected,
    Memory,
    Metered,
    Owed,
    Shown,
    Timing,
    correct,
)
from vpp.model.time import QUARTER, Interval

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
FIRST = Interval(START, START + QUARTER)
MINUTE = timedelta(minutes=1)
AT_ONCE = Timing(MINUTE)
OTHERS_KW = -500.0


def asked(
    minute: float,
    *,
    memory: Memory | None = None,
    owed: Owed | None = None,
    metered: Metered | None = None,
    shown: Shown | None = None,
    steered_kw: float = 1500.0,
    timing: Timing = AT_ONCE,
) -> Corrected:
    """One call, so many minutes into the quarter-hour in which 1 000 kW are owed."""
    return correct(
        memory or Memory(),
        now=START + minute * MINUTE,
        owed=owed or Owed(interval=FIRST, mean_kw=1000.0),
        metered=metered,
        shown=shown,
        expected=Expected(steered_kw, OTHERS_KW),
        timing=timing,
    )


@pytest.mark.parametrize(
    ("minute", "metered_kwh", "due_kw"),
    [
        (0, 0.0, 1000.0),  # all 250 kWh in 15 minutes
        (5, 83.0, (250 - 83) * 6),  # 167 kWh in 10
        (10, 250.0, 0.0),  # done early
        (14, 245.0, 300.0),  # 5 kWh in the last minute
        (
            14.5,
            245.0,
            1000 - 3.333333 * 60,
        ),  # half a period is left: 1 000 kW would feed 8.33 kWh of the
    ],  #                                        5 that lack; the 3.33 too many are taken over a whole one
)
def test_what_lacks_is_spread_over_the_rest_of_the_interval(
    minute: float, metered_kwh: float, due_kw: float
) -> None:
    at = START + minute * MINUTE
    found = asked(minute, metered=Metered(metered_kwh, at))
    assert found.due_kw == pytest.approx(due_kw, abs=1e-3)
    assert found.target_kw == found.due_kw, "nothing is known of a gap yet"
    assert found.delivered_kwh == metered_kwh


def test_what_the_meters_show_beyond_what_is_expected_is_taken_off_the_target() -> None:
    """1 000 kW expected, 900 kW shown: half of the 100 kW is believed with each reading."""
    first = asked(1, shown=Shown(900.0, START + MINUTE), metered=Metered(15.0, START + MINUTE))
    assert first.gap_kw == -50.0
    assert first.due_kw == pytest.approx((250 - 15) * 60 / 14)
    assert first.target_kw == pytest.approx((250 - 15) * 60 / 14 + 50)
    second = asked(
        2,
        memory=first.memory,
        shown=Shown(900.0, START + 2 * MINUTE),
        metered=Metered(30.0, START + 2 * MINUTE),
    )
    assert second.gap_kw == -75.0


def test_a_reading_that_comes_again_teaches_nothing_new() -> None:
    shown = Shown(900.0, START + MINUTE)
    first = asked(1, shown=shown)
    assert asked(2, memory=first.memory, shown=shown).gap_kw == first.gap_kw == -50.0


def test_a_meter_that_lags_is_compared_with_what_was_expected_then() -> None:
    """1 500 kW steered until minute 1, 500 since; at minute 2 the meters still show minute 1."""
    memory = asked(1, steered_kw=1500.0).memory
    found = asked(2, memory=memory, steered_kw=500.0, shown=Shown(1000.0, START + MINUTE))
    assert found.gap_kw == 0.0


def test_what_the_meters_have_not_told_yet_is_counted_as_it_was_expected() -> None:
    """Read until minute 5 with 80 kWh; 1 000 kW for a minute since then are 16.67 more."""
    memory = asked(5).memory
    found = asked(6, memory=memory, metered=Metered(80.0, START + 5 * MINUTE))
    assert found.delivered_kwh == pytest.approx(80 + 1000 / 60)


def test_a_meter_that_was_never_heard_does_not_make_the_park_deliver_twice() -> None:
    memory = Memory()
    for minute in range(11):
        found = asked(minute, memory=memory)
        memory = found.memory
    assert found.blind
    assert found.delivered_kwh == pytest.approx(1000 / 6)
    assert found.due_kw == pytest.approx(1000.0)


def test_the_gap_fades_while_no_meter_is_heard() -> None:
    seen = asked(1, shown=Shown(900.0, START + MINUTE))
    later = asked(6, memory=seen.memory)
    assert later.gap_kw == pytest.approx(seen.gap_kw / 2)
    assert later.blind
    assert not seen.blind


def test_an_interval_owes_nothing_for_the_one_before_it() -> None:
    """250 kWh were missed; the next quarter-hour is owed its own 1 000 kW and no more, the gap is kept."""
    memory = asked(14, shown=Shown(0.0, START + 14 * MINUTE)).memory
    after = Interval(FIRST.end, FIRST.end + QUARTER)
    found = asked(15, memory=memory, owed=Owed(interval=after, mean_kw=1000.0))
    assert found.due_kw == pytest.approx(1000.0)
    assert found.gap_kw == pytest.approx(memory.gap_kw, rel=0.2)


def test_who_is_not_heard_any_more_moves_the_expectation_and_not_the_target_of_the_meters() -> None:
    """A load of −600 kW falls silent, and the plan says −200 kW of it: the 400 kW are in the gap at once."""
    shown = Shown(1000.0, START + MINUTE)
    memory = asked(1, shown=shown).memory
    found = correct(
        memory,
        now=START + 2 * MINUTE,
        owed=Owed(interval=FIRST, mean_kw=1000.0),
        metered=Metered(1000 * 2 / 60, START + 2 * MINUTE),
        shown=Shown(1000.0, START + 2 * MINUTE),
        expected=Expected(1500.0, OTHERS_KW + 400, turned_kw=400.0),
        timing=AT_ONCE,
    )
    assert found.gap_kw == -400.0
    assert found.due_kw == pytest.approx(1000.0)


def test_where_nothing_is_owed_the_meters_are_watched_all_the_same() -> None:
    found = correct(
        Memory(),
        now=START + MINUTE,
        owed=None,
        metered=None,
        shown=Shown(900.0, START + MINUTE),
        expected=Expected(1500.0, OTHERS_KW),
        timing=AT_ONCE,
    )
    assert found.target_kw is None
    assert found.gap_kw == -50.0


def test_a_command_that_shows_only_after_the_end_serves_the_interval_after_it() -> None:
    slow = Timing(MINUTE, first=2 * MINUTE, last=2 * MINUTE)
    owed = Owed(interval=FIRST, mean_kw=1000.0, next_kw=-300.0)
    assert asked(13, owed=owed, timing=slow).due_kw == -300.0
    assert asked(12, owed=owed, timing=slow).due_kw != -300.0


def test_a_delay_is_no_disobedience() -> None:
    """600 kW more were asked for a minute ago, and the devices take two minutes."""
    slow = Timing(MINUTE, last=2 * MINUTE)
    memory = Memory()
    for minute in (1, 2, 3):
        memory = asked(minute, memory=memory, timing=slow).memory
    for minute, shown_kw in ((4, 1000.0), (5, 1000.0), (6, 1600.0)):
        found = asked(
            minute,
            memory=memory,
            steered_kw=2100.0,
            shown=Shown(shown_kw, START + minute * MINUTE),
            timing=slow,
        )
        memory = found.memory
        assert found.gap_kw == 0.0


def test_a_signal_stands_on_top_at_once_and_what_it_asked_is_not_made_up_for() -> None:
    """Minute 5: 1 000 kW for 5 minutes and 200 kW of signal for one: 86.67 kWh are right."""
    owed = Owed(interval=FIRST, mean_kw=1000.0, signal_kw=300.0, signalled_kwh=200 / 60)
    found = asked(5, owed=owed, metered=Metered(1000 / 12 + 200 / 60, START + 5 * MINUTE))
    assert found.due_kw == pytest.approx(1300.0)


@given(signal_kw=st.lists(st.floats(-500, 500), min_size=15, max_size=15))
def test_a_signal_that_moves_each_period_is_followed_at_once_to_the_end_of_the_interval(
    signal_kw: list[float],
) -> None:
    """1 000 kW are owed and the signal stands on top: the energy of both is met."""
    memory, steered_kw, metered_kwh, signalled_kwh = Memory(), 1500.0, 0.0, 0.0
    for minute, kw in enumerate(signal_kw):
        found = asked(
            minute,
            memory=memory,
            owed=Owed(interval=FIRST, mean_kw=1000.0, signal_kw=kw, signalled_kwh=signalled_kwh),
            metered=Metered(metered_kwh, START + minute * MINUTE),
            steered_kw=steered_kw,
        )
        memory = found.memory
        assert found.due_kw == pytest.approx(1000 + kw, abs=1e-6)
        steered_kw = 1000 + kw - OTHERS_KW
        metered_kwh += (1000 + kw) / 60
        signalled_kwh += kw / 60


@pytest.mark.parametrize("minute", [10, 12, 13])
def test_a_signal_that_moves_shortly_before_the_end_is_answered_once(minute: int) -> None:
    """With two minutes of delay: 300 kW more are 300 kW more, whatever is left of the quarter-hour."""
    slow = Timing(MINUTE, last=2 * MINUTE)
    owed = Owed(interval=FIRST, mean_kw=1000.0, next_kw=1000.0)
    memory = Memory()
    for past in range(minute):
        at = Metered(1000 * past / 60, START + past * MINUTE)
        memory = asked(past, memory=memory, owed=owed, metered=at, timing=slow).memory
    found = asked(
        minute,
        memory=memory,
        owed=replace(owed, signal_kw=300.0),
        metered=Metered(1000 * minute / 60, START + minute * MINUTE),
        timing=slow,
    )
    # The delay is made up for: half of it lies in the interval still.
    assert found.due_kw is not None
    assert 1300 <= found.due_kw <= 1300 + 300 / 2 + 1e-6


# ---------------------------------------------------------------- a park that runs


@dataclass
class Played:
    """Quarter-hours one after the other, in a park whose commands show late and whose loads lie by a constant."""

    error_kwh: list[float] = field(default_factory=list)
    targets_kw: list[list[float]] = field(default_factory=list)


def play(
    owed_kw: Sequence[float],
    *,
    gap_kw: float,
    delay: int = 0,
    timing: Timing = AT_ONCE,
    most_kw: float = 10_000.0,
) -> Played:
    """Play quarter-hours; commands show `delay` periods late, and no more than `most_kw` can be steered."""
    memory, commands, shown = Memory(), [0.0] * (delay + 1), None
    played, now = Played(), START
    for number, kw in enumerate(owed_kw):
        interval = Interval(START + number * QUARTER, START + (number + 1) * QUARTER)
        after = owed_kw[min(number + 1, len(owed_kw) - 1)]
        owed = Owed(interval=interval, mean_kw=kw, next_kw=after)
        metered_kwh, targets = 0.0, []
        while now < interval.end:
            found = correct(
                memory,
                now=now,
                owed=owed,
                metered=Metered(metered_kwh, now),
                shown=shown,
                expected=Expected(commands[-1], OTHERS_KW),
                timing=timing,
            )
            assert found.target_kw is not None
            memory = found.memory
            targets.append(found.target_kw)
            commands.append(min(max(found.target_kw - OTHERS_KW, -most_kw), most_kw))
            true_kw = commands[-1 - delay] + OTHERS_KW + gap_kw
            now += timing.period
            metered_kwh += true_kw * (timing.period / timedelta(hours=1))
            shown = Shown(true_kw, now)
        played.error_kwh.append(metered_kwh - kw * interval.hours)
        played.targets_kw.append(targets)
    return played


powers = st.floats(-3000, 3000)


@given(owed_kw=st.lists(powers, min_size=2, max_size=4), gap_kw=st.floats(-1000, 1000))
def test_with_a_constant_gap_nobody_knows_of_every_quarter_hour_is_met(
    owed_kw: list[float], gap_kw: float
) -> None:
    """To what half of a half of … of the gap leaves in the last minute: 1 Wh for each MW of it."""
    played = play(owed_kw, gap_kw=gap_kw)
    assert max(map(abs, played.error_kwh)) <= 2e-3
    assert max(map(abs, played.error_kwh[1:])) <= 1e-6


@given(
    owed_kw=st.lists(powers, min_size=2, max_size=4),
    gap_kw=st.floats(-1000, 1000),
    delay=st.integers(1, 3),
)
def test_a_delay_that_is_known_is_met_as_exactly_once_the_first_interval_is_over(
    owed_kw: list[float], gap_kw: float, delay: int
) -> None:
    late = delay * MINUTE
    played = play(owed_kw, gap_kw=gap_kw, delay=delay, timing=Timing(MINUTE, late, late))
    assert max(map(abs, played.error_kwh[1:])) <= 2e-3


@given(
    owed_kw=st.lists(powers, min_size=1, max_size=3),
    gap_kw=st.floats(-1000, 1000),
    delay=st.integers(0, 3),
)
def test_a_delay_of_up_to_three_periods_that_nobody_knows_makes_nothing_swing(
    owed_kw: list[float], gap_kw: float, delay: int
) -> None:
    """The last owed goes on for three quarter-hours: the targets settle, and turn at most a few times."""
    played = play(
        [*owed_kw, *owed_kw[-1:] * 3],
        gap_kw=gap_kw,
        delay=delay,
        timing=Timing(MINUTE, last=3 * MINUTE),
    )
    last = played.targets_kw[-1]
    moves = [b - a for a, b in pairwise(last)]
    span_kw = max(abs(kw) for kw in owed_kw) + abs(gap_kw) + abs(OTHERS_KW)
    assert max(map(abs, moves)) <= 0.1 * span_kw
    turns = sum(a * b < 0 and min(abs(a), abs(b)) > 0.01 * span_kw for a, b in pairwise(moves))
    assert turns <= 1
    assert abs(played.error_kwh[-1]) <= 0.01 * span_kw * QUARTER / timedelta(hours=1)


@given(gap_kw=st.floats(-1000, 1000), owed_kw=st.floats(0, 3000))
def test_nothing_winds_up_where_nobody_has_room(gap_kw: float, owed_kw: float) -> None:
    """20 MW are owed and 10 MW can be steered; the quarter-hour after that is met as if it had not been."""
    played = play([20_000.0, owed_kw], gap_kw=gap_kw)
    assert played.error_kwh[0] < -1000
    assert played.targets_kw[1][0] == pytest.approx(owed_kw - gap_kw, abs=1.0)
    assert abs(played.error_kwh[1]) <= 2e-3


@given(
    seconds=st.sampled_from([1, 2, 5, 10, 30, 60]),
    gap_kw=st.floats(-1000, 1000),
)
def test_the_period_does_not_matter(seconds: int, gap_kw: float) -> None:
    played = play([1000.0], gap_kw=gap_kw, timing=Timing(timedelta(seconds=seconds)))
    assert abs(played.error_kwh[0]) <= 2e-3
