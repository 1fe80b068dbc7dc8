"""A broker as our child process: loopback only, generated passwords, gone when we are gone."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from adapters.mqtt_life import BrokerAddress
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import EnterpriseId, require_id

SERVICE_USER = "service"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0

# Either child asks the kernel to be killed with the thread that started it (1 is
# PR_SET_PDEATHSIG), and looks whether that has died already.
DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """Where a running broker listens, and the password of each of its users."""

    host: str
    port: int
    passwords: Mapping[str, str] = field(repr=False)
    service_user: str = SERVICE_USER

    def address(self, user: str | None = None) -> BrokerAddress:
        """What `MqttLink` needs to connect as `user`; as the service where None.

        Raises:
            ConfigError: The broker knows no such user.
        """
        user = user or self.service_user
        if user not in self.passwords:
            raise ConfigError(
                f"no user {user}",
                where=f"broker {self.host}:{self.port}",
                fix=f"Use one of {sorted(self.passwords)}",
            )
        return BrokerAddress(
            host=self.host, port=self.port, username=user, password=self.passwords[user]
        )


class PrivateBroker:
    """A broker as a child process. Started again, it keeps its port and passwords.

    Call `start` from a thread that lives as long as the broker shall, as the main thread does:
    the kernel kills the child with the thread that started it.
    """

    def __init__(
        self,
        enterprises: Iterable[EnterpriseId],
        *,
        listen: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        """`port` None takes a free one.

        Raises:
            ConfigError: `listen` is not loopback, or an enterprise has the service's name.
        """
        self._listen = _require_loopback(listen)
        self._port = port
        self._users = [SERVICE_USER, *enterprises]
        for user in self._users:
            require_id(user, where="broker user")
        if len(set(self._users)) < len(self._users):
            raise ConfigError(
                f"users {self._users} are not distinct",
                where="broker",
                fix=f"Name no enterprise twice, and none {SERVICE_USER!r}",
            )
        self._passwords = {user: secrets.token_urlsafe(24) for user in self._users}
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> BrokerAccess:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Of the child process; None where none was started."""
        return None if self._process is None else self._process.pid

    @property
    def memory_rss_kib(self) -> int:
        if self._process is None or self._process.poll() is not None:
            return 0
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS"))

    async def start(self) -> BrokerAccess:
        await self.stop()
        port = self._port = self._port or _free_port(self._listen)
        if not _can_bind(self._listen, port):
            raise ConfigError(
                "the port is in use",
                where=f"broker {self._listen}:{port}",
                fix="Stop the other program, or choose another port",
            )
        # Readable by us alone (mkdtemp makes it so): the passwords lie in it.
        self._folder = Path(tempfile.mkdtemp(prefix="vpp-broker-"))
        command = self._prepare(self._folder, port)
        with (self._folder / "log").open("wb") as log:
            # Not by asyncio: its child watcher may start the child from a thread that soon ends,
            # and the child would end with it.
            # In a session of its own: Ctrl-C in a terminal is ours, and we end the broker last.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            await self._until_listening(self._process, self._folder / "log", port)
        except BaseException:
            await self.stop()
            raise
        return BrokerAccess(host=self._listen, port=port, passwords=dict(self._passwords))

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def _prepare(self, folder: Path, port: int) -> list[str]:
        """Write the configuration into `folder` and give the command that runs the broker."""
        raise NotImplementedError

    async def _until_listening(
        self, process: subprocess.Popen[bytes], log: Path, port: int
    ) -> None:
        where = f"broker {self._listen}:{port}"
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await _answers(self._listen, port):
                    if process.poll() is not None:
                        said = _tail(log)
                        raise ConfigError(
                            f"ended at its start: {said}", where=where, fix="See what it says"
                        )
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise UnavailableError(
                f"does not listen after {START_TIMEOUT_S:.0f} s", where=where, fix="Try again"
            ) from error


def _require_loopback(listen: str) -> str:
    try:
        loopback = ip_address(listen).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"a private broker cannot listen on {listen}: its wire is not encrypted",
            where="broker listen",
            fix="Use 127.0.0.1, or run a broker of your own and give its URL",
        )
    return listen


def _free_port(host: str) -> int:
    """A port nobody listens on, from below the range that the kernel gives to clients.

    While a broker is away its clients knock at its port. From that range the kernel could give one
    of them this very port for its own end, and the broker could not come back.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        if _can_bind(host, port):
            return port
    raise UnavailableError("no free port", where=f"broker {host}", fix="Name a port")


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port that a killed broker left in TIME_WAIT is free for the next one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _tail(log: Path) -> str:
    """The end of what a broker said."""
    return log.read_text(errors="replace").strip()[-400:]
