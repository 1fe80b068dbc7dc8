"""The simulations of a service: made, found, branched, and removed when nobody asks any more.

At most so many at once, for each holds a park, its record and a process that forecasts; problems are
solved by warm processes that all of them share, apart from the one that a live park plans with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from time import monotonic

from vpp.clock import Watch
from vpp.errors import ConfigError
from vpp.service.api.problems import RETRY_AFTER_S, HttpRefusal
from vpp.service.forecasting.forecaster import cores
from vpp.service.park.parkfile import ParkFile
from vpp.service.park.schema import SimulatorSettings
from vpp.service.simulations.asked import park_of
from vpp.service.simulations.record import Done
from vpp.service.simulations.simulation import Simulation
from vpp.service.simulations.views import SimulationRequest
from vpp.service.solving.executor import ExecutorPool

LOOK_EVERY_S = 30.0
"""How often it is looked for simulations that nobody asks any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A moment that one can branch off from: its requests done again lead there."""

    snapshot_id: str
    simulation: str
    file: ParkFile
    asked: SimulationRequest
    at: datetime
    asked_of_it: list[Done]
    """Grows as the simulation goes on; the first `requests` of it count."""

    requests: int
    digest: str

    @property
    def done(self) -> list[Done]:
        """What had been asked of it."""
        return self.asked_of_it[: self.requests]


class SimulationDesk:
    """All simulations of one service."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        parks: Path | None,
        clock: Watch,
        elapsed_s: Callable[[], float] = monotonic,
    ) -> None:
        """A desk without simulations.

        Args:
            settings: How many, and how long they are kept.
            parks: Folder whose park files can be named; None where only shipped ones can.
            clock: Of the service: it names simulations, and none of them sees it.
            elapsed_s: Wall time, to tell how long nobody asked.
        """
        self.settings, self.clock = settings, clock
        self._parks, self._elapsed_s = parks, elapsed_s
        self._pool = ExecutorPool(cores())
        self._run = f"{int(clock.now().timestamp()):x}"
        self._numbers = count(1)
        self._simulations: dict[str, Simulation] = {}
        self._asked_at_s: dict[str, float] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._opening = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Remove what is idle until the block is left, then everything."""
        looking = asyncio.create_task(self._look_for_idle(), name="idle simulations")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            for name in list(self._simulations):
                await self.remove(name)
            await self._pool.rest()

    # ------------------------------------------------------------ one

    async def make(self, asked: SimulationRequest) -> Simulation:
        """A new simulation, standing at its start with a first plan.

        Raises:
            HttpRefusal: `too_many_simulations`, `unknown_park`, or `simulation_failed`.
            DataError: It cannot begin then.
        """
        with self._place():
            try:
                file = await asyncio.to_thread(park_of, asked.park, self._parks)
            except ConfigError as error:
                raise HttpRefusal(
                    str(error),
                    code="unknown_park",
                    where=f"park {asked.park}",
                    fix="Name a shipped park, or a park file beside the one that is served",
                ) from error
            return await self._opened(file, asked)

    def find(self, name: str) -> Simulation:
        """The simulation of that id; it is not idle now.

        Raises:
            HttpRefusal: `unknown_simulation`.
        """
        simulation = self._simulations.get(name)
        if simulation is None:
            raise HttpRefusal(
                "there is none, or nobody asked for too long",
                code="unknown_simulation",
                where=f"simulation {name[:80]}",
                fix="Make one by POST /v1/simulations",
            )
        self._asked_at_s[name] = self._elapsed_s()
        return simulation

    def all(self) -> tuple[Simulation, ...]:
        """Every simulation, oldest first."""
        return tuple(self._simulations.values())

    async def step(self, name: str, until: datetime) -> Simulation:
        """Let a simulation go on. Raises as `find` and `Simulation.step`."""
        simulation = self.find(name)
        await simulation.step(until)
        return self.find(name)

    async def reset(self, name: str, seed: int | None) -> Simulation:
        """The same simulation from its start, under the same id, nothing asked of it yet.

        The old one goes on until the new one stands: where that fails, it is still there.

        Raises: as `make`, and `unknown_simulation`, also where it was removed meanwhile.
        """
        old = self.find(name)
        asked = old.asked if seed is None else old.asked.model_copy(update={"seed": seed})
        with self._place(instead_of=1):
            fresh = await self._made(old.park_file, asked, name)
            try:
                replaced = self.find(name)  # another reset may have come first
            except HttpRefusal:
                await fresh.close()
                raise
            self._take_up(fresh)
            await replaced.close()
            return fresh

    def keep(self, name: str) -> Snapshot:
        """Keep the present of a simulation, to branch off from it.

        Raises:
            HttpRefusal: `unknown_simulation`, or `conflict` while it is stepped, or once it was asked too much.
        """
        simulation = self.find(name)
        if simulation.busy.locked():
            raise HttpRefusal(
                "it is being stepped",
                code="conflict",
                where=f"simulation {name}",
                fix="Ask again when the step is answered",
            )
        if simulation.forgot:
            raise HttpRefusal(
                f"more than {self.settings.most_requests} requests were asked of it, too many to do again",
                code="conflict",
                where=f"simulation {name}",
                fix="Keep a snapshot sooner, or raise simulators.most_requests in the park file",
            )
        kept = Snapshot(
            snapshot_id=f"{name}@{len(simulation.done)}-{simulation.now:%Y%m%dT%H%M%SZ}",
            simulation=name,
            file=simulation.park_file,
            asked=simulation.asked,
            at=simulation.now,
            asked_of_it=simulation.done,
            requests=len(simulation.done),
            digest=simulation.fingerprint.digest,
        )
        self._snapshots[kept.snapshot_id] = kept
        return kept

    async def branch(self, name: str, snapshot_id: str | None) -> Simulation:
        """Another simulation that stands where a snapshot was taken: its requests are done again.

        Raises:
            HttpRefusal: As `make`; `unknown_snapshot`; `simulation_failed` where the run did not repeat.
        """
        kept = self.keep(name) if snapshot_id is None else self._snapshots.get(snapshot_id)
        if kept is None or kept.simulation != name:
            raise HttpRefusal(
                "no such snapshot was taken of it",
                code="unknown_snapshot",
                where=f"simulation {name}",
                fix="Take one by POST …/snapshot",
            )
        with self._place():
            simulation = await self._opened(kept.file, kept.asked)
        simulation.branch_of = kept.snapshot_id
        try:
            await simulation.do_again(kept.done, kept.at)
        except BaseException:  # cancelled too: nobody knows its id, so nobody could end it
            await self.remove(simulation.name)
            raise
        if simulation.fingerprint.digest != kept.digest:
            await self.remove(simulation.name)
            raise HttpRefusal(
                "the same requests gave another record",
                code="simulation_failed",
                where=f"snapshot {kept.snapshot_id}",
                fix="Report this: a run must repeat",
            )
        return simulation

    async def remove(self, name: str) -> Simulation:
        """End a simulation and forget it, with its snapshots.

        Raises:
            HttpRefusal: `unknown_simulation`.
        """
        simulation = self.find(name)
        await self._end(simulation)
        self._snapshots = {k: s for k, s in self._snapshots.items() if s.simulation != name}
        if not self._simulations and not self._opening:
            await self._pool.rest()
        return simulation

    # ------------------------------------------------------------ within

    @contextmanager
    def _place(self, instead_of: int = 0) -> Iterator[None]:
        """Room for one more while it is made, `instead_of` others.

        Raises:
            HttpRefusal: `too_many_simulations`.
        """
        if len(self._simulations) - instead_of + self._opening >= self.settings.at_most:
            raise HttpRefusal(
                f"{self.settings.at_most} simulations are run at once here",
                code="too_many_simulations",
                where="simulations",
                fix="Remove one by DELETE, or let the service allow more",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1

    async def _opened(self, file: ParkFile, asked: SimulationRequest) -> Simulation:
        simulation = await self._made(file, asked, f"{self._run}-{next(self._numbers)}")
        self._take_up(simulation)
        return simulation

    async def _made(self, file: ParkFile, asked: SimulationRequest, name: str) -> Simulation:
        simulation = Simulation(name, file, asked, most_requests=self.settings.most_requests)
        try:
            await simulation.open(self._pool)
        except BaseException:
            await simulation.close()
            raise
        return simulation

    def _take_up(self, simulation: Simulation) -> None:
        self._simulations[simulation.name] = simulation
        self._asked_at_s[simulation.name] = self._elapsed_s()

    async def _end(self, simulation: Simulation) -> None:
        del self._simulations[simulation.name], self._asked_at_s[simulation.name]
        await simulation.close()

    async def remove_idle(self) -> list[str]:
        """Remove what nobody asked for too long; those that are being stepped are not idle."""
        before_s = self._elapsed_s() - self.settings.idle_minutes * 60
        idle = [
            name
            for name, asked_at_s in self._asked_at_s.items()
            if asked_at_s < before_s and not self._simulations[name].busy.locked()
        ]
        for name in idle:
            await self.remove(name)
        return idle

    async def _look_for_idle(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.remove_idle()
