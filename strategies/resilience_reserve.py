"""Keep energy in stores for an outage: so long a critical load runs on, or so full each of them stays."""

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
class ResilienceReserve:
    """Keep energy in stores for an outage."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    least_soc: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How full each battery in the scope stays at least, as a fraction of its capacity."""

    critical_kw: Annotated[float, Field(ge=0, le=10_000_000)] = 0.0
    """What must run on in an outage, in kW: the batteries in the scope share it by their size."""

    outage_hours: Annotated[float, Field(ge=0, le=168)] = 0.0
    """For so long, in hours."""

    shortfall_per_kwh_h: Annotated[float, Field(gt=0, le=10_000)] = 0.1
    """What a kWh that lacks for an hour costs, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A floor under what is stored: the higher of the two that are asked, of each battery."""
        units = [
            unit
            for unit in view.park.electric
            if isinstance(unit, Storage) and unit.resource_id in part.resources
        ]
        could_kwh = sum(unit.capacity_kwh * unit.discharge_efficiency for unit in units)
        share = self.critical_kw * self.outage_hours / could_kwh if could_kwh else 0.0
        soc = min(max(self.least_soc, share), 1.0)
        if not units or not soc:
            return ()
        least_kwh = {
            unit.resource_id: np.where(
                part.resources[unit.resource_id], soc * unit.capacity_kwh, np.nan
            )
            for unit in units
        }
        return (
            StoredFloor(
                least_kwh=least_kwh,
                shortfall_per_kwh_h=self.shortfall_per_kwh_h,
                reason=part.name,
            ),
        )


STRATEGY = ResilienceReserve
