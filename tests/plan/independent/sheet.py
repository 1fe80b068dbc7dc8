"""The blackboard: what costs, what must hold, and what meets at each place.

Written in cvxpy, from what the nouns and the terms say of themselves. Nothing here is shared with
the planner beside them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import Any, TypeAlias

import cvxpy as cp
import numpy as np

from vpp.model.measurement import Reading
from vpp.plan.terms import ReserveHeadroom
from vpp.plan.view import PlanningView

Line: TypeAlias = Any
"""One number for each step, shape (T,): an array or an expression."""

TIGHT = {
    "mip_rel_gap": 1e-9,
    "mip_abs_gap": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}


@dataclass(kw_only=True, eq=False)
class Part:
    """What one resource does, as others look at it."""

    power: Line
    """Net injection at its node or connection point, in kW."""

    draw: Line = None
    """As a size; None where it never draws."""

    running: Line = None
    """0 or 1; None where it is neither on nor off."""

    given_draw: Line = 0.0
    """What of its draw nobody decides."""

    given_running: Line = 0.0
    started: Line = None
    """How many of its calls, runs or starts begin in each step, as far as they are chosen."""

    turned_down: Line = None
    """kW not drawn on demand."""

    fed: Line = None
    """What a source feeds."""

    on: Line = None
    """Of a machine with on/off rules."""

    levels: dict[str, Line] = field(default_factory=dict)
    """What each car has gained by the end of each step."""

    stored: Line = None
    taken_out: Line = None
    """kW out of a store, before losses on the way to its terminals."""

    temperature: Line = None
    up_room: Line = None
    """How much more it could inject when called; None where it keeps no reserve."""

    down_room: Line = None


@dataclass(eq=False)
class Kept:
    """Headroom of one resource for one term."""

    total: Line
    relief: Line = None
    """Of a store: what comes from stopping what it does."""

    extra: Line = None
    """Of a store: what it does beyond."""


@dataclass(eq=False)
class Sheet:
    """What the parts of the model add to."""

    view: PlanningView
    excess_per_kwh: float
    cost: list[Any] = field(default_factory=list)
    rules: list[Any] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    meets: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """What is injected at each connection point and node."""
    traded: list[Line] = field(default_factory=list)
    """What is sold less what is bought of each open product, in the order of the terms."""

    def __post_init__(self) -> None:
        horizon = self.view.horizon
        self.steps, self.hours = horizon.steps, horizon.step_hours
        self.starts = horizon.starts()
        self.local = [moment.astimezone(self.view.park.timezone) for moment in self.starts]

    # ------------------------------------------------------------------ variables

    def size(self, most: Any = None, shape: Any = None) -> Any:
        """A size in each step, not above `most`."""
        found = cp.Variable(self.steps if shape is None else shape, nonneg=True)
        if most is not None:
            self.rules.append(found <= most)
        return found

    def choice(self, shape: Any = None) -> Any:
        return cp.Variable(self.steps if shape is None else shape, boolean=True)

    def hold(self, *rules: Any) -> None:
        """Rules that must be kept; one about numbers alone is true, or nothing can be planned."""
        for rule in rules:
            if isinstance(rule, cp.Constraint):
                self.rules.append(rule)
            elif not np.all(rule):
                self.rules.append(cp.Variable(nonneg=True) <= -1)

    def pay(self, amount: Any) -> None:
        self.cost.append(amount)

    def pay_excess(self, power: Line, times: float = 1.0) -> None:
        self.pay(times * self.excess_per_kwh * self.hours * cp.sum(power))

    # ------------------------------------------------------------------ time

    def before(self, line: Line, opening: Any) -> Line:
        """The same one step earlier."""
        return cp.hstack([opening, line[:-1]]) if self.steps > 1 else opening

    def whole_steps(self, length: timedelta) -> int:
        """A length in steps, rounded up."""
        return ceil(length / self.view.horizon.step)

    def recent(self, length: int) -> Any:
        """Matrix that sums the last `length` steps up to each step."""
        return np.tril(np.ones((self.steps,) * 2)) - np.tril(
            np.ones((self.steps,) * 2), -max(length, 0)
        )

    def days(self) -> list[tuple[date, Any]]:
        """Each local day with its steps."""
        dates = [moment.date() for moment in self.local]
        return [
            (day, np.array([i for i, other in enumerate(dates) if other == day]))
            for day in dict.fromkeys(dates)
        ]

    def is_of(self, reading: Reading | None, day: date) -> bool:
        """Whether what a reading says of `today` is about this day."""
        if reading is None:
            return False
        return reading.measured_at.astimezone(self.view.park.timezone).date() == day

    def per_day(
        self,
        line: Line,
        most: float,
        used: float,
        reading: Reading | None,
        *,
        at_least: Any = None,
    ) -> None:
        """So much on each local day, less what the reading says was used, or what must be."""
        for day, steps in self.days():
            left = max(most - (used if self.is_of(reading, day) else 0.0), 0.0)
            if at_least is not None:
                left = max(left, float(at_least[steps].sum()))
            self.hold(cp.sum(line[steps]) <= left)

    # ------------------------------------------------------------------ the answer

    def solve(self) -> float | None:
        """The least cost; None where no plan keeps every rule."""
        problem = cp.Problem(cp.Minimize(cp.sum(self.cost)), self.rules)
        with np.errstate(invalid="ignore"):  # cvxpy multiplies unbounded sizes by 0
            problem.solve(solver=cp.HIGHS, highs_options=TIGHT)
        if problem.status in (cp.INFEASIBLE, cp.settings.INFEASIBLE_OR_UNBOUNDED):
            return None
        assert problem.status == cp.OPTIMAL, problem.status
        return float(problem.value)


Asked: TypeAlias = dict[int, ReserveHeadroom]
"""Reserves that somebody wants, by the number of their term."""
