"""Trade the park's net energy: buy and sell what the plan needs, price what is left open.

A product whose gate is open is expected to clear at its forecast price. The quarter-hour auction
costs half a spread each way, so that the plan does not shuffle energy between auctions for
differences it cannot foresee. What is neither sold nor bought in time is settled as imbalance,
at a distance from the spot price that makes keeping one's word the better choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp.plan.terms import Commitment, OpenTrade, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTrading:
    """Prices in the park's currency per MWh, as traders speak of them."""

    quarter_hour_spread_per_mwh: float
    """Expected difference between buying and selling in a product that is not the reference."""

    imbalance_spread_per_mwh: float
    """Expected distance of the imbalance price from spot, each way."""

    def terms(self, view: PlanningView) -> tuple[Term, ...]:
        """The position sold already, and one open trade for each product."""
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
                    max_kw=product.max_kw,
                    due=product.due,
                )
            )
        position = Commitment(
            base_kw=view.committed_kw,
            short_per_kwh=spot + imbalance,
            long_per_kwh=spot - imbalance,
        )
        return (position, *trades)


STRATEGY = MarketTrading
