"""Where and when one strategy holds: its scope and its hours, less what another of its kind takes before it.

A strategy is asked for its terms with a view and a part. What it asks for outside its part is somebody
else's, or nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.park import Place
from vpp.plan.view import PlanningView

Bools = NDArray[np.bool_]


class Reach(StrEnum):
    """What a strategy steers: how finely it can be scoped."""

    PARK = "park"
    """What all do together: it has hours, and no scope."""
    POINT = "point"
    """Connection points: it is scoped by enterprises, and tags of enterprises."""
    RESOURCE = "resource"
    """Single resources: by enterprises, tags and resources."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Steps of the view's horizon, shape (T,) each."""

    steps: Bools
    """In which it holds at all."""

    points: Mapping[ConnectionPointId, Bools]
    """Where it holds; those in which it never does are left out."""

    resources: Mapping[ResourceId, Bools]
    """The same of resources."""

    def at_park(self, view: PlanningView) -> Bools:
        """Steps in which it holds at every connection point, shape (T,)."""
        return self._all(view, [p.connection_point_id for p in view.park.connection_points])

    def at_enterprise(self, view: PlanningView, name: EnterpriseId) -> Bools:
        """Steps in which it holds at every connection point of an enterprise, shape (T,)."""
        points = view.park.connection_points
        return self._all(view, [p.connection_point_id for p in points if p.enterprise_id == name])

    def at(self, view: PlanningView, place: Place) -> Bools:
        """Steps in which it holds at the whole of a place: the park, an enterprise or a point."""
        if place == view.park.park_id:
            return self.at_park(view)
        if place in view.park.point_by_id:
            return self._all(view, [ConnectionPointId(place)])
        return self.at_enterprise(view, EnterpriseId(place))

    def _all(self, view: PlanningView, names: list[ConnectionPointId]) -> Bools:
        never = np.zeros(view.horizon.steps, dtype=bool)
        held = [self.points.get(name, never) for name in names]
        return np.logical_and.reduce(held) if held else never


def whole(view: PlanningView) -> Part:
    """The part of a strategy that holds everywhere and always."""
    always = np.ones(view.horizon.steps, dtype=bool)
    return Part(
        steps=always,
        points={p.connection_point_id: always for p in view.park.connection_points},
        resources={r.resource_id: always for r in view.park.resources},
    )


def runs(steps: Bools) -> Iterator[tuple[int, int]]:
    """Steps in a row that hold: the first, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(last)
