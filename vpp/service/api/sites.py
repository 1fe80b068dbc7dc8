"""Sites that ask our OpenADR server: which were heard, and what each is asked for now."""

from __future__ import annotations

from datetime import datetime

from vpp.model.programme import ProgrammeEvent
from vpp.model.site import SiteHealth
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.plant import Plant
from vpp.service.vtn.desk import SiteDesk
from vpp.wire import WireModel


class SignalView(WireModel):
    """One signal of an event, as OpenADR counts: draw is positive."""

    payload: str
    kw: float


class SiteEventView(WireModel):
    """One event of the site's list."""

    event_id: str
    name: str
    start: datetime | None
    modified_at: datetime | None
    until: datetime | None
    """Null where it asks for reports alone."""
    signals: list[SignalView]
    """Empty where it asks for reports alone."""


class SiteView(WireModel):
    """One site; counted since the server began."""

    site: str
    ven_name: str
    connected: bool
    """Whether it has asked within `silent_s`."""
    since: datetime
    """When that last changed."""
    heard_from: str
    """Address of its newest request; empty where there was none."""
    tokens: int
    """That are valid now."""
    reports: int
    subscriptions: int
    notified: int
    not_notified: int
    """Notifications that it did not take, or that gave way to newer ones."""
    events: list[SiteEventView]


class SitesView(WireModel):
    now: datetime
    sites: list[SiteView]


async def list_sites(plant: Plant, call: Call[Nothing, Nothing]) -> SitesView:
    desk = plant.vtn
    health = () if desk is None else desk.health()
    return SitesView(
        now=call.now, sites=[_site(one, desk.sites[one.name]) for one in health if desk is not None]
    )


def _site(one: SiteHealth, desk: SiteDesk) -> SiteView:
    return SiteView(
        site=one.name,
        ven_name=one.ven_name,
        connected=one.connected,
        since=one.since,
        heard_from=one.heard_from,
        tokens=one.tokens,
        reports=one.reports,
        subscriptions=one.subscriptions,
        notified=one.notified,
        not_notified=one.not_notified,
        events=[_event(event) for event in desk.shelf.events],
    )


def _event(event: ProgrammeEvent) -> SiteEventView:
    signals = [
        SignalView(payload=payload.payload_type, kw=float(payload.values[0]))
        for interval in event.intervals
        for payload in interval.payloads
    ]
    start, until = None, None
    if event.period is not None:
        start, length = event.period.start, event.period.duration
        if signals and start is not None and length is not None:
            until = start + length
    return SiteEventView(
        event_id=event.event_id,
        name=event.name,
        start=start,
        modified_at=event.modified_at,
        until=until,
        signals=signals,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/sites",
        "Sites over OpenADR: which were heard, and what each is asked for",
        list_sites,
        gives=SitesView,
    ),
)
