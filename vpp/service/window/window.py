"""Keeping the window: each control cycle says that there is news; a task of its own shows it.

    act ─▶ note()  sets a flag                   follow() ─▶ picture of now ─▶ StateWindow
           and goes on                                       waits for the server as long as it may

No cycle ever waits for the server and nothing queues for it: while one picture is on its way, or the
server is away, what changes is simply part of the next picture. Losing the server, or all that it
holds, changes this window and nothing else.
"""

from __future__ import annotations

import asyncio

from vpp.errors import UnavailableError
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.window.desk import WindowDesk
from vpp.service.window.picture import picture
from vpp.service.window.schema import RedisSection

FIRST_RETRY_S = 0.2


def note(plant: Plant) -> None:
    """Say that there is something new to show; takes no time."""
    if plant.window is not None:
        plant.window.changed.set()


async def follow(plant: Plant, desk: WindowDesk, stop: asyncio.Event) -> None:
    """Show what is new until `stop`; on the wall's clock, whatever clock the plant has."""
    stopped = asyncio.create_task(stop.wait(), name="window-stop")
    failures = 0
    try:
        while not stopped.done():
            news = asyncio.create_task(desk.changed.wait(), name="window-news")
            await _first(stopped, news)
            if stopped.done():
                return
            desk.changed.clear()
            if await _first(stopped, asyncio.create_task(show(plant, desk), name="window-show")):
                failures = 0
                continue
            failures += 1
            # Tried again although nothing else may have changed: it refills itself.
            desk.changed.set()
            await asyncio.wait({stopped}, timeout=retry_s(desk.section, failures))
    finally:
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)


def retry_s(section: RedisSection, failures: int) -> float:
    """How long to wait after so many failures in a row (at least 1)."""
    # 2**30 times the first wait is above any bound; the exponent must not grow for ever.
    return float(min(section.longest_retry_s, FIRST_RETRY_S * 2 ** min(failures - 1, 30)))


async def _first(stopped: asyncio.Task[bool], task: asyncio.Task[bool]) -> bool:
    """What `task` gives; False where the end comes first, and `task` is cancelled."""
    try:
        await asyncio.wait({stopped, task}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else False
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def show(plant: Plant, desk: WindowDesk) -> bool:
    """Show the newest picture; whether it is seen."""
    if plant.state is None:
        return True
    try:
        news, shown = picture(plant, desk.shown, desk.section.streams)
        if not await desk.port.show(news):
            plant.metrics.window.refilled()
            news, shown = picture(plant, None, desk.section.streams)
            await desk.port.show(news)
    except UnavailableError as error:
        desk.shown = None
        _tell(plant, desk, fault=f"{error.where}: {error.what}")
        plant.metrics.window.failed()
        return False
    desk.shown = shown
    _tell(plant, desk, fault=None)
    plant.metrics.window.shown()
    return True


def _tell(plant: Plant, desk: WindowDesk, *, fault: str | None) -> None:
    """Keep why the window is down, and tell once each time that it goes or comes."""
    up, first = fault is None, desk.since is None
    changed = first or up != desk.up
    desk.up, desk.fault = up, fault
    if not changed:
        return
    desk.since = now = plant.clock.now()
    if up:
        plant.events.emit("window", "the Redis window shows the newest picture", at=now, up=True)
    else:
        plant.events.emit(
            "window",
            f"the Redis window shows nothing new: {fault}; nothing else depends on it",
            at=now,
            severity=Severity.WARNING,
            up=False,
        )
