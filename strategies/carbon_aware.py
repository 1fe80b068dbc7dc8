"""Give carbon a price: draw from the grid when it is clean, run own sources when they are cleaner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from vpp.plan.part import Part, Reach, runs
from vpp.plan.terms import CarbonPrice, Term, uniform
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonAware:
    """Give carbon a price."""

    REACH: ClassVar[Reach] = Reach.PARK

    price_per_tco2: Annotated[float, Field(gt=0, le=100_000)]
    """What a tonne of CO2 costs in a plan, in the park's currency: nobody is billed for it."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A price on imports by the grid's expected carbon, and on own sources by theirs."""
        course = view.grid_kgco2_per_kwh
        grid = uniform(view.park.grid_kgco2_per_kwh, view.horizon.steps)
        return tuple(
            CarbonPrice(
                price_per_kgco2=self.price_per_tco2 / 1000,
                grid_kgco2_per_kwh=grid if course is None else course.values,
                first_step=first,
                last_step=last,
            )
            for first, last in runs(part.steps)
        )


STRATEGY = CarbonAware
