"""Several links to devices behind one `MessageSource` and one `SetpointSink`.

    native MQTT ─┐                        ┌─▶ native MQTT       each device is commanded over the link
    gateway A   ─┼─▶ messages() ▸ intake  ├─▶ gateway A         that carries it; the links know nothing
    gateway B   ─┘            send() ─────┴─▶ gateway B         of each other

Every link speaks our contract inward, so behind this door nobody knows which protocol a device has.
A link that is down, hangs or has ended harms the devices that it carries, and nobody else:

* what comes in waits for the reader in the link's own inbox, never in another's;
* what goes out is handed to all links at once, and one that does not answer in time gets nothing
  more until it has answered: its commands are told as unsent, and the others do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from vpp.errors import AdapterError, DataError
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.ids import ResourceId
from vpp.ports import Message, MessageSource, SetpointSink, Unsent
from vpp.service.links.health import LinkHealth

log = structlog.get_logger(__name__)

WAITING = 256
"""Messages of one link that wait here for the reader; more of them wait in the link's own inbox."""

BREATH = 64
"""Messages of one link that are read in a row before the others get their turn."""


class Link(MessageSource, SetpointSink, Protocol):
    """A source and sink that says how it does."""

    @property
    def fault(self) -> str | None:
        """What is wrong with it, or with devices behind it; None while all is well."""
        ...

    @property
    def reconnects(self) -> int:
        """Connections made after the first one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long links that answer wait for one that does not, in seconds of the wall."""

    base_s: float = 1.0
    per_setpoint_s: float = 0.002
    """A link that confirms each command needs the longer the more there are."""

    def for_setpoints(self, count: int) -> float:
        return self.base_s + count * self.per_setpoint_s


class Channels:
    """All links of one park."""

    def __init__(
        self,
        links: Mapping[str, Link],
        carrier: Mapping[ResourceId, str],
        *,
        patience: Patience | None = None,
    ) -> None:
        """`carrier` names the link of every resource and main meter of the park.

        Raises:
            DataError: It names a link that is not there.
        """
        if unknown := sorted(set(carrier.values()) - links.keys()):
            raise DataError(
                f"{unknown} are no links", where="Channels", fix=f"Use some of {sorted(links)}"
            )
        self._links = dict(links)
        self._carrier = dict(carrier)
        self._devices = Counter(self._carrier.values())
        self._patience = patience or Patience()
        self._sending: dict[str, asyncio.Task[tuple[Unsent, ...]]] = {}

    # ------------------------------------------------------------ how they do

    @property
    def carrier(self) -> Mapping[ResourceId, str]:
        """The link of every resource and main meter."""
        return self._carrier

    def health(self) -> tuple[LinkHealth, ...]:
        """Each link, in the order in which they were given."""
        return tuple(
            LinkHealth(
                name=name,
                connected=link.connected,
                since=link.since,
                fault=link.fault,
                reconnects=link.reconnects,
                devices=self._devices[name],
            )
            for name, link in self._links.items()
        )

    @property
    def connected(self) -> bool:
        """Whether links stand that carry at least half of the devices: the plant has not lost its sight."""
        standing = sum(link.devices for link in self.health() if link.connected)
        return any(link.connected for link in self.health()) and (
            2 * standing >= self._devices.total()
        )

    @property
    def since(self) -> datetime:
        """When the newest link went the way that `connected` says."""
        connected = self.connected
        return max(link.since for link in self.health() if link.connected is connected)

    # ------------------------------------------------------------ in

    def messages(self) -> AsyncIterator[Message]:
        """Yield the messages of all links as they come, until every link has ended. One reader."""
        if len(self._links) == 1:
            return next(iter(self._links.values())).messages()
        return self._merged()

    async def _merged(self) -> AsyncIterator[Message]:
        """Take turns between the links, so that a chatty one starves no other."""
        filled = asyncio.Event()
        pumps = [_Pump(name, link, filled) for name, link in self._links.items()]
        try:
            while True:
                filled.clear()
                for pump in pumps:
                    for _ in range(min(len(pump.waiting), BREATH)):
                        yield pump.waiting.popleft()
                    pump.room.set()
                    pump.raise_bug()
                if any(pump.waiting for pump in pumps):
                    await asyncio.sleep(0)
                elif all(pump.task.done() for pump in pumps):
                    return
                else:
                    await filled.wait()
        finally:
            for pump in pumps:
                pump.task.cancel()
            await asyncio.gather(*(pump.task for pump in pumps), return_exceptions=True)

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Hand each command to the link of its device; return those that did not leave.

        A link that is late has its commands told as unsent though they may still arrive: their
        expiry bounds what comes of it.

        Raises:
            DataError: A command names no resource of the park, or another enterprise's.
        """
        by_link: dict[str, list[Setpoint]] = defaultdict(list)
        for setpoint in setpoints:
            by_link[self._carrier_of(setpoint)].append(setpoint)
        unsent: list[Unsent] = []
        asked: dict[str, asyncio.Task[tuple[Unsent, ...]]] = {}
        for name, some in by_link.items():
            if self._answered(name):
                link = self._links[name]
                asked[name] = asyncio.create_task(link.send(some), name=f"send-{name}")
            else:
                unsent += _unsent(some, f"{name} has not answered to earlier commands")
        self._sending.update(asked)
        if asked:
            patience_s = self._patience.for_setpoints(len(setpoints))
            alone = len(self._links) == 1
            await asyncio.wait(asked.values(), timeout=None if alone else patience_s)
        for name, task in asked.items():
            if not task.done():
                unsent += _unsent(by_link[name], f"{name} did not confirm in time")
                continue
            del self._sending[name]
            try:
                unsent += task.result()
            except AdapterError as error:
                unsent += _unsent(by_link[name], str(error))
        return tuple(unsent)

    async def close(self) -> None:
        """Give up what is still being sent."""
        for task in self._sending.values():
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _carrier_of(self, setpoint: Setpoint) -> str:
        name = self._carrier.get(setpoint.resource_id)
        if name is None:
            raise unknown_resource(setpoint)
        return name

    def _answered(self, name: str) -> bool:
        """Whether a link is done with what it was given before; what became of a late answer is told."""
        task = self._sending.get(name)
        if task is None:
            return True
        if not task.done():
            return False
        del self._sending[name]
        try:
            late = task.result()
        except AdapterError as error:
            log.warning("commands were told as unsent and failed", link=name, reason=str(error))
        else:
            log.warning("a link answered late", link=name, unsent=len(late))
        return True


class _Pump:
    """Carries the messages of one link to where the reader takes turns."""

    def __init__(self, name: str, link: Link, filled: asyncio.Event) -> None:
        self._name, self._link, self._filled = name, link, filled
        self.waiting: deque[Message] = deque()
        self.room = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"messages-{name}")

    async def _run(self) -> None:
        try:
            async for message in self._link.messages():
                self.waiting.append(message)
                self._filled.set()
                if len(self.waiting) >= WAITING:
                    self.room.clear()
                    await self.room.wait()
            log.warning("a link has ended", link=self._name, reason=self._link.fault)
        except AdapterError as error:
            log.warning("a link has ended", link=self._name, reason=str(error))
        finally:
            self._filled.set()

    def raise_bug(self) -> None:
        """What is no failure of the outside world must reach the top."""
        if self.task.done():
            self.task.result()


def _unsent(setpoints: Sequence[Setpoint], reason: str) -> list[Unsent]:
    return [Unsent(setpoint=setpoint, reason=reason) for setpoint in setpoints]
