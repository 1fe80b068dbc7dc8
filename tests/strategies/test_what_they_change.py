"""What each strategy changes in a plan, with numbers that can be done by hand: the same day without it, and with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from strategies.carbon_aware import CarbonAware
from strategies.demand_response_event import DemandResponseEvent
from strategies.ev_deadlines import EvDeadlines
from strategies.fairness import Fairness
from strategies.frequency_regulation import FrequencyRegulation
from strategies.green_matching import GreenMatching
from strategies.peak_shaving import PeakShaving
from strategies.price_arbitrage import PriceArbitrage
from strategies.reserve import Reserve
from strategies.resilience_reserve import ResilienceReserve
from strategies.self_consumption import SelfConsumption
from tests.plan.conftest import Lab
from vpp.model.horizon import Profile
from vpp.model.ids import ResourceId
from vpp.model.schedule import Schedule
from vpp.plan.part import Part, whole
from vpp.plan.terms import EnergyTarget
from vpp.plan.view import CallWindow, PlanningView

LAB = Lab()


def planned(
    view: PlanningView, *strategies: Any, part: Part | None = None, **usual: Any
) -> Schedule:
    """The plan at the view's prices and by what strategies ask in `part`, else everywhere; found valid."""
    asked = [term for one in strategies for term in one.terms(view, part or whole(view))]
    return LAB.plan(view, LAB.terms(view, *asked, **usual))


def powers(schedule: Schedule, name: str) -> list[float]:
    return [float(kw) for kw in LAB.power(schedule, name)]


def battery_day(*prices: float, soc: float = 0.0, **said: Any) -> PlanningView:
    """A battery of 100 kWh and 100 kW, and a load of 50 kW."""
    return LAB.view(
        LAB.load(),
        LAB.battery(**said),
        price=prices,
        base_kw={"load": [-50.0] * len(prices)},
        readings=[LAB.reading("bat", soc=soc)],
    )


def test_price_arbitrage_leaves_a_battery_alone_where_a_cycle_gains_less_than_it_should() -> None:
    """100 kWh bought at 0.05 and sold at 0.08 gain 30 EUR a MWh."""
    view = battery_day(0.05, 0.08)

    def by(least_gain: float) -> list[float]:
        strategy = PriceArbitrage(
            quarter_hour_spread_per_mwh=0.0,
            imbalance_spread_per_mwh=1000.0,
            least_gain_per_cycled_mwh=least_gain,
        )
        return powers(LAB.plan(view, strategy.terms(view, whole(view))), "bat")

    assert by(29.0) == [-100, 100]
    assert by(31.0) == [0, 0]


def test_peak_shaving_holds_imports_below_its_limit_and_lets_go_of_it_for_its_price() -> None:
    """Charging at 0.05 for 0.10 draws 150 kW; a kWh above 80 kW costs more than the 0.05 that it gains."""
    view = battery_day(0.05, 0.10)
    assert planned(view).net_kw.tolist() == pytest.approx([-150, 50])

    shaved = planned(view, PeakShaving(most_import_kw=80.0, excess_per_kwh=0.06))
    assert shaved.net_kw.tolist() == pytest.approx([-80, -20])

    cheap = planned(view, PeakShaving(most_import_kw=80.0, excess_per_kwh=0.04))
    assert cheap.net_kw.tolist() == pytest.approx([-150, 50])
    assert cheap.cost_by_cause["cap excess"] == pytest.approx(70 * 0.04)


@pytest.mark.parametrize(
    ("of", "drawn"),
    [
        pytest.param("each_point", [-80, -80], id="each point may draw 80"),
        pytest.param("together", [-80], id="both together"),
        pytest.param("each_enterprise", [-80], id="both are of one enterprise"),
    ],
)
def test_peak_shaving_counts_points_one_by_one_or_together(of: Any, drawn: list[float]) -> None:
    view = LAB.view(
        LAB.battery("one", point="cp-a"),
        LAB.battery("two", point="cp-b"),
        points=("cp-a", "cp-b"),
        price=[0.05, 0.10],
        readings=[LAB.reading("one", soc=0.0), LAB.reading("two", soc=0.0)],
    )
    plan = planned(view, PeakShaving(most_import_kw=80.0, of=of))
    assert plan.net_kw[0] == pytest.approx(sum(drawn))


def test_self_consumption_keeps_the_sun_for_the_evening_unless_exporting_gains_more() -> None:
    """60 kWh of sun at 0.10 now, 60 kWh of load at 0.09 later: exporting gains 0.01 a kWh."""
    view = LAB.view(
        LAB.load(),
        LAB.pv(),
        LAB.battery(),
        price=[0.10, 0.09],
        base_kw={"load": [0.0, -60.0]},
        available_kw={"pv": [60.0, 0.0]},
        readings=[LAB.reading("bat", soc=0.0)],
    )
    assert planned(view).net_kw.tolist() == pytest.approx([60, -60])
    assert planned(view, SelfConsumption(export_cost_per_kwh=0.02)).net_kw.tolist() == (
        pytest.approx([0, 0], abs=1e-6)
    )
    cheap = planned(view, SelfConsumption(export_cost_per_kwh=0.005))
    assert cheap.net_kw.tolist() == pytest.approx([60, -60])


def car_day() -> PlanningView:
    """A car that wants 10 kWh in four hours; the last hour is the cheapest."""
    car = LAB.session("vw", wanted_kwh=10.0, stays_h=4.0)
    return LAB.view(
        LAB.cars(),
        price=[0.30, 0.20, 0.25, 0.10],
        readings=[LAB.reading("cars", sessions=(car,))],
    )


def test_ev_deadlines_has_a_car_ready_an_hour_before_it_leaves() -> None:
    view = car_day()
    assert powers(planned(view), "cars") == pytest.approx([0, 0, 0, -10])

    early = planned(view, EvDeadlines(ready_before_minutes=60))
    assert powers(early, "cars") == pytest.approx([0, -10, 0, 0])

    half = planned(view, EvDeadlines(ready_before_minutes=60, share=0.5))
    assert powers(half, "cars") == pytest.approx([0, -5, 0, -5])


def test_ev_deadlines_pays_for_what_a_car_cannot_have_in_time() -> None:
    """10 kW for an hour are 10 kWh; the deadline comes before any of it."""
    view = car_day()
    late = planned(view, EvDeadlines(ready_before_minutes=240))
    assert powers(late, "cars") == pytest.approx([0, 0, 0, -10])  # nobody asks for what has passed
    tight = LAB.view(
        LAB.cars(),
        price=[0.3, 0.2],
        readings=[LAB.reading("cars", sessions=(LAB.session("vw", wanted_kwh=15.0, stays_h=2.0),))],
    )
    plan = planned(tight, EvDeadlines(ready_before_minutes=60, shortfall_per_kwh=0.5))
    assert powers(plan, "cars") == pytest.approx([-10, -5])
    assert plan.cost_by_cause["target"] == pytest.approx(5 * 0.5)


def test_demand_response_event_fills_stores_before_a_call_for_less() -> None:
    view = battery_day(0.10, 0.10, 0.10, soc=0.2)
    call = CallWindow(name="call-1", first_step=1, last_step=3, up=True)
    view = replace(view, calls=(call,))
    ready = planned(view, DemandResponseEvent(prepared_soc=0.9, shortfall_per_kwh=0.2))
    assert ready.stored_kwh[ResourceId("bat")][0] == pytest.approx(90)
    (target,) = DemandResponseEvent(prepared_soc=0.9).terms(view, whole(view))
    assert isinstance(target, EnergyTarget)
    assert target.step == 0, "at the end of the step before the window"
    assert DemandResponseEvent().terms(view, whole(view)) == ()


def test_reserve_keeps_power_and_the_energy_for_a_call_of_it() -> None:
    """Without it the battery sells 100 kWh at 0.30; 40 kW for an hour hold 40 kWh back."""
    view = battery_day(0.30, 0.10, soc=1.0)
    assert powers(planned(view), "bat")[0] == pytest.approx(100)

    kept = planned(view, Reserve(up_kw=40.0, call_hours=1.0, shortfall_per_kw_h=1.0))
    assert powers(kept, "bat")[0] == pytest.approx(60)
    assert kept.stored_kwh[ResourceId("bat")].min() >= 40 - 1e-6
    held = kept.reserve["everywhere up"]
    assert sum(held.kept_kw.values()) == pytest.approx([40, 40])


def test_frequency_regulation_keeps_a_battery_ready_for_both_ways() -> None:
    view = battery_day(0.30, 0.10, soc=1.0)
    kept = planned(view, FrequencyRegulation(least_soc=0.3, shortfall_per_kwh_h=1.0))
    assert kept.stored_kwh[ResourceId("bat")].tolist() == pytest.approx([30, 30])


def test_green_matching_pays_for_use_while_the_sun_shines_and_asks_for_a_share() -> None:
    """60 kWh of sun sell at 0.10 now; the 60 kWh that are used later cost 0.08."""
    view = LAB.view(
        LAB.pv(green=True),
        LAB.battery(),
        LAB.load(),
        price=[0.10, 0.08],
        base_kw={"load": [0.0, -60.0]},
        available_kw={"pv": [60.0, 0.0]},
        readings=[LAB.reading("bat", soc=0.0)],
    )
    assert planned(view).net_kw.tolist() == pytest.approx([60, -60])
    rewarded = planned(view, GreenMatching(reward_per_kwh=0.03))
    assert rewarded.net_kw.tolist() == pytest.approx([0, 0], abs=1e-6)
    shared = planned(view, GreenMatching(least_share=0.5, shortfall_per_kwh=0.05))
    assert shared.net_kw.tolist() == pytest.approx([30, -30])


def test_carbon_aware_draws_when_the_grid_is_clean() -> None:
    """0.10 and 0.11 EUR; 0.5 and 0.1 kg CO2 a kWh: at 100 EUR a tonne the second hour is 0.03 cheaper."""
    view = LAB.view(
        LAB.battery(final_soc=1.0),
        price=[0.10, 0.11],
        readings=[LAB.reading("bat", soc=0.0)],
    )
    view = replace(view, grid_kgco2_per_kwh=Profile(view.horizon, np.array([0.5, 0.1])))
    assert powers(planned(view), "bat") == pytest.approx([-100, 0])
    assert powers(planned(view, CarbonAware(price_per_tco2=100.0)), "bat") == pytest.approx(
        [0, -100]
    )


def test_resilience_reserve_keeps_what_a_critical_load_needs_for_an_outage() -> None:
    """10 kW for four hours are 40 of 100 kWh; half full asks for more."""
    view = battery_day(0.30, 0.10, soc=1.0)
    outage = ResilienceReserve(critical_kw=10.0, outage_hours=4.0, shortfall_per_kwh_h=1.0)
    assert planned(view, outage).stored_kwh[ResourceId("bat")].min() == pytest.approx(40)
    half = replace(outage, least_soc=0.5)
    assert planned(view, half).stored_kwh[ResourceId("bat")].min() == pytest.approx(50)


def test_resilience_reserve_holds_only_in_its_own_steps() -> None:
    view = battery_day(0.30, 0.10, soc=1.0)
    first = np.array([True, False])
    part = Part(name="storm", steps=first, points={}, resources={ResourceId("bat"): first})
    kept = planned(view, ResilienceReserve(least_soc=0.5, shortfall_per_kwh_h=1.0), part=part)
    assert kept.stored_kwh[ResourceId("bat")].tolist() == pytest.approx([50, 0])


def test_fairness_turns_two_loads_down_alike_where_one_is_cheaper() -> None:
    """80 kW may be drawn of 100: the cheap load would give up all 20, 0.01 a kWh less."""
    view = LAB.view(
        LAB.curtailable("cheap", max_draw_kw=50.0, curtailment_cost_per_kwh=0.20),
        LAB.curtailable("dear", max_draw_kw=50.0, curtailment_cost_per_kwh=0.21),
        price=[0.05],
        base_kw={"cheap": [-50.0], "dear": [-50.0]},
        point_limits=LAB.limits(import_kw=80.0),
        readings=[LAB.reading("cheap"), LAB.reading("dear")],
    )
    alone = planned(view)
    assert [float(alone.curtailed_kw[ResourceId(n)][0]) for n in ("cheap", "dear")] == (
        pytest.approx([20, 0])
    )
    # 20 of 50 kWh are a share of 0.4, 10 each one of 0.2: at 10 EUR a share that saves 2 EUR and costs 0.10.
    fair = planned(view, Fairness(price_per_share=10.0))
    assert [float(fair.curtailed_kw[ResourceId(n)][0]) for n in ("cheap", "dear")] == (
        pytest.approx([10, 10])
    )
    # What the dear one gave up today counts: it has given 20 kWh already.
    before = replace(view, borne_kwh={ResourceId("dear"): 20.0})
    turned = planned(before, Fairness(price_per_share=10.0))
    assert turned.curtailed_kw[ResourceId("cheap")][0] == pytest.approx(20)
