"""One simulation: a plant and its world whose time stands until somebody steps it.

    step(until) ─▶ … devices ▸ weather, prices ▸ trade ▸ plan ▸ act ▸ account … ─▶ time stands again
    do(request) ─▶ the same handler as on a live plant, at the moment that stands

The loops are those of a live plant (`loops.py`) in lockstep with the world (`demo/simulation.py` of the
service); one seat more at the clock, the last in turn, holds time back. Nothing of the wall clock and
nothing of another simulation enters: the same park, seed and requests at the same moments give the same
record byte by byte. That is also how `branch` goes back to a moment: the requests are done again.
"""

from __future__ import annotations

import asyncio
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import structlog
from pydantic import BaseModel

from vpp.clock import SimulatedClock
from vpp.errors import DataError, VppError
from vpp.model.time import isoformat
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import Answer, AnyRoute, Call
from vpp.service.backtest.replay import open_direct
from vpp.service.demo.simulation import GRACE, loops_with_world, series_ids
from vpp.service.forecasting.forecaster import ProcessForecaster
from vpp.service.park.parkfile import ParkFile
from vpp.service.run import run
from vpp.service.simulations.asked import as_asked, ends
from vpp.service.simulations.record import Done, Fingerprint, Warnings, kind_of
from vpp.service.simulations.views import SimulationRequest
from vpp.service.solving.executor import Executor
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.direct import MarketPart
from vpp.simulate.market import VenueTimes

log = structlog.get_logger("vpp")


class Simulation:
    """A plant on a clock of its own. Made by `open`, ended by `close`."""

    def __init__(
        self, name: str, file: ParkFile, asked: SimulationRequest, *, most_requests: int
    ) -> None:
        """Of `file`, run as `asked`; nothing is there before `open`.

        So many requests are kept to be done again; with one more all are forgotten.

        Raises:
            DataError: It cannot be run so.
        """
        self.name, self.asked = name, asked
        self.park_file = file
        """As it was read, before what is asked changes something in it."""
        self._file, self.start = as_asked(file, asked)
        self.ends = ends(file)
        self.branch_of: str | None = None
        self.fingerprint = Fingerprint()
        self.done: list[Done] = []
        self.forgot = False
        """Whether more was asked of it than is kept: nothing can branch off any more."""
        self.asked_of_it = 0
        """Requests that were to change something, forgotten ones too."""
        self._most_requests = most_requests
        self.busy = asyncio.Lock()
        """Held while time passes or something is changed: one after the other."""

        self._clock = SimulatedClock(self.start)
        self._stop = asyncio.Event()
        self._stack = AsyncExitStack()

    # ------------------------------------------------------------ life

    async def open(self, executor: Executor) -> Self:
        """Build everything and let the cycles of the first moment run: then there is a plan.

        Raises:
            ConfigError: A strategy that cannot be made.
            DataError: The scenario does not fit the park.
            HttpRefusal: `simulation_failed`.
        """
        folder = tempfile.TemporaryDirectory(prefix="vpp-simulation-")
        data = Path(self._stack.enter_context(folder))
        forecaster = await self._stack.enter_async_context(ProcessForecaster())
        self.plant, world = await open_direct(
            self._file,
            self._clock,
            data,
            executor,
            seed=self.asked.seed,
            device_step=timedelta(seconds=self.asked.control_period_s),
            times=VenueTimes(),
            market=MarketPart.PRICES if self.asked.prices == "recorded" else MarketPart.NOTHING,
            forecaster=forecaster,
            faults=FaultPlan.at_random(self.asked.failing_share, seed=self.asked.seed)
            if self.asked.failing_share
            else NO_FAULTS,
            written=self.fingerprint.add,
        )
        self.plant.events.hush()
        self.series = series_ids(self.plant)
        self._warnings = Warnings(self._stack.enter_context(self.plant.events.listen()))
        loops = loops_with_world(self.plant, world, self._clock, lambda now: self._warnings.look())
        self._seat = self._clock.seat("whoever asks")  # the last: all that is due comes before
        self._living = asyncio.create_task(self._live(loops), name=f"simulation {self.name}")
        self._stack.push_async_callback(self._end)
        await self.step(self.start)
        return self

    async def close(self) -> None:
        """End everything, a step that is under way too."""
        await self._stack.aclose()

    async def _end(self) -> None:
        self._stop.set()
        self._living.cancel()
        await asyncio.gather(self._living, return_exceptions=True)

    async def _live(self, loops: dict[str, Any]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(run(loops, self._stop, grace=GRACE), name="loops")
                self._ticking = group.create_task(self._clock.run(self._stop), name="clock")
        except Exception as error:
            how = "".join(traceback.format_exception(error))
            log.error("a simulation broke", simulation=self.name, traceback=how)
            raise

    # ------------------------------------------------------------ time

    @property
    def now(self) -> datetime:
        """The moment that stands; while it is stepped, the one that has been reached."""
        return self._clock.now()

    @property
    def status(self) -> Literal["standing", "stepping", "failed", "removed"]:
        """Whether time stands or passes in it, or will not any more."""
        if self._stop.is_set():
            return "removed"
        if self._living.done():
            return "failed"
        return "stepping" if self.busy.locked() else "standing"

    @property
    def why_failed(self) -> str | None:
        """What broke it."""
        if not self._living.done() or self._living.cancelled():
            return None
        error = self._living.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return str(error)

    async def step(self, until: datetime) -> None:
        """Let everything happen that is due up to `until`; the present again changes nothing.

        Raises:
            DataError: `until` lies before the present, or after the end of the park's series.
            HttpRefusal: `simulation_failed`: a cycle broke; `unknown_simulation`: it was removed meanwhile.
        """
        async with self.busy:
            await self._reach(until)

    async def _reach(self, until: datetime) -> None:
        self._require_whole()
        if not self.now <= until <= self.ends:
            raise DataError(
                f"it stands at {isoformat(self.now)} and cannot go to {isoformat(until)}",
                where="until",
                fix=f"Name a moment from the present to {isoformat(self.ends)}",
            )
        there = asyncio.create_task(self._seat.wait_until(until, self._stop))
        await asyncio.wait({there, self._living}, return_when=asyncio.FIRST_COMPLETED)
        self._warnings.look()
        if self._ticking.done():  # a clock that ends lets everybody go, also who is not there yet
            there.cancel()
            await asyncio.wait({self._living})
            self._require_whole()

    def _require_whole(self) -> None:
        """Refuse where a loop broke: half a plant must not go on, nor be traded with."""
        if self._stop.is_set():
            raise HttpRefusal(
                "it was removed meanwhile",
                code="unknown_simulation",
                where=f"simulation {self.name}",
                fix="Make one by POST /v1/simulations",
            )
        if self._living.done():
            raise HttpRefusal(
                self.why_failed or "a loop of it ended",
                code="simulation_failed",
                where=f"simulation {self.name}",
                fix="Reset it, or make another; report what broke it",
            )

    # ------------------------------------------------------------ requests

    async def look(self, route: AnyRoute, call: Call[Any, Any]) -> Answer:
        """Answer a request that changes nothing, also while time passes."""
        return await route.handle(self.plant, _at(call, self.now))

    async def do(self, route: AnyRoute, call: Call[Any, Any]) -> Answer:
        """Do a request that changes something, at the moment that stands, and keep it to be done again.

        Raises:
            VppError: As the route refuses.
        """
        async with self.busy:
            self._require_whole()
            refused = None
            try:
                return await route.handle(self.plant, _at(call, self.now))
            except VppError as error:
                refused = kind_of(error)
                raise
            finally:
                self._keep(
                    Done(
                        at=self.now,
                        route=route,
                        path=dict(call.path),
                        body=call.body,
                        refused=refused,
                    )
                )

    def _keep(self, done: Done) -> None:
        """To be done again by a branch; snapshots that were taken keep what led to them."""
        self.asked_of_it += 1
        if len(self.done) >= self._most_requests:
            self.done, self.forgot = [], True
        if not self.forgot:
            self.done.append(done)

    async def do_again(self, done: Sequence[Done], until: datetime) -> None:
        """Do what another one was asked, at the same moments, and go on to `until`.

        Raises:
            HttpRefusal: `simulation_failed`, also where something was refused that was not, or the other way round.
        """
        for one in done:
            await self.step(one.at)
            refused = None
            try:
                await self.do(one.route, _again(one))
            except VppError as error:
                refused = kind_of(error)
            if refused != one.refused:
                raise HttpRefusal(
                    f"{one.route.summary!r} at {isoformat(one.at)} ends with {refused}, and ended"
                    f" with {one.refused} before",
                    code="simulation_failed",
                    where=f"simulation {self.name}",
                    fix="Report this: a run must repeat",
                )
        await self.step(until)

    def warnings(self) -> dict[str, int]:
        """Warnings and alarms so far, by kind."""
        return self._warnings.counts()


def _at(call: Call[Any, Any], now: datetime) -> Call[Any, Any]:
    return Call(request=call.request, path=call.path, query=call.query, body=call.body, now=now)


def _again(done: Done) -> Call[Any, Any]:
    nothing: BaseModel = done.route.query()
    return Call(request=None, path=done.path, query=nothing, body=done.body, now=done.at)
