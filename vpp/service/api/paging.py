"""Answers of one row a resource: a page at a time, for nobody else is answered while one is written.

    a page                  some resources, in the order of the park file, and in `next` where to go on
    whose they are          their connection points and enterprises, again in each page that holds one of theirs
    what has no resource    a point or an enterprise of none: in the first page

Pages of the plan hold each connection point once, for they hold its powers (`planning/part.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.service.api.problems import HttpRefusal
from vpp.service.plant import Plant
from vpp.wire import WireModel

MOST_RESOURCES = 1_000
"""Of one answer. The longest rows (`GET /v1/control`) take some 0.2 ms of one core each."""


class PageQuery(WireModel):
    after: str | None = None
    """Only those that stand behind this one in the park file; what `next` of the answer before says."""
    limit: Annotated[int, Field(ge=1, le=MOST_RESOURCES)] = MOST_RESOURCES
    """So many."""


def page_of(plant: Plant, query: PageQuery) -> tuple[range, str | None]:
    """Places of the resources that are asked for, in the order of the park file; and `next`, None at the end.

    Raises:
        HttpRefusal: `unknown_resource`: no resource is called `after`.
    """
    resources, first = plant.file.park.resources, 0
    if query.after is not None:
        at = plant.units.index.get(ResourceId(query.after))
        if at is None:
            raise HttpRefusal(
                "the park has no such resource",
                code="unknown_resource",
                where=f"resource {query.after[:80]}",
                fix="Give what `next` of the answer before says",
            )
        first = at + 1
    places = range(first, min(first + query.limit, len(resources)))
    more = bool(places) and places.stop < len(resources)
    return places, resources[places[-1]].resource_id if more else None


def points_of(park: Park, places: range) -> dict[int, list[ResourceId]]:
    """Places of the connection points that a page names, and those of its resources that stand behind each."""
    found: dict[int, list[ResourceId]] = {}
    if places.start == 0:
        behind, points = park.resources_of_point, enumerate(park.connection_points)
        found = {at: [] for at, point in points if not behind[point.connection_point_id]}
    for one in park.resources[places.start : places.stop]:
        at = park.row_of_point[one.connection_point_id]
        found.setdefault(at, []).append(one.resource_id)
    return dict(sorted(found.items()))


def enterprises_of(park: Park, places: range, points: Iterable[int]) -> list[int]:
    """Places of the enterprises that a page names, beside those of its connection `points`."""
    owners = {park.row_of_enterprise[park.connection_points[at].enterprise_id] for at in points}
    if places.start == 0:
        owned = park.points_of_enterprise
        owners |= {at for at, e in enumerate(park.enterprises) if not owned[e.enterprise_id]}
    return sorted(owners)
