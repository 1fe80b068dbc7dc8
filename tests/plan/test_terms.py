"""What a strategy may ask beside prices: caps, targets, carbon, green shares, quotas, fairness; by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, FeederId, ParkId, ResourceId
from vpp.model.resource import CurtailableLoad, OnOffRules
from vpp.plan.terms import (
    Activity,
    ActivityPrice,
    Cap,
    CarbonPrice,
    ChangePenalty,
    EnergyPrice,
    EnergyTarget,
    EqualBurden,
    GreenShare,
    PeakCharge,
    Term,
)

POINT = ConnectionPointId("cp-a")
BATTERY = ResourceId("bat")


def solved(lab: Any, view: Any, *terms: Term) -> Any:
    return lab.plan(view, terms)


def energy(view: Any, buy: list[float], sell: list[float] | None = None) -> EnergyPrice:
    """The only price in a test that has no market."""
    return EnergyPrice(
        connection_point_id=POINT,
        import_per_kwh=np.array(buy),
        export_per_kwh=np.array(sell or [0.0] * len(buy)),
    )


# ---------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("place", "words"),
    [
        pytest.param(POINT, "cp-a", id="a connection point"),
        pytest.param(EnterpriseId("a"), "a", id="an enterprise"),
        pytest.param(FeederId("f"), "f", id="a feeder"),
        pytest.param(ParkId("test"), "test", id="the park"),
    ],
)
def test_a_cap_holds_at_any_place_of_the_tree_for_its_price(
    lab: Any, place: Any, words: str
) -> None:
    view = lab.view(
        lab.load(),
        lab.battery(),
        price=[0.0, 0.0],
        base_kw={"load": [-50.0, -50.0]},
        readings=[lab.reading("bat", soc=0.1)],
    )
    cap = Cap(place=place, import_kw=np.array([30.0, np.inf]), excess_per_kwh=2.0, reason="house")

    schedule = solved(lab, view, energy(view, [0.1, 0.1]), cap)

    # The battery has 10 kWh: 40 kW are drawn in the first hour, 10 of them beyond the cap.
    assert schedule.net_kw.tolist() == pytest.approx([-40, -50])
    assert schedule.cost_by_cause["cap excess"] == pytest.approx(10 * 2.0)
    assert schedule.cost_by_cause["network energy"] == pytest.approx(90 * 0.1)
    (price,) = (p for p in schedule.limit_prices if p.limit.startswith("cap"))
    assert price.limit == f"cap of house at {words}: import_kw"
    assert price.per_unit.tolist() == pytest.approx([-2.0, 0.0])


def test_a_cap_on_exports_curtails_what_is_dearer_to_feed_than_to_lose(lab: Any) -> None:
    view = lab.view(lab.pv(), price=[0.0], available_kw={"pv": [80.0]})
    cap = Cap(place=POINT, export_kw=np.array([30.0]), excess_per_kwh=0.5, reason="declared")

    cheap = solved(lab, view, energy(view, [0.9], [0.4]), cap)
    dear = solved(lab, view, energy(view, [0.9], [0.6]), cap)

    assert cheap.net_kw.tolist() == pytest.approx([30])
    assert dear.net_kw.tolist() == pytest.approx([80])
    assert dear.cost == pytest.approx(-80 * 0.6 + 50 * 0.5)


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("shortfall_per_kwh", "stored_kwh", "target_cost"),
    [
        pytest.param(0.3, 80.0, 0.0, id="worth more than it costs to fill"),
        pytest.param(0.1, 20.0, 60 * 0.1, id="too dear to fill"),
    ],
)
def test_a_store_is_filled_by_the_end_of_a_step_if_that_is_worth_it(
    lab: Any, shortfall_per_kwh: float, stored_kwh: float, target_cost: float
) -> None:
    view = lab.view(lab.battery(), price=[0, 0, 0], readings=[lab.reading("bat", soc=0.2)])
    target = EnergyTarget(
        resource_id=BATTERY,
        step=1,
        stored_kwh=80.0,
        shortfall_per_kwh=shortfall_per_kwh,
        reason="outage",
    )

    schedule = solved(lab, view, energy(view, [0.4, 0.2, 0.2]), target)

    assert schedule.stored_kwh[BATTERY][1] == pytest.approx(stored_kwh)
    assert schedule.cost_by_cause["target"] == pytest.approx(target_cost)
    assert schedule.cost_by_cause["network energy"] == pytest.approx((stored_kwh - 20) * 0.2)


def test_a_store_nobody_hears_is_not_asked(lab: Any) -> None:
    view = lab.view(lab.battery(), price=[0.0])
    target = EnergyTarget(
        resource_id=BATTERY, step=0, stored_kwh=80.0, shortfall_per_kwh=1.0, reason="outage"
    )

    schedule = solved(lab, view, energy(view, [0.1]), target)

    assert schedule.cost == 0
    assert lab.power(schedule, "bat").tolist() == [0]


# ---------------------------------------------------------------- carbon


def test_carbon_moves_imports_to_clean_hours_and_own_sources_pay_their_own(lab: Any) -> None:
    engine = replace(lab.pv("engine"), max_feed_kw=30.0, weather_driven=True, kgco2_per_kwh=0.5)
    view = lab.view(
        lab.load(),
        engine,
        price=[0, 0],
        base_kw={"load": [-50.0, -50.0]},
        available_kw={"engine": [30.0, 30.0]},
    )
    carbon = CarbonPrice(price_per_kgco2=0.1, grid_kgco2_per_kwh=np.array([0.8, 0.2]))

    schedule = solved(lab, view, energy(view, [0.0, 0.0]), carbon)

    # The engine's half kilogram is better than the grid's 0.8, worse than its 0.2.
    assert lab.power(schedule, "engine").tolist() == [30, 0]
    assert schedule.cost == pytest.approx(0.1 * (20 * 0.8 + 30 * 0.5 + 50 * 0.2))
    assert schedule.cost_by_cause["carbon"] == pytest.approx(schedule.cost)


# ---------------------------------------------------------------- green share


def sun_by_day(lab: Any) -> Any:
    """60 kWh of sun in the first hour, 100 kWh of load in the second, an empty battery between.

    Carrying a kWh wears the battery by 0.40 and forgoes 0.20, to save 0.30.
    """
    return lab.view(
        lab.load(),
        replace(lab.pv("sun"), green=True),
        lab.battery(wear_cost_per_kwh=0.2),
        price=[0, 0],
        base_kw={"load": [0.0, -100.0]},
        available_kw={"sun": [60.0, 0.0]},
        readings=[lab.reading("bat", soc=0.0)],
    )


@pytest.mark.parametrize(
    ("shortfall_per_kwh", "carried_kwh", "paid"),
    [
        pytest.param(0.31, 40.0, 0.0, id="40 of the 100 kWh used are carried"),
        pytest.param(0.29, 0.0, 40 * 0.29, id="what lacks is cheaper"),
    ],
)
def test_a_green_share_keeps_green_energy_at_home_as_far_as_it_pays(
    lab: Any, shortfall_per_kwh: float, carried_kwh: float, paid: float
) -> None:
    view = sun_by_day(lab)
    share = GreenShare(share=0.4, shortfall_per_kwh=shortfall_per_kwh)

    schedule = solved(lab, view, energy(view, [0.3, 0.3], [0.2, 0.2]), share)

    assert lab.power(schedule, "bat").tolist() == pytest.approx([-carried_kwh, carried_kwh])
    assert schedule.cost_by_cause["green share"] == pytest.approx(paid)


# ---------------------------------------------------------------- what was announced


@pytest.mark.parametrize(
    ("second_kw", "price_per_kwh", "power_kw", "paid"),
    [
        pytest.param(0.0, 0.06, [50, 0], 0.0, id="a gain of 0.10 is not worth two changes"),
        pytest.param(0.0, 0.04, [0, 50], 100 * 0.04, id="but it is worth two smaller ones"),
        pytest.param(np.nan, 0.06, [0, 50], 50 * 0.06, id="or one, where little was announced"),
    ],
)
def test_what_was_announced_is_moved_only_for_more_than_the_penalty(
    lab: Any, second_kw: float, price_per_kwh: float, power_kw: list[float], paid: float
) -> None:
    """50 kWh in a battery, announced for the first hour; in the second they are worth 0.10 more."""
    view = lab.view(
        lab.load(),
        lab.battery(max_charge_kw=0.0),
        price=[0, 0],
        base_kw={"load": [-100.0, -100.0]},
        readings=[lab.reading("bat", soc=0.5)],
    )
    announced = ChangePenalty(
        announced_kw={BATTERY: np.array([50.0, second_kw])}, price_per_kwh=price_per_kwh
    )

    schedule = solved(lab, view, energy(view, [0.1, 0.2]), announced)

    assert lab.power(schedule, "bat").tolist() == pytest.approx(power_kw)
    assert schedule.cost_by_cause["change"] == pytest.approx(paid)


@pytest.mark.parametrize(("announced_kw", "paid"), [(-100.0, 0.0), (0.0, 100 * 0.02)])
def test_what_a_load_does_by_itself_is_compared_with_what_was_announced(
    lab: Any, announced_kw: float, paid: float
) -> None:
    view = lab.view(lab.process(), price=[0], readings=[lab.reading("mill")])
    announced = ChangePenalty(
        announced_kw={ResourceId("mill"): np.array([announced_kw])}, price_per_kwh=0.02
    )

    schedule = solved(lab, view, energy(view, [0.0]), announced)

    assert schedule.cost == pytest.approx(paid)


# ---------------------------------------------------------------- quotas


def quota(activity: Activity, price_per_unit: float, resource: str | None = None) -> ActivityPrice:
    return ActivityPrice(
        activity=activity,
        resource_id=None if resource is None else ResourceId(resource),
        price_per_unit=price_per_unit,
        reason="a yearly budget",
    )


def test_a_price_on_imports_is_paid_on_top(lab: Any) -> None:
    view = lab.view(lab.load(), price=[0], base_kw={"load": [-50.0]})

    schedule = solved(lab, view, energy(view, [0.1]), quota(Activity.IMPORT, 0.2))

    assert schedule.cost_by_cause["network energy"] == pytest.approx(50 * 0.1)
    assert schedule.cost_by_cause["quota"] == pytest.approx(50 * 0.2)


def test_a_budget_has_its_price_in_the_steps_of_its_period_alone(lab: Any) -> None:
    view = lab.view(lab.load(), price=[0, 0, 0], base_kw={"load": [-50.0, -60.0, -70.0]})
    first = replace(quota(Activity.IMPORT, 0.2), last_step=1)
    second = replace(quota(Activity.IMPORT, 0.5), first_step=2)
    carbon = CarbonPrice(
        price_per_kgco2=0.1, grid_kgco2_per_kwh=np.ones(3), first_step=1, last_step=2
    )

    schedule = solved(lab, view, energy(view, [0.0, 0.0, 0.0]), first, second, carbon)

    assert schedule.cost_by_cause["quota"] == pytest.approx(50 * 0.2 + 70 * 0.5)
    assert schedule.cost_by_cause["carbon"] == pytest.approx(60 * 0.1)


@pytest.mark.parametrize(
    ("price_per_unit", "exported_kw"),
    [pytest.param(0.05, 80.0, id="still worth it"), pytest.param(0.15, 0.0, id="no longer")],
)
def test_a_price_on_exports_is_weighed_against_what_they_earn(
    lab: Any, price_per_unit: float, exported_kw: float
) -> None:
    view = lab.view(lab.pv(), price=[0], available_kw={"pv": [80.0]})

    schedule = solved(lab, view, energy(view, [0.3], [0.1]), quota(Activity.EXPORT, price_per_unit))

    assert schedule.net_kw.tolist() == pytest.approx([exported_kw])
    assert schedule.cost_by_cause["quota"] == pytest.approx(exported_kw * price_per_unit)


@pytest.mark.parametrize(
    ("reward_per_kwh", "used_kwh"),
    [pytest.param(0.35, 60.0, id="carried home"), pytest.param(0.25, 0.0, id="exported")],
)
def test_green_use_is_rewarded_for_what_is_not_exported(
    lab: Any, reward_per_kwh: float, used_kwh: float
) -> None:
    view = sun_by_day(lab)

    schedule = solved(
        lab,
        view,
        energy(view, [0.3, 0.3], [0.2, 0.2]),
        quota(Activity.GREEN_USE, -reward_per_kwh),
    )

    assert schedule.net_kw[0] == pytest.approx(60 - used_kwh)
    assert schedule.cost_by_cause["quota"] == pytest.approx(-reward_per_kwh * used_kwh)


@pytest.mark.parametrize(
    ("price_per_call", "calls"),
    [pytest.param(20.0, 1, id="worth 30"), pytest.param(40.0, 0, id="not worth 40")],
)
def test_a_call_of_which_few_are_left_is_taken_where_it_is_worth_its_price(
    lab: Any, price_per_call: float, calls: int
) -> None:
    """A call saves 100 kWh at 0.80 and costs the owner 50."""
    view = lab.view(lab.process(), price=[0] * 3, readings=[lab.reading("mill")])

    schedule = solved(
        lab, view, energy(view, [0.8] * 3), quota(Activity.CALLS, price_per_call, "mill")
    )

    assert len(schedule.starts.get(ResourceId("mill"), ())) == calls
    assert schedule.cost_by_cause["quota"] == pytest.approx(calls * price_per_call)


@pytest.mark.parametrize(
    ("price_per_kwh", "fed_kw"),
    [pytest.param(0.09, 25.0, id="worth 0.10"), pytest.param(0.11, 0.0, id="not worth 0.11")],
)
def test_cycle_life_is_counted_in_what_leaves_the_store(
    lab: Any, price_per_kwh: float, fed_kw: float
) -> None:
    """Half of what leaves it is lost: a kWh taken out saves half a kWh at 0.20."""
    view = lab.view(
        lab.load(),
        lab.battery(discharge_efficiency=0.5),
        price=[0],
        base_kw={"load": [-100.0]},
        readings=[lab.reading("bat", soc=0.5)],
    )

    schedule = solved(
        lab, view, energy(view, [0.2]), quota(Activity.DISCHARGED, price_per_kwh, "bat")
    )

    assert lab.power(schedule, "bat").tolist() == pytest.approx([fed_kw])
    assert schedule.cost_by_cause["quota"] == pytest.approx(2 * fed_kw * price_per_kwh)


@pytest.mark.parametrize(
    ("price_per_h", "hours"),
    [pytest.param(9.0, 2, id="an hour saves 10"), pytest.param(11.0, 0, id="an hour costs 11")],
)
def test_hours_of_a_backup_engine_are_weighed_against_what_they_save(
    lab: Any, price_per_h: float, hours: int
) -> None:
    """50 kW at 0.30 instead of 0.50 from the grid, for two hours; the budget counts hours on."""
    engine = replace(
        lab.pv("engine"),
        max_feed_kw=50.0,
        weather_driven=False,
        cost_per_kwh=0.3,
        on_off=OnOffRules(),
    )
    view = lab.view(lab.load(), engine, price=[0, 0], base_kw={"load": [-100.0, -100.0]})

    schedule = solved(
        lab, view, energy(view, [0.5, 0.5]), quota(Activity.HOURS_ON, price_per_h, "engine")
    )

    assert lab.power(schedule, "engine").sum() == pytest.approx(50 * hours)
    assert schedule.cost_by_cause["quota"] == pytest.approx(hours * price_per_h)


def test_starts_of_a_machine_are_calls_too(lab: Any) -> None:
    """Two dear hours around a cheap one: staying on for 0.20·50 is cheaper than a start for 15."""
    engine = replace(
        lab.pv("engine"),
        max_feed_kw=50.0,
        weather_driven=False,
        cost_per_kwh=0.3,
        on_off=OnOffRules(min_power_kw=50.0),
    )
    view = lab.view(lab.load(), engine, price=[0] * 3, base_kw={"load": [-100.0] * 3})

    schedule = solved(
        lab, view, energy(view, [0.9, 0.1, 0.9]), quota(Activity.CALLS, 15.0, "engine")
    )

    assert lab.power(schedule, "engine").tolist() == [50, 50, 50]
    assert schedule.cost_by_cause["quota"] == pytest.approx(15)


# ---------------------------------------------------------------- fairness


def test_loads_are_turned_down_alike_where_the_highest_burden_has_a_price(lab: Any) -> None:
    """30 kW too much, of two loads of 50 and 100 kW: by size, 10 and 20."""
    small, large = (
        CurtailableLoad(
            resource_id=ResourceId(name),
            max_draw_kw=kw,
            curtailable_share=1.0,
            curtailment_cost_per_kwh=0.1,
            **lab.owned(),
        )
        for name, kw in (("small", 50.0), ("large", 100.0))
    )
    view = lab.view(
        small,
        large,
        price=[0],
        base_kw={"small": [-50.0], "large": [-100.0]},
        readings=[lab.reading("small"), lab.reading("large")],
    )
    cap = Cap(place=POINT, import_kw=np.array([120.0]), excess_per_kwh=5.0, reason="grid")
    fair = EqualBurden(
        borne_kwh={ResourceId("small"): 0.0, ResourceId("large"): 0.0}, price_per_share=10.0
    )

    schedule = solved(lab, view, energy(view, [0.0]), cap, fair)

    assert schedule.curtailed_kw[ResourceId("small")].tolist() == pytest.approx([10])
    assert schedule.curtailed_kw[ResourceId("large")].tolist() == pytest.approx([20])
    assert schedule.cost_by_cause["burden"] == pytest.approx(10 * 0.2)


@pytest.mark.parametrize(
    ("price_per_share", "called", "burden"),
    [
        pytest.param(0.0, "mill-a", 0.0, id="the cheaper one, where nobody looks"),
        pytest.param(60.0, "mill-b", 60 / 3, id="the one that bore nothing before"),
    ],
)
def test_what_is_asked_is_spread_by_what_each_bore_before(
    lab: Any, price_per_share: float, called: str, burden: float
) -> None:
    """One of two mills of 300 kWh has to stop for 100 kWh; mill-a did so before, and is cheaper."""
    view = lab.view(
        lab.process("mill-a", callable_hours=(13,), call_cost_per_kwh=0.4),
        lab.process("mill-b", callable_hours=(13,), call_cost_per_kwh=0.5),
        price=[0] * 3,
        readings=[lab.reading("mill-a"), lab.reading("mill-b")],
    )
    cap = Cap(place=POINT, import_kw=np.array([200.0, 100, 200]), excess_per_kwh=5.0, reason="grid")
    fair = EqualBurden(
        borne_kwh={ResourceId("mill-a"): 100.0, ResourceId("mill-b"): 0.0},
        price_per_share=price_per_share,
    )

    schedule = solved(lab, view, energy(view, [0.0] * 3), cap, fair)

    assert schedule.starts == {ResourceId(called): (1,)}
    assert schedule.cost_by_cause["burden"] == pytest.approx(burden)


# ---------------------------------------------------------------- burning


def reasons_to_burn() -> Mapping[str, tuple[Term, ...]]:
    return {
        "exports beyond a cap are dear": (
            Cap(place=POINT, export_kw=np.zeros(2), excess_per_kwh=0.5, reason="declared"),
        ),
        "exports are of a quota": (quota(Activity.EXPORT, 0.5),),
        "green use is rewarded": (quota(Activity.GREEN_USE, -0.5),),
        "losses count as green use": (GreenShare(share=0.9, shortfall_per_kwh=2.0),),
        "charging was announced": (
            ChangePenalty(announced_kw={BATTERY: np.array([-60.0, np.nan])}, price_per_kwh=0.5),
        ),
    }


@pytest.mark.parametrize("reason", reasons_to_burn().keys())
def test_no_term_makes_a_battery_burn_energy_by_charging_and_discharging_at_once(
    lab: Any, reason: str
) -> None:
    """A full, lossy battery beside 100 kW of sun that somebody would like to be rid of.

    The decision which way it goes is part of the programme, so the plan is proven best.
    """
    view = lab.view(
        lab.load(),
        replace(lab.pv("sun"), green=True),
        lab.battery(charge_efficiency=0.5, discharge_efficiency=0.5),
        price=[0, 0],
        base_kw={"load": [0.0, -200.0]},
        available_kw={"sun": [100.0, 0.0]},
        readings=[lab.reading("bat", soc=1.0)],
    )

    schedule = solved(lab, view, energy(view, [0.1, 0.1]), *reasons_to_burn()[reason])

    first_kw = lab.power(schedule, "bat")[0]
    assert schedule.stored_kwh[BATTERY][0] == pytest.approx(100 - 2 * first_kw)
    assert first_kw >= 0  # it is full: nothing can be charged
    assert schedule.size.binaries > 0
    assert schedule.gap < 1e-6


# ---------------------------------------------------------------- what makes no sense


@pytest.mark.parametrize(
    ("term", "what"),
    [
        (
            EnergyTarget(
                resource_id=ResourceId("load"),
                step=0,
                stored_kwh=1,
                shortfall_per_kwh=1,
                reason="x",
            ),
            "load in step 0",
        ),
        (
            EnergyTarget(
                resource_id=BATTERY, step=9, stored_kwh=1, shortfall_per_kwh=1, reason="x"
            ),
            "bat in step 9",
        ),
        (
            ChangePenalty(announced_kw={ResourceId("ghost"): np.zeros(1)}, price_per_kwh=1),
            "ghost",
        ),
        (
            EqualBurden(borne_kwh={BATTERY: 0.0}, price_per_share=1.0),
            "bat is never turned down",
        ),
        (quota(Activity.CALLS, 1.0, "load"), "calls of load"),
        (quota(Activity.HOURS_ON, 1.0, "bat"), "hours_on of bat"),
        (quota(Activity.DISCHARGED, 1.0, "ghost"), "discharged of ghost"),
        (
            Cap(place=ParkId("nowhere"), excess_per_kwh=1.0, reason="x"),
            "'nowhere' names 0 nodes",
        ),
        (
            PeakCharge(
                connection_point_id=POINT, first_step=0, last_step=2, price_per_kw=1, free_kw=0
            ),
            "steps 0 to 2 of 1",
        ),
        (quota(Activity.GREEN_USE, 0.01), "exporting earns more than importing costs"),
    ],
    ids=[
        "a target of a load",
        "a target beyond the horizon",
        "a change of nobody",
        "a burden of a battery",
        "calls of a fixed load",
        "hours of a battery",
        "discharge of nobody",
        "a cap at no place",
        "a peak beyond the horizon",
        "a price that turns round",
    ],
)
def test_terms_that_do_not_fit_the_park_are_refused(lab: Any, term: Term, what: str) -> None:
    view = lab.view(lab.load(), lab.battery(), price=[0], readings=[lab.reading("bat", soc=0.5)])

    with pytest.raises(DataError, match=what):
        lab.outcome(view, [energy(view, [0.1], [0.1]), term])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: quota(Activity.IMPORT, 1.0, "bat"), "resource_id is bat"),
        (lambda: quota(Activity.CALLS, 1.0), "resource_id is None"),
        (lambda: quota(Activity.EXPORT, -1.0), "price_per_unit is -1"),
        (lambda: GreenShare(share=1.2, shortfall_per_kwh=1.0), "share is 1.2"),
        (lambda: Cap(place=POINT, excess_per_kwh=-1.0, reason="x"), "excess_per_kwh is -1"),
        (
            lambda: PeakCharge(
                connection_point_id=POINT,
                first_step=0,
                last_step=1,
                price_per_kw=1.0,
                free_kw=0.0,
                interval_steps=2,
                elapsed_steps=2,
            ),
            "2 of 2 steps elapsed",
        ),
    ],
    ids=[
        "imports of one resource",
        "calls of nobody",
        "a reward for exports",
        "more than all green",
        "a cap that pays",
        "an interval that is over",
    ],
)
def test_terms_that_make_no_sense_cannot_be_built(make: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        make()
