"""The picture of a plan that is made before its turn for some enterprises alone.

    the standing plan's picture ▸ these enterprises as they are now ▸ the same horizon, prices and sales
                                ▸ strategies ▸ the child, which solves what differs (`plan/fleet/kept.py`)

The others stand in it as the standing plan saw them, which is what they follow. That is worth its while where the
structured solver has made that plan; HiGHS solves all of it anyway, and then of how everybody stands now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.ids import EnterpriseId
from vpp.model.measurement import Reading, Unknown
from vpp.model.time import QUARTER, latest_boundary
from vpp.plan.problem import Problem
from vpp.service.bids.biddable import biddable
from vpp.service.inputs import committed_kw
from vpp.service.instructions import plan as instructionplan
from vpp.service.planning import inhand
from vpp.service.plant import Plant
from vpp.service.strategies import members


def ask(plant: Plant, owners: frozenset[EnterpriseId], why: str) -> None:
    """Ask for a plan before its turn, for what has changed at these enterprises alone.

    A plan of all that is asked for already will see it too.
    """
    if plant.replan is None:
        plant.replan, plant.replan_alone = why, (why, owners)
    elif before := asked_about(plant):
        plant.replan = f"{plant.replan}; {why}"
        plant.replan_alone = (plant.replan, before | owners)


def asked_about(plant: Plant) -> frozenset[EnterpriseId]:
    """The only enterprises that the plan which is asked for is about; none of them: all."""
    why, owners = plant.replan_alone
    return owners if plant.replan == why else frozenset()


def problem_alone(plant: Plant, now: datetime) -> Problem | None:
    """The problem of the standing plan with those enterprises anew that `plant.replan` is about.

    None where all is to be planned anew: it is about all, another quarter-hour has begun, more or less is sold,
    the strategies are others, HiGHS made the standing plan, it has futures or curves, or people turn loads of theirs.
    """
    basis, schedule = plant.tuning.basis, plant.schedule
    owners = asked_about(plant)
    if basis is None or schedule is None or not owners:
        return None
    before = basis.problem
    options, view = before.options, before.view
    if (
        options.plan_id != schedule.plan_id
        or options.strategy_version != plant.strategy_version
        or view.now != latest_boundary(now, QUARTER)
        or not np.array_equal(view.committed_kw, committed_kw(plant, view.horizon))
        or not schedule.how.structured
        or before.futures
        or before.curves
    ):
        return None
    owner_of = {one.resource_id: one.enterprise_id for one in plant.file.park.resources}
    if any(owner_of[name] in owners for name in instructionplan.reached(plant)):
        return None
    seen = biddable(plant, max(now, plant.clock.now()))

    def newest(old: Reading | Unknown, new: Reading | Unknown) -> Reading | Unknown:
        return new if owner_of[new.resource_id] in owners else old

    state = replace(
        view.state,
        resources=tuple(map(newest, view.state.resources, seen.resources)),
    )
    try:
        view = members.counted(plant.strategies, replace(view, state=state, left_alone={}))
        view = inhand.counted(plant, view, seen.taken_at)
        return replace(before, view=view, terms=(*plant.strategies.terms(view), *basis.asked))
    except (PlanError, DataError):
        return None  # the plan of all meets it too, and says so
