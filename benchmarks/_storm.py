"""An hour in which everything fails at once, of a plant in this process: what the benchmark and its scenario share.

The plant is real, and so are its cycles, its journal on disk, and the solver's child process, which dies at each
question. The link to 1 000 devices goes down, so nothing is heard; prices are too old from the same moment on.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import msgspec

from adapters.sqlite_journal import SqliteJournal
from benchmarks._fieldpark import ENTERPRISES, field_park
from vpp.act.ladder import SafeState
from vpp.model.alarm import Alarm
from vpp.model.command import Setpoint
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, isoformat
from vpp.ports import Message, Unsent
from vpp.service import cycle
from vpp.service.alarms import alarms
from vpp.service.alarms.book import WINDOW
from vpp.service.feeds.watch import price_id
from vpp.service.links.health import LinkHealth
from vpp.service.park.config import shipped
from vpp.service.plant import Plant
from vpp.service.run import take
from vpp.service.solving.executor import ProcessExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

NOON = datetime(2025, 12, 2, 12, tzinfo=UTC)
MINUTE, LOOK = timedelta(minutes=1), timedelta(seconds=30)
BEFORE, STORM = 5 * MINUTE, 60 * MINUTE
MARKET = "se3_day_ahead.yaml"
BIDDING = """\
bidding_units:
  - id: field-unit
    zone: SE3
    resources: all
    products: [se3-day-ahead]
    connected_kw: {all_kw}
    declared_kw: {all_kw}
    tested_kw: {all_kw}
    trades_from: "2025-12-01T00:00:00+00:00"
    trading_share: {shares}
trading: {{mode: shadow}}
markets: [se3_day_ahead.yaml]
"""
SHARES = "{" + ", ".join(f"works-{number}: 1" for number in range(ENTERPRISES)) + "}"
ROOTS = frozenset({"link_down", "solver_down", "prices_missing"})
"""What fails; all else follows from it."""


@dataclass
class HandClock:
    """A watch that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class FailingLink:
    """A link over which nothing goes once it is down."""

    connected: bool = True
    since: datetime = NOON

    async def messages(self) -> AsyncIterator[Message]:
        nothing: tuple[Message, ...] = ()
        for message in nothing:
            yield message

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        if self.connected:
            return ()
        return tuple(Unsent(setpoint=one, reason="the link is down") for one in setpoints)


@dataclass
class Seen:
    """What an operator saw of the hour."""

    first_shown: list[tuple[datetime, Alarm]] = field(default_factory=list)
    """Each first cause, when it came into the list."""
    raised: int = 0
    events: int = 0
    look_s: list[float] = field(default_factory=list)
    at_the_end: list[Alarm] = field(default_factory=list)

    @property
    def most_in_10min(self) -> int:
        """Of what came into the list."""
        times = [at for at, _ in self.first_shown]
        return max((sum(at <= t < at + WINDOW for t in times) for at in times), default=0)

    @property
    def roots_first(self) -> bool:
        """Whether everything that failed was told before anything that followed from it."""
        kinds = [alarm.condition.kind for _, alarm in self.first_shown]
        return set(kinds[: len(ROOTS)]) == ROOTS


@asynccontextmanager
async def a_plant(
    devices: int, folder: Path
) -> AsyncIterator[tuple[Plant, FailingLink, HandClock]]:
    """A plant that is well at `NOON` less `BEFORE`: heard, with prices; its solver dies when it is asked."""
    shutil.copy(shipped(f"markets/{MARKET}"), folder / MARKET)
    file = field_park(devices, folder, BIDDING.format(all_kw=100 * devices, shares=SHARES))
    dying = ProcessExecutor((sys.executable, "-c", "raise SystemExit(3)"))
    async with SqliteJournal.open(folder / "journal.sqlite") as journal, dying:
        link, clock = FailingLink(), HandClock(NOON - BEFORE)
        plant = build_plant(
            file,
            clock=clock,
            data=folder,
            journal=journal,
            source=link,
            sink=link,
            venue=None,
            executor=dying,
            record=lambda measurement: True,
        )
        plant.reconciled = True
        plant.links = lambda: (
            LinkHealth(
                name="mqtt",
                connected=link.connected,
                since=link.since,
                fault=None if link.connected else "connection refused",
                reconnects=0,
                devices=devices,
            ),
        )
        last = timedelta(hours=file.planning.max_price_age_hours)
        plant.series.put_profile(
            price_id(plant),
            unit="EUR/MWh",
            profile=Profile.constant(
                Horizon(NOON - last - 96 * 14 * QUARTER, QUARTER, 96 * 14), 40.0
            ),
            known_at=NOON - last,
            source="round numbers",
        )
        yield plant, link, clock


def hear(plant: Plant, at: datetime, seq: int) -> None:
    """Every device is heard once."""
    for device, (owner, site) in plant.file.park.device_owner.items():
        is_meter = device.startswith("meter")
        message = TelemetryMessage(
            ts=isoformat(at),
            seq=seq,
            power_kw=0.0,
            soc=None if is_meter else 0.5,
            import_wh=0 if is_meter else None,
            export_wh=0 if is_meter else None,
        )
        take(plant, topic(owner, site, device, "telemetry"), msgspec.json.encode(message))


async def live_through(devices: int, folder: Path, *, flaps: bool = False) -> Seen:
    """Five quiet minutes and the hour after them; with `flaps` the link stands every other four minutes."""
    seen = Seen()
    async with a_plant(devices, folder) as (plant, link, clock):
        at, known = NOON - BEFORE, set[str]()
        while at < NOON + STORM:
            clock.at = at
            minute = int((at - NOON) / MINUTE)
            up = at < NOON or (flaps and minute % 8 >= 4)
            if up is not link.connected:
                link.connected, link.since = up, at
            if up:
                hear(plant, at, int(at.timestamp()))
            await _cycles(plant, at)
            began = perf_counter()
            await alarms.look(plant, at)
            seen.look_s.append(perf_counter() - began)
            for alarm in plant.alarms.book.shown(at):
                if alarm.alarm_id not in known:
                    known.add(alarm.alarm_id)
                    seen.first_shown.append((at, alarm))
            at += LOOK
        seen.raised = plant.alarms.book.number
        seen.events = len(plant.events.recent())
        seen.at_the_end = plant.alarms.book.shown(at - LOOK)
    return seen


async def _cycles(plant: Plant, at: datetime) -> None:
    """What the plant does at a moment; before the storm it has no plan yet, and none is asked for."""
    if at < NOON:
        plant.safe_state = SafeState.NORMAL
        return
    if at.minute % 15 == 0 and at.second == 0:
        await cycle.plan(plant, at)
        await cycle.trade(plant, at)
    if at.second == 0:
        await cycle.act(plant, at)


def storm(devices: int, folder: Path, *, flaps: bool = False) -> Seen:
    """`live_through`, for whoever is not in a loop."""
    return asyncio.run(live_through(devices, folder, flaps=flaps))
