"""The section `record` of a park file: how long bulky entries stay in the journal."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from vpp.service.park.schematypes import Section


class RecordSection(Section):
    """What the journal holds at hand; nothing of it is ever thrown away."""

    keep_days: Annotated[int, Field(ge=8, le=3660)] = 93
    """Set-points, reports that were sent and the reasons of bids; then they go into `archive/` in the data folder."""

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.keep_days)
