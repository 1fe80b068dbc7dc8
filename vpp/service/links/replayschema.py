"""The park file's section `replays`: recordings that are told in place of devices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vpp.service.links.deviceschema import MapName
from vpp.service.links.payloadschema import GatewayDeviceSection
from vpp.service.park.schematypes import FileName, Id, Section


class ReplaySection(Section):
    """A CSV file of recorded telemetry."""

    id: Id
    file: FileName
    """Beside the park file or absolute; UTF-8, the first line names the columns."""
    map: MapName = "recorded"
    """What the columns mean: a map that is shipped, by its name, or a file beside the park file."""
    delimiter: Literal[",", ";", "\t"] = ","
    moved: Literal["weeks", "days", "start"] = "weeks"
    """How recorded times come to the present: by whole weeks or days, or the first row at the start."""
    devices: Annotated[list[GatewayDeviceSection], Field(min_length=1, max_length=10_000)]
