"""How the link comes back: how long it waits, and that a false welcome does not make it hasty."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from adapters.mqtt_pace import LinkTiming
from tests.patience import PATIENCE_S

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_a_wait_is_below_a_bound_that_doubles_up_to_thirty_seconds(
    failures: int, seed: int
) -> None:
    wait_s = LinkTiming().delay_s(failures, Random(seed))

    assert 0 <= wait_s <= min(30.0, 0.5 * 2.0 ** min(failures - 1, 20))


def test_waits_are_spread_over_the_whole_span_below_the_bound() -> None:
    jitter = Random(1)
    waits_s = [LinkTiming().delay_s(20, jitter) for _ in range(1000)]

    assert min(waits_s) < 1
    assert max(waits_s) > 29


class AlwaysLongest(Random):
    """Jitter at its upper end, so that waits can be summed by hand."""

    def uniform(self, a: float, b: float) -> float:
        return b


def a_link(port: int, timing: LinkTiming) -> MqttLink:
    return MqttLink(
        BrokerAddress(host="127.0.0.1", port=port),
        {},
        client_id="service",
        now=lambda: NOON,
        jitter=AlwaysLongest(),
        timing=timing,
    )


def test_a_broker_that_welcomes_and_throws_out_is_approached_ever_more_slowly() -> None:
    async def check() -> None:
        loop, enough = asyncio.get_running_loop(), asyncio.Event()
        arrivals: list[float] = []

        async def welcome_and_throw_out(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if b"-beside" not in await reader.read(1024):  # CONNECT
                arrivals.append(loop.time())
            writer.write(b"\x20\x02\x00\x00")  # CONNACK, accepted
            await reader.read(1024)  # SUBSCRIBE, packet 1
            writer.write(b"\x90\x05\x00\x01\x01\x01\x01")  # SUBACK, QoS 1 three times
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            if len(arrivals) == 5:
                enough.set()

        async with await asyncio.start_server(welcome_and_throw_out, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            timing = LinkTiming(first_delay_s=0.02, longest_delay_s=10, stable_after_s=60)
            async with asyncio.timeout(PATIENCE_S), a_link(port, timing) as link:
                await enough.wait()
                assert link.reconnects >= 3

        gaps_s = [late - early for early, late in pairwise(arrivals)]
        for gap_s, least_s in zip(gaps_s, (0.02, 0.04, 0.08, 0.16), strict=False):
            assert gap_s >= least_s

    asyncio.run(check())


def test_a_broker_that_never_answers_is_a_fault_with_a_name_and_leaves_no_socket() -> None:
    async def check() -> None:
        given_up = asyncio.Event()

        async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1024):
                pass
            writer.close()
            await writer.wait_closed()
            given_up.set()

        async with await asyncio.start_server(stay_silent, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            timing = LinkTiming(connect_timeout_s=0.05, first_delay_s=60, keepalive_s=1)
            async with asyncio.timeout(PATIENCE_S), a_link(port, timing) as link:
                await given_up.wait()
                assert (link.connected, link.fault) == (False, "Operation timed out")

    asyncio.run(check())
