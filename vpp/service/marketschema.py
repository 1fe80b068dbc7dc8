"""The market file, key by key: one product under rules of one date, and the noun made of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from vpp.account.settlement import GapRule
from vpp.model.ids import ProductId
from vpp.model.market import DayAheadGate, MarketProduct, RollingGate
from vpp.service.schematypes import Currency, Id, LocalTime, Money, Section, SeriesId, Text, Zone

Mark = Literal["found", "recalled", "ours"]
Megawatts = Annotated[Decimal, Field(ge=0, max_digits=18)]
Minutes = Annotated[int, Field(ge=0, le=14 * 1440)]


class Source(Section):
    """Where a rule was read, or that it was not."""

    ref: Text
    mark: Mark
    """found: an official text was seen; recalled: general knowledge; ours: made for this project."""
    confidence: Literal["H", "M", "L"]


class DailyAuction(Section):
    """One auction for a whole local day."""

    form: Literal["daily_auction"]
    days_before: Annotated[int, Field(ge=1, le=14)]
    opens: LocalTime
    closes: LocalTime
    results_after_minutes: Minutes

    def noun(self) -> DayAheadGate:
        return DayAheadGate(
            days_before=self.days_before,
            opens=self.opens,
            closes=self.closes,
            results_after=timedelta(minutes=self.results_after_minutes),
        )


class RollingAuction(Section):
    """One auction for each delivery interval."""

    form: Literal["rolling"]
    lead_minutes: Minutes
    opens_before_minutes: Minutes
    results_after_minutes: Minutes

    def noun(self) -> RollingGate:
        return RollingGate(
            lead=timedelta(minutes=self.lead_minutes),
            opens_before=timedelta(minutes=self.opens_before_minutes),
            results_after=timedelta(minutes=self.results_after_minutes),
        )


class Calendar(Section):
    timezone: Zone
    delivery_interval_minutes: Literal[15, 30, 60]
    gate: Annotated[DailyAuction | RollingAuction, Field(discriminator="form")]


class Quantity(Section):
    step_mw: Annotated[Decimal, Field(gt=0, max_digits=18)]
    max_mw: Megawatts
    """Most that one unit may bid per interval and side."""


class PriceRange(Section):
    min_per_mwh: Money
    max_per_mwh: Money
    step_per_mwh: Annotated[Decimal, Field(gt=0, max_digits=18)]


class OfferRules(Section):
    form: Literal["curve_step"]
    quantity: Quantity
    price: PriceRange


class GapSection(Section):
    """What a missing imbalance price settles at until it is published."""

    valid_from: date
    """First delivery day it holds for."""
    max_age_minutes: Annotated[int, Field(ge=0, le=1440)]
    """The newest known price is carried on for at most so long; after that the day-ahead one."""

    def noun(self) -> GapRule:
        """The rule as settlement knows it."""
        return GapRule(valid_from=self.valid_from, max_age=timedelta(minutes=self.max_age_minutes))


class SettlementRules(Section):
    price_series_id: SeriesId
    gap_rules: Annotated[list[GapSection], Field(default_factory=list)]
    """Of a day-ahead market: the newest rule that is valid on the delivery day counts."""


class MarketSection(Section):
    """A market product as data."""

    id: Id
    version: Text
    valid_from: date
    """First delivery day these rules hold for."""
    valid_to: date | None = None
    """First delivery day they no longer hold for."""
    jurisdiction: Text
    zone: Text
    """Bidding zone."""
    kind: Literal["energy_da", "energy_id"]
    currency: Currency
    unverified: list[Text]
    """Dotted paths of fields no official text was seen for: illustrative until a person clears them."""
    sources: list[Source]
    calendar: Calendar
    offer: OfferRules
    settlement: SettlementRules
    exclusivity_group: Id
    """Units that trade products of one group must not share a resource."""

    @model_validator(mode="after")
    def _gaps_are_ruled(self) -> MarketSection:
        if self.kind == "energy_da" and not self.settlement.gap_rules:
            raise ValueError("settlement.gap_rules: a day-ahead market needs at least one")
        return self

    def noun(self, digest: str) -> MarketProduct:
        """The product, marked with the digest of its file.

        Raises:
            DataError: Values that are fine alone contradict each other.
        """
        return MarketProduct(
            product_id=ProductId(self.id),
            kind=self.kind,
            currency=self.currency,
            timezone=ZoneInfo(self.calendar.timezone),
            delivery_interval=timedelta(minutes=self.calendar.delivery_interval_minutes),
            gate=self.calendar.gate.noun(),
            lot_mw=self.offer.quantity.step_mw,
            tick_per_mwh=self.offer.price.step_per_mwh,
            min_price_per_mwh=self.offer.price.min_per_mwh,
            max_price_per_mwh=self.offer.price.max_per_mwh,
            max_quantity_mw=self.offer.quantity.max_mw,
            price_series_id=self.settlement.price_series_id,
            exclusivity_group=self.exclusivity_group,
            unverified=tuple(self.unverified),
            pack_digest=digest,
        )
