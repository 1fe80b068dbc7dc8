"""Futures hedged together by the structured solver: as well as HiGHS, proven, and what it does not cover named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tests.plan.fleet.test_headroom import fleet
from tests.plan.test_hedge import (
    newsvendor,
    otherwise,
    planned,
    sun_sold_ahead,
    windmill,
)
from vpp.model.horizon import Floats
from vpp.model.schedule import Uncertainty
from vpp.plan.compile import build
from vpp.plan.firststage import first_stage
from vpp.plan.fleet.auto import LEAST_TOGETHER
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.futures import Bids, Relaxed, relaxed
from vpp.plan.fleet.headroom.solve import METHOD
from vpp.plan.fleet.kernels import NUMPY, Structured
from vpp.plan.fleet.solve import Kernels
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.nearest import with_distance
from vpp.plan.problem import Method
from vpp.plan.programme import Programme
from vpp.plan.stack import stacked
from vpp.plan.together import _least_at

STRUCTURED = Method.STRUCTURED
GAP = 1e-3
"""That these plans are asked for."""


def deadline() -> Deadline:
    return Deadline(lambda: 0.0, 1e6)


# ---------------------------------------------------------------- tables


def test_of_sun_that_is_uncertain_the_newsvendors_quantile_is_sold(lab: Any) -> None:
    schedule, told = newsvendor(lab, method=STRUCTURED)

    assert told.how.method == "structured (numpy)"
    assert told.how.why == "every tree of every future fits"
    assert told.how.gap <= GAP
    assert told.status == "hedged"
    assert told.bid_kw[lab.spot] == pytest.approx([30], abs=0.1)
    assert schedule.trade_kw[lab.spot] == pytest.approx([30], abs=0.1)
    assert told.expected_cost == pytest.approx(-(10 * 3.0 - 0.25 * 30 + 0.05 * 280) / 10, rel=GAP)


@pytest.mark.parametrize(("doubt", "sold_kw"), [(0.0, 20), (0.2, 20), (1.0, 50), (1.5, 55)])
def test_each_kw_must_save_more_than_few_draws_say_by_chance(
    lab: Any, doubt: float, sold_kw: int
) -> None:
    """The table of `test_hedge`."""
    _, told = sun_sold_ahead(lab, (20, 50, 95), doubt=doubt, method=STRUCTURED)

    assert told.how.method == "structured (numpy)"
    assert told.bid_kw[lab.spot] == pytest.approx([sold_kw], abs=0.1)


# ---------------------------------------------------------------- against HiGHS


def futures_of(lab: Any, seed: int, count: int) -> Any:
    """A random park that can be hedged by the structured solver, and other courses of it."""
    view, terms = lab.random(seed, min_price=0.03, processes=0, runs=0)
    rng = np.random.default_rng([seed, 5])
    return view, terms, [otherwise(rng, view, terms) for _ in range(count)]


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5, 9, 12, 13])
def test_random_parks_are_hedged_as_well_as_by_highs(lab: Any, seed: int) -> None:
    """Seed 3 finds its first step by the marginals of the second that was tried."""
    view, terms, futures = futures_of(lab, seed, 3)
    told: list[Uncertainty] = []
    for method in (Method.HIGHS, STRUCTURED):
        _, one = planned(lab, view, terms, futures, method=method, gap=GAP)
        assert one.hedged
        told.append(one)
    by_highs, ours = told

    assert ours.how.method == "structured (numpy)", ours.how.why
    assert ours.how.gap <= GAP
    size = max(abs(ours.objective), 1.0)
    assert by_highs.objective - 2e-6 * size <= ours.objective
    assert ours.objective - ours.how.gap * size <= by_highs.objective + 2e-6 * size
    assert ours.objective <= ours.point_objective + 1e-9


def test_a_gap_that_few_columns_leave_is_for_highs_to_close(lab: Any) -> None:
    """Neither first step that is tried in this park is good enough, and more prices bring no better one."""
    view, terms, futures = futures_of(lab, 8, 3)
    _, by_highs = planned(lab, view, terms, futures, method=Method.HIGHS, gap=GAP)
    _, told = planned(lab, view, terms, futures, method=STRUCTURED, gap=GAP)

    assert told.how.method == "HiGHS"
    assert told.how.why.startswith("a gap of "), told.how.why
    assert told.objective == pytest.approx(by_highs.objective, rel=2e-6)


def compiled(lab: Any, seed: int, count: int) -> tuple[list[Programme], Bids]:
    """Programmes of futures, each at its share of the cost, and their bids: some are doubted."""
    _, _, futures = futures_of(lab, seed, count)
    programmes, columns = [], []
    for one in futures:
        programme = build(one.view, one.terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        found = first_stage(one.view, one.terms, programme)
        traded = [side for _, _, sell, buy in found.bids for side in (sell, buy)]
        columns.append(np.concatenate([np.zeros(0, dtype=np.int64), *traded]))
        programmes.append(replace(programme, cost=programme.cost / count))
    most = np.min([one.upper[at] for one, at in zip(programmes, columns, strict=True)], axis=0)
    rng = np.random.default_rng(seed)
    return programmes, Bids(
        columns=tuple(columns),
        most=most,
        before=np.minimum(most, rng.uniform(0, 60, len(most))),
        doubt=rng.choice([0.0, 0.003, 0.02], len(most)),
    )


def optimum(programmes: Sequence[Programme], bids: Bids) -> float:
    """Of all futures as one programme, by HiGHS."""
    stack = stacked(
        [replace(one.linear(), cost=len(programmes) * one.cost) for one in programmes],
        bids.columns,
        counted=len(programmes),
        cvar_weight=0.0,
        cvar_level=0.0,
    ).programme
    found = solve_lp(with_distance(stack, bids.before, stack.cost, bids.doubt), {}, deadline())
    assert isinstance(found, LpSolution)
    return found.cost


BID = (0, 3, 4, 9, 10, 13)
"""Seeds of parks that may bid."""


@pytest.mark.parametrize("seed", BID)
def test_what_futures_cost_at_least_is_what_highs_says(
    lab: Any, seed: int, kernels: Structured
) -> None:
    programmes, bids = compiled(lab, seed, 4)
    assert bids.most.any()
    assert bids.doubt.any()
    found = relaxed(programmes, bids, kernels=kernels, deadline=deadline())
    assert isinstance(found, Relaxed), found
    best = optimum(programmes, bids)

    assert found.bound <= best + 1e-9 * (1 + abs(best))
    assert found.bound == pytest.approx(best, rel=3e-6, abs=3e-6)


@dataclass
class Rough:
    """The kernels in numpy, with prices that are off."""

    name: str = "rough"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        done = NUMPY.solve(forest, point, duals, tolerance=tolerance, deadline=deadline)
        rng = np.random.default_rng(3)
        for prices in (duals.bus, duals.store):
            prices += rng.normal(0.0, 0.02, prices.shape)
        return done


@pytest.mark.parametrize("seed", BID[:3])
def test_a_bound_by_prices_that_are_off_is_lower_and_holds(lab: Any, seed: int) -> None:
    programmes, bids = compiled(lab, seed, 3)
    found = relaxed(programmes, bids, kernels=Rough(), deadline=deadline())
    assert isinstance(found, Relaxed), found

    assert found.bound < optimum(programmes, bids) - 1e-3


@dataclass
class NoNumbers:
    """Kernels that write nothing but NaN."""

    name: str = "no numbers"

    def solve(self, forest: Forest, point: Point, duals: Duals, **_: Any) -> Ints:
        for one in (point.into, point.part, point.shared, duals.bus, duals.store):
            one[...] = np.nan
        return np.ones(len(forest.trees().roots), dtype=np.int64)


def test_kernels_that_prove_nothing_leave_the_bids_to_nobody(lab: Any) -> None:
    programmes, bids = compiled(lab, 0, 3)
    broken: Kernels = NoNumbers()
    found = relaxed(programmes, bids, kernels=broken, deadline=deadline())
    assert found == "the structured solver found no prices that prove anything"


# ---------------------------------------------------------------- prices of the first step


@pytest.mark.parametrize(
    ("x", "asked", "given"),
    [
        pytest.param(5.0, 0.3, 0.3, id="at what the point does doubt holds it"),
        pytest.param(5.0, 9.0, 1.0, id="but for no more than it is doubted"),
        pytest.param(7.0, 0.3, -1.0, id="above it doubt pulls down: as much pulls up"),
        pytest.param(2.0, 0.3, 1.0, id="below it the other way round"),
        pytest.param(0.0, 9.0, 9.0, id="at its least anything holds it there that is not below"),
        pytest.param(10.0, -9.0, -9.0, id="at its most anything that is not above"),
    ],
)
def test_a_first_step_is_paid_so_that_it_is_best_where_it_is(
    x: float, asked: float, given: float
) -> None:
    """From 0 to 10, the point does 5, doubt 1 a unit."""

    def one(value: float) -> Floats:
        return np.array([value])

    found = _least_at(one(x), one(0.0), one(10.0), one(5.0), one(1.0), one(asked))
    assert found == pytest.approx([given])
    cost = [given * y + abs(y - 5.0) for y in np.linspace(0, 10, 101)]
    assert given * x + abs(x - 5.0) == pytest.approx(min(cost))


# ---------------------------------------------------------------- what HiGHS has, and why


def test_auto_leaves_few_columns_to_highs_and_says_so(lab: Any) -> None:
    _, told = newsvendor(lab, method=Method.AUTO)
    assert told.hedged
    assert told.how.method == "HiGHS"
    assert told.how.why.startswith("auto: ")
    assert told.how.why.endswith(f"fewer than {LEAST_TOGETHER}")


def test_the_dearest_futures_are_for_highs(lab: Any) -> None:
    _, told = newsvendor(lab, method=STRUCTURED, cvar_weight=0.5)
    assert told.hedged
    assert (told.how.method, told.how.why) == ("HiGHS", "the dearest futures count")


def test_what_does_not_fit_is_named_and_hedged_by_highs(lab: Any) -> None:
    view, terms, futures = windmill(lab, 80, 90)
    _, told = planned(lab, view, terms, futures, method=STRUCTURED)
    assert told.hedged
    assert told.how.method == "HiGHS"
    assert told.how.why.startswith("does not fit: ")


def test_kept_reserve_is_named_and_hedged_by_highs_at_the_same_cost(lab: Any) -> None:
    """The plan with what is decided now held goes to what solves such trees."""
    view, terms = fleet(lab, price_per_kw_h=0.1)
    rng = np.random.default_rng(5)
    futures = [otherwise(rng, view, terms) for _ in range(3)]
    schedule, told = planned(lab, view, terms, futures, method=STRUCTURED)
    judge, told_by_highs = planned(lab, view, terms, futures, method=Method.HIGHS)

    assert (told.how.method, told.how.why) == ("HiGHS", "reserve is kept")
    assert told.hedged
    assert told.objective == pytest.approx(told_by_highs.objective, rel=1e-5)
    assert schedule.reserve["afrr up"].sold_kw.max() > 0
    assert METHOD in schedule.how.method
    assert schedule.cost == pytest.approx(judge.cost, rel=1e-3)
