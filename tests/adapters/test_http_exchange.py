"""One request over HTTP: what it becomes where the other side, or its name, is odd."""

from __future__ import annotations

import asyncio
import zlib

import pytest
from yarl import URL

from adapters.http_exchange import Answered, Exchange, HttpExchange, NotSent
from tests.adapters.venueserver import raw_server

LIMIT = 1000


async def asked(url: str) -> Exchange:
    async with HttpExchange() as http:
        return await http.exchange("GET", URL(url), headers={}, timeout_s=5.0, max_bytes=LIMIT)


def test_a_body_that_is_compressed_is_not_asked_for_and_never_unpacked() -> None:
    async def check() -> None:
        packed = zlib.compress(bytes(100_000), wbits=31)
        assert len(packed) < LIMIT
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        async with raw_server(head.encode() + packed) as raw:
            found = await asked(raw.url)
        assert b"Accept-Encoding: identity" in raw.requests[0]
        assert isinstance(found, Answered)
        assert (found.cut, found.reply.body) == ("is compressed (gzip), unasked", b"")
        assert found.reply.status == 200

    asyncio.run(check())


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "gate..example"])
def test_a_name_that_cannot_be_one_is_an_address_that_was_not_reached(name: str) -> None:
    found = asyncio.run(asked(f"http://{name}/"))
    assert isinstance(found, NotSent)
    assert "label" in found.what
