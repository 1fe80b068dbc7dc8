"""What every link puts its messages into: bounded, in order, and its end reaches the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from adapters.link_inbox import LinkInbox
from tests.patience import PATIENCE_S
from vpp.ports import Message
from vpp.wire import AckMessage, TelemetryMessage

TOLD = TelemetryMessage(ts="2026-01-15T12:00:00Z", seq=1, power_kw=-5.0)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def numbered(n: int) -> Message:
    return Message(topic="t", payload=b"%d" % n)


def test_what_a_device_says_stands_under_its_owner_in_order() -> None:
    async def check() -> None:
        inbox = LinkInbox(10)
        inbox.tell("mill", "gate", "battery", TOLD)
        answer = AckMessage(
            command_id="c", seq=7, ts="2026-01-15T12:00:01Z", accepted=True, reason=None
        )
        inbox.tell("mill", "gate", "battery", answer)
        assert len(inbox) == 2
        inbox.close()
        heard = [message.topic async for message in inbox.messages()]
        assert heard == ["vpp/v1/mill/gate/battery/telemetry", "vpp/v1/mill/gate/battery/ack"]

    run(check())


def test_a_reader_that_is_late_finds_the_newest_and_is_said_to_be_late_until_it_has_them() -> None:
    async def check() -> None:
        inbox = LinkInbox(3)
        for n in range(5):
            inbox.put(numbered(n))
        assert (inbox.lost, inbox.late) == (2, "the reader is late: 2 messages gave way")
        messages = inbox.messages()
        assert [(await anext(messages)).payload for _ in range(3)] == [b"2", b"3", b"4"]
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        assert inbox.late is None
        inbox.put(numbered(5))
        assert (await waiting).payload == b"5"

    run(check())


def test_a_bug_of_the_link_reaches_the_reader_behind_what_was_heard_and_the_first_one_counts() -> (
    None
):
    async def check() -> None:
        inbox = LinkInbox(3)
        messages = inbox.messages()
        inbox.put(numbered(1))
        inbox.break_off(ZeroDivisionError("first"))
        inbox.break_off(ValueError("second"))
        assert (await anext(messages)).payload == b"1"
        with pytest.raises(ZeroDivisionError, match="first"):
            await anext(messages)

    run(check())


def test_who_waits_until_all_is_taken_goes_on_when_the_last_is_done_with_and_not_before() -> None:
    async def check() -> None:
        inbox = LinkInbox(2)
        for n in range(3):  # the first gives way, and nobody waits for it
            inbox.put(numbered(n))
        waiting = asyncio.ensure_future(inbox.until_taken())
        messages = inbox.messages()
        await anext(messages)
        await anext(messages)
        await asyncio.sleep(0)
        assert not waiting.done(), "the reader has the last one in hand still"
        asking = asyncio.ensure_future(anext(messages))
        await waiting
        asking.cancel()
        await inbox.until_taken()

    run(check())


def test_who_waits_for_a_reader_of_a_link_that_stops_waits_no_longer() -> None:
    async def check() -> None:
        inbox = LinkInbox(2)
        inbox.put(numbered(1))
        waiting = asyncio.ensure_future(inbox.until_taken())
        await asyncio.sleep(0)
        inbox.close()
        await asyncio.wait({waiting}, timeout=1)
        assert waiting.cancelled()

    run(check())
