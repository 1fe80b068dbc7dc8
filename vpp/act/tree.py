"""The park's tree as the act cycle walks it: each node with its limits and who stands behind it.

A group that shares a transformer or a crane is a node too, though it lies across the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.park import Limits, Park


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A connection point, an enterprise that has a limit of its own, a feeder, the park, or a group."""

    name: str
    limits: Limits
    behind: tuple[ResourceId, ...]
    """Electric resources, in park order, since other carriers load no wire; all members of a group."""

    draws_only: bool = False
    """Whether its limit is on what its members draw, whatever others of them feed."""

    def net_kw(self, powers_kw: Iterable[float]) -> float:
        """What powers (net injection in kW) of all behind it add up to, as its limits count it."""
        return sum(min(kw, 0.0) if self.draws_only else kw for kw in powers_kw)


def nodes(
    park: Park, import_ceiling_kw: Mapping[ConnectionPointId, float] = MappingProxyType({})
) -> tuple[Node, ...]:
    """All nodes above the resources, groups and then the deepest first.

    `import_ceiling_kw` (sizes) narrows what some connection points may draw, below their limit.
    """
    points = [
        Node(
            name=f"connection point {point.connection_point_id}",
            limits=_narrowed(point.limits, import_ceiling_kw.get(point.connection_point_id, inf)),
            behind=park.behind_point[point.connection_point_id],
        )
        for point in park.connection_points
    ]
    enterprises = [
        Node(
            name=f"enterprise {enterprise.enterprise_id}",
            limits=enterprise.limits,
            behind=park.behind_enterprise[enterprise.enterprise_id],
        )
        for enterprise in park.enterprises
        if enterprise.limits != Limits()
    ]
    feeders = [
        Node(
            name=f"feeder {feeder.feeder_id}",
            limits=feeder.limits,
            behind=park.behind_feeder[feeder.feeder_id],
        )
        for feeder in park.feeders
    ]
    whole = Node(
        name=f"park {park.park_id}",
        limits=park.limits,
        behind=tuple(r.resource_id for r in park.electric),
    )
    groups = [
        Node(
            name=f"group {group.group_id}",
            limits=Limits(import_kw=group.max_draw_kw),
            behind=group.resource_ids,
            draws_only=True,
        )
        for group in park.groups
        if group.max_draw_kw < inf
    ]
    return (*groups, *points, *enterprises, *feeders, whole)


def _narrowed(limits: Limits, ceiling_kw: float) -> Limits:
    return Limits(import_kw=min(limits.import_kw, ceiling_kw), export_kw=limits.export_kw)
