"""Our OpenADR 3 server with its adapters, as the park file says it: a part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from adapters.openadr3_door import Door, Site
from adapters.openadr3_notifier import Notifier
from adapters.openadr3_shelf import Owner, Shelf
from adapters.openadr3_site import SiteDevice, SiteLink
from adapters.openadr3_tokens import Credentials, Tokens
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.site import SiteHealth
from vpp.service.listeners import OuterFace
from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import read_secret
from vpp.service.vtn.desk import SiteDesk, VtnDesk
from vpp.service.vtn.schema import SiteSection, VtnSection


@dataclass(frozen=True, slots=True, kw_only=True)
class VtnParts:
    """The server, and what has to be opened for it."""

    desk: VtnDesk
    face: OuterFace
    links: Mapping[str, SiteLink]
    notifier: Notifier


def vtn_of(section: VtnSection, file: ParkFile, clock: Watch) -> VtnParts:
    """The server as its section says; nothing is opened."""
    notifier, links = Notifier(), {}
    for site in section.sites:
        link = links[site.id] = _link(site, file, clock)
        notifier.follow(link.shelf, link.read)
    tokens = Tokens(
        {site.id: _credentials(site, file) for site in section.sites},
        now=clock.now,
        lifetime=timedelta(seconds=section.token_s),
    )
    door = Door(
        {
            name: Site(shelf=link.shelf, heard=link.heard, read=link.read, tell=link.tell)
            for name, link in links.items()
        },
        tokens,
        public_url=section.public_url,
    )

    def health() -> tuple[SiteHealth, ...]:
        return tuple(_health(link, tokens, notifier) for link in links.values())

    desk = VtnDesk(
        health=health,
        sites={
            site.id: SiteDesk(section=site, shelf=links[site.id].shelf) for site in section.sites
        },
    )
    face = OuterFace(name="openadr_vtn", listen=section.listen, routes=door.routes())
    return VtnParts(desk=desk, face=face, links=links, notifier=notifier)


def _health(link: SiteLink, tokens: Tokens, notifier: Notifier) -> SiteHealth:
    shelf, owner = link.shelf, link.shelf.owner
    notified, not_notified = notifier.counts(owner.name)
    return SiteHealth(
        name=owner.name,
        ven_name=owner.ven_name,
        connected=link.connected,
        since=link.since,
        heard_from=link.heard_from,
        tokens=tokens.valid(owner.name),
        reports=len(shelf.reports),
        subscriptions=len(shelf.subscriptions),
        notified=notified,
        not_notified=not_notified,
    )


def _credentials(site: SiteSection, file: ParkFile) -> Credentials:
    return Credentials(
        client_id=partial(read_secret, site.client_id, file.folder),
        client_secret=partial(read_secret, site.client_secret, file.folder),
        scopes=frozenset(site.scopes),
    )


def _link(site: SiteSection, file: ParkFile, clock: Watch) -> SiteLink:
    devices = [
        SiteDevice(
            device_id=(device_id := ResourceId(one.resource)),
            enterprise_id=file.park.device_owner[device_id][0],
            site_id=file.park.device_owner[device_id][1],
            sends=one.sends,
            report_s=one.report_s,
        )
        for one in site.devices
    ]
    owner = Owner(
        name=site.id,
        ven_name=site.known_as,
        program=site.program or site.id,
        resources=tuple(device.device_id for device in devices),
        callbacks=tuple(site.callbacks),
    )
    shelf = Shelf(owner, now=clock.now)
    return SiteLink(shelf, devices, now=clock.now, silent_after=timedelta(seconds=site.silent_s))
