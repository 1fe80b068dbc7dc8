"""One connection to a gateway: the answer that comes is the one to the question, or it is nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random

import pytest

from adapters.modbus_wire import GatewayAddress, LineLostError, ModbusLine, SilentError
from tests.adapters.slaves import slaves
from tests.chaos.proxy import Proxy, Toxic
from tests.patience import PATIENCE_S
from vpp.errors import RejectedError, UnavailableError
from vpp.model.registers import Span, Table

HOLDING = Table.HOLDING
EACH_ITS_ADDRESS = {at: at for at in range(200)}

Answer = Callable[[bytes], bytes | None]


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_line(port: int, *, writable: tuple[int, ...] = (), timeout_s: float = 0.5) -> ModbusLine:
    address = GatewayAddress(host="127.0.0.1", port=port)
    return ModbusLine(address, writable=writable, connect_timeout_s=1.0, timeout_s=timeout_s)


@asynccontextmanager
async def a_gateway(answer: Answer) -> AsyncIterator[int]:
    """A port where each question of 12 bytes gets what `answer` makes of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                said = answer(await reader.readexactly(12))
                if said is None:
                    return
                writer.write(said)
                await writer.drain()
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def reply(
    question: bytes,
    *words: int,
    transaction: int | None = None,
    protocol: int = 0,
    unit: int | None = None,
    code: int | None = None,
    count: int | None = None,
) -> bytes:
    """The right answer to a reading question, but for what is said otherwise."""
    data = b"".join(word.to_bytes(2, "big") for word in words)
    asked = int.from_bytes(question[:2], "big")
    said = bytes([question[7] if code is None else code, len(data) if count is None else count])
    pdu = said + data
    return (
        (asked if transaction is None else transaction).to_bytes(2, "big")
        + protocol.to_bytes(2, "big")
        + (len(pdu) + 1).to_bytes(2, "big")
        + bytes([question[6] if unit is None else unit])
        + pdu
    )


def test_words_are_read_from_both_tables_and_written_by_both_functions() -> None:
    async def check() -> None:
        async with slaves({5: EACH_ITS_ADDRESS}) as there:
            line = a_line(there.port, writable=(5,))
            await line.open()
            assert await line.read(5, Span(HOLDING, 10, 3)) == (10, 11, 12)
            assert await line.read(5, Span(Table.INPUT, 7, 1)) == (7,)
            await line.write(5, 20, [1, 2], code=16)
            await line.write(5, 22, [3], code=6)
            assert await line.read(5, Span(HOLDING, 19, 5)) == (19, 1, 2, 3, 23)
            with pytest.raises(RejectedError, match="unit 5 has no such register"):
                await line.read(5, Span(HOLDING, 199, 2))
            assert line.connected, "a refusal is an answer"
            line.close()

    run(check())


def test_a_late_reply_never_lands_in_another_register() -> None:
    """Row C1: replies are late by lot, beyond the time-out; each register holds its own address."""

    async def check() -> None:
        async with slaves({1: EACH_ITS_ADDRESS}) as there, Proxy(there.port, seed=11) as proxy:
            proxy.down = Toxic(latency_s=0.02, jitter_s=0.02, late_share=0.5)
            line, lot = a_line(proxy.port, timeout_s=0.015), Random(7)
            late = 0
            for _ in range(250):
                if not line.connected:
                    await line.open()
                at, count = lot.randrange(150), lot.randrange(1, 4)
                try:
                    words = await line.read(1, Span(HOLDING, at, count))
                except UnavailableError:
                    late += 1
                    assert not line.connected, "what comes late must come to a closed socket"
                    continue
                assert words == tuple(range(at, at + count))
            assert 25 <= late <= 225, late
            line.close()

    run(check())


def test_a_question_that_is_cancelled_leaves_its_answer_to_nobody() -> None:
    """Row C1: cancelled at any moment, the next question gets its own answer."""

    async def check() -> None:
        async with slaves({1: EACH_ITS_ADDRESS}) as there, Proxy(there.port, seed=3) as proxy:
            proxy.down = Toxic(latency_s=0.004, jitter_s=0.004)
            line, lot = a_line(proxy.port), Random(5)
            cancelled = 0
            for _ in range(80):
                if not line.connected:
                    await line.open()
                at = lot.randrange(150)
                asked = asyncio.create_task(line.read(1, Span(HOLDING, at, 1)))
                await asyncio.wait({asked}, timeout=lot.uniform(0, 0.01))
                if asked.done():
                    assert asked.result() == (at,)
                    continue
                asked.cancel()
                await asyncio.wait({asked})
                cancelled += 1
                assert not line.connected
            assert cancelled >= 15
            line.close()

    run(check())


def test_a_gateway_that_gives_the_answer_of_a_closed_connection_to_the_next_one_is_not_believed() -> (
    None
):
    """Row C1: transaction numbers go on over connections, so that a stranger's answer shows."""

    async def check() -> None:
        owed: list[bytes] = []

        def answer(question: bytes) -> bytes | None:
            at = int.from_bytes(question[8:10], "big")
            owed.append(reply(question, at))
            return owed.pop(0) if len(owed) > 1 else b""

        async with a_gateway(answer) as port:
            line = a_line(port, timeout_s=0.02)
            await line.open()
            with pytest.raises(SilentError, match="unit 1 did not answer within"):
                await line.read(1, Span(HOLDING, 5, 1))
            await line.open()
            with pytest.raises(LineLostError, match="answer 1 of unit 1 came for question 2"):
                await line.read(1, Span(HOLDING, 6, 1))
            assert not line.connected

    run(check())


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda q: reply(q, 7, transaction=0), id="transaction 0"),
        pytest.param(lambda q: reply(q, 7, transaction=999), id="another transaction"),
        pytest.param(lambda q: reply(q, 7, protocol=1), id="another protocol"),
        pytest.param(lambda q: reply(q, 7, unit=2), id="another unit"),
        pytest.param(lambda q: reply(q, 7, code=4), id="another function"),
        pytest.param(lambda q: reply(q, 7, 8), id="a register too many"),
        pytest.param(lambda q: reply(q), id="no register"),
        pytest.param(lambda q: reply(q, 7, 8, count=2), id="more bytes than it counts"),
        pytest.param(lambda q: reply(q, 7, count=4), id="a count that is not so"),
        pytest.param(lambda q: reply(q, 7, count=0), id="a count of none"),
        pytest.param(lambda q: reply(q, 7)[:4] + b"\xff\xff" + reply(q, 7)[6:], id="endless"),
        pytest.param(lambda q: reply(q, 7)[:4] + b"\x00\x01" + reply(q, 7)[6:], id="empty"),
        pytest.param(lambda q: reply(q, 7)[:-1] + b"", id="half an answer, then silence"),
        pytest.param(lambda q: None, id="hangs up"),
        pytest.param(lambda q: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another service"),
    ],
)
def test_an_answer_that_does_not_fit_is_nobodys_and_ends_the_connection(wrong: Answer) -> None:
    async def check() -> None:
        async with a_gateway(wrong) as port:
            line = a_line(port, timeout_s=0.1)
            await line.open()
            with pytest.raises((LineLostError, SilentError)):
                await line.read(1, Span(HOLDING, 3, 1))
            assert not line.connected
            with pytest.raises(LineLostError, match="is not connected"):
                await line.read(1, Span(HOLDING, 3, 1))

    run(check())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, RejectedError),
        (2, RejectedError),
        (3, RejectedError),
        (4, UnavailableError),
        (6, UnavailableError),
        (10, SilentError),
        (11, SilentError),
        (99, RejectedError),
    ],
)
def test_a_refusal_says_whether_to_ask_again(code: int, kind: type[Exception]) -> None:
    def refuse(question: bytes) -> bytes:
        return question[:4] + b"\x00\x03" + question[6:7] + bytes([question[7] | 0x80, code])

    async def check() -> None:
        async with a_gateway(refuse) as port:
            line = a_line(port)
            await line.open()
            with pytest.raises(kind, match=f"exception {code}") as raised:
                await line.read(1, Span(HOLDING, 3, 1))
            assert type(raised.value) is kind
            assert line.connected
            line.close()

    run(check())


def test_no_function_that_writes_leaves_for_a_unit_that_is_read_only() -> None:
    """Row C9: it is refused below everything that could ask for it, before a byte is sent."""

    async def check() -> None:
        async with slaves({1: EACH_ITS_ADDRESS, 2: EACH_ITS_ADDRESS}) as there:
            line = a_line(there.port, writable=(2,))
            await line.open()
            for code in (6, 16):
                with pytest.raises(RejectedError, match="unit 1 is read-only"):
                    await line.write(1, 10, [7], code=code)
            await line.write(2, 10, [7], code=16)
            await line.read(1, Span(HOLDING, 10, 1))
            assert there.written() == [(2, 10, (7,))]
            line.close()

    run(check())


def test_nobody_listens() -> None:
    async def check() -> None:
        async with slaves({1: {0: 0}}) as there:
            port = there.port
        with pytest.raises(LineLostError, match="cannot connect"):
            await a_line(port).open()

    run(check())
