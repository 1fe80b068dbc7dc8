"""Where something changes at one enterprise of a fleet alone, the others are planned as they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from adapters.sqlite_journal import SqliteJournal
from benchmarks._fleetpark import write_fleet
from benchmarks.fleet_cycle import BEGAN, Hand, give_past, hear, plant_of
from vpp.act.health import Fault
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import Unknown
from vpp.model.schedule import HowSolved, Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service import cycle
from vpp.service.park.parkfile import load_park
from vpp.service.planning import alone
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor

MINUTE = timedelta(minutes=1)
STRAY, OWNER, OTHER = ResourceId("b0-0"), EnterpriseId("works-0"), EnterpriseId("works-1")


class Noting(InlineExecutor):
    """Solves here, and keeps what it was asked; may be told to fail once."""

    def __init__(self) -> None:
        self.asked: list[Problem] = []
        self.fails = False

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        self.asked.append(problem)
        if self.fails:
            self.fails = False
            return Unsolved(reason="it was told to")
        return await super().solve(problem, hard_s=hard_s)


@asynccontextmanager
async def fleet(folder: Path, method: str) -> AsyncIterator[tuple[Plant, Noting]]:
    """Two enterprises with a plan; a minute later all batteries hold less, and one does not follow."""
    path = write_fleet(72, folder)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("soft_s: 600,", f"soft_s: 600, method: {method},"))
    clock, executor = Hand(BEGAN), Noting()
    async with SqliteJournal.open(folder / "journal.sqlite") as journal:
        plant = plant_of(load_park(path), folder, clock, journal, executor)
        give_past(plant)
        hear(plant, 1)
        await cycle.plan(plant, BEGAN)
        assert plant.schedule is not None
        clock.at = BEGAN + MINUTE
        for name, reading in plant.intake.newest.items():
            if reading.soc is not None:
                plant.intake.newest[name] = replace(reading, soc=0.4)
        plant.acting.health.fault[plant.units.index[STRAY]] = Fault.NOT_FOLLOWED
        yield plant, executor


def lived(
    folder: Path, live: Callable[[Plant, Noting], Coroutine[None, None, None]], method: str
) -> None:
    async def all_of_it() -> None:
        async with fleet(folder, method) as (plant, executor):
            await live(plant, executor)

    asyncio.run(all_of_it())


def socs(problem: Problem, owner: EnterpriseId) -> set[float | None]:
    owned = {r.resource_id for r in problem.view.park.resources if r.enterprise_id == owner}
    return {
        one.soc
        for one in problem.view.state.resources
        if not isinstance(one, Unknown) and one.resource_id in owned and one.soc is not None
    }


def test_one_that_does_not_follow_is_planned_without_and_the_others_as_they_were(
    tmp_path: Path,
) -> None:
    async def live(plant: Plant, executor: Noting) -> None:
        before = plant.schedule
        assert before is not None
        alone.ask(plant, frozenset({OWNER}), f"{STRAY} does not follow")
        await cycle.replan(plant, BEGAN + MINUTE)
        first, again = executor.asked
        after = plant.schedule
        assert after is not None
        assert (after.plan_id, after.issued_at) == ("plan-000002", before.issued_at)
        assert plant.replan is None
        told = [e.text for e in plant.events.recent() if e.kind == "replan"]
        assert told == [f"a new plan at once: {STRAY} does not follow: {OWNER} alone"]
        assert socs(again, OTHER) == socs(first, OTHER) == {0.5}
        assert socs(again, OWNER) == {0.4}
        assert (again.view.committed_kw == first.view.committed_kw).all()
        row = after.resource_ids.index(STRAY)
        assert np.abs(after.power_kw[row]).max() < 1e-6
        # The next one builds on it.
        alone.ask(plant, frozenset({OTHER}), "another")
        await cycle.replan(plant, BEGAN + 2 * MINUTE)
        assert socs(executor.asked[2], OWNER) == socs(executor.asked[2], OTHER) == {0.4}
        assert plant.schedule is not None
        assert np.abs(plant.schedule.power_kw[row]).max() < 1e-6

    lived(tmp_path, live, "structured")


def test_where_it_gives_no_plan_all_is_planned(tmp_path: Path) -> None:
    async def live(plant: Plant, executor: Noting) -> None:
        executor.fails = True
        alone.ask(plant, frozenset({OWNER}), "why")
        await cycle.replan(plant, BEGAN + MINUTE)
        assert [socs(one, OTHER) for one in executor.asked] == [{0.5}, {0.5}, {0.4}]
        assert plant.schedule is not None
        assert plant.schedule.plan_id == "plan-000003"
        assert plant.replan is None

    lived(tmp_path, live, "structured")


def test_all_is_planned_anew_unless_the_others_may_stay_as_they_are(tmp_path: Path) -> None:
    """Each of these alone is enough for a plan of all."""

    async def live(plant: Plant, executor: Noting) -> None:
        now, schedule = BEGAN + MINUTE, plant.schedule
        assert schedule is not None
        alone.ask(plant, frozenset({OWNER}), "why")
        assert alone.problem_alone(plant, now) is not None
        assert alone.problem_alone(plant, BEGAN + timedelta(minutes=15)) is None
        for other in (
            replace(schedule, plan_id="plan-7"),
            replace(schedule, how=HowSolved(method="HiGHS")),
        ):
            plant.schedule = other
            assert alone.problem_alone(plant, now) is None
        plant.schedule = schedule
        basis = plant.tuning.basis
        assert basis is not None
        sold = replace(basis.problem.view, committed_kw=basis.problem.view.committed_kw + 1.0)
        plant.tuning.basis = replace(basis, problem=replace(basis.problem, view=sold))
        assert alone.problem_alone(plant, now) is None
        plant.tuning.basis = basis
        plant.replan = "an order of the grid"
        assert alone.problem_alone(plant, now) is None
        alone.ask(plant, frozenset({OTHER}), "it comes later")
        assert plant.replan == "an order of the grid"
        assert alone.problem_alone(plant, now) is None

    lived(tmp_path, live, "structured")


def test_what_is_asked_for_two_is_one_plan_of_both(plant: Plant) -> None:
    alone.ask(plant, frozenset({OWNER}), "a")
    alone.ask(plant, frozenset({OTHER}), "b")
    assert plant.replan == "a; b"
    assert alone.asked_about(plant) == {OWNER, OTHER}
    plant.replan = "an order"
    assert alone.asked_about(plant) == frozenset()
