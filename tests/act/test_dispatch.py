from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.dispatch import Dispatcher
from vpp.errors import DataError
from vpp.model.ids import ResourceId

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BESS, OVEN = ResourceId("bess"), ResourceId("oven")


@pytest.fixture
def dispatcher(a_dispatcher: Callable[..., Dispatcher]) -> Dispatcher:
    return a_dispatcher()


@pytest.fixture(scope="session")
def a_dispatcher(
    a_park: Callable[..., Any], a_resource: Callable[..., Any]
) -> Callable[..., Dispatcher]:
    def build(first_seq: int = 1000, ttl: timedelta = 5 * MINUTE) -> Dispatcher:
        return Dispatcher(
            a_park(*(a_resource(kind) for kind in ("bess", "oven", "shop", "boiler"))),
            first_seq=first_seq,
            ttl=ttl,
            control_period=MINUTE,
            deadband_kw=5.0,
        )

    return build


def sent(dispatcher: Dispatcher, minute: float, **power_kw: float) -> list[tuple[str, float]]:
    wanted = {ResourceId(name): kw for name, kw in power_kw.items()}
    return [
        (point.command_id, point.power_kw)
        for point in dispatcher.commands(wanted, NOON + minute * MINUTE, serves="plan-1")
    ]


def test_a_value_is_sent_when_it_moves_and_refreshed_before_it_ends(dispatcher: Dispatcher) -> None:
    assert sent(dispatcher, 0, bess=100) == [("bess-1000", 100)]
    assert sent(dispatcher, 1, bess=104) == []
    assert sent(dispatcher, 2, bess=106) == [("bess-1001", 106)]
    assert sent(dispatcher, 3, bess=106) == []
    assert sent(dispatcher, 4, bess=106) == []
    assert sent(dispatcher, 5, bess=107) == [("bess-1002", 107)]  # two periods are left
    assert dispatcher.latest() == {BESS: 1002}


def test_every_command_ends(dispatcher: Dispatcher) -> None:
    (point,) = dispatcher.commands({BESS: 100.0}, NOON, serves="plan-1")
    assert point.expires_at == NOON + 5 * MINUTE
    assert (point.serves, point.enterprise_id) == ("plan-1", "mill")


def test_who_is_wanted_no_longer_is_left_to_expire(dispatcher: Dispatcher) -> None:
    sent(dispatcher, 0, bess=100, oven=0)
    assert sent(dispatcher, 4, oven=0) == [("oven-1001", 0)]
    assert [f.setpoint.resource_id for f in dispatcher.in_force(NOON + 5 * MINUTE)] == [OVEN]
    assert sent(dispatcher, 9, bess=100) == [("bess-1001", 100)]


def test_a_command_that_never_left_is_sent_anew_under_a_new_number(dispatcher: Dispatcher) -> None:
    unsent = dispatcher.commands({BESS: 100.0}, NOON, serves="plan-1")

    dispatcher.forget(unsent)

    assert sent(dispatcher, 1, bess=100) == [("bess-1001", 100)]


def test_forgetting_an_old_command_leaves_its_successor_in_force(dispatcher: Dispatcher) -> None:
    old = dispatcher.commands({BESS: 100.0}, NOON, serves="plan-1")
    sent(dispatcher, 1, bess=200)

    dispatcher.forget(old)

    assert sent(dispatcher, 2, bess=200) == []


def test_hold_and_start_are_words_that_no_deadband_swallows(dispatcher: Dispatcher) -> None:
    sent(dispatcher, 0, oven=0)
    assert sent(dispatcher, 1, oven=-0.5) == [("oven-1001", -0.5)]


@pytest.mark.parametrize(
    ("kind", "powers_kw", "sent_kw"),
    [
        pytest.param("boiler", (0, -3, -4, 0), [0, -3, 0], id="a small machine starts and stops"),
        pytest.param("shop", (-97, -100), [-97, -100], id="the end of a call"),
        pytest.param("bess", (0, -3), [0], id="a store trickles"),
    ],
)
def test_start_stop_and_the_end_of_a_call_are_words_too(
    dispatcher: Dispatcher, kind: str, powers_kw: tuple[float, ...], sent_kw: list[float]
) -> None:
    every = [sent(dispatcher, minute / 4, **{kind: kw}) for minute, kw in enumerate(powers_kw)]

    assert [kw for some in every for _, kw in some] == sent_kw


def test_a_refresh_keeps_since_when_the_value_is_asked_for(dispatcher: Dispatcher) -> None:
    sent(dispatcher, 0, bess=100)
    sent(dispatcher, 3, bess=101)
    (force,) = dispatcher.in_force(NOON + 3 * MINUTE)
    assert (force.since, force.since_seq, force.setpoint.seq) == (NOON, 1000, 1001)
    sent(dispatcher, 4, bess=-50)
    (force,) = dispatcher.in_force(NOON + 4 * MINUTE)
    assert (force.since, force.since_seq) == (NOON + 4 * MINUTE, 1002)


def test_a_life_too_short_to_refresh_is_refused(a_dispatcher: Callable[..., Dispatcher]) -> None:
    with pytest.raises(DataError, match="two control periods"):
        a_dispatcher(ttl=2 * MINUTE)


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=60))
def test_while_wanted_a_command_is_always_in_force_and_numbers_rise(
    a_dispatcher: Callable[..., Dispatcher], wishes: list[float]
) -> None:
    dispatcher, numbers = a_dispatcher(first_seq=7), [6]
    for minute, kw in enumerate(wishes):
        now = NOON + minute * MINUTE
        numbers += [p.seq for p in dispatcher.commands({BESS: kw}, now, serves="plan-1")]
        (force,) = dispatcher.in_force(now)
        assert force.setpoint.expires_at > now + MINUTE
        assert abs(force.setpoint.power_kw - kw) <= 5
    assert numbers == list(range(6, 6 + len(numbers)))
