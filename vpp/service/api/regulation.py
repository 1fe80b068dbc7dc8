"""Regulation: how signals are followed, while they run."""

from __future__ import annotations

from decimal import Decimal

from vpp.model.ids import ProductId
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.calls.reservedesk import Run
from vpp.service.plant import Plant
from vpp.service.steering import agc
from vpp.wireregulation import IndexPartsView, PjmScoreView, RegulationRunView, RegulationView

PLACES = 6


async def show_regulation(plant: Plant, call: Call[Nothing, Nothing]) -> RegulationView:
    return RegulationView(
        at=call.now,
        runs=[_view(name, run, running) for name, run, running in agc.runs_at(plant, call.now)],
    )


def _view(name: ProductId, run: Run, running: bool) -> RegulationRunView:
    told, rule = run.following.told(), run.following.rule
    answered = told.response_mw
    return RegulationRunView(
        product=name,
        running=running,
        since=run.since,
        until=run.until,
        awarded_mw=rule.capacity_mw,
        asked_mw=told.asked_mw,
        response_mw=answered,
        error_mw_now=None if answered is None else answered - told.asked_mw,
        mileage_mw=told.mileage_mw,
        instructions=told.instructions,
        samples=told.samples,
        first_reaction_s=told.first_reaction_s,
        delay_s=_short(told.delay_s),
        rate_mw_per_min=_short(told.rate_mw_per_min),
        error_mw=_short(told.error_mw),
        index_name=rule.index,
        parts=None
        if told.parts is None
        else IndexPartsView(**{k: round(v, PLACES) for k, v in told.parts._asdict().items()}),
        index=_short(told.index),
        in_band_share=_short(told.in_band),
        pjm=None if told.pjm is None else PjmScoreView(**told.pjm._asdict(), score=told.pjm.score),
    )


def _short(value: Decimal | None) -> Decimal | None:
    return None if value is None else round(value, PLACES)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/regulation",
        "How regulation signals are followed: indices, PJM's score, band and first reaction, while they run",
        show_regulation,
        gives=RegulationView,
    ),
)
