"""The section `telemetry` of a park file: how much one device may send, and how much nonsense is listened to."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from vpp.sense.quarantine import Patience
from vpp.service.park.schematypes import Section

ShutOut = Annotated[float, Field(ge=1, le=86_400)]


class TelemetrySection(Section):
    """What comes in over MQTT in our own words."""

    messages_per_s: Annotated[float, Field(gt=0, le=10_000)] = 20.0
    """Of one topic; what is more waits behind all others, and is what gives way first."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Of one topic at once, after a silence."""
    unreadable: Annotated[int, Field(ge=1, le=100_000)] = 20
    """So many messages of one topic in a row that cannot be read, and it is not read for a while."""
    shut_out_s: ShutOut = 60.0
    """For so long at first, and twice as long each time it is still bad."""
    longest_shut_out_s: ShutOut = 900.0

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.longest_shut_out_s < self.shut_out_s:
            raise ValueError("longest_shut_out_s is below shut_out_s")
        return self

    def patience(self) -> Patience:
        return Patience(
            unreadable=self.unreadable,
            first=timedelta(seconds=self.shut_out_s),
            longest=timedelta(seconds=self.longest_shut_out_s),
        )
