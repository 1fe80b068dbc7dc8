"""The validator's bill by hand: every cause, in sums that fit on an envelope."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ConnectionPointId, NodeId, ParkId, ResourceId
from vpp.model.park import LimitOrder, PowerGroup
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.plan.terms import (
    Activity,
    ActivityPrice,
    Cap,
    CarbonPrice,
    ChangePenalty,
    Commitment,
    EnergyPrice,
    EnergyTarget,
    EqualBurden,
    GreenShare,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
    uniform,
)
from vpp.plan.validate.bill import bill_by_cause
from vpp.plan.view import PlanningView

HOUR = timedelta(hours=1)
POINT = ConnectionPointId("cp-a")


def both(a: float, b: float) -> Any:
    return np.array([a, b])


def billed(lab: Any, schedule: Schedule, view: PlanningView, *terms: Term) -> dict[str, float]:
    """What costs or earns anything."""
    bill = bill_by_cause(schedule, view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
    return {cause: cost for cause, cost in bill.items() if abs(cost) > 1e-9}


@pytest.fixture
def in_and_out(lab: Any) -> Any:
    """A site that draws 30 kW in one hour and feeds 20 kW in the next; nothing is decided."""
    view = lab.view(lab.load("site"), price=[0.1, 0.1], base_kw={"site": [-30.0, 20.0]})
    return view, lab.plan(view)


def peak(**said: Any) -> PeakCharge:
    usual: dict[str, Any] = {
        "connection_point_id": POINT,
        "first_step": 0,
        "last_step": 2,
        "price_per_kw": 2.0,
        "free_kw": 5.0,
    }
    return PeakCharge(**(usual | said))


@pytest.mark.parametrize(
    ("term", "bill"),
    [
        pytest.param(
            EnergyPrice(
                connection_point_id=POINT,
                import_per_kwh=both(0.2, 9.0),
                export_per_kwh=both(0.1, 0.1),
            ),
            {"network energy": 30 * 0.2 - 20 * 0.1},
            id="energy over the meter",
        ),
        pytest.param(
            Cap(
                place=ParkId("test"),
                import_kw=both(10, 10),
                export_kw=both(5, 5),
                excess_per_kwh=2.0,
                reason="contract",
            ),
            {"cap excess": (20 + 15) * 2.0},
            id="a cap both ways",
        ),
        pytest.param(
            Cap(place=POINT, import_kw=both(40, 0), excess_per_kwh=2.0, reason="contract"),
            {},
            id="a cap that is kept",
        ),
        pytest.param(peak(), {"peak": 25 * 2.0}, id="the highest hour"),
        pytest.param(peak(free_kw=31.0), {}, id="a peak that is paid"),
        pytest.param(peak(first_step=1), {}, id="an hour that is not counted"),
        pytest.param(peak(first_step=1, last_step=1), {}, id="no hour at all"),
        pytest.param(peak(first_step=2, last_step=2), {}, id="none after the end"),
        pytest.param(peak(interval_steps=2), {"peak": 10 * 2.0}, id="the mean of two hours is 15"),
        pytest.param(
            peak(interval_steps=2, elapsed_steps=1, elapsed_kw=50.0),
            {"peak": 35 * 2.0},
            id="an hour at 50 kW has passed",
        ),
        pytest.param(peak(counts=both(False, True) > 0), {}, id="another window counts"),
        pytest.param(
            CarbonPrice(price_per_kgco2=0.1, grid_kgco2_per_kwh=both(0.5, 9.0)),
            {"carbon": 30 * 0.5 * 0.1},
            id="carbon of what is imported",
        ),
        pytest.param(
            ChangePenalty(
                announced_kw={ResourceId("site"): both(-25.0, np.nan)}, price_per_kwh=0.3
            ),
            {"change": 5 * 0.3},
            id="5 kW beside what was announced",
        ),
        pytest.param(
            ActivityPrice(
                activity=Activity.IMPORT, resource_id=None, price_per_unit=0.1, reason="quota"
            ),
            {"quota": 3.0},
            id="a quota of imports",
        ),
        pytest.param(
            ActivityPrice(
                activity=Activity.EXPORT, resource_id=None, price_per_unit=0.1, reason="quota"
            ),
            {"quota": 2.0},
            id="a quota of exports",
        ),
        pytest.param(
            Commitment(
                base_kw=both(0.0, 0.0), short_per_kwh=both(0.3, 0.3), long_per_kwh=both(0.1, 0.1)
            ),
            {"imbalance": 30 * 0.3 - 20 * 0.1},
            id="nothing sold, nothing bought",
        ),
        pytest.param(
            GreenShare(share=0.5, shortfall_per_kwh=0.2),
            {"green share": (0.5 * (30 - 20) + 20) * 0.2},
            id="what is exported counts as green",
        ),
    ],
)
def test_what_a_term_costs(lab: Any, in_and_out: Any, term: Term, bill: dict[str, float]) -> None:
    view, schedule = in_and_out

    schedule = replace(schedule, trade_kw={}, committed_kw=np.zeros(2))

    assert billed(lab, schedule, view, term) == pytest.approx(bill)


def test_trades_and_what_is_left_of_them(lab: Any, in_and_out: Any) -> None:
    """40 bought and 25 sold: 10 long at 0.1, 5 short at 0.3."""
    view, schedule = in_and_out
    schedule = replace(schedule, trade_kw={lab.spot: both(-40.0, 25.0)}, committed_kw=np.zeros(2))
    trade = OpenTrade(
        product_id=lab.spot,
        sell_per_kwh=both(0.2, 0.2),
        buy_per_kwh=both(0.25, 0.25),
        max_kw=both(99, 99),
    )
    position = Commitment(
        base_kw=both(0, 0), short_per_kwh=both(0.3, 0.3), long_per_kwh=both(0.1, 0.1)
    )

    assert billed(lab, schedule, view, trade, position) == pytest.approx(
        {"market": 40 * 0.25 - 25 * 0.2, "imbalance": 5 * 0.3 - 10 * 0.1}
    )


def test_what_lies_beyond_a_limit_is_never_free(lab: Any, in_and_out: Any) -> None:
    """20 kW beyond what the point may draw, 10 beyond the feeder, 5 beyond what the park may feed."""
    _, schedule = in_and_out
    view = lab.view(
        lab.load("site"),
        price=[0.1, 0.1],
        base_kw={"site": [-30.0, 20.0]},
        point_limits=lab.limits(import_kw=10),
        feeder=lab.limits(import_kw=20),
        limits=lab.limits(export_kw=15),
    )

    assert billed(lab, schedule, view) == {"limit excess": (20 + 10 + 5) * lab.excess_per_kwh}
    found = lab.violations(schedule, view, lab.terms(view))
    assert found == ("limit excess: the bill is 350.000000, the solver says 0.000000",)


def test_an_order_narrows_a_place_for_its_span_and_by_its_priority(
    lab: Any, in_and_out: Any
) -> None:
    """15 minutes of an hour are that hour; a priority of 2 is a fifth dearer."""
    view, schedule = in_and_out
    order = LimitOrder(
        order_id="o-1",
        place=POINT,
        span=Interval(lab.noon, lab.noon + HOUR / 4),
        limits=lab.limits(import_kw=20, export_kw=0),
        source="grid operator",
        priority=2,
    )

    ordered = replace(view, limit_orders=(order,))

    assert billed(lab, schedule, ordered) == pytest.approx(
        {"limit excess": 10 * lab.excess_per_kwh * 1.2}
    )


@pytest.mark.parametrize(
    ("change", "cause", "cost"),
    [
        pytest.param({"wear_cost_per_kwh": 0.1}, "wear", 5.0, id="50 kWh through the terminals"),
        pytest.param({"final_soc": 0.3}, "limit excess", 300.0, id="30 kWh lack at the end"),
        pytest.param(
            {"reserve_soc": 0.8, "reserve_cost_per_kwh_h": 0.5},
            "reserve energy kept",
            (30 + 80) * 0.5,
            id="30 and 80 kWh lack for an outage",
        ),
    ],
)
def test_what_a_store_costs(lab: Any, change: dict[str, Any], cause: str, cost: float) -> None:
    """Half full for an hour, then empty."""
    view = lab.view(lab.battery(), price=[0.1, 0.2], readings=[lab.reading("bat", soc=0.5)])
    schedule = lab.plan(view)
    power = both(0.0, 50.0)
    schedule = replace(schedule, power_kw=power[None, :], stored_kwh={"bat": both(50.0, 0.0)})
    store = replace(view.park.resources[0], **change)
    park = replace(view.park, resources=(store,))

    assert billed(lab, schedule, replace(view, park=park)) == pytest.approx({cause: cost})


def test_targets_and_what_is_left_in_stores(lab: Any) -> None:
    """A feeding efficiency of 0.9 makes 18 kWh of 20; a heat tank is no electricity."""
    view = lab.view(
        lab.battery(discharge_efficiency=0.9, wear_cost_per_kwh=1.0),
        lab.battery("tank", node_id="heat", wear_cost_per_kwh=1.0),
        price=[0.0],
        readings=[lab.reading("bat", soc=0.2), lab.reading("tank", soc=0.5)],
        nodes=[lab.node("heat", spill_cost_per_kwh=1.0)],
    )
    schedule = lab.plan(view)
    target = EnergyTarget(
        resource_id=ResourceId("bat"), step=0, stored_kwh=35, shortfall_per_kwh=2.0, reason="guest"
    )

    bill = billed(lab, schedule, view, target, StoredEnergyValue(price_per_kwh=0.5))

    assert bill == pytest.approx({"target": 15 * 2.0, "stored energy": -18 * 0.5})


def test_a_store_of_another_carrier_is_worth_the_electricity_that_making_it_again_takes(
    lab: Any,
) -> None:
    """A tank of 100 kWh at a quarter kWh of electricity each, 0.5 a kWh: it is filled where heat costs less."""
    view = lab.view(
        lab.battery("tank", node_id="heat", capacity_kwh=100, max_charge_kw=100),
        lab.source("well", node_id="heat", max_feed_kw=100, cost_per_kwh=0.1),
        price=[0.0],
        readings=[lab.reading("tank", soc=0.5)],
        nodes=[lab.node("heat", spill_cost_per_kwh=1.0)],
    )

    def left(worth: float) -> dict[str, float]:
        heat = NodeId("heat")
        term = StoredEnergyValue(price_per_kwh=0.5, electricity_per_kwh={heat: worth})
        return billed(lab, lab.plan(view, [term]), view, term)

    assert left(0.25) == pytest.approx({"fuel": 50 * 0.1, "stored energy": -100 * 0.25 * 0.5})
    assert left(0.1) == pytest.approx({"stored energy": -50 * 0.1 * 0.5})


def test_the_best_machine_says_how_much_electricity_a_carrier_stands_for(lab: Any) -> None:
    """A heat pump makes 3 kWh of one, a boiler 0.99; a well makes cooling of nothing."""
    view = lab.view(
        lab.converter("pump", [None, "heat"], (-100.0, 300.0)),
        lab.converter("boiler", [None, "heat"], (-100.0, 99.0)),
        lab.source("well", node_id="cold"),
        price=[0.0],
        readings=[],
        nodes=[lab.node("heat"), lab.node("cold", "cooling")],
    )

    assert view.park.electricity_worth(None) == 1
    assert view.park.electricity_worth(NodeId("heat")) == pytest.approx(1 / 3)
    assert view.park.electricity_worth(NodeId("cold")) == 0


def test_own_sources_and_hours_on_are_counted(lab: Any) -> None:
    """An engine of 100 kW runs two hours of three: 200 kWh at 0.5 kg, and a third of them is green."""
    view = lab.view(
        lab.source(cost_per_kwh=0.2, kgco2_per_kwh=0.5, on_off=lab.rules(min_power_kw=10)),
        lab.pv(green=True),
        price=[0.4, 0.4, 0.1],
        available_kw={"pv": [50.0, 50.0, 0.0]},
        readings=[],
    )
    schedule = lab.plan(view)
    engine = ResourceId("engine")

    def counted(activity: Activity, resource_id: ResourceId | None) -> dict[str, float]:
        term = ActivityPrice(
            activity=activity, resource_id=resource_id, price_per_unit=1.0, reason="quota"
        )
        return billed(lab, replace(schedule, trade_kw={}), view, term)

    carbon = CarbonPrice(price_per_kgco2=0.1, grid_kgco2_per_kwh=uniform(9.0, 3))
    assert counted(Activity.HOURS_ON, engine)["quota"] == pytest.approx(2.0)
    assert counted(Activity.CALLS, engine)["quota"] == pytest.approx(1.0)
    assert counted(Activity.GREEN_USE, None)["quota"] == pytest.approx(100 - 300)
    assert billed(lab, schedule, view, carbon)["carbon"] == pytest.approx(200 * 0.5 * 0.1)


def test_burdens_are_shared_by_size(lab: Any) -> None:
    """A shop of 1000 kW is turned down 50 kW for an hour of two, and bore 150 kWh before: a tenth."""
    view = lab.view(
        lab.curtailable(),
        lab.curtailable("store"),
        readings=[lab.reading("shop"), lab.reading("store")],
        price=[0.9, 0.1],
        base_kw={"shop": [-100.0, -100.0], "store": [-20.0, -20.0]},
    )
    schedule = lab.plan(view)
    burden = EqualBurden(
        borne_kwh={ResourceId("shop"): 150.0, ResourceId("store"): 0.0}, price_per_share=7.0
    )

    bill = billed(lab, schedule, view, burden)

    assert bill == pytest.approx({"curtailment": 60 * 0.2, "burden": 0.1 * 7.0})


def test_each_cause_that_is_said_wrongly_is_named(lab: Any) -> None:
    """A cent on each cause of a park with everything in it."""
    view = lab.view(
        lab.load(),
        lab.battery(wear_cost_per_kwh=0.01, reserve_soc=0.5, reserve_cost_per_kwh_h=0.01),
        lab.source(cost_per_kwh=0.05, curtailment_cost_per_kwh=0.01, on_off=lab.rules(start_cost=1)),
        lab.curtailable(),
        lab.process(),
        lab.flexible("pump", lab.window("12:00", "14:00", 30), point="cp-b", value_per_unit=0.9,
                     unserved_cost_per_unit=1.0),
        lab.zone(max_draw_kw=2.0),
        lab.cars(),
        readings=[
            lab.reading("bat", soc=0.6),
            *(lab.reading(name) for name in ("shop", "mill", "pump")),
            lab.reading("hall", temperature_degc=18.0),
            lab.reading("cars", sessions=(lab.session("a", wanted_kwh=30, stays_h=2),)),
        ],
        price=[0.1, 0.9, 0.3],
        base_kw={"load": [-400.0] * 3, "shop": [-100.0] * 3},
        network_per_kwh=0.02,
        max_trade_kw=250.0,
        points=("cp-a", "cp-b"),
        point_limits={"cp-a": lab.limits(import_kw=200)},
    )  # fmt: skip
    terms = lab.terms(
        view,
        peak(last_step=3),
        CarbonPrice(price_per_kgco2=0.1, grid_kgco2_per_kwh=uniform(0.5, 3)),
        stored_value_per_kwh=0.05,
    )
    schedule = lab.plan(view, terms)
    causes = {cause for cause, cost in schedule.cost_by_cause.items() if abs(cost) > 1e-3}
    assert causes >= {
        "wear", "reserve energy kept", "fuel", "curtailment", "starts", "calls", "product value",
        "unserved", "discomfort", "market", "network energy", "peak", "carbon", "stored energy",
        "limit excess",
    }  # fmt: skip

    for cause in causes:
        lie = dict(schedule.cost_by_cause)
        lie[cause] += 0.05
        found = lab.violations(replace(schedule, cost_by_cause=lie), view, terms)
        assert [text.split(":")[0] for text in found] == [cause]


@pytest.mark.parametrize(
    ("group", "word"),
    [
        pytest.param({"max_draw_kw": 100.0}, "group shared: max_draw_kw: 140.0", id="one cable"),
        pytest.param({"max_running": 1}, "group shared: max_running: 2 run in step", id="one crew"),
    ],
)
def test_a_group_that_does_too_much_together_is_refused(
    lab: Any, group: dict[str, Any], word: str
) -> None:
    """A process of 100 kW and a run of 40 and 80."""
    view = lab.view(
        lab.process(),
        lab.run(),
        price=[0.1] * 8,
        step=HOUR / 4,
        readings=[lab.reading("mill"), lab.reading("oven")],
    )
    schedule = lab.plan(view)
    shared = PowerGroup(
        group_id="shared", resource_ids=(ResourceId("mill"), ResourceId("oven")), **group
    )

    grouped = replace(view, park=replace(view.park, groups=(shared,)))

    found = lab.violations(schedule, grouped, lab.terms(view))
    assert len(found) == 1
    assert found[0].startswith(word), found
