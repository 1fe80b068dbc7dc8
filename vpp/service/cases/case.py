"""`vpp plan CASE.yaml`: one horizon, planned and checked, for anyone to follow.

    read ──▶ solve in a child process ──▶ check ──▶ document, tables, picture, reasons

`POST /v1/plan` goes the same way from `run_case` on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from pydantic import ValidationError
from rich.console import Console
from rich.progress import SpinnerColumn, TextColumn

from vpp.errors import ConfigError, PlanError
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.schedule import Outcome, Schedule, Unsolved
from vpp.plan.changes import Planned, changes, planned
from vpp.plan.explain import Explanation, explain, moment_of
from vpp.plan.validate import violations
from vpp.service.cases.casefile import Case, read_case
from vpp.service.demo.bars import Bars
from vpp.service.park.config import read_bytes
from vpp.service.planning.view import (
    changes_view,
    explanation_view,
    planned_before,
    quota_views,
    schedule_view,
    status_of,
)
from vpp.service.planning.views import ExplanationView, WhatIfView
from vpp.service.solving.executor import Executor, ProcessExecutor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """A case and what came of it."""

    case: Case
    outcome: Outcome
    validate_s: float | None
    """None where there was nothing to check."""

    @property
    def schedule(self) -> Schedule | None:
        return None if isinstance(self.outcome, Unsolved) else self.outcome.schedule

    def document(self, *, since: Planned | None = None) -> WhatIfView:
        """All that there is to say; `since` is an older plan to compare with."""
        park, schedule = self.case.file.park, self.schedule
        status, reason = status_of(self.outcome)
        reason = no_plan(self.outcome, park) if isinstance(self.outcome, Unsolved) else reason
        changed = None
        if since is not None and schedule is not None:
            found = changes(since, planned(schedule))
            changed = changes_view(found, park.timezone, park.currency)
        return WhatIfView(
            status=status,
            reason=reason,
            schedule=None
            if schedule is None
            else schedule_view(
                schedule,
                currency=park.currency,
                spot=self.case.view.spot_per_kwh if self.case.view.open_products else None,
                validate_s=self.validate_s,
            ),
            unheard=list(self.case.unheard),
            changes=changed,
            quotas=quota_views(self.case.quotas),
        )

    def why(self, resource: str, clock: str) -> ExplanationView:
        """Why a resource does what it does at a time of day of the park, such as 03:15.

        Raises:
            DataError: There is no such resource or time in the plan.
            PlanError: There is no plan.
        """
        schedule, problem = self.schedule, self.case.problem
        if schedule is None:
            raise PlanError("there is no plan", where=self.case.name, fix="Mend the case first")
        moment = moment_of(problem.view, clock)
        found: Explanation = explain(
            schedule, problem.view, problem.terms, ResourceId(resource), moment
        )
        return explanation_view(schedule.plan_id, found)


async def run_case(
    case: Case, executor: Executor, *, told: Callable[[str], None] = lambda phase: None
) -> Ran:
    """Solve in the executor's process and check beside the event loop.

    Raises:
        PlanError: The schedule breaks its own rules: the planner is wrong.
    """
    told("building and solving")
    outcome = await executor.solve(case.problem, hard_s=case.hard_s)
    if isinstance(outcome, Unsolved):
        return Ran(case=case, outcome=outcome, validate_s=None)
    told("checking every rule and the bill")
    view, terms = case.problem.view, case.problem.terms
    began = perf_counter()
    wrong = await asyncio.to_thread(
        violations,
        outcome.schedule,
        view,
        terms,
        limit_excess_price_per_kwh=case.file.planning.limit_excess_per_kwh,
    )
    if wrong:
        raise PlanError("; ".join(wrong), where=case.name, fix="Report this: the planner is wrong")
    return Ran(case=case, outcome=outcome, validate_s=perf_counter() - began)


def plan_case(path: Path, console: Console) -> Ran:
    """Plan a case from its file, with progress on `console` where that is a terminal.

    Raises:
        ConfigErrors: Faults of the case file, its series or its park, all at once.
        PlanError: No plan was found, or it failed its check.
    """
    ran = asyncio.run(_plan_file(path, console))
    if isinstance(ran.outcome, Unsolved):
        raise PlanError(
            no_plan(ran.outcome, ran.case.file.park),
            where=str(path),
            fix="Look at the case's states, terms and limits",
        )
    return ran


def no_plan(unsolved: Unsolved, park: Park) -> str:
    """Why there is none, on the park's clock, with the members of groups that take part."""
    if unsolved.conflict is None:
        return unsolved.reason
    told = unsolved.conflict.local(park.timezone)
    named = {limit.limit.partition(":")[0] for limit in unsolved.conflict.limits}
    shared = [
        f"{group.group_id} is shared by {', '.join(group.resource_ids)}"
        for group in park.groups
        if f"group {group.group_id}" in named
    ]
    return "; ".join([told, *shared])


async def _plan_file(path: Path, console: Console) -> Ran:
    with CaseProgress(console) as progress:
        async with AsyncExitStack() as stack:
            # The child starts while the case is read.
            executor = await stack.enter_async_context(ProcessExecutor())
            progress.told("reading the case")
            case = await asyncio.to_thread(read_case, path)
            progress.most(case.hard_s)
            return await run_case(case, executor, told=progress.told)


def read_plan(path: Path) -> Planned:
    """A plan that `vpp plan --json` wrote before, to be compared with.

    Raises:
        ConfigError: It is no such document, or holds no schedule.
    """
    try:
        document = WhatIfView.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"is no plan: {where}: {first['msg']}",
            where=str(path),
            fix="Give what `vpp plan CASE.yaml --json` printed",
        ) from error
    if document.schedule is None:
        raise ConfigError("holds no schedule", where=str(path), fix="Give a plan that was found")
    return planned_before(document.schedule)


class CaseProgress(Bars):
    """What goes on, on a terminal; silent elsewhere. A context manager."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, SpinnerColumn(), TextColumn("{task.description}"))
        self._task = self.bar.add_task("starting")
        self._most = ""

    def most(self, seconds: float) -> None:
        """Say how long it may take at most."""
        self._most = f", at most {seconds:g} s"

    def told(self, phase: str) -> None:
        """Show the phase that begins."""
        self.bar.update(self._task, description=phase + self._most)
