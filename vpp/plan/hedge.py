"""What cannot wait is chosen well for several futures together; the rest is decided when they come.

    decided now    what is bid             trades whose gate closes before the next plan, reserve
                   what is announced       all on/off decisions: starts, calls, machines
                   the first step          what everything that can be steered does in it
    decided then   all else: each future has its own

On/off decisions are those of the point plan (one search a plan is enough), so that a stack of futures
is an LP (`stack.py`; what is in common: `firststage.py`). Three things are worked out, each by an LP:

    the futures one by one, with what the point plan decides now ──▶ what not to hedge costs
    all as one, with what is decided now in common ────────────────▶ what hedging costs
    of those that cost the same the nearest to the point plan ─────▶ what is decided now

The schedule is the plan of the expected course (the point) with what is decided now held: its powers,
prices and bill are worked out and checked as always. The point stands in the stack, at weight 0, so that
what is decided now is possible there too.

Futures that are few draws of many tell what a kW more of a bid saves to the standard error of its mean only
(`SolveOptions.doubt`). That much, for each kW, is the price of deciding otherwise than the point plan: the cost
of a bid is flat about its best, and eight draws alone would choose where in it. (To go back as far as
the standard error of the whole saving allows is another LP of 15 s; this one is as quick as without.)

Where all of it is many columns (`fleet/auto.py`) and the costs are a mean, the structured solver works out all
three, and what is decided now has a proven gap (`together.py`); ties are left as they were found.

What the weather gives is no decision: a source that it drives takes no part in the first step, for
its set-point is a ceiling. Stores may go both ways in a future, for that is decided then; in the first
step one that does is left to the point.

Simplex, not interior points: on the demo park with ten futures (33,000 rows, 91,000 columns) the dual
simplex took 0.8 s behind a presolve (1.0 s without), HiGHS's interior point with its crossover 3.5 s;
before the day-ahead gate (55,000 rows, 218 columns in common) 2.4 and 12 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.model.schedule import HowSolved, Uncertainty, Unsolved
from vpp.plan.compile import build
from vpp.plan.decide import Chosen
from vpp.plan.firststage import FirstStage, first_stage
from vpp.plan.fleet.auto import LEAST_TOGETHER, against
from vpp.plan.fleet.choose import Chooser
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.solve import Kernels
from vpp.plan.lp import (
    Deadline,
    Highs,
    LpAnswer,
    LpSolution,
    LpSolver,
    solve_lp,
    usual_cost,
)
from vpp.plan.nearest import NEAR, nearest, with_distance
from vpp.plan.parts import Workers
from vpp.plan.problem import Method, Problem, SolveOptions
from vpp.plan.programme import Ints, LinearProgramme, Programme
from vpp.plan.search import NOTHING_KW, one_way
from vpp.plan.stack import Stack, bounds_of, clashing, cvar, decided, stacked
from vpp.plan.together import Asked, Together, Tried, together

NOTHING = 1e-6
"""Hedging that is worth less, as a share of the cost, is worth nothing: the point plan stays."""


@dataclass(frozen=True, slots=True, eq=False)
class Hedged:
    """What is decided now, and how that was found."""

    told: Uncertainty
    held: Chosen
    """Columns of the point's programme, and what each is; empty where its plan stays as it is."""

    left: str = ""
    """Why ties of what is decided now are left as the solver found them; empty where they are not."""


def hedge(
    problem: Problem,
    programme: Programme,
    point: LpSolution,
    *,
    deadline: Deadline,
    workers: Workers,
    kernels: Kernels = NUMPY,
) -> Hedged:
    """Choose what is decided now for all futures of `problem`; `point` is its plan without them.

    Where that is not found in time, or cannot be the same in all futures, the point plan stays, and
    what is told says why.

    Raises:
        DataError: A future or its terms make no sense (see `compile.build`), or it has other things to
            decide than the point.
    """
    began = deadline.stopwatch()
    price = problem.options.limit_excess_price_per_kwh
    now = first_stage(problem.view, problem.terms, programme)
    futures = []
    for number, future in enumerate(problem.futures):
        other = build(future.view, future.terms, limit_excess_price_per_kwh=price)
        theirs = first_stage(future.view, future.terms, other)
        if theirs.words != now.words or len(theirs.columns) != len(now.columns):
            raise DataError(
                f"{', '.join(theirs.words)}; the expected course has {', '.join(now.words)}",
                where=f"future {number}",
                fix="Give all futures the same state, products and terms",
            )
        futures.append(_Future(other, theirs.columns))
    told = Uncertainty(
        status="hedged",
        futures=len(futures),
        cvar_weight=problem.options.cvar_weight,
        cvar_level=problem.options.cvar_level,
        first_stage=now.words,
    )
    hours = problem.view.horizon.step_hours
    found = _choose(
        _Choice(
            programme,
            point,
            now,
            tuple(futures),
            hours,
            told,
            deadline,
            workers,
            problem.options,
            kernels,
        )
    )
    if isinstance(found, str):
        found = Hedged(replace(told, status=f"point plan: {found}"), {})
    return replace(found, told=replace(found.told, solve_s=deadline.stopwatch() - began))


def replanned(
    programme: Programme,
    point: LpSolution,
    held: Chosen,
    deadline: Deadline,
    workers: Workers,
    solver: LpSolver,
) -> LpAnswer:
    """The plan of the expected course with its on/off decisions, and with what is decided now held."""
    ways, into, out = programme.ways
    decided = np.setdiff1d(programme.integral, ways)
    fixed = dict(zip(decided.tolist(), np.round(point.x[decided]).tolist(), strict=True))
    found = solver.begin(held | fixed, deadline, workers).answer()
    if isinstance(found, Unsolved):
        return found
    found = one_way(programme, found, deadline, workers, solver)
    if isinstance(found, LpSolution):
        found.x[ways] = found.x[into] > found.x[out]
    return found


# ---------------------------------------------------------------- the choice


@dataclass(frozen=True, slots=True, eq=False)
class _Future:
    """One future's programme, and which of its columns are decided now."""

    programme: Programme
    now: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """Everything that the choice is made from."""

    programme: Programme
    point: LpSolution
    now: FirstStage
    futures: tuple[_Future, ...]
    hours: float
    """Of a step."""
    told: Uncertainty
    deadline: Deadline
    workers: Workers
    options: SolveOptions
    kernels: Kernels

    def valued(self, costs: Floats) -> tuple[float, float, float]:
        """Mean, conditional value at risk, and what is made as small as possible."""
        expected, dearest = float(costs.mean()), cvar(costs, self.told.cvar_level)
        weight = self.told.cvar_weight
        return expected, dearest, (1 - weight) * expected + weight * dearest


def _choose(of: _Choice) -> Hedged | str:
    """What is decided now; or why the point plan stays."""
    programme, told = of.programme, of.told
    if of.deadline.passed:
        return "no time was left"
    chosen = np.round(of.point.x[programme.decisions])
    parts = []
    for number, one in enumerate((*of.futures, _Future(programme, of.now.columns))):
        part = decided(one.programme, chosen)
        if part is None:
            return f"an on/off decision of it cannot be taken in future {number}"
        parts.append(part)
    common = [*(one.now for one in of.futures), of.now.columns]
    least, most = bounds_of(parts, common)
    if clashing(least, most).any():
        return "what is decided now cannot be the same in all futures"
    why = _against(of, parts)
    solvers = _solvers(of, parts, structured=not why)
    before = of.point.x[of.now.columns]
    at_point = _tried(before, of, solvers)
    if isinstance(at_point, str):
        return at_point
    told = replace(
        told,
        point_costs=at_point.costs,
        point_objective=of.valued(at_point.costs)[2],
        how=HowSolved(why=why),
    )
    doubted = of.options.doubt * _standard_error(at_point)
    if not why:
        found = together(
            Asked(
                programmes=tuple(map(_taken, of.futures, parts)),
                now=tuple(one.now for one in of.futures),
                bids=sum(2 * len(due) for _, due, _, _ in of.now.bids),
                least=least,
                most=np.maximum(most, least),
                before=before,
                doubt=doubted,
                at_point=at_point,
                try_now=lambda now: _tried(now, of, solvers),
                one_way=lambda now: _netted(now, of),
                kernels=of.kernels,
                deadline=of.deadline,
                gap=of.options.gap,
            )
        )
        if isinstance(found, Together):
            gap, allowed = found.how.gap, of.options.gap
            if gap <= allowed or not against(Method.AUTO, _free(parts), LEAST_TOGETHER):
                return _of_fleet(of, told, found, before)
            found = f"a gap of {gap:.1e} was left, {allowed:g} is allowed"
        told = replace(told, how=HowSolved(why=found))
    stack = stacked(
        parts,
        common,
        counted=len(of.futures),
        cvar_weight=told.cvar_weight,
        cvar_level=told.cvar_level,
    )
    return _by_highs(of, told, stack, before, doubted)


def _by_highs(
    of: _Choice, told: Uncertainty, stack: Stack, before: Floats, doubted: Floats
) -> Hedged | str:
    """What is decided now as HiGHS says, of the futures as one LP; or why the point plan stays."""
    wanted = stack.programme
    if doubted.any():
        least = NEAR * usual_cost(wanted.cost)
        wanted = with_distance(wanted, before, wanted.cost, np.maximum(doubted, least))
    found = solve_lp(wanted, {}, of.deadline, of.workers, presolve=True)
    if isinstance(found, Unsolved):
        return "no first step suits all futures" if found.infeasible else f"futures: {found.reason}"
    prices = [found.row_marginals[rows] for rows in stack.rows[: len(of.futures)]]
    told = _with_values(of, told, prices)
    if not _saves(of, told, _costs(of, stack, found.x)):
        return Hedged(_with_costs(of, told, told.point_costs, before), {})
    left, x = "", found.x
    if not doubted.any():
        like = nearest(stack, found, before, of.deadline, of.workers)
        if isinstance(like, str):
            left = f"what is decided now: {like}"
        else:
            x = like
    now = x[: len(before)]
    return Hedged(_with_costs(of, told, _costs(of, stack, x), now), _held(of, now), left)


def _of_fleet(of: _Choice, told: Uncertainty, found: Together, before: Floats) -> Hedged:
    """What is decided now as the structured solver says."""
    told = _with_values(of, replace(told, how=found.how), found.row_marginals)
    if not _saves(of, told, found.costs):
        return Hedged(_with_costs(of, told, told.point_costs, before), {})
    left = "what is decided now: as the structured solver found it"
    return Hedged(_with_costs(of, told, found.costs, found.now), _held(of, found.now), left)


def _saves(of: _Choice, told: Uncertainty, costs: Floats) -> bool:
    """Whether that is cheaper than what the point plan decides now."""
    saved = told.point_objective - of.valued(costs)[2]
    # Not finite where a future has no way out of the point's first step: anything is better.
    return not (np.isfinite(saved) and saved <= NOTHING * max(abs(told.point_objective), 1.0))


def _against(of: _Choice, parts: Sequence[LinearProgramme]) -> str:
    """Why HiGHS has the futures; empty where the structured solver is asked."""
    if of.told.cvar_weight:
        return "the dearest futures count"
    if of.programme.fleet.reserve:
        return "reserve is kept"
    return against(of.options.method, _free(parts), LEAST_TOGETHER)


def _free(parts: Sequence[LinearProgramme]) -> int:
    """How many columns of all futures may move."""
    return sum(int((part.lower < part.upper).sum()) for part in parts)


def _solvers(of: _Choice, parts: Sequence[LinearProgramme], *, structured: bool) -> list[LpSolver]:
    """What solves each future by itself."""
    if not structured:
        return [Highs(part) for part in parts[: len(of.futures)]]
    made = map(_taken, of.futures, parts)
    return [Chooser(programme, Method.STRUCTURED, of.kernels) for programme in made]


def _taken(future: _Future, part: LinearProgramme) -> Programme:
    """A future's programme with the decisions that are taken in its `part`."""
    return replace(future.programme, lower=part.lower, upper=part.upper)


def _netted(now: Floats, of: _Choice) -> Floats:
    """What is decided now, where stores that would go both ways at once do what leaves the same in them."""
    x = of.point.x.copy()
    x[of.now.columns] = now
    for pair in of.programme.fleet.both_ways():
        into, out = pair.into[:, 0], pair.out[:, 0]
        kept_into, kept_out = pair.kept_into[:, 0], pair.kept_out[:, 0]
        stored = kept_into * x[into] - x[out] / kept_out
        both = np.minimum(x[into], x[out]) > 0
        x[into[both]] = (np.maximum(stored, 0.0) / kept_into)[both]
        x[out[both]] = (np.maximum(-stored, 0.0) * kept_out)[both]
    return x[of.now.columns]


def _standard_error(of: Tried) -> Floats:
    """Of the mean over the futures of what a unit costs, shape (k,); 0 where there is none."""
    count = len(of.costs)
    if count < 2 or not np.isfinite(of.costs).all():
        return np.zeros(of.per_unit.shape[1])
    error: Floats = of.per_unit.std(axis=0, ddof=1) / sqrt(count)
    return error


def _tried(now: Floats, of: _Choice, solvers: Sequence[LpSolver]) -> Tried | str:
    """Each future with `now`; or why one was not found."""
    waiting = [
        solver.begin(
            dict(zip(one.now.tolist(), now.tolist(), strict=True)), of.deadline, of.workers
        )
        for solver, one in zip(solvers, of.futures, strict=True)
    ]
    costs, per_unit, hows = [], [], []
    for begun, one in zip(waiting, of.futures, strict=True):
        answer = begun.answer()
        if isinstance(answer, LpSolution):
            costs.append(answer.cost)
            hows.append(answer.how)
            priced = one.programme.matrix[:, one.now].T @ answer.row_marginals
            per_unit.append(one.programme.cost[one.now] - priced)
        elif answer.infeasible:
            costs.append(np.inf)
            per_unit.append(np.zeros(len(now)))
        else:
            return f"futures: {answer.reason}"
    return Tried(
        costs=np.array(costs),
        per_unit=np.array(per_unit),
        residual=max((how.residual for how in hows), default=0.0),
        fallbacks=sum(how.fallbacks for how in hows),
    )


def _costs(of: _Choice, stack: Stack, x: Floats) -> Floats:
    """What each future costs at a point of the stack, shape (S,)."""
    return np.array(
        [
            one.programme.cost @ x[place]
            for one, place in zip(of.futures, stack.places[: len(of.futures)], strict=True)
        ]
    )


def _with_costs(of: _Choice, told: Uncertainty, costs: Floats, now: Floats) -> Uncertainty:
    expected, dearest, objective = of.valued(costs)
    x = of.point.x.copy()
    x[of.now.columns] = now
    bid_kw: dict[ProductId, Floats] = {}
    steps = of.programme.base_kw.shape[1]
    for name, due, sell, buy in of.now.bids:
        kw = bid_kw.setdefault(name, np.full(steps, np.nan))
        kw[due] = np.nan_to_num(kw[due]) + x[sell] - x[buy]
    return replace(
        told,
        costs=costs,
        expected_cost=expected,
        cvar_cost=dearest,
        objective=objective,
        bid_kw=bid_kw,
    )


def _with_values(of: _Choice, told: Uncertainty, prices: Sequence[Floats]) -> Uncertainty:
    """What one more kWh of net injection, and in each storage, saves on the mean of the futures.

    `prices` are of the rows of each, at its share of the cost.
    """
    net, stored = np.zeros(of.programme.base_kw.shape[1]), []
    for one, of_rows in zip(of.futures, prices, strict=True):
        fleet = one.programme.fleet
        if len(fleet.market.rows):
            net += of_rows[fleet.market.rows] / of.hours
        stored.append(of_rows[fleet.storages.rows])
    units = of.programme.fleet.storages.units
    value = -np.sum(stored, axis=0)
    return replace(
        told,
        net_value_per_kwh=net,
        stored_value_per_kwh={u.resource_id: row for u, row in zip(units, value, strict=True)},
    )


def _held(of: _Choice, now: Floats) -> Chosen:
    """What is decided now as columns of the point, but for stores that would go both ways at once."""
    held = dict(zip(of.now.columns.tolist(), now.tolist(), strict=True))
    for pair in of.programme.fleet.both_ways():
        for into, out in zip(pair.into[:, 0].tolist(), pair.out[:, 0].tolist(), strict=True):
            if min(held.get(into, 0.0), held.get(out, 0.0)) > NOTHING_KW:
                del held[into], held[out]
    return held
