"""What the solver is asked is written down in a thread: nothing of it may change with the plant meanwhile."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from adapters.sqlite_journal import SqliteJournal
from benchmarks._fleetpark import write_fleet
from benchmarks.fleet_cycle import BEGAN, Hand, give_past, hear, plant_of
from vpp.model.measurement import ParkState
from vpp.model.park import Park
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service import cycle
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant

ATOMS = (str, int, float, bytes, bool, type(None), np.ndarray, type)
WRITTEN_OTHERWISE = (Park, ParkState)
"""Nouns that remember what they were asked, and are written down field by field without that."""


def reached(root: object) -> dict[int, Any]:
    """All that hangs on an object, by identity."""
    found: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in found or isinstance(one, ATOMS):
            continue
        found[id(one)] = one
        match one:
            case dict():
                waiting += [*one.keys(), *one.values()]
            case list() | tuple() | set() | frozenset():
                waiting += one
            case _:
                waiting += vars(one).values() if hasattr(one, "__dict__") else ()
                slots = (
                    name for cls in type(one).__mro__ for name in getattr(cls, "__slots__", ())
                )
                waiting += [getattr(one, name, None) for name in slots]
    return found


class Looking:
    """Looks at what it is asked, at the moment at which it would be written down."""

    pid: int | None = None
    plant: Plant
    asked = 0

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        of_problem, park = reached(problem), reached(self.plant.file.park)
        of_plant = reached(self.plant)
        shared = [
            one
            for name, one in of_problem.items()
            if name in of_plant and name not in park and isinstance(one, dict | list | set)
        ]
        remembers = {
            type(one)
            for one in of_problem.values()
            if any(isinstance(what, cached_property) for what in vars(type(one)).values())
        }
        assert shared == []
        assert remembers <= set(WRITTEN_OTHERWISE)
        assert problem.view.state in of_plant.values()  # it was looked for where it is
        self.asked += 1
        return Unsolved(reason="it was only looked at")


def test_nothing_that_the_solver_is_asked_changes_with_the_plant(tmp_path: Path) -> None:
    async def run() -> None:
        executor, clock = Looking(), Hand(BEGAN)
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            file = load_park(write_fleet(72, tmp_path))
            plant = executor.plant = plant_of(file, tmp_path, clock, journal, executor)
            give_past(plant)
            hear(plant, 1)
            await cycle.plan(plant, BEGAN)
        assert executor.asked == 1

    asyncio.run(run())
