"""Bid curves from price scenarios: monotone, what was planned at each price, deliverable on paths between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.bidcurve import BidCurves
from vpp.model.horizon import Floats, Profile
from vpp.model.ids import ProductId
from vpp.model.schedule import Feasible, Optimal, Schedule
from vpp.plan.curvecheck import mixtures
from vpp.plan.problem import CurveAsk, Future
from vpp.plan.solve import solve
from vpp.plan.view import PlanningView

TICK = 0.001
END_VALUE = 0.10


def at_prices(view: PlanningView, price: Sequence[float] | Floats) -> PlanningView:
    """The same, had the price been another."""
    profile = Profile(view.horizon, np.asarray(price, dtype=float))
    products = tuple(replace(one, price_per_kwh=profile) for one in view.open_products)
    return replace(view, spot_per_kwh=profile, open_products=products)


def curves(
    lab: Any,
    view: PlanningView,
    prices: Sequence[Sequence[float]] | Floats,
    *,
    paths: Floats | None = None,
    terms: dict[str, float] | None = None,
    **said: Any,
) -> tuple[BidCurves, Schedule]:
    """The curves of the whole horizon for some price scenarios, and the plan beside them."""
    usual: dict[str, Any] = {"stored_value_per_kwh": END_VALUE} | (terms or {})
    scenarios = [at_prices(view, one) for one in prices]
    asked: dict[str, Any] = {
        "product_id": lab.spot,
        "first_step": 0,
        "width": 1,
        "intervals": view.horizon.steps,
        "tick_per_kwh": TICK,
        "most_steps": 10,
        "futures": tuple(Future(view=v, terms=lab.terms(v, **usual)) for v in scenarios),
        "mixtures": np.eye(len(scenarios)) if paths is None else paths,
        "most_undelivered": 1.0,
        "undelivered_per_kwh": 5.0,
        "soft_s": 600.0,
    }
    problem = lab.problem(view, lab.terms(view, **usual))
    outcome = solve(replace(problem, curves=(CurveAsk(**(asked | said)),)), perf_counter)
    assert isinstance(outcome, Optimal | Feasible), outcome
    (found,) = outcome.schedule.bid_curves
    return found, outcome.schedule


def half_full(lab: Any, hours: int = 2, **sizes: Any) -> PlanningView:
    """A lossless battery of 100 kWh and 100 kW with 50 kWh in it."""
    bat = lab.battery(**sizes)
    view: PlanningView = lab.view(bat, price=[0.1] * hours, readings=[lab.reading("bat", soc=0.5)])
    return view


# ---------------------------------------------------------------- by hand


def test_of_two_scenarios_that_agree_each_gets_its_best(lab: Any) -> None:
    """Cheap then dear: 50 kWh in, 100 out. Dear then cheap: 50 out, 100 in. Prices order them alike."""
    found, _ = curves(lab, half_full(lab), [[0.05, 0.20], [0.20, 0.05]])

    assert found.status == "expected"
    assert found.planned_kw == pytest.approx(np.array([[-50, 100], [50, -100]]))
    assert found.lowest_kw == pytest.approx([-50, -100])
    assert [[round(rise.kw, 6) for rise in rises] for rises in found.rises] == [[100], [200]]
    # -2.50 + 20; 10 - 5 + 10 (100 kWh are left, each worth 0.10)
    assert found.expected_cost == pytest.approx(-(17.5 + 15) / 2)


def test_where_a_higher_price_would_sell_less_one_quantity_is_best_for_both(lab: Any) -> None:
    """At 0.20 selling pays (0.05 follows), at 0.21 buying does (0.40 follows). No curve does both.

    For x sold in the first hour at either price, x from -50 to 50:
    0.20 x - 0.05 (50 + x) + 10  and  0.21 x + 0.40 (50 - x): together they fall by 0.04 a kW.
    """
    found, _ = curves(lab, half_full(lab), [[0.20, 0.05], [0.21, 0.40]])

    assert found.planned_kw == pytest.approx(np.array([[-50, 0], [-50, 100]]), abs=1e-6)
    assert found.lowest_kw == pytest.approx([-50, 0], abs=1e-6)
    assert found.rises[0] == ()
    assert found.expected_cost == pytest.approx(-(0 + 29.5) / 2)


def test_a_curve_does_not_lean_on_a_later_market(lab: Any) -> None:
    """Another product at the same price would let each scenario take back what the curve sells."""
    view = half_full(lab)
    later = replace(view.open_products[0], product_id=ProductId("later"), informative=False)
    both = replace(view, open_products=(*view.open_products, later))

    found, _ = curves(lab, both, [[0.20, 0.05], [0.21, 0.40]])

    assert found.planned_kw == pytest.approx(np.array([[-50, 0], [-50, 100]]), abs=1e-6)
    assert found.expected_cost == pytest.approx(-(0 + 29.5) / 2)


def test_who_fears_the_worse_half_sells_until_both_are_equal(lab: Any) -> None:
    """The dearer of two alone counts: 7.5 + 0.15 x = 20 - 0.19 x."""
    prices = [[0.20, 0.05], [0.21, 0.40]]
    found, _ = curves(lab, half_full(lab), prices, cvar_weight=1.0, cvar_level=0.5)

    x = 12.5 / 0.34
    assert found.planned_kw[:, 0] == pytest.approx([x, x])
    assert found.cvar_cost == pytest.approx(-(7.5 + 0.15 * x))


def test_equal_prices_get_equal_quantities_whatever_follows(lab: Any) -> None:
    found, _ = curves(lab, half_full(lab), [[0.20, 0.05], [0.2005, 0.40], [0.30, 0.35]])

    assert found.planned_kw[0, 0] == found.planned_kw[1, 0], "half a tick apart"
    assert found.planned_kw[2, 0] >= found.planned_kw[0, 0]


def test_equal_prices_share_the_quantity_that_is_best_for_both(lab: Any) -> None:
    """At 0.20 either 0.30 or 0.05 follows: 15 - 0.10 x and 7.5 + 0.15 x rise together, to 50 kW sold."""
    found, _ = curves(lab, half_full(lab), [[0.20, 0.30], [0.20, 0.05]])

    assert found.planned_kw == pytest.approx(np.array([[50, 0], [50, -100]]), abs=1e-6)
    assert found.expected_cost == pytest.approx(-(10 + 15) / 2)


def test_limits_lie_strictly_between_the_prices_of_their_scenarios(lab: Any) -> None:
    found, _ = curves(lab, half_full(lab), [[0.05, 0.20], [0.052, 0.05], [0.20, 0.10]])

    for prices, rises in zip(found.scenario_per_kwh.T, found.rises, strict=True):
        for rise in rises:
            assert not np.isclose(prices, rise.price_per_kwh, atol=TICK / 2).any()
            assert prices.min() < rise.price_per_kwh < prices.max()
            assert rise.price_per_kwh / TICK == pytest.approx(round(rise.price_per_kwh / TICK))


def test_an_interval_of_several_steps_sells_one_quantity(lab: Any) -> None:
    """Selling dear in the second hour would pay; over both, buying for the evening does, by 0.05 a kW."""
    view = lab.view(
        lab.battery(),
        price=[0.1, 0.1, 0.2, 0.2],
        readings=[lab.reading("bat", soc=0.5)],
    )
    scenarios = [[0.05, 0.30, 0.20, 0.20], [0.20, 0.20, 0.05, 0.05]]
    found, _ = curves(lab, view, scenarios, width=2, intervals=2)

    assert found.scenario_per_kwh == pytest.approx(np.array([[0.175, 0.20], [0.20, 0.05]]))
    # 50 kWh of room are charged in two hours, 25 kW each; then 100 kWh are sold, 50 kW each
    assert found.planned_kw[0] == pytest.approx([-25, 50])
    assert found.planned_kw[1] == pytest.approx([25, -50])
    assert found.horizon.step == 2 * view.horizon.step


def test_a_product_of_two_steps_gets_two_quantities(lab: Any) -> None:
    prices = [[0.02, 0.10], [0.03, 0.10], [0.09, 0.11], [0.20, 0.10]]
    found, _ = curves(lab, half_full(lab), prices, most_steps=2)

    assert all(len(set(np.round(kw, 6))) <= 2 for kw in found.planned_kw.T)
    assert len(set(np.round(found.planned_kw[:3, 0], 6))) == 1, "the widest gap parts them"


# ---------------------------------------------------------------- one scenario


def test_one_scenario_sells_what_the_plan_sells(lab: Any) -> None:
    """Of all that pays the same: whole hours at one price leave much of it."""
    price = [0.05] * 4 + [0.30] * 4 + [0.10] * 4
    view = lab.view(
        lab.battery(capacity_kwh=300.0),
        lab.load(),
        lab.pv(),
        price=price,
        readings=[lab.reading("bat", soc=0.5)],
        base_kw={"load": [-80.0] * 12},
        available_kw={"pv": [10.0 * i for i in range(12)]},
    )
    found, schedule = curves(lab, view, [price])

    assert found.planned_kw[0] == pytest.approx(schedule.trade_kw[lab.spot], abs=1e-6)
    assert found.rises == ((),) * 12


# ---------------------------------------------------------------- any park


@pytest.mark.parametrize("seed", range(12))
def test_curves_never_fall_and_sell_what_was_planned_at_each_price(lab: Any, seed: int) -> None:
    view, _ = lab.random(seed, processes=1, cars=1)
    products = tuple(
        replace(one, max_kw=np.maximum(one.max_kw, 200.0)) for one in view.open_products
    )
    view = replace(view, open_products=products)
    chance = np.random.default_rng(seed)
    usual = view.spot_per_kwh.values
    prices = usual + 0.1 * chance.standard_normal((4, len(usual)))
    width = 2 if view.horizon.steps % 2 == 0 else 1
    found, _ = curves(lab, view, prices, width=width, intervals=view.horizon.steps // width)

    assert found.usable, found.status
    order = np.argsort(found.scenario_per_kwh, axis=0)
    assert (np.diff(np.take_along_axis(found.planned_kw, order, axis=0), axis=0) >= 0).all()
    for price, kw in zip(found.scenario_per_kwh, found.planned_kw, strict=True):
        assert found.sold_kw(price) == pytest.approx(kw, abs=1e-5)


# ---------------------------------------------------------------- paths


def both_low_and_both_high() -> Floats:
    """Paths of three scenarios: the first hour of one with the second of another."""
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 3.0]])


SEESAW = [[0.05, 0.20], [0.20, 0.05], [0.10, 0.10]]


def promised(found: BidCurves) -> float:
    """kWh traded on the four paths."""
    return float(sum(np.abs(sold).sum() for sold in accepted(found)))


def promised_in_vain(found: BidCurves) -> float:
    """What of it a battery of 100 kWh with 50 kWh in it can neither feed nor take."""
    undelivered = 0.0
    for sold in accepted(found):
        stored = 50.0
        for kw in sold:
            undelivered += max(kw - stored, 0.0) + max(stored - kw - 100.0, 0.0)
            stored = min(max(stored - kw, 0.0), 100.0)
    return undelivered


def accepted(found: BidCurves) -> list[Floats]:
    return [found.sold_kw(weight @ np.array(SEESAW)) for weight in both_low_and_both_high()]


def test_what_cannot_be_delivered_on_a_path_is_counted(lab: Any) -> None:
    """The third scenario leaves the battery alone. At 0.15 in both hours: see what is accepted."""
    found, _ = curves(lab, half_full(lab), SEESAW, paths=both_low_and_both_high())

    assert found.check is not None
    undelivered, traded = promised_in_vain(found), promised(found)
    assert undelivered > 0
    assert found.check.paths == found.check.asked == 4
    assert found.check.undelivered_share == pytest.approx(undelivered / traded)
    assert found.check.kept == 1.0


def test_curves_that_promise_too_much_are_cut_to_what_may_be_missed(lab: Any) -> None:
    whole, schedule = curves(lab, half_full(lab), SEESAW, paths=both_low_and_both_high())
    cut, _ = curves(
        lab, half_full(lab), SEESAW, paths=both_low_and_both_high(), most_undelivered=0.05
    )

    assert whole.check is not None
    assert cut.check is not None
    kept = 0.05 / whole.check.undelivered_share
    assert 0 < kept < 1
    assert cut.check.kept == pytest.approx(kept)
    assert cut.check.share_before_cut == pytest.approx(whole.check.undelivered_share)
    assert cut.check.undelivered_share == pytest.approx(0.05)
    assert promised_in_vain(cut) <= 0.05 * promised(whole) * (1 + 1e-6)
    point = schedule.trade_kw[lab.spot]
    for price in ([0.05, 0.05], [0.12, 0.12], [0.3, 0.05], [0.3, 0.3]):
        drawn_in = point + kept * (whole.sold_kw(np.array(price)) - point)
        assert cut.sold_kw(np.array(price)) == pytest.approx(drawn_in)


def test_where_nothing_may_be_missed_the_point_plans_quantity_is_left(lab: Any) -> None:
    cut, schedule = curves(
        lab, half_full(lab), SEESAW, paths=both_low_and_both_high(), most_undelivered=0.0
    )

    assert cut.check is not None
    assert cut.check.undelivered_share == pytest.approx(0.0, abs=1e-9)
    assert cut.lowest_kw == pytest.approx(schedule.trade_kw[lab.spot])
    assert cut.rises == ((), ())


def test_paths_have_the_scenarios_mean_and_spread() -> None:
    scenarios = np.array([[1.0, 5.0], [2.0, 3.0], [6.0, 4.0]])
    weights = mixtures(20_000, 3, np.random.default_rng(1))
    paths = weights @ scenarios

    assert weights.sum(axis=1) == pytest.approx(np.ones(20_000))
    assert paths.mean(axis=0) == pytest.approx(scenarios.mean(axis=0), abs=0.05)
    assert np.cov(paths.T) == pytest.approx(np.cov(scenarios.T), abs=0.2)


def test_curves_that_nobody_had_time_to_check_are_not_offered(lab: Any) -> None:
    found, _ = curves(lab, half_full(lab), SEESAW, soft_s=1e-9)

    assert not found.usable
    # On a slow machine there was no time for the curves themselves either.
    assert found.status.startswith(("point plan: 0 of 3 price paths", "point plan: scenarios: LP"))


# ---------------------------------------------------------------- what makes no sense


def test_scenarios_that_differ_in_more_than_prices_are_refused(lab: Any) -> None:
    view = half_full(lab)
    fuller = replace(view, state=replace(view.state, resources=(lab.reading("bat", soc=0.9),)))
    futures = tuple(
        Future(view=v, terms=lab.terms(v, stored_value_per_kwh=END_VALUE)) for v in (view, fuller)
    )
    found, schedule = curves(lab, view, [[0.1, 0.1]] * 2, futures=futures)
    assert "differs from the first in more than prices" in found.status
    assert schedule.net_kw.shape == (2,)  # it costs the curves, not the plan


def test_intervals_beyond_the_horizon_are_refused(lab: Any) -> None:
    with pytest.raises(DataError, match="3 intervals of 1 steps from 0 on"):
        curves(lab, half_full(lab), [[0.1, 0.1]], intervals=3)


def test_a_product_that_is_not_traded_gets_no_curves(lab: Any) -> None:
    found, _ = curves(lab, half_full(lab), [[0.1, 0.1]], product_id="elsewhere")
    assert not found.usable
    assert "nothing of it can be traded" in found.status


def test_stores_that_burn_energy_where_it_is_worth_less_than_nothing_are_mended(lab: Any) -> None:
    """At -0.50 burning would pay: half the losses cannot be drawn by going both ways at once."""
    view = half_full(lab, charge_efficiency=0.8, discharge_efficiency=0.8)
    found, _ = curves(lab, view, [[-0.5, -0.5], [0.1, 0.1]], terms={"imbalance_per_kwh": 5.0})

    assert found.usable, found.status
    assert found.check is not None
    assert found.check.paths == 2
    # At most 62.5 kWh fill the store in two hours; 100 kW one way and less the other burn more.
    assert found.planned_kw[0].sum() < -62.5 - 1
    assert found.check.undelivered_share > 0
