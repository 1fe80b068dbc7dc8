"""Quarter-hour means: from the register where there is one, and only where enough is covered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import Quality, Reading
from vpp.model.time import QUARTER, Interval
from vpp.sense.means import IntervalMeans

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
FIRST = Interval(NOON, NOON + QUARTER)
LOAD = ResourceId("load-1")


def some_means() -> IntervalMeans:
    return IntervalMeans({LOAD: (-200.0, 200.0)})


def a_reading(minute: float, power_kw: float, **changes: Any) -> Reading:
    return Reading(
        **{
            "resource_id": LOAD,
            "enterprise_id": EnterpriseId("steel"),
            "measured_at": NOON + timedelta(minutes=minute),
            "received_at": NOON + timedelta(minutes=minute),
            "seq": 1,
            "quality": Quality.GOOD,
            "power_kw": power_kw,
            **changes,
        }
    )


def test_powers_are_weighted_with_the_time_they_hold() -> None:
    means = some_means()
    for minute, power_kw in [(0, -10.0), (5, -40.0), (10, -10.0)]:
        means.add(a_reading(minute, power_kw))

    mean = means.close(FIRST)[LOAD]

    assert mean.power_kw == pytest.approx(-20)
    assert (mean.from_register, mean.coverage, mean.available_kw) == (False, 1.0, None)


def test_the_register_is_right_where_sampled_powers_are_not() -> None:
    means = some_means()
    for minute in range(16):
        # Each sample falls on a lull: the powers say 0, the register 100 kW.
        means.add(a_reading(minute, 0.0, energy_kwh=500 - minute * 100 / 60, available_kw=7.0))

    mean = means.close(FIRST)[LOAD]

    assert mean.power_kw == pytest.approx(-100)
    assert mean.from_register
    assert mean.available_kw == pytest.approx(7)


def test_a_register_between_the_boundaries_is_read_at_them_by_interpolation() -> None:
    means = some_means()
    for minute in range(-1, 18, 2):
        means.add(a_reading(minute, -60.0, energy_kwh=-float(minute)))

    mean = means.close(FIRST)[LOAD]

    assert mean.power_kw == pytest.approx(-60)
    assert mean.coverage == 1


def test_a_register_that_leaps_is_not_believed() -> None:
    means = some_means()
    for minute in range(16):
        reset = 5000 if minute < 7 else 0
        means.add(a_reading(minute, -60.0, energy_kwh=reset - minute))

    mean = means.close(FIRST)[LOAD]

    assert mean.power_kw == pytest.approx(-60)
    assert not mean.from_register


@pytest.mark.parametrize(
    ("minutes", "there"),
    [
        pytest.param(range(15), True, id="every minute"),
        pytest.param(range(3, 15), True, id="80 % are covered"),
        pytest.param(range(4, 15), False, id="11 of 15 minutes"),
        pytest.param([*range(5), 12, 13, 14], True, id="a hole that held values bridge"),
        pytest.param([0, 14], False, id="a hole too long for any value to hold"),
        pytest.param([-3], False, id="one reading from before"),
        pytest.param([], False, id="silence"),
    ],
)
def test_too_little_coverage_gives_no_mean(minutes: list[int], there: bool) -> None:
    means = some_means()
    for minute in minutes:
        means.add(a_reading(minute, -10.0))

    assert (LOAD in means.close(FIRST)) is there


def test_values_the_device_calls_bad_count_as_silence() -> None:
    means = some_means()
    for minute in range(15):
        means.add(a_reading(minute, -10.0, quality=Quality.BAD))

    assert means.close(FIRST) == {}


def test_late_readings_mend_an_interval_that_is_closed_again() -> None:
    means = some_means()
    for minute in (0, 1, 14):
        means.add(a_reading(minute, -10.0))
    assert means.close(FIRST) == {}

    for minute in (7, 4, 11, 9, 2):
        means.add(a_reading(minute, -10.0))

    assert means.close(FIRST)[LOAD].power_kw == pytest.approx(-10)


def test_old_readings_are_dropped() -> None:
    means = some_means()
    means.add(a_reading(0, -10.0))
    later = Interval(NOON + timedelta(hours=3), NOON + timedelta(hours=3) + QUARTER)
    means.close(later)
    for minute in range(5, 15):
        means.add(a_reading(minute, -10.0))

    assert means.close(FIRST) == {}, "the first five minutes are gone"


def test_many_are_closed_as_each_would_be_alone() -> None:
    """Late, twice, with resets and gaps: twenty at once, and each in a log of its own."""
    rng = np.random.default_rng(7)
    names = [ResourceId(f"load-{n}") for n in range(20)]
    plausible = dict.fromkeys(names, (-200.0, 200.0))
    together, alone = IntervalMeans(plausible), {name: IntervalMeans(plausible) for name in names}
    for name, second in zip(rng.choice(names, 2000), rng.integers(-240, 1200, 2000), strict=True):
        register = 100.0 + second / 60 + (500.0 if rng.random() < 0.002 else 0.0)
        reading = a_reading(
            second / 60,
            float(rng.normal(0, 50)),
            resource_id=ResourceId(str(name)),
            energy_kwh=None if rng.random() < 0.2 else register,
            available_kw=float(rng.uniform(0, 80)) if name < "load-2" else None,
        )
        together.add(reading)
        alone[reading.resource_id].add(reading)
    expected: dict[ResourceId, Any] = {}
    for one in alone.values():
        expected |= one.close(FIRST)

    found = together.close(FIRST)

    assert found == expected
    assert {mean.from_register for mean in found.values()} == {True, False}
    assert {mean.available_kw is None for mean in found.values()} == {True, False}
