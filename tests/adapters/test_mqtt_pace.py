"""A thousand clients at a broker that welcomes and throws out (B2): no clock but that of the test."""

from __future__ import annotations

import heapq
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from adapters.mqtt_pace import LinkTiming, Pace


def attempts_of(client: int, until_s: float, lives_s: float) -> list[float]:
    """When one client knocks, where each connection is accepted and lasts for `lives_s`."""
    pace, now, attempts = Pace(LinkTiming(), Random(client)), 0.0, []
    while now < until_s:
        attempts.append(now)
        pace.attempt(now)
        ended = now + lives_s
        now = ended + pace.wait_s(now, ended)
    return attempts


def most_in_a_minute(attempts: list[float]) -> int:
    window: list[float] = []
    most = 0
    for at in attempts:
        heapq.heappush(window, at)
        while window[0] <= at - 60:
            heapq.heappop(window)
        most = max(most, len(window))
    return most


def test_a_thousand_clients_that_are_thrown_out_knock_at_most_twelve_times_a_minute_each() -> None:
    attempts = [attempts_of(client, 600.0, lives_s=0.05) for client in range(1000)]

    assert max(most_in_a_minute(one) for one in attempts) <= 12
    # Spread out: in no second of the tenth minute do more than a tenth of them come together.
    late = [int(at) for one in attempts for at in one if at >= 540]
    assert max(late.count(second) for second in range(540, 600)) <= 100


def test_waits_begin_anew_only_after_a_connection_that_lasted() -> None:
    pace = Pace(LinkTiming(attempts_a_minute=1000), AlwaysLongest())
    lasted = [0.1, 0.1, 9.9, 0.1, 0.1, 0.1, 10.0, 0.1]
    now, waits = 0.0, []
    for length in lasted:
        pace.attempt(now)
        waits.append(pace.wait_s(now, now + length))
        now += length + waits[-1]

    assert waits == [0.5, 1, 2, 4, 8, 16, 0.5, 1]


class AlwaysLongest(Random):
    """Jitter at its upper end, so that waits can be said by hand."""

    def uniform(self, a: float, b: float) -> float:
        return b


@given(seed=st.integers(), lives=st.lists(st.floats(0, 30), min_size=1, max_size=100))
def test_whatever_becomes_of_connections_twelve_a_minute_are_the_most(
    seed: int, lives: list[float]
) -> None:
    pace, now, attempts = Pace(LinkTiming(), Random(seed)), 0.0, []
    for length in lives:
        attempts.append(now)
        pace.attempt(now)
        now += length
        now += pace.wait_s(attempts[-1], now)

    assert all(b - a >= 60 - 1e-6 for a, b in zip(attempts, attempts[12:], strict=False))
