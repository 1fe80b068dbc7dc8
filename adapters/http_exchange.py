"""One request over HTTP of which it matters whether it left: answered, surely not sent, or nobody knows.

A request leaves once and on a connection of its own: nothing is sent again behind the caller's back, as
HTTP clients do with methods that they take for harmless. No redirect, no proxy, no cookie; a body that
ends, and that nobody has compressed: a small one could unpack to any size.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
from yarl import URL

from adapters.http_get import Reply

NOTED = ("Retry-After", "Date")
"""Headers of an answer that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer came; its body may be cut."""

    reply: Reply
    cut: str = ""
    """Why the body is not whole; empty where it is."""

    too_large: bool = False
    """Whether we stopped to read: the body holds the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Not a byte of the request left."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The request left, whole or in part, and no answer came."""

    what: str


Exchange: TypeAlias = Answered | NotSent | NoAnswer


class _HungUpError(Exception):
    """The other side closed the connection: not one of aiohttp's errors, or it would send again."""


class HttpExchange:
    """Sends requests to addresses of the configuration; an async context manager."""

    def __init__(self, *, context: Callable[[], ssl.SSLContext | None] = lambda: None) -> None:
        """`context` is asked before each request: a certificate may be renewed; None: as usual.

        It raises UnavailableError where a certificate cannot be used.
        """
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            trace_configs=[trace],
            middlewares=(_send_once,),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int,
    ) -> Exchange:
        """Send one request and read its answer, whatever its status.

        Raises:
            UnavailableError: The certificate that is to be shown cannot be used; nothing was sent.
        """
        if self._session is None:
            raise RuntimeError("use it inside `async with`")
        context = self._context()
        progress = SimpleNamespace(sent=False)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=progress,
                    ssl=True if context is None else context,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                return await _read(response, max_bytes)
        except TimeoutError:
            what = f"no answer within {timeout_s:g} s"
        except (aiohttp.ClientError, _HungUpError, OSError) as error:
            what = str(error) or type(error).__name__
        except UnicodeError as error:  # from the resolver; as a ValueError it would end the caller
            what = f"no address of this name can be looked up: {error}"
        return NoAnswer(what=what) if progress.sent else NotSent(what=what)


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> Answered:
    """The answer with as much of its body as comes."""
    body, cut, too_large = b"", "", False
    coding = response.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        # Its beginning is of no use to anybody, so nothing of it is read.
        return Answered(reply=_reply(response, b""), cut=f"is compressed ({coding[:20]}), unasked")
    try:
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > max_bytes:
                body, too_large = body[:max_bytes], True
                break
    except aiohttp.ClientError as error:
        cut = str(error) or type(error).__name__
    return Answered(reply=_reply(response, body), cut=cut, too_large=too_large)


def _reply(response: aiohttp.ClientResponse, body: bytes) -> Reply:
    return Reply(
        status=response.status,
        content_type=response.content_type,
        headers={name: response.headers[name] for name in NOTED if name in response.headers},
        body=body,
    )


async def _note_sent(session: aiohttp.ClientSession, context: SimpleNamespace, sent: Any) -> None:
    context.trace_request_ctx.sent = True


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _HungUpError(str(error) or type(error).__name__) from error
