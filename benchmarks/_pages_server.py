"""The service that pages look at: a program for `pages.py`, not a benchmark itself.

    python -m benchmarks._pages_server demo      the demo park with a plan, every device heard once a second
    python -m benchmarks._pages_server 10000     so many batteries, a tenth of them heard each second

Prints one JSON line when it can be asked. What it reads on stdin: `storm` makes two thousand events of 2 kB
within four seconds; the end ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import time as clocktime
from datetime import timedelta
from pathlib import Path
from time import time

import msgspec

from adapters.memory_journal import MemoryJournal
from benchmarks._field_act import BEGAN, UNIT
from benchmarks._fieldpark import field_park
from benchmarks._park import NoLink, a_park
from benchmarks.harness import log_to_stderr
from vpp.clock import WallClock
from vpp.model.time import isoformat, latest_boundary
from vpp.sense.state import freeze
from vpp.service import cycle, trace
from vpp.service.http import serve
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant
from vpp.service.run import keep_start, take
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

MINUTE = timedelta(minutes=1)

Hear = Callable[[int], None]
"""Lets devices be heard, at the tick of this number."""


async def demo(folder: Path) -> tuple[Plant, Hear]:
    park = a_park(clocktime(11), folder)
    plant, fleet = park.plant, park.fleet
    stood = plant.clock.now()
    plant.reconciled = True
    await cycle.plan(plant, stood)
    plant.clock = WallClock(start=stood + MINUTE, speed=60)

    def hear(tick: int) -> None:
        fleet.step(latest_boundary(plant.clock.now(), MINUTE))
        for where, payload in park.messages():
            take(plant, where, payload)

    return plant, hear


async def field(folder: Path, batteries: int) -> tuple[Plant, Hear]:
    field_park(
        batteries,
        folder,
        UNIT.format(
            kw=100 * batteries,
            day_ahead=shipped("markets/se3_day_ahead.yaml"),
            quarter_hour=shipped("markets/se3_quarter_hour.yaml"),
        ),
    )
    clock = WallClock(start=BEGAN + timedelta(minutes=1), speed=1)
    link = NoLink(clock.now())
    plant = build_plant(
        load_park(folder / "park.yaml"), clock=clock, data=folder, journal=MemoryJournal(),
        source=link, sink=link, venue=None, executor=InlineExecutor(), record=lambda _: True,
    )  # fmt: skip
    plant.reconciled = True
    devices = list(plant.file.park.device_owner.items())
    meters = {p.meter_id for p in plant.file.park.connection_points}

    def hear(tick: int) -> None:
        now = plant.clock.now()
        for place, (device, (owner, site)) in enumerate(devices):
            if tick and place % 10 != tick % 10 and device not in meters:
                continue
            said = TelemetryMessage(
                ts=isoformat(now),
                seq=tick + 1,
                power_kw=float(tick % 50),
                soc=None if device in meters else 0.5,
                import_wh=1000 if device in meters else None,
                export_wh=0 if device in meters else None,
            )
            take(plant, topic(owner, site, device, "telemetry"), msgspec.json.encode(said))

    return plant, hear


async def live(plant: Plant, hear: Hear, stop: asyncio.Event) -> None:
    """What telemetry and the act cycle show, once a second."""
    tick = 0
    while not stop.is_set():
        hear(tick)
        now = plant.clock.now()
        trace.keep(plant, freeze(plant.file.park, plant.intake.newest, now), None, now)
        tick += 1
        plant.events.emit("bid", "something that pages read again for", at=now, sent_s=time())
        await asyncio.sleep(1)


async def obey(plant: Plant, stop: asyncio.Event) -> None:
    """Do what stdin says until it ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "storm":
            for _ in range(200):
                for _ in range(10):
                    plant.events.emit("storm", 2000 * "x", at=plant.clock.now())
                await asyncio.sleep(0.02)
    stop.set()


async def serve_park(which: str, folder: Path) -> None:
    plant, hear = await (demo(folder) if which == "demo" else field(folder, int(which)))
    plant.events.hush()  # two thousand lines of a storm are not what is measured
    keep_start()
    hear(0)
    async with serve(plant, host="127.0.0.1", port=0) as address:
        print(json.dumps({"address": address}), flush=True)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(obey(plant, stop))
            group.create_task(live(plant, hear, stop))


def main() -> None:
    log_to_stderr()
    with tempfile.TemporaryDirectory(prefix="vpp-pages-") as folder:
        asyncio.run(serve_park(sys.argv[1], Path(folder)))


if __name__ == "__main__":
    main()
