"""How much room a plan leaves in each node of the tree, handed out once."""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Limits, Park
from vpp.model.schedule import Schedule


class Room:
    """Room for more and for less net injection than planned, per interval and node.

    A node's room is what its limits leave beside the power planned through it. Whoever takes of it
    takes it from its connection point, the feeder and the park at once, so however many of those
    who took really move, every limit holds.
    """

    def __init__(self, park: Park, schedule: Schedule, steps: slice, width: int) -> None:
        """Cut the schedule's `steps` into intervals of `width` steps; the tightest step counts.

        Powers in kW. A node over its limit has no room that way.
        """
        self._up: list[list[float]] = []
        self._down: list[list[float]] = []
        number: dict[str, int] = {}

        def add(node: str, limits: Limits, planned_kw: Floats) -> None:
            number[node] = len(self._up)
            cut = planned_kw[steps].reshape(-1, width)
            up = np.maximum(limits.export_kw - cut.max(axis=1), 0.0)
            down = np.maximum(limits.import_kw + cut.min(axis=1), 0.0)
            self._up.append([float(x) for x in up])
            self._down.append([float(x) for x in down])

        add("park", park.limits, schedule.net_kw)
        for feeder in park.feeders:
            behind = [
                schedule.connection_point_kw[point.connection_point_id]
                for point in park.connection_points
                if point.feeder_id == feeder.feeder_id
            ]
            planned = np.sum(behind, axis=0) if behind else np.zeros(schedule.horizon.steps)
            add(f"feeder {feeder.feeder_id}", feeder.limits, planned)
        for point in park.connection_points:
            name = point.connection_point_id
            add(f"point {name}", point.limits, schedule.connection_point_kw[name])
        self._path: dict[ResourceId, tuple[int, ...]] = {}
        for resource in park.resources:
            point = park.point_by_id[resource.connection_point_id]
            nodes = [f"point {point.connection_point_id}", "park"]
            if point.feeder_id is not None:
                nodes.append(f"feeder {point.feeder_id}")
            self._path[resource.resource_id] = tuple(number[node] for node in nodes)

    def take_up(self, interval: int, resource_id: ResourceId, kw: float) -> float:
        """Take up to `kw` more injection; what there was is returned."""
        return self._take(self._up, interval, resource_id, kw)

    def take_down(self, interval: int, resource_id: ResourceId, kw: float) -> float:
        """Take up to `kw` less injection; what there was is returned."""
        return self._take(self._down, interval, resource_id, kw)

    def _take(
        self, room: list[list[float]], interval: int, resource_id: ResourceId, kw: float
    ) -> float:
        path = self._path[resource_id]
        kw = min(kw, *(room[node][interval] for node in path))
        for node in path:
            room[node][interval] -= kw
        return kw
