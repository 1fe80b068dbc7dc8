"""What the planner answers: a schedule with its reasons, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import inf
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.bidcurve import BidCurves
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ConnectionPointId, NodeId, ProductId, ResourceId
from vpp.model.rows import Rows
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """How far a limit gives way, or would have to: at most in any step of the span, in its own unit."""

    limit: str
    most: float
    span: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LimitPrice:
    """What a limit that binds costs: the change of cost for one kW (or kWh) more of it."""

    limit: str
    """In the words of the park file: `feeder feeder-north: import_kw`, `bess-1: max_charge_kw`."""

    per_unit: Floats
    """In the park's currency, shape (T,), 0 in steps where it does not bind. Never above 0: more
    room never costs more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the programme was."""

    columns: int
    rows: int
    nonzeros: int
    binaries: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reserve:
    """What one product's headroom looks like, shapes (T,)."""

    kept_kw: Mapping[ResourceId, Floats]
    """By whom."""

    sold_kw: Floats
    """What the plan means to sell beside what is owed."""

    lacking_kw: Floats
    """What is owed and cannot be kept."""

    relief_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """How much of what a storage keeps is charging that would stop (up), or discharging that would
    stop (down); the rest of `kept_kw` is what it would feed or draw beside its plan."""

    call_hours: float = inf
    """So long a call of it may last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HowSolved:
    """What solved the linear programme behind a plan, and how well."""

    method: str = "HiGHS"
    """`HiGHS`, `structured (numpy)`, `structured (numba, 2 threads)`; both names where each had some trees."""

    why: str = ""
    """Why that method, in the words of the park file where those decided."""

    gap: float = 0.0
    """Relative gap that the method proves by itself; 0 for a vertex of HiGHS."""

    residual: float = 0.0
    """The largest violation of a row, relative to 1 and the sizes in it."""

    iterations: int = 0
    """Of the structured solver's slowest tree."""

    fallbacks: int = 0
    """Trees that the structured solver gave up, and HiGHS solved."""

    @property
    def structured(self) -> bool:
        """Whether the structured solver had a part in it."""
        return self.method.startswith("structured")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncertainty:
    """How a plan was made for several futures at once; S is their number."""

    status: str
    """`hedged`; or `point plan: <reason>`, where the plan trusts its forecast all the same."""

    futures: int
    cvar_weight: float
    cvar_level: float
    costs: Floats = field(default_factory=lambda: np.zeros(0))
    """What each future costs over the horizon, in the park's currency, with what is decided now and
    the best that can be made of it then; shape (S,), empty where it is not known."""

    point_costs: Floats = field(default_factory=lambda: np.zeros(0))
    """The same with what the point plan would decide now."""

    expected_cost: float = math.nan
    cvar_cost: float = math.nan
    """Mean of the dearest 1 - `cvar_level` of `costs`."""

    objective: float = math.nan
    """(1 - cvar_weight) · expected_cost + cvar_weight · cvar_cost: what was made as small as possible."""

    point_objective: float = math.nan
    """The same of `point_costs`; what lies between the two is the worth of hedging."""

    first_stage: tuple[str, ...] = ()
    """What is the same in all futures, in words."""

    bid_kw: Mapping[ProductId, Floats] = field(default_factory=dict)
    """What is to be sold (bought below 0) of each product beside what is sold already: one quantity
    for all futures, shape (T,), NaN in steps in which it need not be bid yet."""

    net_value_per_kwh: Floats = field(default_factory=lambda: np.zeros(0))
    """What one more kWh of net injection saves, mean over the futures, shape (T,)."""

    stored_value_per_kwh: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """What one more kWh in each storage is worth at the end of each step, mean over the futures; (T,)."""

    how: HowSolved = field(default_factory=HowSolved)
    """What solved the futures together; its gap is that of what is decided now."""

    solve_s: float = 0.0

    @property
    def hedged(self) -> bool:
        """Whether what is decided now was chosen for all futures."""
        return self.status == "hedged"


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """Powers of every resource on one horizon, and what the optimiser knows about them.

    All powers are mean net injection over the step, in kW: of electricity at the connection point, or
    of the carrier of the node that the resource names. T is `horizon.steps`, R the number of
    resources of the park, in park order.
    """

    plan_id: str
    issued_at: datetime
    horizon: Horizon
    resource_ids: tuple[ResourceId, ...]

    power_kw: Floats
    """Shape (R, T). A converter's row is its electricity, 0 where it has none."""

    port_kw: Mapping[ResourceId, Mapping[NodeId, Floats]] = field(default_factory=dict)
    """What a converter feeds into each carrier node it meets (draws below 0), shape (T,) each."""

    stored_kwh: Mapping[ResourceId, Floats]
    """Energy in each storage at the end of each step, shape (T,)."""

    kept_kwh: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """The least that strategies want kept in each storage at the end of each step, no more than the plan keeps
    itself; shape (T,), NaN where they want nothing. It is not for sale."""

    left_alone: Mapping[ResourceId, NDArray[np.bool_]] = field(default_factory=dict)
    """Steps in which a resource is not steered, shape (T,): nothing of it is for sale."""

    temperature_degc: Mapping[ResourceId, Floats]
    """Temperature of each zone at the end of each step, shape (T,)."""

    connection_point_kw: Mapping[ConnectionPointId, Floats]
    """Shape (T,) each."""

    net_kw: Floats
    """The park, shape (T,)."""

    pipe_kw: Mapping[str, Floats] = field(default_factory=dict)
    """What enters each pipe, shape (T,)."""

    spilled_kw: Mapping[NodeId, Floats] = field(default_factory=dict)
    """What is thrown away at each node, shape (T,); where nothing may be, what nobody takes."""

    lacking_kw: Mapping[NodeId, Floats] = field(default_factory=dict)
    """What each node is short of, at the price of breaking a limit; shape (T,)."""

    on: Mapping[ResourceId, NDArray[np.bool_]] = field(default_factory=dict)
    """Whether each resource that is on or off is on, shape (T,)."""

    curtailed_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """How much less each curtailable load draws than it would, shape (T,); sizes."""

    cars_kw: Mapping[str, Floats] = field(default_factory=dict)
    """Net injection of each car, by `resource id/session id`, shape (T,)."""

    reserve: Mapping[str, Reserve] = field(default_factory=dict)
    """By `product id up` and `product id down`."""

    committed_kw: Floats
    """Sold already for each step (bought below 0), shape (T,)."""

    trade_kw: Mapping[ProductId, Floats]
    """What the plan means to sell of each product that is still open, shape (T,) each."""

    stored_value_per_kwh: Mapping[ResourceId, Floats]
    """Shadow price of one more kWh in each storage at the end of each step, shape (T,)."""

    net_value_per_kwh: Floats
    """Shadow price of one more kWh of net injection of the park, shape (T,)."""

    point_value_per_kwh: Mapping[ConnectionPointId, Floats] = field(default_factory=dict)
    """What one more kWh fed behind each connection point saves, shape (T,)."""

    node_value_per_kwh: Mapping[NodeId, Floats] = field(default_factory=dict)
    """What one more kWh fed into each carrier node saves, shape (T,)."""

    broken: tuple[Relaxation, ...] = ()
    """Limits that the plan breaks because it cannot keep them all: as little as it can, at a price far
    above any market's. Empty on ordinary days; whoever shows a plan shows these first."""

    limit_prices: tuple[LimitPrice, ...] = ()
    """Every limit that binds in some step. Where there are on/off decisions they are fixed."""

    starts: Mapping[ResourceId, tuple[int, ...]]
    """Steps at which a shiftable run, or a call of an interruptible or curtailable load, starts."""

    start_lengths: Mapping[ResourceId, tuple[int, ...]] = field(default_factory=dict)
    """How many steps each of `starts` lasts, the rebound not counted."""

    longer_until: Mapping[ResourceId, int] = field(default_factory=dict)
    """Calls under way that last longer than their shortest length: the step in which each ends."""

    unserved_kwh: Mapping[str, float]
    """What each EV session is planned to leave without, by `resource id/session id`."""

    undone_units: Mapping[str, float] = field(default_factory=dict)
    """What each window of a flexible load lacks, by `resource id/start of the window` (UTC ISO 8601)."""

    cost_by_cause: Mapping[str, float]
    """In the park's currency over the horizon; adds up to the objective."""

    gap: float
    """Relative gap that the solver proves; 0 for a pure LP. On/off decisions are then fixed and
    the LP solved again: shadow prices are of that LP."""

    size: Size
    how: HowSolved = HowSolved()
    """What solved the linear programme of this plan."""

    build_s: float
    solve_s: float
    ties_s: float = 0.0
    """Spent on choosing among plans that cost the same; not part of `solve_s`."""

    ties_left: str = ""
    """Why they are left as the solver found them; empty where one was chosen."""

    uncertainty: Uncertainty | None = None
    """None where no other futures were given."""

    bid_curves: tuple[BidCurves, ...] = ()
    """What to sell at which price, where that was asked for."""

    strategy_version: str
    input_digest: str
    """SHA-256 of the programme that view and terms became: the same input gives the same digest."""

    def __post_init__(self) -> None:
        if self.power_kw.shape != (len(self.resource_ids), self.horizon.steps):
            raise DataError(
                f"power_kw has shape {self.power_kw.shape}",
                where=f"plan {self.plan_id}",
                fix="Give one row per resource and one column per step",
            )

    @property
    def binaries(self) -> int:
        """On/off decisions; shadow prices hold for those taken."""
        return self.size.binaries

    @property
    def cost(self) -> float:
        """The objective, in the park's currency over the whole horizon."""
        return sum(self.cost_by_cause.values())

    @cached_property
    def row_of(self) -> dict[ResourceId, int]:
        """Where each resource stands in `power_kw`."""
        return {name: row for row, name in enumerate(self.resource_ids)}

    def announced_kw(self, horizon: Horizon) -> Rows[ResourceId]:
        """What this plan says about another horizon, by resource, NaN where it says nothing.

        Horizons of other steps, or between its steps, it knows nothing about.
        """
        ahead, between = divmod(horizon.start - self.horizon.start, horizon.step)
        first = last = 0
        if horizon.step == self.horizon.step and not between:
            last = min(max(self.horizon.steps - ahead, 0), horizon.steps)
            first = min(max(-ahead, 0), last)
        known = np.empty((len(self.resource_ids), horizon.steps))
        known[:, :first] = known[:, last:] = np.nan
        known[:, first:last] = self.power_kw[:, first + ahead : last + ahead]
        return Rows(self.resource_ids, known)

    def planned_kw(self, resource_id: ResourceId, moment: datetime) -> float | None:
        """Power planned for a resource at `moment`; None outside the horizon."""
        step = self.horizon.index(moment)
        if not 0 <= step < self.horizon.steps:
            return None
        return float(self.power_kw[self.row_of[resource_id], step])


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimal:
    """Proven to the asked gap."""

    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasible:
    """Cut off by the time limit: usable, with the gap that is left."""

    schedule: Schedule
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictingLimit:
    """A limit that cannot hold beside others, in the words of the park file, and when."""

    limit: str
    span: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Limits that cannot all hold: each of them is needed for the clash."""

    limits: tuple[ConflictingLimit, ...]
    relaxations: tuple[Relaxation, ...]
    """The smallest ones, relative to the limits, that together make a plan possible."""

    def __str__(self) -> str:
        return self._told(_hours)

    def local(self, zone: ZoneInfo) -> str:
        """The same for people, on the park's clock."""

        def hours(span: Interval) -> str:
            start, end = span.start.astimezone(zone), span.end.astimezone(zone)
            until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%a %Y-%m-%d %H:%M}"
            return f"{start:%a %Y-%m-%d %H:%M} to {until}"

        return self._told(hours)

    def _told(self, hours: Callable[[Interval], str]) -> str:
        clash = ", ".join(f"{c.limit} ({hours(c.span)})" for c in self.limits)
        cure = ", ".join(f"{r.limit} by {r.most:.6g} ({hours(r.span)})" for r in self.relaxations)
        return f"these limits cannot all hold: {clash}; the smallest relaxation that helps: {cure}"


def _hours(span: Interval) -> str:
    return f"{span.start:%Y-%m-%dT%H:%MZ} to {span.end:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsolved:
    """No schedule."""

    reason: str
    """What the solver or the validator said: infeasible, time limit, killed, …"""

    infeasible: bool = False
    """Whether the solver proved that no plan exists."""

    conflict: Conflict | None = None
    """Where the input asks for what cannot be: which limits clash, and what would help."""

    broke: bool = False
    """Whether the process that solves died or hung: nothing is said of the problem."""


Outcome: TypeAlias = Optimal | Feasible | Unsolved
