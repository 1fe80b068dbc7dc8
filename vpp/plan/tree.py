"""Connection points and the limits above them: every node of the tree, in every step.

    columns   import, export (P,T)          excess in, out (one each row of a limit)
    rows      -import limit <= Σ (export - import) + excess in - excess out <= export limit
              (only in steps where what stands below could reach the limit)

Limits are priced, at `limit_excess_price_per_kwh`, so that a forecast above a limit still gives a
plan that goes as little over as it can; the guard holds the limits themselves. An order of a higher
priority is dearer to break.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.park import LimitOrder, Limits, Park, Place
from vpp.plan.programme import Builder, Ints, Side

PRIORITY_STEP = 0.1
"""Each priority above 0 makes breaking an order dearer by this share of the price."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Columns of the connection points, shape (P, T)."""

    imports: Ints
    exports: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeLimit:
    """What one node of the tree, or one order upon it, allows."""

    words: str
    below: tuple[int, ...]
    """Connection points by index."""

    import_kw: Floats
    """Shape (T,); inf where nothing limits."""
    export_kw: Floats
    priority: int = 0


def add_points(b: Builder) -> Points:
    """Imports and exports of each connection point, in its balance."""
    shape = (len(b.point_of), b.steps)
    points = Points(imports=b.add_columns(shape), exports=b.add_columns(shape))
    rows = b.balance[: shape[0]]
    b.put(rows, points.exports, 1.0)
    b.put(rows, points.imports, -1.0)
    return points


def points_below(park: Park, place: Place) -> tuple[int, ...]:
    """Indices of the connection points that stand below a node of the tree."""
    return tuple(
        i
        for i, p in enumerate(park.connection_points)
        if place in (park.park_id, p.feeder_id, p.enterprise_id, p.connection_point_id)
    )


def node_limits(b: Builder) -> Iterator[NodeLimit]:
    """Every node of the tree from the leaves up, then every order in force."""
    park = b.view.park
    nodes: list[tuple[str, Limits, Place]] = [
        *((f"connection point {p.connection_point_id}", p.limits, p.connection_point_id)
          for p in park.connection_points),
        *((f"enterprise {e.enterprise_id}", e.limits, e.enterprise_id) for e in park.enterprises),
        *((f"feeder {f.feeder_id}", f.limits, f.feeder_id) for f in park.feeders),
        (f"park {park.park_id}", park.limits, park.park_id),
    ]  # fmt: skip
    for words, limits, place in nodes:
        yield NodeLimit(
            words=words,
            below=points_below(park, place),
            import_kw=np.full(b.steps, limits.import_kw),
            export_kw=np.full(b.steps, limits.export_kw),
        )
    for order in b.view.limit_orders:
        holds = order_steps(order, b)
        yield NodeLimit(
            words=f"order {order.order_id} of {order.source} at {order.place}",
            below=points_below(park, order.place),
            import_kw=np.where(holds, order.limits.import_kw, np.inf),
            export_kw=np.where(holds, order.limits.export_kw, np.inf),
            priority=order.priority,
        )


def order_steps(order: LimitOrder, b: Builder) -> NDArray[np.bool_]:
    """Steps that lie wholly or partly in the order's span, shape (T,)."""
    horizon = b.view.horizon
    return np.array(
        [
            start < order.span.end and start + horizon.step > order.span.start
            for start in horizon.starts()
        ]
    )


def add_limits(b: Builder, points: Points, *, limit_excess_price_per_kwh: float) -> None:
    """Rows for the limits that could bind. Called once everything that may move has been added."""
    drawn, fed = _reach(b)
    for node in node_limits(b):
        below = list(node.below)
        binds = (drawn[below].sum(axis=0) > node.import_kw) | (
            fed[below].sum(axis=0) > node.export_kw
        )
        at = np.flatnonzero(binds)
        if not len(at):
            continue
        rows = b.add_rows(
            (len(at),), -node.import_kw[at], node.export_kw[at], couples=len(below) > 1
        )
        for point in below:
            b.put(rows, points.exports[point, at], 1.0)
            b.put(rows, points.imports[point, at], -1.0)
        price = limit_excess_price_per_kwh * (1 + PRIORITY_STEP * max(node.priority, 0)) * b.hours
        for sign in (1.0, -1.0):
            excess = b.add_columns((len(at),))
            b.price(excess, price, "limit excess")
            b.put(rows, excess, sign)
        b.name((f"{node.words}: import_kw",), Side.ROW_LOWER, rows, at)
        b.name((f"{node.words}: export_kw",), Side.ROW_UPPER, rows, at)


def _reach(b: Builder) -> tuple[Floats, Floats]:
    """The most each connection point could draw, and feed, in each step; shapes (P, T).

    Most limits are far from what stands behind them, most of the day: no row is made for those.
    """
    count = len(b.point_of)
    base = b.node_base_kw()[:count]
    return b.most_drawn_kw[:count] - base, b.most_fed_kw[:count] + base
