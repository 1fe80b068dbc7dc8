"""Keep imports below a limit of one's own: of each connection point, each enterprise, or all together.

What lies above it costs `excess_per_kwh`: a limit that is dear is kept wherever something can move, one that
is cheap gives way to a better market. The charge on the month's peak is counted without this strategy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from vpp.model.ids import ConnectionPointId
from vpp.plan.part import Part, Reach
from vpp.plan.terms import Cap, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakShaving:
    """Keep imports below a limit of one's own."""

    REACH: ClassVar[Reach] = Reach.POINT

    most_import_kw: Annotated[float, Field(ge=0, le=10_000_000)]
    """The most to be drawn, in kW, as a mean over a step of the plan."""

    of: Literal["each_point", "each_enterprise", "together"] = "each_point"
    """Whether each connection point has this limit, all points of an enterprise, or all in the scope."""

    excess_per_kwh: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """What a kWh above it costs, in the park's currency."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """A limit for each place, where and when the strategy holds."""
        return tuple(
            Cap(
                place=places[0],
                also=places[1:],
                import_kw=np.where(steps, self.most_import_kw, np.inf),
                excess_per_kwh=self.excess_per_kwh,
                reason=part.name,
            )
            for names in self._groups(view)
            for places, steps in part.together(names)
        )

    def _groups(self, view: PlanningView) -> Iterator[list[ConnectionPointId]]:
        points = view.park.connection_points
        if self.of == "together":
            yield [p.connection_point_id for p in points]
        elif self.of == "each_point":
            yield from ([p.connection_point_id] for p in points)
        else:
            for one in view.park.enterprises:
                yield [
                    p.connection_point_id for p in points if p.enterprise_id == one.enterprise_id
                ]


STRATEGY = PeakShaving
