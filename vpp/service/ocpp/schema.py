"""The park file's section `ocpp`: charging stations that connect to us, and the car parks they are.

    ocpp: [{id, listen, car_parks: [{resource, kind, stations: [{id, password}]}]}]

    wss://HOST:PORT/ocpp/STATION      subprotocol ocpp1.6 or ocpp2.0.1, basic authentication STATION:password

Shape and ranges; what joins them with the park is in `checks.py`. A kind of station is a file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from vpp.model.charging import Wish
from vpp.service.links.deviceschema import MapName
from vpp.service.listenerschema import ListenSection
from vpp.service.park.schematypes import Id, LocalTime, Positive, Section, Size, Text
from vpp.service.park.templates import Origin
from vpp.service.secretfiles import SecretSection

StationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*+=|@._-]{1,48}$")]
"""What OCPP allows, without the colon, which ends the user's name in basic authentication."""
Card = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,36}$")]


class StationKindSection(Section):
    """A kind of station: what is the same for all of one make."""

    station: Id
    """The file's own name."""
    name: Text
    points: Annotated[int, Field(ge=1, le=20)] = 1
    """Places where one car charges: connectors in 1.6, EVSEs in 2.0.1."""
    max_kw: Positive
    """The most one point draws."""
    min_kw: Size
    """Below it no car charges; a lower limit is told as 0."""
    phases: Literal[1, 3] = 3
    voltage_v: Annotated[float, Field(ge=100, le=1000)] = 230.0
    """Between a phase and neutral."""
    unit: Literal["W", "A"]
    """What its limits are told in."""
    safe_kw: Size | None = None
    """What a point may draw where no limit of ours is in force, told to the station after each boot.
    Left out: what its installer has set holds."""
    sources: dict[str, Origin]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_kw <= self.max_kw:
            raise ValueError("min_kw is above max_kw")
        if self.safe_kw is not None and self.safe_kw > self.max_kw:
            raise ValueError("safe_kw is above max_kw")
        return self


class WishSection(Section):
    """What is assumed of a car that does not say it."""

    wanted_kwh: Annotated[float, Field(ge=0, le=1000)]
    stay_minutes: Annotated[int, Field(ge=15, le=10_080)] | None = None
    leaves: LocalTime | None = None
    """The next time that the clock shows this; one of both."""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.stay_minutes is None) == (self.leaves is None):
            raise ValueError("give either stay_minutes or leaves")
        return self

    def noun(self, *, exact: bool) -> Wish:
        """As the link takes it."""
        stay = None if self.stay_minutes is None else timedelta(minutes=self.stay_minutes)
        return Wish(wanted_kwh=self.wanted_kwh, stay=stay, leaves=self.leaves, exact=exact)


class DriverSection(WishSection):
    """A card whose holder said what he wants."""

    card: Card


class StationSection(Section):
    """One charging station."""

    id: StationId
    kind: MapName | None = None
    """Left out: that of the car park."""
    password: SecretSection | None = None
    """Of basic authentication; its user is the id. Left out: nobody is asked, on loopback alone."""


class CarParkSection(Section):
    """An EV fleet of the park, and the stations it is."""

    resource: Id
    kind: MapName
    """A kind that is shipped, by its name, or a file beside the park file that ends in .yaml."""
    cars: WishSection
    """What is assumed of a car; one that still draws when it has got it is taken to want more."""
    drivers: Annotated[list[DriverSection], Field(max_length=1000)] = Field(default_factory=list)
    only_drivers: bool = False
    """True: a card that is not among them is refused."""
    read_only: bool = True
    """True: no limit, no default and no setting ever leaves for its stations."""
    stations: Annotated[list[StationSection], Field(min_length=1, max_length=90)]


class OcppSection(Section):
    """A central system that charging stations connect to."""

    id: Id
    listen: ListenSection
    heartbeat_s: Annotated[int, Field(ge=10, le=86_400)] = 60
    sample_s: Annotated[int, Field(ge=1, le=3600)] = 10
    """How often a station tells its meters while a car charges."""
    report_s: Annotated[float, Field(ge=0.05, le=3600)] = 10.0
    """How often a car park is told inward."""
    answer_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """How long a station may take to answer."""
    boots_per_hour: Annotated[int, Field(ge=1, le=1000)] = 6
    """A station that boots more often is put off, each time for longer, and told."""
    read_back_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How often a station is asked what limit it goes by."""
    settle_s: Annotated[float, Field(ge=1, le=600)] = 30.0
    """How long after a limit a car may still draw more."""
    messages_per_s: Annotated[float, Field(ge=1, le=10_000)] = 50.0
    """Of one station; more of them wait in the line."""
    car_parks: Annotated[list[CarParkSection], Field(min_length=1, max_length=1000)]
