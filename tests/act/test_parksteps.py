"""A park's resources as arrays of what they can do in steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from vpp.act.parksteps import steps_of
from vpp.act.rules import Room, Rule
from vpp.act.steps import Standing, hand_out_steps
from vpp.act.units import Units
from vpp.errors import DataError
from vpp.model.park import Limits, Park
from vpp.model.resource import OnOffRules, Resource

Make = Callable[..., Resource]


def test_each_kind_brings_the_steps_it_knows(a_resource: Make, a_park: Callable[..., Park]) -> None:
    rules = OnOffRules(min_power_kw=40, min_up=timedelta(minutes=10), min_down=timedelta(minutes=5))
    park = a_park(
        a_resource("bess", ramp_kw_per_min=600.0),
        a_resource("mixer", "banded", bands_kw=(50.0, 100.0)),
        a_resource("mixer", "machine", on_off=rules),
        a_resource("saw", notice=timedelta(minutes=15)),
        a_resource("oven"),
        a_resource("shop", notice=timedelta(minutes=30)),
    )
    steps = steps_of(park, Units.of(park), dead_kw=2.0)
    assert {int(row): list(steps.level_kw[:, at]) for at, row in enumerate(steps.level_rows)} == {
        1: [-100, -50, 0],
        3: [-100, 0, np.inf],
    }
    assert list(steps.least_kw) == [0, 50, 40, 100, 0, 0]
    assert list(steps.dead_kw) == [2, 2, 2, 0, 0, 0]
    assert (list(steps.least_on_s), list(steps.least_off_s)) == (
        [0, 0, 600, 0, 0, 0],
        [0, 0, 300, 0, 0, 0],
    )
    assert list(steps.notice_s) == [0, 0, 0, 900, 0, 1800]
    assert steps.ramp_kw_per_s[0] == 10
    assert list(steps.once) == [False] * 4 + [True, False]


def test_a_dead_band_that_is_no_size_is_refused(
    a_resource: Make, a_park: Callable[..., Park]
) -> None:
    park = a_park(a_resource("bess"))
    with pytest.raises(DataError, match="dead_kw"):
        steps_of(park, Units.of(park), dead_kw=float("nan"))


def test_steps_and_a_full_feeder_are_kept_together(
    a_resource: Make, a_park: Callable[..., Park]
) -> None:
    """A heater of 0 or 100 kW and a battery behind 80 kW of import: the battery feeds 20 while it runs."""
    park = a_park(
        a_resource("mixer", bands_kw=(100.0,)),
        a_resource("bess"),
        a_resource("bess", "other", "elsewhere"),
        points={"cp": Limits(import_kw=80)},
    )
    units = Units.of(park)
    room = Room(
        base_kw=np.zeros(3),
        low_kw=np.array([-100.0, -1000.0, -100.0]),
        high_kw=np.array([0.0, 1000.0, 100.0]),
        cost_up_per_kwh=np.zeros(3),
        cost_down_per_kwh=np.array([0.0, 0.1, 0.2]),
        stored_kwh=np.full(3, np.nan),
        capacity_kwh=np.full(3, np.nan),
    )
    nobody = np.full(3, np.nan)
    found = hand_out_steps(
        Rule.MERIT_ORDER,
        room,
        -150,
        None,
        steps=steps_of(park, units, dead_kw=0.0),
        standing=Standing(
            power_kw=np.array([-100.0, 0.0, 0.0]),
            since_s=np.full(3, np.inf),
            told_kw=nobody,
            told_s=nobody,
            closes_s=np.full(3, np.inf),
        ),
        period_s=60,
        tree=units.tree,
    )
    assert list(found.power_kw.round(6)) == [-100, 20, -70]
    assert found.left_kw == pytest.approx(0, abs=1e-6)
