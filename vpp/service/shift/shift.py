"""The shift log and the hand-over: on record before they are shown, never changed afterwards.

A hand-over holds how the plant stood when it was made: alarms, what is in hand, what is stopped, which gates come,
what was written since the one before. So it can be printed and read again as it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.model.alarm import Alarm
from vpp.service.alarms.views import in_both
from vpp.service.park.numbers import finite
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.calendar import next_delivery
from vpp.wiredesk import (
    HandoverAlarm,
    HandoverGate,
    HandoverOverride,
    HandoverRequest,
    HandoverView,
    LogEntryView,
    LogRequest,
    SummaryView,
)

ENTRY, HANDOVER = "shift_entry", "shift_handover"
"""Kinds of journal entries, by number."""

NEXT_SHIFT = timedelta(hours=12)
MOST_ENTRIES = 200


async def write(plant: Plant, request: LogRequest, *, now: datetime) -> LogEntryView:
    """Put an entry into the log.

    Raises:
        UnavailableError: The journal cannot be written: it is not in the log.
    """
    desk = plant.shifts
    desk.entry_number += 1  # taken before the disk is: two at once are two
    entry = LogEntryView(
        number=desk.entry_number, at=now, by=request.by, text=request.text, about=request.about
    )
    await append(plant, ENTRY, str(entry.number), entry.model_dump_json().encode(), now=now)
    desk.entries.append(entry)
    plant.events.emit("shift", f"{entry.by}: {entry.text[:200]}", at=now, entry=entry.number)
    return entry


async def hand_over(plant: Plant, request: HandoverRequest, *, now: datetime) -> HandoverView:
    """Hand the desk over, with how the plant stands. Raises as `write`."""
    desk = plant.shifts
    desk.handover_number += 1
    made = HandoverView(
        number=desk.handover_number,
        at=now,
        by=request.by,
        to=request.to,
        text=request.text,
        last_entry=desk.entry_number,
        summary=summary(plant, now),
    )
    await append(plant, HANDOVER, str(made.number), made.model_dump_json().encode(), now=now)
    desk.handovers.append(made)
    told = f"{made.by} hands the desk over to {made.to}"
    plant.events.emit("shift", told, at=now, handover=made.number)
    return made


def summary(plant: Plant, now: datetime) -> SummaryView:
    """How the plant stands now."""
    desk, book, newest = plant.shifts, plant.alarms.book, plant.trace[-1] if plant.trace else None
    last = desk.handovers[-1] if desk.handovers else None
    written = [e for e in desk.entries if last is None or e.number > last.last_entry]
    schedule = plant.schedule
    return SummaryView(
        at=now,
        since=None if last is None else last.at,
        safe_state=plant.safe_state.value,
        safe_state_reason=plant.safe_state_reason,
        plan_id=None if schedule is None else schedule.plan_id,
        plan_issued_at=None if schedule is None else schedule.issued_at,
        strategy_version=plant.strategy_version,
        park_kw=None if newest is None else finite(newest.park_kw),
        planned_kw=None if newest is None else finite(newest.planned_kw),
        owed_kw=None if newest is None else finite(newest.owed_kw),
        money=str(plant.money),
        currency=plant.file.park.currency,
        stopped=[f"{scope}: {reason}" for scope, reason in plant.kill.latched().items()],
        alarms=[_alarm(plant, alarm) for alarm in book.shown(now)],
        shelved=[_alarm(plant, a) for a in book.alarms.values() if a.is_shelved(now)],
        overrides=_overrides(plant, now),
        gates=_gates(plant, now),
        entries=written[-MOST_ENTRIES:],
    )


def _alarm(plant: Plant, alarm: Alarm) -> HandoverAlarm:
    return HandoverAlarm(
        alarm_id=alarm.alarm_id,
        title=in_both(plant.alarms.book.kinds[alarm.condition.kind].title),
        subject=alarm.condition.subject,
        priority=alarm.priority.value,
        state=alarm.state.value,
        raised_at=alarm.raised_at,
        shelved_until=alarm.shelved_until,
    )


def _overrides(plant: Plant, now: datetime) -> list[HandoverOverride]:
    return [
        HandoverOverride(
            resource_id=held.resource_id,
            low_kw=held.low_kw,
            high_kw=held.high_kw,
            until=held.until,
            by=held.by,
            reason=held.reason,
        )
        for held in plant.acting.overrides.values()
        if held.holds(now)
    ]


def _gates(plant: Plant, now: datetime) -> list[HandoverGate]:
    """The first gate of each product, where it closes within the next shift."""
    gates = []
    for product in plant.file.products:
        if product.by_invitation:
            continue
        delivery = next_delivery(product, now)
        closes_at = product.gate_closes_at(delivery)
        if closes_at <= now + NEXT_SHIFT:
            gates.append(
                HandoverGate(
                    product=product.product_id,
                    delivery_start=delivery.start,
                    closes_at=closes_at,
                )
            )
    return sorted(gates, key=lambda gate: gate.closes_at)


def recover(plant: Plant) -> None:
    """Take up what the journal holds."""
    desk = plant.shifts
    for entry in plant.journal.entries(ENTRY):
        desk.entries.append(LogEntryView.model_validate_json(entry.body))
        desk.entry_number = max(desk.entry_number, int(entry.key))
    for entry in plant.journal.entries(HANDOVER):
        desk.handovers.append(HandoverView.model_validate_json(entry.body))
        desk.handover_number = max(desk.handover_number, int(entry.key))
