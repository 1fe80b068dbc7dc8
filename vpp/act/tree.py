"""The park's tree as the act cycle walks it: each node with its limits and who stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.park import Limits, Park


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A connection point, an enterprise that has a limit of its own, a feeder, or the park."""

    name: str
    limits: Limits
    behind: tuple[ResourceId, ...]
    """Electric resources, in park order; other carriers load no wire."""


def nodes(
    park: Park, import_ceiling_kw: Mapping[ConnectionPointId, float] = MappingProxyType({})
) -> tuple[Node, ...]:
    """All nodes above the resources, the deepest first.

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
    return (*points, *enterprises, *feeders, whole)


def _narrowed(limits: Limits, ceiling_kw: float) -> Limits:
    return Limits(import_kw=min(limits.import_kw, ceiling_kw), export_kw=limits.export_kw)
