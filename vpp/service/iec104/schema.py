"""The park file's section `iec104`: stations that a dispatch centre reads and commands, and devices that we do.

    iec104: [{role: station, id, masters, points, orders}]        a dispatch centre connects to us
            [{role: client, id, host, devices}]                   we connect to remote terminal units

Shape and ranges; what joins them with the park is in `checks.py`.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from vpp.model.telecontrol import LinkTiming, Pace
from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Id, Positive, Section, Size, Zone


def _an_address(text: str) -> str:
    ip_address(text)
    return text


def _number(given: Any) -> Any:
    """An address as point tables show it: 0x4001."""
    return int(given, 16) if isinstance(given, str) and _HEX.fullmatch(given) else given


_HEX = re.compile(r"0x[0-9a-fA-F]{1,6}")
ShortId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,20}$")]
"""With an object address behind it, it is still an id."""
Ip = Annotated[str, AfterValidator(_an_address)]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
_Hex = Annotated[str, StringConstraints(pattern=rf"^{_HEX.pattern}$")]
ObjectAddress = Annotated[
    int, BeforeValidator(_number, json_schema_input_type=int | _Hex), Field(ge=1, le=0xFFFFFF)
]
"""An editor that reads the JSON Schema takes both ways of writing it too."""
CommonAddress = Annotated[int, Field(ge=1, le=65_534)]
Counts = Literal["feed", "draw"]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Value = Annotated[float, Field(ge=-1e12, le=1e12)]

PlantPoint = Literal[
    "park_power",
    "sum_power",
    "reactive",
    "up",
    "down",
    "planned",
    "owed",
    "all_well",
    "killed",
    "links_up",
]
ResourcePoint = Literal[
    "resource_power",
    "resource_reactive",
    "resource_soc",
    "resource_available",
    "resource_heard",
    "resource_follows",
]
STATES = frozenset({"all_well", "killed", "links_up", "resource_heard", "resource_follows"})
"""Points that are on or off."""
SHARES = frozenset({"resource_soc"})
"""Points without a direction."""


class TimingSection(Section):
    """Parameters of IEC 60870-5-104; the other side must be set to the same k and w, or wider."""

    k: Annotated[int, Field(ge=1, le=32_767)] = 12
    w: Annotated[int, Field(ge=1, le=32_767)] = 8
    t0_s: Annotated[float, Field(gt=0, le=255)] = 30.0
    t1_s: Annotated[float, Field(gt=0, le=255)] = 15.0
    t2_s: Annotated[float, Field(gt=0, le=255)] = 10.0
    t3_s: Annotated[float, Field(gt=0, le=172_800)] = 20.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.t2_s >= self.t1_s:
            raise ValueError("t2_s is not below t1_s: the other side would end the connection")
        if self.w * 3 > self.k * 2:
            raise ValueError("w is above two thirds of k: both sides could wait for each other")
        return self

    def noun(self) -> LinkTiming:
        """As adapters take it."""
        return LinkTiming(
            k=self.k, w=self.w, t0_s=self.t0_s, t1_s=self.t1_s, t2_s=self.t2_s, t3_s=self.t3_s
        )


# ---------------------------------------------------------------- towards a dispatch centre


class MasterSection(Section):
    """A controlling station that may connect."""

    host: Ip
    """The address that its connections come from."""
    may_order: bool = False
    """False: it reads, and every order is refused."""


class PointSection(Section):
    """One row of the point table: what is shown at an address."""

    ioa: ObjectAddress
    what: PlantPoint | ResourcePoint | Literal["order"]
    """Powers of the park and of resources, states, or the order that stands at another address."""
    resource: Id | None = None
    order: ObjectAddress | None = None
    """Of `order`: the address that is written."""
    scale: Positive = 1.0
    """kW for each count: 1000 tells megawatts. Of soc: 0.01 tells per cent."""
    counts: Counts = "feed"
    """Which direction is positive at the dispatch centre."""
    dead_band: Size = 0.0
    """In the unit that is told: a value that moved by more is told at once."""
    cyclic_s: Seconds | None = None
    """How often it is told besides; left out: only when it changes."""

    @property
    def is_state(self) -> bool:
        return self.what in STATES

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.resource is None) == self.what.startswith("resource_"):
            raise ValueError("`resource` belongs to what begins with resource_, and to no other")
        if (self.order is None) == (self.what == "order"):
            raise ValueError("`order` belongs to what: order, and to no other")
        return self


class _OrderSection(Section):
    ioa: ObjectAddress
    pace: Literal["select", "direct", "either"] = "select"
    """select: only after a selection; direct: only without; either: both."""
    scale: Positive = 1.0
    """kW for each count of a set-point."""
    hold_minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    """How long an order stands that is not given again."""

    @property
    def how(self) -> Pace:
        return Pace(self.pace)


class LimitSection(_OrderSection):
    """A set-point that limits a place, or a switch that does: a limit order of this park."""

    what: Literal["limit"]
    place: Id
    """The park, a feeder, an enterprise or a connection point."""
    side: Literal["import", "export"]
    switch_kw: Size | None = None
    """Given: the point is a single command; on limits the place to this, off withdraws it."""
    priority: Annotated[int, Field(ge=0, le=100)] = 0
    orderly_use: bool = False


class ActivationSection(_OrderSection):
    """A set-point that calls for power: an activation of a product."""

    what: Literal["activation"]
    product: ProductName
    unit: Id | None = None
    counts: Counts = "feed"
    """Which direction is positive at the dispatch centre."""
    meaning: Literal["change", "net"] = "change"
    """change: against what is planned; net: the power of the whole park."""
    most_kw: Positive
    """A set-point beyond it, either way, is refused."""


AnyOrder = Annotated[LimitSection | ActivationSection, Field(discriminator="what")]


class StationSection(Section):
    """A controlled station: a dispatch centre connects to it."""

    role: Literal["station"]
    id: ShortId
    host: Ip = "127.0.0.1"
    """Address of this machine that it listens at. 104 knows no passwords: keep it in a network of its own."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 2404
    common_address: CommonAddress = 1
    timezone: Zone | None = None
    """Of time tags; left out: the park's."""
    masters: Annotated[list[MasterSection], Field(min_length=1, max_length=20)]
    timing: TimingSection = TimingSection()
    select_s: Seconds = 10.0
    """How long a selection lives."""
    clock_tolerance_s: Seconds = 1.0
    """A master's clock that is off by more is told, and its synchronisation refused."""
    orders_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 300
    """Of one master: more are refused, each of them costs a write to the disk."""
    cyclic_time: bool = False
    """Cyclic measurements with their time, which the standard does not foresee and some centres ask for."""
    scan_s: Annotated[float, Field(ge=0.05, le=3600)] = 1.0
    """How often the plant is looked at for what has moved."""
    meters_max_age_s: Seconds = 60.0
    """A main meter that was not heard for so long makes the park's power not topical."""
    points: Annotated[list[PointSection], Field(min_length=1, max_length=20_000)]
    orders: Annotated[list[AnyOrder], Field(max_length=200)] = Field(default_factory=list)


# ---------------------------------------------------------------- towards devices

DevicePoint = Literal[
    "power_kw",
    "energy_kwh",
    "soc",
    "temperature_degc",
    "available_kw",
    "hours_on_today",
    "done_kwh",
    "discharged_today_kwh",
    "reactive_kvar",
    "import_wh",
    "export_wh",
]


class ReadSection(Section):
    """Where a device's value stands."""

    ioa: ObjectAddress
    scale: Annotated[float, Field(ge=-1e12, le=1e12)] = 1.0
    """Our unit (kW, kWh, Wh, degC, 1 for soc) for each count."""
    counts: Counts = "feed"


class SetpointSection(Section):
    """What is written for a set-point, and how the device is let go."""

    ioa: ObjectAddress
    scale: Positive = 1.0
    """kW for each count."""
    counts: Counts = "feed"
    pace: Literal["select", "direct"] = "select"
    enable_ioa: ObjectAddress | None = None
    """A single command that is switched on after the set-point, and off to let the device go."""
    released: Value | None = None
    """What is written to let the device go where it has no such command; in counts."""
    reads_at: ObjectAddress | None = None
    """Where the device shows the set-point it holds."""
    tolerance: Size = 0.001
    """How far that may lie from what was written, in counts."""

    @model_validator(mode="after")
    def _can_be_let_go(self) -> Self:
        if self.enable_ioa is None and self.released is None:
            raise ValueError("nothing lets the device go: give enable_ioa or released")
        return self


class DeviceSection(Section):
    """A resource or a main meter behind the station."""

    resource: Id
    points: Annotated[dict[DevicePoint, ReadSection], Field(min_length=1)]
    setpoint: SetpointSection | None = None
    """Left out: nothing is ever written to it."""

    @model_validator(mode="after")
    def _has_power(self) -> Self:
        if "power_kw" not in self.points:
            raise ValueError("a device must tell power_kw")
        return self


class ClientSection(Section):
    """A remote terminal unit that we connect to."""

    role: Literal["client"]
    id: ShortId
    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] = 2404
    common_address: CommonAddress = 1
    originator: Annotated[int, Field(ge=0, le=255)] = 0
    timezone: Zone | None = None
    """Of its time tags; left out: the park's."""
    timing: TimingSection = TimingSection()
    interrogate_s: Seconds = 15.0
    """How often all its points are asked for; between, it tells what changes."""
    report_s: Annotated[float, Field(ge=0.01, le=3600)] = 1.0
    """A device's values are told inward no more often."""
    answer_s: Seconds = 5.0
    """How long a command may go without its confirmation."""
    devices: Annotated[list[DeviceSection], Field(min_length=1, max_length=10_000)]


AnyStation = Annotated[StationSection | ClientSection, Field(discriminator="role")]
