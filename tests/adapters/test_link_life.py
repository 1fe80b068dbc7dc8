"""What all links share: whether the other side is there, and that whoever reads is told of the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from adapters.link_life import InboxLink, Standing, ill_devices
from tests.patience import PATIENCE_S
from vpp.ports import Message

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOLD = Message(topic="vpp/1/a/b/c/telemetry", payload=b"{}")


class _Link(InboxLink):
    """Says one thing, and lives until it is told to stop, or until what it waits for goes wrong."""

    def __init__(self, wrong: asyncio.Future[None]) -> None:
        super().__init__("somewhere", now=lambda: AT, capacity=2)
        self._wrong = wrong

    async def _live(self, stop: asyncio.Event) -> None:
        self._standing.went_up()
        self.inbox.put(TOLD)
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._wrong.cancel())
        try:
            await self._wrong
        except asyncio.CancelledError:
            await stopped
        finally:
            stopped.cancel()


def test_since_is_the_last_change_and_a_first_time_is_no_return() -> None:
    second = timedelta(seconds=1)
    moments = [AT + n * second for n in (0, 1, 3, 4)]  # asked only where something changes
    standing = Standing("somewhere", iter(moments).__next__)
    told = [(standing.up, standing.since, standing.away, standing.reconnects)]
    for step in (standing.went_up, standing.went_up, lambda: standing.went_down("cut")):
        step()
        told.append((standing.up, standing.since, standing.away, standing.reconnects))
    standing.went_up()
    told.append((standing.up, standing.since, standing.away, standing.reconnects))
    assert told == [
        (False, AT, "not started", 0),
        (True, AT + second, None, 0),
        (True, AT + second, None, 0),
        (False, AT + 3 * second, "cut", 0),
        (True, AT + 4 * second, None, 1),
    ]


def test_the_first_five_ill_devices_are_named_and_the_others_counted() -> None:
    ill = [(f"d{n}", "is silent" if n else None) for n in range(8)]
    assert ill_devices(ill, late=None) == (
        "d1: is silent; d2: is silent; d3: is silent; d4: is silent; d5: is silent; and 2 more"
    )
    assert ill_devices(ill[:2], late="the reader is late") == "the reader is late; d1: is silent"
    assert ill_devices(ill[:1], late=None) is None


async def _reads_to_the_end() -> None:
    async with _Link(asyncio.get_running_loop().create_future()) as link:
        reading = link.messages()
        assert await anext(reading) == TOLD
        assert link.connected
    assert [message async for message in reading] == []
    assert (link.connected, link._standing.away) == (False, "stopped")


def test_who_reads_gets_what_is_there_and_then_the_end() -> None:
    asyncio.run(asyncio.wait_for(_reads_to_the_end(), PATIENCE_S))


async def _reads_a_bug() -> None:
    wrong = asyncio.get_running_loop().create_future()
    link = _Link(wrong)
    running = asyncio.create_task(link.run(asyncio.Event()))
    reading = link.messages()
    assert await anext(reading) == TOLD
    wrong.set_exception(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await anext(reading)
    with pytest.raises(ZeroDivisionError):
        await running


def test_who_reads_is_told_of_a_bug_and_does_not_wait_for_ever() -> None:
    asyncio.run(asyncio.wait_for(_reads_a_bug(), PATIENCE_S))
