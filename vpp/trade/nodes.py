"""Every limit above a resource, and how far what is at rest, and all that may leave it, reach into it.

A node of the tree is a connection point, a feeder, an enterprise, the park, or a group that shares a
transformer. Whoever may feed more takes of the room of each node above, whoever may draw more of the
room below: however many of them really move, every limit holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Limits, Park
from vpp.model.schedule import Schedule


class Nodes:
    """Highest and lowest net injection of each node, shape (nodes, steps), in kW."""

    def __init__(self, park: Park, schedule: Schedule, fine: Callable[[Floats], Floats]) -> None:
        """Begin with the plan; `fine` cuts its series, shape (T,), to the steps that are looked at."""
        self._names: list[tuple[Limits, frozenset[ResourceId]]] = []
        planned: list[Floats] = []
        rows = {name: row for row, name in enumerate(schedule.resource_ids)}

        def add(limits: Limits, below: Iterable[ResourceId], kw: Floats) -> None:
            self._names.append((limits, frozenset(below)))
            planned.append(fine(kw))

        nothing = np.zeros(schedule.horizon.steps)
        at = schedule.connection_point_kw
        add(park.limits, [r.resource_id for r in park.electric], schedule.net_kw)
        for point in park.connection_points:
            name = point.connection_point_id
            add(point.limits, park.behind_point[name], at[name])
        for feeder in park.feeders:
            behind = park.points_of_feeder[feeder.feeder_id]
            kw = sum((at[p.connection_point_id] for p in behind), nothing)
            add(feeder.limits, park.behind_feeder[feeder.feeder_id], kw)
        for owner in park.enterprises:
            behind = park.points_of_enterprise[owner.enterprise_id]
            kw = sum((at[p.connection_point_id] for p in behind), nothing)
            add(owner.limits, park.behind_enterprise[owner.enterprise_id], kw)
        for group in park.groups:
            kw = sum((schedule.power_kw[rows[name]] for name in group.resource_ids), nothing)
            add(Limits(import_kw=group.max_draw_kw), group.resource_ids, kw)
        self._high, self._low = np.array(planned), np.array(planned)
        self._export = np.array([limits.export_kw for limits, _ in self._names])
        self._import = np.array([limits.import_kw for limits, _ in self._names])
        above: dict[ResourceId, list[int]] = {r.resource_id: [] for r in park.electric}
        for n, (_, below) in enumerate(self._names):
            for member in below & above.keys():
                above[member].append(n)
        self._above = {member: np.array(nodes) for member, nodes in above.items()}

    def shift(self, resource_id: ResourceId, kw: Floats) -> None:
        """Everything above `resource_id` moves by `kw`, shape (steps,)."""
        above = self._above[resource_id]
        self._high[above] += kw
        self._low[above] += kw

    def over(self) -> Floats:
        """By how much the worst limit of each step is broken, in kW; shape (steps,), 0 where none is."""
        over = np.maximum(
            self._high - self._export[:, None], -self._import[:, None] - self._low
        ).max(axis=0)
        return np.asarray(np.maximum(over, 0.0))

    def room(self, resource_id: ResourceId, steps: slice, *, up: bool) -> float:
        """How much more (or less) it may feed in all of `steps`, in kW."""
        above = self._above[resource_id]
        if up:
            left = self._export[above, None] - self._high[above][:, steps]
        else:
            left = self._import[above, None] + self._low[above][:, steps]
        return max(float(left.min()), 0.0)

    def take(self, resource_id: ResourceId, steps: slice, kw: float, *, up: bool) -> None:
        """From now on it may feed `kw` more (or less) in `steps`."""
        above = self._above[resource_id]
        if up:
            self._high[above, steps] += kw
        else:
            self._low[above, steps] -= kw
