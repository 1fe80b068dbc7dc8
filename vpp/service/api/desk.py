"""The control room's desk: alarms, shift log, hand-over, and who did what."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Annotated

from pydantic import Field

from vpp.service.alarms import alarms
from vpp.service.alarms.views import list_view, view_of
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.shift import audit, shift
from vpp.wire import WireModel
from vpp.wiredesk import (
    ActRequest,
    AlarmHistoryView,
    AlarmsView,
    AlarmView,
    AuditView,
    EscalateRequest,
    HandoverRequest,
    HandoversView,
    HandoverView,
    LogEntryView,
    LogRequest,
    LogView,
    ShelveRequest,
)


class ListQuery(WireModel):
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    """The newest so many."""


class AuditQuery(ListQuery):
    before: Annotated[int, Field(ge=1)] | None = None
    """Only entries with a lower number."""


# ---------------------------------------------------------------- alarms


async def list_alarms(plant: Plant, call: Call[Nothing, Nothing]) -> AlarmsView:
    return list_view(plant.alarms, call.now)


async def list_history(plant: Plant, call: Call[ListQuery, Nothing]) -> AlarmHistoryView:
    book = plant.alarms.book
    newest = list(book.done)[-call.query.limit :]
    return AlarmHistoryView(
        now=call.now, alarms=[view_of(book, alarm, under=[]) for alarm in reversed(newest)]
    )


async def acknowledge(plant: Plant, call: Call[Nothing, ActRequest]) -> AlarmView:
    body = call.body
    alarm = await alarms.acknowledge(
        plant, call.path["alarm_id"], by=body.by, reason=body.reason, now=call.now
    )
    return view_of(plant.alarms.book, alarm, under=[])


async def shelve(plant: Plant, call: Call[Nothing, ShelveRequest]) -> AlarmView:
    body = call.body
    if body.end is not None:
        until = body.end.astimezone(UTC)
    else:
        until = call.now + timedelta(minutes=body.for_minutes or 0)
    alarm = await alarms.shelve(
        plant, call.path["alarm_id"], until=until, by=body.by, reason=body.reason, now=call.now
    )
    return view_of(plant.alarms.book, alarm, under=[])


async def unshelve(plant: Plant, call: Call[Nothing, ActRequest]) -> AlarmView:
    body = call.body
    alarm = await alarms.unshelve(
        plant, call.path["alarm_id"], by=body.by, reason=body.reason, now=call.now
    )
    return view_of(plant.alarms.book, alarm, under=[])


async def escalate(plant: Plant, call: Call[Nothing, EscalateRequest]) -> AlarmView:
    body = call.body
    alarm = await alarms.escalate(
        plant, call.path["alarm_id"], body.to, by=body.by, reason=body.reason, now=call.now
    )
    return view_of(plant.alarms.book, alarm, under=[])


# ---------------------------------------------------------------- shift log and audit


async def show_log(plant: Plant, call: Call[ListQuery, Nothing]) -> LogView:
    newest = list(plant.shifts.entries)[-call.query.limit :]
    return LogView(now=call.now, entries=newest[::-1])


async def write_log(plant: Plant, call: Call[Nothing, LogRequest]) -> LogEntryView:
    return await shift.write(plant, call.body, now=call.now)


async def list_handovers(plant: Plant, call: Call[ListQuery, Nothing]) -> HandoversView:
    newest = list(plant.shifts.handovers)[-call.query.limit :]
    return HandoversView(now=call.now, draft=shift.summary(plant, call.now), handovers=newest[::-1])


async def hand_over(plant: Plant, call: Call[Nothing, HandoverRequest]) -> HandoverView:
    return await shift.hand_over(plant, call.body, now=call.now)


async def show_audit(plant: Plant, call: Call[AuditQuery, Nothing]) -> AuditView:
    entries, older = await audit.acts(
        plant.journal, before=call.query.before, limit=call.query.limit
    )
    return AuditView(now=call.now, entries=entries, older=older)


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/alarms",
        "What needs a person: first causes with their consequences, the most urgent first",
        list_alarms,
        gives=AlarmsView,
    ),
    reading(
        "/v1/alarms/history",
        "Alarms that are over and seen, the newest first",
        list_history,
        gives=AlarmHistoryView,
        query=ListQuery,
    ),
    writing(
        "POST",
        "/v1/alarms/{alarm_id}/acknowledge",
        "Say that somebody has seen an alarm, with its consequences",
        acknowledge,
        takes=ActRequest,
        gives=AlarmView,
        codes=("invalid_data", "unavailable"),
        example={"by": "Li", "reason": "on the way to the broker"},
    ),
    writing(
        "POST",
        "/v1/alarms/{alarm_id}/shelve",
        "Put an alarm aside for a while; it comes back by itself",
        shelve,
        takes=ShelveRequest,
        gives=AlarmView,
        codes=("conflict", "invalid_data", "unavailable"),
        example={"for_minutes": 60, "by": "Li", "reason": "the meter is being changed"},
    ),
    writing(
        "POST",
        "/v1/alarms/{alarm_id}/unshelve",
        "Put an alarm back into the list",
        unshelve,
        takes=ActRequest,
        gives=AlarmView,
        codes=("conflict", "invalid_data", "unavailable"),
        example={"by": "Li", "reason": "the meter is changed"},
    ),
    writing(
        "POST",
        "/v1/alarms/{alarm_id}/escalate",
        "Tell persons of an alarm now, by mail and webhook",
        escalate,
        takes=EscalateRequest,
        gives=AlarmView,
        codes=("invalid_data", "unavailable"),
        example={"to": ["wang"], "by": "Li", "reason": "needs an electrician"},
    ),
    reading(
        "/v1/desk/log", "The shift log, the newest first", show_log, gives=LogView, query=ListQuery
    ),
    writing(
        "POST",
        "/v1/desk/log",
        "Write something into the shift log; it is never changed",
        write_log,
        takes=LogRequest,
        gives=LogEntryView,
        codes=("unavailable",),
        example={"by": "Li", "text": "Feeder north is back", "about": "north"},
    ),
    reading(
        "/v1/desk/handovers",
        "Hand-overs, the newest first, and how the plant would be handed over now",
        list_handovers,
        gives=HandoversView,
        query=ListQuery,
    ),
    writing(
        "POST",
        "/v1/desk/handovers",
        "Hand the desk over, with how the plant stands",
        hand_over,
        takes=HandoverRequest,
        gives=HandoverView,
        codes=("unavailable",),
        example={"by": "Li", "to": "Wang", "text": "Quiet night"},
    ),
    reading(
        "/v1/desk/audit",
        "Who did what, when and why, the newest first",
        show_audit,
        gives=AuditView,
        query=AuditQuery,
    ),
)
