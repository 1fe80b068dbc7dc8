"""The links to devices: which stand, since when, and what is wrong with the others."""

from __future__ import annotations

from datetime import datetime

from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.plant import Plant
from vpp.wire import WireModel


class LinkView(WireModel):
    """One link: to our own broker, or to a gateway of the park file."""

    link: str
    """`mqtt`, or the gateway's id."""
    connected: bool
    since: datetime
    """When that last changed."""
    fault: str | None
    """What is wrong with it, or with devices behind it while it stands; null where all is well."""
    reconnects: int
    devices: int
    """Resources and main meters that it carries."""


class LinksView(WireModel):
    now: datetime
    links: list[LinkView]


async def list_links(plant: Plant, call: Call[Nothing, Nothing]) -> LinksView:
    return LinksView(
        now=call.now,
        links=[
            LinkView(
                link=link.name,
                connected=link.connected,
                since=link.since,
                fault=link.fault,
                reconnects=link.reconnects,
                devices=link.devices,
            )
            for link in plant.links()
        ],
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading("/v1/links", "Each link to devices, and how it does", list_links, gives=LinksView),
)
