"""Buy where energy is cheap and sell where it is dear: trade the park's net energy, and move it by price.

A product whose gate is open is expected to clear at its forecast price. The quarter-hour auction
costs half a spread each way, so that the plan does not shuffle energy between auctions for
differences it cannot foresee. What is neither sold nor bought in time is settled as imbalance,
at a distance from the spot price that makes keeping one's word the better choice.

A battery is cycled where a MWh taken out of it gains at least `least_gain_per_cycled_mwh` beyond its wear
and its losses: forecasts are not worth every small difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from vpp.model.resource import Storage
from vpp.plan.part import Part, Reach, runs
from vpp.plan.terms import Activity, ActivityPrice, Commitment, OpenTrade, Term
from vpp.plan.view import PlanningView

Spread = Annotated[float, Field(ge=0, le=100_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceArbitrage:
    """Buy where energy is cheap and sell where it is dear. Prices in the park's currency per MWh."""

    REACH: ClassVar[Reach] = Reach.PARK

    quarter_hour_spread_per_mwh: Spread
    """Expected difference between buying and selling in a product that is not the reference, per MWh."""

    imbalance_spread_per_mwh: Spread
    """Expected distance of the imbalance price from spot, each way, per MWh."""

    least_gain_per_cycled_mwh: Spread = 0.0
    """What a MWh taken out of a battery must gain at least, per MWh, beside its wear and its losses."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """The position sold already, one open trade for each product, and the least gain of a cycle."""
        spot = view.spot_per_kwh.values
        imbalance = self.imbalance_spread_per_mwh / 1000
        trades: list[Term] = []
        for product in view.open_products:
            half = 0.0 if product.informative else self.quarter_hour_spread_per_mwh / 2000
            trades.append(
                OpenTrade(
                    product_id=product.product_id,
                    sell_per_kwh=product.price_per_kwh.values - half,
                    buy_per_kwh=product.price_per_kwh.values + half,
                    max_kw=np.where(part.steps, product.max_kw, 0.0),
                    due=product.due,
                )
            )
        position = Commitment(
            base_kw=np.where(part.steps, view.committed_kw, 0.0),
            short_per_kwh=np.where(part.steps, spot + imbalance, 0.0),
            long_per_kwh=np.where(part.steps, spot - imbalance, 0.0),
        )
        return (position, *trades, *self._cycles(view, part))

    def _cycles(self, view: PlanningView, part: Part) -> list[Term]:
        """A price on what is taken out of each battery."""
        if not self.least_gain_per_cycled_mwh:
            return []
        return [
            ActivityPrice(
                activity=Activity.DISCHARGED,
                resource_id=unit.resource_id,
                price_per_unit=self.least_gain_per_cycled_mwh / 1000,
                reason="least gain of a cycle",
                first_step=first,
                last_step=last,
            )
            for unit in view.park.electric
            if isinstance(unit, Storage)
            for first, last in runs(part.steps)
        ]


STRATEGY = PriceArbitrage
