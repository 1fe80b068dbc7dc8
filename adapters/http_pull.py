"""The link to devices that are asked over HTTP: GET brings what they tell, a request of its own each command.

    map: topics are paths under the address of the gateway
    GET  {address}/{path}   every poll_s  ─▶ PayloadTranslator ─▶ messages()
    send() ─▶ PayloadTranslator.command ─▶ POST {address}/{path} ─▶ what comes back ─▶ an answer

* A path that is not answered three times is asked once a minute, all of them at once when one is answered
  after none was: one dead device behind a gateway costs the others nothing.
* Every question has a connection of its own, so a late answer can never be taken for another's.
* A command is answered by the body where the map has an `answer`, else by the status: 2xx is taken, 4xx is
  refused; anything else, or no answer, is told as unsent, and may have arrived all the same.
* What lets a device go that does not by itself is sent when its command has ended and when the service
  stops (`letting_go.py`). A device is told one thing at a time: on connections of their own what lets it go
  could come after a newer command.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from random import Random

from yarl import URL

from adapters.http_exchange import Answered, HttpExchange
from adapters.http_get import WORTH_ANOTHER_TRY, Reply
from adapters.letting_go import LettingGo
from adapters.mapped_link import MappedLink, log
from adapters.payload_mapping import ForeignDevice
from adapters.payload_values import MAX_BYTES
from vpp.errors import UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.payloads import PayloadMap, fill
from vpp.ports import Unsent

AT_ONCE = 8
"""Requests to one gateway that are under way at a time."""

LAST_S = 10.0
"""How long letting go of everybody may take when the service stops."""

FAILURES = 3
"""Questions in a row without an answer after which a path is asked rarely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullAddress:
    """Where a gateway is asked, and as whom."""

    url: str
    headers: Callable[[], Mapping[str, str]] = dict
    """Asked for each time: secrets stay where they are kept. Raises UnavailableError where one is not there."""

    context: Callable[[], ssl.SSLContext | None] = lambda: None
    """What TLS trusts; None: what the machine trusts."""

    def at(self, path: str) -> URL:
        """The address of a path, as it stands there: nothing in it is escaped twice."""
        return URL(f"{self.url.rstrip('/')}/{path.lstrip('/')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullTiming:
    """Patience with a gateway, in seconds of the wall."""

    poll_s: float = 5.0
    timeout_s: float = 3.0
    """For one answer."""

    dead_poll_s: float = 60.0
    """How often a path is asked that does not answer while others do."""

    first_delay_s: float = 0.5
    """Bound of the first wait where none answers; doubles with each failure, full jitter."""

    longest_delay_s: float = 6.0

    def delay_s(self, failures: int, jitter: Random) -> float:
        """How long to wait after so many failures in a row while nobody answers."""
        bound = min(self.longest_delay_s, self.first_delay_s * 2 ** min(failures - 1, 30))
        return jitter.uniform(0, bound)


class PullLink(MappedLink):
    """A `MessageSource` and `SetpointSink` over devices that are asked."""

    def __init__(
        self,
        address: PullAddress,
        payload_map: PayloadMap,
        devices: Sequence[ForeignDevice],
        *,
        now: Callable[[], datetime],
        jitter: Random,
        timing: PullTiming | None = None,
    ) -> None:
        super().__init__(address.url, payload_map, devices, now=now)
        self._address, self._jitter = address, jitter
        self._timing = timing or PullTiming()
        self._answers = payload_map.answer is not None
        self._method = "POST" if payload_map.command is None else payload_map.command.method
        self._paths = tuple(
            dict.fromkeys(
                fill(incoming.topic.text, device.names)
                for device in devices
                for incoming in payload_map.incoming
            )
        )
        self._http = HttpExchange(context=address.context)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._turns = {device.device_id: asyncio.Lock() for device in devices}
        self._well: set[str] = set()
        self._ill: dict[str, str] = {}
        """Paths that are not answered, and why."""
        self._odd: dict[str, str] = {}
        """Paths whose answers say nothing, and how."""
        commanded = [device.device_id for device in devices if not device.read_only]
        self._letting_go = LettingGo(self._translator, commanded, now=now, say=self._say)

    @property
    def fault(self) -> str | None:
        why = super().fault
        ill = self._odd | self._ill
        if why is None and ill:
            why = "; ".join(f"{path}: {what}" for path, what in list(ill.items())[:3])
            return f"{why}; {len(ill)} paths in all" if len(ill) > 3 else why
        return why

    # ------------------------------------------------------------ its life

    async def _live(self, stop: asyncio.Event) -> None:
        async with self._http:
            tasks = [
                asyncio.create_task(self._ask_for_ever(path), name=f"{self._where}/{path}")
                for path in self._paths
            ]
            tasks.append(asyncio.create_task(self._letting_go.run(lambda: self._standing.up)))
            stopped = asyncio.create_task(stop.wait())
            try:
                # Nothing but `stop` ends well: a task that ends did so by a bug, which is raised.
                done, _ = await asyncio.wait({*tasks, stopped}, return_when="FIRST_COMPLETED")
                for task in done:
                    task.result()
            finally:
                for task in (*tasks, stopped):
                    task.cancel()
                await asyncio.gather(*tasks, stopped, return_exceptions=True)
            if self._standing.times_up:  # also where it does not answer just now: it may hear
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_S):
                        await self._letting_go.all()

    async def _ask_for_ever(self, path: str) -> None:
        """Ask one path at a steady pace, rarely while it does not answer."""
        timing, failures = self._timing, 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            what = await self._ask(path)
            if what is None:
                failures = 0
                self._answered(path)
            else:
                failures += 1
                self._failed(path, what)
            waited_s = loop.time() - started
            if not self._well:
                await asyncio.sleep(timing.delay_s(failures, self._jitter))
            elif failures < FAILURES:
                await asyncio.sleep(max(0.0, timing.poll_s - waited_s))
            else:
                await self._rarely()

    async def _rarely(self) -> None:
        """Wait for long, or until the gateway comes back after it was away."""
        came_back = self._standing.times_up
        until = asyncio.get_running_loop().time() + self._timing.dead_poll_s
        while (left_s := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left_s, self._timing.poll_s))
            if self._standing.times_up != came_back or not self._well:
                return

    def _answered(self, path: str) -> None:
        self._ill.pop(path, None)
        self._well.add(path)
        self._standing.went_up()

    def _failed(self, path: str, what: str) -> None:
        if self._ill.get(path) != what and self._standing.up:
            log.warning("a path is not answered", where=self._where, path=path, reason=what)
        self._ill[path] = what
        self._well.discard(path)
        if not self._well:
            self._standing.went_down(what)

    # ------------------------------------------------------------ one request

    async def _ask(self, path: str) -> str | None:
        """Ask and tell what came; why nothing came, None where something did."""
        reply = await self._request("GET", path, None)
        if isinstance(reply, str):
            return reply
        if reply.status != 200:
            return f"answered {reply.status}"
        refused, heard = self.refused, self._translator.heard
        found = self._translator.read(path, reply.body, self._now())
        if self.refused > refused:
            self._odd[path] = f"the newest answer could not be read, as {self.refused} in all"
        elif self._translator.heard == heard:
            self._odd[path] = "the newest answer has none of the map's points"
        else:
            self._odd.pop(path, None)
        for device_id in self._translator.taken_over():
            self._letting_go.at_once(device_id)
        self._tell(found)
        return None

    async def _request(self, method: str, path: str, body: bytes | None) -> Reply | str:
        """As `_exchange`, when its turn has come."""
        async with self._at_once:
            return await self._exchange(method, path, body)

    async def _exchange(self, method: str, path: str, body: bytes | None) -> Reply | str:
        """The whole answer, or why there is none."""
        try:
            headers = dict(self._address.headers())
            if body is not None:
                headers["Content-Type"] = "application/json"
            answered = await self._http.exchange(
                method,
                self._address.at(path),
                headers=headers,
                body=body,
                timeout_s=self._timing.timeout_s,
                max_bytes=MAX_BYTES,
            )
        except UnavailableError as error:
            return f"{error.where}: {error.what}"
        if not isinstance(answered, Answered):
            return answered.what
        if answered.cut or answered.too_large:
            return answered.cut or f"sends more than {MAX_BYTES} bytes"
        return answered.reply

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Send each command, all at once, and wait for what comes back; return those without an answer.

        Raises:
            DataError: A device is not behind this gateway, or another enterprise's.
        """
        deaf = {one.command_id: self._deaf(one) for one in setpoints}
        ready = [one for one in setpoints if deaf[one.command_id] is None]
        reasons = await asyncio.gather(*(self._command(one) for one in ready))
        unsent = [one for one in deaf.values() if one is not None]
        unsent += [
            Unsent(setpoint=setpoint, reason=f"{self._where}: {reason}")
            for setpoint, reason in zip(ready, reasons, strict=True)
            if reason is not None
        ]
        return tuple(unsent)

    async def _command(self, setpoint: Setpoint) -> str | None:
        """Say one command; why it was not answered, None where it was."""
        async with self._turns[setpoint.resource_id], self._at_once:
            # Its words say how long it lasts: they are found when it leaves, not when it began to wait.
            now = self._now()
            if setpoint.expires_at <= now:
                return "it ended before its turn came"
            path, body = self._translator.command(setpoint, now)
            self._letting_go.note([setpoint])
            reply = await self._exchange(self._method, path, body)
        if isinstance(reply, str):
            return reply
        if not _is_final(reply.status):
            return f"answered {reply.status}"
        if reply.status < 300 and self._answers:
            self._tell(self._read(path, reply.body))
            return None
        refused = None if reply.status < 300 else f"answered {reply.status}"
        self._tell([self._translator.answered(setpoint, self._now(), refused=refused)])
        return None

    async def _say(self, said: Mapping[ResourceId, tuple[str, bytes]]) -> list[str | None]:
        """Say what lets devices go; why each was not heard, None where it was."""
        return await asyncio.gather(*(self._release(d, *text) for d, text in said.items()))

    async def _release(self, device_id: ResourceId, path: str, body: bytes) -> str | None:
        async with self._turns[device_id]:
            if not self._letting_go.is_due(device_id):
                return None
            reply = await self._request(self._method, path, body)
        if isinstance(reply, str):
            return reply
        return None if reply.status < 300 else f"answered {reply.status}"


def _is_final(status: int) -> bool:
    """Whether an answer says what becomes of a command: a server that is ill or busy says nothing."""
    return 200 <= status < 300 or (400 <= status < 500 and status not in WORTH_ANOTHER_TRY)
