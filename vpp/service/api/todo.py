"""What closes when, and what waits for a person: the next gate of each product, and decisions that are open."""

from __future__ import annotations

from datetime import UTC, datetime

from vpp.model.time import Interval
from vpp.service.api.pageviews import TodoView
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading import golive
from vpp.trade.calendar import deliveries_from, next_delivery
from vpp.trade.drlifecycle import OPEN
from vpp.wire import Span

MOST = 50
NEVER = datetime.max.replace(tzinfo=UTC)


def todo(plant: Plant, now: datetime) -> list[TodoView]:
    """At most `MOST`, what closes first at the head; what waits without end behind."""
    found = [
        *_gates(plant, now),
        *_invitations(plant, now),
        *_held(plant),
        *_releases(plant, now),
        *_overrides(plant, now),
    ]
    return sorted(found, key=lambda one: one.at or NEVER)[:MOST]


def _gates(plant: Plant, now: datetime) -> list[TodoView]:
    unit, gates = trading_unit(plant), []
    for product in plant.file.products:
        if product.by_invitation or plant.file.not_biddable(product.product_id) is not None:
            continue
        delivery = next_delivery(product, now)
        if delivery.start < unit.trades_from:
            # Nothing is bid for it: the first that is traded counts.
            delivery = next(deliveries_from(product, unit.trades_from))
        shadow = golive.shadow_reason(plant, product)
        asked = plant.book.revision_for(product.product_id, unit.unit_id, delivery) > 1
        opens = product.gate_opens_at(delivery)
        gates.append(
            TodoView(
                what="gate",
                at=product.gate_closes_at(delivery),
                name=product.product_id,
                delivery=_span(delivery),
                state="bid"
                if asked
                else "not_yet"
                if now < opens
                else "open"
                if shadow is None
                else "shadow",
                detail=shadow or "",
            )
        )
    return gates


def _invitations(plant: Plant, now: datetime) -> list[TodoView]:
    """Invitations that can still be answered."""
    return [
        TodoView(
            what="invitation",
            at=story.invitation.reply_by,
            name=story.invitation.product_id,
            delivery=_span(story.invitation.window),
            state="waits",
            detail=story.invitation.invitation_id,
        )
        for story in plant.dr.book.stories()
        if story.stage in OPEN and story.invitation.reply_by > now
    ]


def _held(plant: Plant) -> list[TodoView]:
    return [
        TodoView(
            what="held_bid",
            at=None,
            name=held.product_id,
            delivery=_span(held.delivery),
            state="waits",
            detail=held.why,
        )
        for held in plant.trade.held.values()
        if held.approved_by is None
    ]


def _releases(plant: Plant, now: datetime) -> list[TodoView]:
    return [
        TodoView(
            what="release",
            at=asked.until,
            name=str(scope),
            delivery=None,
            state="waits",
            detail=asked.by,
        )
        for scope, asked in plant.releases.items()
        if now <= asked.until
    ]


def _overrides(plant: Plant, now: datetime) -> list[TodoView]:
    return [
        TodoView(
            what="override",
            at=held.until,
            name=held.resource_id,
            delivery=None,
            state="in_force",
            detail=f"{held.by}: {held.reason}",
        )
        for held in plant.acting.overrides.values()
        if held.holds(now)
    ]


def _span(interval: Interval) -> Span:
    return Span(start=interval.start, end=interval.end)
