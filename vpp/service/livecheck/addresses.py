"""Where a park file makes the service listen, and whom it makes it call: read from its sections, nothing asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from vpp.errors import ConfigError
from vpp.service.feeds.schema import CsvFeedSection, HttpFeedSection
from vpp.service.iec104.schema import ClientSection, StationSection
from vpp.service.listenerschema import ListenSection
from vpp.service.openadr.schema import OpenAdrSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.venues.schema import CertificateSection, FileVenueSection, HttpVenueSection

Speaks = Literal["tcp", "tls", "mqtt", "redis"]
PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True, slots=True)
class Listens:
    """An address of this machine that the service will take."""

    name: str
    host: str
    port: int
    certificate: Path | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """An address that the service will connect to."""

    area: str
    name: str
    host: str
    port: int
    speaks: Speaks
    ca: Path | None = None
    """Trusted instead of the machine's authorities."""

    tells_time: bool = False
    """Whether its clock matters: gates close by it."""


def listens(file: ParkFile) -> Iterator[Listens]:
    """Every listener but the operator's own."""
    for name, section in _listeners(file):
        paper = None if section.tls is None else file.folder / section.tls.certificate_file
        yield Listens(name, section.host, section.port, paper)
    for station in file.iec104:
        if isinstance(station, StationSection):
            yield Listens(f"iec104 {station.id}", station.host, station.port)


def _listeners(file: ParkFile) -> Iterator[tuple[str, ListenSection]]:
    for ocpp in file.ocpp:
        yield f"ocpp {ocpp.id}", ocpp.listen
    if file.s2 is not None:
        yield "s2", file.s2.listen
    if file.openadr_vtn is not None:
        yield "openadr_vtn", file.openadr_vtn.listen
    if file.http_devices.listen is not None:
        yield "http_devices", file.http_devices.listen
    if file.people.page is not None:
        yield "people.page", file.people.page.listen


def calls(file: ParkFile) -> Iterator[Calls]:
    """Everybody whom the service connects to, but the park's own broker."""
    yield from _markets(file)
    yield from _devices(file)
    yield from _people(file)
    if file.redis is not None and file.redis.unix_socket is None:
        ca = _ca(file, file.redis.certificate)
        yield _called("redis", "window", file.redis.url, ca, speaks="redis")


def _markets(file: ParkFile) -> Iterator[Calls]:
    for venue in file.venues:
        if isinstance(venue, HttpVenueSection):
            ca = _ca(file, venue.certificate)
            yield _called("market", f"venue {venue.id}", venue.url, ca, tells_time=True)
            if venue.token is not None:
                yield _called("market", f"venue {venue.id} token", venue.token.url, ca)
    for feed in file.feeds:
        if isinstance(feed, HttpFeedSection):
            yield _called("market", f"feed {feed.id}", feed.url, None)
    for utility in file.openadr:
        ca = _ca(file, utility.certificate)
        yield _called("market", f"openadr {utility.id}", utility.url, ca)
        if isinstance(utility, OpenAdrSection) and utility.token_url is not None:
            yield _called("market", f"openadr {utility.id} token", utility.token_url, ca)


def _devices(file: ParkFile) -> Iterator[Calls]:
    for gateway in file.modbus:
        yield Calls("device", f"modbus {gateway.id}", gateway.host, gateway.port, "tcp")
    for mqtt in file.mqtt_gateways:
        if mqtt.broker is not None:
            yield Calls("device", f"mqtt {mqtt.id}", mqtt.broker.host, mqtt.broker.port, "tcp")
    for group in file.sparkplug:
        if group.broker is not None:
            where = group.broker
            yield Calls("device", f"sparkplug {group.id}", where.host, where.port, "tcp")
    for station in file.iec104:
        if isinstance(station, ClientSection):
            yield Calls("device", f"iec104 {station.id}", station.host, station.port, "tcp")
    for http in file.http_devices.gateways:
        if http.pull is not None:
            ca = None if http.pull.trusts is None else file.folder / http.pull.trusts
            yield _called("device", f"http {http.id}", http.pull.url, ca)


def _people(file: ParkFile) -> Iterator[Calls]:
    mail = file.people.mail
    if mail is not None:
        ca = None if mail.ca is None else file.folder / mail.ca
        speaks: Speaks = "tls" if mail.tls == "implicit" else "tcp"
        yield Calls("people", "mail", mail.host, mail.port, speaks, ca)
    for hook in file.people.webhooks:
        yield _called("people", f"webhook {hook.id}", hook.url, None)
    for platform in file.reporting.platforms:
        ca = _ca(file, platform.certificate)
        yield _called("people", f"platform {platform.id}", platform.url, ca)


def folders(file: ParkFile) -> Iterator[tuple[str, Path, bool]]:
    """Name and path of each folder that files are exchanged by, and whether we write there."""
    for feed in file.feeds:
        if isinstance(feed, CsvFeedSection):
            yield f"feed {feed.id}", file.folder / feed.folder, False
    for venue in file.venues:
        if isinstance(venue, FileVenueSection):
            yield f"venue {venue.id} outbox", file.folder / venue.outbox, True
            yield f"venue {venue.id} inbox", file.folder / venue.inbox, False


def papers(file: ParkFile) -> Iterator[tuple[str, Path]]:
    """Name and path of each certificate that we show."""
    for one in listens(file):
        if one.certificate is not None:
            yield one.name, one.certificate
    shown: list[tuple[str, CertificateSection | None]] = [
        *((f"venue {v.id}", v.certificate) for v in file.venues if isinstance(v, HttpVenueSection)),
        *((f"openadr {utility.id}", utility.certificate) for utility in file.openadr),
        *((f"platform {p.id}", p.certificate) for p in file.reporting.platforms),
        ("redis", None if file.redis is None else file.redis.certificate),
    ]
    yield from ((name, file.folder / one.cert) for name, one in shown if one is not None)


def _ca(file: ParkFile, section: CertificateSection | None) -> Path | None:
    return None if section is None or section.ca is None else file.folder / section.ca


def ledger(url: str) -> Calls:
    """The market's own ledger, as `--venue` names it.

    Raises:
        ConfigError: It is no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("is no address", where="--venue", fix="Say http://host:port")
    return _called("market", "ledger", url, None, tells_time=True)


def _called(
    area: str,
    name: str,
    url: str,
    ca: Path | None,
    *,
    speaks: Speaks | None = None,
    tells_time: bool = False,
) -> Calls:
    parts = urlsplit(url)
    over_tls = parts.scheme in ("https", "rediss")
    port = parts.port or PORTS[parts.scheme]
    spoken: Speaks = speaks if speaks is not None and not over_tls else "tls" if over_tls else "tcp"
    return Calls(area, name, parts.hostname or "", port, spoken, ca, tells_time)
