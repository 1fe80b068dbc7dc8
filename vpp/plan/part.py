"""Where and when one strategy holds: its scope and its hours, less what another of its kind takes before it.

A strategy is asked for its terms with a view and a part. What it asks for outside its part is somebody
else's, or nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vpp.model.ids import ConnectionPointId, ResourceId
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

    name: str
    """Of the strategy, as people know it; of one enterprise where that has settings of its own."""

    steps: Bools
    """In which it holds at all."""

    points: Mapping[ConnectionPointId, Bools]
    """Where it holds; those in which it never does are left out."""

    resources: Mapping[ResourceId, Bools]
    """The same of resources."""

    def together(
        self, names: Sequence[ConnectionPointId]
    ) -> Iterator[tuple[tuple[ConnectionPointId, ...], Bools]]:
        """Which of some connection points it holds at, and in which steps at just these, shape (T,)."""
        held = [(name, self.points[name]) for name in names if name in self.points]
        left = np.logical_or.reduce([steps for _, steps in held]) if held else np.zeros(0, bool)
        while left.any():
            first = int(np.argmax(left))
            here = tuple(name for name, steps in held if steps[first])
            same = np.logical_and.reduce([steps == (name in here) for name, steps in held])
            left = left & ~same
            yield here, same

    def within(self, view: PlanningView, resource_id: ResourceId) -> Bools:
        """Steps in which it holds for a resource, shape (T,)."""
        return self.resources.get(resource_id, np.zeros(view.horizon.steps, dtype=bool))


def whole(view: PlanningView) -> Part:
    """The part of a strategy that holds everywhere and always."""
    always = np.ones(view.horizon.steps, dtype=bool)
    return Part(
        name="everywhere",
        steps=always,
        points={p.connection_point_id: always for p in view.park.connection_points},
        resources={r.resource_id: always for r in view.park.resources},
    )


def runs(steps: Bools) -> Iterator[tuple[int, int]]:
    """Steps in a row that hold: the first, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(last)
