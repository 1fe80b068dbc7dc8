"""Spread what loads are asked to give up: nobody is turned down for everybody else.

The burden of a load is the energy it is turned down, today already and in the plan, by its size. Only the highest
burden costs something, so the plan asks another load where that costs little more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from vpp.model.resource import CurtailableLoad, InterruptibleLoad
from vpp.plan.part import Part, Reach
from vpp.plan.terms import EqualBurden, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Spread what loads are asked to give up."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    price_per_share: Annotated[float, Field(gt=0, le=1_000_000)]
    """What it costs that the load with the highest burden is turned down for the whole horizon, in the park's
    currency; a tenth of its energy costs a tenth."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """One price on the highest burden among the loads in the scope."""
        members = [
            unit.resource_id
            for unit in view.park.resources
            if isinstance(unit, CurtailableLoad | InterruptibleLoad)
            and unit.draw_kw > 0
            and unit.resource_id in part.resources
        ]
        if len(members) < 2:
            return ()  # nobody to spread it over
        borne_kwh = {name: view.borne_kwh.get(name, 0.0) for name in members}
        return (EqualBurden(borne_kwh=borne_kwh, price_per_share=self.price_per_share),)


STRATEGY = Fairness
