"""Devices behind a gateway: polled at their pace, commanded whole or not at all, let go when nobody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from random import Random
from statistics import mean, median
from typing import TypeVar

import msgspec
import pytest
from pymodbus.constants import ExcCodes

from adapters.modbus_device import FAILURES, ModbusDevice
from adapters.modbus_tcp import GatewayTiming, ModbusLink
from adapters.modbus_wire import GatewayAddress
from tests.adapters.slaves import slaves
from tests.chaos.proxy import CLEAN, Proxy, Toxic
from tests.patience import PATIENCE_S
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.registers import Kind, Register, RegisterMap, What, Write
from vpp.wire import AckMessage, TelemetryMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
QUICK = GatewayTiming(
    timeout_s=0.2, connect_timeout_s=1.0, first_delay_s=0.002, longest_delay_s=0.02
)
MODE, ENABLE, POWER, REVERT = 10, 11, 12, 14

PLAIN = RegisterMap(
    map_id="plain",
    name="A battery",
    points={
        "power_kw": Register(at=0, kind=Kind.INT32, scale=0.001, unknown=frozenset({0x8000_0000})),
        "soc": Register(at=2, scale=0.01, unknown=frozenset({0xFFFF})),
    },
    writes=(
        Write(register=Register(at=MODE), what=What.FIXED, value=2),
        Write(register=Register(at=POWER, kind=Kind.INT32, scale=0.001), what=What.POWER),
        Write(register=Register(at=ENABLE), what=What.ENABLE, value=1, released=0),
    ),
)
TIMED = replace(
    PLAIN,
    writes=(
        *PLAIN.writes[:2],
        Write(register=Register(at=REVERT, scale=0.001), what=What.REVERT, tolerance=1.0),
        PLAIN.writes[2],
    ),
    revert_s=0.6,
)
"""Its timer counts milliseconds, so that no test has to wait for it."""

IDLE = dict.fromkeys(range(16), 0) | {1: 5000, 2: 50}
"""Feeds 5 kW, half full, not enabled."""

T = TypeVar("T", AckMessage, TelemetryMessage)


class Time:
    """The wall's time as a test moves it; what is only waited for runs by the loop's clock."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_device(
    unit: int = 1,
    the_map: RegisterMap = PLAIN,
    *,
    read_only: bool = False,
    poll_s: float = 0.02,
    write_s: float = 0.0,
) -> ModbusDevice:
    return ModbusDevice(
        device_id=ResourceId(f"bess-{unit}"),
        enterprise_id="steel",
        site_id="mill",
        unit=unit,
        map=the_map,
        poll_s=poll_s,
        read_only=read_only,
        write_s=write_s,
    )


def a_setpoint(
    power_kw: float, *, seq: int = 7, unit: int = 1, now: datetime = NOON, life_s: float = 900
) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=ResourceId(f"bess-{unit}"),
        enterprise_id=EnterpriseId("steel"),
        issued_at=now,
        expires_at=now + timedelta(seconds=life_s),
        power_kw=power_kw,
        serves="plan-1",
    )


class Told:
    """What a link tells, by kind."""

    def __init__(self, link: ModbusLink) -> None:
        self._messages = link.messages()

    async def next(
        self, kind: type[T], fits: Callable[[T], bool] = lambda _: True, unit: int = 1
    ) -> T:
        """The next message of one device, of a kind, that fits."""
        leaf = "ack" if kind is AckMessage else "telemetry"
        async for message in self._messages:
            if message.topic == f"vpp/v1/steel/mill/bess-{unit}/{leaf}":
                found = msgspec.json.decode(message.payload, type=kind)
                if fits(found):
                    return found
        raise AssertionError("the link has ended")


@asynccontextmanager
async def a_link(
    port: int,
    devices: Iterable[ModbusDevice],
    *,
    timing: GatewayTiming = QUICK,
    now: Callable[[], datetime] | None = None,
) -> AsyncIterator[tuple[ModbusLink, Told]]:
    address = GatewayAddress(host="127.0.0.1", port=port)
    link = ModbusLink(address, devices, now=now or Time(), jitter=Random(1), timing=timing)
    async with link:
        yield link, Told(link)


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def commanded(link: ModbusLink, told: Told, setpoint: Setpoint) -> AckMessage:
    """Send a command to a device that was read before, and take its answer."""
    await told.next(TelemetryMessage)
    assert await link.send([setpoint]) == ()
    return await told.next(AckMessage)


# ---------------------------------------------------------------- in


def test_a_device_tells_our_telemetry_and_leaves_out_what_it_does_not_know() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            first = await told.next(TelemetryMessage)
            assert first == TelemetryMessage(
                ts="2025-12-03T12:00:00Z", seq=1, power_kw=5.0, soc=0.5
            )
            assert (link.connected, link.fault, link.reconnects) == (True, None, 0)
            there.set(1, 2, 0xFFFF)
            assert (await told.next(TelemetryMessage, lambda t: t.soc is None)).power_kw == 5.0

    run(check())


def test_a_device_without_a_power_says_nothing_and_is_shown_as_faulty() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            await told.next(TelemetryMessage)
            there.set(1, 0, 0x8000, 0)
            await until(lambda: link.fault is not None)
            assert link.fault == "bess-1: tells no power"
            assert link.connected
            there.set(1, 0, 0, 1000)
            assert (await told.next(TelemetryMessage, lambda t: t.power_kw == 1.0)).soc == 0.5
            assert link.fault is None

    run(check())


def test_a_dead_slave_is_asked_once_a_minute_and_the_others_keep_their_pace() -> None:
    """Row C2: 8 devices behind one gateway, one dead; the others are polled as before, within 10 %."""
    timing = replace(QUICK, timeout_s=0.1)

    async def check() -> None:
        async with slaves(dict.fromkeys(range(1, 9), IDLE)) as there:
            there.silent.add(8)
            devices = [a_device(unit, poll_s=PERIOD_S, read_only=True) for unit in range(1, 9)]
            async with a_link(there.port, devices, timing=timing) as (link, told):
                await until(lambda: there.asked(8) == FAILURES)
                began = {unit: there.asked(unit) for unit in range(1, 9)}
                assert await keeps_pace(told)
                polled = [there.asked(unit) - began[unit] for unit in range(1, 8)]
                assert max(polled) - min(polled) <= 1
                assert there.asked(8) == FAILURES, "the next question comes a minute later"
                assert "bess-8: unit 8 did not answer within 0.1 s" in (link.fault or "")

    run(check())


def test_a_device_that_is_dead_is_told_so_and_heard_again_when_it_is_asked() -> None:
    async def check() -> None:
        timing = replace(QUICK, timeout_s=0.02, dead_poll_s=0.1)
        async with (
            slaves({1: IDLE, 2: IDLE}) as there,
            a_link(there.port, [a_device(1), a_device(2)], timing=timing) as (link, told),
        ):
            await told.next(TelemetryMessage, unit=2)
            there.silent.add(2)
            await until(lambda: "unit 2 did not answer" in (link.fault or ""))
            while "did not answer" not in (await unsent(link, a_setpoint(1.0, unit=2))):
                await told.next(TelemetryMessage)
            there.silent.remove(2)
            await told.next(TelemetryMessage, unit=2)
            assert await link.send([a_setpoint(1.0, unit=2)]) == ()

    run(check())


async def unsent(link: ModbusLink, setpoint: Setpoint) -> str:
    """Why a command cannot leave now; empty where it can."""
    return "".join(one.reason for one in await link.send([setpoint]))


PERIOD_S = 0.1


async def keeps_pace(told: Told) -> bool:
    """Whether `bess-1` is heard each period, within 10 %.

    Ten polls in step are enough of a loaded machine, if not the first ten then later ones; a line that
    is blocked in each period never has them.
    """
    loop, heard = asyncio.get_running_loop(), []
    for _ in range(100):
        await told.next(TelemetryMessage)
        heard.append(loop.time())
        gaps = [after - before for before, after in pairwise(heard[-11:])]
        if len(gaps) == 10 and mean(gaps) == pytest.approx(PERIOD_S, rel=0.1):
            return True
    return False


def test_however_many_are_dead_the_others_keep_nine_tenths_of_the_line() -> None:
    """Row C2: ten of eleven are silent; asked one after the other they would take all of the time."""
    timing = replace(QUICK, timeout_s=0.1, dead_poll_s=0.0)

    async def check() -> None:
        async with slaves(dict.fromkeys(range(1, 12), IDLE)) as there:
            there.silent |= set(range(2, 12))
            devices = [a_device(unit, poll_s=PERIOD_S, read_only=True) for unit in range(1, 12)]
            async with a_link(there.port, devices, timing=timing) as (_, told):
                await until(lambda: all(there.asked(unit) for unit in range(2, 12)))
                assert await keeps_pace(told)

    run(check())


def test_a_unit_that_makes_its_gateway_hang_up_is_dead_and_the_others_are_read() -> None:
    """Row C2: what breaks the line time and again is asked once a minute too."""

    async def check() -> None:
        async with slaves({1: IDLE, 2: IDLE}) as there:

            async def hang_up(unit: int, at: int, words: list[int]) -> ExcCodes | None:
                raise AssertionError("nothing is written")

            there.on_write = hang_up
            async with Proxy(there.port, seed=1) as proxy:
                there.on_read = {2: proxy.reset}
                devices = [a_device(unit, read_only=True) for unit in (1, 2)]
                async with a_link(proxy.port, devices) as (link, told):
                    while there.asked(2) < FAILURES:
                        await told.next(TelemetryMessage)
                    resets = link.reconnects
                    for _ in range(20):
                        await told.next(TelemetryMessage)
                    assert there.asked(2) == FAILURES
                    assert link.reconnects <= resets + 1
                    assert (link.fault or "").startswith("bess-2: connection lost")

    run(check())


def test_a_reader_that_is_late_is_told_how_many_messages_gave_way() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there:
            link = ModbusLink(
                GatewayAddress(host="127.0.0.1", port=there.port),
                [a_device(poll_s=0.001)],
                now=Time(),
                jitter=Random(1),
                capacity=3,
            )
            async with link:
                await until(lambda: link.inbox.lost >= 4)
                assert "the reader is late: " in (link.fault or "")
                messages = link.messages()
                for _ in range(4):
                    await anext(messages)
                assert link.fault is None

    run(check())


def test_a_bug_in_the_link_reaches_its_reader() -> None:
    async def check() -> None:
        def broken() -> datetime:
            if link.connected:
                raise RuntimeError("a bug")
            return NOON

        async with slaves({1: IDLE}) as there:
            now: Callable[[], datetime] = lambda: NOON  # noqa: E731
            link = ModbusLink(
                GatewayAddress(host="127.0.0.1", port=there.port),
                [a_device()],
                now=lambda: now(),
                jitter=Random(1),
            )
            now = broken
            serving = asyncio.create_task(link.run(asyncio.Event()))
            with pytest.raises(RuntimeError, match="a bug"):
                async for _ in link.messages():
                    pass
            with pytest.raises(RuntimeError, match="a bug"):
                await serving

    run(check())


def test_a_slave_that_is_killed_a_hundred_times_is_found_again_each_time() -> None:
    """Row C3: the link owns its connection; nobody has to help it up."""

    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            loop, longest_s = asyncio.get_running_loop(), 0.0
            await told.next(TelemetryMessage)
            for times in range(1, 101):
                await there.stop()
                await until(lambda: not link.connected)
                (unsent,) = await link.send([a_setpoint(1.0)])
                assert f"modbus 127.0.0.1:{there.port}: " in unsent.reason
                back_s = loop.time()
                there.set(1, 1, times)
                await there.start()
                await told.next(TelemetryMessage, partial(_feeds, times))
                longest_s = max(longest_s, loop.time() - back_s)
            assert longest_s <= 10
            assert link.reconnects == 100

    run(check())


def _feeds(count: int, told: TelemetryMessage) -> bool:
    return round(told.power_kw * 1000) == count


def test_what_waits_before_the_next_connection_is_bounded_below_ten_seconds() -> None:
    """Row C3: with the times that are shipped."""
    usual, lot = GatewayTiming(), Random(1)
    longest = max(usual.delay_s(failures, lot) for failures in range(1, 2000))
    assert longest + usual.connect_timeout_s <= 10
    assert usual.delay_s(0, lot) == 0
    assert usual.delay_s(1, lot) <= 0.5


def test_messages_end_when_the_link_is_stopped() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there:
            async with a_link(there.port, [a_device()]) as (link, told):
                await told.next(TelemetryMessage)
            async for _ in link.messages():
                pass
            assert (link.connected, link.fault) == (False, "stopped")

    run(check())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bytes_that_are_damaged_on_the_way_end_connections_and_nothing_else(seed: int) -> None:
    """Modbus TCP has no check of its own: a number may come out wrong, the link goes on all the same."""
    damaged = replace(QUICK, timeout_s=0.01, dead_poll_s=0.01)

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            Proxy(there.port, seed=seed) as proxy,
            a_link(proxy.port, [a_device(poll_s=0.001)], timing=damaged) as (
                link,
                told,
            ),
        ):
            proxy.up = proxy.down = Toxic(corrupt_share=0.02)
            await proxy.until(lambda: proxy.corrupted >= 60)
            proxy.up = proxy.down = CLEAN
            await until(lambda: link.fault is None)
            there.set(1, 0, 0, 3000)
            await told.next(TelemetryMessage, lambda t: t.power_kw == 3.0)
            assert link.reconnects > 0

    run(check())


# ---------------------------------------------------------------- out


def test_a_command_is_written_in_order_and_enabled_last_and_shown_as_in_force() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            answer = await commanded(link, told, a_setpoint(-2.5))
            assert answer == AckMessage(
                command_id="c-7", seq=7, ts="2025-12-03T12:00:00Z", accepted=True
            )
            assert there.written() == [
                (1, MODE, (2,)),
                (1, POWER, (0xFFFF, 0xF63C)),
                (1, ENABLE, (1,)),
            ]
            await told.next(TelemetryMessage, lambda t: t.setpoint_seq == 7)
            assert await link.send([a_setpoint(-2.5, seq=8)]) == ()
            await told.next(TelemetryMessage, lambda t: t.setpoint_seq == 8)
            assert len(there.written()) == 3, "the same value again needs no writing"

    run(check())


def test_a_power_between_two_counts_is_written_as_the_one_nearer_to_zero() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            await commanded(link, told, a_setpoint(0.0106))
            await commanded(link, told, a_setpoint(0.0016, seq=8))
            await commanded(link, told, a_setpoint(-0.0016, seq=9))
            words = [words for _, at, words in there.written() if at == POWER]
            assert words == [(0, 10), (0, 1), (0xFFFF, 0xFFFF)]

    run(check())


def test_a_command_that_ends_is_let_go() -> None:
    async def check() -> None:
        time = Time()
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device()], now=time) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5, life_s=60))
            time.now += timedelta(seconds=59)
            await told.next(TelemetryMessage, lambda t: t.ts == "2025-12-03T12:00:59Z")
            assert there.words[1][ENABLE] == 1
            time.now += timedelta(seconds=1)
            await told.next(TelemetryMessage, lambda t: t.setpoint_seq is None)
            assert there.words[1][ENABLE] == 0

    run(check())


def test_a_device_that_holds_on_is_let_go_again_and_shown_until_it_does() -> None:
    async def check() -> None:
        time = Time()
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device()], now=time) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5, life_s=60))
            there.clamped[ENABLE] = [1]
            time.now += timedelta(seconds=60)
            await until(lambda: "was not let go: enable at 11 reads 1.0" in (link.fault or ""))
            tried = len(there.written())
            await until(lambda: len(there.written()) > tried)
            del there.clamped[ENABLE]
            await until(lambda: there.words[1][ENABLE] == 0)
            await until(lambda: link.fault is None)

    run(check())


def test_a_command_that_waited_while_a_newer_one_could_not_leave_is_never_written() -> None:
    """Row C10: what is wanted now must not be undone by what was wanted before."""

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device(write_s=3600)]) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5))
            assert await link.send([a_setpoint(5.0, seq=8)]) == ()
            await there.stop()
            await until(lambda: not link.connected)
            assert "connection lost" in await unsent(link, a_setpoint(0.0, seq=9))
            answer = await told.next(AckMessage)
            assert (answer.seq, answer.accepted) == (8, False)
            assert (answer.reason or "").startswith("overtaken while it waited")
            await there.start()

    run(check())


def test_a_command_that_ended_while_it_waited_is_not_written() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            answer = await commanded(
                link, told, a_setpoint(1.0, now=NOON - timedelta(hours=1), life_s=60)
            )
            assert answer.reason == "it ended before it could be written"
            assert there.written() == []

    run(check())


def test_a_read_only_device_is_never_written_whatever_is_asked() -> None:
    """Row C9: every frame of a link in read-only mode reads."""

    async def check() -> None:
        async with (
            slaves({1: IDLE | {ENABLE: 1}}) as there,
            a_link(there.port, [a_device(read_only=True)]) as (link, told),
        ):
            for seq in range(20):
                await told.next(TelemetryMessage)
                (unsent,) = await link.send([a_setpoint(1.0, seq=seq)])
                assert unsent.reason.endswith("is read-only")
        assert there.written() == []
        assert {frame[7] for frame in there.frames} == {3}

    run(check())


@pytest.mark.parametrize("writes_before", [1, 2, 3])
def test_a_write_that_is_cut_half_way_is_let_go_and_never_enabled(writes_before: int) -> None:
    """Row C4: the line is cut at each of the three writes, before its answer comes."""

    async def check() -> None:
        seen = 0

        async def cut(unit: int, at: int, words: list[int]) -> ExcCodes | None:
            nonlocal seen
            seen += 1
            if seen == writes_before:
                proxy.reset()
            return None

        async with (
            slaves({1: IDLE}, on_write=cut) as there,
            Proxy(there.port, seed=1) as proxy,
            a_link(proxy.port, [a_device()]) as (link, told),
        ):
            answer = await commanded(link, told, a_setpoint(-2.5))
            assert not answer.accepted
            assert "connection lost" in (answer.reason or "")
            while there.written()[-1] != (1, ENABLE, (0,)):
                await told.next(TelemetryMessage)
            assert there.words[1][ENABLE] == 0
            enabled = [one for one in there.written() if one == (1, ENABLE, (1,))]
            assert len(enabled) == (1 if writes_before == 3 else 0)
            assert (await told.next(TelemetryMessage)).setpoint_seq is None

    run(check())


def test_a_device_that_holds_something_else_than_was_written_is_let_go() -> None:
    """Row C4: read back before the flag is set."""

    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            there.clamped[POWER] = [0, 50_000]
            answer = await commanded(link, told, a_setpoint(80.0))
            assert answer.reason == (
                "what was written does not stand: power_kw at 12 reads 50.0, not 80.0"
            )
            await told.next(TelemetryMessage)
            assert (1, ENABLE, (1,)) not in there.written()
            assert there.written()[-1] == (1, ENABLE, (0,))

    run(check())


def test_a_value_that_reads_back_a_little_off_stands_within_its_tolerance() -> None:
    """Row C6: a device that rounds is no device that disobeys; its flag must stand exactly."""
    coarse = replace(
        PLAIN,
        writes=(PLAIN.writes[0], replace(PLAIN.writes[1], tolerance=0.1), PLAIN.writes[2]),
    )

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device(1, coarse)]) as (link, told),
        ):
            there.clamped[POWER] = [0, 2450]
            assert (await commanded(link, told, a_setpoint(2.5))).accepted
            there.clamped[ENABLE] = [3]
            await link.send([a_setpoint(5.0, seq=8)])
            there.clamped[POWER] = [0, 4950]
            answer = await told.next(AckMessage)
            assert answer.reason == (
                "what was written does not stand: enable at 11 reads 3.0, not 1.0"
            )

    run(check())


def test_a_command_that_the_device_refuses_is_told_with_its_words() -> None:
    async def check() -> None:
        async def refuse(unit: int, at: int, words: list[int]) -> ExcCodes | None:
            return ExcCodes.ILLEGAL_VALUE if at == POWER else None

        async with (
            slaves({1: IDLE}, on_write=refuse) as there,
            a_link(there.port, [a_device()]) as (link, told),
        ):
            answer = await commanded(link, told, a_setpoint(-2.5))
            assert "does not take this value (exception 3): function 16 at 12" in (
                answer.reason or ""
            )
            assert link.connected

    run(check())


def test_a_power_that_does_not_fit_the_register_is_refused_and_nothing_is_written() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            answer = await commanded(link, told, a_setpoint(1e9))
            assert "cannot be written as int32" in (answer.reason or "")
            assert there.written() == []

    run(check())


def test_the_revert_timer_is_set_with_each_command_and_renewed_at_half_its_time() -> None:
    """Rows C7 and C8: while the command lives the timer never runs out; when we are gone it does."""

    async def check() -> None:
        loop = asyncio.get_running_loop()
        set_at: list[float] = []

        async def note(unit: int, at: int, words: list[int]) -> ExcCodes | None:
            if at == REVERT:
                assert words == [600]
                set_at.append(loop.time())
            return None

        async with slaves({1: IDLE}, on_write=note) as there:
            link = ModbusLink(
                GatewayAddress(host="127.0.0.1", port=there.port),
                [a_device(1, TIMED)],
                now=Time(),
                jitter=Random(1),
                timing=QUICK,
            )
            serving = asyncio.create_task(link.run(asyncio.Event()))
            told = Told(link)
            assert (await commanded(link, told, a_setpoint(-2.5))).accepted
            while len(set_at) < 6:
                await told.next(TelemetryMessage)
            gaps = [after - before for before, after in pairwise(set_at)]
            assert max(gaps) < 0.6, "no dip: the timer is set anew before it has run out"
            assert median(gaps) == pytest.approx(0.3, rel=0.2)

            serving.cancel()  # as a process that is killed: nothing more is said
            await asyncio.wait({serving})
            assert there.written()[-1][1] != REVERT or there.words[1][ENABLE] == 1
            assert there.words[1][REVERT] == 600, "the device goes back by itself"

    run(check())


def test_a_refresh_that_fails_is_tried_again_and_the_command_is_not_let_go() -> None:
    """Row C8: a line that is cut for a moment costs no award."""

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            Proxy(there.port, seed=1) as proxy,
            a_link(proxy.port, [a_device(1, replace(TIMED, revert_s=0.06))]) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5))
            for _ in range(5):
                proxy.reset()
                await told.next(TelemetryMessage, lambda t: t.setpoint_seq == 7)
            assert (1, ENABLE, (0,)) not in there.written()

    run(check())


def test_an_outage_that_outlasts_the_timer_ends_no_command_that_still_lives() -> None:
    """Row C8: the device went back meanwhile; it is commanded again before anybody is blamed for it."""

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            Proxy(there.port, seed=1) as proxy,
            a_link(proxy.port, [a_device(1, TIMED)]) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5))
            proxy.refuses = True
            proxy.cut()
            await until(lambda: not link.connected)
            there.set(1, ENABLE, 0)
            proxy.refuses = False
            await told.next(TelemetryMessage, lambda _: there.words[1][ENABLE] == 1)
            assert (await told.next(TelemetryMessage)).setpoint_seq == 7
            assert (1, ENABLE, (0,)) not in there.written()

    run(check())


def test_a_device_that_was_silent_beyond_its_timer_is_commanded_again_and_nobody_is_blamed() -> (
    None
):
    """Row C8: it went back by itself, as it should; the command still lives."""
    timing = replace(QUICK, timeout_s=0.02, dead_poll_s=0.05)
    short = replace(TIMED, revert_s=0.2)

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device(1, short)], timing=timing) as (link, told),
        ):
            await commanded(link, told, a_setpoint(-2.5))
            loop = asyncio.get_running_loop()
            there.silent.add(1)
            silent_until = loop.time() + 0.3
            await until(lambda: loop.time() > silent_until)
            there.set(1, ENABLE, 0)
            there.silent.remove(1)
            first = await told.next(TelemetryMessage, lambda t: t.setpoint_seq is None)
            assert first.power_kw == 5.0
            await told.next(TelemetryMessage, lambda t: t.setpoint_seq == 7)
            assert there.words[1][ENABLE] == 1
            assert (1, ENABLE, (0,)) not in there.written()

    run(check())


def test_of_many_commands_the_newest_is_written_and_no_faster_than_the_bus_takes() -> None:
    """Row C10: 20 events for each turn of the bus; a queue of one, and the last value arrives."""
    turn_s = 0.1

    async def check() -> None:
        async with (
            slaves({1: IDLE}) as there,
            a_link(there.port, [a_device(write_s=turn_s)]) as (link, told),
        ):
            await told.next(TelemetryMessage)
            loop = asyncio.get_running_loop()
            began, last = loop.time(), 100
            for seq in range(1, last + 1):
                assert await link.send([a_setpoint(float(seq), seq=seq)]) == ()
                await asyncio.sleep(turn_s / 20)
            await told.next(TelemetryMessage, lambda t: t.setpoint_seq == last)
            turns = (loop.time() - began) / turn_s
            written = [words for _, at, words in there.written() if at == POWER]
            assert 2 <= len(written) <= turns + 1
            assert written[-1] == (1, 100_000 - 65_536)
            assert written == sorted(written)

    run(check())


@pytest.mark.parametrize(
    ("at", "word"), [pytest.param(ENABLE, 0, id="the flag"), pytest.param(POWER, 9, id="the power")]
)
def test_what_somebody_else_changes_is_told_and_let_go(at: int, word: int) -> None:
    """Row C11: what the device holds is read at each poll; our own intention is never shown for it."""

    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, told):
            await commanded(link, told, a_setpoint(-2.5))
            there.set(1, at, word)
            answer = await told.next(AckMessage)
            assert not answer.accepted
            assert (answer.reason or "").startswith("somebody else changed it: ")
            assert (await told.next(TelemetryMessage)).setpoint_seq is None
            await told.next(TelemetryMessage)
            assert there.words[1][ENABLE] == 0

    run(check())


def test_a_device_that_still_follows_a_command_of_before_our_start_is_let_go() -> None:
    """Row C7, for devices without a timer: whoever is killed lets them go when it comes back."""

    async def check() -> None:
        async with (
            slaves({1: IDLE | {ENABLE: 1}}) as there,
            a_link(there.port, [a_device()]) as (_, told),
        ):
            await told.next(TelemetryMessage)
            await told.next(TelemetryMessage)
            assert there.written() == [(1, ENABLE, (0,))]

    run(check())


def test_a_device_without_a_flag_that_holds_a_command_of_before_our_start_is_let_go() -> None:
    """Row C7: what lets such a device go is the value of its power register."""
    flagless = replace(
        PLAIN,
        writes=(
            Write(
                register=Register(at=POWER, kind=Kind.INT32, scale=0.001),
                what=What.POWER,
                released=0.0,
            ),
        ),
    )

    async def check() -> None:
        async with (
            slaves({1: IDLE | {POWER: 0, POWER + 1: 2500}, 2: IDLE}) as there,
            a_link(there.port, [a_device(1, flagless), a_device(2, flagless)]) as (_, told),
        ):
            await until(lambda: there.written() != [])
            await told.next(TelemetryMessage, unit=2)
            await told.next(TelemetryMessage, unit=2)
            assert there.written() == [(1, POWER, (0, 0))]

    run(check())


@pytest.mark.parametrize(("the_map", "enabled"), [(PLAIN, 0), (TIMED, 1)])
def test_at_the_end_a_device_without_a_timer_is_let_go(the_map: RegisterMap, enabled: int) -> None:
    """Row C7: one with a timer goes back by itself, and keeps its award over a quick restart."""

    async def check() -> None:
        async with slaves({1: IDLE}) as there:
            async with a_link(there.port, [a_device(1, the_map)]) as (link, told):
                await commanded(link, told, a_setpoint(-2.5))
            assert there.words[1][ENABLE] == enabled

    run(check())


@pytest.mark.parametrize("silent", [False, True])
def test_at_the_end_one_that_holds_on_or_is_silent_keeps_no_other_from_being_let_go(
    silent: bool,
) -> None:
    async def check() -> None:
        async with slaves({1: IDLE, 2: IDLE}) as there:
            devices = [a_device(1, poll_s=60), a_device(2, poll_s=60)]
            async with a_link(there.port, devices) as (link, told):
                await told.next(TelemetryMessage, unit=2)
                assert await link.send([a_setpoint(-2.5), a_setpoint(-2.5, unit=2)]) == ()
                await told.next(AckMessage, unit=2)
                assert [there.words[unit][ENABLE] for unit in (1, 2)] == [1, 1]
                if silent:
                    there.silent.add(1)
                else:
                    there.on_write = the_first_refuses
            assert there.words[2][ENABLE] == 0

    async def the_first_refuses(unit: int, at: int, words: list[int]) -> ExcCodes | None:
        return ExcCodes.DEVICE_FAILURE if unit == 1 else None

    run(check())


def test_at_the_end_many_devices_behind_a_slow_gateway_are_all_let_go() -> None:
    units = range(1, 13)

    async def check() -> None:
        async with slaves(dict.fromkeys(units, IDLE)) as there, Proxy(there.port) as line:
            devices = [a_device(unit, poll_s=60) for unit in units]
            async with a_link(line.port, devices) as (link, told):
                await told.next(TelemetryMessage, unit=units[-1])
                assert await link.send([a_setpoint(-2.5, unit=unit) for unit in units]) == ()
                await told.next(AckMessage, unit=units[-1])
                assert all(there.words[unit][ENABLE] == 1 for unit in units)
                line.down = Toxic(latency_s=0.12)
            assert [there.words[unit][ENABLE] for unit in units] == [0] * len(units)

    run(check())


def test_a_command_for_a_stranger_is_a_bug() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there, a_link(there.port, [a_device()]) as (link, _):
            with pytest.raises(DataError, match="bess-9: is no resource of steel"):
                await link.send([a_setpoint(1.0, unit=9)])

    run(check())


def test_a_device_that_was_not_read_yet_takes_no_command() -> None:
    async def check() -> None:
        async with slaves({1: IDLE}) as there:
            link = ModbusLink(
                GatewayAddress(host="127.0.0.1", port=there.port),
                [a_device()],
                now=Time(),
                jitter=Random(1),
            )
            (unsent,) = await link.send([a_setpoint(1.0)])
            assert unsent.reason.endswith("not started")

    run(check())
