"""A resource in an operator's hand: its enterprise is planned anew at once, with what it is held at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fleet_cycle import BEGAN
from tests.service.test_replan_alone import MINUTE, OTHER, OWNER, Noting, lived, socs
from vpp.model.ids import ResourceId
from vpp.model.members import MemberRule, Window
from vpp.model.time import QUARTER, Interval
from vpp.service import cycle
from vpp.service.planning import inhand
from vpp.service.plant import Plant
from vpp.service.steering import overrides
from vpp.wirecontrol import OverrideRequest

HELD = ResourceId("b0-1")
NOW = BEGAN + MINUTE


async def take(plant: Plant, name: str = HELD, **said: float) -> None:
    asked = {"for_minutes": 30, "by": "Li", "reason": "the crane", **said}
    await overrides.take(plant, name, OverrideRequest.model_validate(asked), now=NOW)


def held_steps(problem_view_kw: dict[ResourceId, np.ndarray]) -> int:
    """In how many steps it is held, from the first one on."""
    hand = ~np.isnan(problem_view_kw[HELD])
    count = int(hand.sum())
    assert hand[:count].all()
    return count


@pytest.mark.parametrize("method", ["structured", "highs"])
def test_its_enterprise_is_planned_at_once_with_it_at_its_power(
    tmp_path: Path, method: str
) -> None:
    async def live(plant: Plant, executor: Noting) -> None:
        await take(plant, power_kw=-20.0)
        await cycle.replan(plant, NOW)

        again, schedule = executor.asked[1], plant.schedule
        assert schedule is not None
        assert schedule.plan_id == "plan-000002"
        planned_kw = schedule.power_kw[schedule.row_of[HELD]]
        assert planned_kw[:2] == pytest.approx([-20, -20])
        assert held_steps(dict(again.view.held_kw)) == 2
        (told,) = [e.text for e in plant.events.recent() if e.kind == "replan"]
        whose = f": {OWNER} alone" if method == "structured" else ""
        assert told == f"a new plan at once: {HELD} is in hand{whose}"
        assert socs(again, OTHER) == ({0.5} if method == "structured" else {0.4})

        await overrides.end(plant, HELD, by="Li", reason="done", now=NOW)
        assert plant.replan == f"{HELD} is given back"
        await cycle.replan(plant, NOW)
        assert executor.asked[2].view.held_kw == {}

    lived(tmp_path, live, method)


def test_the_plan_of_the_next_quarter_reckons_with_what_is_left_of_it(tmp_path: Path) -> None:
    async def live(plant: Plant, executor: Noting) -> None:
        await take(plant, power_kw=-20.0)
        plant.replan = None
        later = BEGAN + timedelta(minutes=15)
        plant.clock.at = later  # type: ignore[attr-defined]
        newest = plant.intake.newest[HELD]
        plant.intake.newest[HELD] = replace(newest, measured_at=later, received_at=later)
        await cycle.plan(plant, later)
        assert held_steps(dict(executor.asked[-1].view.held_kw)) == 1

    lived(tmp_path, live, "highs")


def test_a_step_is_held_where_the_override_leaves_less_than_half_of_it_to_the_plan(
    tmp_path: Path,
) -> None:
    """It begins a minute after the horizon does."""

    async def live(plant: Plant, executor: Noting) -> None:
        view, found = executor.asked[0].view, list[int]()
        for minutes in (20, 22, 36, 37):
            await take(plant, power_kw=-20.0, for_minutes=minutes)
            found.append(held_steps(dict(inhand.counted(plant, view, NOW).held_kw)))
        assert found == [1, 2, 2, 3]
        await take(plant, power_kw=-20.0, for_minutes=6)
        assert inhand.counted(plant, view, NOW).held_kw == {}
        await take(plant, power_kw=-20.0)
        assert inhand.counted(plant, view, NOW + timedelta(minutes=30)).held_kw == {}

    lived(tmp_path, live, "highs")


def test_what_plans_do_not_reckon_with_asks_for_none_but_what_it_replaces_does(
    tmp_path: Path,
) -> None:
    async def live(plant: Plant, executor: Noting) -> None:
        await take(plant, low_kw=-10.0, high_kw=10.0)
        await take(plant, "l0-0", power_kw=0.0)
        assert plant.replan is None
        await take(plant, power_kw=-20.0)
        await cycle.replan(plant, NOW)
        await take(plant, low_kw=-10.0, high_kw=10.0)
        assert plant.replan == f"{HELD} is in hand"
        await cycle.replan(plant, NOW)
        assert [len(one.view.held_kw) for one in executor.asked] == [0, 1, 0]

    lived(tmp_path, live, "structured")


@pytest.mark.parametrize("method", ["structured", "highs"])
def test_where_its_owner_wants_it_left_alone_later_no_plan_moves_it(
    tmp_path: Path, method: str
) -> None:
    """Its owner's hour begins within the override: no set-point reaches it from then on."""
    hour = Interval(BEGAN + 2 * QUARTER, BEGAN + 6 * QUARTER)
    window = Window(resources=frozenset({HELD}), steered=False, reason="mended", span=hour)
    rule = MemberRule(enterprise_id=OWNER, windows=(window,))

    async def live(plant: Plant, executor: Noting) -> None:
        agreed = replace(plant.strategies, members={OWNER: rule})
        plant.file = replace(plant.file, strategies=agreed)
        await take(plant, power_kw=-20.0, for_minutes=60)
        await cycle.replan(plant, NOW)

        again, schedule = executor.asked[-1], plant.schedule
        assert schedule is not None
        assert schedule.plan_id == "plan-000002"
        assert again.view.held_kw[HELD][:4].tolist() == [-20, -20, 0, 0]
        planned_kw = schedule.power_kw[schedule.row_of[HELD]]
        assert planned_kw[:6] == pytest.approx([-20, -20, 0, 0, 0, 0], abs=1e-4)

    lived(tmp_path, live, method)
