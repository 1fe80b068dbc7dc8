"""Messages of the HTTP contract that say why bids are as they are: beside a bid set, never in the answer."""

from __future__ import annotations

from typing import Literal

from vpp.wire import BidSetResponse, FiniteDecimal, WireModel


class PriceLevel(WireModel):
    """A price that a share of what may come does not exceed."""

    level: float
    price_per_mwh: FiniteDecimal


class StepReason(WireModel):
    """Why one step of an offer stands where it does."""

    quantity_mw: FiniteDecimal
    price_per_mwh: FiniteDecimal | None
    """Its limit; null where a rule sets the price."""
    shadow_price_per_mwh: FiniteDecimal
    """What the energy is worth to the park."""


class BidReason(WireModel):
    """Why one bid is as it is."""

    bid_id: str
    """Without its revision: the offer stands for as long as its plan does."""
    expected_price_per_mwh: FiniteDecimal | None
    """What the plan expects the interval to clear at; null where that is no longer known."""
    price_levels: list[PriceLevel]
    """Of the price scenarios; empty where the bid comes from the plan alone."""
    steps: list[StepReason]
    headroom_mw: FiniteDecimal
    """What could be traded beside it on its side before the unit's registration, the product's bound, or
    the limit of the park or of its connection points is reached, whatever is accepted of it."""


class CurveReason(WireModel):
    """How the curves behind bids of the mode `expected` did on price paths beside their scenarios."""

    scenarios: int
    paths: int
    undelivered_share: float
    share_before_cut: float
    kept: float
    """1: offered as planned; below: what is left of the way from the plan's own quantity."""
    cvar_weight: float
    cvar_level: float


class BidReasons(WireModel):
    """Why the bids of a set are as they are. It is no part of the answer to a request for bids."""

    mode: Literal["robust", "expected"]
    """In which the bids were made."""
    note: str
    """Why they were not made in the mode that the park file names; empty where they were."""
    plan_id: str
    strategy_version: str
    curves: CurveReason | None
    bids: list[BidReason]


class ShownBidSet(BidSetResponse):
    """A bid set as it stands, and why."""

    reasons: BidReasons | None
    """Null where the record of it is older than reasons are."""
