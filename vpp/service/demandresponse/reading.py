"""An invitation at the door: read into a noun, held against the product and what is invited already, told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vpp.errors import DataError
from vpp.model.demandresponse import Invitation
from vpp.model.market import Direction, Side
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.service.events import Severity
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading.trading import product_of
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.wiredr import InvitationRequest

LONGEST_WINDOW = timedelta(days=1)
"""Plans reach beyond the end of a window: one of a year would be one they never come to the end of."""


def read(plant: Plant, product_id: str, request: InvitationRequest, now: datetime) -> Invitation:
    """What a platform asks, as a noun.

    Raises:
        TradeRefusal: `unknown_product`, `not_biddable`, `unknown_unit` or `off_grid`.
        DataError: Another direction than the product's, or sizes that make no sense.
    """
    product, unit = product_of(plant, product_id), trading_unit(plant)
    where = f"invitation {request.invitation_id}"
    if request.unit not in (None, unit.unit_id) or product.product_id not in unit.product_ids:
        raise TradeRefusal(
            f"unit {request.unit or unit.unit_id} is not registered for {product_id}",
            code=Refusal.UNKNOWN_UNIT,
            where=where,
            fix=f"Use {unit.unit_id} and one of {sorted(unit.product_ids)}",
        )
    if not product.by_invitation:
        raise TradeRefusal(
            f"{product_id} is not called by invitation",
            code=Refusal.NOT_BIDDABLE,
            where=where,
            fix="Use a product whose activation.trigger is invitation",
        )
    side = Side.SELL if product.direction is Direction.UP else Side.BUY
    if request.direction is not None and request.direction != product.direction.value:
        raise DataError(
            f"direction {request.direction}, and {product_id} is {product.direction}",
            where=where,
            fix="Invite to the product of that direction",
        )
    start, end = request.start.astimezone(UTC), request.end.astimezone(UTC)
    if not start < end or any(latest_boundary(at, QUARTER) != at for at in (start, end)):
        raise TradeRefusal(
            f"{isoformat(start)} to {isoformat(end)} is no span of quarter-hours",
            code=Refusal.OFF_GRID,
            where=where,
            fix="Begin and end on whole quarter-hours, the end after the start",
        )
    return Invitation(
        invitation_id=request.invitation_id,
        revision=request.revision,
        product_id=product.product_id,
        unit_id=unit.unit_id,
        side=side,
        window=Interval(start, end),
        wanted_mw=request.wanted_mw,
        price_cap_per_mwh=request.price_cap_per_mwh,
        fixed_price_per_mwh=request.fixed_price_per_mwh,
        reply_by=request.reply_by.astimezone(UTC),
        area=request.area,
        source=request.source,
        received_at=now,
    )


def require_sound(plant: Plant, invitation: Invitation, now: datetime) -> None:
    """What is taken back may be over; everything else must still be answerable."""
    where = f"invitation {invitation.invitation_id}"
    if not invitation.wanted_mw:
        return
    window = invitation.window
    if window.end - window.start > LONGEST_WINDOW:
        raise DataError(
            f"{isoformat(window.start)} to {isoformat(window.end)} is longer than {LONGEST_WINDOW}",
            where=where,
            fix="Invite to each day by itself",
        )
    if invitation.reply_by <= now:
        raise TradeRefusal(
            f"the reply was due at {isoformat(invitation.reply_by)}",
            code=Refusal.OVER,
            where=where,
            fix="Leave time to reply",
        )
    for other in plant.dr.book.beside(invitation):
        raise DataError(
            f"its window overlaps that of {other.invitation.invitation_id}",
            where=where,
            fix="Send a higher revision of that one, or take it back",
        )


def tell(plant: Plant, invitation: Invitation, now: datetime) -> None:
    """Say it, and ask for a plan that knows of it."""
    name = invitation.invitation_id
    if not invitation.wanted_mw:
        text = f"{name} is taken back by {invitation.source}"
    else:
        way = "less" if invitation.side is Side.SELL else "more"
        span = f"{isoformat(invitation.window.start)} to {isoformat(invitation.window.end)}"
        text = (
            f"{invitation.source} invites to {name}: {invitation.wanted_mw} MW {way}, {span},"
            f" reply by {isoformat(invitation.reply_by)}"
        )
    plant.replan = text
    plant.events.emit(
        *("demand_response", text),
        at=now,
        severity=Severity.WARNING,
        invitation_id=name,
        revision=invitation.revision,
    )
