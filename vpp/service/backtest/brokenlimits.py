"""How often limits of the tree were broken over a simulated span, by the main meters."""

from __future__ import annotations

from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.park import Limits, Park
from vpp.simulate.trajectory import Trajectory

TOLERANCE_KW = 1.0
"""Over a quarter-hour, registers of whole Wh tell powers to about 0.01 kW; this much is no violation."""


def violations_of(park: Park, course: Trajectory) -> tuple[dict[str, float], float]:
    """By kind of place the share of quarter-hours in which one of its kind drew or fed too much.

    By the main meters' registers. The second number is the most by which any limit was broken, in kW.
    """
    net_kw = {
        name: (course.export_wh[name] - course.import_wh[name]) / 1000 / course.horizon.step_hours
        for name in course.import_wh
    }
    shares, worst = {}, 0.0
    for kind, places in _places(park).items():
        broken = np.zeros(course.horizon.steps, dtype=bool)
        for limits, points in places:
            over_kw = _excess_kw(limits, sum((net_kw[p] for p in points), np.zeros(len(broken))))
            broken |= over_kw > TOLERANCE_KW
            worst = max(worst, float(over_kw.max(initial=0.0)))
        shares[kind] = float(broken.mean())
    return shares, worst if worst > TOLERANCE_KW else 0.0


def _places(park: Park) -> dict[str, list[tuple[Limits, list[ConnectionPointId]]]]:
    """Limits and the connection points below them, by kind of place."""
    points = park.connection_points
    return {
        "connection_points": [(p.limits, [p.connection_point_id]) for p in points],
        "enterprises": [
            (
                e.limits,
                [p.connection_point_id for p in park.points_of_enterprise[e.enterprise_id]],
            )
            for e in park.enterprises
            if e.limits != Limits()
        ],
        "feeders": [
            (f.limits, [p.connection_point_id for p in park.points_of_feeder[f.feeder_id]])
            for f in park.feeders
        ],
        "park": [(park.limits, [p.connection_point_id for p in points])],
    }


def _excess_kw(limits: Limits, net_kw: Floats) -> Floats:
    """How far a course of net injection lies beyond its limits, 0 inside; shape (T,)."""
    above = net_kw - limits.export_kw if limits.export_kw < inf else np.zeros_like(net_kw)
    below = -net_kw - limits.import_kw if limits.import_kw < inf else np.zeros_like(net_kw)
    excess: Floats = np.maximum(np.maximum(above, below), 0.0)
    return excess
