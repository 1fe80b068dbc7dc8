"""Schedule nominations: made from the net position, on record before they leave, matched with what comes back.

at the stated time ─┐
what is ahead moved ┴▶ new version ─▶ journal ─▶ file ─▶ awaited ─┬▶ matched
confirmation (file, route) ─▶ known? ─▶ journal ─▶ match ─────────┼▶ differs: which intervals, by how much; alarm
time is up ─▶ journal ────────────────────────────────────────────┴▶ missing; alarm
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from vpp.errors import DataError, UnavailableError
from vpp.model.ids import UnitId
from vpp.model.nomination import ConfirmedSchedule, Nomination
from vpp.model.time import Interval, isoformat, local_date, local_day, local_moment
from vpp.ports import JournalEntry
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.trading.nominationschema import NominationSection
from vpp.service.trading.positiondesk import HeldNomination
from vpp.service.trading.positions import net_lines, plain_mw
from vpp.trade.nomination import Difference, differences, nomination_csv
from vpp.trade.nominationrecords import (
    confirmation_from_record,
    confirmation_to_record,
    nomination_from_record,
    nomination_to_record,
)

NOMINATION, CONFIRMATION, MISSING = (
    "nomination",
    "nomination_confirmation",
    "nomination_missing",
)
"""Kinds of journal entries."""

SHOWN = 5
"""Intervals that an alarm names; the route shows all."""

DAY = timedelta(days=1)
KEPT = timedelta(days=8)
"""After its delivery day a nomination is shown for so long."""


async def look(plant: Plant, now: datetime) -> None:
    """Make what is due, put out what has not left, take what was confirmed, miss what was not."""
    for section in plant.file.nominations:
        await _make_due(plant, section, now)
        await _put_out(plant, section, now)
        await _take_in(plant, section, now)
    for newest in newest_versions(plant):
        await _miss_late(plant, newest.nomination.nomination_id, now)
    _forget(plant, now)


def _oldest_kept(plant: Plant, now: datetime) -> date:
    return local_date(now, plant.file.park.timezone) - KEPT


def _forget(plant: Plant, now: datetime) -> None:
    """Drop what is long delivered: the journal keeps it."""
    desk, oldest = plant.positions, _oldest_kept(plant, now)
    for key, held in list(desk.nominations.items()):
        if held.nomination.day < oldest:
            del desk.nominations[key]
            desk.put_out.discard(held.nomination.name)


def newest_versions(plant: Plant) -> list[HeldNomination]:
    """The version of each nomination that counts, oldest day first."""
    newest: dict[str, HeldNomination] = {}
    for held in plant.positions.nominations.values():
        name = held.nomination.nomination_id
        if name not in newest or newest[name].nomination.version < held.nomination.version:
            newest[name] = held
    return sorted(newest.values(), key=lambda held: held.nomination.name)


async def confirm(plant: Plant, confirmed: ConfirmedSchedule, *, now: datetime) -> HeldNomination:
    """Take a confirmation; the same again changes nothing, another one counts in its place.

    Raises:
        DataError: Nothing of that id and version was nominated.
        UnavailableError: The journal cannot be written; it must come again.
    """
    key = confirmed.nomination_id, confirmed.version
    held = plant.positions.nominations.get(key)
    if held is None:
        raise DataError(
            "no such version was nominated",
            where=f"{confirmed.where}: nomination {confirmed.nomination_id[:80]} v{confirmed.version}",
            fix="Look at GET /v1/positions/nominations",
        )
    if held.confirmed_mw == confirmed.confirmed_mw:
        return held
    body = confirmation_to_record(confirmed)
    digest = hashlib.sha256(body).hexdigest()[:16]
    await append(
        plant, CONFIRMATION, f"{held.nomination.name}/{digest}/{isoformat(now)}", body, now=now
    )
    held = _confirmed(plant, held, confirmed)
    _tell(plant, held, now)
    return held


def recover(plant: Plant) -> None:
    """Take up what the journal holds of days that are still kept, in the order in which it came."""
    oldest = _oldest_kept(plant, plant.clock.now())
    for entry in plant.journal.entries(NOMINATION, CONFIRMATION, MISSING):
        if _day_of(entry.key) >= oldest:
            _replay(plant, entry)


def _day_of(key: str) -> date:
    """The delivery day in the key of an entry: {unit}.{day}…, and no unit's id holds a point."""
    return date.fromisoformat(key.partition("/")[0].split(".")[1])


def _replay(plant: Plant, entry: JournalEntry) -> None:
    known = plant.positions.nominations
    match entry.kind:
        case "nomination":
            nomination, digest = nomination_from_record(entry.body)
            section = _section_of(plant, nomination.unit_id)
            within = DAY if section is None else section.confirm_within
            _hold(plant, nomination, digest, entry.recorded_at, within)
        case "nomination_confirmation":
            confirmed = confirmation_from_record(entry.body)
            _confirmed(plant, known[confirmed.nomination_id, confirmed.version], confirmed)
        case _:
            name, _, version = entry.key.rpartition("/")
            known[name, int(version)] = replace(known[name, int(version)], status="missing")


def _section_of(plant: Plant, unit_id: UnitId) -> NominationSection | None:
    """None where the park file nominates for the unit no more."""
    return next((one for one in plant.file.nominations if one.unit == unit_id), None)


# ---------------------------------------------------------------- out


async def _make_due(plant: Plant, section: NominationSection, now: datetime) -> None:
    zone = plant.file.park.timezone
    unit = next(u for u in plant.file.park.bidding_units if u.unit_id == section.unit)
    today = local_date(now, zone)
    for day in (today + n * DAY for n in range(section.days_before + 1)):
        span = local_day(day, zone)
        due = local_moment(day - section.days_before * DAY, section.at, zone)
        if now < due or span.end <= max(now, unit.trades_from):
            continue
        nominated = _nominated(plant, section, span)
        known = [h for h in newest_versions(plant) if h.nomination.day == day
                 and h.nomination.unit_id == section.unit]  # fmt: skip
        if nominated is None:
            _tell_lacking(plant, section, day, now)
        elif not known:
            await _nominate(plant, section, day, 1, nominated, now)
        elif section.follows and _moved(known[0].nomination, nominated, now):
            version = known[0].nomination.version + 1
            kept = _past_kept(known[0].nomination, nominated, now)
            await _nominate(plant, section, day, version, kept, now)


def _nominated(
    plant: Plant, section: NominationSection, span: Interval
) -> dict[Interval, Decimal] | None:
    """By quarter-hour of a day; None where the plan does not reach all of it."""
    found = {}
    for line in net_lines(plant, span, UnitId(section.unit)):
        mw = line.owed_mw if section.basis == "owed" else line.planned_mw
        if mw is None:
            return None
        found[line.interval] = plain_mw(mw)
    return found


def _moved(before: Nomination, now_mw: Mapping[Interval, Decimal], now: datetime) -> bool:
    """Whether something that has not begun is otherwise now."""
    return any(
        mw != before.nominated_mw.get(interval)
        for interval, mw in now_mw.items()
        if interval.start > now
    )


def _past_kept(
    before: Nomination, now_mw: Mapping[Interval, Decimal], now: datetime
) -> dict[Interval, Decimal]:
    """What has begun stays as it was nominated."""
    return {
        interval: before.nominated_mw.get(interval, mw) if interval.start <= now else mw
        for interval, mw in now_mw.items()
    }


async def _nominate(
    plant: Plant,
    section: NominationSection,
    day: date,
    version: int,
    nominated_mw: dict[Interval, Decimal],
    now: datetime,
) -> None:
    nomination = Nomination(
        unit_id=UnitId(section.unit), day=day, version=version, nominated_mw=nominated_mw
    )
    digest = hashlib.sha256(nomination_csv(nomination)).hexdigest()
    key = f"{nomination.nomination_id}/{version}"
    if (there := plant.journal.find(NOMINATION, key)) is not None:
        _replay(plant, there)  # the journal refused it, and has it all the same
        return
    with suppress(UnavailableError):  # said and counted there; made again by the next look
        body = nomination_to_record(nomination, digest)
        await append(plant, NOMINATION, key, body, now=now)
        _hold(plant, nomination, digest, now, section.confirm_within)
        plant.reach("nomination journalled")
        plant.events.emit(
            "nomination",
            f"{nomination.name}: {len(nominated_mw)} quarter-hours, {digest[:12]}",
            at=now,
            nomination=nomination.name,
            digest=digest,
        )


def _hold(
    plant: Plant, nomination: Nomination, digest: str, made_at: datetime, within: timedelta
) -> None:
    key = nomination.nomination_id, nomination.version
    plant.positions.nominations[key] = HeldNomination(
        nomination=nomination, digest=digest, made_at=made_at, confirm_by=made_at + within
    )


async def _put_out(plant: Plant, section: NominationSection, now: datetime) -> None:
    """Write the newest versions whose day is not over and that this process has not written."""
    desk = plant.positions
    box = desk.boxes.get(section.unit)
    for held in newest_versions(plant):
        of = held.nomination
        over = local_day(of.day, plant.file.park.timezone).end <= now
        if box is None or of.unit_id != section.unit or over or of.name in desk.put_out:
            continue
        try:
            await box.put(of.name, nomination_csv(of))
        except UnavailableError as error:
            _tell_once(plant, section.unit, f"{of.name} has not left: {error}", now)
            return
        desk.put_out.add(of.name)
        desk.nominations_told.pop(section.unit, None)
        plant.reach("nomination written")


# ---------------------------------------------------------------- in


async def _take_in(plant: Plant, section: NominationSection, now: datetime) -> None:
    box = plant.positions.boxes.get(section.unit)
    if box is None:
        return
    try:
        news = await box.look()
    except UnavailableError as error:
        _tell_once(plant, section.unit, f"confirmations cannot be read: {error}", now)
        return
    faults = list(news.faults)
    newest = {
        (one.nomination_id, one.version): one for one in news.confirmed
    }  # a restart reads all
    for confirmed in newest.values():
        try:
            await confirm(plant, confirmed, now=now)
        except DataError as error:
            faults.append(str(error))
        except UnavailableError:
            return  # said and counted there; the file is looked at again
    for fault in faults:
        plant.events.emit("nomination_fault", fault, at=now, severity=Severity.WARNING)
    box.confirm(news)


def _confirmed(plant: Plant, held: HeldNomination, confirmed: ConfirmedSchedule) -> HeldNomination:
    found = differences(held.nomination, confirmed.confirmed_mw)
    held = replace(
        held,
        confirmed_mw=dict(confirmed.confirmed_mw),
        differences=found,
        status="differs" if found else "matched",
    )
    plant.positions.nominations[held.nomination.nomination_id, held.nomination.version] = held
    plant.positions.put_out.add(held.nomination.name)  # it has left, or nobody could confirm it
    return held


def _tell(plant: Plant, held: HeldNomination, now: datetime) -> None:
    name, found = held.nomination.name, held.differences
    if not found:
        plant.events.emit("nomination_matched", f"{name} is confirmed", at=now, nomination=name)
        return
    told = "; ".join(_words(one) for one in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    plant.events.emit(
        "nomination_differs",
        f"{name} is confirmed otherwise in {len(found)} quarter-hours: {told}{more}",
        at=now,
        severity=Severity.ALARM,
        nomination=name,
        intervals=len(found),
    )


def _words(one: Difference) -> str:
    start = isoformat(one.interval.start)
    if one.confirmed_mw is None:
        return f"{start} is left out"
    if one.nominated_mw is None:
        return f"{start} was not nominated"
    return f"{start} by {one.by_mw:+f} MW"


async def _miss_late(plant: Plant, nomination_id: str, now: datetime) -> None:
    """Versions whose time is up and after which none was confirmed: one alarm until one is.

    A newer version gives nobody more time for the older one, or a schedule that moves each quarter-hour would
    never be missed.
    """
    versions = sorted(
        (h for (name, _), h in plant.positions.nominations.items() if name == nomination_id),
        key=lambda held: held.nomination.version,
    )
    answered = [h.nomination.version for h in versions if h.confirmed_mw is not None]
    open_ = [h for h in versions if h.nomination.version > max(answered, default=0)]
    told = any(held.status == "missing" for held in open_)
    for held in open_:
        if held.status == "awaited" and now >= held.confirm_by:
            await _miss(plant, held, now, aloud=not told)
            told = True


async def _miss(plant: Plant, held: HeldNomination, now: datetime, *, aloud: bool) -> None:
    of = held.nomination
    with suppress(UnavailableError):  # said and counted there; missed again by the next look
        await append(plant, MISSING, f"{of.nomination_id}/{of.version}", b"{}", now=now)
        plant.positions.nominations[of.nomination_id, of.version] = replace(held, status="missing")
        if not aloud:
            return
        plant.events.emit(
            "nomination_missing",
            f"{of.name} was not confirmed by {isoformat(held.confirm_by)}: ask whoever takes it",
            at=now,
            severity=Severity.ALARM,
            nomination=of.name,
        )


def _tell_lacking(plant: Plant, section: NominationSection, day: date, now: datetime) -> None:
    _tell_once(plant, section.unit, f"no plan reaches all of {day}: nothing is nominated", now)


def _tell_once(plant: Plant, unit: str, text: str, now: datetime) -> None:
    if plant.positions.nominations_told.get(unit) != text:
        plant.positions.nominations_told[unit] = text
        plant.events.emit(
            "nomination_late", f"unit {unit}: {text}", at=now, severity=Severity.ALARM
        )
