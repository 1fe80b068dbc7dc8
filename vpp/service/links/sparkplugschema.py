"""The park file's section `sparkplug`: devices behind edge nodes of Sparkplug B.

    sparkplug: [{id, group, broker, devices: [{resource, node, device, points, setpoint}]}]

What joins it with the park is in `sparkplugchecks.py`.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from vpp.service.iec104.schema import DevicePoint
from vpp.service.links.deviceschema import Counts
from vpp.service.links.payloadschema import BrokerSection
from vpp.service.park.schematypes import Id, Positive, Section, Size, Text

Word = Annotated[str, StringConstraints(pattern=r"^[^/+#\x00-\x1f]{1,200}$")]
"""A level of a topic."""
MetricName = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class MetricSection(Section):
    """A metric that is read."""

    metric: MetricName
    """Its name, as the birth has it."""
    scale: Annotated[float, Field(ge=-1e12, le=1e12)] = 1.0
    """Our unit (kW, kWh, Wh, degC, 1 for soc) for each of theirs."""
    counts: Counts = "feed"
    """Which direction is positive there."""


class SparkplugSetpointSection(Section):
    """What is written for a set-point, and how the device is let go."""

    metric: MetricName
    """Where the set-point is written, and shown by the device when it has taken it."""
    scale: Positive = 1.0
    """kW for each of theirs."""
    counts: Counts = "feed"
    tolerance: Size = 0.001
    """How far what it shows may lie from what was written, in its own unit."""
    ends_in_s: MetricName | None = None
    """A metric that takes for how many seconds the set-point holds: the device falls back by itself then."""
    without_expiry: Text | None = None
    """Needed where there is none: who sees to it that the device falls back when this service is gone."""
    enable: MetricName | None = None
    """A metric that is written true with each set-point, and false to let the device go."""
    released: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    """What is written to `metric` to let the device go, in its own unit."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.ends_in_s is None) == (self.without_expiry is None):
            raise ValueError(
                "give ends_in_s, or say with without_expiry who lets the device go when we are gone"
            )
        if self.ends_in_s is None and self.enable is None and self.released is None:
            raise ValueError("nothing lets the device go: give ends_in_s, enable or released")
        return self


class SparkplugDeviceSection(Section):
    """A resource or a main meter behind an edge node."""

    resource: Id
    node: Word
    device: Word | None = None
    """Left out: the metrics of the node itself."""
    points: Annotated[dict[DevicePoint, MetricSection], Field(min_length=1)]
    setpoint: SparkplugSetpointSection | None = None
    """Left out: nothing is ever written to it."""

    @model_validator(mode="after")
    def _has_power(self) -> Self:
        if "power_kw" not in self.points:
            raise ValueError("a device must tell power_kw")
        return self


class SparkplugSection(Section):
    """The edge nodes of one group, at one broker."""

    id: Id
    group: Word
    broker: BrokerSection | None = None
    """Left out: they speak to the park's own broker."""
    ask_s: Annotated[float, Field(ge=5, le=86_400)] = 60.0
    """A node of which a device has not told its power for so long is asked to be born again."""
    devices: Annotated[list[SparkplugDeviceSection], Field(min_length=1, max_length=10_000)]
