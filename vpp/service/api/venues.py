"""Venues that bids are sent to: how each stands, and a person's word that lets bids go there again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.venues import log as venuelog
from vpp.service.venues.state import SendState, VenueDesk
from vpp.wire import WireModel

SHOWN = 50
"""Bid sets of each venue, the newest."""


class SendingView(WireModel):
    """A bid set between us and its venue."""

    bid_set_id: str
    state: SendState
    attempts: int
    what: str
    again_at: datetime | None
    """When it is sent, or asked about, again."""


class RiskView(WireModel):
    """A gate that is near, without a bid at its venue."""

    product: str
    delivery_start: datetime
    why: str


class AwardListView(WireModel):
    """How far the list of a venue's awards was read."""

    booked_up_to: int
    newest: int | None
    missing: int
    next_look: datetime | None
    next_reconcile: datetime | None


class VenueView(WireModel):
    """One venue."""

    venue: str
    kind: Literal["http", "files"]
    products: list[str]
    bids: Literal["sent", "asked"]
    no_new_bids: str | None
    """Why nothing new is bid into it; null where bids go."""
    latched_at: datetime | None
    """Since when a person is to look; null where none is."""
    silent_because: str | None
    """Why it did not answer the last time; null where it did."""
    clock_offset_s: float | None
    certificate_ends_at: datetime | None
    awards: AwardListView
    at_risk: list[RiskView]
    sendings: list[SendingView]
    """The newest first, of bid sets that were sent since the record began."""


class VenuesView(WireModel):
    venues: list[VenueView]


class VenueReleaseRequest(WireModel):
    """A person has looked at the answer that latched a venue, and lets bids go there again."""

    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


async def list_venues(plant: Plant, call: Call[Nothing, Nothing]) -> VenuesView:
    return VenuesView(venues=[_view(desk) for desk in plant.venues])


async def release_venue(plant: Plant, call: Call[Nothing, VenueReleaseRequest]) -> VenueView:
    name, said = call.path["venue"], call.body
    for desk in plant.venues:
        if desk.name == name:
            await venuelog.release(plant, desk, by=said.by, reason=said.reason, now=call.now)
            return _view(desk)
    raise HttpRefusal(
        "this park file names no such venue",
        code="unknown_venue",
        where=f"venue {name[:80]}",
        fix="Look at /v1/venues",
    )


def _view(desk: VenueDesk) -> VenueView:
    health, listed = desk.port.health(), desk.list
    newest = list(reversed(desk.sendings.items()))[:SHOWN]
    return VenueView(
        venue=desk.name,
        kind=desk.section.kind,
        products=desk.section.products,
        bids=desk.section.bids,
        no_new_bids=desk.no_new_bids,
        latched_at=None if desk.latch is None else desk.latch.at,
        silent_because=desk.ill,
        clock_offset_s=health.clock_offset_s,
        certificate_ends_at=health.certificate_ends_at,
        awards=AwardListView(
            booked_up_to=listed.cursor,
            newest=listed.last,
            missing=listed.missing,
            next_look=listed.due,
            next_reconcile=listed.reconcile_due,
        ),
        at_risk=[
            RiskView(product=product_id, delivery_start=delivery.start, why=why)
            for (product_id, delivery), why in desk.at_risk.items()
        ],
        sendings=[
            SendingView(
                bid_set_id=name,
                state=sending.state,
                attempts=sending.attempts,
                what=sending.what,
                again_at=sending.not_before,
            )
            for name, sending in newest
        ],
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/venues",
        "Venues that bids are sent to: what was sent, what is in doubt, what stops them",
        list_venues,
        gives=VenuesView,
    ),
    writing(
        "POST",
        "/v1/venues/{venue}/release",
        "Let bids go to a venue again after a foreign answer was looked at",
        release_venue,
        takes=VenueReleaseRequest,
        gives=VenueView,
        codes=("unknown_venue", "unavailable"),
    ),
)
