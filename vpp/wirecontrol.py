"""Messages of the HTTP contract about steering: an operator's override, and how each resource is steered.

Powers are kW net injection, times ISO 8601 with a zone. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from vpp.wire import Moment, WireModel

SourceName = Literal["protection", "grid", "override", "award", "strategy"]


class OverrideRequest(WireModel):
    """Take a resource in hand for a while: a power, or the bounds within which the service goes on."""

    power_kw: float | None = Field(default=None, allow_inf_nan=False)
    low_kw: float | None = Field(default=None, allow_inf_nan=False)
    """It must not be steered below; left out: as low as it can."""
    high_kw: float | None = Field(default=None, allow_inf_nan=False)
    end: Moment | None = None
    for_minutes: float | None = Field(default=None, gt=0, le=44_640, allow_inf_nan=False)
    """In place of `end`: from now on."""
    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)

    @model_validator(mode="after")
    def _says_what_and_how_long(self) -> OverrideRequest:
        if (self.power_kw is None) == (self.low_kw is None and self.high_kw is None):
            raise ValueError("give power_kw, or low_kw and high_kw (one of them at least)")
        if self.low_kw is not None and self.high_kw is not None and self.low_kw > self.high_kw:
            raise ValueError(f"low_kw {self.low_kw} is above high_kw {self.high_kw}")
        if (self.end is None) == (self.for_minutes is None):
            raise ValueError("give end or for_minutes")
        return self


class OverrideView(WireModel):
    """An override, and whether it holds."""

    resource_id: str
    low_kw: float
    high_kw: float
    """As `low_kw` where one power was given."""
    since: datetime
    until: datetime
    by: str
    reason: str
    state: Literal["in_force", "ended", "expired"]
