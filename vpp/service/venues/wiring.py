"""The adapters of a park's venues, each as its section and its mapping say: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from adapters.certificate import ClientCertificate
from adapters.file_venue import FileVenue
from adapters.http_token import TokenSource
from adapters.http_venue import HttpVenue, HttpVenueAccess
from adapters.venue_mapping import AwardsMapping, BidsMapping, StatusMapping, VenueMapping
from vpp.clock import Watch
from vpp.ports import Venue
from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import headers_of, read_secret
from vpp.service.venues.schema import (
    AnyVenue,
    CertificateSection,
    FileVenueSection,
    HttpVenueSection,
    MappingSection,
)


async def open_port(
    section: AnyVenue, file: ParkFile, clock: Watch, stack: AsyncExitStack
) -> Venue:
    """The adapter of a venue, closed with `stack`.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password.
    """
    if isinstance(section, FileVenueSection):
        return FileVenue(
            file.folder / section.outbox,
            file.folder / section.inbox,
            max_bytes=section.max_bytes,
            now=clock.now,
        )
    access = http_access(section, file.mappings[section.id], file.folder)
    return await stack.enter_async_context(HttpVenue(access, now=clock.now))


def http_access(
    section: HttpVenueSection, mapping: MappingSection, folder: Path
) -> HttpVenueAccess:
    """How a venue is spoken to, as its section and its mapping say it; `folder` is the park file's."""
    token = section.token
    return HttpVenueAccess(
        url=section.url,
        mapping=_venue_mapping(mapping),
        headers=partial(headers_of, section.headers, folder),
        token=None
        if token is None
        else TokenSource(
            url=token.url,
            client_id=partial(read_secret, token.client_id, folder),
            client_secret=partial(read_secret, token.client_secret, folder),
            scope=token.scope,
            ahead=timedelta(seconds=token.ahead_s),
        ),
        certificate=shown_to(section.certificate, folder),
        timeout_s=section.timeout_s,
        max_bytes=section.max_bytes,
    )


def shown_to(section: CertificateSection | None, folder: Path) -> ClientCertificate | None:
    """Where the certificate is kept that another side is shown; `folder` is the park file's."""
    if section is None:
        return None
    return ClientCertificate(
        cert=folder / section.cert,
        key=folder / section.key,
        ca=None if section.ca is None else folder / section.ca,
    )


def _venue_mapping(section: MappingSection) -> VenueMapping:
    """The sections say it field by field as the adapter does, but for sets and numbers."""
    bids, status, awards = section.bids, section.status, section.awards
    statuses = {int(status): meaning for status, meaning in bids.statuses.items()}
    said: dict[str, Any] = bids.model_dump() | {"statuses": statuses, "also": frozenset(bids.also)}
    asked, listed = None, None
    if status is not None:
        told = {
            "unknown_statuses": frozenset(map(int, status.unknown_statuses)),
            "also": frozenset(status.also),
        }
        asked = StatusMapping(**(status.model_dump() | told))
    if awards is not None:
        more = {
            "also": frozenset(awards.also),
            "entry_also": frozenset(awards.entry_also),
        }
        listed = AwardsMapping(**(awards.model_dump() | more))
    return VenueMapping(bids=BidsMapping(**said), status=asked, awards=listed)
