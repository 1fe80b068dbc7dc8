"""What steering remembers from one act cycle to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from vpp.clock import Nudge
from vpp.model.ids import ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOverride:
    """A resource in an operator's hand (`overrides.py`)."""

    resource_id: ResourceId
    number: int
    """Rises with every override of this park."""

    low_kw: float
    high_kw: float
    """Net injection; both the same where one power was asked for."""

    since: datetime
    until: datetime
    by: str
    reason: str
    ended: bool = False
    """Given back before its time."""

    told_over: bool = False

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return not self.ended and self.since <= now < self.until


@dataclass(slots=True, kw_only=True)
class ActDesk:
    """Filled from the journal where it must outlive the process; all else begins again."""

    nudge: Nudge = field(default_factory=Nudge)
    """Asks for an act cycle at once."""

    overrides: dict[ResourceId, HeldOverride] = field(default_factory=dict)
    """The newest of each resource, those that are over too."""

    overrides_made: int = 0
