"""A central system of OCPP in a process of its own, for `ocpp.py`: listener, link and the record of stays on disk.

stdin: one line of JSON {parks, stations, sample_s, folder}; then `mark`, `share SHARE`, `sum` as often as wanted; its end
stdout: one line of JSON for each: {url}; {cpu_s, at_s, lost, told}; {acks_ms, refused}; {draw_kw, stays}
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from time import process_time, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from adapters.ocpp_link import OcppLink
from adapters.sqlite_journal import SqliteJournal
from benchmarks.harness import log_to_stderr
from vpp.clock import WallClock
from vpp.model.charging import CarParkSpec, CentralSpec, StationKind, StationSpec, Wish
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.service.http import reserved_port
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.service.ocpp.desk import PATH
from vpp.service.ocpp.ledger import JournalLedger
from vpp.wire import AckMessage, TelemetryMessage

PASSWORD = "the password of every station"
MAX_KW = 11.04
KIND = StationKind(
    name="11 kW",
    points=1,
    max_kw=MAX_KW,
    min_kw=0.0,
    phases=3,
    voltage_v=230.0,
    unit="W",
    safe_kw=4.0,
)


def station_names(parks: int, stations: int) -> list[list[str]]:
    """The stations of each car park."""
    return [[f"cp-{park}-{number}" for number in range(stations)] for park in range(parks)]


class Central:
    """The link, and what it has told."""

    def __init__(self, asked: dict[str, Any], journal: SqliteJournal) -> None:
        self.clock = WallClock()
        self.parks = [
            CarParkSpec(
                resource_id=ResourceId(f"park-{number}"),
                enterprise_id="works",
                site_id="gate",
                stations=tuple(
                    StationSpec(station_id=name, kind=KIND, password=lambda: PASSWORD)
                    for name in names
                ),
                zone=ZoneInfo("UTC"),
                wish=Wish(wanted_kwh=500.0, stay=timedelta(hours=8)),
                read_only=False,
            )
            for number, names in enumerate(station_names(asked["parks"], asked["stations"]))
        ]
        spec = CentralSpec(sample_s=asked["sample_s"], report_s=float(asked["sample_s"]))
        self.link = OcppLink(
            spec, self.parks, now=self.clock.now, ledger=JournalLedger(journal, self.clock)
        )
        self.newest: dict[str, TelemetryMessage] = {}
        self.told = 0
        self._acks: dict[int, tuple[float, AckMessage]] = {}
        self._acked = asyncio.Event()
        self._seq = 0

    async def read(self) -> None:
        """Take what the link tells, as the intake would."""
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                ack = msgspec.json.decode(message.payload, type=AckMessage)
                self._acks[ack.seq] = time(), ack
                self._acked.set()
            else:
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.newest[message.topic.split("/")[4]] = told
                self.told += 1

    async def share(self, share: float) -> dict[str, Any]:
        """A new set-point for every car park; how long each took until all its cars had theirs."""
        now, sent = self.clock.now(), time()
        setpoints = []
        for park in self.parks:
            self._seq += 1
            setpoints.append(
                Setpoint(
                    command_id=f"c-{self._seq}",
                    seq=self._seq,
                    resource_id=park.resource_id,
                    enterprise_id=EnterpriseId("works"),
                    issued_at=now,
                    expires_at=now + timedelta(minutes=15),
                    power_kw=-share * MAX_KW * len(park.stations),
                    serves="plan-1",
                )
            )
        unsent = await self.link.send(setpoints)
        while not all(one.seq in self._acks for one in setpoints[len(unsent) :]):
            self._acked.clear()
            await self._acked.wait()
        answers = [self._acks[one.seq] for one in setpoints if one.seq in self._acks]
        return {
            "acks_ms": [1000 * (at - sent) for at, _ in answers],
            "refused": len(unsent) + sum(not ack.accepted for _, ack in answers),
        }

    def mark(self) -> dict[str, Any]:
        """What was spent and told until now."""
        return {
            "cpu_s": process_time(),
            "at_s": time(),
            "lost": self.link.inbox.lost,
            "told": self.told,
        }

    async def sum(self) -> dict[str, Any]:
        """What all car parks draw, as they are told now, and how many cars there are."""
        self.link.look(report=True)
        before = self.told
        while self.told < before + len(self.parks):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        newest = self.newest.values()
        return {
            "draw_kw": -sum(one.power_kw for one in newest),
            "stays": sum(len(one.sessions or ()) for one in newest),
        }


async def _main() -> None:
    log_to_stderr()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asked = json.loads(await reader.readline())
    async with AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port())
        folder = Path(asked["folder"])
        journal = await stack.enter_async_context(SqliteJournal.open(folder / "journal.sqlite"))
        central = Central(asked, journal)
        listen = ListenSection(
            port=port,
            connections=2000,
            connections_per_address=2000,
            requests_per_minute=1_000_000,
        )
        face = OuterFace(name="ocpp", listen=listen, routes=(web.get(PATH, central.link.connect),))
        address = await stack.enter_async_context(serve_face(face, folder=folder))
        await stack.enter_async_context(central.link)
        reading = asyncio.create_task(central.read())
        print(json.dumps({"url": address.replace("http", "ws") + "/ocpp"}), flush=True)
        while line := (await reader.readline()).decode().split():
            match line:
                case ["mark"]:
                    found = central.mark()
                case ["share", share]:
                    found = await central.share(float(share))
                case _:
                    found = await central.sum()
            print(json.dumps(found), flush=True)
        reading.cancel()


if __name__ == "__main__":
    asyncio.run(_main())
