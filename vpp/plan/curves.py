"""Bids from several price scenarios: in each delivery interval a curve, how much is sold at which price.

    scenario   1      2      3                 in each interval ordered by its price there
    price     40     55     90                 q1 <= q2 <= q3: a market takes more at a higher price
    sold      q1     q2     q3                 and cannot see which scenario it is

What the curves share is not one quantity (`hedge.py`) but an order. All scenarios stand side by side in one
LP (`stack.py`), with on/off decisions as the point plan has them and rows between them (`curverows.py`), which
maximises expected profit, less what the worst scenarios weigh (CVaR). Of what pays the same to a tick the
nearest to the point plan is sold: one scenario sells what the plan does.

Beside what is sold here only imbalance is open in these intervals, at its own price: a curve must not
lean on buying back in a later market. Before and after them each scenario trades as it likes.

Prices nearer to each other than two ticks count as the same, so that a limit on the ticks fits between
any two others; where a product takes fewer steps than there are scenarios, the nearest prices share one
quantity. A limit lies between the prices of its two scenarios where what a kWh is worth to the park lies:
the mean of the shadow price at either. Beyond the outermost scenarios the quantity stays as it is there.

The curves are then tried on price paths between and beyond the scenarios, and cut where too much could not
be delivered (`curvecheck.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from vpp.errors import DataError
from vpp.model.bidcurve import BidCurves, Rise
from vpp.model.horizon import Floats, Horizon
from vpp.model.schedule import Unsolved
from vpp.plan.compile import build
from vpp.plan.curvecheck import Checked, Delivery, check
from vpp.plan.curverows import Columns, near, ordered
from vpp.plan.lp import Deadline, LpSolution, begin_lp, solve_lp
from vpp.plan.parts import Workers
from vpp.plan.problem import CurveAsk, Problem
from vpp.plan.programme import Ints, LinearProgramme, Programme
from vpp.plan.search import NOTHING_KW
from vpp.plan.stack import cvar, decided, stacked
from vpp.plan.terms import OpenTrade

APART_TICKS = 2
"""Prices nearer than this are the same: between others a whole tick lies strictly inside."""


def bid_curves(
    problem: Problem,
    ask: CurveAsk,
    programme: Programme,
    point: LpSolution,
    *,
    deadline: Deadline,
    workers: Workers,
) -> BidCurves:
    """The curves that `ask` wants; where there are none, their status says why.

    `programme` and `point` are the plan of the expected course, whose on/off decisions hold. A scenario that
    makes no sense (see `compile.build`), differs in more than prices or does not trade the product costs the
    curves, never the plan.

    Raises:
        DataError: The intervals lie beyond the plan.
    """
    began = deadline.stopwatch()
    horizon = _horizon(problem, ask)
    found: BidCurves | str
    try:
        found = _curves(problem, ask, programme, point, horizon, deadline, workers)
    except DataError as error:
        found = str(error)
    if isinstance(found, str):
        found = BidCurves(product_id=ask.product_id, horizon=horizon, status=f"point plan: {found}")
    return replace(found, solve_s=deadline.stopwatch() - began)


def _horizon(problem: Problem, ask: CurveAsk) -> Horizon:
    whole = problem.view.horizon
    if ask.first_step < 0 or ask.first_step + ask.width * ask.intervals > whole.steps:
        raise DataError(
            f"{ask.intervals} intervals of {ask.width} steps from {ask.first_step} on",
            where=f"curves of {ask.product_id}",
            fix=f"Ask for intervals within the plan's {whole.steps} steps",
        )
    start = whole.start + ask.first_step * whole.step
    return Horizon(start, ask.width * whole.step, ask.intervals)


def _curves(
    problem: Problem,
    ask: CurveAsk,
    programme: Programme,
    point: LpSolution,
    horizon: Horizon,
    deadline: Deadline,
    workers: Workers,
) -> BidCurves | str:
    chosen = np.round(point.x[programme.decisions])
    parts = []
    for future in ask.futures:
        other = build(
            future.view,
            future.terms,
            limit_excess_price_per_kwh=problem.options.limit_excess_price_per_kwh,
        )
        part = decided(other, chosen)
        if part is None:
            return "an on/off decision of it cannot be taken at other prices"
        parts.append(_without_ways(other, part))
    delivery = _delivery(ask, programme, problem.view.horizon.step_hours)
    _require_alike(ask, parts)
    parts = [delivery.closed(part) for part in parts]
    prices = _prices(ask)
    levels = _Levels.of(prices, ask)
    middle_kw = delivery.sold_kw(point.x)
    sold = _chosen(ask, parts, delivery, levels, middle_kw, deadline, workers)
    if isinstance(sold, str):
        return sold
    valued = _valued(parts, delivery, sold, deadline, workers)
    if isinstance(valued, str):
        return valued
    costs, values = valued
    lowest, rises = levels.curves(sold, values, ask.tick_per_kwh)
    curves = BidCurves(
        product_id=ask.product_id,
        horizon=horizon,
        status="expected",
        scenario_per_kwh=prices,
        planned_kw=sold,
        value_per_kwh=values,
        lowest_kw=lowest,
        rises=rises,
        cvar_weight=ask.cvar_weight,
        cvar_level=ask.cvar_level,
        expected_cost=float(costs.mean()),
        cvar_cost=cvar(costs, ask.cvar_level),
    )
    return check(
        curves,
        Checked(
            replace(programme, **{f.name: getattr(parts[0], f.name) for f in fields(parts[0])}),
            np.array([part.cost for part in parts]),
            ask,
            delivery,
        ),
        middle_kw=middle_kw,
        deadline=deadline,
        workers=workers,
    )


def _delivery(ask: CurveAsk, programme: Programme, hours: float) -> Delivery:
    """Where the delivery stands in the columns of every scenario."""
    market = programme.fleet.market
    mine = [i for i, name in enumerate(market.products) if name == ask.product_id]
    if not mine or not len(market.rows):
        raise DataError(
            "nothing of it can be traded, or imbalance has no price",
            where=f"curves of {ask.product_id}",
            fix="Give an OpenTrade of it and a Commitment",
        )
    steps = ask.first_step + np.arange(ask.intervals * ask.width)
    shape = (ask.intervals, ask.width)
    others = [i for i in range(len(market.products)) if i != mine[0]]
    return Delivery(
        sell=market.sell[mine[0], steps].reshape(shape),
        buy=market.buy[mine[0], steps].reshape(shape),
        others=np.concatenate(
            [market.sell[others][:, steps].ravel(), market.buy[others][:, steps].ravel()]
        ),
        rows=market.rows[steps].reshape(shape),
        off=np.concatenate([market.short[steps], market.long[steps]]),
        hours=hours,
    )


def _without_ways(programme: Programme, part: LinearProgramme) -> LinearProgramme:
    """A part without the decisions which way a store goes, and their rows.

    They stand last (`compile.py`), and prices say where there are any. A scenario may go both ways at
    once; on the paths that is mended (`curvecheck.py`).
    """
    if not programme.ways.size:
        return part
    columns = int(programme.ways[0].min())
    rows = int(np.flatnonzero(np.diff(part.matrix[:, columns:].indptr)).min())
    return LinearProgramme(
        cost=part.cost[:columns],
        lower=part.lower[:columns],
        upper=part.upper[:columns],
        matrix=part.matrix[:rows, :columns],
        row_lower=part.row_lower[:rows],
        row_upper=part.row_upper[:rows],
    )


def _require_alike(ask: CurveAsk, parts: list[LinearProgramme]) -> None:
    """What is possible must be the same in all: a price moves what pays, not what can be done."""
    first = parts[0]
    for number, part in enumerate(parts):
        same = part.matrix.shape == first.matrix.shape and all(
            np.array_equal(a, b)
            for a, b in (
                (part.lower, first.lower),
                (part.upper, first.upper),
                (part.row_lower, first.row_lower),
                (part.row_upper, first.row_upper),
                (part.matrix.indices, first.matrix.indices),
                (part.matrix.data, first.matrix.data),
            )
        )
        if not same:
            raise DataError(
                f"scenario {number} differs from the first in more than prices",
                where=f"curves of {ask.product_id}",
                fix="Let scenarios differ in prices alone",
            )


def _prices(ask: CurveAsk) -> Floats:
    """The product's price in each scenario and interval, shape (S, I); the mean of its steps."""
    steps = slice(ask.first_step, ask.first_step + ask.intervals * ask.width)
    found = []
    for future in ask.futures:
        trade = next(
            term
            for term in future.terms
            if isinstance(term, OpenTrade) and term.product_id == ask.product_id
        )
        middle = (trade.sell_per_kwh[steps] + trade.buy_per_kwh[steps]) / 2
        found.append(middle.reshape(-1, ask.width).mean(axis=1))
    return np.array(found)


# ---------------------------------------------------------------- the order of prices


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """Scenarios of each interval by their price there, and which of them share a quantity."""

    order: Ints
    """Scenarios from the cheapest on, shape (S, I)."""

    ticks: Ints
    """Whole ticks of their prices, in that order, shape (S, I)."""

    rises: Floats
    """1 where a scenario may sell more than the one before it, 0 where it sells the same; shape (S - 1, I)."""

    @classmethod
    def of(cls, prices: Floats, ask: CurveAsk) -> _Levels:
        order = np.argsort(prices, axis=0, kind="stable")
        # A price on the tick must not fall below it by a rounding of floats.
        ticks = np.floor(prices / ask.tick_per_kwh + 1e-6).astype(np.int64)
        ticks = np.take_along_axis(ticks, order, axis=0)
        gaps = np.diff(ticks, axis=0)
        rises = gaps >= APART_TICKS
        # The widest gaps alone, where the product takes fewer steps.
        rank = np.argsort(np.argsort(-gaps, axis=0, kind="stable"), axis=0, kind="stable")
        rises &= rank < ask.most_steps - 1
        return cls(order, ticks, rises.astype(float))

    def curves(
        self, sold: Floats, values: Floats, tick_per_kwh: float
    ) -> tuple[Floats, tuple[tuple[Rise, ...], ...]]:
        """What is sold at the lowest prices, shape (I,), and where more is."""
        kw = np.take_along_axis(sold, self.order, axis=0)
        worth = np.take_along_axis(values, self.order, axis=0)
        found = []
        for i in range(kw.shape[1]):
            steps = []
            for s in np.flatnonzero(np.diff(kw[:, i]) > NOTHING_KW).tolist():
                value = float(worth[s, i] + worth[s + 1, i]) / 2
                first, last = int(self.ticks[s, i]) + 1, int(self.ticks[s + 1, i]) - 1
                limit = min(max(round(value / tick_per_kwh), first), last)
                steps.append(Rise(limit * tick_per_kwh, float(kw[s + 1, i] - kw[s, i]), value))
            found.append(tuple(steps))
        return kw[0], tuple(found)


# ---------------------------------------------------------------- the choice


def _chosen(
    ask: CurveAsk,
    parts: list[LinearProgramme],
    delivery: Delivery,
    levels: _Levels,
    middle_kw: Floats,
    deadline: Deadline,
    workers: Workers,
) -> Floats | str:
    """What is sold in each scenario and interval, shape (S, I), never falling with the price; or why not."""
    none = np.zeros(0, dtype=np.int64)
    stack = stacked(
        parts,
        [none] * len(parts),
        counted=len(parts),
        cvar_weight=ask.cvar_weight,
        cvar_level=ask.cvar_level,
    )
    columns = Columns.of(stack, delivery)
    in_order = ordered(stack.programme, columns, levels.order, levels.rises)
    per_kw = ask.tick_per_kwh * delivery.hours * ask.width / len(parts)
    wanted = near(in_order, columns, middle_kw, per_kw)
    found = solve_lp(wanted, {}, deadline, workers, presolve=True)
    if isinstance(found, Unsolved):
        return f"scenarios: {found.reason}"
    sold = np.array([delivery.sold_kw(found.x[place]) for place in stack.places])
    # To the last bit what the rows say to the solver's tolerance.
    by_price = np.take_along_axis(sold, levels.order, axis=0)
    for s in range(1, len(by_price)):
        higher = np.maximum(by_price[s], by_price[s - 1])
        more = (levels.rises[s - 1] > 0) & (higher - by_price[s - 1] > NOTHING_KW)
        by_price[s] = np.where(more, higher, by_price[s - 1])
    np.put_along_axis(sold, levels.order, by_price, axis=0)
    return sold


def _valued(
    parts: list[LinearProgramme],
    delivery: Delivery,
    sold: Floats,
    deadline: Deadline,
    workers: Workers,
) -> tuple[Floats, Floats] | str:
    """What each scenario costs with what it sells, shape (S,), and what one more kWh is worth, (S, I)."""
    waiting = [
        begin_lp(part, delivery.held(kw), deadline, workers)
        for part, kw in zip(parts, sold, strict=True)
    ]
    costs, values = [], []
    for begun in waiting:
        answer = begun.answer()
        if isinstance(answer, Unsolved):
            return f"scenarios: {answer.reason}"
        costs.append(answer.cost)
        values.append(answer.row_marginals[delivery.rows].mean(axis=1) / delivery.hours)
    return np.array(costs), np.array(values)
