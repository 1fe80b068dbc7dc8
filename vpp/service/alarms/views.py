"""Alarms as they are shown."""

from __future__ import annotations

from datetime import datetime

from vpp.model.alarm import Alarm, AlarmState
from vpp.model.message import InBoth
from vpp.service.alarms.book import AlarmBook
from vpp.service.alarms.desk import AlarmDesk
from vpp.wiredesk import AlarmsView, AlarmView, InBothView

MOST_UNDER = 50


def in_both(text: InBoth) -> InBothView:
    return InBothView(en=text.en, zh=text.zh)


def list_view(desk: AlarmDesk, now: datetime) -> AlarmsView:
    """What needs a person now."""
    book = desk.book
    aside = [
        alarm
        for alarm in book.alarms.values()
        if alarm.is_shelved(now) and alarm.state is not AlarmState.NORMAL
    ]
    return AlarmsView(
        now=now,
        looked_at=desk.looked_at,
        shown=[view_of(book, alarm, under=book.under(alarm)) for alarm in book.shown(now)],
        shelved=[view_of(book, alarm, under=book.under(alarm)) for alarm in aside],
        withheld=sum(alarm.withheld for alarm in book.roots()),
        raised_10min=book.shown_lately(now),
    )


def view_of(book: AlarmBook, alarm: Alarm, *, under: list[Alarm]) -> AlarmView:
    """One alarm, with its consequences where they are given."""
    kind, told = book.kinds[alarm.condition.kind], alarm.condition
    return AlarmView(
        alarm_id=alarm.alarm_id,
        kind=told.kind,
        title=in_both(kind.title),
        action=in_both(kind.action),
        subject=told.subject,
        detail=told.detail,
        members=list(told.members),
        count=told.count,
        priority=alarm.priority.value,
        state=alarm.state.value,
        raised_at=alarm.raised_at,
        returned_at=alarm.returned_at,
        times=alarm.times,
        acknowledged_at=alarm.acknowledged_at,
        acknowledged_by=alarm.acknowledged_by,
        comment=alarm.comment,
        shelved_until=alarm.shelved_until,
        shelved_by=alarm.shelved_by,
        shelved_because=alarm.shelved_because,
        cause_id=alarm.cause_id,
        told=len(alarm.escalated),
        consequences=[view_of(book, one, under=[]) for one in under[:MOST_UNDER]],
        more=max(0, len(under) - MOST_UNDER),
    )
