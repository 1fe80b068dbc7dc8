"""Cars by hand, first those that feed back: 10 kW each way, lossless unless said, steps of an hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vpp.plan.compile import build

LOSSY = {"charge_efficiency": 0.9, "discharge_efficiency": 0.9}


def a_view(
    lab: Any,
    *,
    price: Sequence[float],
    car: dict[str, float],
    fleet: dict[str, Any],
    **more: Any,
) -> Any:
    """One car that stays as long as anybody looks, unless `car` says otherwise."""
    session = lab.session("a", **({"wanted_kwh": 0.0, "stays_h": 9.0} | car))
    return lab.view(
        lab.cars(**({"max_car_feed_kw": 10.0} | fleet)),
        price=price,
        readings=[lab.reading("cars", sessions=(session,))],
        **more,
    )


@pytest.mark.parametrize(
    ("fleet", "car", "price", "power_kw"),
    [
        pytest.param(
            {}, {"lends_kwh": 10.0}, [0.5, 0.1], [10, -10], id="lends 10 kWh and has them back"
        ),
        pytest.param({}, {"lends_kwh": 4.0}, [0.5, 0.1], [4, -4], id="lends no more than it said"),
        pytest.param(
            {"max_car_feed_kw": 3.0}, {"lends_kwh": 10.0}, [0.5, 0.1], [3, -3], id="feeds 3 kW"
        ),
        pytest.param(
            {"max_car_feed_kw": 0.0}, {"lends_kwh": 10.0}, [0.5, 0.1], [0, 0], id="cannot"
        ),
        pytest.param(
            {},
            {"wanted_kwh": 10.0},
            [0.1, 0.5, 0.1],
            [-10, 10, -10],
            id="lends nothing of its own, but what it was charged",
        ),
        pytest.param(
            {"wear_cost_per_kwh": 0.39},
            {"lends_kwh": 10.0},
            [0.5, 0.1],
            [10, -10],
            id="wear of 0.39 leaves something of the spread of 0.40",
        ),
        pytest.param(
            {"wear_cost_per_kwh": 0.41}, {"lends_kwh": 10.0}, [0.5, 0.1], [0, 0], id="0.41 does not"
        ),
        pytest.param(
            {"charge_efficiency": 0.8, "discharge_efficiency": 0.8},
            {"lends_kwh": 10.0},
            [0.5, 0.1],
            [6.4, -10],
            id="8 of 10 kWh arrive in the car, 6.4 of those at the grid",
        ),
        pytest.param(
            {},
            {"lends_kwh": 10.0, "stays_h": 1.5},
            [0.5, 0.1, 0.1],
            [5, -5, 0],
            id="it leaves after half an hour of the second step",
        ),
        pytest.param(
            {},
            {"lends_kwh": 10.0, "comes_h": 1.0},
            [0.5, 0.4, 0.1],
            [0, 10, -10],
            id="it comes with the second step",
        ),
        pytest.param(
            LOSSY,
            {"lends_kwh": 9.0},
            [-0.1, -0.5],
            [8.1, -10],
            id="it makes room at a small price for a big one",
        ),
    ],
)
def test_a_car_lends_where_that_pays_and_has_it_back(
    lab: Any,
    fleet: dict[str, Any],
    car: dict[str, float],
    price: Sequence[float],
    power_kw: Sequence[float],
) -> None:
    view = a_view(lab, price=price, car=car, fleet=fleet)

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == pytest.approx(power_kw, abs=1e-4)
    assert schedule.cars_kw["cars/a"].tolist() == pytest.approx(power_kw, abs=1e-4)
    assert schedule.unserved_kwh["cars/a"] == pytest.approx(0, abs=1e-6)
    fed_kwh = sum(max(kw, 0) for kw in power_kw)
    worn = fed_kwh * fleet.get("wear_cost_per_kwh", 0.0)
    assert schedule.cost_by_cause["wear"] == pytest.approx(worn)


def test_one_car_may_feed_another_where_the_car_park_is_narrow(lab: Any) -> None:
    """5 kW from the grid and 5 kW lent: one leaves with its 10 kWh, the other gets its 5 back."""
    view = lab.view(
        lab.cars(max_car_feed_kw=10.0, max_draw_kw=5.0),
        price=[0.1, 0.1],
        readings=[
            lab.reading(
                "cars",
                sessions=(
                    lab.session("leaves", wanted_kwh=10.0, stays_h=1.0),
                    lab.session("stays", wanted_kwh=0.0, stays_h=2.0, lends_kwh=10.0),
                ),
            )
        ],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [-5, -5]
    assert schedule.cars_kw["cars/leaves"].tolist() == pytest.approx([-10, 0])
    assert schedule.cars_kw["cars/stays"].tolist() == pytest.approx([5, -5])


def test_a_car_park_feeds_no_more_than_it_may_draw(lab: Any) -> None:
    sessions = tuple(
        lab.session(name, wanted_kwh=0.0, stays_h=9.0, lends_kwh=10.0) for name in "abcd"
    )
    view = lab.view(
        lab.cars(max_car_feed_kw=10.0, max_draw_kw=30.0),
        price=[0.5, 0.1, 0.1],
        readings=[lab.reading("cars", sessions=sessions)],
    )

    schedule = lab.plan(view)

    power = lab.power(schedule, "cars")
    assert power[0] == 30
    assert power[1:].sum() == pytest.approx(-30)


@pytest.mark.parametrize(
    ("guaranteed", "wanted_kwh", "unserved_kwh", "cost"),
    [
        pytest.param(False, 10.0, 10, 2, id="going without for 0.20 is cheaper than 0.50"),
        pytest.param(True, 10.0, 0, 0, id="guaranteed, it is charged all the same"),
        pytest.param(True, 15.0, 5, 50, id="what its charger cannot costs like a broken limit"),
    ],
)
def test_a_guaranteed_car_leaves_with_all_that_can_be(
    lab: Any, guaranteed: bool, wanted_kwh: float, unserved_kwh: float, cost: float
) -> None:
    view = a_view(
        lab,
        price=[0.5],
        car={"wanted_kwh": wanted_kwh, "stays_h": 1.0},
        fleet={
            "max_car_feed_kw": 0.0,
            "unserved_cost_per_kwh": 0.2,
            "guaranteed": guaranteed,
        },
    )

    schedule = lab.plan(view)

    assert schedule.unserved_kwh["cars/a"] == pytest.approx(unserved_kwh)
    assert schedule.cost_by_cause["unserved"] == pytest.approx(cost)


@pytest.mark.parametrize(
    ("fleet", "car", "price", "binaries"),
    [
        pytest.param(LOSSY, {}, [0.1, 0.0, 0.3], 0, id="no price below 0"),
        pytest.param(LOSSY, {}, [0.1, -0.1, 0.3], 1, id="one price below 0"),
        pytest.param({}, {}, [-0.1, -0.1, -0.1], 0, id="a lossless car burns nothing"),
        pytest.param(
            LOSSY | {"max_car_feed_kw": 0.0}, {}, [-0.1, -0.1], 0, id="a car that only charges"
        ),
        pytest.param(LOSSY, {"stays_h": 1.0}, [-0.1, -0.1], 1, id="only while it is here"),
        pytest.param(
            LOSSY | {"wear_cost_per_kwh": 0.024},
            {},
            [-0.1],
            0,
            id="burning 0.19 kWh earns 0.019, and feeding 0.81 kWh wears it for 0.0194",
        ),
        pytest.param(LOSSY | {"wear_cost_per_kwh": 0.023}, {}, [-0.1], 1, id="… or for 0.0186"),
    ],
)
def test_cars_are_decided_on_only_where_burning_energy_could_pay(
    lab: Any, fleet: dict[str, Any], car: dict[str, float], price: Sequence[float], binaries: int
) -> None:
    view = a_view(lab, price=price, car=car | {"lends_kwh": 5.0}, fleet=fleet)

    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)

    assert len(programme.integral) == binaries


def test_a_car_does_not_burn_what_the_park_may_not_feed(lab: Any) -> None:
    """A load that feeds 50 kW at a point that may export 20 kW: no price shows that burning pays."""
    view = lab.view(
        lab.cars(max_car_feed_kw=10.0, **LOSSY),
        lab.load(),
        price=[0.1],
        base_kw={"load": [50.0]},
        readings=[
            lab.reading("cars", sessions=(lab.session("a", wanted_kwh=0.0, stays_h=9.0),)),
        ],
        point_limits=lab.limits(export_kw=20.0),
    )

    schedule = lab.schedule_of(lab.outcome(view))

    assert lab.violations(schedule, view, lab.terms(view)) == ()
    assert schedule.cars_kw["cars/a"].tolist() == [0]
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(30 * lab.excess_per_kwh)


# ---------------------------------------------------------------- cars that only charge


def test_a_car_charges_in_the_cheapest_hour_before_it_leaves(lab: Any) -> None:
    view = lab.view(
        lab.cars(),
        price=[0.3, 0.1, 0.2, 0.0],
        readings=[lab.reading("cars", sessions=(lab.session("a", wanted_kwh=15, stays_h=3),))],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [0, -10, -5, 0]
    assert schedule.unserved_kwh == {"cars/a": pytest.approx(0, abs=1e-6)}


def test_cars_share_the_room_and_the_one_that_leaves_first_is_served_first(lab: Any) -> None:
    """20 kW for two cars of 20 kWh each: `b` leaves after an hour, with the 10 its charger gives."""
    sessions = (
        lab.session("a", wanted_kwh=20, stays_h=3),
        lab.session("b", wanted_kwh=10, stays_h=1),
        lab.session("c", wanted_kwh=10, stays_h=2),
    )
    view = lab.view(
        lab.cars(max_draw_kw=15.0),
        price=[0.1, 0.1, 0.1],
        readings=[lab.reading("cars", sessions=sessions)],
    )

    schedule = lab.plan(view)

    power = lab.power(schedule, "cars")
    assert (power >= -15).all()
    assert power[0] <= -10
    assert power.sum() == pytest.approx(-40)
    assert sum(schedule.unserved_kwh.values()) == pytest.approx(0, abs=1e-6)


def test_what_a_car_leaves_without_is_priced(lab: Any) -> None:
    """An hour and a half at 10 kW and 0.8 are 12 kWh of 20: 8 are missing, at 5.00 each."""
    sessions = (lab.session("a", wanted_kwh=20, stays_h=1.5),)
    view = lab.view(
        lab.cars(charge_efficiency=0.8),
        price=[0.1, 0.1],
        readings=[lab.reading("cars", sessions=sessions)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [-10, -5]
    assert schedule.unserved_kwh == {"cars/a": pytest.approx(8)}
    assert schedule.cost_by_cause["unserved"] == pytest.approx(40)


def test_a_driver_waits_where_energy_is_dearer_than_going_without(lab: Any) -> None:
    sessions = (lab.session("a", wanted_kwh=10, stays_h=1),)
    view = lab.view(
        lab.cars(unserved_cost_per_kwh=0.2),
        price=[0.3],
        readings=[lab.reading("cars", sessions=sessions)],
    )

    assert lab.power(lab.plan(view), "cars").tolist() == [0]


def test_cars_to_come_are_a_load_that_takes_room(lab: Any) -> None:
    sessions = (lab.session("a", wanted_kwh=20, stays_h=2),)
    view = lab.view(
        lab.cars(max_draw_kw=12.0),
        price=[0.1, 0.2],
        arriving_kw={"cars": [-8.0, -2.0]},
        readings=[lab.reading("cars", sessions=sessions)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [-12, -12]
    assert schedule.unserved_kwh == {"cars/a": pytest.approx(20 - 4 - 10)}


def test_a_car_that_is_announced_is_charged_after_it_came(lab: Any) -> None:
    sessions = (lab.session("a", wanted_kwh=12, stays_h=3, comes_h=1.5),)
    view = lab.view(
        lab.cars(),
        price=[0.0, 0.1, 0.2],
        readings=[lab.reading("cars", sessions=sessions)],
    )

    assert lab.power(lab.plan(view), "cars").tolist() == [0, -5, -7]


def test_a_car_that_has_left_wants_in_vain(lab: Any) -> None:
    sessions = (lab.session("a", wanted_kwh=10, stays_h=-1),)
    view = lab.view(lab.cars(), price=[0.1], readings=[lab.reading("cars", sessions=sessions)])

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [0]
    assert schedule.unserved_kwh == {"cars/a": pytest.approx(10)}


def test_two_car_parks_may_number_their_sessions_alike(lab: Any) -> None:
    view = lab.view(
        lab.cars("left"),
        lab.cars("right"),
        price=[0.1],
        readings=[
            lab.reading("left", sessions=(lab.session("1", wanted_kwh=5, stays_h=1),)),
            lab.reading("right", sessions=(lab.session("1", wanted_kwh=15, stays_h=1),)),
        ],
    )

    schedule = lab.plan(view)

    assert schedule.unserved_kwh == {
        "left/1": pytest.approx(0, abs=1e-6),
        "right/1": pytest.approx(5),
    }
