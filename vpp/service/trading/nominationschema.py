"""`nominations` of a park file: which units announce a schedule, when, where to, and by when it is confirmed."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from vpp.service.park.schematypes import FileName, Id, LocalTime, Section


class NominationSection(Section):
    """A schedule for each delivery day of one unit, as a file."""

    unit: Id
    basis: Literal["owed", "planned"] = "owed"
    """owed: what is sold and called (a Fahrplan). planned: what the plan means to feed (日计划申报)."""
    days_before: Annotated[int, Field(ge=0, le=7)] = 1
    at: LocalTime
    """The first version is made at this time of the park's clock, so many days before the delivery."""
    follows: bool = True
    """A new version as soon as what is ahead of a day has changed."""
    confirm_within_minutes: Annotated[int, Field(ge=1, le=2880)] = 60
    """A version that is not confirmed by then raises an alarm."""
    outbox: FileName
    """Folder for nominations, beside the park file."""
    inbox: FileName
    """Folder that confirmations are put into."""
    max_bytes: Annotated[int, Field(ge=1000, le=100_000_000)] = 2_000_000
    """Of one confirmation."""

    @property
    def confirm_within(self) -> timedelta:
        return timedelta(minutes=self.confirm_within_minutes)
