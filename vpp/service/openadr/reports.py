"""Reports to a utility: what it asked for, from meters and telemetry, and how far that can be believed.

A value that was not measured is not sent: its interval says MISSING. What a meter only lets us work out, and
what is planned, is called ESTIMATED. OpenADR counts draw positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan
from typing import TypeAlias

import msgspec
import numpy as np

from vpp.act.ladder import SafeState
from vpp.errors import RejectedError, UnavailableError
from vpp.model.horizon import Horizon
from vpp.model.market import Side
from vpp.model.programme import (
    Payload,
    PayloadUnits,
    ProgrammeReport,
    ReportAsked,
    ReportInterval,
)
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.calls import activations
from vpp.service.events import Severity
from vpp.service.openadr.desk import OpenAdrDesk, SentReport
from vpp.service.planning import flexibility
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.steering import mainmeters
from vpp.trade.programmereports import ReportDue, reports_due

INTENT, ARRIVED = "openadr_report", "openadr_reported"
"""Kinds of journal entries."""

GRACE = timedelta(seconds=90)
"""Meters tell of a boundary a little later."""

FRESH = timedelta(minutes=3)
"""A reading of the end of an interval is at most so much older."""

OK, ESTIMATED, MISSING = "OK", "ESTIMATED", "MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A value and how far it can be believed."""

    value: float | str | None
    quality: str


_UNKNOWN = Told(value=None, quality=MISSING)
Source: TypeAlias = Callable[[Plant, ReportAsked, Interval], Told]


async def send_due(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    """Send every report whose time has come and that did not arrive yet."""
    every = timedelta(seconds=desk.section.report_s)
    for one in list(desk.stood.values()):
        for due in reports_due(one, now=now - GRACE, every=every, draw=desk.draw):
            if due.name not in desk.reported and not await _send(plant, desk, due, now):
                return  # nobody answers: the next look goes on


async def _send(plant: Plant, desk: OpenAdrDesk, due: ReportDue, now: datetime) -> bool:
    """Whether it arrived, or never will; it is on disk before it leaves."""
    key = f"{desk.section.id}/{due.name}"
    entry = plant.journal.find(INTENT, key)
    try:
        if entry is None:
            report = made(plant, due)
            await append(plant, INTENT, key, msgspec.json.encode(report), now=now)
        else:
            report = msgspec.json.decode(entry.body, type=ProgrammeReport)
        if due.name not in desk.unsure or not await desk.port.has_report(report):
            desk.unsure.add(due.name)
            await desk.port.send_report(report)
        await append(plant, ARRIVED, key, b"{}", now=now)
    except UnavailableError as error:
        _say_once(
            plant, desk, ("late", due.name), f"report {due.name} does not arrive: {error}", now
        )
        return False
    except RejectedError as error:
        _say_once(plant, desk, ("no", due.name), f"report {due.name} is refused: {error}", now)
    desk.unsure.discard(due.name)
    desk.reported.add(due.name)
    desk.last_report = SentReport(name=due.name, event_id=due.event.event_id, at=now)
    return True


def _say_once(
    plant: Plant, desk: OpenAdrDesk, key: tuple[str, ...], text: str, now: datetime
) -> None:
    if key not in desk.told:
        desk.told.add(key)
        plant.events.emit(
            "openadr_report",
            f"utility {desk.section.id}: {text}"[:500],
            at=now,
            severity=Severity.WARNING,
            utility=desk.section.id,
        )


def recover(plant: Plant) -> None:
    """Take up which reports arrived, and which left without an answer."""
    for desk in plant.programmes:
        prefix = f"{desk.section.id}/"
        for entry in plant.journal.entries(INTENT, ARRIVED):
            if not entry.key.startswith(prefix):
                continue
            name = entry.key.removeprefix(prefix)
            if entry.kind == INTENT:
                desk.unsure.add(name)
                continue
            desk.unsure.discard(name)
            desk.reported.add(name)
            event_id = name.rsplit("/", 3)[0]
            desk.last_report = SentReport(name=name, event_id=event_id, at=entry.recorded_at)


# ---------------------------------------------------------------- values


def drawn_kw(plant: Plant) -> float | None:
    """What the main meters draw now, kW; None where one of them is not heard lately."""
    seen = mainmeters.shown(plant, plant.clock.now())
    return None if seen is None else -seen.kw


def made(plant: Plant, due: ReportDue) -> ProgrammeReport:
    """The report with its values."""
    asked = due.asked
    kind, units = asked.payload_type, asked.units or USUAL_UNITS.get(asked.payload_type)
    intervals = []
    for interval_id, span in due.intervals:
        told = told_of(plant, asked, span)
        payloads = [] if told.value is None else [Payload(payload_type=kind, values=(told.value,))]
        payloads.append(Payload(payload_type="DATA_QUALITY", values=(told.quality,)))
        intervals.append(
            ReportInterval(
                interval_id=interval_id,
                start=span.start,
                duration=span.end - span.start,
                payloads=tuple(payloads),
            )
        )
    return ProgrammeReport(
        report_name=due.name,
        program_id=due.event.program_id,
        event_id=due.event.event_id,
        units=(
            PayloadUnits(payload_type=kind, units=units),
            PayloadUnits(payload_type="DATA_QUALITY"),
        ),
        intervals=tuple(intervals),
    )


def told_of(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """What can be said of one interval; MISSING too for what we do not measure, or not in these units."""
    source = SOURCES.get(asked.payload_type)
    usual = USUAL_UNITS.get(asked.payload_type)
    if source is None or asked.units not in (None, usual) or asked.reading_type == "PEAK":
        return _UNKNOWN
    if not asked.historical:
        return _planned(plant, asked, span)
    return source(plant, asked, span)


def _usage(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """Energy drawn through the main meters, kWh."""
    read = [plant.meters.energy_wh(p.meter_id, span) for p in plant.file.park.connection_points]
    found = [one for one in read if one is not None]
    if len(found) < len(read):
        return _UNKNOWN
    quality = ESTIMATED if any(one.provisional for one in found) else OK
    return Told(value=sum(one.import_wh for one in found) / 1000, quality=quality)


def _demand(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """The same as mean power, kW."""
    used = _usage(plant, asked, span)
    if not isinstance(used.value, float):
        return used
    return Told(value=round(used.value / span.hours, 3), quality=used.quality)


def _reading(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """Power at the end of the interval, kW drawn: what was measured then, or nothing."""
    last = [p for p in plant.trace if span.end - FRESH <= p.at <= span.end]
    if not last or last[-1].park_kw is None:
        return _UNKNOWN
    return Told(value=round(-last[-1].park_kw, 3), quality=OK)


def _baseline(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """What would be drawn without calls, kW: as it was planned."""
    values = []
    for quarter in _quarters(span):
        calls = [
            kw
            for call in plant.book.calls.standing_in(quarter)
            if quarter.start in call.interval
            and (kw := activations.baseline_kw(call, quarter.start)) is not None
        ]
        traced = [p.planned_kw for p in plant.trace if p.at in quarter and p.planned_kw is not None]
        if not calls and not traced:
            return _UNKNOWN
        values.append(calls[0] if calls else sum(traced) / len(traced))
    return Told(value=round(-sum(values) / len(values), 3), quality=ESTIMATED)


def _operating_state(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """Whether we follow, and what."""
    if plant.safe_state is not SafeState.NORMAL:
        return Told(value="ERROR", quality=OK)
    called = [call.side for call in plant.book.calls.standing_in(span) if call.quantity_mw]
    if not called:
        return Told(value="NORMAL", quality=OK)
    less = called[-1] is Side.SELL
    return Told(value="RUNNING_CURTAILED" if less else "RUNNING_HEIGHTENED", quality=OK)


def _available(series_id: str) -> Source:
    """How far the park could have moved, kW, as it was seen in each quarter-hour."""

    def source(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
        quarters = _quarters(span)
        if not plant.series.has(series_id):
            return _UNKNOWN
        horizon = Horizon(quarters[0].start, QUARTER, len(quarters))
        values = plant.series.known(series_id, horizon, plant.clock.now()).values
        if np.isnan(values).any():
            return _UNKNOWN
        return Told(value=round(float(values.mean()), 3), quality=OK)

    return source


def _planned(plant: Plant, asked: ReportAsked, span: Interval) -> Told:
    """What is expected to be drawn, by the plan: kW, or kWh for USAGE."""
    drawn = asked.payload_type in ("USAGE", "DEMAND", "BASELINE")
    planned = activations.uncalled_kw(plant, _quarter_span(span))
    if not drawn or plant.schedule is None or planned is None:
        return _UNKNOWN
    values = planned.values
    if asked.payload_type != "BASELINE":
        schedule = plant.schedule
        values = np.array(
            [
                schedule.net_kw[schedule.horizon.index(q)] if q in schedule.horizon.span else np.nan
                for q in planned.horizon.starts()
            ]
        )
    mean_kw = -float(values.mean())
    if isnan(mean_kw) or planned.horizon.span != _quarter_span(span):
        return _UNKNOWN
    times = span.hours if asked.payload_type == "USAGE" else 1.0
    if asked.payload_type != "BASELINE":
        mean_kw = max(mean_kw, 0.0)
    return Told(value=round(mean_kw * times, 3), quality=ESTIMATED)


def _quarter_span(span: Interval) -> Interval:
    end = latest_boundary(span.end - timedelta.resolution, QUARTER) + QUARTER
    return Interval(latest_boundary(span.start, QUARTER), end)


def _quarters(span: Interval) -> list[Interval]:
    return list(_quarter_span(span).split(QUARTER))


SOURCES: dict[str, Source] = {
    "USAGE": _usage,
    "DEMAND": _demand,
    "READING": _reading,
    "BASELINE": _baseline,
    "OPERATING_STATE": _operating_state,
    "UP_REGULATION_AVAILABLE": _available(flexibility.UP),
    "DOWN_REGULATION_AVAILABLE": _available(flexibility.DOWN),
}
USUAL_UNITS = {
    "USAGE": "KWH",
    "DEMAND": "KW",
    "READING": "KW",
    "BASELINE": "KW",
    "UP_REGULATION_AVAILABLE": "KW",
    "DOWN_REGULATION_AVAILABLE": "KW",
}
"""The one in which each is told."""
