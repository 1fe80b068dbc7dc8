"""What is counted of alarms, for Prometheus: how many stand, how many come, and how many nobody sees."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from vpp.model.alarm import AlarmState, Priority
from vpp.service.alarms.book import AlarmBook, Change


class AlarmMetrics:
    """Counters and gauges of one plant's alarms."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown = Gauge(
            "vpp_alarms_shown",
            "First causes in the list of alarms, by priority.",
            ["priority"],
            registry=registry,
        )
        self._unacknowledged = Gauge(
            "vpp_alarms_unacknowledged",
            "First causes in the list that nobody has acknowledged, by priority.",
            ["priority"],
            registry=registry,
        )
        self._shelved = Gauge(
            "vpp_alarms_shelved", "Alarms that somebody put aside for a while.", registry=registry
        )
        self._raised = Counter(
            "vpp_alarms_raised",
            "Alarms raised, consequences included, by priority.",
            ["priority"],
            registry=registry,
        )
        self._escalated = Counter(
            "vpp_alarms_escalated", "Messages to people about alarms.", registry=registry
        )

        self._forgotten = Counter(
            "vpp_alarm_changes_forgotten",
            "Changes of alarms that are on no record, for the disk refused them for too long.",
            registry=registry,
        )

    def changed(self, change: Change) -> None:
        """Something became of an alarm."""
        if change.what in ("raised", "again"):
            self._raised.labels(change.alarm.priority.value).inc()

    def escalated(self) -> None:
        """One person is told of an alarm."""
        self._escalated.inc()

    def forgotten(self) -> None:
        """One change of an alarm will be on no record."""
        self._forgotten.inc()

    def stand(self, book: AlarmBook, now: datetime) -> None:
        """The list as it is now."""
        shown = book.shown(now)
        for priority in Priority:
            ours = [alarm for alarm in shown if alarm.priority is priority]
            unseen = sum(alarm.state is not AlarmState.ACKNOWLEDGED for alarm in ours)
            self._shown.labels(priority.value).set(len(ours))
            self._unacknowledged.labels(priority.value).set(unseen)
        self._shelved.set(sum(alarm.is_shelved(now) for alarm in book.alarms.values()))
