"""What a store asks beside its size, by hand: 100 kWh, 100 kW, lossless unless said, steps of an hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from vpp.plan.compile import build

LOSSY = {"charge_efficiency": 0.9, "discharge_efficiency": 0.9}


LARGE = {"capacity_kwh": 200.0, "max_discharge_kw": 200.0}


# ---------------------------------------------------------------- losses, power, level


@pytest.mark.parametrize(
    ("price", "power_kw", "stored_kwh"),
    [
        pytest.param([0.1, 0.3], [0, 25], [50, 0], id="25 kWh later earn more than 50 kWh now"),
        pytest.param([0.2, 0.3], [50, 0], [0, 0], id="… and here less"),
    ],
)
def test_what_stands_is_lost(
    lab: Any, price: Sequence[float], power_kw: Sequence[float], stored_kwh: Sequence[float]
) -> None:
    view = lab.view(
        lab.battery(standing_loss_per_h=0.5, max_charge_kw=0.0),
        price=price,
        readings=[lab.reading("bat", soc=1.0)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == power_kw
    assert schedule.stored_kwh["bat"].tolist() == pytest.approx(stored_kwh)


def test_losses_count_by_the_length_of_a_step(lab: Any) -> None:
    """75 % an hour are 50 % in half an hour."""
    view = lab.view(
        lab.battery(standing_loss_per_h=0.75, max_charge_kw=0.0),
        price=[0.1, 0.1, 0.9],
        readings=[lab.reading("bat", soc=0.8)],
        step=timedelta(minutes=30),
    )

    schedule = lab.plan(view)

    assert schedule.stored_kwh["bat"].tolist() == pytest.approx([40, 20, 0])
    assert lab.power(schedule, "bat").tolist() == [0, 0, 20]


@pytest.mark.parametrize(
    ("soc", "stored_kwh"),
    [
        pytest.param(0.4, [20, 10], id="found below its floor"),
        pytest.param(0.8, [40, 20], id="falling through it"),
    ],
)
def test_a_store_that_loses_may_sink_below_its_floor_but_gives_nothing(
    lab: Any, soc: float, stored_kwh: Sequence[float]
) -> None:
    """Topping it up would cost 0.30 a kWh, and nothing asks for it."""
    view = lab.view(
        lab.battery(standing_loss_per_h=0.5, min_soc=0.5),
        price=[0.3, 0.3],
        readings=[lab.reading("bat", soc=soc)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [0, 0]
    assert schedule.stored_kwh["bat"].tolist() == pytest.approx(stored_kwh)


@pytest.mark.parametrize(
    ("soc", "price", "power_kw"),
    [
        pytest.param(1.0, [0.1, 0.5, 0.4], [50, 0, 50], id="discharging"),
        pytest.param(0.0, [0.3, 0.1, 0.2, 0.9], [-50, 0, -50, 100], id="charging"),
    ],
)
def test_power_is_what_its_series_leaves(
    lab: Any, soc: float, price: Sequence[float], power_kw: Sequence[float]
) -> None:
    view = lab.view(
        lab.battery(power_series_id="vans"),
        price=price,
        readings=[lab.reading("bat", soc=soc)],
        power_share={"vans": [1.0, 0.0, 0.5, 1.0][: len(price)]},
    )

    assert lab.power(lab.plan(view), "bat").tolist() == power_kw


@pytest.mark.parametrize(
    ("soc", "price", "taper", "power_kw"),
    [
        pytest.param(
            0.75,
            [0.1, 0.1, 0.9],
            {"charge_taper_soc": 0.5, "max_discharge_kw": 400.0},
            [-50, -25, 375],
            id="half of the last half is left: half of the power; then a quarter",
        ),
        pytest.param(
            0.25, [0.9, 0.8, 0.7], {"discharge_taper_soc": 0.5}, [50, 25, 12.5], id="discharging"
        ),
        pytest.param(
            0.25,
            [0.1, 0.9],
            {"charge_taper_soc": 0.5, "max_discharge_kw": 400.0},
            [-100, 200],
            id="far from full: all of it",
        ),
    ],
)
def test_power_falls_near_the_ends_of_a_store(
    lab: Any,
    soc: float,
    price: Sequence[float],
    taper: dict[str, float],
    power_kw: Sequence[float],
) -> None:
    view = lab.view(
        lab.battery(capacity_kwh=400.0, **taper),
        price=price,
        readings=[lab.reading("bat", soc=soc)],
    )

    assert lab.power(lab.plan(view), "bat").tolist() == power_kw


# ---------------------------------------------------------------- the end, the reserve, cycles


@pytest.mark.parametrize(
    ("max_charge_kw", "power_kw", "lacking_kwh"),
    [
        pytest.param(100.0, [-50], 0, id="it is charged for it"),
        pytest.param(20.0, [-20], 30, id="what cannot be is priced, and the plan stands"),
    ],
)
def test_so_much_is_stored_at_the_end(
    lab: Any, max_charge_kw: float, power_kw: Sequence[float], lacking_kwh: float
) -> None:
    view = lab.view(
        lab.battery(final_soc=0.5, max_charge_kw=max_charge_kw),
        price=[0.3],
        readings=[lab.reading("bat", soc=0.0)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == power_kw
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(lacking_kwh * lab.excess_per_kwh)


@pytest.mark.parametrize(
    ("cost_per_kwh_h", "power_kw", "cost"),
    [
        pytest.param(0.1, [50, 0], 10, id="5 an hour: sold at 0.45, and not bought back at 0.15"),
        pytest.param(0.2, [50, -50], 10, id="10 an hour: sold, and bought back for 7.50"),
        pytest.param(0.4, [0, 0], 0, id="20 an hour: kept"),
    ],
)
def test_a_reserve_is_left_where_that_pays(
    lab: Any, cost_per_kwh_h: float, power_kw: Sequence[float], cost: float
) -> None:
    view = lab.view(
        lab.battery(reserve_soc=0.5, reserve_cost_per_kwh_h=cost_per_kwh_h),
        price=[0.45, 0.15],
        readings=[lab.reading("bat", soc=0.5)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == power_kw
    assert schedule.cost_by_cause["reserve energy kept"] == pytest.approx(cost)


def test_a_reserve_is_paid_for_by_the_hour(lab: Any) -> None:
    """20 kWh lack for half an hour, at 0.1 a kWh and hour; nothing can be charged."""
    view = lab.view(
        lab.battery(reserve_soc=0.5, reserve_cost_per_kwh_h=0.1, max_charge_kw=0.0),
        price=[0.01],
        readings=[lab.reading("bat", soc=0.3)],
        step=timedelta(minutes=30),
    )

    assert lab.plan(view).cost_by_cause["reserve energy kept"] == pytest.approx(20 * 0.1 / 2)


@pytest.mark.parametrize(
    ("cycles", "reading", "power_kw"),
    [
        pytest.param(2.0, {}, [-100, 100, -100, 100], id="two cycles: both spreads"),
        pytest.param(1.0, {}, [0, 0, -100, 100], id="one: the better spread"),
        pytest.param(
            1.0, {"discharged_today_kwh": 60.0}, [0, 0, -40, 40], id="60 of 100 kWh are gone today"
        ),
        pytest.param(
            1.0, {"discharged_today_kwh": 160.0}, [0, 0, 0, 0], id="more than all is gone"
        ),
    ],
)
def test_a_store_is_cycled_no_more_than_it_may(
    lab: Any, cycles: float, reading: dict[str, Any], power_kw: Sequence[float]
) -> None:
    view = lab.view(
        lab.battery(max_cycles_per_day=cycles),
        price=[0.12, 0.3, 0.1, 0.4],
        readings=[lab.reading("bat", soc=0.0, **reading)],
    )

    assert lab.power(lab.plan(view), "bat").tolist() == power_kw


def test_cycles_count_what_leaves_the_store_and_not_what_arrives(lab: Any) -> None:
    view = lab.view(
        lab.battery(max_cycles_per_day=0.5, discharge_efficiency=0.8),
        price=[0.3],
        readings=[lab.reading("bat", soc=1.0)],
    )

    assert lab.power(lab.plan(view), "bat").tolist() == [40]


def test_each_local_day_has_its_own_cycles(lab: Any) -> None:
    """Steps of six hours from noon: the second day begins with the third."""
    view = lab.view(
        lab.battery(capacity_kwh=600.0, max_cycles_per_day=1.0),
        price=[0.1, 0.3, 0.09, 0.3],
        readings=[lab.reading("bat", soc=0.0, discharged_today_kwh=300.0)],
        step=timedelta(hours=6),
    )

    assert lab.power(lab.plan(view), "bat").tolist() == [-50, 50, -100, 100]


def test_what_left_yesterday_does_not_count_today(lab: Any) -> None:
    yesterday = lab.noon - timedelta(hours=13)
    view = lab.view(
        lab.battery(max_cycles_per_day=1.0),
        price=[0.3],
        readings=[lab.reading("bat", soc=1.0, discharged_today_kwh=90.0, measured_at=yesterday)],
    )

    assert lab.power(lab.plan(view), "bat").tolist() == [100]


@pytest.mark.parametrize(
    ("field", "sizes", "soc", "price", "per_unit"),
    [
        pytest.param("max_charge_kw", {"max_charge_kw": 40.0}, 0.0, [0.1, 0.3], [-0.2, 0]),
        pytest.param("max_discharge_kw", {"max_discharge_kw": 40.0}, 1.0, [0.3, 0.1], [-0.3, -0.1]),
        pytest.param("capacity_kwh", {"max_charge_kw": 200.0, "max_discharge_kw": 200.0}, 0.0, [0.1, 0.3], [-0.2, 0]),
        pytest.param("min_soc", {"min_soc": 0.5}, 1.0, [0.3], [-0.3]),
        pytest.param("final_soc", {"final_soc": 0.5}, 1.0, [0.3], [-0.3]),
        pytest.param("reserve_soc", {"reserve_soc": 0.5, "reserve_cost_per_kwh_h": 1}, 1, [0.3], [-0.3]),
        pytest.param("max_cycles_per_day", {"max_cycles_per_day": 0.5}, 1.0, [0.1, 0.3], [0, -0.3]),
        pytest.param("charge_taper_soc", {"charge_taper_soc": 0.0} | LARGE, 0.5, [0.1, 0.3], [-0.2, 0]),
        pytest.param("discharge_taper_soc", {"discharge_taper_soc": 1.0}, 0.5, [0.3], [-0.3]),
    ],
)  # fmt: skip
def test_every_limit_of_a_store_is_told_by_its_name_and_price(
    lab: Any,
    field: str,
    sizes: dict[str, float],
    soc: float,
    price: Sequence[float],
    per_unit: Sequence[float],
) -> None:
    view = lab.view(lab.battery(**sizes), price=price, readings=[lab.reading("bat", soc=soc)])

    prices = {p.limit: p.per_unit.tolist() for p in lab.plan(view).limit_prices}

    assert prices[f"bat: {field}"] == pytest.approx(per_unit)


# ---------------------------------------------------------------- other carriers


def test_a_tank_serves_heat_that_its_source_cannot(lab: Any) -> None:
    """A source of 100 kW, a demand of 50 and then 140: the tank takes 40 / 0.8 and gives 40."""
    view = lab.view(
        lab.source("boiler", node_id="heat", cost_per_kwh=0.05),
        lab.load("hall", node_id="heat"),
        lab.battery("tank", node_id="heat", charge_efficiency=0.8),
        price=[0.1, 0.1],
        base_kw={"hall": [-50, -140]},
        readings=[lab.reading("tank", soc=0.0)],
        nodes=[lab.node()],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "boiler").tolist() == [100, 100]
    assert lab.power(schedule, "tank").tolist() == [-50, 40]
    assert lab.power(schedule, "hall").tolist() == [-50, -140]
    assert schedule.net_kw.tolist() == pytest.approx([0, 0])
    assert schedule.cost == pytest.approx(200 * 0.05)


@pytest.mark.parametrize(
    ("source", "spill_cost_per_kwh", "tank", "binaries"),
    [
        pytest.param({}, None, LOSSY, 0, id="a source that is turned down at will"),
        pytest.param({"must_run_share": 0.1}, None, LOSSY, 2, id="… that must run"),
        pytest.param({"cost_per_kwh": -0.1}, None, LOSSY, 2, id="… that is paid for taking"),
        pytest.param(
            {"curtailment_cost_per_kwh": 0.1}, None, LOSSY, 2, id="… that costs when down"
        ),
        pytest.param({"must_run_share": 0.1}, None, {}, 0, id="a lossless tank burns nothing"),
        pytest.param(
            {"must_run_share": 0.1},
            None,
            {"standing_loss_per_h": 0.1},
            0,
            id="… nor does it burn what it loses by standing",
        ),
        pytest.param(
            {"must_run_share": 0.1}, 0.0, LOSSY, 0, id="what is thrown away costs nothing"
        ),
        pytest.param({"must_run_share": 0.1}, 0.2, LOSSY, 2, id="… or costs more than burning"),
        pytest.param(
            {"must_run_share": 0.1},
            0.2,
            LOSSY | {"wear_cost_per_kwh": 0.022},
            0,
            id="… or less: 0.19 kWh burned save 0.038, and wear 1.81 kWh for 0.0398",
        ),
    ],
)
def test_tanks_are_decided_on_only_where_heat_may_be_unwanted(
    lab: Any,
    source: dict[str, float],
    spill_cost_per_kwh: float | None,
    tank: dict[str, float],
    binaries: int,
) -> None:
    view = lab.view(
        lab.source("boiler", node_id="heat", **source),
        lab.load("hall", node_id="heat"),
        lab.battery("tank", node_id="heat", **tank),
        price=[-0.5, 0.1],
        base_kw={"hall": [-50, -50]},
        readings=[lab.reading("tank", soc=0.5)],
        nodes=[lab.node(spill_cost_per_kwh=spill_cost_per_kwh)],
    )

    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)

    assert len(programme.integral) == binaries


def test_a_full_tank_does_not_burn_heat_that_nobody_wants(lab: Any) -> None:
    """50 kW waste heat must go somewhere, 40 kW are wanted: charging and discharging at once would
    save the 0.05 a kWh that throwing 10 kW away costs.
    """
    view = lab.view(
        lab.source("waste", node_id="heat", must_run_share=0.5),
        lab.load("hall", node_id="heat"),
        lab.battery("tank", node_id="heat", **LOSSY),
        price=[0.1],
        base_kw={"hall": [-40]},
        readings=[lab.reading("tank", soc=1.0)],
        nodes=[lab.node(spill_cost_per_kwh=0.05)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "tank").tolist() == [0]
    assert schedule.spilled_kw["heat"].tolist() == pytest.approx([10])
    assert schedule.cost == pytest.approx(0.05 * 10)
