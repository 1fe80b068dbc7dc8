"""Programmes of utilities: their events, and what each order does here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, assert_never

from vpp.model.programme import FOREVER
from vpp.model.time import QUARTER, Interval
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.plant import Plant
from vpp.trade.programme import Standing
from vpp.trade.programmeorders import (
    AlertOrder,
    CapacityOrder,
    ChangeOrder,
    ProgrammeOrder,
    SetpointOrder,
    SignalOrder,
)
from vpp.trade.programmetimes import ends_at, may_lie, stretches
from vpp.wireprogramme import (
    NotDoneView,
    ProgrammeEventView,
    ProgrammeOrderView,
    ProgrammesView,
    SentReportView,
    UtilityView,
)

_DAY = timedelta(days=1)
_ALL_TIME = timedelta(days=10_000)


async def show_programmes(plant: Plant, call: Call[Nothing, Nothing]) -> ProgrammesView:
    return ProgrammesView(utilities=[_utility(desk, call.now) for desk in plant.programmes])


def _utility(desk: OpenAdrDesk, now: datetime) -> UtilityView:
    names = {program.program_id: program.name for program in desk.programs}
    sent = desk.last_report
    return UtilityView(
        id=desk.section.id,
        url=desk.section.url,
        version=desk.section.version,
        ven_name=desk.section.ven_name,
        programs=[program.name for program in desk.section.programs],
        heard_at=desk.polled_at,
        ill=desk.ill,
        events=[_event(desk, one, names, now) for one in desk.stood.values()],
        orders=_orders(desk),
        not_done=[
            NotDoneView(event_id=one.event_id, payload_type=one.payload_type, why=one.why)
            for one in desk.not_done
        ],
        last_report=None
        if sent is None
        else SentReportView(name=sent.name, event_id=sent.event_id, at=sent.at),
        reports_unanswered=len(desk.unsure),
    )


def _event(
    desk: OpenAdrDesk, one: Standing, names: dict[str, str], now: datetime
) -> ProgrammeEventView:
    event = one.event
    span = Interval(now - _ALL_TIME, now + _ALL_TIME)
    if event.duration is not None:  # it may be repeated for ever: only how it lies now
        span = Interval(now, now + _DAY)
    lies = may_lie(event, one.seen_at, desk.draw)
    lying = stretches(event, one.seen_at, span, desk.draw) if lies else []
    start = min((stretch.start for stretch in lying), default=None)
    end = ends_at(event, one.seen_at, desk.draw)
    state: Literal["to_come", "in_force", "over"] = "in_force"
    if end <= now:
        state = "over"
    elif start is None or start > now:
        state = "to_come"
    return ProgrammeEventView(
        event_id=event.event_id,
        program=names.get(event.program_id, event.program_id),
        name=event.name,
        priority=event.priority,
        seen_at=one.seen_at,
        modified_at=event.modified_at,
        start=start,
        end=None if end == FOREVER else end,
        state=state,
        payload_types=sorted({p.payload_type for i in event.intervals for p in i.payloads}),
        reports=[asked.payload_type for asked in event.reports],
    )


def _orders(desk: OpenAdrDesk) -> list[ProgrammeOrderView]:
    """The orders of the schedule, joined where they go on."""
    found: list[dict[str, Any]] = []
    running: dict[ProgrammeOrder, dict[str, Any]] = {}
    for start, orders in desk.schedule.items():
        kept = {}
        for order in orders:
            before = running.get(order)
            if before is not None and before["end"] == start:
                before["end"] = start + QUARTER
                kept[order] = before
                continue
            kind, does = _said(order)
            one = {"event_id": order.event_id, "kind": kind, "does": does}
            kept[order] = one | {"start": start, "end": start + QUARTER}
            found.append(kept[order])
        running = kept
    return [ProgrammeOrderView.model_validate(one) for one in found]


def _said(order: ProgrammeOrder) -> tuple[str, str]:
    match order:
        case SignalOrder():
            return "signal", f"{order.series_id} is {order.value:g} {order.unit}"
        case CapacityOrder():
            way = "draws" if order.imports else "feeds"
            return "capacity", f"{order.place} {way} at most {order.most_kw:g} kW"
        case SetpointOrder():
            return "setpoint", f"{order.product_id} holds {order.net_kw:g} kW"
        case ChangeOrder():
            share = f" and {order.change_share:.1%} of the draw" if order.change_share else ""
            return "change", f"{order.product_id} moves by {order.change_kw:+g} kW{share}"
        case AlertOrder():
            return "alert", f"{order.alert}: {order.text}"
        case _:
            assert_never(order)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/programmes",
        "Utilities' programs, their events, and what each of them does here",
        show_programmes,
        gives=ProgrammesView,
    ),
)
