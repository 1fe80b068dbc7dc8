"""A battery by hand: 100 kWh, 100 kW, lossless unless said, steps of an hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vpp.plan.compile import build


@pytest.mark.parametrize(
    ("price", "stored_share", "sizes", "power_kw"),
    [
        pytest.param([0.1, 0.3], 0.0, {}, [-100, 100], id="charges cheap, discharges dear"),
        pytest.param([0.3, 0.1], 0.0, {}, [0, 0], id="nothing stored, price falls: nothing to do"),
        pytest.param([0.3, 0.1], 1.0, {}, [100, 0], id="what is stored is sold at the best price"),
        pytest.param([0.1, 0.2, 0.5], 0.5, {}, [-50, 0, 100], id="half full, it charges the rest"),
        pytest.param(
            [0.1, 0.3], 0.0, {"max_charge_kw": 40.0}, [-40, 40], id="charging power limits"
        ),
        pytest.param(
            [0.1, 0.3, 0.3], 0.0, {"max_discharge_kw": 50.0}, [-100, 50, 50], id="discharging power"
        ),
        pytest.param(
            [0.1, 0.12],
            0.0,
            {"charge_efficiency": 0.9, "discharge_efficiency": 0.9},
            [0, 0],
            id="0.12 × 0.81 earns less than 0.10 costs",
        ),
        pytest.param(
            [0.1, 0.125],
            0.0,
            {"charge_efficiency": 0.9, "discharge_efficiency": 0.9},
            [-100, 81],
            id="0.125 × 0.81 earns more than 0.10 costs",
        ),
        pytest.param(
            [0.1, 0.15], 0.0, {"wear_cost_per_kwh": 0.03}, [0, 0], id="wear twice 0.03 eats 0.05"
        ),
        pytest.param(
            [0.1, 0.15],
            0.0,
            {"wear_cost_per_kwh": 0.02},
            [-100, 100],
            id="wear twice 0.02 does not",
        ),
        pytest.param(
            [0.3, 0.1], 1.0, {"min_soc": 0.2}, [80, 0], id="the reserve stays in the store"
        ),
        pytest.param(
            [0.3, 0.3],
            0.1,
            {"min_soc": 0.2},
            [0, 0],
            id="found below its reserve it is neither emptied nor forced up",
        ),
    ],
)
def test_a_battery_trades_where_the_spread_pays(
    lab: Any,
    price: Sequence[float],
    stored_share: float,
    sizes: dict[str, float],
    power_kw: Sequence[float],
) -> None:
    view = lab.view(
        lab.battery(**sizes), price=price, readings=[lab.reading("bat", soc=stored_share)]
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == pytest.approx(power_kw, abs=1e-6)
    paid = sum(-kw * p for kw, p in zip(power_kw, price, strict=True))
    worn = sum(abs(kw) for kw in power_kw) * sizes.get("wear_cost_per_kwh", 0.0)
    assert schedule.cost == pytest.approx(paid + worn, abs=1e-6)


def test_a_store_below_its_reserve_may_be_charged_and_fall_back_to_where_it_was(lab: Any) -> None:
    view = lab.view(
        lab.battery(min_soc=0.5), price=[0.1, 0.3], readings=[lab.reading("bat", soc=0.2)]
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [-80, 80]
    assert schedule.stored_kwh["bat"].tolist() == pytest.approx([100, 20])


@pytest.mark.parametrize(
    ("value", "power_kw"),
    [
        pytest.param(0.15, 100, id="0.15 is less than the 0.20 of now: sold"),
        pytest.param(0.25, 0, id="0.25 is more: kept"),
    ],
)
def test_what_is_left_in_a_store_has_its_value(lab: Any, value: float, power_kw: float) -> None:
    view = lab.view(lab.battery(), price=[0.2], readings=[lab.reading("bat", soc=1.0)])

    schedule = lab.plan(view, lab.terms(view, stored_value_per_kwh=value))

    assert lab.power(schedule, "bat").tolist() == [power_kw]
    assert schedule.cost == pytest.approx(-0.2 * power_kw - value * (100 - power_kw))


def test_energy_left_counts_as_what_it_could_still_feed(lab: Any) -> None:
    """Of 100 kWh stored only 80 come out: worth 80 × 0.25 = 20."""
    view = lab.view(
        lab.battery(discharge_efficiency=0.8),
        price=[0.1],
        readings=[lab.reading("bat", soc=1.0)],
    )

    schedule = lab.plan(view, lab.terms(view, stored_value_per_kwh=0.25))

    assert schedule.cost_by_cause["stored energy"] == pytest.approx(-20)


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([], id="never heard"),
        pytest.param([{}], id="heard, but not how full it is"),
    ],
)
def test_a_battery_of_unknown_charge_is_left_alone(
    lab: Any, readings: Sequence[dict[str, Any]]
) -> None:
    view = lab.view(
        lab.battery(),
        price=[0.1, 0.9],
        readings=[lab.reading("bat", **values) for values in readings],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == [0, 0]
    assert schedule.stored_kwh == {}


# ---------------------------------------------------------------- negative prices

LOSSY = {"charge_efficiency": 0.9, "discharge_efficiency": 0.9}


@pytest.mark.parametrize(
    ("price", "stored_share", "power_kw", "cost"),
    [
        pytest.param([-0.1], 0.0, [-100], -10, id="paid to charge, it charges"),
        pytest.param([-0.1], 1.0, [0], 0, id="full, it cannot burn energy for the price"),
        pytest.param(
            [-0.1, -0.5],
            1.0,
            [81, -100],
            8.1 - 50,
            id="it makes room at a small price for a big one",
        ),
    ],
)
def test_negative_prices_never_charge_and_discharge_at_once(
    lab: Any, price: Sequence[float], stored_share: float, power_kw: Sequence[float], cost: float
) -> None:
    view = lab.view(
        lab.battery(**LOSSY), price=price, readings=[lab.reading("bat", soc=stored_share)]
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat").tolist() == pytest.approx(power_kw, abs=1e-4)
    assert schedule.cost == pytest.approx(cost, abs=1e-4)


@pytest.mark.parametrize(
    ("price", "sizes", "network_per_kwh", "binaries"),
    [
        pytest.param([0.1, 0.0, 0.3], LOSSY, 0.0, 0, id="no price below 0"),
        pytest.param([0.1, -0.1, 0.3], LOSSY, 0.0, 1, id="one price below 0"),
        pytest.param([-0.1, -0.1, -0.1], {}, 0.0, 0, id="a lossless battery burns nothing"),
        pytest.param(
            [-0.1, -0.1],
            LOSSY | {"wear_cost_per_kwh": 0.011},
            0.0,
            0,
            id="burning 0.19 kWh earns 0.019, and wears 1.81 kWh for 0.0199",
        ),
        pytest.param(
            [-0.1, -0.1], LOSSY | {"wear_cost_per_kwh": 0.01}, 0.0, 2, id="… or for 0.0181"
        ),
    ],
)
def test_binaries_stand_only_where_burning_energy_could_pay(
    lab: Any,
    price: Sequence[float],
    sizes: dict[str, float],
    network_per_kwh: float,
    binaries: int,
) -> None:
    view = lab.view(
        lab.battery(**sizes),
        price=price,
        readings=[lab.reading("bat", soc=0.5)],
        network_per_kwh=network_per_kwh,
    )

    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)

    assert len(programme.integral) == binaries


@pytest.mark.parametrize(
    ("room_kw", "binaries"),
    [
        pytest.param(101.0, 0, id="more than the park can feed: worth its price of 0.10"),
        pytest.param(99.0, 2, id="less: what cannot be sold may be worth -5"),
    ],
)
def test_room_to_trade_shows_that_energy_is_worth_its_price(
    lab: Any, room_kw: float, binaries: int
) -> None:
    """Even where being long costs 5 a kWh."""
    view = lab.view(
        lab.battery(**LOSSY),
        price=[0.1, 0.1],
        readings=[lab.reading("bat", soc=0.5)],
        max_trade_kw=room_kw,
    )

    programme = build(view, lab.terms(view, imbalance_per_kwh=5.1), limit_excess_price_per_kwh=10.0)

    assert len(programme.integral) == binaries


def test_a_full_park_does_not_burn_what_it_may_not_feed(lab: Any) -> None:
    """A load that feeds 50 kW (a plant behind its meter) at a point that may export 20 kW.

    Charging and discharging at once would burn energy and save the excess. Physics says no.
    """
    view = lab.view(
        lab.battery(**LOSSY),
        lab.load(),
        price=[0.1],
        base_kw={"load": [50.0]},
        readings=[lab.reading("bat", soc=1.0)],
        point_limits=lab.limits(export_kw=20.0),
    )

    schedule = lab.schedule_of(lab.outcome(view))

    assert lab.violations(schedule, view, lab.terms(view)) == ()
    assert lab.power(schedule, "bat").tolist() == [0]
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(30 * lab.excess_per_kwh)


def test_where_burning_would_cost_nothing_it_is_not_done(lab: Any) -> None:
    """Curtailed sun is worth nothing: a free loss in the battery instead of curtailing is no plan."""
    view = lab.view(
        lab.battery(**LOSSY),
        lab.pv(),
        price=[0.1] * 4,
        available_kw={"pv": [100.0] * 4},
        readings=[lab.reading("bat", soc=1.0)],
        point_limits=lab.limits(export_kw=20.0),
    )

    schedule = lab.plan(view)

    assert schedule.cost == pytest.approx(-4 * 20 * 0.1)
