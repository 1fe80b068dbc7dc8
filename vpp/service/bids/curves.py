"""What a plan is asked for beside the schedule: curves of the deliveries that are bid in the mode `expected`.

    scenarios of the forecaster, prices alone ─▶ one future each ─▶ CurveAsk ─▶ the plan's own solver process

They are made with each plan that reaches to the end of the delivery while its gate is open, so that a request
for bids finds them ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.market import MarketProduct
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.plan.curvecheck import mixtures
from vpp.plan.problem import CurveAsk
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.events import Severity
from vpp.service.inputs import trading_unit
from vpp.service.planning.futures import Strategy, priced_futures
from vpp.service.plant import Plant
from vpp.trade.calendar import deliveries_from


def scenarios_drawn(plant: Plant, horizon: Horizon, now: datetime) -> int:
    """How many scenarios the forecaster is to draw for the plan of `now`."""
    asked = plant.file.planning.scenarios
    if asked >= 2:
        return asked
    wanted = (settings.scenarios for _, _, settings in _deliveries(plant, horizon, now))
    return max(wanted, default=0)


def asks_of(
    plant: Plant, view: PlanningView, more: Sequence[Term]
) -> tuple[tuple[CurveAsk, ...], str]:
    """The curves that the plan of `view` is asked for; and why some are not, empty where none is left out."""
    asks, lacking = [], []
    drawn = plant.desk.scenarios
    for product, delivery, settings in _deliveries(plant, view.horizon, view.now):
        prices = None if drawn is None else drawn.values.get(product.price_series_id)
        if prices is None:
            lacking.append(f"{product.product_id}: no scenarios of {product.price_series_id}")
            continue
        found = curve_ask(
            product,
            delivery,
            view,
            prices / 1000,
            plant.strategies.terms,
            settings,
            np.random.default_rng([plant.desk.seed, int(delivery.start.timestamp())]),
            more=more,
        )
        if isinstance(found, str):
            lacking.append(f"{product.product_id}: {found}")
        else:
            asks.append(found)
    return tuple(asks), "; ".join(lacking)


def tell(plant: Plant, schedule: Schedule, lacking: str, now: datetime) -> None:
    """Say once that curves are wanted and bids come from the plan alone, and once when no more."""
    refused = [f"{one.product_id}: {one.status}" for one in schedule.bid_curves if not one.usable]
    why = "; ".join([*([lacking] if lacking else []), *refused])
    if why and not plant.uncurved:
        plant.events.emit("uncurved", why, at=now, severity=Severity.WARNING)
    if plant.uncurved and not why and schedule.bid_curves:
        plant.events.emit("uncurved", "bids are curves over price scenarios again", at=now)
    if why or schedule.bid_curves:
        plant.uncurved = why
    for one in schedule.bid_curves:
        if one.check is not None and one.check.kept < 1:
            plant.events.emit(
                "curves_cut",
                f"{one.check.share_before_cut:.1%} of what the curves of {one.product_id} trade on"
                f" {one.check.paths} price paths could not be delivered: {one.check.kept:.0%} of"
                " their way from the plan is offered",
                at=now,
                product_id=one.product_id,
            )


def _deliveries(
    plant: Plant, horizon: Horizon, now: datetime
) -> Iterator[tuple[MarketProduct, Interval, CurveSettings]]:
    """What is to be bid by curves and can be, of a plan made at `now`."""
    unit = trading_unit(plant)
    for product in plant.file.products:
        settings = plant.file.curves.get(product.product_id)
        if settings is None:
            continue
        for delivery in deliveries_from(product, now):
            if delivery.end > horizon.end:
                break
            if product.gate_closes_at(delivery) > now and delivery.start >= unit.trades_from:
                yield product, delivery, settings


def curve_ask(
    product: MarketProduct,
    delivery: Interval,
    view: PlanningView,
    prices_per_kwh: Floats,
    strategy: Strategy,
    settings: CurveSettings,
    chance: np.random.Generator,
    *,
    more: Sequence[Term] = (),
) -> CurveAsk | str:
    """Ask for the curves of one delivery; or why they cannot be made of this plan.

    `prices_per_kwh` are the scenarios, shape (S, T); `more` are terms that no strategy makes. Where
    more were drawn than curves are made for, whole pairs of opposites are taken.
    """
    horizon = view.horizon
    width, rest = divmod(product.delivery_interval, horizon.step)
    if not horizon.span.covers(delivery):
        return "the plan does not reach the end of the delivery"
    if product.price is None:
        return "it has no price"
    if rest or width < 1 or (delivery.start - horizon.start) % horizon.step:
        return f"the plan's steps of {horizon.step} do not fit {product.delivery_interval}"
    prices = _pairs(prices_per_kwh, settings.scenarios)
    return CurveAsk(
        product_id=product.product_id,
        first_step=horizon.index(delivery.start),
        width=width,
        intervals=(delivery.end - delivery.start) // product.delivery_interval,
        tick_per_kwh=float(product.price.tick) / 1000,
        most_steps=_most_steps(product, len(prices)),
        futures=priced_futures(view, prices, strategy, more=more),
        mixtures=mixtures(settings.paths, len(prices), chance),
        most_undelivered=settings.most_undelivered,
        undelivered_per_kwh=settings.undelivered_per_kwh,
        soft_s=settings.seconds,
        cvar_weight=settings.cvar_weight,
        cvar_level=settings.cvar_level,
    )


def _most_steps(product: MarketProduct, scenarios: int) -> int:
    """Steps of one curve: a line has two points for each."""
    points = product.most_steps
    if points is None:
        return scenarios
    return points // 2 if product.form == "curve_linear" else points


def _pairs(drawn: Floats, most: int) -> Floats:
    """At most `most` scenarios, shape (S, T), each with its opposite: those stand behind the first half."""
    if len(drawn) <= most:
        return drawn
    behind, pairs = len(drawn) - len(drawn) // 2, most // 2
    return np.concatenate([drawn[:pairs], drawn[behind : behind + pairs]])
