"""What was put off comes back, all of it, and later if a new call comes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.rebound import Rebounds
from vpp.errors import DataError


def rebounds(share: float = 0.5, delay_s: float = 600, length_s: float = 1200) -> Rebounds:
    return Rebounds(
        share=np.array([share]),
        delay_s=np.array([delay_s]),
        length_s=np.array([length_s]),
        owed_kwh=np.zeros(1),
        since_s=np.zeros(1),
    )


def drawn_kw(called_kw: Sequence[float], period_s: float = 300, **kind: float) -> list[float]:
    """What one unit draws beside its usual power in each period, called by so much in each."""
    state, drawn = rebounds(**kind), []
    for kw in called_kw:
        drawn.append(float(state.draw_kw(period_s)[0]))
        state = state.after(np.array([kw]), period_s)
    return drawn


def test_half_of_what_was_not_drawn_comes_back_after_the_delay_evenly() -> None:
    """120 kW for 10 minutes are 20 kWh; 10 of them come within 20 minutes: 30 kW."""
    drawn = drawn_kw([120, 120] + [0] * 8)
    assert drawn == pytest.approx([0, 0, 0, 0, 30, 30, 30, 30, 0, 0])


def test_a_new_call_puts_off_what_is_still_owed() -> None:
    """Of 20 kWh 5 have come when 5 more are put off: 20 again, within 20 minutes."""
    drawn = drawn_kw([120, 120, 0, 0, 0, 60] + [0] * 8, share=1)
    assert drawn[6:] == pytest.approx([0, 0, 60, 60, 60, 60, 0, 0])


def test_who_makes_up_for_nothing_draws_nothing() -> None:
    assert drawn_kw([100, 0, 0, 0, 0, 0], share=0) == [0] * 6


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_power_that_is_no_size_is_refused(wrong: float) -> None:
    with pytest.raises(DataError, match="Rebounds"):
        rebounds().after(np.array([wrong]), 60)
    with pytest.raises(DataError, match="Rebounds"):
        rebounds().after(np.array([1.0]), wrong)


@settings(max_examples=60)
@given(
    called=st.lists(st.sampled_from([0.0, 0.0, 50.0, 80.0]), min_size=1, max_size=30),
    share=st.floats(0, 1.5),
    delay_s=st.integers(0, 2000),
    length_s=st.integers(1, 3000),
)
def test_exactly_the_share_of_what_was_not_drawn_comes_back(
    called: list[float], share: float, delay_s: int, length_s: int
) -> None:
    drawn = drawn_kw([*called, *[0.0] * 25], share=share, delay_s=delay_s, length_s=length_s)
    after_a_call = [kw for kw, now in zip(drawn, [*called, *[0.0] * 25], strict=True) if not now]
    assert sum(after_a_call) == pytest.approx(share * sum(called), abs=1e-6)
