"""Many simulated charging stations at one central system: cars that come by chance, and faults from a seed.

    chance ─▶ cars come and go ─┐
    faults ─▶ troubles          ├─▶ each station: tick ─▶ its own line
    clock  ─▶ every second ─────┘

The same seed gives the same cars at the same times at the same stations, whatever the line does meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import aiohttp

from vpp.clock import Clock
from vpp.simulate.charger import Car, ChargerSpec
from vpp.simulate.chargerfaults import ChargerFault, active
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint

BEAT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How cars come and go."""

    at_the_start: float = 0.5
    """Share of connectors with a car when the stations are switched on."""

    an_hour: float = 0.5
    """Cars that come to a free connector in an hour, on average."""

    stays: tuple[timedelta, timedelta] = (timedelta(minutes=30), timedelta(hours=4))
    wanted_kwh: tuple[float, float] = (5.0, 40.0)


class ChargerFleet:
    """All stations; `run` is their life."""

    def __init__(
        self,
        specs: Sequence[ChargerSpec],
        url: str,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        seed: int,
        passwords: Mapping[str, str] | None = None,
        faults: Sequence[ChargerFault] = (),
        traffic: Traffic | None = None,
        timing: LineTiming | None = None,
    ) -> None:
        self._clock, self._faults, self._traffic = clock, faults, traffic or Traffic()
        self._chance = {spec.charger_id: Random(f"{seed}/{spec.charger_id}") for spec in specs}
        self._leaves: dict[tuple[str, int], datetime] = {}
        known = passwords or {}
        self.points = {
            spec.charger_id: ChargePoint(
                spec,
                url,
                session,
                now=clock.now,
                chance=Random(f"{seed}/{spec.charger_id}/line"),
                password=known.get(spec.charger_id),
                timing=timing,
            )
            for spec in specs
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Switch all on, and live until `stop` is set."""
        for name, point in self.points.items():
            spread_s = self._chance[name].random() * point.spec.sample_s
            point.first_due(self._clock.now() + timedelta(seconds=spread_s))
            for connector in point.charger.connectors:
                if self._chance[name].random() < self._traffic.at_the_start:
                    self._arrive(name, point, connector)
        lines = [
            asyncio.create_task(point.run(stop), name=f"charger-{name}")
            for name, point in self.points.items()
        ]
        due = self._clock.now()
        while await self._clock.wait_until(due, stop):
            now = self._clock.now()
            for name, point in self.points.items():
                if self._faults:
                    point.suffer(active(self._faults, name, now))
                self._come_and_go(name, point, now)
                point.tick(now)
            due = max(due + BEAT, now)
            if any(line.done() for line in lines):  # it must not pass for an outage
                break
        stop.set()
        for line in await asyncio.gather(*lines, return_exceptions=True):
            if isinstance(line, BaseException):
                raise line

    def counts(self) -> Counter[str]:
        """What happened to all of them together."""
        return sum((point.counts for point in self.points.values()), Counter[str]())

    def _come_and_go(self, name: str, point: ChargePoint, now: datetime) -> None:
        hourly = self._traffic.an_hour * (BEAT / timedelta(hours=1))
        for connector, outlet in point.charger.connectors.items():
            comes = self._chance[name].random() < hourly
            if outlet.stay is not None and now >= self._leaves[name, connector]:
                point.unplug(connector)
            elif outlet.stay is None and comes:
                self._arrive(name, point, connector)

    def _arrive(self, name: str, point: ChargePoint, connector: int) -> None:
        chance, (least, most) = self._chance[name], self._traffic.stays
        car = Car(
            token=f"card-{chance.randrange(1000)}",
            wanted_kwh=chance.uniform(*self._traffic.wanted_kwh),
            soc=chance.uniform(0.1, 0.7),
        )
        self._leaves[name, connector] = self._clock.now() + least + chance.random() * (most - least)
        point.plug_in(connector, car)
