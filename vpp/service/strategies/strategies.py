"""The strategies of a park: what stands in their file, checked, and the terms that they ask together.

entries, highest priority first ─▶ compose ─▶ terms of one view
members ─▶ who is not steered, and not called, and when
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vpp.model.hours import Hours
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.members import MemberRule
from vpp.model.park import Park
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.park.calendars import ParkCalendars
from vpp.service.strategies import compose
from vpp.service.strategies.schema import StrategiesSection, StrategySection
from vpp.service.strategies.wiring import Settings


def version_of(text: str) -> str:
    """The version of a strategy file: 12 hex digits of its text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """The park that a strategy file is held against."""

    park: Park
    calendars: ParkCalendars
    tags: Mapping[str, frozenset[str]]
    """By the id of an enterprise or a resource; a resource has those of its enterprise too."""

    folder: Path
    """Where the park file lies."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One strategy of the file, with what its scope means in this park."""

    name: str
    use: str
    priority: int
    settings: Settings
    overrides: Mapping[EnterpriseId, Settings]
    """Whole settings of the enterprises for which some differ."""

    hours: tuple[Hours, ...]
    """Any of which must hold; none where it holds always."""

    points: frozenset[ConnectionPointId]
    resources: frozenset[ResourceId]
    """Where it may hold."""

    section: StrategySection
    """As it was written."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strategies:
    """A strategy file that holds for its park."""

    version: str
    """Of its text (`version_of`): stamped on plans, bids and set-points."""

    text: str
    """The file itself."""

    given: bool
    """Whether the park names a strategy file; one that does not has what every park needs alone."""

    path: Path | None
    """Where it was read; None where it came from elsewhere, or there is none."""

    section: StrategiesSection
    """As it was written."""

    entries: tuple[Entry, ...]
    """Highest priority first."""

    members: Mapping[EnterpriseId, MemberRule]
    """Enterprises that have agreed to something else than to take part in everything, always."""

    ground: Ground = field(repr=False)

    def member(self, name: EnterpriseId) -> MemberRule:
        """What a member has agreed to."""
        return self.members.get(name) or MemberRule(enterprise_id=name)

    def terms(self, view: PlanningView) -> tuple[Term, ...]:
        """What all strategies ask together of a view, and what every park needs."""
        return compose.terms(self.entries, view, self.ground.calendars.park)
