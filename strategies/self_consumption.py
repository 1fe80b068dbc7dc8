"""Use at home what is made at home: a kWh that leaves a connection point costs something extra.

The plan exports all the same where the market pays more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from vpp.plan.part import Part, Reach
from vpp.plan.terms import EnergyPrice, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsumption:
    """Use at home what is made at home."""

    REACH: ClassVar[Reach] = Reach.POINT

    export_cost_per_kwh: Annotated[float, Field(gt=0, le=10_000)]
    """What a kWh that is exported costs beside its price, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A price on exports of each connection point."""
        nothing = np.zeros(view.horizon.steps)
        return tuple(
            EnergyPrice(
                connection_point_id=point,
                import_per_kwh=nothing,
                export_per_kwh=np.where(steps, -self.export_cost_per_kwh, 0.0),
            )
            for point, steps in part.points.items()
        )


STRATEGY = SelfConsumption
