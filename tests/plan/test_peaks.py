"""Demand charges: intervals longer than a step, windows, what is paid already, contracts; by hand."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.plan import peaks
from vpp.plan.compiled import Fleet
from vpp.plan.programme import Builder
from vpp.plan.terms import EnergyPrice, EnergyTarget, PeakCharge
from vpp.plan.view import PeakMargin

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


@pytest.mark.parametrize(
    ("draw_kw", "more", "costs"),
    [
        pytest.param([60, 50], {}, {"margin": 0.5 * 10, "peak": 0}, id="10 of 30 kW are used"),
        pytest.param([40, 50], {}, {"margin": 0, "peak": 0}, id="nothing is used"),
        pytest.param(
            [100, 0], {}, {"margin": 0.5 * 30, "peak": 20}, id="all of it, and a new peak"
        ),
        pytest.param(
            [60, 100],
            {"import_kw": np.array([50.0, 10.0])},
            {"margin": 0.5 * 10, "peak": 20},
            id="110 kW may come in both steps, 100 are planned",
        ),
        pytest.param(
            [70, 50, 20, 0],
            {"interval_steps": 2, "import_kw": np.array([30.0, 20.0, 0.0, 0.0])},
            {"margin": 0.5 * 5, "peak": 0},
            id="of an interval the mean: 60 kW and 25",
        ),
    ],
)
def test_room_below_what_is_paid_costs_a_share_of_the_peak(
    lab: Any, draw_kw: list[float], more: dict[str, Any], costs: dict[str, float]
) -> None:
    """80 kW are paid; what comes nearer than the margin may become a peak, with a chance of a half."""
    said = {"import_kw": np.full(len(draw_kw), 30.0)} | more
    spare = PeakMargin(import_kw=said.pop("import_kw"), share=0.5)
    view = lab.view(
        lab.load(), price=[0] * len(draw_kw), base_kw={"load": [-float(kw) for kw in draw_kw]}
    )

    schedule = lab.plan(view, [free_energy(view), peak(view, free_kw=80.0, margin=spare, **said)])

    assert {cause: schedule.cost_by_cause[cause] for cause in costs} == pytest.approx(costs)


def test_a_battery_keeps_away_from_a_peak_where_that_costs_less_than_its_risk(lab: Any) -> None:
    """Energy costs 0.1 more in the other hour: 30 kWh kept away cost 3 and spare 30 kW at 0.2 or 0.05."""
    moved = []
    for share in (0.2, 0.05):
        view = lab.view(
            lab.load(),
            lab.battery(capacity_kwh=100.0, charge_efficiency=1.0, discharge_efficiency=1.0),
            price=[0, 0],
            base_kw={"load": [-80.0, -20.0]},
            readings=[lab.reading("bat", soc=0.5)],
        )
        dear = EnergyPrice(
            connection_point_id=POINT,
            import_per_kwh=np.array([0.1, 0.2]),
            export_per_kwh=np.array([0.1, 0.2]),
        )
        full = EnergyTarget(
            resource_id=ResourceId("bat"),
            step=1,
            stored_kwh=50.0,
            shortfall_per_kwh=9.0,
            reason="full",
        )
        spare = PeakMargin(import_kw=np.full(2, 30.0), share=share)
        schedule = lab.plan(view, [dear, full, peak(view, free_kw=80.0, margin=spare)])
        moved.append(float(lab.power(schedule, "bat")[0]))

    assert moved == pytest.approx([30, 0])


def test_a_margin_below_a_peak_that_binds_is_told_by_its_name(lab: Any) -> None:
    view = lab.view(lab.load(), price=[0, 0], base_kw={"load": [-60.0, -40.0]})
    spare = PeakMargin(import_kw=np.full(2, 30.0), share=0.5)

    schedule = lab.plan(view, [free_energy(view), peak(view, free_kw=80.0, margin=spare)])

    (limit,) = (p for p in schedule.limit_prices if "peak" in p.limit)
    assert limit.limit == "connection point cp-a: margin below paid peak"
    assert limit.per_unit.tolist() == pytest.approx([-0.5, 0])


@pytest.mark.parametrize(
    ("import_kw", "share"),
    [
        pytest.param(-1.0, 0.5, id="a size below 0"),
        pytest.param(np.nan, 0.5, id="no size"),
        pytest.param(1.0, 1.0, id="as dear as the peak"),
    ],
)
def test_a_margin_that_makes_no_sense_is_refused(import_kw: float, share: float) -> None:
    with pytest.raises(DataError, match="margin"):
        PeakMargin(import_kw=np.array([import_kw]), share=share)


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


def test_peaks_of_many_points_each_have_their_own_price_imports_and_what_is_free(lab: Any) -> None:
    """Two with the same intervals become one block, the third a block of its own."""
    view = lab.view(lab.load(), price=[0.0, 0.0])
    b = Builder(view)
    imports = b.add_columns((3, 2))
    first = b.balance.size
    peaks.add(
        b,
        imports,
        [
            peak(view, price_per_kw=2.0, free_kw=10.0),
            peak(view, price_per_kw=3.0, free_kw=20.0),
            peak(view, price_per_kw=4.0, free_kw=30.0, interval_steps=2),
        ],
    )

    found = b.programme(cast(Fleet, None))

    assert found.cost.tolist() == [0] * 6 + [2, 3, 4]
    assert found.row_lower[first:].tolist() == [-10, -10, -20, -20, -30]
    assert found.matrix.toarray()[first:].tolist() == [
        [-1, 0, 0, 0, 0, 0, 1, 0, 0],
        [0, -1, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, -1, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, -1, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, -0.5, -0.5, 0, 0, 1],
    ]
