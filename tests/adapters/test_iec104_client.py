"""The link to a remote terminal unit: what it tells inward, what it writes, and what it survives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import msgspec
import pytest

from adapters.iec104_asdu import Asdu, Cause, Element, Type, command
from adapters.iec104_client import RemoteLink, RemoteUnit
from adapters.iec104_device import ReadPoint, RemoteDevice, RemoteState, WritePoint
from adapters.iec104_line import Line
from adapters.iec104_station import Station
from tests.adapters.dispatcher import NOON, ZONE, serving
from tests.chaos.proxy import Proxy, Side, Toxic
from tests.patience import PATIENCE_S
from vpp.errors import RejectedError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.telecontrol import (
    DispatchOrder,
    Flaw,
    LinkTiming,
    Master,
    OrderPoint,
    Pace,
    Shown,
    ShownPoint,
    StationSpec,
)
from vpp.wire import AckMessage, TelemetryMessage

BESS = ResourceId("bess")
POWER, SOC, HELD, SETPOINT, ENABLE = 1, 2, 3, 30, 31
SPEC = StationSpec(
    name="unit",
    host="127.0.0.1",
    port=0,
    common_address=1,
    zone=ZONE,
    masters=(Master(host="127.0.0.1", may_order=True),),
    points=tuple(ShownPoint(address=a) for a in (POWER, SOC, HELD)),
    orders=(
        OrderPoint(address=SETPOINT, low=-100, high=100),
        OrderPoint(address=ENABLE, is_switch=True),
    ),
)
DEVICE = RemoteDevice(
    device_id=BESS,
    enterprise_id="steel",
    site_id="mill",
    points={
        "power_kw": ReadPoint(address=POWER, factor=-1000.0),  # it counts megawatts drawn
        "soc": ReadPoint(address=SOC, factor=0.01),
    },
    setpoint=WritePoint(address=SETPOINT, factor=10.0, enable_address=ENABLE, reads_at=HELD),
)


@dataclass
class Unit:
    """A remote terminal unit that shows what it is told to and keeps what it is ordered."""

    station: Station
    link: RemoteLink
    orders: list[tuple[int, float]]
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    answers: list[AckMessage] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def shows(self, address: int, value: float, flaw: Flaw = Flaw.NONE) -> None:
        self.station.publish({address: Shown(value, flaw, NOON)})

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic == "vpp/v1/steel/mill/bess/telemetry":
                self.telemetry.append(msgspec.json.decode(message.payload, type=TelemetryMessage))
            else:
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            self.news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.news.clear()
            await self.news.wait()

    async def up(self) -> None:
        while not self.link.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def heard(self, power_kw: float) -> TelemetryMessage:
        await self.until(lambda: bool(self.telemetry) and self.telemetry[-1].power_kw == power_kw)
        return self.telemetry[-1]


class Wall:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment


FAST = LinkTiming(k=4, w=2, t1_s=0.2, t2_s=0.1, t3_s=0.3)


@asynccontextmanager
async def a_unit(
    *,
    why: str | None = None,
    wall: Wall | None = None,
    through: Callable[[int], Proxy] | None = None,
    spec: StationSpec = SPEC,
    answer_s: float = 1.0,
) -> AsyncIterator[Unit]:
    orders: list[tuple[int, float]] = []
    units: list[Unit] = []

    async def operate(order: DispatchOrder) -> str | None:
        orders.append((order.address, order.value))
        for unit in units:
            unit.news.set()
        return why

    async with serving(spec, operate) as station, AsyncExitStack() as stack:
        port = station.port
        if through is not None:
            port = (await stack.enter_async_context(through(port))).port
        unit = RemoteUnit(
            host="127.0.0.1",
            port=port,
            common_address=1,
            zone=ZONE,
            timing=FAST,
            interrogate_s=0.05,
            report_s=0.005,
            answer_s=answer_s,
            first_delay_s=0.01,
            longest_delay_s=0.05,
        )
        link = RemoteLink(unit, [DEVICE], now=wall or Wall(), jitter=Random(1))
        async with link:
            found = Unit(station, link, orders)
            units.append(found)
            reading = asyncio.create_task(found.read())
            try:
                yield found
            finally:
                reading.cancel()


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_setpoint(power_kw: float = -400.0, *, seq: int = 7, minutes: float = 15) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=minutes),
        power_kw=power_kw,
        serves="plan-1",
    )


LET_GO = [(ENABLE, 0.0)]
"""What a unit is told first: it might follow a command from before we came."""

COMMANDED = [(SETPOINT, -40.0), (ENABLE, 1.0)]

# ---------------------------------------------------------------- what it tells


def test_values_come_in_our_unit_and_sign_with_their_time() -> None:
    async def check() -> None:
        async with a_unit() as unit:
            unit.shows(SOC, 50.0)
            unit.shows(POWER, 0.25)
            message = await unit.heard(-250.0)
            await unit.until(lambda: unit.telemetry[-1].soc == 0.5)
            assert (message.quality, message.ts) == ("good", "2026-03-01T12:00:00Z")

    run(check())


@pytest.mark.parametrize(
    ("flaw", "quality"),
    [
        (Flaw.NONE, "good"),
        (Flaw.SUBSTITUTED, "uncertain"),
        (Flaw.BLOCKED, "uncertain"),
        (Flaw.INVALID, "bad"),
        (Flaw.NOT_TOPICAL, "bad"),
        (Flaw.OVERFLOW, "bad"),
    ],
)
def test_what_is_wrong_with_a_power_is_told_and_a_soc_is_left_out(flaw: Flaw, quality: str) -> None:
    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            unit.shows(SOC, 50.0, flaw)
            unit.shows(POWER, 0.25, flaw)
            message = await unit.heard(-250.0)
            await unit.until(lambda: unit.telemetry[-1].quality == quality)
            if quality == "bad":
                assert message.soc is None

    run(check())


def test_nothing_is_told_of_a_power_that_did_not_come_anew() -> None:
    async def check() -> None:
        proxies: list[Proxy] = []

        def through(port: int) -> Proxy:
            proxies.append(Proxy(port, seed=1))
            return proxies[0]

        async with a_unit(through=through) as unit:
            unit.shows(POWER, 0.25)
            await unit.heard(-250.0)
            proxies[0].down = Toxic(swallow=True)
            while unit.link.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            count = len(unit.telemetry)
            await asyncio.sleep(0.05)
            assert len(unit.telemetry) == count, "what was known must grow old"
            proxies[0].down = Toxic()
            await unit.up()
            await unit.until(lambda: len(unit.telemetry) > count)
            assert unit.link.reconnects >= 1

    run(check())


def test_a_reading_is_told_once() -> None:
    state = RemoteState(device=DEVICE)
    state.take("power_kw", Element(POWER, 0.25), NOON)
    state.take("soc", Element(SOC, 50.0), NOON)
    first = state.telemetry()
    assert first is not None
    assert (first.power_kw, first.soc) == (-250.0, 0.5)
    assert state.telemetry() is None
    state.take("soc", Element(SOC, 51.0), NOON)
    assert state.telemetry() is None, "its power is as old as before"


# ---------------------------------------------------------------- what it writes


def test_a_command_is_selected_executed_enabled_and_told_as_taken() -> None:
    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            assert await unit.link.send([a_setpoint()]) == ()
            await unit.until(lambda: bool(unit.answers))
            assert unit.answers[0].accepted
            assert unit.orders[-2:] == COMMANDED

            unit.shows(POWER, 0.5)
            assert (await unit.heard(-500.0)).setpoint_seq is None  # it has not shown it yet
            unit.shows(HELD, -40.0)
            await unit.until(lambda: unit.telemetry[-1].setpoint_seq == 7)

            # The same value again goes on living without a word on the wire.
            before = len(unit.orders)
            await unit.link.send([a_setpoint(seq=8)])
            await unit.until(lambda: unit.telemetry[-1].setpoint_seq == 8)
            assert len(unit.orders) == before

    run(check())


def test_a_unit_that_confirms_and_does_nothing_is_not_taken_at_its_word() -> None:
    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
            assert unit.answers[0].accepted
            unit.shows(HELD, 0.0)
            count = len(unit.telemetry)
            unit.shows(POWER, 0.25)
            await unit.until(lambda: len(unit.telemetry) > count + 2)
            told = unit.telemetry[-1]
            assert (told.power_kw, told.setpoint_seq) == (-250.0, None)
            assert unit.link.fault is None

    run(check())


def test_a_command_that_ends_is_let_go_by_us() -> None:
    wall = Wall()

    async def check() -> None:
        async with a_unit(wall=wall) as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: unit.orders[-2:] == COMMANDED)
            await unit.until(lambda: bool(unit.answers))
            wall.moment += timedelta(minutes=15)
            await unit.until(lambda: unit.orders[-1:] == LET_GO)

    run(check())


def test_a_device_is_let_go_when_we_stop() -> None:
    seen: list[tuple[int, float]] = []

    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
        seen.extend(unit.orders)

    run(check())
    assert seen[-3:] == [*COMMANDED, *LET_GO]


def test_a_refusal_of_the_unit_is_told_and_what_was_half_done_is_let_go() -> None:
    narrow = replace(SPEC, orders=(replace(SPEC.orders[0], low=-10, high=10), SPEC.orders[1]))

    async def check() -> None:
        async with a_unit(spec=narrow) as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
            assert not unit.answers[0].accepted
            assert unit.answers[0].reason == "selection refused (cause 7)"
            assert (SETPOINT, -40.0) not in unit.orders
            await unit.until(lambda: unit.orders[-1:] == LET_GO)

    run(check())


def test_a_unit_that_does_not_confirm_is_told_as_refused_in_time() -> None:
    async def check() -> None:
        direct = (OrderPoint(address=SETPOINT), OrderPoint(address=ENABLE, is_switch=True))
        deaf = replace(SPEC, orders=(replace(direct[0], pace=Pace.EITHER), direct[1]))
        proxies: list[Proxy] = []

        def through(port: int) -> Proxy:
            proxies.append(Proxy(port, seed=1))
            return proxies[0]

        async with a_unit(spec=deaf, through=through, answer_s=0.05) as unit:
            await unit.up()
            await unit.until(lambda: unit.orders == LET_GO)
            proxies[0].down = Toxic(latency_s=0.1)
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
            assert not unit.answers[0].accepted
            assert "did not confirm -40 at 30 in 0.05 s" in (unit.answers[0].reason or "")

    run(check())


def test_a_unit_that_confirms_something_else_is_not_believed() -> None:
    out: deque[bytes] = deque()

    def lie(line: Line, asdu: Asdu) -> None:
        element = asdu.elements[0]
        if asdu.type == Type.C_SE_NC_1:
            element = replace(element, value=element.value + 1)
        kind = Type(asdu.type)
        said = command(kind, element, common_address=1, zone=ZONE, cause=Cause.ACTIVATION_CON)
        out.append(said.octets())

    def liar() -> Line:
        return Line(
            FAST,
            ZONE,
            controlling=False,
            made=lambda line: True,
            take=lie,
            give=lambda line: out.popleft() if out else None,
            turned=lambda line: None,
            lost=lambda line, why: None,
        )

    async def check() -> None:
        server = await asyncio.get_running_loop().create_server(liar, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        unit = RemoteUnit(host="127.0.0.1", port=port, common_address=1, zone=ZONE, timing=FAST)
        async with RemoteLink(unit, [DEVICE], now=Wall(), jitter=Random(1)) as link:
            while not link.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await link.send([a_setpoint()])
            message = await anext(aiter(link.messages()))
            answer = msgspec.json.decode(message.payload, type=AckMessage)
            assert (answer.accepted, answer.reason) == (False, "confirms -39, not -40")
        server.close()

    run(check())


def test_a_command_that_is_cut_half_way_is_told_as_refused_and_let_go() -> None:
    async def check() -> None:
        proxies: list[Proxy] = []

        def through(port: int) -> Proxy:
            proxies.append(Proxy(port, seed=1))
            return proxies[0]

        async with a_unit(through=through) as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: len(unit.answers) == 1)
            proxies[0].down = Toxic(latency_s=1.0)
            await unit.link.send([a_setpoint(300.0, seq=8)])
            await unit.until(lambda: len(unit.orders) > 3 or bool(unit.answers[1:]))
            proxies[0].down = Toxic()
            proxies[0].reset()
            await unit.until(lambda: len(unit.answers) == 2)
            assert not unit.answers[1].accepted
            assert unit.answers[1].reason == "the line went away before it was confirmed"
            await unit.until(lambda: unit.orders[-1:] == LET_GO)

    run(check())


def test_somebody_else_who_changes_the_device_is_told_and_it_is_let_go() -> None:
    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
            unit.shows(HELD, -40.0)
            unit.shows(POWER, 0.5)
            await unit.until(lambda: bool(unit.telemetry) and unit.telemetry[-1].setpoint_seq == 7)
            unit.shows(HELD, 25.0)
            await unit.until(lambda: len(unit.answers) == 2)
            assert not unit.answers[1].accepted
            assert unit.answers[1].reason == "somebody else changed it: holds 25, not -40"
            await unit.until(lambda: unit.orders[-1:] == LET_GO)
            unit.shows(POWER, -0.25)
            assert (await unit.heard(250.0)).setpoint_seq is None

    run(check())


def test_a_device_that_is_only_read_is_never_written_to() -> None:
    async def check() -> None:
        async with a_unit() as unit:
            await unit.up()
            reader = RemoteLink(
                RemoteUnit(
                    host="127.0.0.1", port=unit.station.port, common_address=1, zone=ZONE,
                    interrogate_s=0.02, report_s=0.005,
                ),
                [replace(DEVICE, setpoint=None)],
                now=Wall(),
                jitter=Random(1),
            )  # fmt: skip
            await unit.until(lambda: unit.orders == LET_GO)  # by the other one
            async with reader:
                while not reader.connected:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                (refused,) = await reader.send([a_setpoint()])
                assert "is read-only" in refused.reason
                with pytest.raises(RejectedError, match="nothing may be written here"):
                    reader._send(Type.C_SE_NC_1, Element(SETPOINT, 1.0))
                unit.shows(POWER, 0.25)
                await anext(aiter(reader.messages()))
            assert unit.orders == LET_GO

    run(check())


# ---------------------------------------------------------------- what it survives


@pytest.mark.parametrize("seed", range(3))
def test_garbage_from_the_unit_costs_the_connection_and_it_comes_back(seed: int) -> None:
    lot = Random(seed)

    async def check() -> None:
        proxies: list[Proxy] = []

        def through(port: int) -> Proxy:
            proxies.append(Proxy(port, seed=seed))
            return proxies[0]

        async with a_unit(through=through) as unit:
            await unit.up()
            for round_ in range(5):
                proxies[0].inject(Side.DOWN, b"\x00" + lot.randbytes(lot.randrange(1, 300)))
                while unit.link.reconnects <= round_:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            unit.shows(POWER, 0.25)
            await unit.heard(-250.0)
            assert unit.link.fault is None

    run(check())


def test_a_unit_that_is_cut_again_and_again_keeps_its_pace_and_its_commands() -> None:
    async def check() -> None:
        proxies: list[Proxy] = []

        def through(port: int) -> Proxy:
            proxies.append(Proxy(port, seed=3))
            return proxies[0]

        async with a_unit(through=through) as unit:
            await unit.up()
            await unit.link.send([a_setpoint()])
            await unit.until(lambda: bool(unit.answers))
            assert unit.answers[0].accepted
            for round_ in range(3):
                proxies[0].reset()
                while unit.link.reconnects <= round_:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            unit.shows(HELD, -40.0)
            unit.shows(POWER, 0.5)
            # Its command lives on: nobody let it go, for its time is not over.
            await unit.until(lambda: bool(unit.telemetry) and unit.telemetry[-1].setpoint_seq == 7)
            assert unit.orders[-2:] == COMMANDED

    run(check())
