"""What may happen to an instruction, by the table and by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.instructionlife import (
    COUNTED,
    OPEN,
    PROMISED,
    TRANSITIONS,
    Happening,
    after,
    due,
    happening_of,
    require_in_time,
)
from vpp.errors import ConflictError
from vpp.model.ids import EnterpriseId, PersonId, ResourceId
from vpp.model.instruction import (
    Accepted,
    AcceptedLess,
    Declined,
    Instruction,
    Reason,
    State,
    Why,
)
from vpp.model.time import Interval

START = datetime(2026, 7, 15, 9, tzinfo=UTC)
END = START + timedelta(hours=2)
DEADLINE = START - timedelta(minutes=30)
QUARTER_HOUR = timedelta(minutes=15)
ASKED = Instruction(
    instruction_id="press-1",
    resource_id=ResourceId("press"),
    enterprise_id=EnterpriseId("mill"),
    person_id=PersonId("wang"),
    amount_kw=300.0,
    course_kw=(400.0,) * 8,
    window=Interval(START, END),
    answer_by=DEADLINE,
    made_at=START - timedelta(hours=4),
    why=Why(reason=Reason.PLAN, reference="plan-1"),
)
LAST = frozenset({State.DECLINED, State.UNANSWERED, State.TAKEN_BACK, State.VERIFIED})
H = Happening


def due_at(state: State, now: datetime, remind_before: timedelta = QUARTER_HOUR) -> H | None:
    return due(ASKED, state, now, remind_before=remind_before)


@given(st.lists(st.sampled_from(Happening), max_size=12))
def test_whatever_happens_in_whatever_order_ends_where_nothing_leads_out(
    happenings: list[Happening],
) -> None:
    state, ended = State.ASKED, False
    for happening in happenings:
        if (state, happening) in TRANSITIONS:
            was, state = state, after(state, happening, where="here")
            assert not ended or was is state
        else:
            with pytest.raises(ConflictError):
                after(state, happening, where="here")
        ended = ended or state in LAST


def test_nothing_is_counted_on_that_was_refused_or_passed_over_or_is_over() -> None:
    assert set(State) == COUNTED | LAST
    assert not COUNTED & LAST


def test_a_promise_may_be_lowered_and_never_raised() -> None:
    assert after(State.ACCEPTED, H.ACCEPT_LESS, where="here") is State.ACCEPTED_LESS
    assert after(State.ACCEPTED_LESS, H.DECLINE, where="here") is State.DECLINED
    for state in set(State) - OPEN:
        assert (state, H.ACCEPT) not in TRANSITIONS


def test_whoever_is_silent_is_reminded_once_and_passed_over_at_the_deadline() -> None:
    reminder = DEADLINE - QUARTER_HOUR
    second = timedelta(seconds=1)
    assert due_at(State.ASKED, reminder - second) is None
    assert due_at(State.ASKED, reminder) is H.REMIND
    assert due_at(State.REMINDED, reminder) is None
    assert due_at(State.REMINDED, DEADLINE - second) is None
    assert due_at(State.REMINDED, DEADLINE) is H.PASS
    assert due_at(State.ASKED, DEADLINE) is H.PASS


def test_without_a_time_to_remind_nobody_is_reminded() -> None:
    assert due_at(State.ASKED, DEADLINE - timedelta(seconds=1), timedelta(0)) is None


@pytest.mark.parametrize("state", sorted(PROMISED))
def test_a_promise_begins_with_its_window_and_is_looked_at_when_that_is_over(state: State) -> None:
    assert due_at(state, START - timedelta(seconds=1)) is None
    assert due_at(state, START) is H.BEGIN
    assert due_at(State.UNDER_WAY, END - timedelta(seconds=1)) is None
    assert due_at(State.UNDER_WAY, END) is H.VERIFY


@pytest.mark.parametrize("state", sorted(LAST))
def test_what_is_over_waits_for_nothing(state: State) -> None:
    assert due_at(state, END + timedelta(days=1)) is None


def test_a_question_is_answered_before_its_deadline_and_a_promise_lowered_before_its_window() -> (
    None
):
    require_in_time(ASKED, State.REMINDED, DEADLINE - timedelta(seconds=1))
    require_in_time(ASKED, State.ACCEPTED, START - timedelta(seconds=1))
    with pytest.raises(ConflictError, match="08:30:00Z"):
        require_in_time(ASKED, State.ASKED, DEADLINE)
    with pytest.raises(ConflictError, match="09:00:00Z"):
        require_in_time(ASKED, State.ACCEPTED, START)


def test_each_answer_is_a_happening_of_its_own() -> None:
    assert happening_of(Accepted(at=START, by="wang")) is H.ACCEPT
    assert happening_of(AcceptedLess(at=START, by="wang", amount_kw=1.0)) is H.ACCEPT_LESS
    assert happening_of(Declined(at=START, by="wang")) is H.DECLINE
