from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.act.dispatch import Dispatcher
from vpp.act.track import not_following
from vpp.model.measurement import RunPhase
from vpp.model.time import QUARTER

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Builder = Callable[..., Any]


@pytest.fixture(scope="session")
def strays(a_park: Builder, a_state: Builder) -> Callable[..., tuple[str, ...]]:
    """Command `asked_kw` at noon and judge by a reading taken later."""

    def run(resource: Any, asked_kw: float, reading: Any, *, after: timedelta) -> tuple[str, ...]:
        park = a_park(resource)
        dispatcher = Dispatcher(
            park, first_seq=5, ttl=QUARTER, control_period=MINUTE, deadband_kw=1.0
        )
        dispatcher.commands({resource.resource_id: asked_kw}, NOON, serves="plan-1")
        state = a_state(park, *([] if reading is None else [reading]))
        now = NOON + after
        return not_following(dispatcher.in_force(now), state, park, now, tolerance_kw=10.0)

    return run


@pytest.mark.parametrize(
    ("minute", "power_kw", "seq", "stray"),
    [
        pytest.param(5, 0, 5, True, id="acknowledged, not obeyed (C5)"),
        pytest.param(4, 0, 5, False, id="still on its ramp (C6)"),
        pytest.param(5, 795, 5, False, id="within tolerance"),
        pytest.param(5, 0, 4, False, id="not acknowledged: the link's fault"),
        pytest.param(5, 0, None, False, id="says nothing about commands"),
    ],
)
def test_who_acknowledges_and_does_nothing_is_named(
    a_resource: Builder,
    a_reading: Builder,
    strays: Builder,
    minute: int,
    power_kw: float,
    seq: int | None,
    stray: bool,
) -> None:
    # 2000 kW from end to end at 500 a minute, after a delay of a minute
    bess = a_resource("bess", ramp_kw_per_min=500.0, response_delay_s=60.0)
    after = minute * MINUTE
    reading = a_reading(bess, power_kw, setpoint_seq=seq, measured_at=NOON + after)
    assert strays(bess, 800, reading, after=after) == (("bess",) if stray else ())


def test_a_slow_device_on_its_ramp_is_never_named(
    a_resource: Builder, a_reading: Builder, strays: Builder
) -> None:
    bess = a_resource("bess", ramp_kw_per_min=2.0)
    for second in range(0, 890, 10):
        after = timedelta(seconds=second)
        reading = a_reading(bess, second / 30, setpoint_seq=5, measured_at=NOON + after)
        assert strays(bess, 800, reading, after=after) == ()


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
    a_reading: Builder,
    strays: Builder,
    kind: str,
    asked_kw: float,
    fields: dict[str, Any],
    stray: bool,
) -> None:
    resource = a_resource(kind)
    reading = a_reading(resource, setpoint_seq=5, measured_at=NOON + MINUTE, **fields)
    assert strays(resource, asked_kw, reading, after=MINUTE) == ((kind,) if stray else ())


def test_the_unknown_are_not_judged(a_resource: Builder, strays: Builder) -> None:
    assert strays(a_resource("bess"), 500, None, after=MINUTE) == ()
