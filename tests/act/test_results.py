"""What became of each instruction, and sums that no partial failure can pass through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.act.results import (
    Delivered,
    Excess,
    Instruction,
    Refused,
    Result,
    Short,
    Tolerance,
    UnknownResult,
    Watched,
    result_of,
    summary,
)
from vpp.errors import DataError
from vpp.model.ids import ResourceId

TOLERANCE = Tolerance(kw=1, share=0.05)


def told(from_kw: float, asked_kw: float) -> Instruction:
    return Instruction(
        command_id="c", resource_id=ResourceId("r"), from_kw=from_kw, asked_kw=asked_kw
    )


def measured(kw: float) -> Watched:
    return Watched().and_then(kw, 60)


@pytest.mark.parametrize(
    ("from_kw", "asked_kw", "measured_kw", "expected"),
    [
        pytest.param(0, 100, 96, Delivered, id="within 5 % of a battery's move"),
        pytest.param(0, 100, 94, Short, id="a battery that feeds too little"),
        pytest.param(0, 100, 106, Excess, id="a battery that feeds too much"),
        pytest.param(-100, -60, -70, Short, id="a load that draws 30 less, not 40"),
        pytest.param(-100, -60, -50, Excess, id="a load that draws 50 less"),
        pytest.param(0, -100, -80, Short, id="a battery that charges too little"),
        pytest.param(0, 100, -20, Short, id="the other way"),
        pytest.param(50, 50, 50.9, Delivered, id="no move, a milli more than none"),
        pytest.param(50, 50, 48, Short, id="no move asked, and it feeds less"),
    ],
)
def test_an_instruction_is_judged_in_the_direction_of_its_move(
    from_kw: float, asked_kw: float, measured_kw: float, expected: type[Result]
) -> None:
    result = result_of(told(from_kw, asked_kw), measured(measured_kw), TOLERANCE)
    assert isinstance(result, expected)
    assert result.measured_kw == measured_kw


def test_what_is_measured_is_the_mean_over_time() -> None:
    watched = Watched().and_then(90, 10).and_then(100, 30)
    assert watched.mean_kw == 97.5


@pytest.mark.parametrize("kw", [None, float("nan"), float("inf")])
def test_what_was_not_measured_counts_for_nothing(kw: float | None) -> None:
    assert Watched().and_then(90, 10).and_then(kw, 30).mean_kw == 90


def test_an_instruction_nobody_measured_is_unknown_and_says_why() -> None:
    result = result_of(told(0, 100), Watched(), TOLERANCE)
    assert isinstance(result, UnknownResult)
    assert "0 s since its ramp" in result.reason


def test_too_short_a_look_says_nothing() -> None:
    look = Watched().and_then(100, 2)
    assert isinstance(result_of(told(0, 100), look, TOLERANCE, least_seconds=5), UnknownResult)


def test_a_refusal_stays_one_whatever_the_meter_says() -> None:
    result = result_of(told(0, 100), measured(100), TOLERANCE, refused="local mode")
    assert isinstance(result, Refused)
    assert (result.reason, result.measured_kw) == ("local mode", 100)


def test_a_part_that_failed_is_missing_from_what_was_delivered() -> None:
    """Reliability row C14: ten batteries of 100 kW, three of which do nothing."""
    kws = [100.0] * 7 + [0.0] * 3
    total = summary([result_of(told(0, 100), measured(kw), TOLERANCE) for kw in kws])
    assert (total.asked_kw, total.delivered_kw, total.short_kw) == (1000, 700, 300)
    assert total.counts == {"delivered": 7, "short": 3, "excess": 0, "refused": 0, "unknown": 0}
    assert not total.complete


def test_one_that_does_too_much_hides_no_other_that_does_nothing() -> None:
    """Net they did all; the result still says who did not."""
    total = summary([result_of(told(0, 100), measured(kw), TOLERANCE) for kw in (200, 0)])
    assert (total.delivered_kw, total.short_kw, total.excess_kw) == (200, 100, 100)
    assert not total.complete


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(DataError, match="tolerance"):
        Tolerance(kw=wrong, share=0)
    with pytest.raises(DataError, match="tolerance"):
        Tolerance(kw=0, share=wrong)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Instruction, float | None, str | None]:
    kw = st.integers(-200, 200).map(float)
    refused = draw(st.sampled_from([None, None, "no"]))
    return told(draw(kw), draw(kw)), draw(st.one_of(st.none(), kw)), refused


@settings(max_examples=200)
@given(st.lists(outcomes(), max_size=20))
def test_the_sums_equal_what_the_meters_saw(
    seen: list[tuple[Instruction, float | None, str | None]],
) -> None:
    """Reliability row C14, for any mixture of failures."""
    results = [
        result_of(one, Watched().and_then(kw, 60), TOLERANCE, refused=refused)
        for one, kw, refused in seen
    ]
    total = summary(results)
    assert total.asked_kw == pytest.approx(
        total.delivered_kw + total.short_kw - total.excess_kw + total.unknown_kw
    )
    truth_kw = sum(
        (kw - one.from_kw) * (1 if one.asked_kw >= one.from_kw else -1)
        for one, kw, _ in seen
        if kw is not None
    )
    assert total.delivered_kw == pytest.approx(truth_kw)
    assert sum(total.counts.values()) == len(seen)
    assert total.complete == all(isinstance(r, Delivered | Excess) for r in results)
