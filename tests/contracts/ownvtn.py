"""Our own OpenADR 3 server for tests: two sites, `steel` with the device `bess` and `glass` with `furnace`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from adapters.http_token import TokenSource
from adapters.openadr3 import Vtn
from adapters.openadr3_door import ROOTS, Door, Site
from adapters.openadr3_notifier import Notifier
from adapters.openadr3_shelf import Owner, Shelf
from adapters.openadr3_site import Sends, SiteDevice, SiteLink
from adapters.openadr3_tokens import SCOPES, Credentials, Tokens
from adapters.openadr3_wire import Version
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.programme import EventInterval, EventPeriod, Payload, ProgrammeEvent
from vpp.ports import Message
from vpp.service.http import reserved_port
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.wire import AckMessage, TelemetryMessage

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FLEX = "oadr://flex"
SECRETS = {"steel": "steel-secret-0123456789", "glass": "glass-secret-0123456789"}
DEVICES = {"steel": "bess", "glass": "furnace"}


def wall() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class OwnVtn:
    """A server that is served, and both of its links."""

    url: str
    links: dict[str, SiteLink]
    notifier: Notifier
    secrets: dict[str, str]
    """What each client must show; may be changed."""
    _stack: AsyncExitStack

    @property
    def shelf(self) -> Shelf:
        return self.links["steel"].shelf

    @classmethod
    @asynccontextmanager
    async def serving(
        cls,
        *,
        now: Callable[[], datetime] = wall,
        sends: Sends | None = "DISPATCH_SETPOINT",
        reports: bool = True,
        scopes: frozenset[str] = SCOPES,
        callbacks: tuple[str, ...] = (),
        lifetime: timedelta = timedelta(minutes=15),
        silent_after: timedelta = timedelta(minutes=3),
        requests_per_minute: int = 100_000,
    ) -> AsyncIterator[OwnVtn]:
        """The server while the block lasts, at an address of its own."""
        secrets = dict(SECRETS)
        links, notifier = {}, Notifier()
        for name, device in DEVICES.items():
            owner = Owner(
                name=name, ven_name=name, program=FLEX, resources=(device,), callbacks=callbacks
            )
            sold = SiteDevice(
                device_id=ResourceId(device), enterprise_id=name, site_id="mill", sends=sends
            )
            links[name] = SiteLink(
                Shelf(owner, now=now), [sold] if reports else [], now=now, silent_after=silent_after
            )
            notifier.follow(links[name].shelf, links[name].read)
        known = {
            name: Credentials(
                client_id=lambda name=name: name,  # type: ignore[misc]
                client_secret=lambda name=name: secrets[name],  # type: ignore[misc]
                scopes=scopes,
            )
            for name in DEVICES
        }
        door = Door(
            {
                n: Site(shelf=k.shelf, heard=k.heard, read=k.read, tell=k.tell)
                for n, k in links.items()
            },
            Tokens(known, now=now, lifetime=lifetime),
        )
        async with AsyncExitStack() as stack:
            port = stack.enter_context(reserved_port())
            listen = ListenSection(port=port, requests_per_minute=requests_per_minute)
            face = OuterFace(name="openadr_vtn", listen=listen, routes=door.routes())
            await stack.enter_async_context(notifier)
            for link in links.values():
                await stack.enter_async_context(link)
            inner = await stack.enter_async_context(AsyncExitStack())
            url = await inner.enter_async_context(serve_face(face, folder=Path()))
            yield cls(url=url, links=links, notifier=notifier, secrets=secrets, _stack=inner)

    async def stop(self) -> None:
        """No address any more."""
        await self._stack.aclose()

    def root(self, version: Version) -> str:
        """Address of one dialect."""
        return self.url + next(path for path, known in ROOTS.items() if known == version)

    def asked(self, version: Version, name: str = "steel") -> Vtn:
        """How our own client asks it."""
        root = self.root(version)
        token = TokenSource(
            url=f"{root}/auth/token",
            client_id=lambda: name,
            client_secret=lambda: self.secrets[name],
        )
        return Vtn(url=root, version=version, ven_name=name, token=token)

    def add_level(self, level: float, *, start: datetime, duration: timedelta) -> ProgrammeEvent:
        """An event of one interval for `steel`."""
        return self.shelf.put_event(
            ProgrammeEvent(
                event_id="",
                program_id="",
                period=EventPeriod(start=start, duration=duration),
                intervals=(
                    EventInterval(
                        interval_id=0, payloads=(Payload(payload_type="SIMPLE", values=(level,)),)
                    ),
                ),
            )
        )


def a_setpoint(
    power_kw: float = -40.0, *, seq: int = 1, at: datetime = NOON, life_s: float = 300
) -> Setpoint:
    return Setpoint(
        command_id=f"bess-{seq}",
        seq=seq,
        resource_id=ResourceId("bess"),
        enterprise_id=EnterpriseId("steel"),
        issued_at=at,
        expires_at=at + timedelta(seconds=life_s),
        power_kw=power_kw,
        serves="plan-1",
    )


async def said(link: SiteLink, count: int) -> list[TelemetryMessage | AckMessage]:
    """The next messages of the device."""
    found: list[TelemetryMessage | AckMessage] = []
    messages = link.messages()
    while len(found) < count:
        found.append(decoded(await anext(messages)))
    return found


def decoded(message: Message) -> TelemetryMessage | AckMessage:
    assert message.topic.startswith("vpp/v1/steel/mill/bess/")
    if message.topic.endswith("ack"):
        return msgspec.json.decode(message.payload, type=AckMessage)
    return msgspec.json.decode(message.payload, type=TelemetryMessage)
