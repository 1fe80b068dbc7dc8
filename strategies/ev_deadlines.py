"""Have cars ready some time before they leave: drivers come early, and departures are only announced.

What a car lacks at its deadline costs `shortfall_per_kwh`; what it lacks when it leaves costs what its car
park says beside that. A car that can no longer make it is charged as fast as it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from vpp.model.measurement import EvSession
from vpp.model.resource import EvFleet
from vpp.plan.part import Part, Reach
from vpp.plan.terms import CarDeadline, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class EvDeadlines:
    """Have cars ready some time before they leave."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    ready_before_minutes: Annotated[int, Field(ge=0, le=720)]
    """So long before it leaves a car has what it wants, in minutes."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of what it wants, as a fraction, that it has then."""

    shortfall_per_kwh: Annotated[float, Field(gt=0, le=10_000)] = 0.5
    """What a kWh that lacks then costs, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A deadline for each car that is here, or announced, of fleets for which it holds then."""
        return tuple(
            CarDeadline(
                resource_id=unit.resource_id,
                session_id=session.session_id,
                step=step,
                charged_kwh=self.share * session.wanted_kwh,
                shortfall_per_kwh=self.shortfall_per_kwh,
            )
            for unit in view.park.resources
            if isinstance(unit, EvFleet) and unit.resource_id in part.resources
            for session in self._sessions(view, unit)
            if 0 < (step := self._step(view, session)) <= view.horizon.steps
            and part.resources[unit.resource_id][step - 1]
        )

    @staticmethod
    def _sessions(view: PlanningView, unit: EvFleet) -> tuple[EvSession, ...]:
        reading = view.state.reading(unit.resource_id)
        return () if reading is None else tuple(reading.sessions or ())

    def _step(self, view: PlanningView, session: EvSession) -> int:
        """The last step that ends by the deadline, exclusive."""
        deadline = session.departs_at - timedelta(minutes=self.ready_before_minutes)
        return (deadline - view.horizon.start) // view.horizon.step


STRATEGY = EvDeadlines
