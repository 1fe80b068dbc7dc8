"""What strategies alone look at in a view: calls for demand response ahead, and what loads bore today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import local_date
from vpp.plan.view import CallWindow, PlanningView
from vpp.service.plant import Plant
from vpp.trade.drlifecycle import PLANNED


def seen(plant: Plant, view: PlanningView) -> PlanningView:
    """The view, with the calls that reach into its horizon and what each load was turned down today."""
    return replace(view, calls=tuple(_calls(plant, view)), borne_kwh=borne_kwh(view))


def _calls(plant: Plant, view: PlanningView) -> Iterator[CallWindow]:
    """Every window that is planned for (`demandresponse/plan.py`)."""
    for story in plant.dr.book.stories():
        window = story.invitation.window
        if story.stage not in PLANNED or not window.overlaps(view.horizon.span):
            continue
        steps = view.horizon.slice(window)
        yield CallWindow(
            name=story.invitation.invitation_id,
            first_step=steps.start,
            last_step=steps.stop,
            up=story.invitation.side.sign > 0,
        )


def borne_kwh(view: PlanningView) -> dict[ResourceId, float]:
    """What calls took away today from loads that count their calls, in kWh."""
    zone = view.park.timezone
    today = local_date(view.now, zone)
    found: dict[ResourceId, float] = {}
    for state in view.state.resources:
        load = view.park.resource_by_id[state.resource_id]
        if not isinstance(state, Reading) or not isinstance(load, InterruptibleLoad):
            continue
        if state.calls_today and local_date(state.measured_at, zone) == today:
            hours = load.call_length.total_seconds() / 3600
            found[load.resource_id] = state.calls_today * hours * load.rated_draw_kw
    return found
