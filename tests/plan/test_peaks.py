"""Demand charges: intervals longer than a step, windows, what is paid already, contracts; by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ConnectionPointId
from vpp.plan.terms import EnergyPrice, PeakCharge

POINT = ConnectionPointId("cp-a")


def peak(view: Any, *, price_per_kw: float = 1.0, free_kw: float = 0.0, **more: Any) -> PeakCharge:
    return PeakCharge(
        connection_point_id=POINT,
        first_step=0,
        last_step=view.horizon.steps,
        price_per_kw=price_per_kw,
        free_kw=free_kw,
        **more,
    )


def free_energy(view: Any) -> EnergyPrice:
    nothing = np.zeros(view.horizon.steps)
    return EnergyPrice(connection_point_id=POINT, import_per_kwh=nothing, export_per_kwh=nothing)


@pytest.mark.parametrize(
    ("draw_kw", "more", "peak_kw"),
    [
        pytest.param([100, 0, 50, 40], {}, 100, id="each step is an interval"),
        pytest.param([100, 0, 50, 40], {"interval_steps": 2}, 50, id="two steps are averaged"),
        pytest.param(
            [50, 50, 0, 0],
            {"interval_steps": 4, "elapsed_steps": 2, "elapsed_kw": 90.0},
            (2 * 90 + 2 * 50) / 4,
            id="the running interval has drawn 90 kW for half its time",
        ),
        pytest.param(
            [50, 50, 90, 90],
            {"interval_steps": 4, "elapsed_steps": 2, "elapsed_kw": 90.0},
            90,
            id="after it the next one begins, cut by the horizon",
        ),
        pytest.param(
            [100, 40, 60, 60],
            {"interval_steps": 2, "counts": np.array([False, False, True, True])},
            60,
            id="only intervals in the window count",
        ),
        pytest.param(
            [100, 40, 60, 60],
            {"interval_steps": 2, "counts": np.array([False, True, False, False])},
            70,
            id="an interval counts whole where any of it does",
        ),
        pytest.param(
            [20, 20, 90], {"interval_steps": 2}, 90, id="a cut interval counts what is seen of it"
        ),
        pytest.param([80, 80], {"free_kw": 100.0}, 0, id="below what is paid already"),
        pytest.param([80, 120], {"free_kw": 100.0}, 20, id="the rise above what is paid already"),
    ],
)
def test_the_highest_mean_import_is_charged(
    lab: Any, draw_kw: list[float], more: dict[str, Any], peak_kw: float
) -> None:
    view = lab.view(
        lab.load(), price=[0] * len(draw_kw), base_kw={"load": [-float(kw) for kw in draw_kw]}
    )

    schedule = lab.plan(view, [free_energy(view), peak(view, price_per_kw=2.0, **more)])

    assert schedule.cost_by_cause["peak"] == pytest.approx(2.0 * peak_kw)


def test_a_battery_shaves_the_mean_of_an_interval_not_each_step(lab: Any) -> None:
    """50 kWh against 200 kWh in two hours: 75 kW on average, however they are dealt out."""
    view = lab.view(
        lab.load(),
        lab.battery(),
        price=[0] * 4,
        base_kw={"load": [-150.0, -50.0, -10.0, 0.0]},
        readings=[lab.reading("bat", soc=0.5)],
    )

    schedule = lab.plan(view, [free_energy(view), peak(view, interval_steps=2)])

    assert schedule.cost == pytest.approx(75)
    (limit,) = (p for p in schedule.limit_prices if p.limit.endswith("paid peak"))
    assert limit.limit == "connection point cp-a: paid peak"
    assert limit.per_unit.tolist() == pytest.approx([-1, 0, 0, 0])


@pytest.mark.parametrize(
    ("draw_kw", "cost"),
    [
        pytest.param(40.0, 40.0, id="within the contract"),
        pytest.param(80.0, 80.0 + 30.0, id="30 kW beyond it pay twice"),
    ],
)
def test_two_terms_at_one_point_charge_the_excess_of_a_contract_double(
    lab: Any, draw_kw: float, cost: float
) -> None:
    view = lab.view(lab.load(), price=[0], base_kw={"load": [-draw_kw]})

    schedule = lab.plan(view, [free_energy(view), peak(view), peak(view, free_kw=50.0)])

    assert schedule.cost == pytest.approx(cost)


def test_shaving_stops_where_the_double_price_ends(lab: Any) -> None:
    """A kWh out of the battery costs 1.50 of wear: worth two of the peak's prices, not one."""
    view = lab.view(
        lab.load(),
        lab.battery(wear_cost_per_kwh=1.5),
        price=[0],
        base_kw={"load": [-80.0]},
        readings=[lab.reading("bat", soc=1.0)],
    )

    schedule = lab.plan(view, [free_energy(view), peak(view), peak(view, free_kw=50.0)])

    assert schedule.net_kw.tolist() == pytest.approx([-50])
