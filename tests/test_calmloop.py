"""The loop of the tests: a stop of the machine is no time, silence is."""

from __future__ import annotations

import asyncio
import socket
from selectors import EVENT_READ
from threading import Timer
from time import monotonic

import pytest

from tests import calmloop
from tests.calmloop import MOST_WORK_S, CalmLoop, CalmSelector


class Machine:
    """Its clock, put forward by hand."""

    def __init__(self) -> None:
        self.stopped_s = 0.0

    def __call__(self) -> float:
        return monotonic() + self.stopped_s


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The clock of the machine, which a test stops and lets go on."""
    one = Machine()
    monkeypatch.setattr(calmloop, "monotonic", one)
    return one


def test_every_test_gets_it() -> None:
    async def which() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(asyncio.run(which()), CalmLoop)


def test_a_stop_of_the_machine_ends_no_time_limit(machine: Machine) -> None:
    """Before the answer is looked at, and while it is waited for."""

    async def talk() -> bytes:
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        asyncio.get_running_loop().call_soon(there.send, b"late\n")
        try:
            async with asyncio.timeout(0.1):
                machine.stopped_s += 20.0
                return await reader.readline()
        finally:
            writer.close()
            there.close()

    assert asyncio.run(talk()) == b"late\n"


def test_a_stop_while_another_process_is_waited_for_is_none_of_its_time(machine: Machine) -> None:
    """It says a part, the machine is stopped, it says the rest: the second wait has its time."""

    async def talk() -> bytes:
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        loop = asyncio.get_running_loop()

        def half() -> None:
            machine.stopped_s += 20.0
            there.send(b"la")

        beside = Timer(0.02, half), Timer(0.2, there.send, (b"te\n",))
        for one in beside:
            one.start()
        try:
            async with asyncio.timeout_at(loop.time() + 5):
                return await reader.readline()
        finally:
            for one in beside:
                one.join()
            writer.close()
            there.close()

    assert asyncio.run(talk()) == b"late\n"


def test_silence_counts_in_full_and_what_comes_is_never_too_late(machine: Machine) -> None:
    here, there = socket.socketpair()
    with CalmSelector() as calm, here, there:
        calm.register(here, EVENT_READ)
        before_s = calm.now_s()
        assert calm.select(0.02) == []
        assert calm.now_s() - before_s >= 0.02

        def late() -> None:
            machine.stopped_s += 20.0
            there.send(b"x")

        before_s, beside = calm.now_s(), Timer(0.01, late)
        beside.start()
        while not calm.select(0.04):
            before_s = calm.now_s()
        assert calm.now_s() - before_s < 0.04 + MOST_WORK_S
        beside.join()


def test_who_is_silent_is_given_up() -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await asyncio.Event().wait()
        return loop.time() - began_s

    assert 0.15 <= asyncio.run(wait()) < 0.3


def test_a_busy_loop_has_timers_too() -> None:
    async def work() -> None:
        over = False

        def end() -> None:
            nonlocal over
            over = True

        asyncio.get_running_loop().call_later(0.02, end)
        while not over:  # noqa: ASYNC110
            await asyncio.sleep(0)

    asyncio.run(work())
