"""Connection points and the limits above them: every node of the tree, in every step.

    columns   import, export (P,T)          excess in, out (one each row of a limit)
              used in, out <= margin        (one each row that has a margin)
    rows      margin - import limit <= Σ (export - import) + excess in - excess out + used in - used out
                                    <= export limit - margin
              (only in steps where what stands below could reach that; two rows where there is a margin)

    park >= feeder >= connection point >= resource         enterprise >= its connection points
    order                at any node, for its span         cap     at any node, asked for by a term

Limits are priced, at `limit_excess_price_per_kwh`, so that a forecast above a limit still gives a
plan that goes as little over as it can; the guard holds the limits themselves. An order of a higher
priority is dearer to break. What an order allows beyond a standing limit it does not give: each is a
row of its own, and what lies beyond both is paid for twice. A margin is room for what the forecast does
not know: using it has a price of its own, and breaks no limit.
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
from vpp.plan.view import Margin

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
    margin: Margin | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limited:
    """A limit that became rows, and how far it is exceeded in those steps, shapes (n,)."""

    node: NodeLimit
    steps: Ints
    excess_in: Ints
    excess_out: Ints
    used_in: Ints
    """How far the margin is used; shape (n,), or (0,) where there is none."""
    used_out: Ints

    spare_in_kw: Floats
    """What is kept free below the limit on drawing, shape (n,)."""
    spare_out_kw: Floats


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
    nodes = park.places.get(place, [])
    if len(nodes) != 1:
        raise DataError(
            f"{place!r} names {len(nodes)} nodes of the limit tree",
            where="limits",
            fix="Name one connection point, enterprise, feeder or the park; no two may share an id",
        )
    return nodes[0]


def node_limits(b: Builder) -> Iterator[NodeLimit]:
    """Every node of the tree from the leaves up, then every order in force.

    Raises:
        DataError: A margin names no node of the tree, or a node several share.
    """
    park = b.view.park
    margins = {margin.place: margin for margin in b.view.margins}
    for place in margins:
        points_below(park, place)
    points = park.connection_points

    def standing(
        kind: str, place: Place, limits: Limits, below: Sequence[ConnectionPoint]
    ) -> NodeLimit:
        return NodeLimit(
            words=f"{kind} {place}",
            below=tuple(b.point_of[p.connection_point_id] for p in below),
            import_kw=np.full(b.steps, limits.import_kw),
            export_kw=np.full(b.steps, limits.export_kw),
            margin=margins.get(place),
        )

    yield from (standing("connection point", p.connection_point_id, p.limits, [p]) for p in points)
    for e in park.enterprises:
        owned = park.points_of_enterprise[e.enterprise_id]
        yield standing("enterprise", e.enterprise_id, e.limits, owned)
    for f in park.feeders:
        yield standing("feeder", f.feeder_id, f.limits, park.points_of_feeder[f.feeder_id])
    yield standing("park", park.park_id, park.limits, points)
    for order in b.view.limit_orders:
        holds = order_steps(order, b)
        yield NodeLimit(
            words=f"order {order.order_id} of {order.source} at {order.place}",
            below=points_below(park, order.place),
            import_kw=np.where(holds, order.limits.import_kw, np.inf),
            export_kw=np.where(holds, order.limits.export_kw, np.inf),
            margin=margins.get(order.place),
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


def add_limits(
    b: Builder, points: Points, *, limit_excess_price_per_kwh: float
) -> tuple[Limited, ...]:
    """Rows for the limits that could bind. Called once everything that may move has been added.

    Raises:
        DataError: A margin names no node of the tree, or costs no less than breaking a limit.
    """
    found = []
    for node in node_limits(b):
        if node.margin is not None and node.margin.price_per_kwh >= limit_excess_price_per_kwh:
            raise DataError(
                f"using it costs {node.margin.price_per_kwh}, breaking the limit"
                f" {limit_excess_price_per_kwh}",
                where=f"margin at {node.margin.place}",
                fix="Let using a margin cost less than breaking a limit",
            )
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
        words=f"cap of {cap.reason} at {', '.join((cap.place, *cap.also))}",
        below=tuple(
            point for at in (cap.place, *cap.also) for point in points_below(b.view.park, at)
        ),
        import_kw=nothing if cap.import_kw is None else cap.import_kw,
        export_kw=nothing if cap.export_kw is None else cap.export_kw,
    )


def _limit(
    b: Builder, points: Points, node: NodeLimit, per_kwh: float, cause: str
) -> Limited | None:
    drawn, fed = reach_kw(b, node.below)
    spare_in, spare_out = _spare_kw(b, node)
    at = np.flatnonzero((drawn > node.import_kw - spare_in) | (fed > node.export_kw - spare_out))
    if not len(at):
        return None
    below, joins = list(node.below), len(node.below) > 1
    least_kw, most_kw = -(node.import_kw - spare_in)[at], (node.export_kw - spare_out)[at]
    if node.margin is None:
        rows = [b.add_rows((len(at),), least_kw, most_kw, couples=joins)] * 2
    else:  # two margins may leave nothing between them
        sides = ((least_kw, np.inf), (-np.inf, most_kw))
        rows = [b.add_rows((len(at),), *side, couples=joins) for side in sides]
    for each in rows[:1] if node.margin is None else rows:
        b.put(each, points.exports[below][:, at], 1.0)
        b.put(each, points.imports[below][:, at], -1.0)
    found: list[tuple[Ints, Ints]] = []
    for each, sign, way, spare, side in (
        (rows[0], 1.0, "import_kw", spare_in[at], Side.ROW_LOWER),
        (rows[1], -1.0, "export_kw", spare_out[at], Side.ROW_UPPER),
    ):
        excess = b.add_columns((len(at),))
        b.price(excess, per_kwh * b.hours, cause)
        b.put(each, excess, sign)
        b.name((f"{node.words}: {way}",), Side.BROKEN, excess, at)
        name_side(b, node, way, side, each, at, spare)
        found.append((excess, _used(b, node, each, sign, spare)))
    (excess_in, used_in), (excess_out, used_out) = found
    return Limited(
        node=node,
        steps=at,
        excess_in=excess_in,
        excess_out=excess_out,
        used_in=used_in,
        used_out=used_out,
        spare_in_kw=spare_in[at],
        spare_out_kw=spare_out[at],
    )


def name_side(
    b: Builder, node: NodeLimit, way: str, side: Side, rows: Ints, steps: Ints, spare_kw: Floats
) -> None:
    """Name a side of a node's rows, shapes (n,): where room is kept free, what binds is that."""
    for held, words in ((spare_kw > 0, f"margin below {way}"), (spare_kw <= 0, way)):
        b.name((f"{node.words}: {words}",), side, rows[held], steps[held])


def _spare_kw(b: Builder, node: NodeLimit) -> tuple[Floats, Floats]:
    """What is kept free below the limits of a node on drawing and on feeding, shapes (T,)."""
    if node.margin is None:
        return np.zeros(b.steps), np.zeros(b.steps)
    return (
        np.where(np.isfinite(node.import_kw), node.margin.import_kw, 0.0),
        np.where(np.isfinite(node.export_kw), node.margin.export_kw, 0.0),
    )


def _used(b: Builder, node: NodeLimit, rows: Ints, sign: float, spare_kw: Floats) -> Ints:
    """Columns for what is used of a margin; none where the node has none."""
    if node.margin is None:
        return np.zeros(0, dtype=np.int64)
    used = b.add_columns(rows.shape, upper=spare_kw)
    b.price(used, node.margin.price_per_kwh * b.hours, "margin")
    b.put(rows, used, sign)
    return used


def reach_kw(b: Builder, below: Sequence[int]) -> tuple[Floats, Floats]:
    """The most that some connection points could draw together, and feed, shapes (T,); sizes.

    Most limits are far from what stands behind them, most of the day: no row is made for those.
    """
    # Most nodes of a fleet have one point: its row is looked at, and not copied.
    which = slice(below[0], below[0] + 1) if len(below) == 1 else list(below)
    base = b.node_base_kw[which].sum(axis=0)
    drawn: Floats = b.most_drawn_kw[which].sum(axis=0) - base
    fed: Floats = b.most_fed_kw[which].sum(axis=0) + base
    return drawn, fed
