"""Target CK3, row G3: a service and devices that were frozen for minutes act on nothing of before.

Time goes a hundred and twenty times as fast as the wall; SIGSTOP is real, to two processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.patience import PATIENCE_S
from vpp.clock import WallClock
from vpp.model.time import latest_boundary
from vpp.simulate.process import RemoteWorld

SPEED = 120.0
MINUTE = timedelta(minutes=1)
FROZEN = 4 * MINUTE
"""Longer than a reading may be old (3 minutes), not than a set-point lives (5): what expires harms nobody."""

HALF_LIFE = timedelta(seconds=150)


def test_after_a_freeze_no_command_leaves_on_what_was_measured_before_it(laboratory: Any) -> None:
    async def play() -> None:
        async with laboratory() as lab:
            clock = await lab.free(SPEED)
            devices = RemoteWorld(
                replace(lab.spec, opened_at=latest_boundary(clock.now(), MINUTE), venue_port=0)
            )
            stop = asyncio.Event()
            await devices.start()
            running = asyncio.create_task(devices.run(clock, stop, 60.0))
            try:
                await freeze_and_thaw(lab, devices, clock)
            finally:
                lab.signal(signal.SIGCONT)
                to(devices, signal.SIGCONT)
                stop.set()
                await asyncio.gather(running, return_exceptions=True)
                await devices.stop()

    asyncio.run(play())


async def freeze_and_thaw(lab: Any, devices: RemoteWorld, clock: WallClock) -> None:
    commands: list[tuple[str, dict[str, Any]]] = lab.commands
    await until(clock, lambda: refresh_is_due(commands, clock.now()))

    # One that was on its way when all stood still leaves when it goes on, and expires as it would have.
    made_since = clock.now() + FROZEN / 2

    def made() -> list[tuple[str, dict[str, Any]]]:
        return [one for one in commands if issued(one) >= made_since]

    to(devices, signal.SIGSTOP)
    lab.signal(signal.SIGSTOP)
    await pass_by(clock, FROZEN)
    thawed_at = clock.now()
    lab.signal(signal.SIGCONT)
    await pass_by(clock, 5 * MINUTE)
    assert made() == []  # all it knows is of before

    to(devices, signal.SIGCONT)
    await until(clock, lambda: bool(made()))
    await pass_by(clock, 2 * MINUTE)
    fresh = made()
    assert all(issued(one) >= thawed_at + 4 * MINUTE for one in fresh)
    # No cycle that was missed is made up for: a device is told once a period, not once for each that passed.
    periods = 1 + (clock.now() - thawed_at) // MINUTE
    assert max(Counter(device for device, _ in fresh).values()) <= periods


def refresh_is_due(commands: list[tuple[str, dict[str, Any]]], now: datetime) -> bool:
    """Whether the next cycle would send somebody its command again: half of its life is over by then."""
    newest = dict(commands)
    ages = [now - datetime.fromisoformat(c["issued_at"]) for c in newest.values() if c["power_kw"]]
    return any(HALF_LIFE - MINUTE < age < HALF_LIFE - MINUTE / 4 for age in ages)


def issued(one: tuple[str, dict[str, Any]]) -> datetime:
    return datetime.fromisoformat(one[1]["issued_at"])


def to(devices: RemoteWorld, number: signal.Signals) -> None:
    assert devices.pid is not None
    os.kill(devices.pid, number)


async def pass_by(clock: WallClock, span: timedelta) -> None:
    await clock.wait_until(clock.now() + span, asyncio.Event())


async def until(clock: WallClock, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():
            await pass_by(clock, MINUTE / 4)
