"""Charging stations: what they are, what is assumed of the cars at them, and what is on record of their stays."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from math import floor
from typing import Literal
from zoneinfo import ZoneInfo

from vpp.model.ids import ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class StationKind:
    """What stations of one make have in common."""

    name: str
    points: int
    """Places where one car charges: connectors in 1.6, EVSEs in 2.0.1."""

    max_kw: float
    """The most one point draws."""

    min_kw: float
    """Below it no car charges: a limit lower than this is told as 0."""

    phases: int
    voltage_v: float
    unit: Literal["W", "A"]
    """What its limits are told in."""

    safe_kw: float | None
    """What a point may draw where no limit of ours is in force; None: what is set in the station holds."""

    def counts(self, kw: float) -> float:
        """A limit in its own unit, never above `kw`: whole W, or halves of an A."""
        if self.unit == "W":
            return float(floor(kw * 1000 + 1e-6))
        return floor(2 * kw * 1000 / (self.phases * self.voltage_v) + 1e-6) / 2

    def kw(self, counts: float, unit: Literal["W", "A"]) -> float:
        """What a limit that a station tells comes to."""
        return counts / 1000 if unit == "W" else counts * self.phases * self.voltage_v / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSpec:
    """One charging station."""

    station_id: str
    """As it stands at the end of the address that it connects to, and as its user of basic authentication."""

    kind: StationKind
    password: Callable[[], str] | None
    """Asked each time it connects; None where the park file lets it in without. Raises UnavailableError."""

    def lets_in(self, user: str, password: str) -> bool:
        """Whether these are its credentials. Raises UnavailableError: its own are not where they should be."""
        if self.password is None:
            return True
        ours = f"{self.station_id}:{self.password()}".encode()
        return hmac.compare_digest(ours, f"{user}:{password}".encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is assumed of a car that does not say what it wants."""

    wanted_kwh: float
    stay: timedelta | None = None
    leaves: time | None = None
    """Local time of day; of `stay` and `leaves` exactly one is given."""

    exact: bool = False
    """False: a car that has got it and still draws is taken to want more."""

    def departs_at(self, came: datetime, zone: ZoneInfo) -> datetime:
        """When a car that came then is taken to leave."""
        if self.leaves is None:
            return came + (self.stay or timedelta(0))
        local = came.astimezone(zone)
        leaves = datetime.combine(local.date(), self.leaves, zone)
        if leaves <= local:
            leaves = datetime.combine(local.date() + timedelta(days=1), self.leaves, zone)
        return leaves.astimezone(came.tzinfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarParkSpec:
    """Stations that are one resource of the park: an EV fleet."""

    resource_id: ResourceId
    enterprise_id: str
    site_id: str
    stations: tuple[StationSpec, ...]
    zone: ZoneInfo
    """Of the local times at which cars leave."""

    wish: Wish
    drivers: Mapping[str, Wish] = field(default_factory=dict)
    """By card."""

    only_drivers: bool = False
    """True: a card that is not among the drivers is refused."""

    read_only: bool = True
    """True: no limit, no default and no setting ever leaves for its stations."""

    def wish_of(self, tag: str) -> Wish:
        """What is assumed of who charges with a card."""
        return self.drivers.get(tag, self.wish)


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralSpec:
    """How stations are spoken to."""

    heartbeat_s: int = 60
    sample_s: int = 10
    """How often a station is asked to tell its meters while a car charges."""

    report_s: float = 10.0
    """How often a car park is told inward."""

    answer_s: float = 10.0
    """How long a station may take to answer."""

    boots_per_hour: int = 6
    """More of one station, and its boots are put off, each time for longer."""

    read_back_s: float = 60.0
    """How often a station is asked what limit it goes by."""

    settle_s: float = 30.0
    """How long after a limit a car may still draw more."""

    messages_per_s: float = 50.0
    """Of one station; what is beyond waits in the line."""

    burst: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StayBegun:
    """A car began to charge: one transaction of a station."""

    station_id: str
    point: int
    transaction: str
    tag: str
    at: datetime
    energy_wh: float | None
    """Register of the point when it began."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a station that a person should hear of."""

    kind: str
    """charger_unknown, charger_refused, charger_boots, charger_fault, charger_limit or charger_setting."""

    who: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointShown:
    """How one point of a station stands."""

    number: int
    plug: str
    power_kw: float
    """Draw."""

    limit_kw: float | None
    """Confirmed by the station; None where no limit of ours is in force."""

    session: str | None
    wanted_kwh: float | None
    departs_at: datetime | None
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StationShown:
    """How one station stands, for people and metrics."""

    station_id: str
    resource_id: ResourceId
    connected: bool
    since: datetime | None
    """When `connected` last changed; None where it never came."""

    protocol: str
    made_by: str
    connections: int
    refused: int
    """Messages that could not be read."""

    fault: str
    points: tuple[PointShown, ...]
