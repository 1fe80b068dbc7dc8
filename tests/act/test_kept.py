"""What was kept of an instruction by the meter, and what it makes of the next one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.act.test_instructionlife import ASKED, START
from vpp.act.kept import kept_of, reliability, share_kept
from vpp.model.instruction import Kept, State, Unverified
from vpp.model.time import QUARTER

QUARTERS = [START + at * QUARTER for at in range(8)]


def test_what_was_given_up_is_the_mean_of_expected_less_drawn() -> None:
    drawn_kw = dict.fromkeys(QUARTERS[:4], 100.0) | dict.fromkeys(QUARTERS[4:], 300.0)
    assert kept_of(ASKED, drawn_kw) == Kept(delivered_kw=200.0, metered=8, quarters=8)


def test_quarter_hours_that_were_not_metered_count_for_nothing() -> None:
    drawn_kw = dict.fromkeys(QUARTERS[:4], 100.0)
    assert kept_of(ASKED, drawn_kw) == Kept(delivered_kw=300.0, metered=4, quarters=8)


def test_with_less_than_half_of_them_nothing_is_said() -> None:
    drawn_kw = dict.fromkeys(QUARTERS[:3], 100.0)
    assert kept_of(ASKED, drawn_kw) == Unverified(reason="3 of 8 quarter-hours were metered")


def test_a_quarter_hour_outside_the_window_is_none_of_it() -> None:
    drawn_kw = dict.fromkeys(QUARTERS, 100.0) | {START - timedelta(hours=1): 400.0}
    assert kept_of(ASKED, drawn_kw) == Kept(delivered_kw=300.0, metered=8, quarters=8)


KEPT_HALF = Kept(delivered_kw=150.0, metered=8, quarters=8)


@pytest.mark.parametrize(
    ("state", "verification", "share"),
    [
        (State.VERIFIED, KEPT_HALF, 0.5),
        (State.VERIFIED, Unverified(reason="no meter"), None),
        (State.DECLINED, None, 0.0),
        (State.UNANSWERED, None, 0.0),
        (State.TAKEN_BACK, None, None),
        (State.ACCEPTED, None, None),
        (State.UNDER_WAY, KEPT_HALF, None),
    ],
)
def test_the_meter_silence_and_a_no_tell_something_and_nothing_else_does(
    state: State, verification: Kept | Unverified | None, share: float | None
) -> None:
    assert share_kept(ASKED, state, verification) == share


def test_the_last_ones_count_and_never_less_than_the_least() -> None:
    assert reliability([], last=5, least=0.5) == 1
    assert reliability([0.0, 1.0, 0.5], last=2, least=0.5) == 0.75
    assert reliability([0.0, 0.0], last=5, least=0.5) == 0.5
    assert reliability([0.0, 0.0], last=0, least=0.5) == 1


@given(
    shares=st.lists(st.floats(min_value=0, max_value=1), max_size=20),
    last=st.integers(min_value=0, max_value=20),
    least=st.floats(min_value=0.01, max_value=1),
)
def test_a_reliability_is_a_part_that_something_is_left_of(
    shares: list[float], last: int, least: float
) -> None:
    assert least - 1e-9 <= reliability(shares, last=last, least=least) <= 1 + 1e-9
