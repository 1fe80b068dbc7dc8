"""Where an invitation to demand response stands: a closed table of stages and of what may happen.

    invited ──nominate──▶ nominated ──confirm──▶ confirmed ──remind──▶ reminded
       │                      │                      └──────begin──────────┴──▶ under_way
       └──decline──▶ declined └──pass over──▶ not_chosen                            │
                                                     settled ◀──settle── evaluated ◀┘ evaluate

Until the window begins a person may nominate anew or decline, as long as there is time to reply; the platform
may revise (all begins again) or take back. What it confirms is owed whatever we thought of it: a late
confirmation, or a corrected one, moves the story back to where it is owed, and a correction to nothing ends it
at any time before it is settled. What the table does not hold is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from vpp.errors import ConflictError
from vpp.model.demandresponse import Stage


class Happening(StrEnum):
    """What may happen to an invitation."""

    NOMINATE = "nominate"
    DECLINE = "decline"
    CONFIRM = "confirm"
    PASS_OVER = "pass_over"
    """The platform did not choose it, or said nothing in time."""
    REMIND = "remind"
    BEGIN = "begin"
    EVALUATE = "evaluate"
    SETTLE = "settle"
    REVISE = "revise"
    """The platform sends a higher revision: a new invitation in the place of the old one."""
    WITHDRAW = "withdraw"
    """The platform takes it back."""


S, H = Stage, Happening

OPEN = frozenset({S.INVITED, S.DECLINED, S.NOMINATED})
"""A reply can still be made, or changed."""

OWED = frozenset({S.CONFIRMED, S.REMINDED, S.UNDER_WAY})
"""Something is confirmed, and the plan keeps to it."""

PLANNED = frozenset({S.INVITED, S.NOMINATED}) | OWED
"""A plan reckons with it."""

CALLED = frozenset({S.CONFIRMED, S.REMINDED, S.UNDER_WAY, S.EVALUATED, S.SETTLED})
"""Counted as a call of those who take part; its day is an event day for their baselines."""


def _rows() -> Iterator[tuple[Stage, Happening, Stage]]:
    for stage in OPEN:
        yield stage, H.NOMINATE, S.NOMINATED
        yield stage, H.DECLINE, S.DECLINED
    for stage in (S.NOMINATED, S.NOT_CHOSEN, S.CONFIRMED):
        yield stage, H.CONFIRM, S.CONFIRMED
        yield stage, H.PASS_OVER, S.NOT_CHOSEN
    yield S.REMINDED, H.CONFIRM, S.REMINDED
    yield S.REMINDED, H.PASS_OVER, S.NOT_CHOSEN
    for stage in (S.CONFIRMED, S.REMINDED):
        yield stage, H.REMIND, S.REMINDED
        yield stage, H.BEGIN, S.UNDER_WAY
    for stage in (S.UNDER_WAY, S.EVALUATED):
        yield stage, H.PASS_OVER, S.NOT_CHOSEN
    yield S.UNDER_WAY, H.CONFIRM, S.UNDER_WAY
    yield S.UNDER_WAY, H.EVALUATE, S.EVALUATED
    yield S.EVALUATED, H.CONFIRM, S.UNDER_WAY
    yield S.EVALUATED, H.EVALUATE, S.EVALUATED
    yield S.EVALUATED, H.SETTLE, S.SETTLED
    for stage in (S.INVITED, S.DECLINED, S.NOMINATED, S.NOT_CHOSEN, S.CONFIRMED, S.REMINDED):
        yield stage, H.REVISE, S.INVITED
        yield stage, H.WITHDRAW, S.WITHDRAWN
    yield S.UNDER_WAY, H.WITHDRAW, S.WITHDRAWN
    yield S.WITHDRAWN, H.REVISE, S.INVITED


TRANSITIONS: Mapping[tuple[Stage, Happening], Stage] = MappingProxyType(
    {(stage, happening): to for stage, happening, to in _rows()}
)
"""Everything that may happen; what is not here may not."""


def may(stage: Stage, happening: Happening) -> bool:
    """Whether it may happen to an invitation in `stage`."""
    return (stage, happening) in TRANSITIONS


def after(stage: Stage, happening: Happening, *, where: str) -> Stage:
    """The stage after it.

    Raises:
        ConflictError: The table does not hold it; `where` says which invitation.
    """
    to = TRANSITIONS.get((stage, happening))
    if to is None:
        raise ConflictError(
            f"it is {stage}, so it cannot {happening.replace('_', ' ')}",
            where=where,
            fix="Look at the invitation; what came before it may have been lost",
        )
    return to
