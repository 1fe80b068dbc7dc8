"""Sending reports: a loop for each platform, so that one that is slow or away keeps nobody else.

    new ─▶ sent at once, the newest of each kind first        what fails waits in the backlog, and is sent after what
    asked for again, missed while it was away ─▶ backlog      is new, as it was made then, under the same id

On the wall's clock: a platform takes the time that it takes. Each queue is bounded; what finds no room is counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from vpp.errors import UnavailableError
from vpp.model.reporting import Declined, NotTaken, ReportKind, Taken
from vpp.model.time import Interval, isoformat, latest_boundary
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.reports.desk import Owed, Parcel, PlatformDesk, StreamKey
from vpp.service.run import Loop

FIRST_RETRY_S = 0.5
MOST_PASSED_OVER = 20
"""A report that was not taken so often, each time after another one was, counts as declined."""

AT_ONCE = 1000
"""Reports that are looked for in one request to send them again: the event loop waits meanwhile."""

RECOVERED = timedelta(days=1)
"""What did not arrive before the service began is sent where it is no older."""


def loops(plant: Plant) -> dict[str, Loop]:
    """One for each platform."""
    return {f"report-{desk.name}": partial(serve, plant, desk) for desk in plant.reports.platforms}


async def serve(plant: Plant, desk: PlatformDesk, stop: asyncio.Event) -> None:
    """Send what there is to be sent until `stop`."""
    stopped = asyncio.create_task(stop.wait(), name=f"report-{desk.name}-stop")
    failures = 0
    try:
        while not stopped.done():
            desk.wake.clear()
            if not desk.waiting:
                await _until(stopped, desk.wake)
                continue
            arrived = await send_next(plant, desk)
            failures = 0 if arrived else failures + 1
            if not arrived:
                await asyncio.wait({stopped}, timeout=retry_s(desk, failures))
    finally:
        stopped.cancel()


async def _until(stopped: asyncio.Task[bool], wake: asyncio.Event) -> None:
    waking = asyncio.create_task(wake.wait(), name="report-wake")
    try:
        await asyncio.wait({stopped, waking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waking.cancel()


def retry_s(desk: PlatformDesk, failures: int) -> float:
    """How long to wait after so many failures in a row (at least 1)."""
    # The exponent must not grow for ever.
    return float(min(desk.section.longest_retry_s, FIRST_RETRY_S * 2 ** min(failures - 1, 20)))


async def send_next(plant: Plant, desk: PlatformDesk) -> bool:
    """Send the next report; whether the platform is done with it. There must be one."""
    fresh = bool(desk.fresh)
    parcel = desk.fresh.popitem(last=False)[1] if fresh else desk.backlog.popleft()
    answer = await desk.port.send(parcel.head, parcel.body)
    if isinstance(answer, NotTaken) and not fresh and None not in desk.faults:
        parcel = replace(parcel, passed_over=parcel.passed_over + 1)
        if parcel.passed_over >= MOST_PASSED_OVER:  # or what waits behind it would wait for ever
            answer = Declined(
                why=f"{parcel.passed_over} times while others were taken: {answer.why}"
            )
    now, stream = plant.clock.now(), (parcel.head.duty_id, parcel.head.kind)
    match answer:
        case Taken():
            desk.taken += 1
            due_at = parcel.head.due_at
            desk.taken_until = max(desk.taken_until or due_at, due_at)
            _note(plant, desk, parcel, {"answer": "taken", "at": isoformat(now)})
            _tell(plant, desk, None, None, now)
            _tell(plant, desk, stream, None, now)
        case Declined(why=why):
            desk.declined += 1
            _note(plant, desk, parcel, {"answer": "declined", "at": isoformat(now), "why": why})
            _tell(plant, desk, stream, f"declines {parcel.head.report_id}: {why}", now)
        case NotTaken(why=why):
            desk.not_taken += 1
            if fresh:
                desk.put_back(parcel)
            else:
                desk.backlog.appendleft(parcel)
            _tell(plant, desk, None, f"does not take reports: {why}", now)
    word = "not_taken" if isinstance(answer, NotTaken) else type(answer).__name__.lower()
    plant.metrics.reports.answered(desk.name, word, desk.waiting)
    return not isinstance(answer, NotTaken)


def _note(plant: Plant, desk: PlatformDesk, parcel: Parcel, said: dict[str, str]) -> None:
    """Have the answer written with the next report; what it answers a second time is on record already."""
    key = f"{desk.name}/{parcel.head.report_id}"
    try:
        noted = key in desk.unsaid or plant.journal.find(reporting.ANSWER, key) is not None
    except UnavailableError:  # without a note it is sent again after a restart, under the same id
        return
    if not noted:
        desk.unsaid[key] = msgspec.json.encode(said)


def _tell(
    plant: Plant, desk: PlatformDesk, about: StreamKey | None, fault: str | None, now: datetime
) -> None:
    """Say once that something is wrong, and once that it is not any more.

    A platform that declines one stream and takes the next one changes nothing with each of them.
    """
    before = about in desk.faults
    if fault is None:
        desk.faults.pop(about, None)
    else:
        desk.faults[about] = fault
    if before == (fault is not None):
        return
    what = "reports" if about is None else "/".join(about)
    text = f"platform {desk.name} {fault or f'takes {what} again'}"
    plant.events.emit(
        "report",
        text[:500],
        at=now,
        severity=Severity.INFO if fault is None else Severity.WARNING,
        platform=desk.name,
    )


# ---------------------------------------------------------------- again


def recover(plant: Plant) -> None:
    """Let each platform have what was made for it and is not answered on record, as far as it would have waited."""
    now = plant.clock.now()
    for desk in plant.reports.platforms:
        found = [
            parcel
            for owed in plant.reports.owed
            for kind in ReportKind
            for parcel in _unanswered(plant, desk, owed, kind, now)
        ]
        for parcel in sorted(found, key=lambda one: one.head.due_at):
            desk.put_back(parcel)


def _unanswered(
    plant: Plant, desk: PlatformDesk, owed: Owed, kind: ReportKind, now: datetime
) -> list[Parcel]:
    reach = RECOVERED
    if (step := owed.duty.step(kind)) is not None:
        reach = min(reach, desk.section.backlog * step)
        now = latest_boundary(now, step) + step
    span = Interval(now - reach - timedelta.resolution, now)
    found, _, _ = reporting.on_record(plant, owed, kind, span, most=desk.section.backlog + 2)
    return [
        parcel
        for parcel in found
        if desk.wants(parcel.head.product_id)
        and plant.journal.find(reporting.ANSWER, f"{desk.name}/{parcel.head.report_id}") is None
    ]


def replay(
    plant: Plant, desk: PlatformDesk, owed: Owed, kind: ReportKind, span: Interval
) -> tuple[int, int, datetime | None]:
    """Have reports of a span sent again, as they were made: how many, how many are missing, and where to go on.

    No more than the platform's backlog has room for, nor than `AT_ONCE`.
    """
    room = min(desk.section.backlog - len(desk.backlog), AT_ONCE)
    found, missing, following = reporting.on_record(plant, owed, kind, span, most=room)
    for parcel in found:
        desk.put_back(parcel)
    desk.wake.set()
    return len(found), missing, following
