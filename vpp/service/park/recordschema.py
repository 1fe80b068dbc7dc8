"""The section `record` of a park file: how long the bulky part of the record is at hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from vpp.service.park.schematypes import Section


class RecordSection(Section):
    """What journal and historian hold at hand; nothing of it is ever thrown away."""

    keep_days: Annotated[int, Field(ge=8, le=3660)] = 93
    """Set-points, reports that were sent, reasons of bids and what dispatch centres wrote; then they go into `archive/` in
    the data folder."""

    telemetry_days: Annotated[int, Field(ge=63, le=3660)] = 400
    """Readings and meter registers; a service that begins takes up those of the last 62 days."""

    @property
    def keep_telemetry(self) -> timedelta:
        return timedelta(days=self.telemetry_days)

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.keep_days)
