"""What steering remembers from one act cycle to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from vpp.act.correct import Memory
from vpp.act.follow import Patience
from vpp.act.health import Health
from vpp.act.merit import Order
from vpp.act.results import Result
from vpp.act.share import steps_of_movers
from vpp.act.spread import Spread
from vpp.act.steps import Steps
from vpp.act.units import Codes, Units
from vpp.clock import Nudge
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.service.steering.schema import ControlSettings
from vpp.service.steering.steered import Steered


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


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """Of N resources; arrays of shape (N,), times in seconds since 1970."""

    asked_kw: Floats
    """NaN where nothing is asked."""

    from_kw: Floats
    """What it did when it was told."""

    due_s: Floats
    """When its delay and ramp are over: what it does from then on counts."""

    kw_seconds: Floats
    seconds: Floats
    closed_s: Floats
    """When a result was last told of each: not twice at one moment."""

    looked_s: float = 0.0
    commands: dict[int, str] = field(default_factory=dict)
    """Ids of the commands that began each instruction."""

    issued_at: dict[int, datetime] = field(default_factory=dict)
    """When those were issued."""

    newest: dict[ResourceId, Result] = field(default_factory=dict)

    @classmethod
    def of(cls, units: Units) -> Account:
        """Nothing was told yet."""
        n = len(units)
        return cls(
            asked_kw=np.full(n, np.nan),
            from_kw=np.zeros(n),
            due_s=np.full(n, np.inf),
            kw_seconds=np.zeros(n),
            seconds=np.zeros(n),
            closed_s=np.full(n, -np.inf),
        )


def patience_of(control: ControlSettings) -> Patience:
    """When a device counts as following, as the park file says it; what is not sent again is no fault."""
    asked = control.following
    return Patience(
        tolerance_kw=max(asked.tolerance_kw, control.deadband_kw),
        tolerance_share=asked.tolerance_share,
        settle_s=asked.settle_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """How much each was expected to do, and how that is known; arrays of shape (N,)."""

    by: Codes
    """0: by the plan, for nobody hears it; 1: by its reading; 2: by its command."""
    power_kw: Floats


@dataclass(slots=True, kw_only=True)
class ActDesk:
    """Filled from the journal where it must outlive the process; all else begins again."""

    health: Health
    """Who is left out for a while."""

    steps: Steps
    """What those can do at all that may be moved."""

    lots: np.random.Generator
    account: Account
    """What comes of each instruction."""

    memory: Memory = field(default_factory=Memory)
    """Of the correction by the main meters."""

    known: Known | None = None
    """Of the last cycle."""

    order: Order | None = None
    """Of those that were shared among last."""

    steered: Steered | None = None
    """How the newest cycle came to what it told."""

    winners: dict[ResourceId, tuple[str, str]] = field(default_factory=dict)
    """Resources that neither award nor plan decides: by whom, and in what words."""

    spreading: Spreading | None = None
    left_kw: float = 0.0
    """Of what is owed, what nobody had room for in the newest cycle."""

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
            account=Account.of(units),
        )
