"""Connection points and the limits above them: every node of the tree, in every step.

    columns   import, export (P,T)          excess in, out (one each row of a limit)
    rows      -import limit <= Σ (export - import) + excess in - excess out <= export limit
              (only in steps where what stands below could reach the limit)

    park >= feeder >= connection point >= resource         enterprise >= its connection points
    order                at any node, for its span         cap     at any node, asked for by a term

Limits are priced, at `limit_excess_price_per_kwh`, so that a forecast above a limit still gives a
plan that goes as little over as it can; the guard holds the limits themselves. An order of a higher
priority is dearer to break. What an order allows beyond a standing limit it does not give: each is a
row of its own, and what lies beyond both is paid for twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.park import ConnectionPoint, LimitOrder, Limits, Park, Place
from vpp.plan.programme import Builder, Ints, Side
from vpp.plan.terms import Cap

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limited:
    """A limit that became rows, and how far it is exceeded in those steps, shapes (n,)."""

    node: NodeLimit
    steps: Ints
    excess_in: Ints
    excess_out: Ints


def add_points(b: Builder) -> Points:
    """Imports and exports of each connection point, in its balance."""
    shape = (len(b.point_of), b.steps)
    points = Points(imports=b.add_columns(shape), exports=b.add_columns(shape))
    rows = b.balance[: shape[0]]
    b.put(rows, points.exports, 1.0)
    b.put(rows, points.imports, -1.0)
    return points


def points_below(park: Park, place: Place) -> tuple[int, ...]:
    """Indices of the connection points that stand below a node of the tree.

    Raises:
        DataError: No node of the tree is called so, or several are.
    """
    nodes: tuple[tuple[int, ...], ...] = (
        *((i,) for i, p in enumerate(park.connection_points) if p.connection_point_id == place),
        *(
            tuple(i for i, p in enumerate(park.connection_points) if p.enterprise_id == place)
            for e in park.enterprises
            if e.enterprise_id == place
        ),
        *(
            tuple(i for i, p in enumerate(park.connection_points) if p.feeder_id == place)
            for f in park.feeders
            if f.feeder_id == place
        ),
        *((tuple(range(len(park.connection_points))),) if park.park_id == place else ()),
    )
    if len(nodes) != 1:
        raise DataError(
            f"{place!r} names {len(nodes)} nodes of the limit tree",
            where="limits",
            fix="Name one connection point, enterprise, feeder or the park; no two may share an id",
        )
    return nodes[0]


def node_limits(b: Builder) -> Iterator[NodeLimit]:
    """Every node of the tree from the leaves up, then every order in force."""
    park = b.view.park
    points = park.connection_points
    yield from (
        _standing(b, f"connection point {p.connection_point_id}", p.limits, [p]) for p in points
    )
    for e in park.enterprises:
        mine = [p for p in points if p.enterprise_id == e.enterprise_id]
        yield _standing(b, f"enterprise {e.enterprise_id}", e.limits, mine)
    for f in park.feeders:
        fed = [p for p in points if p.feeder_id == f.feeder_id]
        yield _standing(b, f"feeder {f.feeder_id}", f.limits, fed)
    yield _standing(b, f"park {park.park_id}", park.limits, points)
    for order in b.view.limit_orders:
        holds = order_steps(order, b)
        yield NodeLimit(
            words=f"order {order.order_id} of {order.source} at {order.place}",
            below=points_below(park, order.place),
            import_kw=np.where(holds, order.limits.import_kw, np.inf),
            export_kw=np.where(holds, order.limits.export_kw, np.inf),
            priority=order.priority,
        )


def _standing(
    b: Builder, words: str, limits: Limits, below: Sequence[ConnectionPoint]
) -> NodeLimit:
    return NodeLimit(
        words=words,
        below=tuple(b.point_of[p.connection_point_id] for p in below),
        import_kw=np.full(b.steps, limits.import_kw),
        export_kw=np.full(b.steps, limits.export_kw),
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


def add_limits(
    b: Builder, points: Points, *, limit_excess_price_per_kwh: float
) -> tuple[Limited, ...]:
    """Rows for the limits that could bind. Called once everything that may move has been added."""
    found = []
    for node in node_limits(b):
        dearer = 1 + PRIORITY_STEP * node.priority
        one = _limit(b, points, node, limit_excess_price_per_kwh * dearer, "limit excess")
        found += [] if one is None else [one]
    return tuple(found)


def add_cap(b: Builder, points: Points, cap: Cap) -> None:
    """A limit that a term asks for, at the term's price.

    Raises:
        DataError: It names no node of the tree.
    """
    node = cap_limit(b, cap)
    _limit(b, points, node, cap.excess_per_kwh, "cap excess")


def cap_limit(b: Builder, cap: Cap) -> NodeLimit:
    """A cap as a node of the tree.

    Raises:
        DataError: It names no node of the tree.
    """
    nothing = np.full(b.steps, np.inf)
    return NodeLimit(
        words=f"cap of {cap.reason} at {cap.place}",
        below=points_below(b.view.park, cap.place),
        import_kw=nothing if cap.import_kw is None else cap.import_kw,
        export_kw=nothing if cap.export_kw is None else cap.export_kw,
    )


def _limit(
    b: Builder, points: Points, node: NodeLimit, per_kwh: float, cause: str
) -> Limited | None:
    drawn, fed = reach_kw(b, node.below)
    at = np.flatnonzero((drawn > node.import_kw) | (fed > node.export_kw))
    if not len(at):
        return None
    below = list(node.below)
    rows = b.add_rows((len(at),), -node.import_kw[at], node.export_kw[at], couples=len(below) > 1)
    for point in below:
        b.put(rows, points.exports[point, at], 1.0)
        b.put(rows, points.imports[point, at], -1.0)
    excess_in, excess_out = b.add_columns((len(at),)), b.add_columns((len(at),))
    for excess, sign, way in ((excess_in, 1.0, "import_kw"), (excess_out, -1.0, "export_kw")):
        b.price(excess, per_kwh * b.hours, cause)
        b.put(rows, excess, sign)
        b.name((f"{node.words}: {way}",), Side.BROKEN, excess, at)
    b.name((f"{node.words}: import_kw",), Side.ROW_LOWER, rows, at)
    b.name((f"{node.words}: export_kw",), Side.ROW_UPPER, rows, at)
    return Limited(node=node, steps=at, excess_in=excess_in, excess_out=excess_out)


def reach_kw(b: Builder, below: Sequence[int]) -> tuple[Floats, Floats]:
    """The most that some connection points could draw together, and feed, shapes (T,); sizes.

    Most limits are far from what stands behind them, most of the day: no row is made for those.
    """
    which = list(below)
    base = b.node_base_kw(which).sum(axis=0)
    drawn: Floats = b.most_drawn_kw[which].sum(axis=0) - base
    fed: Floats = b.most_fed_kw[which].sum(axis=0) + base
    return drawn, fed
