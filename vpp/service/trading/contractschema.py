"""`contracts` of a park file: mid- and long-term contracts (中长期合约) whose daily curves are series."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from vpp.service.park.schematypes import Id, Money, Section, SeriesId, Text


class ContractSection(Section):
    """One contract: what it binds to, and which series say how much at which price."""

    id: Id
    obligation: Literal["physical", "financial"]
    """physical: energy is fed or drawn. financial: a contract for difference, which moves money only."""
    unit: Id | None = None
    """The bidding unit that holds it; left out: the park's first."""
    side: Literal["buy", "sell"]
    quantity_series: SeriesId
    """MW as sizes, in any resolution of whole quarter-hours; a step without a value is not contracted."""
    price_per_mwh: Money | None = None
    """One price for all of it, or else `price_series`."""
    price_series: SeriesId | None = None
    reference_series: SeriesId | None = None
    """Of a financial contract: the price that it is settled against, such as the day-ahead one."""
    counterparty: Text
    reason: Text
    """Why it was concluded, or where it stands written."""
    by: Text
    """The person who answers for it."""

    @model_validator(mode="after")
    def _has_one_price_and_its_reference(self) -> ContractSection:
        if (self.price_per_mwh is None) == (self.price_series is None):
            raise ValueError("give price_per_mwh or price_series, one of them")
        if (self.obligation == "financial") != (self.reference_series is not None):
            raise ValueError("reference_series belongs to a financial contract, and to no other")
        return self
