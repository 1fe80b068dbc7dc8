"""Positions, trades, peaks, the tree of limits, shadow prices and the bill, each by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, ProductId, ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.time import QUARTER
from vpp.plan.terms import Commitment, EnergyPrice, OpenTrade, PeakCharge
from vpp.plan.validate.bill import bill_by_cause
from vpp.plan.view import PaidPeak

# ---------------------------------------------------------------- positions


@pytest.mark.parametrize(
    ("committed_kw", "base_kw", "cost"),
    [
        pytest.param(50.0, 50.0, 0.0, id="as sold"),
        pytest.param(50.0, 40.0, 10 * 0.3, id="10 short at 0.30"),
        pytest.param(50.0, 70.0, -20 * 0.1, id="20 long at 0.10"),
        pytest.param(-50.0, -60.0, 10 * 0.3, id="draws 10 more than bought"),
        pytest.param(-50.0, 0.0, -50 * 0.1, id="draws 50 less than bought"),
    ],
)
def test_what_is_not_delivered_is_settled_as_imbalance(
    lab: Any, committed_kw: float, base_kw: float, cost: float
) -> None:
    view = lab.view(
        lab.load(),
        price=[0.2],
        base_kw={"load": [base_kw]},
        committed_kw=[committed_kw],
        max_trade_kw=0.0,
    )

    schedule = lab.plan(view, lab.terms(view, imbalance_per_kwh=0.1))

    assert schedule.cost == pytest.approx(cost)
    assert schedule.cost_by_cause["imbalance"] == pytest.approx(cost)
    assert schedule.committed_kw.tolist() == [committed_kw]


def test_a_battery_keeps_a_word_that_was_given(lab: Any) -> None:
    view = lab.view(
        lab.battery(),
        price=[0.1, 0.1],
        committed_kw=[0.0, 60.0],
        max_trade_kw=0.0,
        readings=[lab.reading("bat", soc=0.5)],
    )

    schedule = lab.plan(view)

    # 10 kWh are missing; buying them in the first hour as imbalance costs 1.1, falling short 1.1.
    assert lab.power(schedule, "bat")[1] in (50, 60)
    assert schedule.cost == pytest.approx(10 * 1.1)


@pytest.mark.parametrize(
    ("max_trade_kw", "trade_kw", "cost"),
    [
        pytest.param(1000.0, -80.0, 80 * 0.2, id="all of it is bought"),
        pytest.param(50.0, -50.0, 50 * 0.2 + 30 * 0.3, id="beyond the room it is imbalance"),
        pytest.param(0.0, 0.0, 80 * 0.3, id="the gate is closed"),
    ],
)
def test_a_product_is_traded_up_to_its_room(
    lab: Any, max_trade_kw: float, trade_kw: float, cost: float
) -> None:
    view = lab.view(lab.load(), price=[0.2], base_kw={"load": [-80.0]}, max_trade_kw=max_trade_kw)

    schedule = lab.plan(view, lab.terms(view, imbalance_per_kwh=0.1))

    assert schedule.trade_kw[lab.spot].tolist() == pytest.approx([trade_kw])
    assert schedule.cost == pytest.approx(cost)


def two_products(first: Sequence[float], second: Sequence[float], spread: float) -> list[OpenTrade]:
    return [
        OpenTrade(
            product_id=ProductId(name),
            sell_per_kwh=np.array(price) - half,
            buy_per_kwh=np.array(price) + half,
            max_kw=np.full(len(price), 1000.0),
        )
        for name, price, half in (("early", first, 0.0), ("late", second, spread / 2))
    ]


@pytest.mark.parametrize(
    ("late", "spread", "early_kw", "late_kw"),
    [
        pytest.param(0.21, 0.04, -80, 0, id="a difference within the spread is not chased"),
        pytest.param(0.17, 0.04, 0, -80, id="a lower price beyond the spread is"),
    ],
)
def test_two_products_do_not_shuffle_energy_within_the_spread(
    lab: Any, late: float, spread: float, early_kw: float, late_kw: float
) -> None:
    view = lab.view(lab.load(), price=[0.2], base_kw={"load": [-80.0]})
    position = [term for term in lab.terms(view) if isinstance(term, Commitment)]
    trades = two_products([0.2], [late], spread)
    if late_kw:
        trades[0] = replace(trades[0], sell_per_kwh=np.array([0.0]))  # nothing to gain by selling

    schedule = lab.plan(view, [*position, *trades])

    assert schedule.trade_kw[ProductId("early")].tolist() == [early_kw]
    assert schedule.trade_kw[ProductId("late")].tolist() == [late_kw]


def test_open_trades_without_a_position_are_refused(lab: Any) -> None:
    """Else one would sell without end and fall short for nothing."""
    view = lab.view(lab.load(), price=[0.2])
    terms = [term for term in lab.terms(view) if not isinstance(term, Commitment)]

    with pytest.raises(DataError, match="falling short of them costs nothing"):
        lab.outcome(view, terms)


@pytest.mark.parametrize(
    "term",
    [
        EnergyPrice(
            connection_point_id=ConnectionPointId("elsewhere"),
            import_per_kwh=np.zeros(1),
            export_per_kwh=np.zeros(1),
        ),
        PeakCharge(
            connection_point_id=ConnectionPointId("elsewhere"),
            first_step=0,
            last_step=1,
            price_per_kw=1.0,
            free_kw=0.0,
        ),
    ],
    ids=["an energy price", "a peak"],
)
def test_terms_at_unknown_connection_points_are_refused(lab: Any, term: Any) -> None:
    view = lab.view(lab.load(), price=[0.2])

    with pytest.raises(DataError, match="elsewhere"):
        lab.outcome(view, lab.terms(view, term))


# ---------------------------------------------------------------- peaks


def a_peak(price_per_kw: float, paid_kw: float, last_step: int = 3) -> PaidPeak:
    return PaidPeak(
        connection_point_id=ConnectionPointId("cp-a"),
        first_step=0,
        last_step=last_step,
        price_per_kw=price_per_kw,
        paid_kw=paid_kw,
    )


@pytest.mark.parametrize(
    ("base_kw", "paid_kw", "price_per_kw", "peak_kw", "peak_cost"),
    [
        pytest.param([-40, -80, -40], 0, 8.0, 110 / 3, 8 * 110 / 3, id="50 kWh spread it evenly"),
        pytest.param([-40, -80, -40], 60, 8.0, 60, 0, id="no gain below what is paid already"),
        pytest.param([-10, -10, -10], 60, 8.0, 60, 0, id="nothing to shave"),
        pytest.param([-40, -80, -40], 0, 0.0, 80, 0, id="a peak that costs nothing"),
    ],
)
def test_a_peak_is_shaved_as_far_as_it_pays(
    lab: Any,
    base_kw: Sequence[float],
    paid_kw: float,
    price_per_kw: float,
    peak_kw: float,
    peak_cost: float,
) -> None:
    """The price is flat, so that only the peak moves the battery."""
    view = lab.view(
        lab.battery(),
        lab.load(),
        price=[0.2] * 3,
        base_kw={"load": base_kw},
        readings=[lab.reading("bat", soc=0.5)],
        paid_peaks=(a_peak(price_per_kw, paid_kw),),
    )

    schedule = lab.plan(view)

    if price_per_kw:
        assert -schedule.net_kw.min() <= peak_kw + 1e-5
    assert schedule.cost_by_cause["peak"] == pytest.approx(peak_cost)


def test_a_peak_is_not_shaved_where_energy_is_dearer(lab: Any) -> None:
    """Shaving 1 kW for an hour means to charge it back with a loss of half: 0.2 a kWh, not 0.1."""
    view = lab.view(
        lab.battery(charge_efficiency=0.5),
        lab.load(),
        price=[0.2, 0.2],
        base_kw={"load": [0.0, -100.0]},
        readings=[lab.reading("bat", soc=0.0)],
        paid_peaks=(a_peak(0.1, 0.0, last_step=2),),
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [0, 0]
    assert schedule.cost_by_cause["peak"] == pytest.approx(100 * 0.1)


def test_each_month_of_the_horizon_has_its_peak(lab: Any) -> None:
    peaks = (a_peak(1.0, 50.0, last_step=2), replace(a_peak(2.0, 0.0), first_step=2, last_step=4))
    view = lab.view(
        lab.load(), price=[0.0] * 4, base_kw={"load": [-60, -20, -30, -10]}, paid_peaks=peaks
    )

    assert lab.plan(view).cost_by_cause["peak"] == pytest.approx((60 - 50) * 1.0 + 30 * 2.0)


# ---------------------------------------------------------------- the tree of limits


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("point_limits", id="the connection point"),
        pytest.param("feeder", id="the feeder"),
        pytest.param("limits", id="the park"),
    ],
)
def test_every_node_of_the_tree_limits_import_and_export(lab: Any, where: str) -> None:
    view = lab.view(
        lab.battery(),
        price=[0.1, 0.3],
        readings=[lab.reading("bat", soc=0.0)],
        **{where: lab.limits(import_kw=70.0, export_kw=50.0)},
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [-50, 50]


def test_a_feeder_shares_its_room_among_its_points_and_not_with_others(lab: Any) -> None:
    view = lab.view(
        lab.battery("a", point="cp-a"),
        lab.battery("b", point="cp-b"),
        lab.battery("c", point="free-c"),
        points=("cp-a", "cp-b", "free-c"),
        price=[0.1, 0.3],
        readings=[lab.reading(name, soc=0.0) for name in "abc"],
        feeder=lab.limits(import_kw=120.0),
        limits=lab.limits(export_kw=210.0),
    )

    schedule = lab.plan(view)

    shared = lab.power(schedule, "a") + lab.power(schedule, "b")
    assert shared[0] >= -120
    assert schedule.net_kw[1] == pytest.approx(210)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("where", "base_kw", "excess_kw"),
    [
        pytest.param("point_limits", -90.0, 40.0, id="too much import at a connection point"),
        pytest.param("feeder", -90.0, 40.0, id="too much import at a feeder"),
        pytest.param("limits", -90.0, 40.0, id="too much import of the park"),
        pytest.param("limits", 75.0, 15.0, id="too much export of the park"),
    ],
)
def test_a_load_above_its_limit_still_gives_a_plan_and_a_price(
    lab: Any, where: str, base_kw: float, excess_kw: float
) -> None:
    view = lab.view(
        lab.load(),
        price=[0.2],
        base_kw={"load": [base_kw]},
        **{where: lab.limits(import_kw=50.0, export_kw=60.0)},
    )

    schedule = lab.plan(view)

    assert schedule.cost_by_cause["limit excess"] == pytest.approx(excess_kw * lab.excess_per_kwh)
    assert schedule.net_kw.tolist() == pytest.approx([base_kw])


def test_an_excess_is_kept_as_small_as_the_battery_allows(lab: Any) -> None:
    view = lab.view(
        lab.battery(),
        lab.load(),
        price=[0.2],
        base_kw={"load": [-90.0]},
        readings=[lab.reading("bat", soc=0.3)],
        point_limits=lab.limits(import_kw=50.0),
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [30]
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(10 * lab.excess_per_kwh)


# ---------------------------------------------------------------- shadow prices


def test_the_net_is_worth_the_price_it_trades_at(lab: Any) -> None:
    view = lab.view(lab.load(), price=[0.2, -0.1], base_kw={"load": [-80.0, -80.0]})

    assert lab.plan(view).net_value_per_kwh.tolist() == pytest.approx([0.2, -0.1])


@pytest.mark.parametrize(
    ("committed_kw", "value"),
    [
        pytest.param(0.0, 0.3, id="short: worth what falling short costs"),
        pytest.param(-100.0, 0.1, id="long: worth what is left over"),
    ],
)
def test_the_net_is_worth_its_imbalance_where_gates_are_closed(
    lab: Any, committed_kw: float, value: float
) -> None:
    view = lab.view(
        lab.load(),
        price=[0.2],
        base_kw={"load": [-80.0]},
        committed_kw=[committed_kw],
        max_trade_kw=0.0,
    )

    schedule = lab.plan(view, lab.terms(view, imbalance_per_kwh=0.1))

    assert schedule.net_value_per_kwh.tolist() == pytest.approx([value])


def test_shadow_prices_are_per_kwh_whatever_the_step(lab: Any) -> None:
    view = lab.view(lab.load(), price=[0.2], base_kw={"load": [-80.0]}, step=QUARTER)

    assert lab.plan(view).net_value_per_kwh.tolist() == pytest.approx([0.2])


def test_a_stored_kwh_is_worth_what_it_will_be_sold_for(lab: Any) -> None:
    """10 kWh in a large store, all sold at 0.30; of a kWh in the store 0.8 come out: 0.24."""
    view = lab.view(
        lab.battery(discharge_efficiency=0.8),
        price=[0.1, 0.3],
        readings=[lab.reading("bat", soc=0.1)],
        point_limits=lab.limits(import_kw=0.0),
    )

    schedule = lab.plan(view)

    assert schedule.stored_value_per_kwh["bat"].tolist() == pytest.approx([0.24, 0.24])


def test_a_kwh_in_a_store_that_fills_by_itself_is_worth_what_filling_costs(lab: Any) -> None:
    """It could be charged at 0.10 and 0.8: a kWh in the store costs 0.125, and sells at 0.30."""
    view = lab.view(
        lab.battery(charge_efficiency=0.8, max_discharge_kw=200.0),
        price=[0.1, 0.3],
        readings=[lab.reading("bat", soc=0.8)],
    )

    schedule = lab.plan(view)

    value = schedule.stored_value_per_kwh["bat"]
    assert value[0] == pytest.approx(0.125)
    assert value[1] == pytest.approx(0.3)


def test_a_stored_kwh_is_worth_what_the_change_of_cost_says(lab: Any) -> None:
    """The shadow price against two plans a hundredth of a per cent apart."""
    price, units = [0.11, 0.35, 0.2, 0.05, 0.41], {"min_soc": 0.05, "charge_efficiency": 0.93}

    def plan(soc: float) -> Any:
        view = lab.view(
            lab.battery(max_discharge_kw=30.0, **units),
            price=price,
            readings=[lab.reading("bat", soc=soc)],
        )
        return lab.plan(view, lab.terms(view, stored_value_per_kwh=0.2))

    a, b = plan(0.6), plan(0.6001)

    value = (a.cost - b.cost) / (0.0001 * 100)
    # More at the beginning is more in the first step: its row's right-hand side.
    assert a.stored_value_per_kwh["bat"][0] == pytest.approx(value, abs=1e-6)


def test_the_net_value_is_what_the_change_of_cost_says(lab: Any) -> None:
    def plan(committed_kw: float) -> Any:
        view = lab.view(
            lab.battery(charge_efficiency=0.9),
            price=[0.1, 0.3, 0.2],
            committed_kw=[0.0, committed_kw, 0.0],
            max_trade_kw=30.0,
            readings=[lab.reading("bat", soc=0.5)],
        )
        return lab.plan(view, lab.terms(view, imbalance_per_kwh=0.15))

    a, b = plan(20.0), plan(20.001)

    assert a.net_value_per_kwh[1] == pytest.approx((b.cost - a.cost) / 0.001, abs=1e-6)


# ---------------------------------------------------------------- the bill


def test_a_plan_with_everything_adds_up_cause_by_cause(lab: Any) -> None:
    sessions = (lab.session("a", wanted_kwh=25, stays_h=2),)
    view = lab.view(
        lab.battery(wear_cost_per_kwh=0.01, charge_efficiency=0.9, point="cp-a"),
        lab.load(point="cp-a"),
        lab.pv(point="cp-b"),
        lab.process(point="cp-b"),
        lab.zone(point="cp-b", max_draw_kw=4.0),
        lab.cars(point="cp-a"),
        points=("cp-a", "cp-b"),
        price=[0.2, 0.9, 0.1],
        base_kw={"load": [-200.0, -150.0, -100.0]},
        available_kw={"pv": [20.0, 30.0, 10.0]},
        network_per_kwh=0.05,
        outdoor_degc=0.0,
        committed_kw=[-100.0, -100.0, -100.0],
        max_trade_kw=50.0,
        readings=[
            lab.reading("bat", soc=0.5),
            lab.reading("mill"),
            lab.reading("hall", temperature_degc=19.2),
            lab.reading("cars", sessions=sessions),
        ],
        paid_peaks=(a_peak(2.0, 10.0),),
        limits=lab.limits(import_kw=150.0),
    )
    terms = lab.terms(view, stored_value_per_kwh=0.15, imbalance_per_kwh=0.3)

    schedule = lab.plan(view, terms)

    ours = bill_by_cause(schedule, view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
    assert {cause for cause, cost in ours.items() if abs(cost) > 1e-3} == {
        "wear", "discomfort", "unserved", "calls", "network energy", "market", "imbalance", "peak",
        "stored energy", "limit excess",
    }  # fmt: skip
    for cause, cost in schedule.cost_by_cause.items():
        assert ours.get(cause, 0.0) == pytest.approx(cost, abs=1e-6), cause
    assert schedule.cost == pytest.approx(sum(ours.values()), abs=1e-6)


def test_calls_that_are_used_up_today_leave_those_of_tomorrow(lab: Any) -> None:
    view = lab.view(
        lab.process(callable_hours=(13,), call_cost_per_kwh=0.1),
        lab.run(),
        price=[0.2] * 192,
        step=QUARTER,
        readings=[lab.reading("mill", calls_today=1), lab.reading("oven", phase=RunPhase.WAITING)],
    )

    schedule = lab.plan(view)

    assert schedule.starts[ResourceId("mill")] == (100,)
