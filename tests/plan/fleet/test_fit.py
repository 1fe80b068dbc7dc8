"""A compiled park becomes a forest tree by tree, and its answer comes back as the programme's own."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import time
from typing import Any

import numpy as np
import pytest

from tests.plan.conftest import Lab
from tests.plan.independent import electric
from tests.plan.independent.parks import random_park
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.resource import OnOffRules, Resource, Storage
from vpp.model.time import QUARTER
from vpp.plan import parts
from vpp.plan.compile import build
from vpp.plan.fleet import sums
from vpp.plan.fleet.back import Back, back
from vpp.plan.fleet.fit import Fitted, NoFit, fit
from vpp.plan.fleet.forest import Forest, Solved
from vpp.plan.fleet.written import by_highs
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.programme import Programme
from vpp.plan.terms import Cap, CarDeadline, EnergyPrice, PeakCharge, Term
from vpp.plan.view import PeakMargin, PlanningView

MOST_OFF = 1e-7
LP_KINDS = (
    *(electric.fixed, electric.storage, electric.storage, electric.weather),
    *(electric.curtailable, electric.flexible, electric.zone, electric.cars),
)


def deadline() -> Deadline:
    return Deadline(lambda: 0.0, 1e6)


def compiled(case: tuple[PlanningView, tuple[Term, ...]]) -> Programme:
    return build(*case, limit_excess_price_per_kwh=Lab.excess_per_kwh)


def fitted(programme: Programme) -> Fitted:
    found = fit(programme, programme.lower, programme.upper)
    assert isinstance(found, Fitted), found
    return found


def answered(found: Fitted) -> Back:
    """What HiGHS says about the forest, in the programme's columns."""
    return back(found, solved(found))


def solved(found: Fitted) -> Solved:
    answer = by_highs(found.forest, deadline())
    assert isinstance(answer, tuple), answer
    point, duals = answer
    return Solved(
        point=point, duals=duals, cost=0.0, bound=0.0, residual=0.0, iterations=0, method="HiGHS"
    )


def optimum(programme: Programme) -> LpSolution:
    found = solve_lp(programme, {}, deadline())
    assert isinstance(found, LpSolution), found
    return found


def agrees(programme: Programme, found: Fitted) -> None:
    """The forest's best is the programme's own best, as far as the forest reaches, and is proven."""
    best = optimum(programme).x
    want = float((programme.cost * best)[found.columns].sum())
    got = answered(found)
    size = 1 + abs(want)
    assert got.residual.max() < MOST_OFF
    assert got.cost.sum() == pytest.approx(want, abs=1e-6 * size)
    assert got.bound.sum() == pytest.approx(want, abs=1e-6 * size)
    assert got.bound.sum() <= want + 1e-9 * size


def day(lab: Lab, *resources: Resource, **said: Any) -> PlanningView:
    """Six hours, dear in the middle; the battery is half full."""
    said_soc = [{"soc": 0.5} if isinstance(one, Storage) else {} for one in resources]
    readings = [
        lab.reading(one.resource_id, **soc) for one, soc in zip(resources, said_soc, strict=True)
    ]
    return lab.view(*resources, price=[0.1, 0.1, 0.5, 0.5, 0.2, 0.2], readings=readings, **said)


def cap(view: PlanningView, place: str, *also: str) -> Cap:
    return Cap(
        place=ConnectionPointId(place),
        also=tuple(ConnectionPointId(one) for one in also),
        import_kw=np.full(view.horizon.steps, 20.0),
        excess_per_kwh=5.0,
        reason="test",
    )


def quick_run(lab: Lab) -> Resource:
    """Half an hour within an hour and a half."""
    return lab.run(latest_end=time(13, 30))


def tariff(view: PlanningView, *more: Term) -> tuple[Term, ...]:
    """Energy at the view's prices at every point, a cent less for what is fed; no market joins them."""
    price = view.spot_per_kwh.values
    return (
        *(
            EnergyPrice(
                connection_point_id=point.connection_point_id,
                import_per_kwh=price,
                export_per_kwh=price - 0.01,
            )
            for point in view.park.connection_points
        ),
        *more,
    )


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 6, *range(8, 15), 16, 18, 19])
def test_a_random_park_without_runs_is_a_forest_whose_best_plan_is_its_own(
    seed: int, lab: Lab
) -> None:
    programme = compiled(lab.random(seed, processes=0, runs=0, min_price=0.01))
    agrees(programme, fitted(programme))


@pytest.mark.parametrize("seed", [7, 12, 27, 38, 44, 60, 66, 101, 147, 182])
def test_trees_of_a_random_park_that_fit_are_worth_what_they_are_in_it(seed: int) -> None:
    programme = compiled(random_park(seed, LP_KINDS))
    found = fit(programme, programme.lower, programme.upper)
    if isinstance(found, Fitted):
        agrees(programme, found)
    else:
        assert found.words


@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_a_park_that_is_read_in_small_pieces_is_the_same_forest(
    seed: int, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme = compiled(lab.random(seed, processes=0, runs=0, min_price=0.01))
    whole = fitted(programme)
    monkeypatch.setattr(parts, "AT_ONCE", 7)
    monkeypatch.setattr(sums, "CHUNK", 50)
    pieces = fitted(programme)

    for name, one in numbers(whole.forest).items():
        assert np.array_equal(one, numbers(pieces.forest)[name]), name
    assert np.array_equal(whole.tree, pieces.tree)
    assert np.array_equal(whole.columns, pieces.columns)
    assert np.array_equal(whole.rows, pieces.rows)


def numbers(forest: Forest) -> dict[str, np.ndarray[Any, Any]]:
    """Every array of a forest, by its name."""
    groups = [one for one in vars_of(forest).items() if is_dataclass(one[1])]
    return {f"{name}.{of}": one for name, group in groups for of, one in vars_of(group).items()}


def vars_of(thing: Any) -> dict[str, Any]:
    return {each.name: getattr(thing, each.name) for each in fields(thing)}


def test_what_is_decided_is_no_forest_but_its_neighbour_is(lab: Lab) -> None:
    """Two points without a market: a run may start at one, a battery stands at the other."""
    view = day(
        lab, quick_run(lab), lab.battery(point="cp-b"), points=["cp-a", "cp-b"], step=QUARTER
    )
    programme = compiled((view, tariff(view)))
    found = fitted(programme)
    assert [one.words for one in found.misfits] == ["oven: earliest_start, latest_end"]
    assert len(found.forest.stores.bus) == 1
    agrees(programme, found)


def test_a_programme_in_which_nothing_fits_says_why(lab: Lab) -> None:
    view = day(lab, quick_run(lab), step=QUARTER)
    programme = compiled((view, tariff(view)))
    assert fit(programme, programme.lower, programme.upper) == NoFit(
        words="oven: earliest_start, latest_end"
    )


ONE_A_DAY = OnOffRules(min_power_kw=2.0, max_starts_per_day=1)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"ramp_kw_per_min": 2 / 60}, ["pump: ramp_kw_per_min"]),
        ({"on_off": OnOffRules(min_power_kw=2.0)}, ["pump: on or off"]),
        ({"on_off": ONE_A_DAY, "ramp_kw_per_min": 2 / 60}, ["pump: on or off"]),
        ({"bands_kw": (4.0, 8.0)}, ["a decision on pump: max_draw_kw"]),
    ],
)
def test_what_keeps_a_load_from_the_structured_solver_is_named_and_what_it_is_asked_for_is_not(
    lab: Lab, said: dict[str, Any], words: list[str]
) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "16:00", 8), **said)
    view = day(lab, pump, lab.battery(point="cp-b"), points=["cp-a", "cp-b"])
    found = fitted(compiled((view, tariff(view))))
    assert [one.words for one in found.misfits] == words


def test_a_load_whose_calls_are_limited_is_named(lab: Lab) -> None:
    line = lab.curtailable("line", max_calls_per_day=1)
    view = day(
        lab, line, lab.battery(point="cp-b"), points=["cp-a", "cp-b"], base_kw={"line": [-9.0] * 6}
    )
    found = fitted(compiled((view, tariff(view))))
    assert [one.words for one in found.misfits] == ["line: limited calls"]


def test_an_error_on_the_way_back_shows_as_a_gap_or_as_a_row_that_is_broken(lab: Lab) -> None:
    view = day(lab, lab.battery())
    found = fitted(compiled((view, tariff(view))))
    right = solved(found)
    assert back(found, right).residual.max() < MOST_OFF
    duals = replace(right.duals, bus=right.duals.bus + 0.05)
    wrong = back(found, replace(right, duals=duals))
    assert wrong.bound.sum() < wrong.cost.sum() - 1e-3
    point = replace(right.point, into=right.point.into + 10.0)
    assert back(found, replace(right, point=point)).residual.max() > MOST_OFF


def test_bounds_that_are_held_are_held_in_the_forest(lab: Lab) -> None:
    """A battery that may feed buys 50 kWh at 0.10 and sells 100 at 0.49; one that may not does nothing."""
    view = day(lab, lab.battery())
    programme = compiled((view, tariff(view)))
    assert answered(fitted(programme)).cost.sum() == pytest.approx(50 * 0.10 - 100 * 0.49)
    upper = programme.upper.copy()
    upper[programme.fleet.storages.discharge] = 0.0
    found = fit(programme, programme.lower, upper)
    assert isinstance(found, Fitted)
    assert answered(found).cost.sum() == pytest.approx(0.0)


def test_limits_whose_points_cross_are_no_forest(lab: Lab) -> None:
    """One cap over a and b, one over b and c: neither stands below the other."""
    points = ["cp-a", "cp-b", "cp-c"]
    view = day(lab, *(lab.battery(f"bat-{at}", point=at) for at in points), points=points)
    caps = (cap(view, "cp-a", "cp-b"), cap(view, "cp-b", "cp-c"))
    programme = compiled((view, tariff(view, *caps)))
    found = fit(programme, programme.lower, programme.upper)
    assert isinstance(found, NoFit)
    assert "cap" in found.words


def test_a_cap_over_two_points_is_a_bus_above_them(lab: Lab) -> None:
    """20 kW for both, for two hours at 0.10: 40 kWh are bought, and 140 sold at 0.49."""
    points = ["cp-a", "cp-b"]
    view = day(lab, *(lab.battery(f"bat-{at}", point=at) for at in points), points=points)
    programme = compiled((view, tariff(view, cap(view, *points))))
    found = fitted(programme)
    assert found.forest.buses.parent.tolist() == [2, 2, -1]
    agrees(programme, found)
    assert answered(found).cost.sum() == pytest.approx(40 * 0.10 - 140 * 0.49)


def test_a_margin_below_a_paid_peak_is_a_second_peak_and_costs_what_it_did(lab: Lab) -> None:
    """Above 30 kW a kW costs 5, the 10 kW below it half of that: 45 kW of load cost 15·5 + 10·2.5."""
    steps = 6
    view = lab.view(lab.load(), price=[0.0] * steps, base_kw={"load": [-45.0] * steps}, readings=[])
    margin = PeakMargin(import_kw=np.full(steps, 10.0), share=0.5)
    peak = PeakCharge(
        connection_point_id=view.park.connection_points[0].connection_point_id,
        first_step=0,
        last_step=steps,
        price_per_kw=5.0,
        free_kw=30.0,
        margin=margin,
    )
    programme = compiled((view, tariff(view, peak)))
    found = fitted(programme)
    assert len(found.forest.peaks.bus) == 2
    agrees(programme, found)
    energy = float(programme.cost[programme.fleet.points.imports[0]].sum()) * 45
    assert answered(found).cost.sum() == pytest.approx(15 * 5 + 10 * 2.5 + energy)


@pytest.mark.parametrize("heating", [True, False])
def test_a_zone_whose_cop_changes_with_the_weather_is_a_store_that_gains_so(
    lab: Lab, heating: bool
) -> None:
    """A kW draws 1, 2, … 6 kW of heat or cold: what is wanted at the end is made when that is cheap."""
    outdoor = [20.0 * (not heating) + hour for hour in range(6)]
    zone = lab.zone(
        heating=heating,
        cop=1.0,
        cop_outdoor_degc=outdoor[0],
        cop_per_degc=1.0,
        resistance_degc_per_kw=10.0,
    )
    readings = [lab.reading("hall", temperature_degc=21.0)]
    view = lab.view(
        zone, price=[0.1, 0.1, 0.5, 0.5, 0.2, 0.2], readings=readings, outdoor_degc=outdoor
    )
    programme = compiled((view, tariff(view)))
    found = fitted(programme)
    gain = found.forest.stores.gain
    np.testing.assert_allclose(gain / gain[:, :1], [np.arange(1.0, 7.0)])
    assert found.misfits == ()
    agrees(programme, found)


@pytest.mark.parametrize(
    ("feeds_kw", "charged_kwh", "shortfall_per_kwh", "cost"),
    [
        pytest.param(0.0, 6.0, 9.0, 6 * 0.5 + 14 * 0.1, id="6 kWh are had while it is dear"),
        pytest.param(0.0, 0.0, 9.0, 20 * 0.1, id="nothing is asked, nothing is had early"),
        pytest.param(0.0, 15.0, 9.0, 10 * 0.5 + 10 * 0.1 + 5 * 9, id="10 kW give 10 of 15 kWh"),
        pytest.param(0.0, 6.0, 0.3, 6 * 0.3 + 20 * 0.1, id="going without is cheaper"),
        pytest.param(10.0, 6.0, 9.0, 6 * 0.5 + 14 * 0.1, id="a car that may feed as well"),
    ],
)
def test_a_deadline_before_a_car_leaves_is_a_wish_about_its_level(
    lab: Lab, feeds_kw: float, charged_kwh: float, shortfall_per_kwh: float, cost: float
) -> None:
    """A car wants 20 kWh in three hours, and some of them after the first, which is dear."""
    session = lab.session("a", wanted_kwh=20.0, stays_h=3.0)
    view = lab.view(
        lab.cars(max_car_feed_kw=feeds_kw),
        price=[0.5, 0.1, 0.1],
        readings=[lab.reading("cars", sessions=(session,))],
    )
    asked = CarDeadline(
        resource_id=ResourceId("cars"),
        session_id="a",
        step=1,
        charged_kwh=charged_kwh,
        shortfall_per_kwh=shortfall_per_kwh,
    )
    programme = compiled((view, tariff(view, asked)))
    found = fitted(programme)
    assert found.misfits == ()
    agrees(programme, found)
    assert answered(found).cost.sum() == pytest.approx(cost)


@pytest.mark.parametrize(
    ("soc", "taper", "price", "cost"),
    [
        pytest.param(
            0.0,
            {"charge_taper_soc": 0.5},
            [0.1, 0.1, 0.5, 0.5],
            0.1 * (50 + 50) - 0.49 * 100,
            id="50 kW, and half full as much again",
        ),
        pytest.param(
            0.75,
            {"charge_taper_soc": 0.5},
            [0.1, 0.1, 0.5, 0.5],
            0.1 * 25 - 0.49 * 100,
            id="three quarters full: 25 kW fill it at once",
        ),
        pytest.param(
            0.5,
            {"charge_taper_soc": 0.0},
            [0.1, 0.5, 0.5],
            0.1 * 25 - 0.49 * 75,
            id="half full: half the power, in the first step already",
        ),
        pytest.param(
            0.5,
            {"discharge_taper_soc": 1.0},
            [0.1, 0.5],
            0.1 * 50 - 0.49 * 50,
            id="as it empties 50 kW need a full store",
        ),
        pytest.param(
            0.5,
            {"charge_taper_soc": 0.75, "discharge_taper_soc": 0.5},
            [0.1, 0.5, 0.1, 0.5, 0.5],
            0.1 * 50 - 0.49 * 50 + 0.1 * 50 - 0.49 * 50 - 0.49 * 50,
            id="both ways: 50 kW at half full and above, 50 kW down from there",
        ),
        pytest.param(
            0.0,
            {"discharge_taper_soc": 1.0, "max_cycles_per_day": 0.5},
            [0.1, 0.1, 0.5, 0.5, 0.5],
            0.1 * 50 / (1 - 0.5**3) - 0.49 * 50,
            id="half of what is left an hour, and 50 kWh of it a day: seven eighths of what is bought",
        ),
    ],
)
def test_a_power_that_tapers_is_limited_by_the_level_before(
    lab: Lab, soc: float, taper: dict[str, Any], price: list[float], cost: float
) -> None:
    """A battery of 100 kWh and 50 kW; a kWh that is fed earns a cent less than one that is drawn."""
    battery = lab.battery(max_charge_kw=50.0, max_discharge_kw=50.0, **taper)
    view = lab.view(battery, price=price, readings=[lab.reading(battery.resource_id, soc=soc)])
    programme = compiled((view, tariff(view)))
    found = fitted(programme)
    assert found.misfits == ()
    agrees(programme, found)
    assert answered(found).cost.sum() == pytest.approx(cost)


def test_what_tapers_has_the_price_of_what_a_unit_more_would_earn(lab: Lab) -> None:
    """A kW more in the first hour, bought at 0.10, is sold at 0.49."""
    battery = lab.battery(max_charge_kw=50.0, max_discharge_kw=50.0, charge_taper_soc=0.0)
    readings = [lab.reading(battery.resource_id, soc=0.5)]
    view = lab.view(battery, price=[0.1, 0.5, 0.5], readings=readings)
    programme = compiled((view, tariff(view)))
    rows = programme.fleet.storages.fuller.rows[0]
    prices = answered(fitted(programme)).row_marginals[rows]
    np.testing.assert_allclose(prices, [-0.39, 0.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(optimum(programme).row_marginals[rows], prices, atol=1e-7)


def test_what_fills_by_rounding_while_it_empties_goes_the_way_it_empties(lab: Lab) -> None:
    programme = compiled(lab.random(3, processes=0, runs=0, min_price=-0.15))
    found = fitted(programme)
    answer = solved(found)
    answer.point.into[:] = np.maximum(answer.point.into, 1e-12)
    x = back(found, answer).x
    way, fills, empties = programme.ways
    empty = (x[empties] > 1.0) & (x[fills] > 0.0) & (x[fills] < 1e-9)
    assert empty.any()
    assert (x[way[empty]] == 0.0).all()
