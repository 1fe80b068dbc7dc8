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

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import NodeId
from vpp.model.network import Pipe
from vpp.plan.kinds import column
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Columns of the nodes, shapes (N, T), and of the pipes, shape (pipes, T)."""

    nodes: tuple[NodeId, ...]
    pipes: tuple[str, ...]
    spilled: Ints
    lacking: Ints
    enters: Ints

    def pipe_kw(self, x: Floats) -> dict[str, Floats]:
        """What enters each pipe, from a solution."""
        return dict(zip(self.pipes, x[self.enters], strict=True))

    def spilled_kw(self, x: Floats) -> dict[NodeId, Floats]:
        """What is thrown away at each node, and what nobody takes where nothing may be."""
        return dict(zip(self.nodes, x[self.spilled], strict=True))

    def lacking_kw(self, x: Floats) -> dict[NodeId, Floats]:
        return dict(zip(self.nodes, x[self.lacking], strict=True))


def add(b: Builder, *, limit_excess_price_per_kwh: float) -> Networks:
    """Spill and lack of every node, and every pipe."""
    nodes, pipes = b.view.park.nodes, b.view.park.pipes
    rows = b.balance[len(b.point_of) :]
    spilled = b.add_columns(rows.shape)
    lacking = b.add_columns(rows.shape)
    b.put(rows, spilled, 1.0)
    b.put(rows, lacking, -1.0)
    may = np.array([node.spill_cost_per_kwh is not None for node in nodes], dtype=bool)
    cost = column(node.spill_cost_per_kwh or 0.0 for node in nodes)
    b.price(spilled[may], cost[may] * b.hours, "spill")
    # What is fed and nobody takes breaks the balance as what lacks does: told, and dear.
    for columns, some, words in (
        (spilled[~may], np.flatnonzero(~may), "what is fed"),
        (lacking, range(len(nodes)), "what is drawn"),
    ):
        b.price(columns, limit_excess_price_per_kwh * b.hours, "limit excess")
        b.name([f"node {nodes[i].node_id}: {words}" for i in some], Side.BROKEN, columns)
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
        pipes=tuple(pipe.pipe_id for pipe in pipes),
        spilled=spilled,
        lacking=lacking,
        enters=enters,
    )


def delay_steps(pipe: Pipe, horizon: Horizon) -> int:
    """How many steps later what enters a pipe arrives."""
    return round(pipe.delay / horizon.step)
