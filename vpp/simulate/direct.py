"""A world without a wire: the same devices and the same market, called in the same process.

    advance(now) ─▶ devices live until now ─▶ each message to `deliver`
    command()    ─▶ device ─▶ its answer
    trade(now)   ─▶ market, load-management platform and weather station do what is due, over the `Exchange` given

What a back-test runs on. It takes no wall time for messages in flight, and behaves as `World` does
in lockstep: commands are there before the next step, telemetry before anybody acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.time import Interval
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.drplatform import LoadPlatform
from vpp.simulate.exchange import Exchange
from vpp.simulate.fleet import DeviceMessage, Fleet, rollout_defaults
from vpp.simulate.ledger import Ledger, Slot
from vpp.simulate.market import Market, Registration, SeriesIds, VenueTimes
from vpp.simulate.past import Registers, past_of
from vpp.simulate.prices import Prices
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory
from vpp.simulate.truth import books_of, metering_points, true_prices
from vpp.simulate.weather import WeatherStation
from vpp.wire import AckMessage, CommandMessage


class MarketPart(StrEnum):
    """What the simulated market does; the rest is left to somebody outside."""

    WHOLE = "whole"
    PRICES = "prices"
    """It publishes prices, asks for no bids and clears none."""

    NOTHING = "nothing"


class DirectWorld:
    """Devices and market of a park, driven by `advance` and `trade`."""

    def __init__(
        self,
        park: Park,
        scenario: Scenario,
        *,
        exchange: Exchange,
        deliver: Callable[[DeviceMessage], None],
        seed: int,
        opened_at: datetime,
        step: timedelta,
        times: VenueTimes,
        series: SeriesIds,
        market: MarketPart = MarketPart.WHOLE,
        faults: FaultPlan = NO_FAULTS,
    ) -> None:
        """Build everything; nothing is asked before `start`.

        Args:
            park: Its devices are simulated.
            scenario: The actual course of what nobody decides.
            exchange: How market and weather station reach the service.
            deliver: Takes each telemetry message.
            seed: Of prices and ids.
            opened_at: The first moment.
            step: Of the devices.
            times: When the market does what.
            series: Names of the published prices.
            market: What of the market is simulated.
            faults: What goes wrong with devices.

        Raises:
            DataError: The scenario does not fit the park, or the step not the quarter-hour.
        """
        self._park, self._scenario, self._step = park, scenario, step
        self._deliver = deliver
        self._fleet = Fleet(park, scenario, opened_at=opened_at, step=step, faults=faults)
        self._prices = Prices(scenario.day_ahead_per_mwh, scenario.market, seed)
        self._ledger = Ledger(scenario.minor_unit)
        self._points = metering_points(park)
        self._market = Market(
            exchange,
            self._prices,
            self._ledger,
            [Registration(u.unit_id, u.trades_from) for u in park.bidding_units]
            if market is MarketPart.WHOLE
            else [],
            self._metered_wh,
            seed=seed,
            opened_at=opened_at,
            times=times,
            series=series,
            publishes=market is not MarketPart.NOTHING,
            clearing=scenario.market.clearing,
        )
        invites = scenario.demand_response if market is MarketPart.WHOLE else None
        self._past = None if invites is None else past_of(park, scenario, opened_at)
        self._platform = LoadPlatform(
            exchange,
            invites,
            self._ledger,
            Registers(park, self._fleet, self._past).drawn_wh,
            zone=park.timezone,
            minor_unit=scenario.minor_unit,
            opened_at=opened_at,
        )
        self._weather = WeatherStation(exchange, scenario.outdoor_degc, opened_at=opened_at)
        self._published = 0
        self._refused = 0

    async def start(self) -> None:
        """Read the products and put the first gates on the agenda. Raises as `Market.start`."""
        await self._market.start()

    async def advance(self, now: datetime, expected_commands: Mapping[str, int]) -> dict[str, int]:
        """Live until `now` and tell; each device's newest `seq`.

        `expected_commands` have arrived already: a command is in the device when `command` returns.

        Raises:
            DataError: `now` is no whole number of steps ahead, or beyond the scenario.
        """
        self._fleet.step(now)
        messages = self._fleet.messages()
        for message in messages:
            self._deliver(message)
        self._published += len(messages)
        return {message.device_id: message.seq for message in messages if message.sound}

    def command(self, device_id: ResourceId, command: CommandMessage) -> AckMessage | None:
        """Hand a command to a device; its answer."""
        answer = self._fleet.receive(device_id, command, self._fleet.now)
        self._refused += answer is not None and not answer.accepted
        return answer

    async def trade(self, now: datetime) -> None:
        """Let market and platform do what is due until `now`, and the weather be told."""
        await self._market.act(now)
        await self._platform.act(now)
        await self._weather.act(now)

    def next_trade(self) -> datetime:
        """When the market, or the platform, is due next."""
        return min(self._market.next_due(), self._platform.next_due())

    def past(self) -> Trajectory | None:
        """What the main meters counted on the days before; None where nobody looks back on them."""
        return self._past

    def snapshot(self) -> dict[str, Any]:
        """The state of all devices now, as plain data."""
        return self._fleet.snapshot().plain()

    async def trajectory(self, span: Interval) -> Trajectory:
        """What the park did over `span`. Raises `DataError` where that is not recorded."""
        return self._fleet.trajectory(span)

    async def rollout(self, span: Interval) -> Trajectory:
        """What it would have done over `span` without any command, from its state then.

        Raises:
            DataError: `span` begins neither at the opening nor at a local midnight.
        """
        return rollout_defaults(
            self._park, self._scenario, self._fleet.snapshot_at(span.start), span, step=self._step
        )

    async def report(self) -> dict[str, Any]:
        """Counters, the venue's books and the true prices, as plain data."""
        recorded = self._fleet.recorded
        return {
            "now": self._fleet.now,
            "published": {"all": self._published},
            "refused": self._refused,
            "faults": dict(self._fleet.fired),
            "unsent": self._market.unsent,
            "demand_response": [*self._platform.results],
            "prices": true_prices(self._prices, recorded) if recorded else {},
        } | books_of(self._ledger)

    def _metered_wh(self, unit_id: str, slot: Slot) -> int:
        return self._fleet.metered_wh(self._points[unit_id], Interval(*slot))
