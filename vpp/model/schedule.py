"""What the planner answers: a schedule with its reasons, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ConnectionPointId, ProductId, ResourceId


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Powers of every resource on one horizon, and what the optimiser knows about them.

    All powers are mean net injection over the step, in kW. T is `horizon.steps`, R the number of
    resources of the park, in park order.
    """

    plan_id: str
    issued_at: datetime
    horizon: Horizon
    resource_ids: tuple[ResourceId, ...]

    power_kw: Floats
    """Shape (R, T)."""

    stored_kwh: Mapping[ResourceId, Floats]
    """Energy in each storage at the end of each step, shape (T,)."""

    temperature_degc: Mapping[ResourceId, Floats]
    """Temperature of each zone at the end of each step, shape (T,)."""

    connection_point_kw: Mapping[ConnectionPointId, Floats]
    """Shape (T,) each."""

    net_kw: Floats
    """The park, shape (T,)."""

    committed_kw: Floats
    """Sold already for each step (bought below 0), shape (T,)."""

    trade_kw: Mapping[ProductId, Floats]
    """What the plan means to sell of each product that is still open, shape (T,) each."""

    stored_value_per_kwh: Mapping[ResourceId, Floats]
    """Shadow price of one more kWh in each storage at the end of each step, shape (T,)."""

    net_value_per_kwh: Floats
    """Shadow price of one more kWh of net injection of the park, shape (T,)."""

    starts: Mapping[ResourceId, tuple[int, ...]]
    """Steps at which a shiftable run, or a call of an interruptible load, is to start."""

    unserved_kwh: Mapping[str, float]
    """What each EV session is planned to leave without, by `resource id/session id`."""

    cost_by_cause: Mapping[str, float]
    """In the park's currency over the horizon; adds up to the objective."""

    gap: float
    """Relative gap that the solver proves; 0 for a pure LP. On/off decisions are then fixed and
    the LP solved again: shadow prices are of that LP."""

    binaries: int
    build_s: float
    solve_s: float
    strategy_version: str
    input_digest: str
    """SHA-256 of the view and the terms: the same input gives the same digest."""

    def __post_init__(self) -> None:
        if self.power_kw.shape != (len(self.resource_ids), self.horizon.steps):
            raise DataError(
                f"power_kw has shape {self.power_kw.shape}",
                where=f"plan {self.plan_id}",
                fix="Give one row per resource and one column per step",
            )

    @property
    def cost(self) -> float:
        """The objective, in the park's currency over the whole horizon."""
        return sum(self.cost_by_cause.values())

    def planned_kw(self, resource_id: ResourceId, moment: datetime) -> float | None:
        """Power planned for a resource at `moment`; None outside the horizon."""
        step = self.horizon.index(moment)
        if not 0 <= step < self.horizon.steps:
            return None
        return float(self.power_kw[self.resource_ids.index(resource_id), step])


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
class Unsolved:
    """No schedule."""

    reason: str
    """What the solver or the validator said: infeasible, time limit, killed, …"""


Outcome: TypeAlias = Optimal | Feasible | Unsolved
