"""The demo park owes energy each quarter-hour, and a battery that feeds dies in the middle of one.

A night in lockstep, a control cycle each minute; the whole day, with devices failing at random, is a benchmark
(`benchmarks/_field_tracking.py`).
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks._fieldtrack import Tracked, track
from vpp.model.ids import ResourceId
from vpp.simulate.devicefaults import Fault, FaultPlan, PowerLoss

MINUTE = timedelta(minutes=1)
LEAD = timedelta(hours=2)
DIES = timedelta(hours=2, minutes=52)
DEAD = timedelta(minutes=30)
BEFORE, DYING, GONE, BACK = 10, 11, 12, 13
"""Quarter-hours: a battery feeds, dies seven minutes into 02:45, is gone for all of 03:00, and back in 03:15."""


def night(*faults: Fault) -> Tracked:
    return track(
        length=timedelta(hours=3, minutes=30),
        failing_share=0.0,
        seed=1,
        plans_every=timedelta(hours=3),
        lead=LEAD,
        learn=False,
        faults=FaultPlan(faults=faults),
    )


@pytest.fixture(scope="module")
def dead_battery() -> ResourceId:
    """The one that feeds most when it is to die: plans that cost the same let this one feed or that one."""
    stores_kw = night().stores_kw
    return max(stores_kw, key=lambda name: stores_kw[name][DYING])


@pytest.fixture(scope="module")
def lived(dead_battery: ResourceId) -> Tracked:
    return night(
        Fault(
            whats=(PowerLoss(),),
            devices=frozenset({dead_battery}),
            begins_after=LEAD + MINUTE + DIES,
            ends_after=LEAD + MINUTE + DIES + DEAD,
        )
    )


def test_every_quarter_hour_is_met_to_two_percent(lived: Tracked) -> None:
    assert all(quarter.owed_kwh for quarter in lived.quarters)
    assert lived.met_share == 1.0
    assert len(lived.judged) == len(lived.quarters) == 14


def test_the_quarter_hour_in_which_a_battery_dies_is_met_by_the_others(
    lived: Tracked, dead_battery: ResourceId
) -> None:
    failing = [dead_battery in lived.quarters[at].failing for at in (BEFORE, DYING, GONE, BACK)]
    assert failing == [False, True, True, True]
    dead_kw = lived.stores_kw[dead_battery]
    assert dead_kw[DYING] > 100
    assert dead_kw[GONE] == 0.0
    for at in (DYING, GONE, BACK):
        quarter = lived.quarters[at]
        assert abs(quarter.error_kwh) <= 0.01 * abs(quarter.owed_kwh)
    others_kw = sum(kw[GONE] for name, kw in lived.stores_kw.items() if name != dead_battery)
    assert others_kw > 1000, "and the others feed in its place"
