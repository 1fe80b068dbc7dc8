"""Nodes of other carriers than electricity, and the pipes between them.

    columns   spilled, lacking (N,T)     enters (one row a pipe, T)
    rows      what each adds to the balances of the nodes (`programme.py`):
              Σ injections + arrived - entering - spilled + lacking = 0
              arrived[t] = (1 - loss)·enters[t - delay]

Spilling is for nodes that may; lacking is for all of them, at the price of breaking a limit, so that a
cold day gives a plan that is short by as little as it can be and says where. What entered a pipe before
the horizon is not known and counts as nothing; what leaves it after the horizon is lost to this plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import NodeId
from vpp.model.network import Pipe
from vpp.plan.kinds import column
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Columns of the nodes, shapes (N, T), and of the pipes, shape (pipes, T)."""

    nodes: tuple[NodeId, ...]
    may_spill: tuple[bool, ...]
    pipes: tuple[str, ...]
    spilled: Ints
    lacking: Ints
    enters: Ints

    def pipe_kw(self, x: Floats) -> dict[str, Floats]:
        """What enters each pipe, from a solution."""
        return dict(zip(self.pipes, x[self.enters], strict=True))

    def spilled_kw(self, x: Floats) -> dict[NodeId, Floats]:
        """What is thrown away at each node that may."""
        rows = zip(self.nodes, self.may_spill, x[self.spilled], strict=True)
        return {node: row for node, may, row in rows if may}

    def lacking_kw(self, x: Floats) -> dict[NodeId, Floats]:
        return dict(zip(self.nodes, x[self.lacking], strict=True))


def add(b: Builder, *, limit_excess_price_per_kwh: float) -> Networks:
    """Spill and lack of every node, and every pipe."""
    nodes, pipes = b.view.park.nodes, b.view.park.pipes
    rows = b.balance[len(b.point_of) :]
    may_spill = tuple(node.spill_cost_per_kwh is not None for node in nodes)
    spilled = b.add_columns(rows.shape, upper=column(inf if may else 0.0 for may in may_spill))
    lacking = b.add_columns(rows.shape)
    b.put(rows, spilled, 1.0)
    b.put(rows, lacking, -1.0)
    b.price(spilled, column(node.spill_cost_per_kwh or 0.0 for node in nodes) * b.hours, "spill")
    b.price(lacking, limit_excess_price_per_kwh * b.hours, "limit excess")
    words = [f"node {node.node_id}: spill_cost_per_kwh" for node in nodes]
    b.name(words, Side.UPPER, spilled)
    b.name([f"node {node.node_id}: what is drawn" for node in nodes], Side.BROKEN, lacking)
    enters = b.add_columns((len(pipes), b.steps), upper=column(pipe.max_kw for pipe in pipes))
    b.price(enters, column(pipe.cost_per_kwh for pipe in pipes) * b.hours, "pumping")
    b.name([f"pipe {pipe.pipe_id}: max_kw" for pipe in pipes], Side.UPPER, enters)
    for pipe, columns in zip(pipes, enters, strict=True):
        b.put(b.balance[b.node_of[pipe.from_node_id]], columns, 1.0)
        late = min(delay_steps(pipe, b.view.horizon), b.steps)
        arrives = b.balance[b.node_of[pipe.to_node_id], late:]
        b.put(arrives, columns[: b.steps - late], pipe.loss_share - 1.0)
    return Networks(
        nodes=tuple(node.node_id for node in nodes),
        may_spill=may_spill,
        pipes=tuple(pipe.pipe_id for pipe in pipes),
        spilled=spilled,
        lacking=lacking,
        enters=enters,
    )


def delay_steps(pipe: Pipe, horizon: Horizon) -> int:
    """How many steps later what enters a pipe arrives."""
    return round(pipe.delay / horizon.step)
