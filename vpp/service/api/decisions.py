"""What people decide about bids: whether a product is live, whether a bid that surprises may leave."""

from __future__ import annotations

from pydantic import Field

from vpp.model.market import MarketProduct
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import HeldBidsView, HeldBidView, LiveView
from vpp.service.plant import Plant
from vpp.service.trading import golive, presubmit, trading
from vpp.service.trading.desk import HeldBid
from vpp.wire import Span, WireModel


class LiveRequest(WireModel):
    """Take a product live, or back into the shadow (`live: false`)."""

    live: bool
    by: str = Field(min_length=2, max_length=120)
    """Who decides it. There are no credentials yet: the record has what was said."""
    reason: str = Field(min_length=3, max_length=500)


class ApprovalRequest(WireModel):
    """Somebody has looked at a held bid and lets bids like it leave for its delivery."""

    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


async def take_live(plant: Plant, call: Call[Nothing, LiveRequest]) -> LiveView:
    product = trading.product_of(plant, call.path["product"])
    body = call.body
    await golive.take(plant, product, live=body.live, by=body.by, reason=body.reason, now=call.now)
    return _live_view(plant, product)


async def show_live(plant: Plant, call: Call[Nothing, Nothing]) -> LiveView:
    return _live_view(plant, trading.product_of(plant, call.path["product"]))


def _live_view(plant: Plant, product: MarketProduct) -> LiveView:
    shadow = golive.shadow_reason(plant, product)
    act = plant.trade.live.get(product.product_id)
    return LiveView(
        product=product.product_id,
        market=golive.market_of(plant, shadow),
        shadow_because=shadow,
        by=None if act is None else act.by,
        reason=None if act is None else act.reason,
        at=None if act is None else act.at,
        build=golive.build_of(plant, product),
    )


async def list_held(plant: Plant, call: Call[Nothing, Nothing]) -> HeldBidsView:
    product = trading.product_of(plant, call.path["product"])
    held = plant.trade.held.values()
    return HeldBidsView(
        product=product.product_id,
        held=[_held_view(one) for one in held if one.product_id == product.product_id],
    )


async def approve_held(plant: Plant, call: Call[Nothing, ApprovalRequest]) -> HeldBidView:
    product = trading.product_of(plant, call.path["product"])
    held = await presubmit.approve(
        plant,
        product.product_id,
        call.path["held_id"],
        by=call.body.by,
        reason=call.body.reason,
        now=call.now,
    )
    return _held_view(held)


def _held_view(held: HeldBid) -> HeldBidView:
    return HeldBidView(
        held_id=held.held_id,
        unit=held.unit_id,
        delivery=Span(start=held.delivery.start, end=held.delivery.end),
        at=held.at,
        why=held.why,
        approved_by=held.approved_by,
        approved_because=held.approved_because,
    )


_PRODUCT = "/v1/markets/{product}"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        f"{_PRODUCT}/live",
        "Whether bids leave, and who decided it",
        show_live,
        gives=LiveView,
        codes=("unknown_product", "not_biddable"),
    ),
    writing(
        "POST",
        f"{_PRODUCT}/live",
        "Take a product live, or back into the shadow; on record, with name, reason and build",
        take_live,
        takes=LiveRequest,
        gives=LiveView,
        codes=("unknown_product", "not_biddable", "conflict", "unavailable"),
    ),
    reading(
        f"{_PRODUCT}/held",
        "Bids that waited, or wait, for a person",
        list_held,
        gives=HeldBidsView,
        codes=("unknown_product", "not_biddable"),
    ),
    writing(
        "POST",
        f"{_PRODUCT}/held/{{held_id}}",
        "Let bids like a held one leave for its delivery, with name and reason",
        approve_held,
        takes=ApprovalRequest,
        gives=HeldBidView,
        codes=("unknown_product", "not_biddable", "invalid_data", "unavailable"),
    ),
)
