"""Keep power free for reserve: what is sold of it by whom, at what least price, and what is kept unasked.

`up_kw` and `down_kw` are kept beside what is sold: for a contract outside the markets, or for the park itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from vpp.model.ids import ProductId
from vpp.model.resource import CurtailableLoad, FlexibleLoad, Generator, Storage
from vpp.plan.part import Part, Reach
from vpp.plan.terms import ReserveHeadroom, Term
from vpp.plan.view import PlanningView

Power = Annotated[float, Field(ge=0, le=10_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Keep power free for reserve; resources in its scope keep what is sold, while it holds."""

    REACH: ClassVar[Reach] = Reach.RESOURCE

    up_kw: Power = 0.0
    """Kept for feeding more or drawing less, in kW, beside what is sold."""

    down_kw: Power = 0.0
    """Kept for feeding less or drawing more, in kW, beside what is sold."""

    call_hours: Annotated[float, Field(ge=0, le=24)] = 1.0
    """So long a call of it may last, in hours: stores keep the energy, or the room."""

    shortfall_per_kw_h: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """What a kW of it that lacks for an hour costs, in the park's currency."""

    least_price_per_mw_h: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Reserve is sold for no less, in the park's currency per MW and hour."""

    most_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of the power that is declared for the market, as a fraction, that is sold as reserve at most."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """Headroom in each direction that is asked for."""
        keepers = frozenset(
            unit.resource_id
            for unit in view.park.resources
            if isinstance(unit, Storage | Generator | CurtailableLoad | FlexibleLoad)
            and unit.node_id is None
            and part.within(view, unit.resource_id).any()
        )
        nothing = np.zeros(view.horizon.steps)
        return tuple(
            ReserveHeadroom(
                product_id=ProductId(part.name),
                up=up,
                resource_ids=keepers,
                firm_kw=np.where(part.steps, kw, 0.0),
                shortfall_per_kw_h=self.shortfall_per_kw_h,
                open_kw=nothing,
                price_per_kw_h=nothing,
                activation_hours=self.call_hours,
            )
            for up, kw in ((True, self.up_kw), (False, self.down_kw))
            if kw > 0
        )


STRATEGY = Reserve
