"""Try bid curves on price paths beside the scenarios they were made for, and cut what is not delivered.

    path = Σ weight · scenario    weights add up to 1, some below 0: paths lie between the scenarios and
                                  beyond, cheapest of one in the morning and of another at night

On each path the market takes from each curve what its price allows. One LP says whether the park can deliver
that with stores that go one way at a time, and with imbalance so dear that it only stands for what cannot be delivered at all; what it comes to is then
counted at the path's own prices. Costs are linear in prices, so a path's are the same mixture of the scenarios'.

*The cut.* Every curve is drawn towards the quantity of the point plan, which can be delivered whatever the
price:  kept · curve + (1 - kept) · point. What cannot be delivered is convex in what is sold, and nothing at
the point's: `kept` of the way leaves `kept` of it at most, on every path. So the share that was found and the
share that may be say how far to go, and nothing is tried again. Both are shares of what the curves trade before
the cut: were it what is left after it, a point plan that trades nothing would leave no curve at all, for the
bound falls no faster than what is traded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from vpp.model.bidcurve import BidCurves, CurveCheck, Rise
from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.lp import Begun, Deadline, begin_lp
from vpp.plan.parts import Workers
from vpp.plan.problem import CurveAsk
from vpp.plan.programme import Ints, LinearProgramme, Programme
from vpp.plan.search import ways_kept

NOTHING_KWH = 1e-4

LEAST_CHECKED = 0.5
"""Share of the paths without which no curve is offered."""


class Normals(Protocol):
    """Where chance comes from: a `numpy.random.Generator`."""

    def standard_normal(self, size: tuple[int, ...], /) -> Floats: ...


def mixtures(paths: int, scenarios: int, chance: Normals) -> Floats:
    """Weights of paths with the scenarios' mean and covariance, shape (paths, scenarios)."""
    if scenarios == 1:
        return np.ones((paths, 1))
    drawn = chance.standard_normal((paths, scenarios))
    off: Floats = (drawn - drawn.mean(axis=1, keepdims=True)) / np.sqrt(scenarios - 1)
    return 1 / scenarios + off


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """Where one delivery stands in the columns and rows of a programme."""

    sell: Ints
    """Shape (I, width)."""
    buy: Ints
    others: Ints
    """Columns of other trades in its steps: closed."""

    rows: Ints
    """Market balance, shape (I, width)."""

    off: Ints
    """Columns of imbalance, short and long."""

    hours: float
    """Of a step."""

    def closed(self, programme: LinearProgramme) -> LinearProgramme:
        """A programme in which nothing else is traded in these steps."""
        upper = programme.upper.copy()
        upper[self.others] = programme.lower[self.others]
        return replace(programme, upper=upper)

    def sold_kw(self, x: Floats) -> Floats:
        """Mean of what is sold (bought below 0) in each interval, shape (I,)."""
        kw: Floats = (x[self.sell] - x[self.buy]).mean(axis=1)
        return kw

    def held(self, sold_kw: Floats) -> dict[int, float]:
        """The columns that say what is sold, shape (I,), in every step of its interval."""
        each = np.repeat(sold_kw, self.sell.shape[1])
        sell, buy = np.maximum(each, 0.0), np.maximum(-each, 0.0)
        return dict(
            zip(
                np.concatenate([self.sell.ravel(), self.buy.ravel()]).tolist(),
                np.concatenate([sell, buy]).tolist(),
                strict=True,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What curves are tried with."""

    programme: Programme
    """On/off decisions fixed, other trades closed; which way stores go is not decided."""

    costs: Floats
    """Of its columns in each scenario, shape (S, columns)."""

    ask: CurveAsk
    delivery: Delivery


def check(
    curves: BidCurves, of: Checked, *, middle_kw: Floats, deadline: Deadline, workers: Workers
) -> BidCurves | str:
    """The curves as they may be offered, with what came of them on the paths; or why they may not be.

    `middle_kw`, shape (I,), is what the point plan sells.
    """
    first = _tried(curves, of, deadline, workers)
    if len(first.costs) < LEAST_CHECKED * first.asked:
        return f"{len(first.costs)} of {first.asked} price paths could be checked in time"
    found = first.told()
    if first.share <= of.ask.most_undelivered:
        return replace(curves, check=found)
    kept = of.ask.most_undelivered / first.share
    cut = replace(found, kept=kept, undelivered_share=of.ask.most_undelivered)
    return replace(drawn_in(curves, middle_kw, kept), check=cut)


def drawn_in(curves: BidCurves, middle_kw: Floats, kept: float) -> BidCurves:
    """Curves drawn towards one quantity, shape (I,), until `kept` of the way is left; 0 to 1."""
    lowest = middle_kw + kept * (curves.lowest_kw - middle_kw)
    rises = tuple(
        tuple(Rise(price, kept * kw, value) for price, kw, value in steps if kept * kw > 0)
        for steps in curves.rises
    )
    return replace(curves, lowest_kw=lowest, rises=rises)


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    undelivered_kwh: Floats
    """Of each path that was tried, shape (n,)."""

    traded_kwh: Floats
    costs: Floats
    asked: int

    @property
    def share(self) -> float:
        traded = float(self.traded_kwh.sum())
        return float(self.undelivered_kwh.sum()) / traded if traded > NOTHING_KWH else 0.0

    def told(self) -> CurveCheck:
        return CurveCheck(
            paths=len(self.costs),
            asked=self.asked,
            undelivered_share=self.share,
            share_before_cut=self.share,
            kept=1.0,
            paths_short=int((self.undelivered_kwh > NOTHING_KWH).sum()),
            mean_cost=float(self.costs.mean()),
            worst_cost=float(self.costs.max()),
        )


TOGETHER = 8
"""Paths that are begun for each worker before the first is waited for: none has to wait for work."""


def _tried(curves: BidCurves, of: Checked, deadline: Deadline, workers: Workers) -> _Tried:
    """What comes of the curves on the paths, as many as time allows."""
    delivery, weights = of.delivery, of.ask.mixtures
    undelivered, traded, costs = [], [], []
    together = TOGETHER * max(workers.count, 1)
    for first in range(0, len(weights), together):
        if deadline.passed:
            break
        begun = [
            _begun(curves, of, weight, deadline, workers)
            for weight in weights[first : first + together]
        ]
        for path in [_mended(path, deadline, workers) for path in begun]:
            answer = path.begun.answer()
            sold_kwh = float(np.abs(path.sold_kw).sum()) * delivery.sell.shape[1] * delivery.hours
            if isinstance(answer, Unsolved):
                if not answer.infeasible:
                    continue  # no time was left: it counts as unchecked
                undelivered.append(
                    sold_kwh
                )  # nothing that holds all limits: none of it is delivered
                costs.append(float("inf"))
            else:
                undelivered.append(float(answer.x[delivery.off].sum()) * delivery.hours)
                costs.append(float(path.cost @ answer.x))
            traded.append(sold_kwh)
    return _Tried(np.array(undelivered), np.array(traded), np.array(costs), len(weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """One price path that workers are at."""

    cost: Floats
    """Of the columns, at its own prices."""

    sold_kw: Floats
    """Shape (I,)."""

    programme: Programme
    begun: Begun


def _begun(
    curves: BidCurves, of: Checked, weight: Floats, deadline: Deadline, workers: Workers
) -> _Path:
    sold_kw = curves.sold_kw(weight @ curves.scenario_per_kwh)
    cost = weight @ of.costs
    dear = cost.copy()
    dear[of.delivery.off] += of.ask.undelivered_per_kwh * of.delivery.hours
    programme = replace(of.programme, cost=dear)
    begun = begin_lp(programme, of.delivery.held(sold_kw), deadline, workers)
    return _Path(cost, sold_kw, programme, begun)


def _mended(path: _Path, deadline: Deadline, workers: Workers) -> _Path:
    """The path begun again with every store's way decided, where one goes both ways at once."""
    answer = path.begun.answer()
    if isinstance(answer, Unsolved) or not (ways := ways_kept(path.programme, answer)):
        return path
    again = begin_lp(path.programme, answer.fixed | ways, deadline, workers)
    return replace(path, begun=again)
