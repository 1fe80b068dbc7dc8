"""What cannot wait is chosen for several futures together; one future is the plain plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.horizon import Profile
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.schedule import Feasible, Optimal, Schedule, Uncertainty
from vpp.plan.problem import Future, Problem
from vpp.plan.solve import solve
from vpp.plan.stack import cvar
from vpp.plan.terms import Commitment, EnergyPrice, OpenTrade, Term
from vpp.plan.view import PlanningView


def planned(
    lab: Any, view: PlanningView, terms: Sequence[Term], futures: Sequence[Future], **options: Any
) -> tuple[Schedule, Uncertainty]:
    """A plan made for several futures, found valid."""
    problem = lab.problem(view, terms)
    problem = replace(problem, futures=tuple(futures), options=replace(problem.options, **options))
    outcome = solve(problem, perf_counter)
    assert isinstance(outcome, Optimal | Feasible), outcome
    assert lab.violations(outcome.schedule, view, problem.terms) == ()
    assert outcome.schedule.uncertainty is not None
    return outcome.schedule, outcome.schedule.uncertainty


# ---------------------------------------------------------------- newsvendor

SUN_KW = [10.0 * i for i in range(1, 11)]
"""Ten equally likely feeds of one hour."""


def newsvendor(lab: Any, **options: Any) -> tuple[Schedule, Uncertainty]:
    """One hour of sun sold at 0.10 before it is known: short 0.25, long 0.05 a kWh.

    A kW more is worth selling while its chance to be there exceeds 1 - (0.10 - 0.05) / (0.25 - 0.05):
    the quantile 0.25 of what comes, the third of ten.
    """
    return sun_sold_ahead(lab, SUN_KW, **options)


def sun_sold_ahead(
    lab: Any, sun_kw: Sequence[float], **options: Any
) -> tuple[Schedule, Uncertainty]:
    """The newsvendor's hour, for any equally likely feeds whose mean is 55 kW."""

    def view_of(sun_kw: float) -> PlanningView:
        view: PlanningView = lab.view(lab.pv(), price=[0.10], available_kw={"pv": [sun_kw]})
        return view

    terms = (
        Commitment(
            base_kw=np.zeros(1), short_per_kwh=np.array([0.25]), long_per_kwh=np.array([0.05])
        ),
        OpenTrade(
            product_id=lab.spot,
            sell_per_kwh=np.array([0.10]),
            buy_per_kwh=np.array([0.10]),
            max_kw=np.array([1000.0]),
        ),
    )
    futures = [Future(view=view_of(kw), terms=terms) for kw in sun_kw]
    return planned(lab, view_of(55), terms, futures, **options)


def test_of_sun_that_is_uncertain_the_newsvendors_quantile_is_sold(lab: Any) -> None:
    schedule, told = newsvendor(lab)

    assert told.status == "hedged"
    assert told.bid_kw[lab.spot] == pytest.approx([30])
    assert schedule.trade_kw[lab.spot] == pytest.approx([30])
    assert schedule.net_kw == pytest.approx([55]), "25 kW are expected to be left over"
    # 30 kW sold earn 3.00; 20 and 10 kW short cost 7.50; 10 to 70 kW long earn 14.00
    assert told.expected_cost == pytest.approx(-(10 * 3.0 - 0.25 * 30 + 0.05 * 280) / 10)
    assert told.point_objective == pytest.approx(
        -(10 * 5.5 - 0.25 * (45 + 35 + 25 + 15 + 5) + 0.05 * (5 + 15 + 25 + 35 + 45)) / 10
    )
    assert told.objective < told.point_objective


@pytest.mark.parametrize(
    ("doubt", "sold_kw"),
    [
        pytest.param(0.0, 20, id="all is believed: the quantile 0.25 of three"),
        pytest.param(0.2, 20, id="a fifth of the error is less than what is saved"),
        pytest.param(1.0, 50, id="only the kW above 50 save more than their error"),
        pytest.param(1.5, 55, id="the point plan is kept"),
    ],
)
def test_each_kw_must_save_more_than_few_draws_say_by_chance(
    lab: Any, doubt: float, sold_kw: int
) -> None:
    """Sun of 20, 50 or 95 kW; a kW that is sold costs 0.15 where it does not come, and earns 0.05 where it does.

    The kW above 50, which the point plan sells, cost (0.15 + 0.15 - 0.05) / 3 = 0.083 on the mean, with a
    standard error of 0.067; those above 20 cost (0.15 - 0.05 - 0.05) / 3 = 0.017.
    """
    _, told = sun_sold_ahead(lab, (20, 50, 95), doubt=doubt)

    assert told.hedged
    assert told.bid_kw[lab.spot] == pytest.approx([sold_kw])
    saved = {55: 0.0, 50: 5 * 0.25 / 3, 20: 5 * 0.25 / 3 + 30 * 0.05 / 3}[sold_kw]
    assert told.point_objective - told.objective == pytest.approx(saved)


def test_who_minds_the_dearest_tenth_sells_what_always_comes(lab: Any) -> None:
    _, told = newsvendor(lab, cvar_weight=1.0, cvar_level=0.9)

    assert told.bid_kw[lab.spot] == pytest.approx([10])
    assert told.cvar_cost == pytest.approx(-1.0)
    assert told.objective == told.cvar_cost
    assert told.costs.argmax() == 0


def test_the_more_the_dearest_count_the_less_is_sold(lab: Any) -> None:
    sold = [
        float(newsvendor(lab, cvar_weight=weight, cvar_level=0.5)[1].bid_kw[lab.spot][0])
        for weight in (0.0, 0.3, 1.0)
    ]

    assert sold == sorted(sold, reverse=True)
    assert sold[-1] < sold[0]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        pytest.param(0.0, 2.5, id="at level 0 it is the mean"),
        pytest.param(0.5, 3.5, id="half of four are two"),
        pytest.param(0.9, 4.0, id="less than one is the dearest"),
        pytest.param(0.625, (4 + 0.5 * 3) / 1.5, id="one and a half of four"),
    ],
)
def test_the_dearest_share_of_costs_is_averaged(level: float, expected: float) -> None:
    assert cvar(np.array([2.0, 4.0, 1.0, 3.0]), level) == pytest.approx(expected)


# ---------------------------------------------------------------- first step and recourse


def two_prices(lab: Any, **options: Any) -> tuple[Schedule, Uncertainty]:
    """An empty battery; energy costs 0.20 now, later 0.15 as expected, but either 0.10 or 0.50."""

    def terms(later: float) -> tuple[Term, ...]:
        price = np.array([0.2, later])
        return (
            EnergyPrice(
                connection_point_id=ConnectionPointId("cp-a"),
                import_per_kwh=price,
                export_per_kwh=price,
            ),
        )

    view = lab.view(lab.battery(), price=[0, 0], readings=[lab.reading("bat", soc=0)])
    futures = [Future(view=view, terms=terms(later)) for later in (0.1, 0.5)]
    return planned(lab, view, terms(0.15), futures, **options)


def test_the_first_step_is_one_for_all_futures_and_the_rest_is_not(lab: Any) -> None:
    schedule, told = two_prices(lab)

    assert lab.power(schedule, "bat")[0] == -100, "0.20 is cheaper than 0.30 on the mean"
    assert told.costs == pytest.approx([20 - 10, 20 - 50])
    assert told.point_costs == pytest.approx([0, 0]), "by its forecast alone it would rest"
    assert told.expected_cost == pytest.approx(-10)
    assert told.first_stage == ("the first step of 1 resources",)


def test_who_minds_the_dearest_half_does_not_gamble(lab: Any) -> None:
    schedule, told = two_prices(lab, cvar_weight=1.0, cvar_level=0.5)

    assert lab.power(schedule, "bat").tolist() == [0, 0]
    assert told.objective == pytest.approx(0, abs=1e-9)


def test_a_first_step_that_would_pay_in_one_future_alone_is_not_made_for_it(lab: Any) -> None:
    """Knowing which price comes would save 30 on the mean; one first step saves 10."""
    _, told = two_prices(lab)

    alone = [0.0, -30.0]
    assert np.mean(alone) < told.expected_cost < told.point_objective


def test_of_first_steps_that_cost_the_same_the_point_plans_is_kept(lab: Any) -> None:
    """Prices later make no difference to a battery that is flat on both hours of each future."""
    price = [0.2, 0.2, 0.2]
    load = lab.load()
    view = lab.view(
        lab.battery(), load, price=price, readings=[lab.reading("bat", soc=0.5)],
        base_kw={"load": [-10, -10, -10]},
    )  # fmt: skip
    more = replace(view, base_kw={"load": Profile(view.horizon, np.array([-10.0, -60.0, -10.0]))})
    terms = lab.terms(view, stored_value_per_kwh=0.2)

    plain = lab.plan(view, terms)
    schedule, told = planned(
        lab, view, terms, [Future(view=view, terms=terms), Future(view=more, terms=terms)]
    )

    assert told.hedged
    assert lab.power(plain, "bat").tolist() == [0, 0, 0]
    assert lab.power(schedule, "bat").tolist() == [0, 0, 0]


def test_a_trade_that_can_wait_is_not_held(lab: Any) -> None:
    view: PlanningView = lab.view(lab.pv(), price=[0.1, 0.1], available_kw={"pv": [50, 50]})
    view = replace(
        view, open_products=(replace(view.open_products[0], due=np.array([True, False])),)
    )

    def terms(of: PlanningView) -> tuple[Term, ...]:
        return tuple(
            replace(term, due=of.open_products[0].due) if isinstance(term, OpenTrade) else term
            for term in lab.terms(of)
        )

    def sun(kw: float) -> PlanningView:
        return replace(view, available_kw={ResourceId("pv"): Profile(view.horizon, np.full(2, kw))})

    _, told = planned(
        lab, view, terms(view), [Future(view=sun(kw), terms=terms(view)) for kw in (20, 80)]
    )

    assert np.isfinite(told.bid_kw[lab.spot]).tolist() == [True, False]
    # Short costs 1.10: what always comes is sold, 20 kWh. An hour later all that comes is.
    assert told.bid_kw[lab.spot][0] == pytest.approx(20)
    assert told.costs == pytest.approx([-0.1 * (20 + 20), -0.1 * (20 + 80)])


# ---------------------------------------------------------------- one future is the plain plan


def same(a: Schedule, b: Schedule) -> None:
    assert a.cost == pytest.approx(b.cost, abs=1e-9)
    np.testing.assert_allclose(a.power_kw, b.power_kw, atol=1e-9)
    np.testing.assert_allclose(a.net_value_per_kwh, b.net_value_per_kwh, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_one_future_as_expected_gives_the_plain_plan(lab: Any, seed: int, weight: float) -> None:
    view, terms = lab.random(seed)
    plain = lab.outcome(view, terms)
    assert not isinstance(plain, lab.Unsolved)

    schedule, told = planned(lab, view, terms, [Future(view=view, terms=terms)], cvar_weight=weight)

    same(schedule, plain.schedule)
    assert told.hedged
    assert told.costs == pytest.approx([schedule.cost])
    assert told.objective == told.point_objective


# ---------------------------------------------------------------- against another model


def otherwise(rng: np.random.Generator, view: PlanningView, terms: Sequence[Term]) -> Future:
    """The same park with other loads, other weather and other prices."""

    def moved(profiles: dict[Any, Profile]) -> dict[Any, Profile]:
        return {
            name: Profile(view.horizon, p.values * rng.uniform(0.5, 1.5, view.horizon.steps))
            for name, p in profiles.items()
        }

    dearer = rng.uniform(-0.02, 0.1, view.horizon.steps)

    def priced(term: Term) -> Term:
        match term:
            case Commitment():
                return replace(
                    term,
                    short_per_kwh=term.short_per_kwh + dearer,
                    long_per_kwh=term.long_per_kwh + dearer,
                )
            case OpenTrade():
                return replace(
                    term,
                    sell_per_kwh=term.sell_per_kwh + dearer,
                    buy_per_kwh=term.buy_per_kwh + dearer,
                )
            case _:
                return term

    other = replace(
        view,
        base_kw=moved(dict(view.base_kw)),
        available_kw=moved(dict(view.available_kw)),
    )
    return Future(view=other, terms=tuple(priced(term) for term in terms))


@pytest.mark.parametrize("seed", range(8))
def test_random_parks_are_hedged_as_well_as_the_independent_model_says(lab: Any, seed: int) -> None:
    pytest.importorskip("cvxpy", reason="cvxpy is not installed -> make test installs it")
    from tests.plan.independent.futures import least_objective

    view, terms = lab.random(seed, min_price=0.03, processes=0, runs=0, cars=0)
    rng = np.random.default_rng([seed, 5])
    futures = [otherwise(rng, view, terms) for _ in range(4)]
    weight = float(rng.choice([0.0, 0.4, 1.0]))

    _, told = planned(lab, view, terms, futures, cvar_weight=weight, cvar_level=0.5)

    assert told.hedged
    assert told.objective <= told.point_objective + 1e-9
    assert told.objective == pytest.approx(
        least_objective(
            futures,
            cvar_weight=weight,
            dearest=2,
            limit_excess_price_per_kwh=lab.excess_per_kwh,
        ),
        rel=2e-6,
        abs=2e-6,
    )


# ---------------------------------------------------------------- decisions


def test_runs_start_when_the_point_plan_starts_them_in_every_future(lab: Any) -> None:
    """30 kWh between noon and 14:00; the cheap hour is the second as expected, else the first."""

    def view_at(first: float, second: float) -> PlanningView:
        view: PlanningView = lab.view(
            lab.run(),
            price=[first] * 4 + [second] * 4,
            step=timedelta(minutes=15),
            readings=[lab.reading("oven", phase=RunPhase.WAITING)],
        )
        return view

    view, other = view_at(0.5, 0.1), view_at(0.1, 0.5)

    schedule, told = planned(
        lab, view, lab.terms(view), [Future(view=other, terms=lab.terms(other))]
    )

    assert schedule.starts == lab.plan(view).starts == {"oven": (4,)}
    assert told.costs == pytest.approx([0.5 * 30])
    assert told.first_stage[-1] == "7 on/off decisions"


# ---------------------------------------------------------------- never silent


def windmill(lab: Any, *has_kw: float) -> tuple[PlanningView, tuple[Term, ...], list[Future]]:
    """Expected to have 100 kW, and others in the futures; it runs at 50 kW or not at all."""
    mill = lab.pv("mill", on_off=lab.rules(min_power_kw=50.0))
    view: PlanningView = lab.view(
        mill, price=[0.1], available_kw={"mill": [100]}, readings=[lab.reading("mill")]
    )
    terms = lab.terms(view)

    def windy(kw: float) -> PlanningView:
        return replace(
            view, available_kw={ResourceId("mill"): Profile(view.horizon, np.array([kw]))}
        )

    return view, terms, [Future(view=windy(kw), terms=terms) for kw in has_kw]


def test_a_decision_that_a_future_rules_out_leaves_the_point_plan_and_says_so(lab: Any) -> None:
    view, terms, futures = windmill(lab, 80, 20)

    schedule, told = planned(lab, view, terms, futures)

    assert told.status == "point plan: an on/off decision of it cannot be taken in future 1"
    assert not told.hedged
    assert told.bid_kw == {}
    same(schedule, lab.plan(view, terms))


def test_no_time_left_leaves_the_point_plan_and_says_so(lab: Any) -> None:
    view, terms = lab.random(3, runs=0, processes=0)
    rng = np.random.default_rng(1)
    problem: Problem = lab.problem(view, terms, soft_s=100.0)
    looks = count()
    solve(problem, lambda: float(0 * next(looks)))
    before = next(looks)

    looks = count()
    outcome = solve(
        replace(problem, futures=tuple(otherwise(rng, view, terms) for _ in range(3))),
        lambda: 0.0 if next(looks) < before else 1000.0,
    )

    assert isinstance(outcome, Optimal)
    told = outcome.schedule.uncertainty
    assert told is not None
    assert told.status == "point plan: no time was left"
    same(outcome.schedule, lab.plan(view, terms))


def test_a_future_with_other_products_is_refused(lab: Any) -> None:
    view, terms, futures = windmill(lab, 80)
    fewer = tuple(term for term in terms if not isinstance(term, OpenTrade))

    with pytest.raises(DataError, match=r"future 0: .*bids of spot in 1 steps"):
        solve(
            replace(lab.problem(view, terms), futures=(Future(view=futures[0].view, terms=fewer),)),
            perf_counter,
        )


def test_a_future_of_another_horizon_is_refused(lab: Any) -> None:
    view, terms, _ = windmill(lab, 80)
    longer = lab.view(lab.pv("mill"), price=[0.1, 0.1])

    with pytest.raises(DataError, match="same park and horizon"):
        replace(lab.problem(view, terms), futures=(Future(view=longer, terms=lab.terms(longer)),))


def test_a_weight_beyond_1_is_refused(lab: Any) -> None:
    view, _, _ = windmill(lab, 80)

    with pytest.raises(DataError, match=r"cvar_weight 1\.5"):
        replace(lab.problem(view).options, cvar_weight=1.5)
