"""The report cycle: what each market product owes a dispatch centre or a platform is made, put on record and handed over.

    market file `reporting` ─▶ Duty ─▶ due? ─▶ look at the plant ─▶ report ─▶ journal ─▶ each platform's desk
                                                                               │            (`sending.py`)
                                                                               └─▶ read, and sent again, later

A moment that passed while the service was busy, down, or without its record is counted as missed and never made up
from memory: what a unit showed then nobody knows any more. A day's plan is made late as long as its day lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from math import gcd

from vpp.errors import UnavailableError
from vpp.model.gate import DayMoment
from vpp.model.horizon import Horizon
from vpp.model.ids import UnitId
from vpp.model.reporting import Duty, Report, ReportHead, ReportKind
from vpp.model.time import Interval, latest_boundary, local_date, local_day
from vpp.service.markets.markettime import duration, gate_moment
from vpp.service.markets.pack import Pack
from vpp.service.plant import Plant
from vpp.service.record import append_all
from vpp.service.reports import making as reportmaking
from vpp.service.reports.desk import Owed, Parcel
from vpp.service.reports.values import Look
from vpp.wirereports import message_of

REPORT, ANSWER = "report", "report_answer"
"""Kinds of journal entries: the bytes of each report by its id; what a platform made of it, by platform and id."""

ONE_DAY = timedelta(days=1)

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""No report is older."""


def recover(plant: Plant) -> None:
    """Find what is owed, from the market files."""
    plant.reports.owed = tuple(
        Owed(duty=_duty(pack, unit.unit_id), unit=unit, pack=pack)
        for pack in plant.file.packs
        if pack.section.reporting is not None
        for unit in plant.file.park.bidding_units
        if pack.product_id in unit.product_ids
    )


def _duty(pack: Pack, unit_id: UnitId) -> Duty:
    said = pack.section.reporting
    assert said is not None
    ahead = said.forecast
    step = None if ahead is None else duration(ahead.step)
    return Duty(
        product_id=pack.product_id,
        unit_id=unit_id,
        telemetry=_seconds(said.telemetry_s),
        members=_seconds(said.members_s),
        forecast_step=step,
        forecast_steps=0 if ahead is None or step is None else duration(ahead.horizon) // step,
        plan_points=said.schedule_points,
        holds=tuple(duration(hold) for hold in said.holds),
    )


def _seconds(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(seconds=count)


def tick(plant: Plant) -> timedelta | None:
    """How often points are looked for: each moment at which one is owed is a multiple; None: none ever is."""
    steps = (owed.duty.telemetry for owed in plant.reports.owed)
    steps_s = [step // timedelta(seconds=1) for step in steps if step is not None]
    return timedelta(seconds=gcd(*steps_s)) if steps_s else None


def owes_plans(plant: Plant) -> bool:
    """Whether forecasts or plans of a day are owed."""
    return any(
        owed.duty.forecast_step is not None or owed.duty.plan_points is not None
        for owed in plant.reports.owed
    )


def reaching(plant: Plant, horizon: Horizon) -> Horizon:
    """A horizon, longer where a day's plan is to be told before the plan after the next one."""
    end, soon = (
        horizon.end,
        Interval(horizon.start - ONE_DAY, horizon.start + 2 * plant.file.planning.every),
    )
    for owed in plant.reports.owed:
        last = plant.reports.stream(owed.duty, ReportKind.DAY_PLAN).last_due
        for moment, day in _plan_days(plant, owed, soon):
            told = last is not None and moment <= last
            if not told and local_day(day, plant.file.park.timezone).end > horizon.start:
                end = max(end, local_day(day, plant.file.park.timezone).end)
    return Horizon(horizon.start, horizon.step, -((horizon.start - end) // horizon.step))


# ---------------------------------------------------------------- the cycle


async def report(plant: Plant, now: datetime) -> None:
    """Make every point that is due."""
    await _make(plant, (ReportKind.POINT,), now)


async def report_planned(plant: Plant, now: datetime) -> None:
    """Make every forecast and plan of a day that is due."""
    await _make(plant, (ReportKind.FORECAST, ReportKind.DAY_PLAN), now)


async def _make(plant: Plant, kinds: tuple[ReportKind, ...], now: datetime) -> None:
    """Make what is due, put all of it on record, and hand it to the platforms."""
    looks: dict[UnitId, Look] = {}
    reports = [
        one
        for owed in plant.reports.owed
        for kind in kinds
        if (moment := _newly_due(plant, owed, kind, now)) is not None
        for one in _made(owed, kind, moment, _look(plant, owed, looks, now))
    ]
    parcels = [
        Parcel(head=one.head, body=message_of(one).model_dump_json().encode()) for one in reports
    ]
    entries = [(REPORT, parcel.head.report_id, parcel.body) for parcel in parcels]
    unsaid = [(desk, dict(desk.unsaid)) for desk in plant.reports.platforms]
    entries += [(ANSWER, key, body) for _, said in unsaid for key, body in said.items()]
    if not entries:
        return
    try:
        await append_all(plant, entries, now=now)
    except UnavailableError:  # said and counted there: what is not on record does not leave
        for one in reports:
            _note_missed(plant, one.head, 1)
        return
    for desk, said in unsaid:
        for key in said:
            del desk.unsaid[key]
    for one, parcel in zip(reports, parcels, strict=True):
        _hand_over(plant, one, parcel)


def _hand_over(plant: Plant, one: Report, parcel: Parcel) -> None:
    head, key = one.head, (one.head.duty_id, one.head.kind)
    stream = plant.reports.streams[key]
    stream.made += 1
    stream.newest = one
    plant.metrics.reports.made(head.kind)
    if head.kind is ReportKind.POINT:
        plant.metrics.reports.late((plant.clock.now() - head.due_at).total_seconds())
    for desk in plant.reports.platforms:
        if desk.wants(head.product_id):
            desk.put(key, parcel)


def _look(plant: Plant, owed: Owed, looks: dict[UnitId, Look], now: datetime) -> Look:
    """The same for all that one unit owes now."""
    unit = owed.unit
    if unit.unit_id not in looks:
        looks[unit.unit_id] = Look(plant=plant, now=max(now, plant.clock.now()), unit=unit)
    return looks[unit.unit_id]


def _made(owed: Owed, kind: ReportKind, moment: datetime, look: Look) -> Iterator[Report]:
    match kind:
        case ReportKind.POINT:
            every = owed.duty.members
            members = every is not None and latest_boundary(moment, every) == moment
            yield reportmaking.point(look, owed, moment, members=members)
        case ReportKind.FORECAST:
            yield reportmaking.forecast(look, owed, moment)
        case ReportKind.DAY_PLAN:
            span = Interval(moment, moment + timedelta.resolution)
            for _, day in _plan_days(look.plant, owed, span):
                yield reportmaking.day_plan(look, owed, day, moment)


def _newly_due(plant: Plant, owed: Owed, kind: ReportKind, now: datetime) -> datetime | None:
    """The newest moment of a kind that is owed and was not looked at; those between are missed."""
    stream = plant.reports.stream(owed.duty, kind)
    newest, last = _newest(plant, owed, kind, now), stream.last_due
    if newest is None or (last is not None and newest <= last):
        return None
    if kind is ReportKind.DAY_PLAN and plant.schedule is None:
        return None  # later: its day lasts
    stream.last_due = newest
    if _is_told(plant, _a_head(owed, kind, newest, now)):
        return None
    if last is None:
        return newest if _wanted_at_start(plant, owed, kind, newest, now) else None
    step = owed.duty.step(kind) or ONE_DAY
    skipped = round((newest - last) / step) - 1  # local days are not all of one length
    _note_missed(plant, _a_head(owed, kind, newest, now), skipped)
    return newest


def _is_told(plant: Plant, head: ReportHead) -> bool:
    """Whether the service before us has told it: that stands, though our clock was set back since."""
    try:
        return plant.journal.find(REPORT, head.report_id) is not None
    except UnavailableError:  # nor is it written then: it counts as missed, and that is told
        return False


def _newest(plant: Plant, owed: Owed, kind: ReportKind, until: datetime) -> datetime | None:
    """The newest moment up to `until` at which a report of a kind was owed."""
    if kind is ReportKind.DAY_PLAN:
        days = Interval(until - 2 * ONE_DAY, until + timedelta.resolution)
        return max((moment for moment, _ in _plan_days(plant, owed, days)), default=None)
    step = owed.duty.step(kind)
    return None if step is None else latest_boundary(until, step)


def _wanted_at_start(
    plant: Plant, owed: Owed, kind: ReportKind, moment: datetime, now: datetime
) -> bool:
    """Whether a service that begins makes the report of a moment before it: not of what it has not seen."""
    if kind is not ReportKind.DAY_PLAN:
        return moment >= plant.started_at
    _, day = next(_plan_days(plant, owed, Interval(moment, moment + timedelta.resolution)))
    return now < local_day(day, plant.file.park.timezone).end


def _note_missed(plant: Plant, head: ReportHead, count: int) -> None:
    if count > 0:
        plant.reports.streams[head.duty_id, head.kind].missed += count
        plant.metrics.reports.missed(head.kind, count)


# ---------------------------------------------------------------- moments, and what is on record of them


def moments(plant: Plant, owed: Owed, kind: ReportKind, span: Interval) -> Iterator[datetime]:
    """When reports of a kind are owed, from the beginning of a span to before its end, in order."""
    if kind is ReportKind.DAY_PLAN:
        yield from (moment for moment, _ in _plan_days(plant, owed, span))
        return
    step = owed.duty.step(kind)
    if step is None:
        return
    moment = latest_boundary(span.start, step)
    while moment < span.end:
        if moment >= span.start:
            yield moment
        moment += step


def _plan_days(plant: Plant, owed: Owed, span: Interval) -> Iterator[tuple[datetime, date]]:
    """Days whose plan is owed at a moment within a span."""
    said, zone = owed.pack.section.reporting, plant.file.park.timezone
    if owed.duty.plan_points is None or said is None:
        return
    at = gate_moment(said.schedule_at)
    assert isinstance(at, DayMoment)
    day, last = (
        local_date(edge, zone) + timedelta(days=at.days_before + more)
        for edge, more in ((span.start, -1), (span.end, 1))
    )
    while day <= last:
        moment = at.of(day, zone)
        if span.start <= moment < span.end:
            yield moment, day
        day += ONE_DAY


def on_record(
    plant: Plant, owed: Owed, kind: ReportKind, span: Interval, *, most: int
) -> tuple[list[Parcel], int, datetime | None]:
    """Reports as they were made, oldest first, at most so many; how many are missing; and where to go on.

    Of a span of any length only so many moments are looked at, and none that is to come.
    """
    found: list[Parcel] = []
    missing = 0
    first, end = (
        max(span.start, FIRST),
        min(span.end, plant.clock.now() + timedelta.resolution),
    )
    if not first < end:
        return found, missing, None
    for number, moment in enumerate(moments(plant, owed, kind, Interval(first, end))):
        if number >= most:
            return found, missing, moment
        head = _a_head(owed, kind, moment, moment)
        entry = plant.journal.find(REPORT, head.report_id)
        if entry is None:
            missing += 1
        else:
            found.append(Parcel(head=head, body=entry.body))
    return found, missing, None


def _a_head(owed: Owed, kind: ReportKind, moment: datetime, made_at: datetime) -> ReportHead:
    return ReportHead(
        product_id=owed.duty.product_id,
        unit_id=owed.duty.unit_id,
        kind=kind,
        due_at=moment,
        made_at=made_at,
    )
