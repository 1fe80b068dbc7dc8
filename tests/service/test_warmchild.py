"""A large answer is read beside the event loop, and nobody writes where it is read."""

from __future__ import annotations

import asyncio
import sys
from threading import Event

import pytest

from tests.patience import PATIENCE_S
from vpp.service.solving.warmchild import WarmChild

ECHO = """
import sys
from vpp.service.solving.frames import read_frame, write_frame
write_frame(sys.stdout.buffer, b"ready")
while (said := read_frame(sys.stdin.buffer)) is not None:
    write_frame(sys.stdout.buffer, said)
"""


def echoing() -> WarmChild:
    return WarmChild((sys.executable, "-c", ECHO), name="echo", recycle_after=100)


def test_the_event_loop_runs_on_while_an_answer_is_read() -> None:
    async def run() -> None:
        reads, goes_on = Event(), Event()

        def read(content: bytes) -> bytes:
            reads.set()
            assert goes_on.wait(PATIENCE_S)  # for ever, if the loop stood meanwhile
            return content

        async with echoing() as child:
            answer = asyncio.create_task(child.ask(lambda: b"a plan", read, hard_s=PATIENCE_S))
            await asyncio.to_thread(reads.wait, PATIENCE_S)
            goes_on.set()
            assert await answer == b"a plan"

    asyncio.run(run())


def test_who_is_cancelled_while_an_answer_is_read_lets_nobody_ask_before_that_is_over() -> None:
    async def run() -> None:
        reads, goes_on = Event(), Event()
        told: list[str] = []

        def read(content: bytes) -> bytes:
            reads.set()
            assert goes_on.wait(PATIENCE_S)
            told.append("read")
            return content

        def next_question() -> bytes:
            told.append("asked")
            return b"next"

        async with echoing() as child:
            first = asyncio.create_task(child.ask(lambda: b"first", read, hard_s=PATIENCE_S))
            await asyncio.to_thread(reads.wait, PATIENCE_S)
            second = asyncio.create_task(child.ask(next_question, bytes, hard_s=PATIENCE_S))
            first.cancel()
            await asyncio.sleep(0)  # it hears that
            goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert await second == b"next"
        assert told == ["read", "asked"]

    asyncio.run(run())
