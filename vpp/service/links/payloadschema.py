"""The park file's section `mqtt_gateways`, and the file that says how a gateway speaks: shape and ranges.

    mqtt_gateways: [{id, map, broker, devices: [{resource, names}]}]     config/devices/mqtt/NAME.yaml
                         └────────────────────────────▶ incoming, command, answer, sources

What joins them with the park is in `gatewaychecks.py`; how a map becomes a noun in `payloadmaps.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from vpp.model.payloads import COMMAND_NAMES, EXPIRY_NAMES, placeholders
from vpp.service.links.deviceschema import Counts, MapName
from vpp.service.park.schematypes import Id, Section, Text, Zone
from vpp.service.park.templates import Origin
from vpp.service.secretfiles import SecretSection

Path = Annotated[str, StringConstraints(max_length=300)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w{0,39}$")]
Scalar = str | int | float | bool
Values = Annotated[list[Scalar], Field(min_length=1, max_length=50)]
Scale = Annotated[float, Field(ge=-1e12, le=1e12)]

TelemetryPoint = Literal[
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
    "setpoint_kw",
]
"""Fields of the telemetry that we speak inside, and the set-point that the device says it was told."""


class TimeSection(Section):
    """Where a message says when it was measured."""

    path: Path
    form: Literal["iso", "unix_s", "unix_ms", "pattern"] = "iso"
    pattern: Annotated[str, StringConstraints(max_length=60)] = ""
    """As of Python's strptime, such as "%y%m%d%H%M%S"."""
    zone: Zone | None = None
    """Of clock times that name none; left out: each must name its own."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.form == "pattern") != bool(self.pattern):
            raise ValueError("`pattern` belongs to form: pattern, and to no other")
        if self.form == "pattern" and self.zone is None and "%z" not in self.pattern:
            raise ValueError("say with `zone` whose clock this is")
        return self


class QualitySection(Section):
    """Where a message says how good it is; what is in neither list is bad."""

    path: Path
    good: Values
    uncertain: Annotated[list[Scalar], Field(max_length=50)] = Field(default_factory=list)


class PointSection(Section):
    """Where a number stands and what it means."""

    path: Path
    scale: Scale = 1.0
    """Our unit (kW, kWh, Wh, degC, 1 for soc) for each of theirs."""
    counts: Counts = "feed"
    """Which direction is positive there."""
    when: Annotated[dict[Name, Text], Field(max_length=5)] = Field(default_factory=dict)
    """Names that a message must carry for this point, where one topic brings several."""
    unknown: Annotated[list[Scalar], Field(max_length=10)] = Field(default_factory=list)
    """What it holds where the device does not know."""


class IncomingSection(Section):
    """Messages of one topic."""

    topic: Pattern
    """Levels with /; {name} takes one and keeps it, + takes one, # the rest."""
    each: Path | None = None
    """An array in the message whose elements are read one by one; paths start at the element."""
    names: Annotated[dict[Name, Path], Field(max_length=10)] = Field(default_factory=dict)
    """Further names, out of the element or the message around it."""
    time: TimeSection | None = None
    """Left out: they do not say, and the time of receipt counts."""
    seq: Path | None = None
    """A number that rises with each message; left out: there is none."""
    quality: QualitySection | None = None
    points: Annotated[dict[TelemetryPoint, PointSection], Field(min_length=1)]


class CommandSection(Section):
    """How a set-point is said."""

    topic: Pattern
    payload: Any
    """JSON; texts may hold names in braces: {power}, {command_id}, {seq}, {issued_at}, {expires_at},
    {expires_unix_s}, {expires_in_s}, and those of the device."""
    scale: Scale = 1.0
    """kW for each of theirs, as of a point."""
    counts: Counts = "feed"
    release: Any = None
    """What lets the device go, where it does not by itself."""
    without_expiry: Text | None = None
    """What the device does when we fall silent, in words, where commands carry no expiry."""
    tolerance_kw: Annotated[float, Field(ge=0, le=1e6)] = 0.1
    """How far a set-point that is read back may lie from the one sent."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """Of HTTP, where devices are asked."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.scale == 0:
            raise ValueError("scale is 0: nothing could be said")
        said = set(placeholders(self.payload))
        if "power" not in said:
            raise ValueError("the payload never says {power}")
        expires = bool(said & EXPIRY_NAMES)
        if expires != (self.without_expiry is None):
            raise ValueError(
                "give the payload an expiry ({expires_in_s}, {expires_at} or {expires_unix_s}), or say"
                " with `without_expiry` what the device does when we fall silent"
            )
        if not expires and self.release is None:
            raise ValueError("without an expiry, say with `release` what lets the device go")
        return self


class AnswerSection(Section):
    """How a device says that it took a command, or refuses."""

    topic: Pattern
    names: Annotated[dict[Name, Path], Field(max_length=10)] = Field(default_factory=dict)
    command_id: Path | None = None
    """Left out: the newest command to that device is meant."""
    accepted: Path
    values: Values
    """What stands there where the command was taken."""
    reason: Path | None = None


class PayloadMapSection(Section):
    """One kind of gateway."""

    payloads: Id
    """The file's own name."""
    name: Text
    device_by: Annotated[list[Name], Field(min_length=1, max_length=5)]
    """The names that tell which device a message is of."""
    incoming: Annotated[list[IncomingSection], Field(min_length=1, max_length=20)]
    command: CommandSection | None = None
    """Left out: devices that are only read."""
    answer: AnswerSection | None = None
    hold_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """How long a point that came alone may be told along with a later one."""
    frozen_after: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """So many times the very same points, with a power that is not 0, and they are bad. Needed where
    messages do not say when they were measured."""
    sources: Annotated[dict[str, Origin], Field(min_length=1)]
    """Where `incoming`, `command` and `answer` are from."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        untimed = any(one.time is None for one in self.incoming)
        if untimed and self.frozen_after is None:
            raise ValueError(
                "messages without a `time`: say with `frozen_after` how often the same may come"
            )
        if self.answer is not None and self.command is None:
            raise ValueError("an answer to commands that are not there")
        if self.command is not None:
            known = COMMAND_NAMES | set(self.device_by)
            said = {*placeholders(self.command.topic), *placeholders(self.command.payload)}
            said |= set(placeholders(self.command.release))
            if unknown := sorted(said - known):
                raise ValueError(f"nobody knows {unknown} of a command; known: {sorted(known)}")
        return self


class BrokerSection(Section):
    """A broker of its own for these gateways."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: SecretSection | None = None
    password: SecretSection | None = None


class GatewayDeviceSection(Section):
    """A resource or a main meter behind the gateway."""

    resource: Id
    """Id of a resource or a main meter of the park."""
    names: Annotated[dict[Name, Text], Field(min_length=1, max_length=10)]
    """What its messages call it: a value for each of the map's `device_by`."""
    read_only: bool = True
    """True: nothing is ever published to it."""


class MqttGatewaySection(Section):
    """Gateways of one kind on one broker, that do not speak our words."""

    id: Id
    map: MapName
    """A map that is shipped, by its name, or a file beside the park file that ends in .yaml."""
    broker: BrokerSection | None = None
    """Left out: they speak to the park's own broker."""
    devices: Annotated[list[GatewayDeviceSection], Field(min_length=1, max_length=10_000)]
