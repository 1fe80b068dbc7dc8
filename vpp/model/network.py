"""Carriers beside electricity: nodes where they are balanced, and pipes between them.

    steam header ──pipe (let-down station)──▶ hot water ──pipe (2 km, loses 4 %)──▶ hall heating
          ▲                                        ▲
     waste-heat boiler                         heat pump ◀── electricity at its connection point

A node is one carrier at one temperature level: heat at 180 °C and heat at 70 °C are two nodes, and a
one-way pipe lets the hotter one serve the cooler one. Power that enters a node is positive. Storage,
generators, loads and converters meet a node by its id; those that name none meet electricity at their
connection point.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import inf

from vpp.errors import DataError
from vpp.model.ids import NodeId, require_id


class Carrier(StrEnum):
    HEAT = "heat"
    COOLING = "cooling"
    STEAM = "steam"
    HYDROGEN = "hydrogen"
    GAS = "gas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One carrier at one place and level: what is fed there is drawn there, in every step."""

    node_id: NodeId
    carrier: Carrier

    supply_degc: float | None = None
    """Temperature level, for people; what a pipe may connect is decided by the pipes that exist."""

    spill_cost_per_kwh: float | None = None
    """What a kWh thrown away costs (a cooler, a flare). None where nothing can be thrown away: what is
    fed and nobody takes is told, and priced like a limit that is broken."""

    def __post_init__(self) -> None:
        require_id(self.node_id, where="node_id")
        if self.spill_cost_per_kwh is not None and not 0 <= self.spill_cost_per_kwh < inf:
            raise DataError(
                f"spill_cost_per_kwh is {self.spill_cost_per_kwh}",
                where=self.node_id,
                fix="Give a cost not below 0, or leave it out where nothing can be thrown away",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """A one-way connection between two nodes: what arrives is later, and less."""

    pipe_id: str
    from_node_id: NodeId
    to_node_id: NodeId
    max_kw: float
    """The most that may enter it."""

    loss_share: float = 0.0
    """Share of what enters that does not arrive, in [0, 1)."""

    delay: timedelta = timedelta(0)
    """Time from entering to arriving; rounded to whole steps of the plan."""

    cost_per_kwh: float = 0.0
    """Pumping, per kWh that enters."""

    def __post_init__(self) -> None:
        require_id(self.pipe_id, where="pipe_id")
        if not (0 <= self.max_kw < inf and 0 <= self.cost_per_kwh < inf):
            raise DataError(
                f"max_kw {self.max_kw}, cost_per_kwh {self.cost_per_kwh}",
                where=self.pipe_id,
                fix="Give sizes, finite and not negative",
            )
        if not 0 <= self.loss_share < 1 or self.delay < timedelta(0):
            raise DataError(
                f"loss_share {self.loss_share}, delay {self.delay}",
                where=self.pipe_id,
                fix="Give a share below 1 and a delay that is not negative",
            )
        if self.from_node_id == self.to_node_id:
            raise DataError(
                f"both ends at {self.from_node_id}", where=self.pipe_id, fix="Join two nodes"
            )
