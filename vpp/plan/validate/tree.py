"""Sums up the tree: resources make connection points, connection points make the park."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.park import LimitOrder, Limits, Place
from vpp.model.resource import Converter
from vpp.plan.validate.case import Case, parts
from vpp.plan.validate.compare import slack
from vpp.plan.view import Margin

MANY = 20_000
"""Resources that are added up at once: each time costs as much as there are connection points."""

PRIORITY_STEP = 0.1
"""Each priority above 0 makes breaking an order dearer by this share of the price."""


def sum_faults(case: Case) -> Iterator[str]:
    """Connection points and a net that are not the sums of what stands below."""
    schedule, points = case.schedule, case.view.park.connection_points
    names = [point.connection_point_id for point in points]
    row_of = {name: row for row, name in enumerate(names)}
    electric = [
        r for r in case.view.park.resources if r.node_id is None or isinstance(r, Converter)
    ]
    total, size = np.zeros((2, len(names), case.steps))
    for some in parts(electric, at_once=MANY):
        at = [row_of[r.connection_point_id] for r in some]
        shape = (len(names), len(some))
        behind = csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=shape)
        power = case.powers(r.resource_id for r in some)
        total += behind @ power
        size += behind @ np.abs(power, out=power)
    said = np.array([schedule.connection_point_kw[name] for name in names])
    words = [f"{name}: its resources do not add up" for name in names]
    yield from _apart(words, said - total, said, size)
    words = ["the park's connection points do not add up to its net"]
    net_kw, all_kw, size = schedule.net_kw[None], said.sum(axis=0), np.abs(said).sum(axis=0)
    yield from _apart(words, net_kw - all_kw, net_kw, size)


def _apart(words: Sequence[str], off: Floats, *summands: Floats) -> Iterator[str]:
    """Each row that is off, with the first step in which it is; shapes (K, T)."""
    wrong = ~(np.abs(off) <= slack(*summands))
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        step = int(np.argmax(wrong[row]))
        yield f"{words[row]}, {off[row, step]:.6f} kW apart in step {step}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """What one node of the tree, or one order upon it, allows; shapes (T,)."""

    place: Place
    import_kw: Floats
    export_kw: Floats
    dearer: float = 1.0
    """What breaking it costs, of the usual price."""

    margin: Margin | None = None


def bounds(case: Case) -> Iterator[Bound]:
    """Every limit of the tree and every order upon it."""
    park = case.view.park
    nodes: list[tuple[Place, Limits]] = [
        (park.park_id, park.limits),
        *((f.feeder_id, f.limits) for f in park.feeders),
        *((e.enterprise_id, e.limits) for e in park.enterprises),
        *((p.connection_point_id, p.limits) for p in park.connection_points),
    ]
    for place, limits in nodes:
        if limits == Limits():
            continue  # nothing limits it
        yield Bound(
            place=place,
            import_kw=np.full(case.steps, limits.import_kw),
            export_kw=np.full(case.steps, limits.export_kw),
            margin=case.margin_of.get(place),
        )
    for order in case.view.limit_orders:
        yield _order(case, order)


def _order(case: Case, order: LimitOrder) -> Bound:
    step = case.view.horizon.step
    holds = np.array([s < order.span.end and s + step > order.span.start for s in case.starts])
    return Bound(
        place=order.place,
        import_kw=np.where(holds, order.limits.import_kw, np.inf),
        export_kw=np.where(holds, order.limits.export_kw, np.inf),
        dearer=1 + PRIORITY_STEP * max(order.priority, 0),
        margin=case.margin_of.get(order.place),
    )


def place_kw(case: Case, place: Place) -> Floats:
    """Net injection of all that stands below a node of the tree, shape (T,)."""
    points = case.schedule.connection_point_kw
    total = case.zeros()
    for name in case.points_below.get(place, ()):
        total += points[name]
    return total


def called_kw(case: Case, place: Place, *, up: bool) -> Floats:
    """What reserve below a node of the tree would feed more (less) if all were called, shape (T,)."""
    products = [term for term in case.reserves if term.up == up]
    if not products:
        return case.zeros()
    park, here = case.view.park, frozenset(case.points_below.get(place, ()))
    kept = [
        kw
        for term in products
        for name, kw in case.schedule.reserve[term.key].kept_kw.items()
        if park.resource_by_id[name].connection_point_id in here
    ]
    total: Floats = np.sum([case.zeros(), *kept], axis=0)
    return total


def beyond_kw(least_kw: Floats, most_kw: Floats, import_kw: Floats, export_kw: Floats) -> Floats:
    """How far the least and the most of a power lie outside its limits, shape (T,) or (K, T); a size."""
    return np.asarray(np.maximum(-least_kw - import_kw, 0.0) + np.maximum(most_kw - export_kw, 0.0))


def within_margin_kw(least_kw: Floats, most_kw: Floats, bound: Bound) -> Floats:
    """How much of the margin below a limit is used, shape (T,); a size. What lies beyond is no part."""
    if bound.margin is None:
        return np.zeros_like(least_kw)
    drawn = np.clip(
        -least_kw - (bound.import_kw - bound.margin.import_kw), 0.0, bound.margin.import_kw
    )
    fed = np.clip(most_kw - (bound.export_kw - bound.margin.export_kw), 0.0, bound.margin.export_kw)
    return np.asarray(drawn + fed)
