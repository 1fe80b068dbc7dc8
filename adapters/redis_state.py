"""A `StateWindow` in a Redis or Valkey server: hashes that expire, streams that are cut.

    PREFIX:about                  whose window this is, and `mark`: what was written last
    PREFIX:<name>                 a hash, gone `ttl_s` after the service falls silent
    PREFIX:<name>:stream          a stream, cut to its length

All of one picture is one MULTI/EXEC. Before it writes, the transaction reads the mark and lengthens
the life of each hash: a mark that is not ours, or a hash that is not there, says that somebody
flushed, restarted or evicted what we showed, and the caller shows the whole again.

Who has no window need not import this file, and with it the client library.

A connection that a call left in doubt (timed out, cancelled, garbled) is closed and never used again,
so that no answer is taken for that of the next question.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis, RedisError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from adapters.certificate import ClientCertificate
from vpp.errors import UnavailableError
from vpp.ports import WindowNews

ABOUT, MARK = "about", "mark"
CLOSING_S = 0.5


def _no_password() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAccess:
    """Where a server is and how we enter."""

    prefix: str
    """Of every key."""
    ttl_s: int
    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: str | None = None
    """In place of host and port."""
    db: int = 0
    tls: bool = False
    username: str | None = None
    password: Callable[[], str | None] = _no_password
    """Read anew for each connection. Raises UnavailableError."""
    certificate: ClientCertificate | None = None
    """What we show over TLS, and whom we trust."""
    timeout_s: float = 2.0
    """For one picture, connecting included."""

    @property
    def where(self) -> str:
        """The server, for people."""
        return f"redis {self.unix_socket or f'{self.host}:{self.port}'}"


class RedisWindow:
    """One writer's window. An async context manager: it connects when it is first asked to show."""

    def __init__(self, access: RedisAccess) -> None:
        self._access = access
        self._client: Redis | None = None
        self._instance = secrets.token_hex(8)
        self._shown = 0
        self._contested = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def show(self, news: WindowNews) -> bool:
        """As the port says it.

        Raises:
            UnavailableError: Not reached, refused, no answer in time, or written by somebody else too.
        """
        try:
            async with asyncio.timeout(self._access.timeout_s):
                before, alive = await self._write(news)
        except TimeoutError:
            await self._close()
            raise self._unavailable(
                f"no answer within {self._access.timeout_s:g} s", "See whether it runs"
            ) from None
        except (UnavailableError, asyncio.CancelledError):
            await self._close()
            raise
        # What a broken peer sends makes the library stumble in more ways than it names.
        except (
            *(RedisError, OSError, ValueError, TypeError),
            *(LookupError, AttributeError, AssertionError, RecursionError, MemoryError),
        ) as error:
            await self._close()
            raise self._unavailable(
                f"{type(error).__name__}: {str(error)[:200]}", "Look at the server and its log"
            ) from error
        return self._stood(news, before, alive)

    def _stood(self, news: WindowNews, before: str | None, alive: bool) -> bool:
        """Whether what this picture was to be laid beside was there."""
        last = self._mark
        self._shown += 1
        foreign = before is not None and not before.startswith(f"{self._instance}/")
        # A whole picture may take the place of a predecessor's; not again and again of one who lives.
        if foreign and (self._contested or not news.whole):
            self._contested = True
            raise self._unavailable(
                "another service writes the same keys", "Give each service a prefix of its own"
            )
        self._contested = False
        return news.whole or (alive and before == last)

    @property
    def _mark(self) -> str:
        return f"{self._instance}/{self._shown}"

    async def _write(self, news: WindowNews) -> tuple[str | None, bool]:
        """Write one picture; the mark that stood before it, and whether every hash lived."""
        if self._client is None:
            self._client = self._connect()
        key, lives = self._key, self._access.ttl_s
        extended: list[int] = []
        pipe = self._client.pipeline(transaction=True)
        pipe.hget(key(ABOUT), MARK)
        for name, fields in news.hashes.items():
            if news.whole:
                pipe.delete(key(name))
            else:
                extended.append(len(pipe))
                pipe.expire(key(name), lives)
            if fields:
                pipe.hset(key(name), mapping=_plain(fields))
            if news.whole:
                pipe.expire(key(name), lives)
        for entry in news.entries:
            fields = _plain(entry.fields)
            pipe.xadd(key(entry.stream), fields, maxlen=entry.keep, approximate=False)
        mark = f"{self._instance}/{self._shown + 1}"
        pipe.hset(key(ABOUT), MARK, mark)
        pipe.expire(key(ABOUT), lives)
        answers = await pipe.execute()
        before = answers[0]
        return (
            before.decode("utf-8", "replace") if isinstance(before, bytes) else None,
            all(answers[place] for place in extended),
        )

    def _key(self, name: str) -> str:
        return f"{self._access.prefix}:{name}"

    def _connect(self) -> Redis:
        """A client whose connection is made with the first question. Raises UnavailableError."""
        access = self._access
        secured: dict[str, Any] = {}
        if access.tls:
            secured = {"ssl": True, "ssl_check_hostname": True, "ssl_cert_reqs": "required"}
            if access.certificate is not None:
                files = access.certificate
                secured |= {"ssl_certfile": str(files.cert), "ssl_keyfile": str(files.key)}
                secured |= {} if files.ca is None else {"ssl_ca_certs": str(files.ca)}
        return Redis(
            host=access.host,
            port=access.port,
            unix_socket_path=access.unix_socket,
            db=access.db,
            username=access.username,
            password=access.password(),
            # One time limit is enough, and it is ours: the library's own would try again by itself.
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            protocol=2,
            client_name=f"vpp-{self._instance}",
            **secured,
        )

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(TimeoutError, OSError, RedisError):
                async with asyncio.timeout(CLOSING_S):
                    await client.aclose()

    def _unavailable(self, what: str, fix: str) -> UnavailableError:
        return UnavailableError(what, where=self._access.where, fix=fix)


def _plain(fields: Mapping[str, bytes]) -> dict[Any, Any]:
    """As the library wants them, whose types are narrower than what it takes."""
    return dict(fields)
