"""How an instruction to a person goes from one state to the next: a closed table, and what its times ask for.

    asked ──remind──▶ reminded          accepted ─┐
      └──────┬────────────┘  ┌────────▶ accepted_less ├──begin──▶ under_way ──verify──▶ verified
             ├──answer───────┤              │
             ├──pass──▶ unanswered          └──decline──▶ declined
             └──take back, call off──▶ taken_back  ◀── from any of them until the window is over

A promise may be lowered, or taken back, until the window begins: a machine can break. It is never raised, since
others do by then what was not promised. What the table does not hold is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from vpp.errors import ConflictError
from vpp.model.instruction import Accepted, AcceptedLess, Declined, Given, Instruction, State


class Happening(StrEnum):
    """What may happen to an instruction."""

    REMIND = "remind"
    ACCEPT = "accept"
    ACCEPT_LESS = "accept_less"
    DECLINE = "decline"
    PASS = "pass"
    """Its deadline passes without an answer."""
    TAKE_BACK = "take_back"
    """The control room wants nothing of it any more, whatever the plan would like."""
    CALL_OFF = "call_off"
    """What it was made for is not owed any more."""
    BEGIN = "begin"
    VERIFY = "verify"
    RESPLIT = "resplit"
    """The newest plan gives others what was not promised."""


S, H = State, Happening

OPEN = frozenset({S.ASKED, S.REMINDED})
"""An answer is waited for."""

PROMISED = frozenset({S.ACCEPTED, S.ACCEPTED_LESS})

COUNTED = OPEN | PROMISED | {S.UNDER_WAY}
"""The plan counts on it: until its deadline on whoever has not answered, too."""

TRANSITIONS: Mapping[tuple[State, Happening], State] = MappingProxyType(
    {
        (S.ASKED, H.REMIND): S.REMINDED,
        **{(state, H.ACCEPT): S.ACCEPTED for state in OPEN},
        **{(state, H.ACCEPT_LESS): S.ACCEPTED_LESS for state in OPEN | PROMISED},
        **{(state, H.DECLINE): S.DECLINED for state in OPEN | PROMISED},
        **{(state, H.PASS): S.UNANSWERED for state in OPEN},
        **{(state, H.TAKE_BACK): S.TAKEN_BACK for state in COUNTED},
        **{(state, H.CALL_OFF): S.TAKEN_BACK for state in COUNTED},
        **{(state, H.BEGIN): S.UNDER_WAY for state in PROMISED},
        (S.UNDER_WAY, H.VERIFY): S.VERIFIED,
        **{
            (state, H.RESPLIT): state
            for state in (S.ACCEPTED_LESS, S.DECLINED, S.UNANSWERED, S.UNDER_WAY)
        },
    }
)
"""Everything that may happen; what is not here may not."""


def after(state: State, happening: Happening, *, where: str) -> State:
    """The state after it.

    Raises:
        ConflictError: The table does not hold it; `where` says which instruction.
    """
    to = TRANSITIONS.get((state, happening))
    if to is None:
        raise ConflictError(
            f"it is {state.replace('_', ' ')}, so it cannot {happening.replace('_', ' ')}",
            where=where,
            fix="Look at the instruction",
        )
    return to


def happening_of(answer: Given) -> Happening:
    """What an answer of a person lets happen."""
    match answer:
        case Accepted():
            return H.ACCEPT
        case AcceptedLess():
            return H.ACCEPT_LESS
        case Declined():
            return H.DECLINE


def require_in_time(instruction: Instruction, state: State, now: datetime) -> None:
    """Refuse an answer that comes too late: to a question at its deadline, to a promise as its window begins.

    Raises:
        ConflictError: Since when.
    """
    until = instruction.answer_by if state in OPEN else instruction.window.start
    if now >= until:
        raise ConflictError(
            f"its time was over at {until:%Y-%m-%dT%H:%M:%SZ}",
            where=f"instruction {instruction.instruction_id}",
            fix="Ring the control room",
        )


def due(
    instruction: Instruction, state: State, now: datetime, *, remind_before: timedelta
) -> Happening | None:
    """What the time asks for next; None where nothing is due. Asked again after each happening."""
    if state in OPEN:
        if now >= instruction.answer_by:
            return H.PASS
        if state is S.ASKED and remind_before and now >= instruction.answer_by - remind_before:
            return H.REMIND
    elif state in PROMISED and now >= instruction.window.start:
        return H.BEGIN
    elif state is S.UNDER_WAY and now >= instruction.window.end:
        return H.VERIFY
    return None
