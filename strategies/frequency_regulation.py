"""Follow a regulation signal: with which machines, at what least price, and with stores ready for both ways.

A signal goes up and down. A battery that begins full or empty follows half of it, so some energy is kept in it
while the strategy holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from vpp.model.resource import Storage
from vpp.plan.part import Part, Reach
from vpp.plan.terms import StoredFloor, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyRegulation:
    """Follow a regulation signal; resources in its scope keep what is sold, while it holds."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    least_soc: Annotated[float, Field(ge=0, le=1)] = 0.3
    """How full batteries stay at least, as a fraction of their capacity."""

    shortfall_per_kwh_h: Annotated[float, Field(gt=0, le=10_000)] = 0.05
    """What a kWh that lacks for an hour costs, in the park's currency."""

    least_mileage_price_per_mw: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Regulation is sold for no less, in the park's currency per MW of mileage."""

    most_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of the power that is declared for the market, as a fraction, that is sold as regulation at most."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A floor under what is stored."""
        least_kwh = {
            unit.resource_id: np.where(
                part.resources[unit.resource_id], self.least_soc * unit.capacity_kwh, np.nan
            )
            for unit in view.park.electric
            if isinstance(unit, Storage) and unit.resource_id in part.resources
        }
        if not least_kwh:
            return ()
        return (
            StoredFloor(
                least_kwh=least_kwh,
                shortfall_per_kwh_h=self.shortfall_per_kwh_h,
                reason=part.name,
            ),
        )


STRATEGY = FrequencyRegulation
