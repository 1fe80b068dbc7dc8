"""The whole other side of the wire in one object: fleet, gateways, market, venue.

    advance(now, expected) ─▶ wait for the commands named ─▶ devices live until now ─▶ publish
    trade(now)             ─▶ the market does what is due

In lockstep somebody else holds the clock and calls these two; with a wall clock `run` does. The
messages of a step take no simulated time: `advance` returns each device's newest `seq`, so that the
caller can wait until the service has read them; the next step waits until the broker has them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from vpp.clock import Clock
from vpp.model.ids import EnterpriseId
from vpp.model.park import Park
from vpp.model.time import Interval
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.devicelinks import DeviceLinks
from vpp.simulate.drplatform import LoadPlatform
from vpp.simulate.exchange import HttpExchange
from vpp.simulate.fleet import STEP, Fleet, Snapshot
from vpp.simulate.gateway import BrokerAccess
from vpp.simulate.ledger import Ledger, Slot
from vpp.simulate.market import Market, Registration, SeriesIds, VenueTimes
from vpp.simulate.past import Registers, past_of
from vpp.simulate.prices import Prices
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory
from vpp.simulate.truth import books_of, metering_points, true_prices
from vpp.simulate.venuedoor import VenueDoor
from vpp.simulate.venuefaults import VenueFaults
from vpp.simulate.venueserver import VenueServer
from vpp.simulate.weather import WeatherStation

MARKET_ATTEMPTS, WEATHER_ATTEMPTS = 8, 3
"""How often one message is tried before it waits for the next act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """All that a world is made of; can be pickled."""

    park: Park
    scenario: Scenario
    brokers: Mapping[EnterpriseId, BrokerAccess]
    """The access of each enterprise's gateway."""
    service_url: str
    seed: int
    opened_at: datetime
    series: SeriesIds
    step: timedelta = STEP
    times: VenueTimes = field(default_factory=VenueTimes)
    ledger_path: Path | None = None
    venue_port: int = 0
    faults: FaultPlan = NO_FAULTS
    """What goes wrong with devices."""


class World:
    """Devices and market, driven by `advance` and `trade`, or by themselves in `run`."""

    def __init__(self, spec: WorldSpec) -> None:
        """Build everything; nothing is connected before `start`.

        Raises:
            DataError: The scenario does not fit the park.
            OSError: The ledger cannot be written.
        """
        self._spec = spec
        self._fleet = Fleet(
            spec.park,
            spec.scenario,
            opened_at=spec.opened_at,
            step=spec.step,
            faults=spec.faults,
        )
        self._now: Callable[[], datetime] = lambda: self._fleet.now
        self._random = Random(spec.seed)
        self._links = DeviceLinks(
            spec.park, self._fleet, spec.brokers, seed=spec.seed, now=lambda: self._now()
        )
        self._prices = Prices(spec.scenario.day_ahead_per_mwh, spec.scenario.market, spec.seed)
        self._ledger = Ledger(spec.scenario.minor_unit, spec.ledger_path)
        self._points = metering_points(spec.park)
        self._market = Market(
            HttpExchange(spec.service_url, self._random, attempts=MARKET_ATTEMPTS),
            self._prices,
            self._ledger,
            [Registration(u.unit_id, u.trades_from) for u in spec.park.bidding_units],
            self._metered_wh,
            seed=spec.seed,
            opened_at=spec.opened_at,
            times=spec.times,
            series=spec.series,
            clearing=spec.scenario.market.clearing,
        )
        self._weather = WeatherStation(
            HttpExchange(
                spec.service_url, Random(f"{spec.seed}/weather"), attempts=WEATHER_ATTEMPTS
            ),
            spec.scenario.outdoor_degc,
            opened_at=spec.opened_at,
        )
        self._past = past_of(spec.park, spec.scenario, spec.opened_at)
        self._platform = LoadPlatform(
            HttpExchange(spec.service_url, Random(f"{spec.seed}/dr"), attempts=MARKET_ATTEMPTS),
            spec.scenario.demand_response,
            self._ledger,
            Registers(spec.park, self._fleet, self._past).drawn_wh,
            zone=spec.park.timezone,
            minor_unit=spec.scenario.minor_unit,
            opened_at=spec.opened_at,
        )
        self._traded_at = spec.opened_at
        door = VenueDoor(self._market.hall, VenueFaults(), now=self._venue_now)
        self._venue = VenueServer(door, spec.venue_port)
        self._publishing: asyncio.Task[None] | None = None
        self._trading = asyncio.Lock()

    @property
    def venue_url(self) -> str:
        """Where the venue takes bid sets, answers questions about them, and lists awards."""
        return self._venue.url

    async def start(self) -> None:
        """Connect the gateways, open the venue's window, read the products.

        Raises:
            UnavailableError: The broker or the service does not answer, or a link broke.
            RejectedError: The service offers no markets that can be read.
        """
        await self._links.start()
        await self._venue.start()
        self._weather.start()
        self._platform.start()
        await self._market.start()

    async def stop(self) -> None:
        """Say goodbye at the broker, close everything."""
        await self._confirmed()
        ends = await self._links.stop()
        await self._market.stop()
        await self._platform.stop()
        await self._weather.stop()
        await self._venue.stop()
        self._ledger.close()
        for end in ends:
            if end is not None:
                raise end

    async def advance(self, now: datetime, expected_commands: Mapping[str, int]) -> dict[str, int]:
        """Live until `now`, once the commands named have arrived; publish; each device's `seq`.

        The messages are then on their way; that the broker has them all is waited for at the next
        step, so that whoever reads them need not wait for the confirmations.

        Args:
            now: The end of the step.
            expected_commands: The number of the newest command sent to each device.

        Raises:
            UnavailableError: A command did not arrive; names the device.
            DataError: `now` is no whole number of steps ahead, or beyond the scenario.
        """
        self._links.require_alive()
        await self._confirmed()
        await self._links.await_commands(expected_commands)
        self._fleet.step(now)
        self._publishing = asyncio.create_task(
            self._links.publish(self._links.told()), name="world-publish"
        )
        return dict(self._links.seq)

    async def trade(self, now: datetime) -> None:
        """Let market and platform do what is due until `now`, and the weather be told."""
        async with self._trading:
            self._traded_at = max(self._traded_at, now)
            await self._market.act(now)
            await self._platform.act(now)
            await self._weather.act(now)

    def next_trade(self) -> datetime:
        """When the market, or the platform, is due next."""
        return min(self._market.next_due(), self._platform.next_due())

    async def past(self) -> Trajectory | None:
        """What the main meters counted on the days before; None where nobody looks back on them."""
        return self._past

    async def run(self, clock: Clock, stop: asyncio.Event, period_s: float) -> None:
        """Live by `clock` until `stop` is set: a step each `period_s`, the market when it is due.

        Steps that were missed are lived through in one go and reported once.
        """
        self._now = clock.now
        async with asyncio.TaskGroup() as group:
            period = timedelta(seconds=period_s)
            group.create_task(self._links.run(clock, stop, period), name="devices")
            group.create_task(self._run_market(clock, stop, period), name="market")

    async def snapshot(self) -> dict[str, Any]:
        """The state of all devices now, as plain data."""
        return self._fleet.snapshot().plain()

    async def restore(self, plain: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self._fleet.restore(Snapshot(**plain))

    async def trajectory(self, span: Interval) -> Trajectory:
        """What the park did over `span`. Raises `DataError` where that is not recorded."""
        return self._fleet.trajectory(span)

    async def rollout(self, span: Interval) -> Trajectory:
        """What it would have done over `span` without any command.

        Raises:
            DataError: `span` begins neither at the opening nor at a local midnight.
        """
        return self._fleet.rollout_defaults(span)

    async def report(self) -> dict[str, Any]:
        """Counters, the venue's totals, the trajectory so far and the true prices, as plain data."""
        await self._confirmed()
        recorded = self._fleet.recorded
        return (
            {
                "now": self._fleet.now,
                "unsent": self._market.unsent,
                "demand_response": [*self._platform.results],
                "trajectory": self._fleet.trajectory(recorded).plain() if recorded else None,
                "prices": true_prices(self._prices, recorded) if recorded else {},
            }
            | self._links.counts()
            | books_of(self._ledger)
        )

    # ------------------------------------------------------------ within

    def _venue_now(self) -> datetime:
        """In lockstep devices and market are told the time by turns."""
        return max(self._now(), self._traded_at)

    async def _confirmed(self) -> None:
        """Wait until the broker has what was published last."""
        if self._publishing is not None:
            await self._publishing
            self._publishing = None

    async def _run_market(self, clock: Clock, stop: asyncio.Event, period: timedelta) -> None:
        while await clock.wait_until(self.next_trade(), stop):
            self._links.catch_up(clock, period)  # a settlement reads the meters up to now
            await self.trade(clock.now())

    def _metered_wh(self, unit_id: str, slot: Slot) -> int:
        return self._fleet.metered_wh(self._points[unit_id], Interval(*slot))
