"""What happens to many at once is one event, and leaves the others in sight."""

from __future__ import annotations

from datetime import UTC, datetime

from vpp.model.ids import ResourceId
from vpp.service.events import KEPT_EVENTS, MOST_ALIKE, EventLog, Severity

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)


def of_many(count: int) -> EventLog:
    log = EventLog()
    log.emit("plan", "plan-000001", at=NOON)
    texts = {ResourceId(f"b{n}"): f"b{n} is left out" for n in range(count)}
    log.emit_each("left_out", texts, at=NOON, severity=Severity.WARNING, fault="bad_data")
    return log


def test_a_few_resources_are_told_one_by_one() -> None:
    _, *each = of_many(MOST_ALIKE).recent()
    assert [one.text for one in each] == [f"b{n} is left out" for n in range(MOST_ALIKE)]
    assert each[3].data == {"resource_id": "b3", "fault": "bad_data"}
    assert {(one.kind, one.severity) for one in each} == {("left_out", Severity.WARNING)}


def test_a_fleet_is_told_in_one_event_and_pushes_out_no_other() -> None:
    plan, whole = of_many(KEPT_EVENTS + 5).recent()
    assert plan.kind == "plan"
    assert whole.text == f"b0 is left out; and {KEPT_EVENTS + 4} others alike"
    assert whole.data["count"] == KEPT_EVENTS + 5
    assert whole.data["resource_ids"] == [f"b{n}" for n in range(MOST_ALIKE)]
    assert whole.data["fault"] == "bad_data"
    assert whole.severity is Severity.WARNING


def test_nothing_is_told_of_nobody() -> None:
    assert [one.kind for one in of_many(0).recent()] == ["plan"]


def doubted(log: EventLog, *numbers: int) -> None:
    for n in numbers:
        log.emit_of_one(
            "telemetry_doubted",
            f"b{n} stands still",
            at=NOON,
            severity=Severity.ALARM,
            resource_id=f"b{n}",
        )


def test_what_comes_message_by_message_is_told_at_once_of_the_first_and_in_one_event_of_the_rest() -> (
    None
):
    log, many = EventLog(), KEPT_EVENTS + 5
    doubted(log, *range(many))
    assert [one.data["resource_id"] for one in log.recent()] == [f"b{n}" for n in range(MOST_ALIKE)]

    log.tell_alike(NOON)

    *_, rest = log.recent()
    assert len(log.recent()) == MOST_ALIKE + 1
    assert rest.text == f"b{MOST_ALIKE} stands still; and {many - MOST_ALIKE - 1} others alike"
    assert rest.data == {
        "count": many - MOST_ALIKE,
        "resource_ids": [f"b{n}" for n in range(MOST_ALIKE, 2 * MOST_ALIKE)],
    }
    assert (rest.kind, rest.severity) == ("telemetry_doubted", Severity.ALARM)


def test_one_too_many_is_told_by_itself_and_afterwards_the_first_are_told_at_once_again() -> None:
    log = EventLog()
    doubted(log, *range(MOST_ALIKE + 1))
    log.tell_alike(NOON)
    assert log.recent()[-1].data == {"resource_id": f"b{MOST_ALIKE}"}
    log.tell_alike(NOON)
    doubted(log, 99)
    assert [one.data["resource_id"] for one in log.recent()[-2:]] == [f"b{MOST_ALIKE}", "b99"]


def test_who_is_told_later_is_not_told_after_what_came_behind_it() -> None:
    """The one too many is believed again before it was told of: told at once, it would stay doubted for a reader."""
    log = EventLog()
    doubted(log, *range(MOST_ALIKE + 1))
    late = f"b{MOST_ALIKE}"
    log.emit_of_one("telemetry_doubted", f"{late} is believed again", at=NOON, resource_id=late)
    log.tell_alike(NOON)
    assert [one.text for one in log.recent()[-2:]] == [
        f"{late} stands still",
        f"{late} is believed again",
    ]
