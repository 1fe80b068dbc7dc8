"""Demand response in a park file: how invitations are answered, and the simulated platform that sends them.

`demand_response` says how we answer: by itself or by a person. What members have agreed to stands in the strategy
file. `simulation.demand_response` says who invites: product, events by day of the simulation, what is confirmed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Id, LocalTime, Minutes, Section, Text

Part = Annotated[Decimal, Field(gt=0, le=1, max_digits=18)]
Above = Annotated[Decimal, Field(gt=0, max_digits=18)]


class DemandResponseSection(Section):
    """How invitations of a load-management platform are answered."""

    reply: Literal["auto", "hold"] = "auto"
    """auto: the reply is sent before its time is over unless a person has altered or declined it. hold: nothing
    is sent that no person has sent."""
    reply_before_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    """So long before `reply_by` the reply is made of the newest plan: late, for plans get better, and early
    enough for a second try where the record is away."""
    remind_before_minutes: Minutes = 120
    """So long before the window people are told."""
    price_share: Part = Decimal(1)
    """Offered, as a share of the price cap of the invitation, where the price is not fixed."""
    least_reliability: Part = Decimal("0.5")
    """What is offered is discounted by what was delivered lately, to no less than this."""
    reliability_calls: Annotated[int, Field(ge=0, le=100)] = 5
    """So many last calls of the product count; 0: no discount."""


class SimulatedInvitation(Section):
    """One event that the simulated platform calls for."""

    id: Id
    day: Annotated[int, Field(ge=1, le=366)]
    """Day of the simulation: 1 is `first_delivery_day`."""
    start: LocalTime
    end: LocalTime
    wanted_mw: Above
    price_cap_per_mwh: Above
    invited: Annotated[str, StringConstraints(pattern=r"^D-\d{1,2}T\d\d:\d\d$")] = "D-1T10:00"
    """When it is sent, relative to the day."""
    reply_by: Annotated[str, StringConstraints(pattern=r"^D-\d{1,2}T\d\d:\d\d$")] = "D-1T16:00"
    area: Text = "park"

    @model_validator(mode="after")
    def _in_order(self) -> SimulatedInvitation:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        return self


class SimulatedPlatformSection(Section):
    """A load-management platform (负荷管理平台) that is simulated with the park."""

    product: ProductName
    confirm_share: Part = Decimal(1)
    """It confirms this share of what is offered, in whole steps of the product."""
    clears_at_share: Part = Decimal(1)
    """Everyone is paid this share of the price cap; who asked for more is not chosen."""
    confirms_after_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    """After `reply_by`."""
    reminds_before_minutes: Minutes = 60
    """It calls, as an activation, so long before the window; 0: the window itself is the call."""
    history_days: Annotated[int, Field(ge=1, le=60)] = 14
    """Main meters were read for so many days before the simulation, with nobody steering: what
    baselines look back on."""
    invitations: Annotated[list[SimulatedInvitation], Field(min_length=1, max_length=400)]
