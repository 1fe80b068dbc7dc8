"""Answers of one row a resource: a page at a time, for nobody else is answered while one is written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vpp.model.ids import ResourceId
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
