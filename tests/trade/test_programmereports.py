"""Which reports of an event are due, and about which of its intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.model.programme import (
    OPEN_END,
    EventInterval,
    EventPeriod,
    Payload,
    ProgrammeEvent,
    ReportAsked,
)
from vpp.trade.programme import Standing
from vpp.trade.programmereports import ReportDue, reports_due

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUARTER_S = timedelta(minutes=15)


def standing(intervals: int, *, seen_at: datetime = NOON - HOUR, **asked: Any) -> Standing:
    """An event from noon on, an hour each, with one report."""
    event = ProgrammeEvent(
        event_id="e",
        program_id="p",
        period=EventPeriod(start=NOON, duration=HOUR),
        intervals=tuple(
            EventInterval(interval_id=n, payloads=(Payload(payload_type="PRICE", values=(1,)),))
            for n in range(intervals)
        ),
        reports=(ReportAsked(payload_type="USAGE", **asked),),
    )
    return Standing(event=event, seen_at=seen_at)


def due(one: Standing, hours: float, *, every: timedelta = QUARTER_S) -> list[ReportDue]:
    now = NOON + hours * HOUR
    return list(reports_due(one, now=now, every=every, draw=lambda name: 0.0))


def about(reports: list[ReportDue]) -> list[list[int]]:
    return [[interval_id for interval_id, _ in one.intervals] for one in reports]


def test_a_report_on_all_intervals_is_due_when_the_last_is_over() -> None:
    one = standing(3)

    assert due(one, 2.99) == []
    (report,) = due(one, 3)
    assert about([report]) == [[0, 1, 2]]
    assert due(one, 4)[0].name == report.name


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"start_interval": 2, "num_intervals": 2}, [[0, 1]]),
        ({"start_interval": 2, "num_intervals": 2, "frequency": 1, "repeat": -1}, [[0, 1], [1, 2], [2, 3]]),
        ({"start_interval": 1, "num_intervals": 1, "repeat": 2}, [[0], [1]]),
        ({"start_interval": 1, "num_intervals": 1, "repeat": -1}, [[0], [1], [2], [3]]),
        ({"historical": False}, [[0, 1, 2, 3]]),
        ({"historical": False, "start_interval": 2, "num_intervals": 1}, [[2]]),
        ({"num_intervals": 0}, []),
    ],
)  # fmt: skip
def test_which_intervals_each_report_is_about(
    asked: dict[str, Any], found: list[list[int]]
) -> None:
    assert about(due(standing(4, **asked), 4)) == found


def test_what_was_over_before_the_event_was_seen_is_not_reported() -> None:
    late = standing(4, seen_at=NOON + 2.5 * HOUR, start_interval=1, num_intervals=1, repeat=-1)

    assert about(due(late, 4)) == [[2], [3]]


def test_a_report_more_than_a_day_late_is_not_made_any_more() -> None:
    assert due(standing(1), 24.9)
    assert due(standing(1), 25.1) == []


def test_an_interval_without_an_end_is_reported_in_pieces_on_the_clocks_boundaries() -> None:
    one = standing(1, repeat=-1)
    begun = NOON + timedelta(minutes=7)
    endless = replace(one.event, period=EventPeriod(start=begun, duration=OPEN_END))

    found = due(replace(one, event=endless), 1)

    assert [r.intervals[0][1].start.minute for r in found] == [15, 30, 45]
    assert {r.intervals[0][1].end - r.intervals[0][1].start for r in found} == {QUARTER_S}


def test_of_an_event_that_is_repeated_each_interval_is_reported_as_it_passes() -> None:
    one = standing(2, repeat=-1)
    daily = replace(one.event, duration=OPEN_END)

    found = due(replace(one, event=daily), 5)

    assert about(found) == [[0], [1], [0], [1], [0]]
    assert len({report.name for report in found}) == 5
