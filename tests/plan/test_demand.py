"""What a plan is told of the park's demand charges: one peak a point and month, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from strategies.two_part_tariff import TwoPartTariff as Strategy
from vpp.errors import DataError
from vpp.model.demand import (
    ActualDemand,
    CapacityCharge,
    ContractDemand,
    Contracted,
    DemandCharge,
    Measuring,
)
from vpp.model.horizon import Horizon
from vpp.model.hours import Hours
from vpp.model.time import QUARTER
from vpp.plan.demand import paid_peaks
from vpp.plan.view import PaidPeak

HALF_HOUR = timedelta(minutes=30)
CONTRACT = ContractDemand(
    price_per_kw_month=Decimal(40),
    least_share_of_capacity=Decimal("0.4"),
    free_share=Decimal("1.05"),
    excess_times=Decimal(2),
)


def charged(lab: Any, demand: DemandCharge, *resources: Any, **more: Any) -> Any:
    """A park whose one point has 2000 kVA, a contract of 100 kW and this demand charge."""
    park = lab.park(*resources, **more)
    agreed = Contracted(capacity_kva=Decimal(2000), contract_kw=Decimal(100))
    return replace(
        park,
        connection_points=tuple(replace(p, contracted=agreed) for p in park.connection_points),
        tariffs=tuple(replace(t, demand=demand) for t in park.tariffs),
    )


def peaks(
    park: Any, horizon: Horizon, *, paid_kw: float = 0.0, running_kw: float = 0.0
) -> tuple[PaidPeak, ...]:
    first = horizon.start
    return paid_peaks(
        park,
        horizon,
        paid_kw=lambda name, moment: paid_kw if moment == first else 0.0,
        running_kw=lambda name: running_kw,
    )


@pytest.mark.parametrize(
    ("demand", "paid_kw", "found"),
    [
        pytest.param(
            ActualDemand(price_per_kw_month=Decimal(40)),
            70.0,
            [(0, 4, 40.0, 70.0), (4, 6, 40.0, 0.0)],
            id="actual demand, the next month anew",
        ),
        pytest.param(
            CONTRACT,
            70.0,
            [(0, 4, 80.0, 105.0), (4, 6, 80.0, 105.0)],
            id="a contract includes 105 kW each month, the excess is double",
        ),
        pytest.param(
            CONTRACT,
            130.0,
            [(0, 4, 80.0, 130.0), (4, 6, 80.0, 105.0)],
            id="an excess that is paid already",
        ),
        pytest.param(
            CapacityCharge(price_per_kva_month=Decimal(25)), 70.0, [], id="nothing to plan for"
        ),
    ],
)
def test_each_form_of_demand_charge_says_what_a_peak_costs(
    lab: Any, demand: DemandCharge, paid_kw: float, found: list[tuple[int, int, float, float]]
) -> None:
    """Six quarters around the end of November in Stockholm."""
    horizon = Horizon(datetime(2025, 11, 30, 22, tzinfo=UTC), QUARTER, 6)

    told = peaks(charged(lab, demand), horizon, paid_kw=paid_kw)

    assert [(p.first_step, p.last_step, p.price_per_kw, p.paid_kw) for p in told] == found


@pytest.mark.parametrize(
    ("interval", "step", "late", "interval_steps", "elapsed_steps"),
    [
        pytest.param(60, QUARTER, 3, 4, 3, id="three quarters of the hour are over"),
        pytest.param(60, QUARTER, 4, 4, 0, id="an hour begins"),
        pytest.param(30, QUARTER, 1, 2, 1, id="half of the half hour is over"),
        pytest.param(15, QUARTER, 1, 1, 0, id="steps are intervals"),
        pytest.param(15, timedelta(hours=1), 0, 1, 0, id="steps are longer than intervals"),
    ],
)
def test_a_running_interval_is_known(
    lab: Any, interval: int, step: timedelta, late: int, interval_steps: int, elapsed_steps: int
) -> None:
    measuring = Measuring(interval=timedelta(minutes=interval))
    demand = ActualDemand(price_per_kw_month=Decimal(40), measuring=measuring)
    horizon = Horizon(lab.noon + late * QUARTER, step, 4)

    (told,) = peaks(charged(lab, demand), horizon, running_kw=90.0)

    assert (told.interval_steps, told.elapsed_steps) == (interval_steps, elapsed_steps)
    assert told.elapsed_kw == (90.0 if elapsed_steps else 0.0)


@pytest.mark.parametrize(
    ("start", "step"),
    [
        pytest.param(timedelta(minutes=5), QUARTER, id="off the steps of the interval"),
        pytest.param(timedelta(0), timedelta(minutes=20), id="a step that fits no interval"),
    ],
)
def test_steps_that_do_not_fill_intervals_are_refused(
    lab: Any, start: timedelta, step: timedelta
) -> None:
    demand = ActualDemand(price_per_kw_month=Decimal(40), measuring=Measuring(interval=HALF_HOUR))

    with pytest.raises(DataError, match="do not fill measuring intervals"):
        peaks(charged(lab, demand), Horizon(lab.noon + start, step, 4))


def test_a_window_says_which_steps_make_peaks(lab: Any) -> None:
    window = Hours(start=time(12, 30), end=time(13))
    demand = ActualDemand(price_per_kw_month=Decimal(40), measuring=Measuring(windows=(window,)))

    (told,) = peaks(charged(lab, demand), Horizon(lab.noon, QUARTER, 5))

    assert told.counts is not None
    assert told.counts.tolist() == [False, False, True, True, False]
    assert told.highest_kw(np.array([90.0, 90, 40, 50, 90])) == 50


@pytest.mark.parametrize(
    ("import_kw", "highest_kw"),
    [
        pytest.param([50.0, 50, 0, 0, 0], (2 * 90 + 100) / 4, id="the running hour"),
        pytest.param([0.0, 0, 120, 0, 0], 40, id="the next one, cut after three quarters"),
    ],
)
def test_a_course_of_imports_is_measured_as_the_meter_does(
    lab: Any, import_kw: list[float], highest_kw: float
) -> None:
    told = PaidPeak(
        connection_point_id=lab.park().connection_points[0].connection_point_id,
        first_step=0,
        last_step=5,
        price_per_kw=1.0,
        paid_kw=0.0,
        interval_steps=4,
        elapsed_steps=2,
        elapsed_kw=90.0 if import_kw[0] else 0.0,
    )

    assert told.highest_kw(np.array(import_kw)) == pytest.approx(highest_kw)


def test_a_plan_pays_for_what_goes_beyond_its_contract_only(lab: Any) -> None:
    """130 and 90 kW against 105 that are included; a battery holds 10 kWh of the 25."""
    load, battery = lab.load(), lab.battery(max_charge_kw=0.0)
    view = lab.view(
        load,
        battery,
        price=[0.0, 0.0],
        base_kw={"load": [-130.0, -90.0]},
        readings=[lab.reading("bat", soc=0.1)],
    )
    park = charged(lab, CONTRACT, load, battery)
    view = replace(view, park=park, paid_peaks=peaks(park, view.horizon))

    schedule = lab.plan(view, Strategy().terms(view))

    assert schedule.net_kw[0] == pytest.approx(-120)
    assert schedule.cost_by_cause["peak"] == pytest.approx(15 * 80)
