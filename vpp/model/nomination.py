"""The schedule that a unit announces for one day (日计划申报, Fahrplan), and what is confirmed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from vpp.model.ids import UnitId
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomination:
    """One version for one delivery day; a higher one takes its place."""

    unit_id: UnitId
    day: date
    """Local."""
    version: int
    nominated_mw: Mapping[Interval, Decimal]
    """Mean net injection, by quarter-hour of the day, in order."""

    @property
    def nomination_id(self) -> str:
        """Of all versions together."""
        return f"{self.unit_id}.{self.day:%Y%m%d}"

    @property
    def name(self) -> str:
        """Of this version, as its file is called."""
        return f"{self.nomination_id}.v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedSchedule:
    """What whoever takes nominations says that it holds."""

    nomination_id: str
    version: int
    confirmed_mw: Mapping[Interval, Decimal]
    where: str
    """File, or the API."""
