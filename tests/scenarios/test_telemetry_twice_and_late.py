"""Rows A6 and A7: what comes again counts once, and what comes late is in its place and steers nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.scenarios.eves import Eve, live, opening
from vpp.account.meters import MeterBook
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import Interval, parse_utc
from vpp.ports import Message, MessageSource
from vpp.service.demo.simulation import World
from vpp.service.plant import Plant

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

METER, BATTERY = ResourceId("works-meter"), ResourceId("works-battery")
TRADES_FROM = "2025-12-02T12:00:00+01:00"
HOUR = timedelta(hours=1)


class Between:
    """Stands between a link and the plant."""

    def __init__(self, source: MessageSource) -> None:
        self.source = source

    @property
    def connected(self) -> bool:
        return self.source.connected

    @property
    def since(self) -> datetime:
        return self.source.since


class Repeating(Between):
    """Hands on each message 1 to 5 times, acknowledgements too."""

    def __init__(self, source: MessageSource, lot: Random) -> None:
        super().__init__(source)
        self._lot = lot

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self.source.messages():
            for _ in range(self._lot.randint(1, 5)):
                yield message


def test_a_park_whose_every_message_comes_one_to_five_times_has_the_same_record(
    small_park: MakePark, tmp_path: Path
) -> None:
    file = small_park(trades_from=TRADES_FROM)

    def repeat(plant: Plant, world: World) -> World:
        plant.source = Repeating(plant.source, Random(6))
        return world

    once = asyncio.run(live(file, tmp_path, Eve(hours=3 * HOUR)))
    often = asyncio.run(live(file, tmp_path, Eve(hours=3 * HOUR, changed=repeat)))

    def counted(plant: Plant, what: str) -> float:
        return plant.metrics.registry.get_sample_value(f"vpp_telemetry_{what}_total") or 0.0

    assert counted(once.plant, "duplicates") == 0
    assert counted(often.plant, "duplicates") > counted(once.plant, "accepted") > 100
    assert often.record == once.record
    assert often.plant.accounted == once.plant.accounted
    assert often.plant.money == once.plant.money


class Buffering(Between):
    """Two devices lose their gateway for an hour; it sends what it kept shuffled, amid what is new."""

    def __init__(self, source: MessageSource, outage: Interval, lot: Random) -> None:
        super().__init__(source)
        self._outage, self._lot = outage, lot
        self.kept: list[Message] = []
        self.registers: list[dict[str, Any]] = []
        """Everything that the meter ever sent, in order: the truth."""
        self.sent_late = 0

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self.source.messages():
            if not message.topic.endswith("/telemetry"):
                yield message
                continue
            body = json.loads(message.payload)
            device, at = message.topic.split("/")[4], parse_utc(body["ts"], where="ts")
            if device == METER:
                self.registers.append(body)
            if device in (METER, BATTERY) and self._outage.start <= at < self._outage.end:
                self.kept.append(message)
                continue
            if self.kept and at >= self._outage.end:
                for _ in range(min(3, len(self.kept))):
                    self.sent_late += 1
                    yield self.kept.pop(self._lot.randrange(len(self.kept)))
            yield message


class WithoutThem:
    """A world in which nobody waits for the two devices while their gateway is away."""

    def __init__(self, world: World, outage: Interval) -> None:
        self._world, self._outage = world, outage

    async def advance(self, now: datetime, expected_commands: Mapping[str, int]) -> dict[str, int]:
        told = await self._world.advance(now, expected_commands)
        if self._outage.start <= now < self._outage.end:
            return {name: seq for name, seq in told.items() if name not in (METER, BATTERY)}
        return told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def test_an_hour_that_arrives_shuffled_beside_live_data_is_settled_and_steers_nobody(
    small_park: MakePark, tmp_path: Path
) -> None:
    file = small_park(period_s=60, trades_from=TRADES_FROM)
    outage = Interval(opening(file) + HOUR, opening(file) + 2 * HOUR)
    settled_then: dict[Interval, Any] = {}
    gateways: list[Buffering] = []
    newest: list[tuple[datetime, datetime]] = []

    def lose(plant: Plant, world: World) -> World:
        gateways.append(Buffering(plant.source, outage, Random(7)))
        plant.source = gateways[0]
        without: Any = WithoutThem(world, outage)
        lost: World = without
        return lost

    def told(plant: Plant) -> None:
        now = plant.clock.now()
        newest.append((now, plant.intake.newest[BATTERY].measured_at))
        if now < outage.end:
            settled_then.update(plant.accounted)

    lived = asyncio.run(live(file, tmp_path, Eve(hours=3 * HOUR, changed=lose, told=told)))

    plant, [gateway] = lived.plant, gateways
    assert gateway.sent_late == 120  # a minute each, of both devices
    assert not gateway.kept
    # Never used for control: the newest reading is the one sent live, and during the outage the last before it.
    for now, measured_at in newest:
        assert measured_at == (
            now if not outage.start <= now < outage.end else newest_before(outage)
        )
    # Stored in place: each quarter-hour's energy is that of the registers as the meter counted them.
    truth = book_of(gateway.registers)
    quarters = list(Interval(outage.start, outage.end).split(timedelta(minutes=15)))
    for quarter in quarters:
        energy = plant.meters.energy_wh(METER, quarter)
        assert energy == truth.energy_wh(METER, quarter)
        assert energy is not None
        assert not energy.provisional
    # Settlement recomputed: what could not be settled, or was for the time being, now is for good.
    for quarter in quarters[:-1]:
        before = settled_then.get(quarter)
        assert before is None or before.metered[EnterpriseId("works")].provisional
        final = plant.accounted[quarter].metered[EnterpriseId("works")]
        assert final == truth.energy_wh(METER, quarter)


def newest_before(outage: Interval) -> datetime:
    return outage.start - timedelta(minutes=1)


def book_of(registers: list[dict[str, Any]]) -> MeterBook:
    book = MeterBook()
    for body in registers:
        at = parse_utc(body["ts"], where="ts")
        book.add(
            MeterReading(
                meter_id=METER,
                enterprise_id=EnterpriseId("works"),
                measured_at=at,
                received_at=at,
                seq=body["seq"],
                import_wh=body["import_wh"],
                export_wh=body["export_wh"],
                power_kw=body["power_kw"],
            )
        )
    return book
