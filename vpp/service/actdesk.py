"""What steering remembers from one act cycle to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from vpp.act.correct import Memory
from vpp.act.health import Health
from vpp.act.merit import Order
from vpp.act.share import steps_of_movers
from vpp.act.spread import Spread
from vpp.act.steps import Steps
from vpp.act.units import Units
from vpp.clock import Nudge
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Park


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spreading:
    """Many that move one after the other."""

    since: datetime
    starts: Spread
    before_kw: Floats
    """What each was told before, shape (N,); NaN: nothing, so it need not wait."""


@dataclass(slots=True, kw_only=True)
class ActDesk:
    """Filled from the journal where it must outlive the process; all else begins again."""

    health: Health
    """Who is left out for a while."""

    steps: Steps
    """What those can do at all that may be moved."""

    lots: np.random.Generator
    memory: Memory = field(default_factory=Memory)
    """Of the correction by the main meters."""

    order: Order | None = None
    """Of those that were shared among last."""

    spreading: Spreading | None = None
    short_told: bool = False
    """Whether it was said that what is owed finds nobody."""

    refused: set[ResourceId] = field(default_factory=set)
    """Who refused a command, or could not be told one, since the last look."""

    nudge: Nudge = field(default_factory=Nudge)
    """Asks for an act cycle at once."""

    overrides: dict[ResourceId, HeldOverride] = field(default_factory=dict)
    """The newest of each resource, those that are over too."""

    overrides_made: int = 0

    @classmethod
    def of(cls, park: Park, units: Units, seed: int) -> ActDesk:
        """A desk that knows nothing yet; `seed` is of the lots that are drawn."""
        return cls(
            health=Health.well(len(units)),
            steps=steps_of_movers(park, units),
            lots=np.random.default_rng(seed),
        )
