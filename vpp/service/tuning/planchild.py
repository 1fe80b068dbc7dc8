"""The process that makes plans nobody follows: pickled pairs on stdin, pickled answers on stdout.

Of low priority, so that no plan that is followed waits for it. It ends with its parent, and the pickles come
from nobody else.
"""

from __future__ import annotations

import pickle
import sys
from time import perf_counter

from vpp.errors import PlanError, VppError
from vpp.model.schedule import Schedule, Unsolved
from vpp.plan.problem import Problem
from vpp.plan.solve import solve
from vpp.plan.validate import violations
from vpp.service.solving.childlife import answers_alone, behave
from vpp.service.solving.frames import read_frame, write_frame
from vpp.service.tuning.planpair import PlanPair, beside
from vpp.wirestrategies import PreviewPlanView

ADDRESS_SPACE_BYTES = 4 * 2**30
NICENESS = 10


def main() -> None:
    """Answer pairs until stdin ends."""
    behave(most_bytes=ADDRESS_SPACE_BYTES, niceness=NICENESS)
    with answers_alone() as answers:
        write_frame(answers, b"ready")
        while (payload := read_frame(sys.stdin.buffer)) is not None:
            answer = compared(pickle.loads(payload))
            write_frame(answers, pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


def compared(pair: PlanPair) -> PreviewPlanView | str:
    """Both plans beside one another; or why one of them is none."""
    try:
        old = pair.old if isinstance(pair.old, Schedule) else _solved(pair.old, "the live version")
        new = _solved(pair.new, "the new version")
        return beside(pair, old, new)
    except VppError as error:
        return str(error)


def _solved(problem: Problem, whose: str) -> Schedule:
    """A plan that keeps its own rules.

    Raises:
        PlanError: There is none.
    """
    outcome = solve(problem, perf_counter)
    if isinstance(outcome, Unsolved):
        raise PlanError(outcome.reason, where=whose, fix="Change what it asks for")
    schedule = outcome.schedule
    excess_per_kwh = problem.options.limit_excess_price_per_kwh
    wrong = violations(
        schedule, problem.view, problem.terms, limit_excess_price_per_kwh=excess_per_kwh
    )
    if wrong:
        what = f"its plan breaks its own rules: {'; '.join(wrong)}"
        raise PlanError(what, where=whose, fix="Change what it asks for")
    return schedule


if __name__ == "__main__":
    main()
