"""Answer calls for demand response: at what least price, with how much, and with stores prepared for it.

Which members may be called, and how often, stands under `members`; how a reply is sent in the park file's
`demand_response`. Without this strategy every call is answered that members allow, as the plan has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from vpp.model.resource import Storage
from vpp.plan.part import Part, Reach
from vpp.plan.terms import EnergyTarget, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandResponseEvent:
    """Answer calls for demand response in the windows in which it holds, with the members in its scope."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    least_price_per_mwh: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """A call that pays less is not answered, in the park's currency per MWh of response."""

    most_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of what the plan says can be brought, as a fraction, that is offered at most."""

    prepared_soc: Annotated[float, Field(ge=0, le=1)] | None = None
    """How full batteries are when a call for less begins, as a fraction; left out: as the plan finds best."""

    shortfall_per_kwh: Annotated[float, Field(gt=0, le=10_000)] = 0.2
    """What a kWh that a store lacks then costs, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """What is to be in each battery when a call for less begins."""
        if self.prepared_soc is None:
            return ()
        return tuple(
            EnergyTarget(
                resource_id=unit.resource_id,
                step=call.first_step - 1,
                stored_kwh=self.prepared_soc * unit.capacity_kwh,
                shortfall_per_kwh=self.shortfall_per_kwh,
                reason=f"{part.name}: {call.name}",
            )
            for call in view.calls
            if call.up and call.first_step > 0
            for unit in view.park.electric
            if isinstance(unit, Storage)
            and part.within(view, unit.resource_id)[call.first_step : call.last_step].all()
        )


STRATEGY = DemandResponseEvent
