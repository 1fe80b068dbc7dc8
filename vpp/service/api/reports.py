"""Reports to dispatch centres and platforms: what is owed, what was told, and having it told again."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, TypeAdapter

from vpp.model.reporting import ReportKind
from vpp.model.time import Interval
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.reports import sending as reportsending
from vpp.service.reports.desk import Owed, PlatformDesk
from vpp.wire import Id, Moment, WireModel
from vpp.wirereports import (
    AnyReportMessage,
    PlatformView,
    ReplayRequest,
    ReplayView,
    ReportPageView,
    ReportsView,
    StreamView,
    message_of,
)

PAGE = 200
"""Reports that are read at once."""

LAST = timedelta(hours=1)
"""What is shown where no span is asked for."""

_read: TypeAdapter[AnyReportMessage] = TypeAdapter(AnyReportMessage)


class ReportsQuery(WireModel):
    """Which reports of a product."""

    kind: Literal["point", "forecast", "day-plan"] = "point"
    unit: Id | None = None
    """Left out: the first that owes them."""
    start: Moment | None = None
    """Left out: an hour before `end`."""
    end: Moment | None = None
    """Left out: now."""
    limit: int = Field(default=PAGE, ge=1, le=PAGE)


async def list_reports(plant: Plant, call: Call[Nothing, Nothing]) -> ReportsView:
    desk = plant.reports
    return ReportsView(
        at=call.now,
        streams=[
            _stream(plant, owed, kind)
            for owed in desk.owed
            for kind in ReportKind
            if _is_owed(owed, kind)
        ],
        platforms=[_platform(one) for one in desk.platforms],
    )


async def read_reports(plant: Plant, call: Call[ReportsQuery, Nothing]) -> ReportPageView:
    asked = call.query
    owed = _owed(plant, call.path["product"], asked.unit)
    end = asked.end or call.now + timedelta.resolution
    start = asked.start or end - LAST
    if not start < end:
        raise HttpRefusal(
            "start is not before end",
            code="invalid_query",
            where="query",
            fix="Give a start before the end",
        )
    found, missing, following = reporting.on_record(
        plant, owed, ReportKind(asked.kind), Interval(start, end), most=asked.limit
    )
    reports = [_read.validate_json(parcel.body) for parcel in found]
    return ReportPageView(reports=reports, missing=missing, next_from=following)


async def replay_reports(plant: Plant, call: Call[Nothing, ReplayRequest]) -> ReplayView:
    asked = call.body
    desk = plant.reports.platform(asked.platform)
    if desk is None:
        raise HttpRefusal(
            "this park file names no such platform",
            code="unknown_platform",
            where=f"platform {asked.platform[:80]}",
            fix="Look at /v1/reports",
        )
    owed = _owed(plant, asked.product, asked.unit)
    if not desk.wants(owed.duty.product_id):
        raise HttpRefusal(
            "this platform gets no reports of that product",
            code="invalid_data",
            where=f"platform {desk.name}",
            fix="Name it in the platform's products in the park file, if it is to have them",
        )
    queued, missing, following = reportsending.replay(
        plant, desk, owed, asked.kind, Interval(asked.start, asked.end)
    )
    plant.events.emit(
        "report", f"{queued} reports of {asked.product} are sent to {desk.name} again", at=call.now
    )
    return ReplayView(queued=queued, missing=missing, next_from=following)


def _owed(plant: Plant, product: str, unit: str | None) -> Owed:
    for owed in plant.reports.owed:
        if owed.duty.product_id == product and unit in (None, owed.duty.unit_id):
            return owed
    raise HttpRefusal(
        "no unit of this park owes reports of it",
        code="unknown_report",
        where=f"product {product[:80]}",
        fix="Look at /v1/reports",
    )


def _is_owed(owed: Owed, kind: ReportKind) -> bool:
    if kind is ReportKind.DAY_PLAN:
        return owed.duty.plan_points is not None
    return owed.duty.step(kind) is not None


def _stream(plant: Plant, owed: Owed, kind: ReportKind) -> StreamView:
    stream, step = plant.reports.stream(owed.duty, kind), owed.duty.step(kind)
    return StreamView(
        product=owed.duty.product_id,
        unit=owed.duty.unit_id,
        kind=kind,
        every_s=None if step is None else step.total_seconds(),
        made=stream.made,
        missed=stream.missed,
        newest=None if stream.newest is None else message_of(stream.newest),
    )


def _platform(desk: PlatformDesk) -> PlatformView:
    return PlatformView(
        platform=desk.name,
        taken=desk.taken,
        declined=desk.declined,
        not_taken=desk.not_taken,
        waiting=desk.waiting,
        dropped=desk.dropped,
        fault=desk.fault,
        taken_until=desk.taken_until,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/reports",
        "What is owed to dispatch centres and platforms, the newest of it, and how each platform does",
        list_reports,
        gives=ReportsView,
    ),
    reading(
        "/v1/reports/{product}",
        "Reports of a product as they were made, oldest first",
        read_reports,
        query=ReportsQuery,
        gives=ReportPageView,
        codes=("unknown_report",),
    ),
    writing(
        "POST",
        "/v1/reports/replays",
        "Send reports to a platform again, as they were made",
        replay_reports,
        takes=ReplayRequest,
        gives=ReplayView,
        codes=("unknown_report", "unknown_platform", "invalid_data"),
        example={
            "platform": "load-centre",
            "product": "cn.generic.dr.peak.day_ahead",
            "kind": "point",
            "start": "2026-07-15T09:00:00Z",
            "end": "2026-07-15T10:00:00Z",
        },
    ),
)
