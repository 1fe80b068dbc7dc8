"""What an instruction asks, what answers promise, and what the meter says was kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, PersonId, ResourceId
from vpp.model.instruction import (
    Accepted,
    AcceptedLess,
    Declined,
    Instruction,
    Kept,
    Reason,
    Unanswered,
    Why,
    promised_kw,
    require_fits,
)
from vpp.model.time import Interval

START = datetime(2026, 7, 15, 9, tzinfo=UTC)
ASKED = Instruction(
    instruction_id="press-1",
    resource_id=ResourceId("press"),
    enterprise_id=EnterpriseId("mill"),
    person_id=PersonId("wang"),
    amount_kw=300.0,
    course_kw=(500.0,) * 8,
    window=Interval(START, START + timedelta(hours=2)),
    answer_by=START - timedelta(minutes=30),
    made_at=START - timedelta(hours=2),
    why=Why(reason=Reason.DEMAND_RESPONSE, reference="peak-1"),
)
AT = START - timedelta(hours=1)


def test_a_silent_person_is_counted_on_until_the_deadline_and_not_after_it() -> None:
    assert promised_kw(ASKED, None) == 300
    assert promised_kw(ASKED, Unanswered(at=ASKED.answer_by)) == 0


def test_each_answer_promises_what_it_says() -> None:
    assert promised_kw(ASKED, Accepted(at=AT, by="wang")) == 300
    assert promised_kw(ASKED, AcceptedLess(at=AT, by="wang", amount_kw=120)) == 120
    assert promised_kw(ASKED, Declined(at=AT, by="wang")) == 0


@pytest.mark.parametrize("amount_kw", [0.0, -1.0, 300.0, 301.0, float("nan")])
def test_less_that_is_nothing_or_no_less_is_no_answer(amount_kw: float) -> None:
    with pytest.raises(DataError, match="between 0 and what was asked"):
        require_fits(ASKED, None, AcceptedLess(at=AT, by="wang", amount_kw=amount_kw))


def test_what_the_load_may_still_draw_is_never_below_nothing() -> None:
    assert ASKED.leaves_kw == 200
    assert replace(ASKED, course_kw=(100.0,) * 8).leaves_kw == 0


def test_more_than_was_asked_is_no_more_than_whole_and_the_wrong_way_is_nothing() -> None:
    assert Kept(delivered_kw=150.0, metered=8, quarters=8).share_of(300.0) == 0.5
    assert Kept(delivered_kw=400.0, metered=8, quarters=8).share_of(300.0) == 1
    assert Kept(delivered_kw=-50.0, metered=8, quarters=8).share_of(300.0) == 0


@pytest.mark.parametrize(
    "spoilt",
    [
        {"amount_kw": 0.0},
        {"amount_kw": float("inf")},
        {"course_kw": (-1.0,) * 8},
        {"answer_by": START + timedelta(minutes=1)},
        {"answer_by": ASKED.made_at},
        {"answer_by": (START - timedelta(hours=1)).replace(tzinfo=None)},
        {"course_kw": (500.0,) * 7},
        {"reliability": 0.0},
    ],
)
def test_an_instruction_that_asks_for_nothing_or_leaves_no_time_is_refused(
    spoilt: dict[str, object],
) -> None:
    with pytest.raises(DataError):
        replace(ASKED, **spoilt)  # type: ignore[arg-type]
