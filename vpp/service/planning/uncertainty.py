"""What a plan is told of what its forecast does not know; and who is told where that is nothing.

scenarios of the forecaster   ─▶ futures    (`futures.py`)
errors of learnt forecasts    ─▶ margins    (`margins.py`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.model.resource import EvFleet
from vpp.model.resource.series import arriving_series, available_series, power_series
from vpp.model.schedule import Schedule
from vpp.plan.problem import Future
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.events import Severity
from vpp.service.forecasting.jobs import Errors
from vpp.service.inputs import reference_product, still_to_arrive_share
from vpp.service.planning.futures import futures
from vpp.service.planning.margins import margins, with_peak_margins
from vpp.service.plant import Plant


def futures_of(
    plant: Plant, view: PlanningView, budgets: Sequence[Term]
) -> tuple[tuple[Future, ...], str]:
    """The futures that the park file asks for; where there are none, why.

    Raises:
        DataError: The scenarios do not stand on the plan's horizon.
    """
    planning, reference = plant.file.planning, reference_product(plant)
    if planning.scenarios < 2:
        return (), ""
    if planning.scenarios_for == "day_ahead_bids" and not _due(view, reference.product_id):
        return (), ""
    drawn = plant.desk.scenarios
    if drawn is None:
        return (), "no scenarios were drawn"
    made = futures(
        view,
        drawn,
        plant.strategies.terms,
        spot_series_id=reference.price_series_id,
        budgets=budgets,
    )
    return made, ""


def _due(view: PlanningView, product_id: ProductId) -> bool:
    """Whether bids of a product cannot wait for the next plan in some step."""
    return any(
        bool(((product.max_kw > 0) & (True if product.due is None else product.due)).any())
        for product in view.open_products
        if product.product_id == product_id
    )


def tell(plant: Plant, schedule: Schedule, now: datetime) -> None:
    """Say once that plans trust their forecast though futures were asked for, and once when no more."""
    told = schedule.uncertainty
    why = "" if told is None or told.hedged else told.status
    if why and not plant.unhedged:
        plant.events.emit("unhedged", why, at=now, severity=Severity.WARNING)
    if plant.unhedged and not why:
        plant.events.emit("unhedged", "plans are made for several futures again", at=now)
    plant.unhedged = why


# ---------------------------------------------------------------- margins


def with_margins(plant: Plant, view: PlanningView) -> PlanningView:
    """The view with the room below limits that the park file asks for.

    Series whose errors nobody measured yet have no part in it, which is told once.
    """
    probability = plant.file.planning.margin_probability
    if probability is None:
        return view
    unsure = _unsure(view)
    known = {name: plant.desk.errors[name] for name in unsure if name in plant.desk.errors}
    lacking = sorted(unsure.keys() - known.keys())
    why = f"without the errors of {', '.join(lacking)}" if lacking else ""
    found = view
    errors_kw = {name: _in_kw(errors, unsure[name]) for name, errors in _together(known).items()}
    try:
        rooms = margins(
            view.park,
            errors_kw,
            view.horizon.steps,
            probability=probability,
            price_per_kwh=plant.file.planning.margin_price_per_kwh,
        )
        peaks = with_peak_margins(
            view.paid_peaks, view.park, errors_kw, view.horizon.steps, probability=probability
        )
        found = replace(view, margins=rooms, paid_peaks=peaks)
    except DataError as error:
        why = f"none: {error}"
    if why != plant.margins_lack:
        text = f"margins {why}" if why else "margins know all errors"
        severity = Severity.WARNING if why else Severity.INFO
        plant.events.emit("margins", text, at=view.now, severity=severity)
    plant.margins_lack = why
    return found


def _unsure(view: PlanningView) -> dict[str, Floats]:
    """Series that nobody moves, and by how much of their error the plan is off; shape (T,) each."""
    whole, found = np.ones(view.horizon.steps), dict[str, Floats]()
    for resource in view.park.electric:
        share = still_to_arrive_share(view.horizon) if isinstance(resource, EvFleet) else whole
        for of in (power_series, available_series, arriving_series):
            if (name := of(resource)) is not None:
                found[name] = share
    return found


def _together(errors: dict[str, Errors]) -> dict[str, Floats]:
    """Errors at the origins, and leads, that all have; shape (origins, leads) each."""
    if not errors:
        return {}
    common = sorted(set.intersection(*(set(one.origins) for one in errors.values())))
    leads = min(one.above.shape[1] for one in errors.values())
    found = {}
    for name, one in errors.items():
        row_of = {origin: row for row, origin in enumerate(one.origins)}
        found[name] = one.above[[row_of[origin] for origin in common], :leads]
    return found


def _in_kw(above: Floats, share: Floats) -> Floats:
    leads = min(above.shape[1], len(share))
    return above[:, :leads] * share[:leads]
