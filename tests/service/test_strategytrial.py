"""The first plan under a version is its trial: a version that has no plan never leaves the plant without one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.service.conftest import NOW, hear, publish
from tests.service.test_strategychanges import FIRST, SECOND, STEP, Tuned
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.schedule import Optimal, Outcome, Unsolved
from vpp.plan.part import Part, Reach
from vpp.plan.problem import Problem
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service import cycle
from vpp.service.alarms.watch import conditions
from vpp.service.events import Severity
from vpp.service.inputs import series_needed
from vpp.service.park.parkfile import ParkFile
from vpp.service.solving.inline import InlineExecutor
from vpp.service.strategies.strategies import version_of
from vpp.service.tuning import changing, record
from vpp.service.tuning.view import strategies_view


class Choosy(InlineExecutor):
    """A solver that finds no plan under some versions; under the others the real one."""

    def __init__(self, *hopeless: str) -> None:
        super().__init__()
        self.hopeless = {version_of(text) for text in hopeless}
        self.asked: list[str] = []

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        self.asked.append(problem.options.strategy_version)
        if problem.options.strategy_version in self.hopeless:
            return Unsolved(reason="the limits contradict each other")
        return await super().solve(problem, hard_s=hard_s)


class Slips:
    """A strategy whose author slipped."""

    REACH: ClassVar[Reach] = Reach.PARK

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        raise ZeroDivisionError("division by zero")


class Planned(Tuned):
    """A plant whose plans are made by a choosy solver."""

    def __init__(
        self, file: ParkFile, folder: Path, *hopeless: str, journal: Any = None, now: datetime = NOW
    ) -> None:
        super().__init__(file, folder, journal)
        self.now = now
        self.plant.executor = self.solver = Choosy(*hopeless)
        publish(self.plant)
        hear(self.plant, now)
        course = Horizon(NOW - timedelta(days=15), STEP, 18 * 96)
        for name in series_needed(self.plant):
            if not name.startswith("price."):
                self.plant.series.put_profile(
                    name,
                    unit="kW",
                    profile=Profile(course, np.full(course.steps, 100.0)),
                    known_at=course.start,
                    source="test",
                )

    def plan(self) -> None:
        asyncio.run(cycle._make_plan(self.plant, self.now, 0.0))
        self.now += STEP


@pytest.fixture
def planned(park_file: ParkFile, tmp_path: Path) -> Planned:
    planned = Planned(park_file, tmp_path, SECOND)
    planned.plan()
    assert isinstance(planned.plant.outcome, Optimal)
    return planned


def test_a_version_without_a_plan_is_refused_and_the_one_before_makes_the_plan_at_once(
    planned: Planned,
) -> None:
    planned.put(SECOND)
    planned.solver.asked.clear()
    issued = planned.now
    planned.plan()

    plant = planned.plant
    assert planned.solver.asked == [version_of(SECOND), version_of(FIRST)]
    assert plant.schedule is not None
    assert plant.schedule.issued_at == issued
    assert plant.schedule.strategy_version == plant.strategy_version == version_of(FIRST)
    assert planned.states() == ["live", "refused"]
    (refusal,) = planned.journal.entries(record.REFUSED)
    assert (refusal.key, b"contradict" in refusal.body) == ("000002", True)
    (told,) = [e for e in plant.events.recent() if e.kind == "strategies_refused"]
    assert told.severity is Severity.ALARM
    assert "contradict each other" in told.text
    view = strategies_view(plant, planned.now)
    assert view.live is not None
    assert (view.live.number, view.file.state) == (1, "broken")
    assert "contradict each other" in view.file.faults[0].what
    assert "strategy_broken" in {one.kind for one in conditions(plant, plant.alarms, planned.now)}


def test_a_text_that_was_refused_is_not_tried_again_until_it_changes(planned: Planned) -> None:
    planned.put(SECOND)
    planned.plan()
    planned.solver.asked.clear()
    planned.edit(SECOND)  # saved once more
    planned.plan()
    with pytest.raises(DataError, match="refused at its first plan"):
        planned.put(SECOND)
    planned.plan()
    assert planned.solver.asked == [version_of(FIRST)] * 2
    assert planned.plant.tuning.seen.faults

    planned.edit(SECOND.replace("80.0", "60.0"))
    planned.plan()
    assert planned.spread == 60
    assert planned.states() == ["was_live", "refused", "live"]
    assert "strategy_broken" not in {
        one.kind for one in conditions(planned.plant, planned.plant.alarms, planned.now)
    }


def test_where_the_version_before_has_no_plan_either_nothing_is_refused(planned: Planned) -> None:
    planned.put(SECOND)
    planned.solver.hopeless |= {version_of(FIRST)}
    planned.plan()
    assert planned.plant.strategy_version == version_of(FIRST)
    assert planned.states() == ["live", "waiting"]

    planned.solver.hopeless.clear()
    planned.plan()
    assert planned.states() == ["was_live", "live"]
    assert planned.plant.strategy_version == version_of(SECOND)


def test_a_strategy_that_raises_whatever_it_likes_is_refused_too(
    planned: Planned,
) -> None:
    planned.put(SECOND)
    (entry,) = planned.plant.tuning.waiting.entries if planned.plant.tuning.waiting else ()

    waiting = planned.plant.tuning.waiting
    assert waiting is not None
    planned.plant.tuning.waiting = replace(waiting, entries=(replace(entry, settings=Slips()),))
    planned.plan()

    assert planned.states() == ["live", "refused"]
    assert "ZeroDivisionError" in str(planned.plant.tuning.versions[2].refused_because)
    assert isinstance(planned.plant.outcome, Optimal)


def test_a_strategy_that_slips_on_the_park_as_it_stands_is_refused_before_it_is_a_version(
    planned: Planned,
) -> None:
    held = planned.plant.strategies
    slips = replace(held, entries=(replace(held.entries[0], settings=Slips()),))

    with pytest.raises(DataError, match=r"fail on the park as it stands: .*ZeroDivisionError"):
        changing.try_on_view(planned.plant, slips)


def test_what_the_record_knows_of_a_refusal_holds_after_a_restart(
    planned: Planned, park_file: ParkFile
) -> None:
    planned.put(SECOND)
    planned.plan()
    versions = record.versions_on_record(planned.journal)

    assert versions == planned.plant.tuning.versions
    assert record.last_live_text(planned.journal) == FIRST
    assert record.refusal(versions, version_of(SECOND))
    planned.path.write_text(
        FIRST
    )  # what `load_to_run` begins with, beside the file that is refused
    again = Planned(park_file, planned.path.parent, SECOND, journal=planned.journal)
    again.edit(SECOND)
    again.plan()
    assert again.states() == ["live", "refused"]
    assert again.plant.tuning.seen.faults


@pytest.mark.parametrize(
    "known", [True, False], ids=["died at its first plan", "edited while nobody ran"]
)
def test_a_service_that_begins_with_a_version_never_tried_falls_back_on_the_one_before(
    planned: Planned, park_file: ParkFile, known: bool
) -> None:
    if known:
        planned.put(SECOND)
        planned.take()  # on record as live; then the service is killed
    else:
        planned.path.write_text(SECOND)
    again = Planned(
        park_file, planned.path.parent, SECOND, journal=planned.journal, now=planned.now
    )
    again.plant.plan_count = 1  # as `recovery` knows it
    assert again.plant.strategy_version == version_of(SECOND)
    again.plan()

    assert isinstance(again.plant.outcome, Optimal)
    assert again.plant.strategy_version == version_of(FIRST)
    assert again.states() == ["live", "refused"]
    assert record.versions_on_record(again.journal) == again.plant.tuning.versions
