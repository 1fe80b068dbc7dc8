"""The newest plan with its reasons, and what a case would be planned like."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from functools import partial
from typing import Annotated

from pydantic import Field

from vpp.model.horizon import Profile
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.schedule import Outcome, Schedule
from vpp.model.time import parse_utc
from vpp.plan.changes import Changes, planned
from vpp.plan.explain import explain, moment_of
from vpp.service.api.paging import PageQuery, page_of
from vpp.service.api.problems import RETRY_AFTER_S, HttpRefusal
from vpp.service.api.reading import MAX_FAULTS
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.cases.case import Ran, run_case
from vpp.service.cases.casefile import Case, case_of
from vpp.service.cases.schema import CaseSection
from vpp.service.park.config import ConfigErrors, Document
from vpp.service.planning import part
from vpp.service.planning.view import (
    changes_view,
    explanation_view,
    peak_views,
    quota_views,
    schedule_view,
    status_of,
)
from vpp.service.planning.views import ExplanationView, PlanView, WhatIfView
from vpp.service.plant import Plant
from vpp.service.quotas.peaks import PeakState
from vpp.service.quotas.prices import QuotaState
from vpp.service.quotas.quotas import plant_states
from vpp.service.solving.executor import ProcessExecutor
from vpp.wire import ProblemFault, WireModel


class ExplainQuery(WireModel):
    resource: Annotated[str, Field(min_length=1, max_length=80)]
    at: Annotated[str, Field(pattern=r"^[0-9]{2}:[0-9]{2}$|^[0-9]{4}-.*T", max_length=40)]
    """A time of day on the park's clock, such as 03:15, or a moment with its zone."""


async def show_plan(plant: Plant, call: Call[PageQuery, Nothing]) -> bytes:
    """A page of the newest plan, written beside the event loop: a thousand rows take a tenth of a second and more.

    Raises:
        HttpRefusal: `unknown_resource`.
    """
    places, behind = page_of(plant, call.query)
    if plant.outcome is None:
        nothing = PlanView(status="none", reason="no plan was made yet", schedule=None)
        return nothing.model_dump_json().encode()
    write = partial(
        _page, plant.file.park, places, behind,
        outcome=plant.outcome,
        schedule=plant.schedule,
        spot=None if plant.view is None else plant.view.spot_per_kwh,
        validate_s=plant.validate_s,
        changes=plant.changes,
        quotas=plant_states(plant),
        peaks=tuple(plant.quotas.peaks),
    )  # fmt: skip
    return await asyncio.to_thread(write)


def _page(
    park: Park,
    places: range,
    behind: str | None,
    *,
    outcome: Outcome,
    schedule: Schedule | None,
    spot: Profile | None,
    validate_s: float | None,
    changes: Changes | None,
    quotas: Iterable[QuotaState],
    peaks: Iterable[PeakState],
) -> bytes:
    """The page of `places` as JSON; what is given does not change while it is written."""
    status, reason = status_of(outcome)
    shelf = part.Shelf.of(park, places)
    shown = None if schedule is None else part.schedule_part(schedule, shelf)
    changed = None if changes is None else part.changes_part(changes, shelf)
    view = PlanView(
        status=status,
        reason=reason,
        schedule=None
        if shown is None
        else schedule_view(shown, currency=park.currency, spot=spot, validate_s=validate_s),
        changes=None if changed is None else changes_view(changed, park.timezone, park.currency),
        quotas=quota_views(part.quotas_part(quotas, shelf)),
        peaks=peak_views(part.peaks_part(peaks, shelf)),
        next=None if schedule is None else behind,
    )
    return view.model_dump_json().encode()


async def explain_plan(plant: Plant, call: Call[ExplainQuery, Nothing]) -> ExplanationView:
    if plant.schedule is None or plant.made_from is None:
        raise HttpRefusal(
            "no plan was made yet", code="no_plan", where="plan", fix="Ask again after the next one"
        )
    view, terms = plant.made_from
    at = call.query.at
    moment = parse_utc(at, where="at") if "T" in at else moment_of(view, at)
    why = explain(plant.schedule, view, terms, ResourceId(call.query.resource), moment)
    return explanation_view(plant.schedule.plan_id, why)


async def plan_what_if(plant: Plant, call: Call[Nothing, CaseSection]) -> bytes:
    """Plan a case in a process of its own: neither the plan that stands nor the next one waits, nor the event loop."""
    if plant.what_if.locked():
        raise HttpRefusal(
            "another what-if is being planned",
            code="what_if_running",
            where="plan",
            fix="Send it again when that one is answered",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    async with plant.what_if:
        case = await asyncio.to_thread(_case, plant, call.body)
        async with ProcessExecutor() as executor:
            ran = await run_case(case, executor)
    return await asyncio.to_thread(_document, ran, plant.schedule)


def _document(ran: Ran, standing: Schedule | None) -> bytes:
    """The whole of a case's plan as JSON."""
    view = ran.document(since=None if standing is None else planned(standing))
    return view.model_dump_json().encode()


def _case(plant: Plant, body: CaseSection) -> Case:
    """The case of a request.

    Raises:
        HttpRefusal: Every fault, by its path in the body.
    """
    tree = json.loads(body.model_dump_json(exclude_unset=True))
    document = Document(
        file="body",
        tree=tree,
        marks={(): (1, 1)},
        digest=hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest(),
        faults=(),
    )
    try:
        case = case_of(document, name="what-if", folder=None, live=plant.file)
    except ConfigErrors as error:
        faults = [ProblemFault(path=_path(f.path), what=f.what) for f in error.faults[:MAX_FAULTS]]
        raise _unfit(faults) from error
    most = plant.file.planning.hard_s
    if case.hard_s > most:
        what = f"{case.hard_s:g} s are more than the {most:g} s that this service gives"
        raise _unfit([ProblemFault(path="body.solver.hard_s", what=what)])
    return case


def _unfit(faults: list[ProblemFault]) -> HttpRefusal:
    return HttpRefusal(
        f"{len(faults)} mistake{'s' if len(faults) > 1 else ''}, the first in {faults[0].path}:"
        f" {faults[0].what}",
        code="invalid_body",
        where="body",
        fix="Mend what `errors` names",
        faults=faults,
    )


def _path(dotted: str) -> str:
    """`terms.0.at` as `body.terms[0].at`."""
    parts = [f"[{part}]" if part.isdecimal() else f".{part}" for part in dotted.split(".") if part]
    return "body" + "".join(parts)


EXAMPLE = {
    "park": "live",
    "strategies": "none",
    "series": {
        "start": "2025-12-03T10:00:00Z",
        "step_minutes": 15,
        "columns": {
            "power.steel-furnaces [kW]": [-800.0, -820.0, -790.0, -760.0],
            "price.buy [EUR/MWh]": [41.2, 43.0, 55.5, 61.9],
        },
    },
    "constants": {"arriving.office-cars": "0 kW"},
    "states": {"steel-battery": {"soc": 0.5}},
    "terms": [{"term": "energy_price", "at": "all", "import_per_kwh": "price.buy"}],
}
"""What a case looks like; a real one has a series for each load, source and place."""

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/plan",
        "The newest plan, resources a page at a time, with costs by cause, prices, limits that bind and what changed",
        show_plan,
        query=PageQuery,
        gives=PlanView,
        codes=("unknown_resource",),
    ),
    writing(
        "POST",
        "/v1/plan",
        "Plan a case and follow nothing of it: what if",
        plan_what_if,
        takes=CaseSection,
        gives=WhatIfView,
        codes=("what_if_running", "no_plan", "invalid_data"),
        example=EXAMPLE,
        keeps=False,
    ),
    reading(
        "/v1/plan/explain",
        "Why a resource does what the newest plan has it do",
        explain_plan,
        gives=ExplanationView,
        query=ExplainQuery,
        codes=("no_plan", "invalid_data"),
    ),
)
