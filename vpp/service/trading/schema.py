"""`trading` of a park file: whether bids may leave, and the limits on those that do.

Each default is a number that no sound bid of the demo park comes near, with its reason beside it; a park
that trades live should set its own.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vpp.model.ids import EnterpriseId
from vpp.service.park.schematypes import Id, Minutes, Section
from vpp.trade.presubmit import BidLimits, EnterpriseLimit

Amount = Annotated[Decimal, Field(gt=0, max_digits=18)]
Portion = Annotated[Decimal, Field(gt=0, le=1, max_digits=18)]


class EnterpriseLimitSection(Section):
    """What one member can stand of a day, by its share of the unit's trade."""

    day_mwh: Amount | None = None
    day_cost: Amount | None = None
    """In the park's currency, at worst: a buyer pays its own limit, a seller below 0 too."""

    @model_validator(mode="after")
    def _limits_something(self) -> EnterpriseLimitSection:
        if self.day_mwh is None and self.day_cost is None:
            raise ValueError("give day_mwh, day_cost or both")
        return self


class BidLimitsSection(Section):
    """Before a bid leaves. Soft limits warn; hard ones refuse and count."""

    soft_share: Portion = Decimal("0.9")
    """From this share of a hard limit on there is a warning: time to look before it refuses."""
    collar_per_mwh: Amount = Decimal(2000)
    """A price may lie so far from the reference: beyond what any hour has cost in these markets but in a
    crisis. The market's own bound means *at any price* and is exempt."""
    collar_warning_per_mwh: Amount = Decimal(500)
    """Dearer than all but a few hours of a decade: worth a look."""
    reference_days: Annotated[int, Field(ge=1, le=60)] = 7
    """The reference is the median of the prices published in so many days: one whole week."""
    interval_times: Amount = Decimal("1.5")
    """Sold and open in one interval, times the unit's capability: all of it once, and half of it again while
    an older bid waits for its answer."""
    day_hours: Amount = Decimal(48)
    """Sold, bought and open on one day, in hours at the unit's capability: each MW bought and sold once
    around the clock."""
    day_cost_per_mw: Amount = Decimal(100_000)
    """Worst-case cost of a day for each MW of capability: 24 hours at 4000, the highest price that most
    markets allow, is 96 000."""
    enterprises: dict[Id, EnterpriseLimitSection] = Field(default_factory=dict)
    """None where left out: what a member can stand it knows itself."""
    novelty_share: Portion = Decimal("0.5")
    """A bid may differ from yesterday's, and from the trailing median, by half of the capability on average:
    between a workday and a holiday parks move less."""
    novelty_days: Annotated[int, Field(ge=1, le=60)] = 7
    """The trailing median is of so many days."""
    per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    """Bid sets for one product: an auction needs one, a correction a second; a thousand a second is a loop."""
    burst: Annotated[int, Field(ge=1, le=100_000)] = 50
    """So many may come at once: every quarter-hour of half a day, asked for after an outage."""
    most_refusals: Annotated[int, Field(ge=1, le=10_000)] = 20
    """So many hard refusals kill the market: one may be an accident, twenty are a fault."""
    refusals_within_minutes: Annotated[int, Field(ge=1, le=1440)] = 10

    @model_validator(mode="after")
    def _warns_before_it_refuses(self) -> BidLimitsSection:
        if self.collar_warning_per_mwh > self.collar_per_mwh:
            raise ValueError("collar_warning_per_mwh is above collar_per_mwh: it would never warn")
        return self

    def noun(self) -> BidLimits:
        """The limits as the check knows them."""
        return BidLimits(
            soft_share=self.soft_share,
            collar_per_mwh=self.collar_per_mwh,
            collar_warning_per_mwh=self.collar_warning_per_mwh,
            interval_times=self.interval_times,
            day_hours=self.day_hours,
            day_cost_per_mw=self.day_cost_per_mw,
            enterprises={
                EnterpriseId(name): EnterpriseLimit(day_mwh=own.day_mwh, day_cost=own.day_cost)
                for name, own in self.enterprises.items()
            },
            novelty_share=self.novelty_share,
            per_minute=self.per_minute,
            burst=self.burst,
            most_refusals=self.most_refusals,
            refusals_within=timedelta(minutes=self.refusals_within_minutes),
        )


class TradingSection(Section):
    """How this park meets its markets."""

    mode: Literal["shadow", "live", "simulated"] = "shadow"
    """shadow: bids are made, put on record and shown, and given to nobody. live: they leave, for each
    product that a person has taken live. simulated: they leave, to a market that is simulated with the park."""
    unanswered_after_minutes: Minutes = 60
    """So long after a product's results are due, a bid without an answer is given up and its headroom is
    free again: results are late now and then, an hour is a lot."""
    release_within_minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    """The second person must agree to a release of the kill switch within so long: a shift's talk."""
    activation_shortfall_per_kwh: Amount = Decimal(10)
    """What a plan pays for each kWh less than an activation calls for: above any market price (4 per kWh at
    most), below that of a broken limit (20)."""
    unmetered_given_up_after_hours: Annotated[float, Field(gt=0, le=1400)] = 72.0
    """A quarter-hour without meters or day-ahead price is not waited for any longer: three days are what rules give
    for readings that come late."""
    retrade_dead_band_mw: Annotated[Decimal, Field(ge=0, max_digits=18)] = Decimal("0.1")
    """What is planned and sold may differ by so much before the delta curve asks for a trade: the least
    quantity of most markets."""
    reserve_shortfall_per_kw_h: Amount = Decimal(5)
    """What a plan pays for each kW of reserve that is sold and lacks, for an hour: above what a kWh costs in any
    market (4 at most), below what a call that is under way is worth (10)."""
    regulation_rate_share_per_min: Amount = Decimal(1)
    """Standard rate of the unit's class, of what is cleared, a minute: 1 of storage, 0.25 of hydro, 0.04 of gas,
    0.012 of coal (Hunan 2025)."""
    regulation_band_share: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.05")
    """A response to a signal is accepted within so much of what is awarded, where the market file has no band."""
    limits: BidLimitsSection = BidLimitsSection()
