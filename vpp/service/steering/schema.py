"""How a park is steered, in the park file: how often, by which sharing rule, and how patient with devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Positive, Section, Share, Size

RuleName = Literal["proportional", "merit_order", "equal_level", "equal_soc", "least_correction"]
MovedKind = Literal["storage", "ev_fleet", "generator", "flexible_load"]
ActPeriod = Annotated[float, Field(ge=1, le=60)]


def _stores() -> list[MovedKind]:
    return ["storage"]


class SharingSection(Section):
    """Who makes up for what is owed and not done, and in which order."""

    rule: RuleName = "merit_order"
    """proportional: each by the room it has. merit_order: the cheapest first, by the plan's shadow prices
    and wear. equal_level: all to one level. equal_soc: stores towards one state of charge.
    least_correction: whoever is corrected least from the plan."""
    kinds: Annotated[list[MovedKind], Field(min_length=1)] = Field(default_factory=_stores)
    """Who may be moved from the plan for it; everybody else does what the plan asks."""


class ProductControlSection(Section):
    """How the park is steered while an award or a signal of one product runs."""

    product: ProductName
    period_s: ActPeriod | None = None
    """How often; left out: `control.period_s`. Of several that run the shortest holds."""
    sharing: SharingSection | None = None
    """Left out: `control.sharing`. Of several that run the first in this list holds."""


class BackOffSection(Section):
    """How long a unit with bad data or a failed command is left out: doubled each time, and it returns by itself."""

    first_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Two periods at least: who is tried again must have been asked for something before it is believed."""
    longest_s: Annotated[float, Field(ge=1, le=86_400)] = 600.0

    @model_validator(mode="after")
    def _grows(self) -> BackOffSection:
        if self.longest_s < self.first_s:
            raise ValueError(f"longest_s {self.longest_s} is below first_s {self.first_s}")
        return self


class FollowingSection(Section):
    """When a device counts as doing what it was told."""

    tolerance_kw: Size = 5.0
    tolerance_share: Share = 0.01
    """Of its larger size; the larger of the two holds."""
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Beyond its own delay and ramp, before it is judged."""


class ControlSettings(Section):
    """How often to steer, how to share, and how long a set-point lives."""

    period_s: Annotated[float, Field(ge=1, le=900)] = 60.0
    setpoint_ttl_s: Annotated[float, Field(ge=2, le=3600)] = 150.0
    deadband_kw: Size = 2.0
    """A set-point that changes by less is not sent again before it must be refreshed."""
    sharing: SharingSection = SharingSection()
    products: Annotated[list[ProductControlSection], Field(max_length=100)] = Field(
        default_factory=list
    )
    spread_s: Annotated[float, Field(ge=0, le=300)] = 0.0
    """Where more than `spread_above_kw` moves at once, the moves are spread over so long; 0: at once."""
    spread_above_kw: Positive = 1000.0
    back_off: BackOffSection = BackOffSection()
    following: FollowingSection = FollowingSection()

    @property
    def period(self) -> timedelta:
        """Between two act cycles where no product asks for a shorter one."""
        return timedelta(seconds=self.period_s)

    @model_validator(mode="after")
    def _outlives_the_period(self) -> ControlSettings:
        if self.setpoint_ttl_s <= 2 * self.period_s:
            raise ValueError(
                f"setpoint_ttl_s {self.setpoint_ttl_s} is not above twice period_s"
                f" {self.period_s}: set-points would expire before they are refreshed"
            )
        return self
