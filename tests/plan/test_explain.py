"""Why a resource does what it does: sentences whose numbers can be worked out by hand."""

from __future__ import annotations

from datetime import time, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import EnergyWindow, FlexibleLoad
from vpp.plan.explain import explain, moment_of
from vpp.plan.terms import EnergyPrice, EnergyTarget, PeakCharge, StoredEnergyValue
from vpp.plan.view import PeakMargin

if TYPE_CHECKING:
    from tests.plan.conftest import Lab

HOUR = timedelta(hours=1)
GATE = ConnectionPointId("cp-a")
BATTERY = ResourceId("battery")


def prices(*values: float) -> EnergyPrice:
    return EnergyPrice(
        connection_point_id=GATE,
        import_per_kwh=np.array(values),
        export_per_kwh=np.zeros(len(values)),
    )


def test_a_battery_charges_because_later_is_dearer(lab: Lab) -> None:
    battery = lab.battery(
        "battery",
        capacity_kwh=100.0,
        max_charge_kw=50.0,
        max_discharge_kw=100.0,
        charge_efficiency=0.9,
        discharge_efficiency=1.0,
        wear_cost_per_kwh=0.02,
    )
    # 100 kW are drawn at 0.05, then at 0.30: what is fed in the second hour saves 0.30 a kWh.
    view = lab.view(
        battery,
        lab.load("load"),
        price=[0.0, 0.0],
        step=HOUR,
        readings=[lab.reading("battery", soc=0.0)],
        base_kw={"load": [-100.0, -100.0]},
    )
    terms = (prices(0.05, 0.30), StoredEnergyValue(price_per_kwh=0.0))
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, BATTERY, view.horizon.start)

    # A kWh stored saves 0.30 less 0.02 wear: 0.28. Drawn: 0.9 · 0.28 - 0.02 - 0.05 = 0.182.
    assert said.power_kw == pytest.approx(-50.0)
    assert (said.start, said.end) == (view.horizon.start, view.horizon.start + HOUR)
    assert said.value_per_kwh == pytest.approx(0.05)
    assert said.stored_value_per_kwh == pytest.approx(0.28)
    assert dict(said.binding) == {"battery: max_charge_kw": pytest.approx(0.182)}
    assert said.sentences == (
        "battery draws 50.0 kW from 12:00 to 13:00.",
        "A kWh drawn at cp-a costs 0.0500 EUR then: 0.0500 network energy.",
        (
            "In the store it becomes 0.900 kWh, each worth 0.2800 EUR later, 0.0200 EUR wear: a kWh drawn"
            " gains 0.1820 EUR."
        ),
        "Later it feeds most dearly at 13:00, for 0.3000 EUR a kWh.",
        "At the end of the step 45.0 kWh are stored (45%).",
        "battery: max_charge_kw binds: one unit of room more would save 0.1820 EUR.",
    )


def test_a_battery_feeds_what_was_bought_cheaply(lab: Lab) -> None:
    battery = lab.battery(
        "battery",
        capacity_kwh=100.0,
        max_charge_kw=50.0,
        max_discharge_kw=100.0,
        charge_efficiency=1.0,
        discharge_efficiency=0.8,
        wear_cost_per_kwh=0.0,
    )
    view = lab.view(
        battery,
        lab.load("load"),
        price=[0.0, 0.0],
        step=HOUR,
        readings=[lab.reading("battery", soc=0.0)],
        base_kw={"load": [-100.0, -100.0]},
    )
    terms = (prices(0.05, 0.30), StoredEnergyValue(price_per_kwh=0.0))
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, BATTERY, view.horizon.start + HOUR)

    # 50 kWh are stored, 40 come out: each kWh in the store is worth 0.8 · 0.30 = 0.24.
    assert said.power_kw == pytest.approx(40.0)
    assert said.sentences[:4] == (
        "battery feeds 40.0 kW from 13:00 to 14:00.",
        "A kWh fed at cp-a saves 0.3000 EUR then: 0.3000 network energy.",
        "It takes 1.250 kWh out of the store, each worth 0.2400 EUR: a kWh fed gains 0.0000 EUR.",
        "It was charged at 12:00 for 0.0500 EUR a kWh.",
    )


def test_the_risk_of_a_peak_is_part_of_the_price_of_a_kwh(lab: Lab) -> None:
    view = lab.view(lab.load("load"), price=[0.0, 0.0], step=HOUR, base_kw={"load": [-70.0, -60.0]})
    peak = PeakCharge(
        connection_point_id=GATE,
        first_step=0,
        last_step=2,
        price_per_kw=5.0,
        free_kw=80.0,
        margin=PeakMargin(import_kw=np.array([30.0, 30.0]), share=0.2),
    )
    terms = (prices(0.1, 0.1), peak)
    plan = lab.plan(view, terms)

    told = explain(plan, view, terms, ResourceId("load"), view.horizon.start)

    assert told.sentences[1] == (
        "A kWh drawn at cp-a costs 1.1000 EUR then: 0.1000 network energy, 1.0000 risk of a new peak."
    )
    assert told.sentences[3].startswith("connection point cp-a: margin below paid peak binds")


def test_the_peak_that_a_kwh_would_raise_is_part_of_its_price(lab: Lab) -> None:
    view = lab.view(
        lab.load("load"), price=[0.0, 0.0], step=HOUR, base_kw={"load": [-100.0, -60.0]}
    )
    peak = PeakCharge(
        connection_point_id=GATE, first_step=0, last_step=2, price_per_kw=5.0, free_kw=80.0
    )
    terms = (prices(0.1, 0.1), peak)
    plan = lab.plan(view, terms)

    first = explain(plan, view, terms, ResourceId("load"), view.horizon.start)
    second = explain(plan, view, terms, ResourceId("load"), view.horizon.start + HOUR)

    assert first.sentences == (
        "load draws 100.0 kW from 12:00 to 13:00.",
        "A kWh drawn at cp-a costs 5.1000 EUR then: 0.1000 network energy, 5.0000 new peak.",
        "Nobody decides what it draws.",
        "connection point cp-a: paid peak binds: one unit of room more would save 5.0000 EUR.",
    )
    assert second.sentences[1] == (
        "A kWh drawn at cp-a costs 0.1000 EUR then: 0.1000 network energy."
    )


def test_what_is_stored_for_a_target_later_says_so(lab: Lab) -> None:
    battery = lab.battery(
        "battery",
        capacity_kwh=100.0,
        max_charge_kw=30.0,
        charge_efficiency=1.0,
        wear_cost_per_kwh=0.0,
    )
    view = lab.view(
        battery,
        lab.load("load"),
        price=[0.0, 0.0],
        step=HOUR,
        readings=[lab.reading("battery", soc=0.0)],
        base_kw={"load": [-100.0, -100.0]},
    )
    target = EnergyTarget(
        resource_id=BATTERY, step=1, stored_kwh=50.0, shortfall_per_kwh=9.0, reason="outage"
    )
    terms = (prices(0.1, 0.3), target)
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, BATTERY, view.horizon.start)

    # 30 kWh at 0.1, and 20 more at 0.3: the last kWh that is asked for costs 0.3.
    assert said.power_kw == pytest.approx(-30.0)
    assert "battery: outage binds: one unit of room more would save 0.3000 EUR." in said.sentences
    assert dict(said.binding)["battery: max_charge_kw"] == pytest.approx(0.2)


def test_work_that_a_window_asks_for_says_so_all_through_it(lab: Lab) -> None:
    mill = FlexibleLoad(
        resource_id=ResourceId("mill"),
        enterprise_id=EnterpriseId("a"),
        connection_point_id=GATE,
        max_draw_kw=10.0,
        windows=(EnergyWindow(start=time(12), end=time(14), least_units=15.0),),
    )
    view = lab.view(mill, price=[0.0, 0.0], step=HOUR, readings=[lab.reading("mill", done_kwh=0.0)])
    terms = (prices(0.1, 0.3),)
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, ResourceId("mill"), view.horizon.start)

    # 10 kWh at 0.1, the last 5 at 0.3.
    assert said.power_kw == pytest.approx(-10.0)
    assert dict(said.binding) == {
        "mill: max_draw_kw": pytest.approx(0.2),
        "mill: least_units": pytest.approx(0.3),
    }


def test_an_idle_battery_says_what_it_would_lose(lab: Lab) -> None:
    battery = lab.battery(
        "battery",
        capacity_kwh=100.0,
        charge_efficiency=0.8,
        discharge_efficiency=0.8,
        wear_cost_per_kwh=0.0,
    )
    view = lab.view(
        battery,
        lab.load("load"),
        price=[0.0, 0.0],
        step=HOUR,
        readings=[lab.reading("battery", soc=0.5)],
        base_kw={"load": [-100.0, -100.0]},
    )
    terms = (prices(0.1, 0.1), StoredEnergyValue(price_per_kwh=0.15))
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, BATTERY, view.horizon.start)

    # Left in the store a kWh counts 0.8 · 0.15 = 0.12; in: 0.8 · 0.12 - 0.1; out: 0.1 - 0.12 / 0.8.
    assert said.sentences[0] == "battery stands still from 12:00 to 13:00."
    assert said.sentences[2] == (
        "A kWh in the store is worth 0.1200 EUR: charging one would change the result by"
        " -0.0040 EUR, feeding one by -0.0500 EUR."
    )


def test_what_is_curtailed_is_told(lab: Lab) -> None:
    view = lab.view(
        lab.pv("pv"),
        price=[0.0],
        step=HOUR,
        available_kw={"pv": [50.0]},
        readings=[lab.reading("pv")],
    )
    terms = (
        EnergyPrice(
            connection_point_id=GATE,
            import_per_kwh=np.array([0.1]),
            export_per_kwh=np.array([-0.02]),
        ),
    )
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, ResourceId("pv"), view.horizon.start)

    assert said.power_kw == pytest.approx(0.0)
    assert "It could feed 50.0 kW: 50.0 kW are left unused." in said.sentences


def test_a_battery_that_is_not_heard_is_left_alone_and_says_so(lab: Lab) -> None:
    view = lab.view(lab.battery("battery"), price=[0.0, 0.0], step=HOUR)
    terms = (prices(0.1, 0.3),)
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, BATTERY, view.horizon.start)

    assert said.stored_value_per_kwh is None
    assert said.sentences[1] == (
        "battery is not heard: it is left to itself, and the plan does not move it."
    )


def test_prices_beside_on_off_decisions_say_so(lab: Lab) -> None:
    view = lab.view(
        lab.process("saw", rated_draw_kw=40.0, call_cost_per_kwh=0.05),
        price=[0.0] * 4,
        step=HOUR,
        readings=[lab.reading("saw", calls_today=0)],
    )
    terms = (prices(0.1, 0.9, 0.1, 0.1),)
    plan = lab.plan(view, terms)

    said = explain(plan, view, terms, ResourceId("saw"), view.horizon.start)

    assert plan.binaries > 0
    assert said.sentences[-1] == "These prices hold with the on/off decisions as taken."


def test_a_time_of_day_is_read_on_the_parks_clock(lab: Lab) -> None:
    view = lab.view(lab.load("load"), price=[0.0] * 3, step=HOUR, base_kw={"load": [-1.0] * 3})

    assert moment_of(view, "13:30") == view.horizon.start + 1.5 * HOUR
    with pytest.raises(DataError, match="does not cover 03:15"):
        moment_of(view, "03:15")
    with pytest.raises(DataError, match="'noon' is no time of day"):
        moment_of(view, "noon")


def test_a_stranger_and_a_time_outside_are_refused(lab: Lab) -> None:
    view = lab.view(lab.load("load"), price=[0.0], step=HOUR, base_kw={"load": [-1.0]})
    plan = lab.plan(view, (prices(0.1),))

    with pytest.raises(DataError, match="no resource 'bess-9'"):
        explain(plan, view, (), ResourceId("bess-9"), view.horizon.start)
    with pytest.raises(DataError, match="outside the plan"):
        explain(plan, view, (), ResourceId("load"), view.horizon.end)
