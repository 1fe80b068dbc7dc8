"""A utility's programmes: its events are fetched, put on record, reconciled, and turned into what we do.

    poll ─▶ journal ─▶ reconcile ─▶ schedule ─┬▶ prices, carbon    the series door
                          ▲                   ├▶ capacity limits   limit orders
       what stood ────────┘                   ├▶ dispatch, levels  activations
                                              └▶ alerts            events
    intervals that passed ─▶ journal ─▶ report

A poll that fails changes nothing: known events are served to their end, and an alarm says since when the utility
is not heard. What is done is compared with what stands at every look, not only after a change, so that a restart,
or an order that could not be put on disk, mends itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from functools import partial

import msgspec

from vpp.errors import AdapterError, ForeignError, RejectedError, UnavailableError
from vpp.model.programme import EventFault, Program
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.ports import JournalEntry
from vpp.service.events import Severity
from vpp.service.openadr import apply as openadrapply
from vpp.service.openadr import reports as openadrreports
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.programme import Change, ChangeKind, Standing, addressed, reconcile, schedule

TICK = timedelta(seconds=5)
"""How often it is looked whether a utility is due."""

FIRST_RETRY = timedelta(seconds=10)
TURN, REACH = timedelta(hours=6), timedelta(hours=42)
"""Events are turned into orders for so long from the last sixth hour on: an order without end is prolonged every
`TURN`, not at every look."""

LISTS, FOREIGN = "openadr", "openadr_foreign"
"""Kinds of journal entries."""

ALARMS = (ChangeKind.ILLEGIBLE,)


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the journal keeps of a list that brought something new."""

    digest: str
    programs: tuple[Program, ...]
    faults: tuple[EventFault, ...]
    stood: list[Standing]


async def look(plant: Plant, now: datetime) -> None:
    """Ask every utility that is due, do what stands, and report what is due."""
    async with asyncio.TaskGroup() as group:
        for desk in plant.programmes:
            group.create_task(_look(plant, desk, now), name=f"openadr-{desk.section.id}")


async def _look(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    if desk.due is None or desk.due <= now:
        await _ask(plant, desk, now)
    elif desk.carried_out_at is not None and desk.carried_out_at >= latest_boundary(now, QUARTER):
        return  # nothing is new, and no quarter-hour has begun since
    desk.carried_out_at = now
    await carry_out(plant, desk, now)
    if desk.ill is None:
        await openadrreports.send_due(plant, desk, now)


async def _ask(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    period = timedelta(seconds=desk.section.poll_s)
    try:
        await _poll(plant, desk, now)
    except RejectedError as error:
        desk.due = now + period
        await _note_ill(plant, desk, error, now)
    except UnavailableError as error:
        desk.due = now + min(FIRST_RETRY * 2 ** min(desk.failures, 20), period)
        await _note_ill(plant, desk, error, now)
    else:
        desk.due = now + period
        if desk.ill is not None:
            plant.events.emit("openadr", f"utility {desk.section.id} is heard again", at=now)
        desk.failures, desk.ill, desk.polled_at = 0, None, now


async def _poll(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    """Take the list of events; it is on disk before anything is done about it."""
    if desk.section.register_ven and not desk.registered:
        await _register(plant, desk, now)
    polled = await desk.port.events([program.name for program in desk.section.programs])
    polled = addressed(polled, frozenset(desk.section.targets))
    digest = hashlib.sha256(msgspec.json.encode(polled)).hexdigest()
    stood, changes = reconcile(polled, desk.stood, now=now, draw=desk.draw)
    if digest != desk.digest or stood != desk.stood:
        record = _Record(
            digest=digest,
            programs=polled.programs,
            faults=polled.faults,
            stood=list(stood.values()),
        )
        body = msgspec.json.encode(record)
        # After a restart the same moment may be looked at again, and another list be there.
        key = f"{desk.section.id}/{isoformat(now)}/{hashlib.sha256(body).hexdigest()[:16]}"
        await append(plant, LISTS, key, body, now=now)
    fresh = digest != desk.digest
    desk.programs, desk.stood, desk.digest = polled.programs, stood, digest
    for change in changes:
        _tell(plant, desk, change, now, fresh=fresh)


async def _register(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    """Make ourselves known; a utility that does that by hand is told once, and asked all the same."""
    try:
        await desk.port.register()
    except RejectedError as error:
        text = f"utility {desk.section.id} does not let us register: {error}"
        plant.events.emit("openadr", text[:500], at=now, severity=Severity.WARNING)
    desk.registered = True


async def carry_out(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    """Make what is done equal to what stands."""
    first = latest_boundary(now, QUARTER)
    window = Interval(first, latest_boundary(now, TURN) + REACH)
    desk.schedule, unread = schedule(desk.stood, desk.uses, desk.units, window, desk.draw)
    try:
        refused = await openadrapply.apply(plant, desk, window, now)
    except UnavailableError as error:  # told by `record.append`; the next look does it
        desk.due = now + FIRST_RETRY
        refused = ()
        if ("journal", str(error)) not in desk.told:
            desk.told.add(("journal", str(error)))
            plant.events.emit("openadr", str(error)[:500], at=now, severity=Severity.ALARM)
    desk.not_done = (*unread, *refused)
    for one in desk.not_done:
        key = one.event_id, one.payload_type, one.why
        if key not in desk.told:
            desk.told.add(key)
            text = f"utility {desk.section.id}, event {one.event_id}: {one.why}"
            plant.events.emit(
                "openadr_not_done", text[:500], at=now, severity=Severity.WARNING,
                utility=desk.section.id, event_id=one.event_id, payload_type=one.payload_type,
            )  # fmt: skip


def recover(plant: Plant) -> None:
    """Take up what the journal holds: the newest list of each utility, and the reports that arrived."""
    desks = {desk.section.id: desk for desk in plant.programmes}
    if not desks:
        return
    newest: dict[str, JournalEntry] = {}
    for entry in plant.journal.entries(LISTS):
        newest[entry.key.partition("/")[0]] = entry
    for desk_id, entry in newest.items():
        if (desk := desks.get(desk_id)) is None:
            continue
        record = msgspec.json.decode(entry.body, type=_Record)
        desk.digest, desk.programs = record.digest, record.programs
        desk.stood = {one.event.event_id: one for one in record.stood}
        desk.polled_at = entry.recorded_at
    openadrreports.recover(plant)
    for desk in desks.values():
        desk.port.offer_power(partial(openadrreports.drawn_kw, plant))


async def _note_ill(plant: Plant, desk: OpenAdrDesk, error: AdapterError, now: datetime) -> None:
    why = str(error)[:500]
    if isinstance(error, ForeignError):
        await _keep(plant, desk, error, now)
    if desk.ill is None:
        running = sum(not one.over for one in desk.stood.values())
        text = f"utility {desk.section.id} is not heard: {why}; {running} known events are served to their end"
        plant.events.emit("openadr", text, at=now, severity=Severity.ALARM, utility=desk.section.id)
    desk.failures += 1
    desk.ill = why


async def _keep(plant: Plant, desk: OpenAdrDesk, error: ForeignError, now: datetime) -> None:
    """Put an answer that is none on record, each once."""
    body = msgspec.json.encode({"what": error.what, "raw": error.raw.decode("utf-8", "replace")})
    key = f"{desk.section.id}/{hashlib.sha256(body).hexdigest()[:16]}"
    if plant.journal.find(FOREIGN, key) is None:
        try:
            await append(plant, FOREIGN, key, body, now=now)
        except UnavailableError:
            return  # told by `append`; the answer itself is told as an alarm


def _tell(plant: Plant, desk: OpenAdrDesk, change: Change, now: datetime, *, fresh: bool) -> None:
    """Say what became of an event; that it is still illegible, or still old, is not said again."""
    if not fresh and change.kind in (ChangeKind.ILLEGIBLE, ChangeKind.OLDER):
        return
    plant.events.emit(
        "openadr_event",
        f"utility {desk.section.id}: {change.text}"[:500],
        at=now,
        severity=Severity.ALARM if change.kind in ALARMS else Severity.WARNING,
        utility=desk.section.id,
        event_id=change.event_id,
        change=change.kind.value,
    )
