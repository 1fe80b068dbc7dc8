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
from scipy.sparse import csr_array, hstack, vstack

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId, ResourceId
from vpp.model.schedule import Uncertainty, Unsolved
from vpp.plan.compile import build
from vpp.plan.decide import Chosen
from vpp.plan.firststage import FirstStage, first_stage
from vpp.plan.lp import Deadline, LpAnswer, LpSolution, begin_lp, padded, solve_lp, usual_cost
from vpp.plan.parts import Workers
from vpp.plan.problem import Problem
from vpp.plan.programme import Ints, LinearProgramme, Programme
from vpp.plan.search import NOTHING_KW, one_way
from vpp.plan.stack import Stack, cvar, decided, stacked
from vpp.plan.ties import LEAST_RISE, face_of

NOTHING = 1e-6
"""Hedging that is worth less, as a share of the cost, is worth nothing: the point plan stays."""

NEAR = 1e-7
"""Marginals below this, in usual costs of the programme, are ties."""


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
            problem.options.doubt,
        )
    )
    if isinstance(found, str):
        found = Hedged(replace(told, status=f"point plan: {found}"), {})
    return replace(found, told=replace(found.told, solve_s=deadline.stopwatch() - began))


def replanned(
    programme: Programme, point: LpSolution, held: Chosen, deadline: Deadline, workers: Workers
) -> LpAnswer:
    """The plan of the expected course with its on/off decisions, and with what is decided now held."""
    ways, into, out = programme.ways
    decided = np.setdiff1d(programme.integral, ways)
    fixed = dict(zip(decided.tolist(), np.round(point.x[decided]).tolist(), strict=True))
    found = solve_lp(programme, held | fixed, deadline, workers)
    if isinstance(found, Unsolved):
        return found
    found = one_way(programme, found, deadline, workers)
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
    doubt: float
    """As `SolveOptions` has it."""

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
    stack = stacked(
        parts,
        [*(one.now for one in of.futures), of.now.columns],
        counted=len(of.futures),
        cvar_weight=told.cvar_weight,
        cvar_level=told.cvar_level,
    )
    if stack.clash:
        return "what is decided now cannot be the same in all futures"
    before = of.point.x[of.now.columns]
    at_point = _at_point(before, of, parts[:-1])
    if isinstance(at_point, str):
        return at_point
    point_costs = at_point.costs
    doubted = of.doubt * at_point.standard_error()
    wanted = stack.programme
    if doubted.any():
        least = NEAR * usual_cost(wanted.cost)
        wanted = _with_distance(wanted, before, wanted.cost, np.maximum(doubted, least))
    found = solve_lp(wanted, {}, of.deadline, of.workers, presolve=True)
    if isinstance(found, Unsolved):
        return "no first step suits all futures" if found.infeasible else f"futures: {found.reason}"
    told = replace(
        told,
        point_costs=point_costs,
        point_objective=of.valued(point_costs)[2],
        net_value_per_kwh=_net_value(of, stack, found),
        stored_value_per_kwh=_stored_value(of, stack, found),
    )
    costs = _costs(of, stack, found.x)
    saved = told.point_objective - of.valued(costs)[2]
    # Not finite where a future has no way out of the point's first step: anything is better.
    if np.isfinite(saved) and saved <= NOTHING * max(abs(told.point_objective), 1.0):
        return Hedged(_with_costs(of, told, point_costs, before), {})
    left, x = "", found.x
    if not doubted.any():
        nearest = _nearest(stack, found, before, of.deadline, of.workers)
        if isinstance(nearest, str):
            left = f"what is decided now: {nearest}"
        else:
            x = nearest
    now = x[: len(before)]
    return Hedged(_with_costs(of, told, _costs(of, stack, x), now), _held(of, now), left)


@dataclass(frozen=True, slots=True, eq=False)
class _AtPoint:
    """The S futures with what the point plan decides now."""

    costs: Floats
    """Of each, inf where that is impossible; shape (S,)."""

    per_unit: Floats
    """What one more unit of each of the k columns that are decided now costs there, shape (S, k)."""

    def standard_error(self) -> Floats:
        """Of the mean over the futures of what a unit costs, shape (k,); 0 where there is none."""
        count = len(self.costs)
        if count < 2 or not np.isfinite(self.costs).all():
            return np.zeros(self.per_unit.shape[1])
        error: Floats = self.per_unit.std(axis=0, ddof=1) / sqrt(count)
        return error


def _at_point(now: Floats, of: _Choice, parts: Sequence[LinearProgramme]) -> _AtPoint | str:
    """Each future with `now`; or why one was not found."""
    waiting = [
        begin_lp(
            part, dict(zip(one.now.tolist(), now.tolist(), strict=True)), of.deadline, of.workers
        )
        for part, one in zip(parts, of.futures, strict=True)
    ]
    costs, per_unit = [], []
    for begun, part, one in zip(waiting, parts, of.futures, strict=True):
        answer = begun.answer()
        if isinstance(answer, LpSolution):
            costs.append(answer.cost)
            priced = part.matrix[:, one.now].T @ answer.row_marginals
            per_unit.append(part.cost[one.now] - priced)
        elif answer.infeasible:
            costs.append(np.inf)
            per_unit.append(np.zeros(len(now)))
        else:
            return f"futures: {answer.reason}"
    return _AtPoint(np.array(costs), np.array(per_unit))


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


def _net_value(of: _Choice, stack: Stack, found: LpSolution) -> Floats:
    """What one more kWh of net injection in all futures saves, shape (T,); 0 where nothing is traded."""
    value = np.zeros(of.programme.base_kw.shape[1])
    for one, rows in zip(of.futures, stack.rows[: len(of.futures)], strict=True):
        market = one.programme.fleet.market.rows
        if len(market):
            value += found.row_marginals[rows][market] / of.hours
    return value


def _stored_value(of: _Choice, stack: Stack, found: LpSolution) -> dict[ResourceId, Floats]:
    """What one more kWh in each storage is worth on the mean of the futures, shape (T,) each."""
    marginals = [
        found.row_marginals[rows][one.programme.fleet.storages.rows]
        for one, rows in zip(of.futures, stack.rows[: len(of.futures)], strict=True)
    ]
    value, units = -np.sum(marginals, axis=0), of.programme.fleet.storages.units
    return {u.resource_id: row for u, row in zip(units, value, strict=True)}


def _nearest(
    stack: Stack, found: LpSolution, before: Floats, deadline: Deadline, workers: Workers
) -> Floats | str:
    """Of all that cost the same, what decides now nearest to `before`; or why it was not found."""
    face = face_of(stack.programme, found, NEAR)
    columns = len(face.cost)
    wished = _with_distance(face, before, np.zeros(columns), np.ones(len(before)))
    answer = solve_lp(wished, {}, deadline, workers, presolve=True)
    if isinstance(answer, Unsolved):
        return answer.reason
    x = answer.x[:columns]
    rise = float(stack.programme.cost @ x) - found.cost
    if rise > LEAST_RISE * max(abs(found.cost), 1.0):
        return f"it would cost {rise:.1e} more"
    return x


def _with_distance(
    programme: LinearProgramme, before: Floats, cost: Floats, per_unit: Floats
) -> LinearProgramme:
    """The programme at `cost`, and at `per_unit`, shape (k,), for how far its first columns are from `before`.

    Columns: away (k), behind the others.    Rows: now + away >= before,  now - away <= before
    """
    columns, count = len(programme.cost), len(before)
    one = csr_array((np.ones(count), (np.arange(count), np.arange(count))), shape=(count, count))
    first = padded(one, columns - count)
    free = np.full(count, np.inf)
    return LinearProgramme(
        cost=np.append(cost, per_unit),
        lower=np.append(programme.lower, np.zeros(count)),
        upper=np.append(programme.upper, free),
        matrix=csr_array(
            vstack(
                [padded(programme.matrix, count), hstack([first, one]), hstack([first, -one])],
                format="csr",
            )
        ),
        row_lower=np.concatenate([programme.row_lower, before, -free]),
        row_upper=np.concatenate([programme.row_upper, free, before]),
    )


def _held(of: _Choice, now: Floats) -> Chosen:
    """What is decided now as columns of the point, but for stores that would go both ways at once."""
    held = dict(zip(of.now.columns.tolist(), now.tolist(), strict=True))
    for pair in of.programme.fleet.both_ways():
        for into, out in zip(pair.into[:, 0].tolist(), pair.out[:, 0].tolist(), strict=True):
            if min(held.get(into, 0.0), held.get(out, 0.0)) > NOTHING_KW:
                del held[into], held[out]
    return held
