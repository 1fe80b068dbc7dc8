"""An instruction to a person: draw so much less in a window, why, and until when we need to know.

    Instruction ──▶ Answer: Accepted │ AcceptedLess │ Declined │ Unanswered ──▶ Kept │ Unverified

What a set-point is to a device an instruction is to whoever stands at the machine. Amounts are sizes in kW of
draw that is given up, against what the load would draw by itself; a person who cannot give all of it says how
much. What may follow what is in `vpp/act/instructionlife.py`; what was kept of it is told by the meter alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf
from typing import TypeAlias, assert_never

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, PersonId, ResourceId
from vpp.model.time import QUARTER, Interval, isoformat, require_utc


class State(StrEnum):
    """Where an instruction stands."""

    ASKED = "asked"
    """Made, and on its way to the person."""
    REMINDED = "reminded"
    ACCEPTED = "accepted"
    """Wholly."""
    ACCEPTED_LESS = "accepted_less"
    DECLINED = "declined"
    UNANSWERED = "unanswered"
    """Its deadline passed: what it asked for is others' to do."""
    TAKEN_BACK = "taken_back"
    """By us, before its window ended: nothing is asked any more."""
    UNDER_WAY = "under_way"
    VERIFIED = "verified"
    """Its window is over, and the meter was looked at."""


class Reason(StrEnum):
    """Why a person is asked."""

    DEMAND_RESPONSE = "demand_response"
    """A call of a load-management platform that is confirmed."""
    PLAN = "plan"
    """Prices and what is sold: the plan calls the load."""
    OPERATOR = "operator"
    """Somebody in the control room asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What an instruction is for, so that it can be said in any language."""

    reason: Reason
    reference: str = ""
    """Of what: the invitation, the plan."""
    words: str = ""
    """What an operator adds, as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What one person is asked to do with one load. It never changes: another wish is another instruction."""

    instruction_id: str
    resource_id: ResourceId
    enterprise_id: EnterpriseId
    person_id: PersonId
    amount_kw: float
    """Of draw that is given up over the whole window; a size above 0."""

    course_kw: tuple[float, ...]
    """What the load is expected to draw by itself in each quarter-hour of the window; sizes. It is what the
    meter is held against: fixed when we ask, so that nobody can earn by what comes after."""

    window: Interval
    """On whole quarter-hours."""

    answer_by: datetime
    """The deadline; not after the window begins."""

    made_at: datetime
    why: Why
    reliability: float = 1.0
    """What part of what is promised the plan counts on, in (0, 1]: what came of it lately."""

    def __post_init__(self) -> None:
        where = f"instruction {self.instruction_id}"
        require_utc(self.answer_by, where=f"{where}.answer_by")
        require_utc(self.made_at, where=f"{where}.made_at")
        quarters = (self.window.end - self.window.start) / QUARTER
        sizes = 0 < self.amount_kw < inf and all(0 <= kw < inf for kw in self.course_kw)
        if not sizes or quarters != len(self.course_kw) or not 0 < self.reliability <= 1:
            raise DataError(
                f"amount_kw {self.amount_kw} of {self.course_kw}, reliability {self.reliability}",
                where=where,
                fix=f"Ask for more than 0 kW, of a draw for each of {quarters:g} quarter-hours",
            )
        if not self.made_at < self.answer_by <= self.window.start:
            raise DataError(
                f"made {isoformat(self.made_at)}, answered by {isoformat(self.answer_by)},"
                f" from {isoformat(self.window.start)}",
                where=where,
                fix="Leave time to answer before the window begins",
            )

    @property
    def expected_kw(self) -> float:
        """Mean of what the load would draw by itself; a size."""
        return sum(self.course_kw) / len(self.course_kw)

    @property
    def leaves_kw(self) -> float:
        """What the load may still draw where all of it is given up; a size."""
        return max(self.expected_kw - self.amount_kw, 0.0)


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """All of it will be done."""

    at: datetime
    by: str
    """The person, or who answered for him."""
    reason: str = ""
    """What was said beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedLess:
    """Part of it will be done."""

    at: datetime
    by: str
    amount_kw: float
    """Above 0, below what was asked."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Nothing of it will be done."""

    at: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The deadline passed."""

    at: datetime


Given: TypeAlias = Accepted | AcceptedLess | Declined
"""What a person can answer."""

Answer: TypeAlias = Given | Unanswered


def promised_kw(instruction: Instruction, answer: Answer | None) -> float:
    """What is to be counted on: all of it while nobody has answered, nothing once the deadline passed."""
    match answer:
        case None | Accepted():
            return instruction.amount_kw
        case AcceptedLess(amount_kw=amount_kw):
            return amount_kw
        case Declined() | Unanswered():
            return 0.0
        case _:
            assert_never(answer)


def require_fits(instruction: Instruction, before: Answer | None, answer: Given) -> None:
    """Refuse an answer that is none to this instruction; `before` is what was answered to it so far.

    Raises:
        DataError: Less is no less, or nothing; decline says that.
    """
    most_kw = promised_kw(instruction, before)
    if isinstance(answer, AcceptedLess) and not 0 < answer.amount_kw < most_kw:
        what = "promised" if before is not None else "asked"
        raise DataError(
            f"amount_kw {answer.amount_kw:g} of {most_kw:g}",
            where=f"instruction {instruction.instruction_id}",
            fix=f"Give an amount between 0 and what was {what}, or decline",
        )


# ---------------------------------------------------------------- what came of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the meter shows of the window."""

    delivered_kw: float
    """Mean of draw given up against what was expected; below 0 where more was drawn."""

    metered: int
    quarters: int
    """Quarter-hours of the window that were metered, of how many."""

    def share_of(self, asked_kw: float) -> float:
        """What part of an amount was given up, from 0 to 1: more than was asked is no more than whole."""
        return min(max(self.delivered_kw / asked_kw, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """The meter cannot tell."""

    reason: str


Verification: TypeAlias = Kept | Unverified
