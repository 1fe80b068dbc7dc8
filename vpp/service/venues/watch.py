"""Gates that are near without a bid at their venue, and what else a person should hear in time.

It asks nobody and waits for nothing, so that a venue that answers slowly cannot make it late:

    gate − alarm_before_minutes   no bid is with the venue: an alarm, with the reason, once for each gate
    certificate                   30, 14, 7 and 1 days before it ends, and when it has
    clock                         a venue's clock differs from ours by more than clock_limit_s
    token                         no new one comes
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.model.market import MarketProduct
from vpp.model.time import Interval, isoformat
from vpp.service.events import Severity
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading import golive
from vpp.service.venues.desk import due
from vpp.service.venues.state import SendState, VenueDesk
from vpp.trade.book import BidSetStatus

CERTIFICATE_DAYS = (0, 1, 7, 14, 30)
"""With so many days left it is told."""

URGENT_DAYS = 7


async def watch(plant: Plant, now: datetime) -> None:
    """Look at every venue."""
    seen_at = max(now, plant.clock.now())
    for desk in plant.venues:
        if desk.sends:
            _watch_gates(plant, desk, seen_at)
        _watch_edges(plant, desk, seen_at)


def _watch_gates(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    alarm = timedelta(minutes=desk.section.alarm_before_minutes)
    near = {}
    for product, delivery in due(plant, desk, now):
        gate = product.gate_closes_at(delivery)
        if gate - alarm <= now:
            near[product.product_id, delivery] = _risk(plant, desk, product, delivery), gate
    for (product_id, delivery), (why, gate) in near.items():
        key, told = (product_id, delivery), (product_id, delivery) in desk.at_risk
        if why is not None and not told:
            desk.at_risk[key] = why
            plant.metrics.venues.at_risk(desk.name)
            plant.events.emit(
                "gate_at_risk",
                f"venue {desk.name} has no bid of {product_id} for {isoformat(delivery.start)};"
                f" its gate closes at {isoformat(gate)}: {why}",
                at=now,
                severity=Severity.ALARM,
                venue=desk.name,
                product=product_id,
                delivery_start=isoformat(delivery.start),
                gate_closes_at=isoformat(gate),
            )
        if why is None and told:
            del desk.at_risk[key]
            text = f"venue {desk.name} has the bid of {product_id} for {isoformat(delivery.start)}"
            plant.events.emit("gate_at_risk", text, at=now, venue=desk.name, product=product_id)
    for key in [k for k in desk.at_risk if k not in near]:
        del desk.at_risk[key]  # its gate has passed


def _risk(plant: Plant, desk: VenueDesk, product: MarketProduct, delivery: Interval) -> str | None:
    """Why a gate may pass without a bid; None where the venue has one, or nobody wants to send one."""
    if golive.shadow_reason(plant, product) is not None:
        return None
    unit_id = trading_unit(plant).unit_id
    newest = plant.book.newest_of(product.product_id, unit_id, delivery)
    if newest is None:
        if plant.book.revision_for(product.product_id, unit_id, delivery) > 1:
            return None  # a person withdrew it
        attempt = desk.attempts.get((product.product_id, delivery))
        return desk.no_new_bids or ("none was made yet" if attempt is None else attempt.what)
    sending = desk.sendings.get(newest.bid_set_id)
    if sending is not None and sending.state is SendState.TAKEN:
        return None
    if plant.book.status(newest.bid_set_id) is BidSetStatus.AWARDED:
        return None
    waits = "it was not sent yet" if sending is None else f"{sending.state}: {sending.what}"
    return desk.no_new_bids or waits


def _watch_edges(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """What is noticed beside the answers; each is told when it changes."""
    health = desk.port.health()
    ends_at, offset_s = health.certificate_ends_at, health.clock_offset_s
    left = None if ends_at is None else ends_at - now
    plant.metrics.venues.stands(
        desk.name,
        stopped=desk.no_new_bids is not None,
        missing=desk.list.missing,
        clock_offset_s=offset_s,
        certificate_left_s=None if left is None else left.total_seconds(),
    )
    _tell_certificate(plant, desk, left, now)
    off = offset_s is not None and abs(offset_s) > desk.section.clock_limit_s
    if off and not desk.clock_told:
        what = f"the clock of venue {desk.name} differs from ours by {offset_s:+.0f} s"
        plant.events.emit("venue_clock", what, at=now, severity=Severity.WARNING, venue=desk.name)
    desk.clock_told = off
    if health.token_fault is not None and desk.token_told is None:
        what = f"no new token for venue {desk.name}: {health.token_fault}"
        plant.events.emit("venue_token", what, at=now, severity=Severity.WARNING, venue=desk.name)
    desk.token_told = health.token_fault


def _tell_certificate(plant: Plant, desk: VenueDesk, left: timedelta | None, now: datetime) -> None:
    days = None
    if left is not None:
        days = next((d for d in CERTIFICATE_DAYS if left <= timedelta(days=d)), None)
    if days is not None and (desk.certificate_told is None or days < desk.certificate_told):
        ended = f"in less than {days} days" if days else "now: nothing can be sent any more"
        plant.events.emit(
            "venue_certificate",
            f"the certificate that is shown to venue {desk.name} ends {ended}",
            at=now,
            severity=Severity.ALARM if days <= URGENT_DAYS else Severity.WARNING,
            venue=desk.name,
            days=days,
        )
    desk.certificate_told = days
