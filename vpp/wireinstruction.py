"""Messages of the HTTP contract about instructions to people. Powers are sizes in kW of draw that is given up.

See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vpp.wire import Id, Moment, WireModel

Who = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Words = Annotated[str, StringConstraints(max_length=300)]
Kw = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

StateName = Literal[
    "asked",
    "reminded",
    "accepted",
    "accepted_less",
    "declined",
    "unanswered",
    "taken_back",
    "under_way",
    "verified",
]


class InstructionRequest(WireModel):
    """Ask the person of a load to turn it down."""

    resource: Id
    amount_kw: Kw
    start: Moment
    end: Moment
    """Both on whole quarter-hours."""
    why: Annotated[str, StringConstraints(min_length=3, max_length=300)]
    """Said to the person as it stands."""


class AnswerRequest(WireModel):
    """What a person says, by whoever heard it."""

    decision: Literal["accept", "accept_less", "decline"]
    amount_kw: Kw | None = None
    """Of `accept_less` alone."""
    by: Who
    reason: Words = ""
    """Kept with the answer, whichever it is."""

    @model_validator(mode="after")
    def _says_how_much(self) -> AnswerRequest:
        if (self.decision == "accept_less") != (self.amount_kw is not None):
            raise ValueError("give amount_kw with accept_less, and with nothing else")
        return self


class InstructionStepView(WireModel):
    number: int
    happening: str
    at: datetime
    words: str


class ResplitView(WireModel):
    """Who does what fell out, by the plan that was made then against the one before."""

    plan_id: str
    after_s: float
    lost_kw: float
    taken_kw: dict[str, float]
    left_kw: float
    """Above 0: nobody does it."""


class InstructionView(WireModel):
    """An instruction as it stands, and how it came to that."""

    instruction_id: str
    resource: str
    enterprise: str
    person: str
    state: StateName
    amount_kw: float
    promised_kw: float
    """What is to be counted on; 0 once nothing is."""
    expected_kw: float
    """What the load would draw by itself, a mean of the window."""
    start: datetime
    end: datetime
    answer_by: datetime
    made_at: datetime
    why: Literal["demand_response", "plan", "operator"]
    reference: str
    words: str
    reliability: float
    """What part of the promise the plan counts on."""
    answered_by: str | None
    answered_at: datetime | None
    delivered_kw: float | None
    """By the meter, a mean of the window; null until it is over, or where nothing was metered."""
    not_verified: str | None
    """Why the meter cannot tell."""
    resplit: ResplitView | None
    steps: list[InstructionStepView]


class ReachedView(WireModel):
    """A load that a person turns by hand."""

    resource: str
    person: str
    reliability: float
    """Of the next instruction."""


class InstructionsView(WireModel):
    resources: list[ReachedView]
    instructions: list[InstructionView]
    """The newest first."""
