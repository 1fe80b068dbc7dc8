"""The proxy does what it says, and does it again with the same seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import CLEAN, Proxy, Side, Toxic
from tests.patience import PATIENCE_S

BYTES = bytes(range(256)) * 40


class Echo:
    """Gives back what it gets, and remembers the pieces."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.heard.append(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.ended.set()
            writer.close()


@asynccontextmanager
async def bench(seed: int = 0) -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    try:
        async with Proxy(server.sockets[0].getsockname()[1], seed=seed) as proxy:
            yield proxy, echo
    finally:
        server.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(proxy: Proxy) -> Ends:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def hear(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reader.readexactly(size)


def play(
    one: Callable[[Proxy, Echo, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    seed: int = 0,
) -> None:
    """Run one test with a proxy, an echo behind it and a connection through both."""

    async def run() -> None:
        async with bench(seed) as (proxy, echo):
            reader, writer = await dial(proxy)
            try:
                await one(proxy, echo, reader, writer)
            finally:
                writer.close()

    asyncio.run(run())


def test_a_clean_proxy_changes_nothing() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(BYTES)
        assert await hear(reader, len(BYTES)) == BYTES
        assert (proxy.accepted, proxy.live, proxy.corrupted, proxy.swallowed) == (1, 1, 0, 0)

    play(one)


def test_what_is_late_comes_whole_and_in_order() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.down = Toxic(latency_s=0.05, jitter_s=0.04, slice_bytes=999)
        began = asyncio.get_running_loop().time()
        writer.write(BYTES)
        assert await hear(reader, len(BYTES)) == BYTES
        assert asyncio.get_running_loop().time() - began >= 0.01

    play(one)


def test_latency_is_a_delay_and_no_queue() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.up = Toxic(latency_s=0.2)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(1, 51):  # one after the other would be ten seconds
            writer.write(b"x")
            await proxy.until(lambda number=number: proxy.heard >= number)  # type: ignore[misc]
        await hear(reader, 50)
        assert 0.2 <= loop.time() - began < 5

    play(one)


def test_a_narrow_line_takes_its_time() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.up = Toxic(bandwidth_bytes_per_s=50_000, slice_bytes=1000)
        began = asyncio.get_running_loop().time()
        writer.write(bytes(5000))
        await hear(reader, 5000)
        assert asyncio.get_running_loop().time() - began >= 0.09

    play(one)


def test_sliced_bytes_arrive_whole() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.up = Toxic(slice_bytes=3)
        writer.write(BYTES)
        assert await hear(reader, len(BYTES)) == BYTES
        assert len(echo.heard) > 1

    play(one)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_damages_the_same_bytes(seed: int) -> None:
    def damaged(seed: int) -> bytes:
        got = b""

        async def one(
            proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            nonlocal got
            proxy.up = Toxic(corrupt_share=0.01)
            writer.write(BYTES)
            got = await hear(reader, len(BYTES))
            wrong = sum(a != b for a, b in zip(got, BYTES, strict=True))
            assert wrong == proxy.corrupted
            assert 50 < wrong < 200  # of 10 240, one in a hundred

        play(one, seed)
        return got

    assert damaged(seed) == damaged(seed)
    assert damaged(seed) != damaged(seed + 2)


@pytest.mark.parametrize("size", [0, 1, 100, 10_239])
@pytest.mark.parametrize("slice_bytes", [None, 7])
def test_a_connection_is_cut_after_exactly_so_many_bytes(
    size: int, slice_bytes: int | None
) -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.up = Toxic(cut_after_bytes=size, slice_bytes=slice_bytes)
        writer.write(BYTES)
        async with asyncio.timeout(PATIENCE_S):
            await echo.ended.wait()
        assert b"".join(echo.heard) == BYTES[:size]

    play(one)


def test_a_reset_is_an_error_at_the_other_end() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.down = Toxic(reset_after_bytes=10)
        writer.write(bytes(9))
        await hear(reader, 9)
        writer.write(BYTES)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE_S)

    play(one)


def test_half_open_is_silence_without_an_end_even_after_the_line_is_well_again() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"before")
        assert await hear(reader, 6) == b"before"
        proxy.up = proxy.down = Toxic(swallow=True)
        writer.write(b"lost")
        await proxy.until(lambda: proxy.swallowed == 4)
        proxy.up = proxy.down = CLEAN
        writer.write(b"lost too")
        await proxy.until(lambda: proxy.swallowed == 12)
        assert echo.heard == [b"before"]
        assert not reader.at_eof()
        again, other = await dial(proxy)
        other.write(b"after")
        assert await hear(again, 5) == b"after"
        writer.close()  # the server never learns that this one is gone
        for _ in range(3):
            other.write(b"after")
            assert await hear(again, 5) == b"after"
        assert proxy.live == 2
        other.close()

    play(one)


def test_an_answer_is_lost_by_the_request_it_belongs_to() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.drops, proxy.cuts_on_drop = {rb"..\x06": 1}, False  # a write, as Modbus might
        writer.write(b"\x00\x01\x03read")
        assert await hear(reader, 7) == b"\x00\x01\x03read"
        writer.write(b"\x00\x02\x06write")
        await proxy.until(lambda: bool(proxy.dropped))
        writer.write(b"\x00\x03\x06again")
        assert await hear(reader, 8) == b"\x00\x03\x06again"
        assert proxy.dropped == [b"\x00\x02\x06write"]
        assert b"".join(echo.heard).count(b"write") == 1

    play(one)


def test_a_lost_answer_ends_its_connection_where_it_is_asked_to() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        proxy.drops = {rb"POST /bids": 1}
        writer.write(b"POST /bids HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""

    play(one)


def test_injected_bytes_reach_either_end() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"x")
        assert await hear(reader, 1) == b"x"
        proxy.inject(Side.DOWN, b"to the client")
        assert await hear(reader, 13) == b"to the client"
        proxy.inject(Side.UP, b"to the server")
        assert await hear(reader, 13) == b"to the server"

    play(one)


def test_a_proxy_that_refuses_or_has_no_server_closes_at_once() -> None:
    async def run() -> None:
        async with bench() as (proxy, _):
            proxy.refuses = True
            reader, writer = await dial(proxy)
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.read() == b""
            writer.close()
            port = proxy.port
        async with Proxy(port) as nowhere:  # nobody listens there any more
            reader, writer = await dial(nowhere)
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(run())


def test_every_connection_ends_when_it_is_told_to() -> None:
    async def one(
        proxy: Proxy, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"x")
        await hear(reader, 1)
        proxy.cut()
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
            await echo.ended.wait()
        again, other = await dial(proxy)
        other.write(b"y")
        await hear(again, 1)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE_S):
                await again.read()
        other.close()

    play(one)
