"""One command is followed through the log by one id: from the telemetry it was made of to what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from tests.service.test_act import EVENING, STEEL, Evening
from vpp.service.correlation import correlated
from vpp.service.events import EventLog
from vpp.service.plant import Plant
from vpp.service.run import take_ack
from vpp.wire import AckMessage, topic

Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What `vpp run --log info` would write."""
    yield from logging_from(logging.INFO)


def logging_from(level: int) -> Iterator[Lines]:
    capture = structlog.testing.LogCapture()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[structlog.contextvars.merge_contextvars, capture],
    )
    try:
        yield capture.entries  # type: ignore[misc]
    finally:
        structlog.reset_defaults()


@pytest.fixture
def evening(plant: Plant) -> Evening:
    return Evening(plant)


def of(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event and line["resource_id"] == STEEL]


def test_a_command_is_followed_from_its_telemetry_to_its_delivery(
    evening: Evening, lines: Lines
) -> None:
    evening.hear()
    heard = evening.plant.intake.newest[STEEL]
    evening.act()
    (told,) = of(lines, "set-point")
    sent = evening.plant.setpoints[STEEL]
    answer = AckMessage(
        command_id=sent.command_id, seq=sent.seq, ts="2025-12-03T18:00:01Z", accepted=True
    )
    owner = evening.plant.file.park.device_owner[STEEL]
    take_ack(evening.plant, topic(*owner, STEEL, "ack"), msgspec.json.encode(answer))
    for _ in range(16):  # to the end of the quarter-hour
        evening.hear(steel_battery=500.0)
        evening.act()
    (acked,), done = of(lines, "ack"), of(lines, "result")

    assert told["command_id"] == acked["command_id"] == done[0]["command_id"] == sent.command_id
    one = "act@2025-12-03T18:00:00Z"
    assert told["correlation_id"] == acked["correlation_id"] == done[0]["correlation_id"] == one
    assert told["telemetry_seq"] == heard.seq
    assert told["measured_at"] == "2025-12-03T18:00:00Z"
    assert (told["plan_id"], told["left"], told["power_kw"]) == ("plan-1", True, 500.0)
    assert told["plan_correlation_id"] == "plan@2025-12-03T18:00:00Z"
    assert (done[0]["outcome"], done[0]["measured_kw"]) == ("delivered", 500.0)


def test_every_event_of_a_cycle_has_its_id_and_none_outside_of_one(
    evening: Evening, lines: Lines
) -> None:
    evening.take(STEEL, power_kw=-100.0)
    evening.hear()
    evening.act()

    (outside,) = [line for line in lines if line.get("kind") == "override"]
    inside = [line for line in lines if line.get("kind") == "arbitration"]
    assert "correlation_id" not in outside
    assert inside
    assert {line["correlation_id"] for line in inside} == {"act@2025-12-03T18:00:00Z"}


def test_an_answer_to_an_older_command_is_not_taken_for_the_newest(
    evening: Evening, lines: Lines
) -> None:
    evening.hear()
    evening.act()
    sent = evening.plant.setpoints[STEEL]
    late = AckMessage(command_id="old", seq=sent.seq - 1, ts="2025-12-03T18:00:01Z", accepted=True)
    owner = evening.plant.file.park.device_owner[STEEL]

    take_ack(evening.plant, topic(*owner, STEEL, "ack"), msgspec.json.encode(late))

    (acked,) = of(lines, "ack")
    assert (acked["command_id"], acked["correlation_id"]) == (None, None)


def test_at_the_usual_level_no_line_is_made_for_a_command(evening: Evening) -> None:
    for lines in logging_from(logging.WARNING):
        evening.hear()
        evening.act()
        assert not [line for line in lines if line["event"] == "set-point"]


def test_ticks_are_no_lines_at_the_level_info(lines: Lines) -> None:
    log = EventLog()
    log.emit("tick", "", at=EVENING)
    log.emit("plan", "plan-1: optimal", at=EVENING)

    assert [line["kind"] for line in lines] == ["plan"]


def test_cycles_side_by_side_keep_their_own_ids(evening: Evening, lines: Lines) -> None:
    """Contexts belong to tasks: a cycle that waits does not lend its id to another one."""
    log = structlog.get_logger("vpp.test")

    async def slow(plant: Plant, now: Any) -> None:
        await asyncio.sleep(0)
        log.info("slow")

    async def quick(plant: Plant, now: Any) -> None:
        log.info("quick")

    async def both() -> None:
        await asyncio.gather(
            correlated(slow)(evening.plant, EVENING), correlated(quick)(evening.plant, EVENING)
        )

    asyncio.run(both())

    assert {line["event"]: line["correlation_id"] for line in lines} == {
        name: f"{name}@2025-12-03T18:00:00Z" for name in ("quick", "slow")
    }
