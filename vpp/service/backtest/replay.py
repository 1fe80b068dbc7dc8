"""A plant in one process with its simulated world: no broker, no HTTP, no disk.

    plant ── DirectLink ────── devices      the messages of the wire, as bytes
          ── DirectExchange ── market       the bodies of the HTTP contract, through its own functions

Everything between is what runs live: intake, forecasts, the solver's child process, bids, awards,
set-points, guard, settlement. Time is a simulated clock in lockstep (`demo/simulation.py`).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from vpp.clock import SimulatedClock
from vpp.errors import ConfigError, UnavailableError, VppError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.time import Interval, local_date, local_moment
from vpp.ports import JournalEntry, Message, Unsent
from vpp.service.api.invitations import show_invitation
from vpp.service.api.markets import product_views, request_digest
from vpp.service.api.problems import refusal_of
from vpp.service.api.routes import Call, Nothing
from vpp.service.calls import activations
from vpp.service.demandresponse import demandresponse
from vpp.service.demo.history import give_history, give_meters
from vpp.service.demo.simulation import OPENING, Simulation, series_ids
from vpp.service.feeds import door as series_door
from vpp.service.forecasting.forecaster import Forecaster
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor
from vpp.service.trading import awarding, trading
from vpp.service.wiring import plant_in_memory, unseen
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.direct import DirectWorld, MarketPart
from vpp.simulate.exchange import Answer
from vpp.simulate.fleet import DeviceMessage
from vpp.simulate.market import VenueTimes
from vpp.simulate.spec import Scenario
from vpp.wire import (
    AckMessage,
    ActivationRequest,
    AwardRequest,
    BidRequest,
    SeriesUpload,
    command_of,
    topic,
)
from vpp.wiredr import InvitationRequest


class DirectLink:
    """`MessageSource` and `SetpointSink` on simulated devices in this process."""

    def __init__(self, opened_at: datetime) -> None:
        """A link that stands since `opened_at`; `attach` says where commands go."""
        self.connected, self.since = True, opened_at
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._command: Callable[[ResourceId, Any], AckMessage | None] | None = None
        self._homes: Mapping[ResourceId, tuple[str, str]] = {}

    def attach(self, world: DirectWorld, homes: Mapping[ResourceId, tuple[str, str]]) -> None:
        """Let commands go to the devices of `world`; `homes` are enterprise and site of each."""
        self._command, self._homes = world.command, homes

    def deliver(self, message: DeviceMessage) -> None:
        """Put a device's telemetry on the link."""
        self._arrived.put_nowait(Message(topic=message.topic, payload=message.payload))

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self._arrived.get()

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        if self._command is None:
            raise UnavailableError(
                "no devices yet", where="DirectLink", fix="Call attach() before the first cycle"
            )
        for setpoint in setpoints:
            answer = self._command(setpoint.resource_id, command_of(setpoint))
            if answer is not None:
                where = topic(*self._homes[setpoint.resource_id], setpoint.resource_id, "ack")
                self._arrived.put_nowait(Message(topic=where, payload=msgspec.json.encode(answer)))
        return ()


class DirectExchange:
    """An `Exchange` that answers what market and weather station ask, as the HTTP face would."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        retry_busy: bool = True,
    ) -> Answer:
        """Do at once what is asked; a refusal carries the contract's code and status.

        Raises:
            UnavailableError: Nobody answers at that path here.
        """
        try:
            raw = await self._answer(method, path.split("/")[2:], body)
        except VppError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            told = {"code": refusal.code, "detail": str(refusal)}
            return Answer(refusal.status, told, json.dumps(told).encode())
        return Answer(200, json.loads(raw), raw)

    async def _answer(
        self, method: str, path: Sequence[str], body: Mapping[str, Any] | None
    ) -> bytes:
        plant, now = self._plant, self._plant.clock.now()
        match method, *path:
            case "GET", "markets":
                return product_views(plant, now).model_dump_json().encode()
            case "POST", "markets", product_id, "bids":
                bid = BidRequest.model_validate(body)
                return await trading.answer_bid_request(
                    plant, product_id, bid, digest=request_digest(bid), now=now
                )
            case "POST", "markets", product_id, "awards":
                award = AwardRequest.model_validate(body)
                taken = await awarding.book_award(plant, product_id, award, now=now)
                return taken.model_dump_json().encode()
            case "GET", "markets", product_id, "bids", bid_set_id:
                return trading.show_bid_set(plant, product_id, bid_set_id)
            case "POST", "markets", product_id, "activations":
                call = ActivationRequest.model_validate(body)
                await activations.take(plant, product_id, call, now=now)
                return b"{}"
            case _, "markets", product_id, "invitations", *rest:
                return await self._invited(product_id, rest, body)
            case "PUT", "series", series_id:
                upload = SeriesUpload.model_validate(body)
                await series_door.put_series(plant, series_id, upload, now=now)
                return b"{}"
            case _:
                raise UnavailableError(
                    f"{method} /{'/'.join(path)}", where="back-test", fix="Ask the service itself"
                )

    async def _invited(
        self, product_id: str, rest: Sequence[str], body: Mapping[str, Any] | None
    ) -> bytes:
        """An invitation, or how one stands."""
        plant, now = self._plant, self._plant.clock.now()
        if rest:
            path = {"product": product_id, "invitation_id": rest[0]}
            asked = Call(request=None, path=path, query=Nothing(), body=Nothing(), now=now)
            return (await show_invitation(plant, asked)).model_dump_json().encode()
        await demandresponse.take(
            plant, product_id, InvitationRequest.model_validate(body), now=now
        )
        return b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What to replay."""

    span: Interval
    """Begins at a local midnight."""

    seed: int
    device_step: timedelta
    """How finely devices live; divides the control period."""

    times: VenueTimes


@asynccontextmanager
async def open_replay(
    file: ParkFile,
    options: ReplayOptions,
    executor: Executor,
    forecaster: Forecaster | None = None,
) -> AsyncIterator[tuple[Simulation, SimulatedClock]]:
    """Build plant and world, with the history that was known at the opening.

    The opening is at 11:00 local time on the day before the span, as in the demo: then the first
    day can be bid.

    Raises:
        ConfigError: The park has no simulation section, or its series do not reach that far.
    """
    began = perf_counter()
    park, scenario = file.park, scenario_of(file)
    eve = local_date(options.span.start, park.timezone) - timedelta(days=1)
    clock = SimulatedClock(local_moment(eve, OPENING, park.timezone))
    with tempfile.TemporaryDirectory(prefix="vpp-replay-") as folder:
        plant, world = await open_direct(
            file,
            clock,
            Path(folder),
            executor,
            seed=options.seed,
            device_step=options.device_step,
            times=options.times,
            forecaster=forecaster,
        )
        yield (
            Simulation(
                file=file,
                scenario=scenario,
                span=options.span,
                seed=options.seed,
                plant=plant,
                executor=executor,
                world=world,
                began=began,
            ),
            clock,
        )


def scenario_of(file: ParkFile) -> Scenario:
    """What the simulated world of a park is made of.

    Raises:
        ConfigError: The park file has no simulation section.
    """
    if file.simulation is None:
        raise ConfigError(
            "has no simulation section: nothing to replay",
            where="park file",
            fix="Add one; docs/park-file.md shows how",
        )
    return file.simulation


async def open_direct(
    file: ParkFile,
    clock: SimulatedClock,
    data: Path,
    executor: Executor,
    *,
    seed: int,
    device_step: timedelta,
    times: VenueTimes,
    market: MarketPart = MarketPart.WHOLE,
    forecaster: Forecaster | None = None,
    faults: FaultPlan = NO_FAULTS,
    written: Callable[[JournalEntry], None] = unseen,
) -> tuple[Plant, DirectWorld]:
    """A plant and its world at the clock's present, with the history that was known then.

    `market` is what the simulated market does of all that a market does; `written` is shown each entry
    of the journal; `faults` are what goes wrong with devices.

    Raises:
        ConfigError: The park has no simulation section, or a strategy that cannot be made.
        DataError: The scenario does not fit the park, or the steps not the quarter-hour.
    """
    scenario, start = scenario_of(file), clock.now()
    link = DirectLink(start)
    plant = plant_in_memory(
        file.in_simulation(),
        clock=clock,
        data=data,
        source=link,
        sink=link,
        executor=executor,
        forecaster=forecaster,
        seed=seed,
        written=written,
    )
    give_history(plant, scenario, start)
    world = DirectWorld(
        file.park,
        scenario,
        exchange=DirectExchange(plant),
        deliver=link.deliver,
        seed=seed,
        opened_at=start - timedelta(seconds=file.control.period_s),
        step=device_step,
        times=times,
        series=series_ids(plant),
        market=market,
        faults=faults,
    )
    link.attach(world, file.park.device_owner)
    if (before := world.past()) is not None:
        give_meters(plant, before)
    await world.start()
    return plant, world
