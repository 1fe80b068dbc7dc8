"""What a plan is asked for beside the schedule: curves of the deliveries that are bid in the mode `expected`.

    scenarios of the forecaster, prices alone ─▶ one future each ─▶ CurveAsk ─▶ the plan's own solver process

They are made with the plan, so that a request for bids finds them ready.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.market import MarketProduct
from vpp.model.time import Interval
from vpp.plan.curvecheck import mixtures
from vpp.plan.problem import CurveAsk
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.curveschema import CurveSettings
from vpp.service.futures import Strategy, priced_futures

MOST_SCENARIOS = 10
"""More would take longer than there is before a gate."""


def curve_ask(
    product: MarketProduct,
    delivery: Interval,
    view: PlanningView,
    prices_per_kwh: Floats,
    strategies: Sequence[Strategy],
    settings: CurveSettings,
    chance: np.random.Generator,
    *,
    more: Sequence[Term] = (),
) -> CurveAsk | str:
    """Ask for the curves of one delivery; or why they cannot be made of this plan.

    `prices_per_kwh` are the scenarios, shape (S, T); `more` are terms that no strategy makes. Of the first
    `MOST_SCENARIOS` the curves are made.
    """
    horizon = view.horizon
    width, rest = divmod(product.delivery_interval, horizon.step)
    if not horizon.span.covers(delivery):
        return "the plan does not reach the end of the delivery"
    if rest or width < 1 or (delivery.start - horizon.start) % horizon.step:
        return f"the plan's steps of {horizon.step} do not fit {product.delivery_interval}"
    prices = prices_per_kwh[:MOST_SCENARIOS]
    return CurveAsk(
        product_id=product.product_id,
        first_step=horizon.index(delivery.start),
        width=width,
        intervals=(delivery.end - delivery.start) // product.delivery_interval,
        tick_per_kwh=float(product.tick_per_mwh) / 1000,
        most_steps=product.most_steps or len(prices),
        futures=priced_futures(view, prices, strategies, more=more),
        mixtures=mixtures(settings.paths, len(prices), chance),
        most_undelivered=settings.most_undelivered,
        soft_s=settings.seconds,
        cvar_weight=settings.cvar_weight,
        cvar_level=settings.cvar_level,
    )
