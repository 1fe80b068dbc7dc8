"""What a plan is told of other futures, and who is told when it trusts its forecast all the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vpp.model.schedule import Schedule
from vpp.plan.problem import Future
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.events import Severity
from vpp.service.futures import futures
from vpp.service.inputs import reference_product
from vpp.service.plant import Plant


def futures_of(
    plant: Plant, view: PlanningView, budgets: Sequence[Term]
) -> tuple[tuple[Future, ...], str]:
    """The futures that the park file asks for; where there are none, why.

    Raises:
        DataError: The scenarios do not stand on the plan's horizon.
    """
    if plant.file.planning.scenarios < 2:
        return (), ""
    drawn = plant.desk.scenarios
    if drawn is None:
        return (), "no scenarios were drawn"
    spot_id = reference_product(plant).price_series_id
    made = futures(view, drawn, plant.strategies, spot_series_id=spot_id, budgets=budgets)
    return made, ""


def tell(plant: Plant, schedule: Schedule, now: datetime) -> None:
    """Say once that plans trust their forecast though futures were asked for, and once when no more."""
    told = schedule.uncertainty
    why = "" if told is None or told.hedged else told.status
    if why and not plant.unhedged:
        plant.events.emit("unhedged", why, at=now, severity=Severity.WARNING)
    if plant.unhedged and not why:
        plant.events.emit("unhedged", "plans are made for several futures again", at=now)
    plant.unhedged = why
