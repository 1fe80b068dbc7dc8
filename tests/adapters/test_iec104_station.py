"""The controlled station against a dispatch centre: what it tells, what it takes, and what it survives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from adapters.iec104_asdu import Asdu, Cause, Element, Type, command
from adapters.iec104_frames import FrameReader, Numbered, Word, frame_bytes
from tests.adapters.dispatcher import NOON, ZONE, Dispatcher, serving
from tests.chaos.proxy import Proxy, Toxic
from tests.patience import PATIENCE_S
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

POWER, SOC, WELL = 11, 12, 20
SETPOINT, SWITCH = 30, 31
SPEC = StationSpec(
    name="dispatch",
    host="127.0.0.1",
    port=0,
    common_address=1,
    zone=ZONE,
    masters=(Master(host="127.0.0.1", may_order=True),),
    points=(
        ShownPoint(address=POWER, dead_band=10.0),
        ShownPoint(address=SOC),
        ShownPoint(address=WELL, is_state=True),
    ),
    orders=(
        OrderPoint(address=SETPOINT, pace=Pace.SELECT, low=-100, high=100),
        OrderPoint(address=SWITCH, is_switch=True, pace=Pace.DIRECT),
    ),
)
FAST = LinkTiming(k=4, w=2, t1_s=0.2, t2_s=0.1, t3_s=0.3)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def good(value: float) -> Shown:
    return Shown(value, Flaw.NONE, NOON)


class Orders:
    """What the plant was asked to do; it refuses what `why` says."""

    def __init__(self, why: str | None = None) -> None:
        self.taken: list[DispatchOrder] = []
        self.why = why

    async def __call__(self, order: DispatchOrder) -> str | None:
        self.taken.append(order)
        return self.why


def values(heard: list[Asdu], cause: Cause) -> dict[int, float]:
    return {e.address: e.value for a in heard if a.cause == cause for e in a.elements}


async def dispatcher(port: int, **timing: Any) -> Dispatcher:
    found = Dispatcher(LinkTiming(**timing))
    await found.connect(port)
    await found.started()
    return found


# ---------------------------------------------------------------- what it tells


def test_an_interrogation_tells_everything_between_its_confirmation_and_its_end() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders()) as station:
            station.publish({POWER: good(500.0), WELL: good(1)})
            centre = await dispatcher(station.port)
            await centre.asks(Type.C_IC_NA_1, Element(0, qualifier=20))
            await centre.until(lambda: centre.heard[-1].cause == Cause.ACTIVATION_END)

            begun, *answers = centre.heard
            assert (begun.type, begun.cause) == (Type.M_EI_NA_1, Cause.INITIALISED)
            assert [a.cause for a in answers] == [7, 20, 20, 10]
            told = {e.address: (e.value, e.flaw) for a in answers[1:-1] for e in a.elements}
            assert told == {
                POWER: (500.0, Flaw.NONE),
                SOC: (0.0, Flaw.INVALID),  # nobody has said what it is
                WELL: (1, Flaw.NONE),
            }

    run(check())


def test_a_move_beyond_the_dead_band_is_told_at_once_with_its_time() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders()) as station:
            station.publish({POWER: good(500.0)})
            centre = await dispatcher(station.port)
            station.publish({POWER: good(509.0)})  # within 10 of what is known
            later = NOON + timedelta(seconds=1)
            station.publish({POWER: Shown(511.0, Flaw.NONE, later), WELL: good(1)})
            await centre.until(lambda: len(centre.heard) == 3)

            _, state, power = centre.heard
            assert (state.type, power.type) == (Type.M_SP_TB_1, Type.M_ME_TF_1)
            assert power.elements == (Element(POWER, 511.0, Flaw.NONE, later),)

            station.publish({POWER: Shown(511.0, Flaw.NOT_TOPICAL, later)})
            await centre.until(lambda: len(centre.heard) == 4)
            assert centre.heard[-1].elements[0].flaw is Flaw.NOT_TOPICAL

    run(check())


def test_cyclic_points_come_at_their_pace_whatever_they_show() -> None:
    spec = replace(SPEC, points=tuple(ShownPoint(address=a, cyclic_s=0.05) for a in range(1, 101)))

    async def check() -> None:
        async with serving(spec, Orders()) as station:
            station.publish({address: good(address) for address in range(1, 101)})
            centre = await dispatcher(station.port)

            def cyclic() -> list[Asdu]:
                return [a for a in centre.heard if a.cause == Cause.CYCLIC]

            await centre.until(lambda: sum(a.count for a in cyclic()) >= 300)
            assert values(cyclic()[:4], Cause.CYCLIC) == {a: float(a) for a in range(1, 101)}
            assert cyclic()[0].type == Type.M_ME_NC_1

    run(check())


def test_each_change_of_a_state_is_told_though_it_changed_back() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders()) as station:
            station.publish({WELL: good(0)})
            centre = await dispatcher(station.port)
            for value in (1, 0, 1):
                station.publish({WELL: good(value)})

            def told() -> list[float]:
                some = [a for a in centre.heard if a.type == Type.M_SP_TB_1]
                return [e.value for a in some for e in a.elements]

            await centre.until(lambda: len(told()) == 3)
            assert told() == [1, 0, 1]

    run(check())


# ---------------------------------------------------------------- what it takes


def select(value: float = 50.0) -> Element:
    return Element(SETPOINT, value, select=True)


def execute(value: float = 50.0) -> Element:
    return Element(SETPOINT, value)


def test_a_selected_setpoint_is_done_and_then_confirmed() -> None:
    orders = Orders()

    async def check() -> None:
        async with serving(SPEC, orders) as station:
            centre = await dispatcher(station.port)
            selected = await centre.asks(Type.C_SE_NC_1, select())
            assert (selected.cause, selected.negative, orders.taken) == (7, False, [])
            done = await centre.asks(Type.C_SE_NC_1, execute())
            assert (done.cause, done.negative) == (7, False)
            await centre.until(lambda: centre.heard[-1].cause == Cause.ACTIVATION_END)

    run(check())
    (order,) = orders.taken
    assert (order.master, order.address, order.value) == ("127.0.0.1", SETPOINT, 50.0)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([execute()], id="not selected"),
        pytest.param([select(), execute(51.0)], id="another value than selected"),
        pytest.param([select(), execute(51.0), execute()], id="the selection is spent after that"),
        pytest.param([select(), select()], id="selected twice"),
        pytest.param([select(101.0)], id="beyond what it takes"),
        pytest.param([select(float("nan"))], id="no number"),
        pytest.param([Element(SWITCH, 1.0, select=True)], id="a switch that is not selected"),
        pytest.param([Element(99, 1.0)], id="no such point"),
    ],
)
def test_what_comes_in_a_wrong_order_or_does_not_fit_is_refused(steps: list[Element]) -> None:
    orders = Orders()

    async def check() -> None:
        async with serving(SPEC, orders) as station:
            centre = await dispatcher(station.port)
            for step in steps:
                kind = Type.C_SC_NA_1 if step.address == SWITCH else Type.C_SE_NC_1
                answer = await centre.asks(kind, step)
            assert answer.negative
            assert centre.gone is None

    run(check())
    assert orders.taken == []


def let_pass(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that runs in this loop stood still for so long: its time goes on from there."""
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + seconds)


def test_a_selection_ends_by_itself_and_by_its_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with serving(replace(SPEC, select_s=2.0), Orders()) as station:
            centre = await dispatcher(station.port)
            assert not (await centre.asks(Type.C_SE_NC_1, select())).negative
            taken_back = await centre.asks(Type.C_SE_NC_1, select(), Cause.DEACTIVATION)
            assert (taken_back.cause, taken_back.negative) == (9, False)
            assert (await centre.asks(Type.C_SE_NC_1, execute())).negative

            assert not (await centre.asks(Type.C_SE_NC_1, select())).negative
            let_pass(2.0, monkeypatch)
            assert (await centre.asks(Type.C_SE_NC_1, execute())).negative

    run(check())


def test_one_selection_stands_at_a_time_and_belongs_to_its_connection() -> None:
    orders = Orders()

    async def check() -> None:
        async with serving(SPEC, orders) as station:
            one, two = await dispatcher(station.port), await dispatcher(station.port)
            assert not (await one.asks(Type.C_SE_NC_1, select())).negative
            assert (await two.asks(Type.C_SE_NC_1, select())).negative
            assert (await two.asks(Type.C_SE_NC_1, execute())).negative
            assert orders.taken == []
            assert not (await one.asks(Type.C_SE_NC_1, execute())).negative
            one.close()
            two.close()

    run(check())
    assert len(orders.taken) == 1


def test_what_the_plant_refuses_is_refused() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders("the disk is full")) as station:
            centre = await dispatcher(station.port)
            assert (await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0))).negative

    run(check())


def test_who_may_only_read_orders_nothing_and_who_is_not_on_the_list_is_not_answered() -> None:
    orders, told = Orders(), list[tuple[str, str]]()

    async def check() -> None:
        reader = replace(SPEC, masters=(Master(host="127.0.0.1"),))
        async with serving(reader, orders) as station:
            centre = await dispatcher(station.port)
            assert (await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0))).negative
        strangers = replace(SPEC, masters=(Master(host="192.0.2.1", may_order=True),))
        async with serving(strangers, orders, told) as station:
            for _ in range(3):
                centre = Dispatcher()
                await centre.connect(station.port)
                await centre.ended()
                assert centre.heard == []

    run(check())
    assert orders.taken == []
    assert told == [("127.0.0.1", "is no master on the list and was not answered")]


def test_a_clock_is_compared_and_never_taken_over() -> None:
    told: list[tuple[str, str]] = []

    async def check() -> None:
        async with serving(SPEC, Orders(), told) as station:
            centre = await dispatcher(station.port)
            near = await centre.asks(
                Type.C_CS_NA_1, Element(0, at=NOON + timedelta(milliseconds=900))
            )
            assert (near.negative, near.elements[0].at) == (False, NOON)
            far = await centre.asks(Type.C_CS_NA_1, Element(0, at=NOON + timedelta(seconds=90)))
            assert (far.negative, far.elements[0].at) == (True, NOON)

    run(check())
    assert ("127.0.0.1", "its clock is +90.000 s off ours: not taken over") in told


def test_what_it_does_not_know_is_sent_back_as_unknown() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders()) as station:
            centre = await dispatcher(station.port)
            other = await centre.asks(Type.C_IC_NA_1, Element(0, qualifier=20), station=7)
            assert (other.cause, other.negative) == (Cause.UNKNOWN_STATION, True)
            centre.says(Asdu(102, Cause.ACTIVATION, 1, b"\x0b\0\0"))  # C_RD_NA_1
            await centre.until(lambda: centre.heard[-1].type == 102)
            assert (centre.heard[-1].cause, centre.heard[-1].negative) == (44, True)
            cause = await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0), Cause.CYCLIC)
            assert (cause.cause, cause.negative) == (Cause.UNKNOWN_CAUSE, True)
            everybody = await centre.asks(Type.C_IC_NA_1, Element(0, qualifier=20), station=0xFFFF)
            assert not everybody.negative

    run(check())


# ---------------------------------------------------------------- what it survives


def test_a_master_that_never_acknowledges_gets_k_frames_and_is_let_go_after_t1() -> None:
    told: list[tuple[str, str]] = []

    async def check() -> None:
        async with serving(replace(SPEC, timing=FAST), Orders(), told) as station:
            reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
            writer.write(frame_bytes(Word.START_ACT))
            while "gets data" not in (what for _, what in told):  # noqa: ASYNC110
                await asyncio.sleep(0)
            for value in range(200):  # each far beyond the dead band
                station.publish({POWER: good(100.0 * value), WELL: good(value % 2)})
                await asyncio.sleep(0)
            frames = list(FrameReader().feed(await _to_end(reader)))
            assert sum(isinstance(f, Numbered) for f in frames) == FAST.k
            writer.close()

            centre = await dispatcher(station.port)  # and it serves whoever comes next
            await centre.asks(Type.C_IC_NA_1, Element(0, qualifier=20))

    run(check())
    assert ("127.0.0.1", "is gone: 4 frames are not acknowledged for 0.2 s") in told


async def _to_end(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while data := await reader.read(4096):
            found += data
    except ConnectionResetError:
        pass  # it was thrown out
    return found


def test_a_master_that_asks_and_never_reads_is_let_go_within_bounded_room() -> None:
    told: list[tuple[str, str]] = []

    async def check() -> None:
        async with serving(SPEC, Orders(), told) as station:
            endpoint = socket.socket()
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            endpoint.setblocking(False)
            await asyncio.get_running_loop().sock_connect(endpoint, ("127.0.0.1", station.port))
            _, writer = await asyncio.open_connection(sock=endpoint, limit=1)
            writer.write(frame_bytes(Word.START_ACT))
            tests = frame_bytes(Word.TEST_ACT) * 1000
            with suppress(ConnectionError):
                for _ in range(2000):
                    writer.write(tests)
                    await writer.drain()
            writer.close()

    run(check())
    assert ("127.0.0.1", "is gone: does not read what it is answered") in told


def test_an_order_that_waited_while_the_service_was_frozen_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders, told = Orders(), list[tuple[str, str]]()

    async def check() -> None:
        async with serving(replace(SPEC, timing=FAST), orders, told) as station:
            centre = await dispatcher(station.port)
            assert not (await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0))).negative
            centre.says(command(Type.C_SC_NA_1, Element(SWITCH, 0.0), common_address=1, zone=ZONE))
            let_pass(2 * FAST.t1_s, monkeypatch)
            await centre.until(lambda: centre.heard[-1].negative or centre.gone is not None)

    run(check())
    assert [order.value for order in orders.taken] == [1]
    assert any("while we stood still" in what for _, what in told)


def test_orders_beyond_the_budget_of_a_minute_are_refused() -> None:
    orders = Orders()

    async def check() -> None:
        async with serving(replace(SPEC, orders_per_minute=3), orders) as station:
            centre = await dispatcher(station.port)
            on = Element(SWITCH, 1.0)
            answers = [await centre.asks(Type.C_SC_NA_1, on) for _ in range(5)]
            assert [answer.negative for answer in answers] == [False] * 3 + [True] * 2

    run(check())
    assert len(orders.taken) == 3


def test_a_half_open_master_is_let_go_and_its_selection_with_it() -> None:
    async def check() -> None:
        async with (
            serving(replace(SPEC, timing=FAST), Orders()) as station,
            Proxy(station.port, seed=7) as proxy,
        ):
            lost = await dispatcher(proxy.port)
            assert not (await lost.asks(Type.C_SE_NC_1, select())).negative
            proxy.up = proxy.down = Toxic(swallow=True)
            while station.health()[0].connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            centre = await dispatcher(station.port, t3_s=0.1)
            assert not (await centre.asks(Type.C_SE_NC_1, select())).negative
            lost.close()

    run(check())


def test_a_further_connection_of_one_master_ends_its_oldest() -> None:
    async def check() -> None:
        async with serving(SPEC, Orders()) as station:
            some = [await dispatcher(station.port) for _ in range(3)]
            await some[0].ended()
            assert some[1].gone is None
            assert some[2].gone is None
            for one in some:
                one.close()

    run(check())


@pytest.mark.parametrize("seed", range(6))
def test_garbage_ends_a_connection_and_nothing_else(seed: int) -> None:
    orders, lot = Orders(), Random(seed)

    async def check() -> None:
        async with serving(SPEC, orders) as station:
            for _ in range(30):
                reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
                asdu = lot.randbytes(lot.randrange(6, 20))
                writer.write(frame_bytes(Word.START_ACT) + frame_bytes(Numbered(0, 0, asdu)))
                writer.write(lot.randbytes(lot.randrange(1, 200)))
                writer.write_eof()
                await _to_end(reader)
                writer.close()
            centre = await dispatcher(station.port)
            assert not (await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0))).negative

    run(check())
    assert [order.value for order in orders.taken] == [1]


@pytest.mark.parametrize("seed", range(2))
def test_bits_that_flip_on_the_way_order_nothing_beyond_what_may_be_ordered(seed: int) -> None:
    orders = Orders()

    async def check() -> None:
        async with (
            serving(replace(SPEC, timing=FAST), orders) as station,
            Proxy(station.port, seed=seed) as proxy,
        ):
            proxy.up = Toxic(corrupt_share=0.02, slice_bytes=7)
            for _ in range(8):
                centre = Dispatcher(FAST)
                await centre.connect(proxy.port)
                try:
                    async with asyncio.timeout(0.1):
                        await centre.started()
                        for _ in range(5):
                            await centre.asks(Type.C_SE_NC_1, select())
                            await centre.asks(Type.C_SE_NC_1, execute())
                except TimeoutError:
                    pass  # its answer was of another type, or never came
                centre.close()
            centre = await dispatcher(station.port)
            await centre.asks(Type.C_IC_NA_1, Element(0, qualifier=20))

    run(check())
    assert all(-100 <= order.value <= 100 for order in orders.taken)


def test_it_is_known_of_each_master_whether_it_is_here_and_what_it_ordered() -> None:
    spec = replace(
        SPEC,
        masters=(Master(host="127.0.0.1", may_order=True), Master(host="127.0.0.2")),
    )

    async def check() -> None:
        async with serving(spec, Orders()) as station:
            assert station.listens
            centre = await dispatcher(station.port)
            assert not (await centre.asks(Type.C_SC_NA_1, Element(SWITCH, 1.0))).negative
            assert (await centre.asks(Type.C_SE_NC_1, execute())).negative  # not selected before
            here, nobody = station.health()
            assert (here.connections, here.gets_data, here.since) == (1, True, NOON)
            assert (here.orders, here.refused, here.ordered_at) == (1, 1, NOON)
            assert (nobody.host, nobody.connections, nobody.since) == ("127.0.0.2", 0, None)
            centre.close()
            while station.health()[0].connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
            (gone, _) = station.health()
            assert not gone.gets_data
            assert gone.gone_because is not None
        assert not station.listens

    run(check())
