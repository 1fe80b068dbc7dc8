"""Messages about positions: outside trades, the net position, nominations, what is to be traded again."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vpp.wire import FiniteDecimal, Id, Moment, ProductName, WireModel

TradeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
SeriesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,64}$")]
Person = Annotated[str, StringConstraints(min_length=2, max_length=120)]
Why = Annotated[str, StringConstraints(min_length=3, max_length=500)]
MOST_MW = Decimal(1_000_000)
MOST_PER_MWH = Decimal(10_000_000)


class OutsideTradeRequest(WireModel):
    """A trade that no bid of ours led to: of a trader, on a portal, of a contract. The same again changes nothing."""

    trade_id: TradeId
    revision: int = Field(default=1, ge=1, le=2**31)
    """A higher one replaces what stands; one of 0 MW takes it back."""
    product: ProductName
    """A product of this park, into which it counts, or the name of a contract."""
    unit: Id | None = None
    """Left out: the park's first bidding unit."""
    start: Moment
    end: Moment
    side: Literal["buy", "sell"]
    quantity_mw: FiniteDecimal = Field(ge=0, le=MOST_MW)
    """A size, all through the span."""
    price_per_mwh: FiniteDecimal = Field(ge=-MOST_PER_MWH, le=MOST_PER_MWH)
    obligation: Literal["physical", "financial"] = "physical"
    """physical: energy is owed. financial: money alone, against `reference_series`."""
    reference_series: SeriesName | None = None
    counterparty: str = Field(min_length=1, max_length=120)
    reason: Why
    by: Person

    @model_validator(mode="after")
    def _has_a_span_and_its_reference(self) -> OutsideTradeRequest:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        if (self.obligation == "financial") != (self.reference_series is not None):
            raise ValueError("reference_series belongs to a financial trade, and to no other")
        return self


class OutsideTradeView(WireModel):
    trade_id: str
    revision: int
    status: Literal["booked", "withdrawn", "superseded"]
    product: str
    counts_as: str
    """The product of the position: its own, or `contracts`."""
    unit: str
    start: datetime
    end: datetime
    side: Literal["buy", "sell"]
    quantity_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal
    obligation: Literal["physical", "financial"]
    reference_series: str | None
    counterparty: str
    reason: str
    by: str
    received_at: datetime | None


class ContractView(WireModel):
    """A contract of the park file, and how far its series reaches."""

    contract: str
    obligation: Literal["physical", "financial"]
    unit: str
    side: Literal["buy", "sell"]
    quantity_series: str
    counterparty: str
    first: datetime | None
    """None where its series says nothing: nothing of it is owed."""
    until: datetime | None


class OutsideTradesView(WireModel):
    trades: list[OutsideTradeView]
    contracts: list[ContractView]


class NetLineView(WireModel):
    """One interval in mean MW of net injection; reserve as sizes."""

    start: datetime
    end: datetime
    contracts_mw: FiniteDecimal
    financial_mw: FiniteDecimal
    """Contracts that move money only: not owed."""
    day_ahead_mw: FiniteDecimal
    intraday_mw: FiniteDecimal
    reserve_up_mw: FiniteDecimal
    reserve_down_mw: FiniteDecimal
    activated_mw: FiniteDecimal
    unlisted_mw: FiniteDecimal
    """Traded into products that the park file does not list any more."""
    owed_mw: FiniteDecimal
    """contracts + day_ahead + intraday + activated."""
    planned_mw: FiniteDecimal | None
    metered_mw: FiniteDecimal | None
    open_mw: FiniteDecimal | None
    """planned − owed."""


class NetPositionView(WireModel):
    unit: str | None
    plan_id: str | None
    lines: list[NetLineView]


class DeltaLineView(WireModel):
    """What is to be traded in one quarter-hour, mean MW of net injection."""

    start: datetime
    end: datetime
    before_mw: FiniteDecimal | None
    """By the older plan."""
    planned_mw: FiniteDecimal
    moved_mw: FiniteDecimal | None
    owed_mw: FiniteDecimal
    delta_mw: FiniteDecimal
    """To be sold above 0, to be bought below; 0 within the dead band."""
    side: Literal["buy", "sell"] | None
    price_per_mwh: FiniteDecimal | None
    """Sell no cheaper, buy no dearer: there the plan would rather trade than feed otherwise."""
    tradable_until: datetime | None
    """The last gate that is still open; null: it is too late."""


class DeltaCurveView(WireModel):
    from_plan: str | None
    """Null where no older plan is kept."""
    to_plan: str
    issued_at: datetime
    """Of the newer plan."""
    dead_band_mw: FiniteDecimal
    currency: str
    lines: list[DeltaLineView]


class NominationView(WireModel):
    """The newest version for one unit and delivery day."""

    nomination_id: str
    unit: str
    delivery_day: date
    version: int
    digest: str
    """SHA-256 of its file."""
    made_at: datetime
    written: bool
    """Whether its file has left."""
    confirm_by: datetime
    status: Literal["awaited", "matched", "differs", "missing"]
    differs_in: int
    """Quarter-hours."""


class NominationsView(WireModel):
    nominations: list[NominationView]


class NominationLineView(WireModel):
    start: datetime
    end: datetime
    nominated_mw: FiniteDecimal


class DifferenceView(WireModel):
    start: datetime
    end: datetime
    nominated_mw: FiniteDecimal | None
    confirmed_mw: FiniteDecimal | None
    by_mw: FiniteDecimal | None
    """Confirmed less nominated."""


class ShownNomination(WireModel):
    nomination: NominationView
    lines: list[NominationLineView]
    differences: list[DifferenceView]


class ConfirmedLine(WireModel):
    start: Moment
    end: Moment
    confirmed_mw: FiniteDecimal

    @model_validator(mode="after")
    def _has_a_span(self) -> ConfirmedLine:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class ConfirmationRequest(WireModel):
    """What whoever takes nominations holds of one version."""

    version: int = Field(ge=1, le=2**31)
    confirmed: list[ConfirmedLine] = Field(max_length=1000)
