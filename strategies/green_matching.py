"""Match use with own green generation: reward what is used while it is made, and keep a share over the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from vpp.plan.part import Part, Reach, runs
from vpp.plan.terms import Activity, ActivityPrice, GreenShare, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenMatching:
    """Match use with own green generation."""

    REACH: ClassVar[Reach] = Reach.PARK

    reward_per_kwh: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """What a kWh of green generation is worth beside its price where it is used as it is made."""

    least_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of what the park uses over the horizon of a plan, as a fraction, that is green and its own."""

    shortfall_per_kwh: Annotated[float, Field(gt=0, le=10_000)] = 0.1
    """What a kWh that lacks to that share costs, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A reward in the steps in which it holds, and a share of every horizon that has some of them."""
        asked: list[Term] = []
        if self.reward_per_kwh:
            asked += [
                ActivityPrice(
                    activity=Activity.GREEN_USE,
                    resource_id=None,
                    price_per_unit=-self.reward_per_kwh,
                    reason=part.name,
                    first_step=first,
                    last_step=last,
                )
                for first, last in runs(part.steps)
            ]
        if self.least_share:
            asked.append(
                GreenShare(share=self.least_share, shortfall_per_kwh=self.shortfall_per_kwh)
            )
        return tuple(asked)


STRATEGY = GreenMatching
