"""From drawn scenarios to the futures that a plan is made for: a view, and its strategies' terms, each.

    power.<resource>      what nobody moves            kW net injection
    available.<resource>  what the weather lets feed   kW
    arriving.<resource>   cars still to come           kW net injection
    outdoor.<place>  share of a storage's power        °C   1
    price.<product>       day-ahead price              currency per MWh

A series that no scenario speaks of stays as the view expects it. So does the price of what is bid now:
a bid is a curve and says itself what it does at other prices, while one quantity for all prices would be
right at none of them (`priced_futures` are for those curves). Margins are left out: a future keeps its
limits by what is done when it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.forecast import Scenarios
from vpp.model.horizon import Floats, Profile
from vpp.model.resource import EvFleet, Resource
from vpp.model.resource.series import (
    arriving_series,
    available_series,
    outdoor_series,
    power_series,
    share_series,
)
from vpp.plan.problem import Future
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.inputs import still_to_arrive_kw

Strategy = Callable[[PlanningView], tuple[Term, ...]]
"""What all strategies of a park ask together of a view."""


def futures(
    view: PlanningView,
    scenarios: Scenarios,
    strategy: Strategy,
    *,
    spot_series_id: str,
    budgets: Sequence[Term] = (),
) -> tuple[Future, ...]:
    """One future for each scenario; `budgets` are terms that no strategy makes, the same in all.

    Raises:
        DataError: The scenarios stand on another horizon than the view.
    """
    if scenarios.horizon != view.horizon:
        raise DataError(
            f"scenarios on {scenarios.horizon}, the view on {view.horizon}",
            where="futures",
            fix="Draw them on the plan's horizon",
        )
    found = []
    for number in range(scenarios.count):
        course = {name: values[number] for name, values in scenarios.values.items()}
        seen = _seen(view, course, spot_series_id)
        terms = (*strategy(seen), *budgets)
        found.append(Future(view=seen, terms=terms))
    return tuple(found)


def priced_futures(
    view: PlanningView,
    prices_per_kwh: Floats,
    strategy: Strategy,
    *,
    more: Sequence[Term] = (),
) -> tuple[Future, ...]:
    """One future for each course of the day-ahead price, shape (S, T), also where it is bid now.

    All else is as expected: what a curve shares between them is how much it sells at which price.
    """
    found = []
    for prices in prices_per_kwh:
        seen = _at_prices(view, prices - view.spot_per_kwh.values)
        terms = (*strategy(seen), *more)
        found.append(Future(view=seen, terms=terms))
    return tuple(found)


def _at_prices(view: PlanningView, dearer_per_kwh: Floats) -> PlanningView:
    """The view, were all market prices so much higher, shape (T,)."""
    horizon = view.horizon
    return replace(
        view,
        spot_per_kwh=Profile(horizon, view.spot_per_kwh.values + dearer_per_kwh),
        open_products=tuple(
            replace(
                product,
                price_per_kwh=Profile(horizon, product.price_per_kwh.values + dearer_per_kwh),
            )
            for product in view.open_products
        ),
    )


def _seen(view: PlanningView, course: Mapping[str, Floats], spot_series_id: str) -> PlanningView:
    """The view, had its forecasts said `course`; values of shape (T,), by series id."""
    horizon = view.horizon
    base_kw, available_kw = dict(view.base_kw), dict(view.available_kw)
    arriving_kw, outdoor_degc = dict(view.arriving_kw), dict(view.outdoor_degc)
    power_share = dict(view.power_share)

    def drawn(resource: Resource, series_of: Callable[[Resource], str | None]) -> Floats | None:
        kw = course.get(series_of(resource) or "")
        part = view.park.part_of_series(resource.resource_id)
        return kw if kw is None or part == 1.0 else kw * part

    for resource in view.park.resources:
        name = resource.resource_id
        if (kw := drawn(resource, power_series)) is not None:
            base_kw[name] = Profile(horizon, np.clip(kw, -resource.draw_kw, 0.0))
        if (kw := drawn(resource, available_series)) is not None:
            available_kw[name] = Profile(horizon, np.clip(kw, 0.0, resource.feed_kw))
        if (kw := drawn(resource, arriving_series)) is not None and isinstance(resource, EvFleet):
            arriving_kw[name] = Profile(horizon, still_to_arrive_kw(resource, kw, horizon))
        if (degc := drawn(resource, outdoor_series)) is not None:
            outdoor_degc[outdoor_series(resource) or ""] = Profile(horizon, degc)
        if (share := drawn(resource, share_series)) is not None:
            power_share[share_series(resource) or ""] = Profile(horizon, np.clip(share, 0.0, 1.0))
    spot = course.get(spot_series_id)
    dearer = np.zeros(horizon.steps)
    if spot is not None:
        dearer = np.where(_bid_now(view), 0.0, spot / 1000 - view.spot_per_kwh.values)
    return replace(
        _at_prices(view, dearer),
        base_kw=base_kw,
        available_kw=available_kw,
        arriving_kw=arriving_kw,
        outdoor_degc=outdoor_degc,
        power_share=power_share,
        margins=(),
        paid_peaks=tuple(replace(peak, margin=None) for peak in view.paid_peaks),
    )


def _bid_now(view: PlanningView) -> NDArray[np.bool_]:
    """Steps of which something must be bid at its reference price before the next plan, shape (T,)."""
    due = np.zeros(view.horizon.steps, dtype=bool)
    for product in view.open_products:
        if product.informative:
            due |= (product.max_kw > 0) & (True if product.due is None else product.due)
    return due
