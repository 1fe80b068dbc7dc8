"""The bill of a score: what it charges for what a park did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.simulate.conftest import Tiny
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import ParkState
from vpp.model.resource import CurtailableLoad, Generator
from vpp.model.time import QUARTER, Interval
from vpp.service.backtest.score import Actual, bill
from vpp.simulate.trajectory import Trajectory

PRESS, SUN = ResourceId("press"), ResourceId("sun")
GATE = ConnectionPointId("gate-1")
OWNER: dict[str, Any] = {"enterprise_id": EnterpriseId("acme"), "connection_point_id": GATE}


@pytest.mark.parametrize(
    ("press_kw", "sun_kw", "curtailment"),
    [
        (-100.0, 20.0, 0.0),
        (-40.0, 20.0, 24 * 60 * 0.5),
        (-100.0, 0.0, 24 * 20 * 0.25),
        (-130.0, 20.0, 0.0),  # who draws more has turned nothing down
    ],
)
def test_what_was_turned_down_costs_what_its_owner_asks_for_as_in_the_plan(
    press_kw: float, sun_kw: float, curtailment: float
) -> None:
    tiny = Tiny(
        resources=[
            CurtailableLoad(
                resource_id=PRESS,
                max_draw_kw=200,
                curtailable_share=0.6,
                curtailment_cost_per_kwh=0.5,
                **OWNER,
            ),
            Generator(
                resource_id=SUN,
                max_feed_kw=50,
                weather_driven=True,
                curtailment_cost_per_kwh=0.25,
                **OWNER,
            ),
        ],
        level_kw={PRESS: -100.0, SUN: 20.0},
    )
    start = tiny.start + timedelta(days=1)
    horizon = Horizon(start, QUARTER, 96)
    price = Profile.constant(horizon, 50.0)
    actual = Actual(
        span=Interval(start, horizon.end),
        opening=ParkState(taken_at=start, resources=()),
        opening_peaks_kw={GATE: 0.0},
        scenario=tiny.scenario,
        day_ahead_per_mwh=price,
        quarter_hour_per_mwh=price,
    )
    course = Trajectory(
        horizon=horizon,
        resource_ids=(PRESS, SUN),
        power_kw=np.array([[press_kw] * 96, [sun_kw] * 96]),
        opening_stored_kwh={},
        opening_degc={},
        stored_kwh={},
        temperature_degc={},
        throughput_kwh={},
        discomfort_degc_h={},
        called_kwh={},
        lacked_kwh={},
        spilled_kwh={},
        import_wh={GATE: np.zeros(96, np.int64)},
        export_wh={GATE: np.zeros(96, np.int64)},
        departures=(),
    )
    charged = bill(tiny.park, actual, course, market_cost=0.0, lacked_per_kwh=1.0)
    assert charged.curtailment == pytest.approx(curtailment)
    assert charged.total == pytest.approx(curtailment)
