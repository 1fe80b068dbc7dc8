"""Who obeys, who is on the way, and who says yes and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vpp.act.follow import Follower, Patience
from vpp.act.units import Seen, Units
from vpp.errors import DataError
from vpp.model.measurement import RunPhase

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EVERY_S = 10
"""Between two readings of the random steps."""

PATIENCE = Patience(tolerance_kw=10.0, settle_s=5.0)
Builder = Callable[..., Any]


class Bench:
    """One device that is asked for powers, and judged by readings; times in seconds after noon."""

    def __init__(self, resource: Any, park: Builder, state: Builder, reading: Builder) -> None:
        self.resource, self._park = resource, park(resource)
        self._state, self._reading = state, reading
        self.units = Units.of(self._park)
        self.follower = Follower(self.units, PATIENCE)
        self._seq = 0

    def ask(self, second: float, kw: float) -> None:
        at, self._seq = np.array([0]), self._seq + 1
        fresh = np.array([self._seq == 1])
        seq = np.array([self._seq])
        now_s = (NOON + second * SECOND).timestamp()
        self.follower.ask(at, np.array([kw]), seq, now_s, fresh)

    def look(
        self,
        second: float,
        kw: float,
        *,
        taken: int | None = None,
        after_s: float = 0.0,
        **fields: Any,
    ) -> tuple[bool, bool]:
        """Whether it is there, and whether it strays, by a reading that is looked at `after_s` later."""
        at = NOON + second * SECOND
        reading = self._reading(self.resource, kw, measured_at=at, **fields)
        state = self._state(self._park, reading, taken_at=at + after_s * SECOND)
        seen = Seen.of(self.units, state)
        newest = self._seq if taken is None else taken
        look = self.follower.look(seen, np.array([newest]), np.array([self._seq > 0]))
        return bool(look.there.any()), bool(look.stray.any())


@pytest.fixture(scope="session")
def bench(a_park: Builder, a_state: Builder, a_reading: Builder) -> Callable[[Any], Bench]:
    return lambda resource: Bench(resource, a_park, a_state, a_reading)


def slow(resource: Builder) -> Any:
    """2000 kW from end to end at 500 a minute, after a delay of a minute."""
    return resource("bess", ramp_kw_per_min=500.0, response_delay_s=60.0)


def strays_after_s(one: Bench, course: Callable[[float], float], *, until_s: int = 900) -> float:
    """When it is first said to stray; infinite where it never is. A reading every 5 s."""
    for second in range(5, until_s, 5):
        if one.look(second, course(second))[1]:
            return second
    return np.inf


def test_who_takes_a_command_and_does_nothing_is_found_within_two_ramp_times(
    a_resource: Builder, bench: Builder
) -> None:
    """C5: asked for 800 kW, an obedient device is there after 60 s + 96 s."""
    one = bench(slow(a_resource))
    one.look(-5, 0)
    one.ask(0, 800)

    found_s = strays_after_s(one, lambda _: 0.0)

    assert 60 < found_s <= 2 * (60 + 96)


@pytest.mark.parametrize(
    ("course", "strays"),
    [
        pytest.param(lambda s: min(max(s - 60, 0) * 500 / 60, 800), False, id="as its data say"),
        pytest.param(lambda s: min(s * 500, 800), False, id="quicker"),
        pytest.param(lambda s: min(max(s - 60, 0) * 350 / 60, 800), False, id="a little slower"),
        pytest.param(lambda s: min(max(s - 60, 0) * 100 / 60, 800), True, id="far slower"),
        pytest.param(lambda s: min(max(s - 60, 0) * 500 / 60, 600), True, id="stuck on the way"),
        pytest.param(lambda s: min(max(s - 60, 0) * 500 / 60, 795), False, id="within tolerance"),
        pytest.param(lambda s: -min(s * 500 / 60, 800), True, id="the other way"),
        pytest.param(lambda s: 800 if s < 400 else 300, True, id="there, and then gone"),
    ],
)
def test_a_device_is_judged_by_where_it_can_be_on_its_ramp(
    a_resource: Builder, bench: Builder, course: Callable[[float], float], strays: bool
) -> None:
    one = bench(slow(a_resource))
    one.look(-5, 0)
    one.ask(0, 800)

    assert (strays_after_s(one, course) < np.inf) is strays


def test_one_odd_reading_accuses_nobody(a_resource: Builder, bench: Builder) -> None:
    one = bench(a_resource("bess"))
    one.look(-5, 0)
    one.ask(0, 800)
    found = [one.look(s, 0 if s == 60 else 800) for s in range(20, 120, 10)]

    assert found[0] == (True, False)
    assert not any(stray for _, stray in found)
    assert one.look(120, 0) == (False, False)
    assert one.look(130, 0) == (False, True)


def test_who_has_not_taken_the_command_is_the_links_fault(
    a_resource: Builder, bench: Builder
) -> None:
    one = bench(a_resource("bess"))
    one.look(-5, 0)
    one.ask(0, 800)

    assert not any(one.look(s, 0, taken=0)[1] for s in range(10, 600, 10))


def test_a_reading_that_was_seen_before_says_nothing_new(
    a_resource: Builder, bench: Builder
) -> None:
    one = bench(a_resource("bess"))
    one.look(-5, 0)
    one.ask(0, 800)
    one.look(60.123457, 0)

    for after_s in np.arange(0, 40, 0.7):
        assert one.look(60.123457, 0, after_s=float(after_s)) == (False, False)


def test_a_thousand_random_steps_of_slow_devices_exclude_nobody(
    a_resource: Builder, bench: Builder
) -> None:
    """C6: ramps, delays and steps at random, asked anew before it has arrived; noise in every reading."""
    chance = np.random.default_rng(7)
    for _ in range(20):
        ramp_kw_per_min = float(np.exp(chance.uniform(np.log(20), np.log(5000))))
        delay_s = float(chance.choice([0, 1, 20, 60]))
        one = bench(a_resource("bess", ramp_kw_per_min=ramp_kw_per_min, response_delay_s=delay_s))
        power_kw, orders, next_step, steps = 0.0, [(-np.inf, 0.0)], 0.0, 0
        second = -5.0
        while steps < 50:
            if second >= next_step:
                orders.append((second + delay_s, float(chance.uniform(-1000, 1000))))
                one.ask(second, orders[-1][1])
                next_step, steps = second + float(chance.exponential(120)) + 1, steps + 1
            for _ in range(EVERY_S):
                asked_kw = next(kw for due, kw in reversed(orders) if due <= second)
                step_kw = ramp_kw_per_min / 60
                power_kw += min(max(asked_kw - power_kw, -step_kw), step_kw)
                second += 1
            assert not one.look(second, power_kw + float(chance.normal(0, 2)))[1]


def test_a_device_asked_for_another_value_every_few_seconds_is_found_out_too(
    a_resource: Builder, bench: Builder
) -> None:
    one = bench(a_resource("bess"))
    one.look(-5, 0)
    for second in range(0, 300, 4):
        one.ask(second, 500 + 100 * np.sin(second / 20))
        if one.look(second + 2, 0)[1]:
            break

    assert second < 60


@pytest.mark.parametrize(
    ("kind", "asked_kw", "fields", "stray"),
    [
        pytest.param("bess", 500, {"power_kw": 0, "soc": 0.0}, False, id="an empty store"),
        pytest.param("bess", -500, {"power_kw": 0, "soc": 1.0}, False, id="a full store"),
        pytest.param("bess", -500, {"power_kw": 0, "soc": 0.0}, True, id="empty, yet not charging"),
        pytest.param("pv", 500, {"power_kw": 100}, False, id="less sun than the cap"),
        pytest.param("pv", 500, {"power_kw": 600}, True, id="above the cap"),
        pytest.param("cars", -50, {"power_kw": -10}, False, id="cars that want less"),
        pytest.param("cars", -50, {"power_kw": -90}, True, id="cars that take more"),
        pytest.param("shop", -80, {"power_kw": -30}, False, id="a load below its cap by itself"),
        pytest.param("shop", -80, {"power_kw": -100}, True, id="a load above its cap"),
        pytest.param(
            "tank", 40, {"power_kw": 0, "soc": 0.5}, False, id="a heat store gives what lacks"
        ),
        pytest.param("shop", -30, {"power_kw": -20}, False, id="less than it may by itself"),
        pytest.param("shop", -30, {"power_kw": -50}, False, id="as low as it can be turned"),
        pytest.param("shop", -30, {"power_kw": -80}, True, id="not turned down"),
        pytest.param("oven", -100, {"phase": RunPhase.RUNNING}, False, id="started"),
        pytest.param("oven", -100, {"phase": RunPhase.WAITING}, True, id="did not start"),
        pytest.param("oven", 0, {"power_kw": -100}, True, id="did not hold"),
        pytest.param("saw", 0, {"power_kw": -100}, True, id="was called and runs"),
    ],
)
def test_obeying_means_what_the_kind_can_do(
    a_resource: Builder,
    bench: Builder,
    kind: str,
    asked_kw: float,
    fields: dict[str, Any],
    stray: bool,
) -> None:
    told = {"kw": 0.0} | {("kw" if k == "power_kw" else k): v for k, v in fields.items()}
    one = bench(a_resource(kind))
    one.look(-5, asked_kw)
    one.ask(0, asked_kw)
    for second in (6, 12, 18, 24):
        there, found = one.look(second, **told)

    assert (there, found) == (not stray, stray)


def test_patience_is_checked() -> None:
    with pytest.raises(DataError):
        Patience(slower=0.5)
    with pytest.raises(DataError):
        Patience(strikes=0)
    with pytest.raises(DataError):
        Patience(settle_s=np.inf)
