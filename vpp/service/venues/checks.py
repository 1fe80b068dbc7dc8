"""What joins the venues of a park file with its markets: products, gates, secrets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.gate import RollingGate
from vpp.service.markets.markettime import gate_of
from vpp.service.markets.schema import MarketSection
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import SecretSection, read_secret
from vpp.service.venues.schema import CertificateSection, HttpVenueSection, VenueSection


def check_venues(parts: Parts) -> None:
    """A product is traded at one venue, its gate is open long enough, and what is sent along is there."""
    built = {pack.section.id: pack.section for _, pack in parts.packs if pack.not_built() is None}
    traded = {name for _, unit in parts.units for name in unit.products}
    first: dict[str, str] = {}
    for path, venue in parts.venues:
        for place, name in enumerate(venue.products):
            where = (*path, "products", place)
            if name in first:
                parts.fault(where, f"product {name!r} is traded at venue {first[name]!r} already")
            first.setdefault(name, venue.id)
            if not require(parts, where, name, built, "product"):
                continue
            if parts.units and name not in traded:
                parts.fault(where, f"product {name!r} is traded by no bidding unit")
            if venue.bids == "sent":
                _check_gate(parts, path, venue, built[name])
        if isinstance(venue, HttpVenueSection):
            _check_access(parts, path, venue)


def _check_gate(parts: Parts, path: KeyPath, venue: VenueSection, market: MarketSection) -> None:
    """A gate that opens after the alarm is due would be at risk each time."""
    gate = gate_of(market.calendar)
    if isinstance(gate, RollingGate) and isinstance(gate.opens, timedelta):
        open_minutes = (gate.opens - gate.lead) // timedelta(minutes=1)
        if open_minutes <= venue.alarm_before_minutes:
            what = f"the gate of {market.id} is open for {open_minutes} minutes alone"
            parts.fault((*path, "alarm_before_minutes"), what)


def _check_access(parts: Parts, path: KeyPath, venue: HttpVenueSection) -> None:
    """Secrets and certificates are there; they are not shown."""
    folder = Path(parts.document.file).parent
    secrets: list[tuple[KeyPath, SecretSection]] = [
        ((*path, "headers", name), secret) for name, secret in venue.headers.items()
    ]
    if venue.token is not None:
        secrets += [
            ((*path, "token", "client_id"), venue.token.client_id),
            ((*path, "token", "client_secret"), venue.token.client_secret),
        ]
    for where, secret in secrets:
        try:
            read_secret(secret, folder)
        except UnavailableError as error:
            parts.fault(where, f"{error.where}: {error.what}: {error.fix}")
    if venue.certificate is not None:
        check_certificate(parts, (*path, "certificate"), venue.certificate)


def check_certificate(parts: Parts, path: KeyPath, shown: CertificateSection) -> None:
    """The files of a certificate are there."""
    folder = Path(parts.document.file).parent
    for key, file in (("cert", shown.cert), ("key", shown.key), ("ca", shown.ca)):
        if file is not None and not (folder / file).is_file():
            parts.fault((*path, key), f"there is no file {file!r}")
