"""Messages of demand response: what a platform sends, what a person decides, what the story looks like.

Money and market quantities are strings that hold a decimal, as in `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vpp.wire import FiniteDecimal, Id, Moment, WireModel

InvitationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Who = Annotated[str, StringConstraints(min_length=1, max_length=120)]


class InvitationRequest(WireModel):
    """A load-management platform invites. A higher revision replaces a lower one; 0 MW takes it back."""

    invitation_id: InvitationId
    revision: int = Field(ge=1, le=1_000_000)
    unit: Id | None = None
    start: Moment
    end: Moment
    direction: Literal["up", "down"] | None = None
    """up: draw less; down: draw more. Left out: the product's."""
    wanted_mw: Annotated[FiniteDecimal, Field(ge=0, le=1_000_000)]
    price_cap_per_mwh: Annotated[FiniteDecimal, Field(ge=0, le=1_000_000)] | None = None
    """The most that is paid, in the unit of the product's price."""
    fixed_price_per_mwh: Annotated[FiniteDecimal, Field(ge=0, le=1_000_000)] | None = None
    reply_by: Moment
    area: str = Field(default="", max_length=120)
    source: str = Field(min_length=1, max_length=120)
    """Who invites, as people know them."""

    @model_validator(mode="after")
    def _priced(self) -> InvitationRequest:
        if (self.price_cap_per_mwh is None) == (self.fixed_price_per_mwh is None):
            raise ValueError("give price_cap_per_mwh or fixed_price_per_mwh")
        return self


class ReplyRequest(WireModel):
    """A person nominates, alters a nomination, or declines."""

    decision: Literal["nominate", "decline"]
    shares_mw: dict[Id, FiniteDecimal] | None = Field(default=None, max_length=1000)
    """By enterprise; left out: what the newest plan brings."""
    by: Who
    reason: Who


class NominationView(WireModel):
    bid_set_id: str
    quantity_mw: Decimal
    price_per_mwh: Decimal
    shares_mw: dict[str, Decimal]
    made_at: datetime
    by: str


class ConfirmationView(WireModel):
    quantity_mw: Decimal
    price_per_mwh: Decimal
    called_mw: Decimal
    """Of it, where the platform's own call asks for less."""


class MemberResultView(WireModel):
    enterprise: str
    baseline_mwh: Decimal
    """Draw above 0."""
    actual_mwh: Decimal
    response_mwh: Decimal
    amount: Decimal
    penalty: Decimal


class EvaluationView(WireModel):
    at: datetime
    cleared_mwh: Decimal
    response_mwh: Decimal
    completion: Decimal
    invalid: str
    amount: Decimal
    penalty: Decimal
    provisional: bool
    members: list[MemberResultView]


class CapabilityView(WireModel):
    """What the newest plan brings, while a reply can be made."""

    quantity_mw: Decimal
    """What would be offered now."""
    reliability: Decimal
    response_kw: dict[str, float]
    """Mean over the window beyond the baseline, by enterprise."""
    refused: dict[str, str]
    """Who may not take part, and why."""
    not_known: str
    """Why nothing can be said; empty where something can."""


class StepView(WireModel):
    number: int
    happening: str
    at: datetime
    words: str


class InvitationView(WireModel):
    """An invitation, and all that came of it."""

    invitation_id: str
    revision: int
    product: str
    unit: str
    start: datetime
    end: datetime
    direction: Literal["up", "down"]
    wanted_mw: Decimal
    price_cap_per_mwh: Decimal | None
    fixed_price_per_mwh: Decimal | None
    reply_by: datetime
    area: str
    source: str
    received_at: datetime
    stage: str
    capability: CapabilityView | None
    nomination: NominationView | None
    confirmation: ConfirmationView | None
    evaluation: EvaluationView | None
    steps: list[StepView]


class InvitationsView(WireModel):
    product: str
    invitations: list[InvitationView]
