"""Markets: what is traded here, bids on request, awards, what was delivered."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import BidSet, MarketProduct, Side
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import BidSetSummary, BidSetsView, DeliveriesView, MarketsView
from vpp.service.calls import activations
from vpp.service.markets.pack import Pack
from vpp.service.plant import Plant
from vpp.service.trading import awarding, golive, trading
from vpp.trade.calendar import TradeRefusal, next_delivery
from vpp.trade.reasonmessages import ShownBidSet
from vpp.wire import (
    AwardRequest,
    AwardResponse,
    BidRequest,
    BidSetResponse,
    ClearedView,
    DeliveryView,
    GateView,
    Moment,
    ProductView,
    SourceView,
    Span,
    WaiverView,
    WireModel,
)

NO_BIDS = (
    "unknown_unit",
    "not_biddable",
    "off_grid",
    "wrong_length",
    "gate_closed",
    "gate_not_open",
    "no_plan",
    "plan_stale",
    "plan_too_short",
    "prices_missing",
    "limits_breached",
    "no_new_bids",
    "killed",
    "shadow",
    "needs_approval",
    "rate_exceeded",
    "locked",
)
MOST_DELIVERIES = 500


class BidSetsQuery(WireModel):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class DeliveriesQuery(WireModel):
    start: Moment | None = None
    """A day ago, where left out."""
    end: Moment | None = None
    """Two days from now, where left out; at most 500 quarter-hours after `start`."""


async def list_markets(plant: Plant, call: Call[Nothing, Nothing]) -> MarketsView:
    return product_views(plant, call.now)


async def show_market(plant: Plant, call: Call[Nothing, Nothing]) -> ProductView:
    name = call.path["product"]
    for pack in plant.file.packs:
        if pack.product_id == name:
            return _view(plant, pack, call.now)
    raise HttpRefusal(
        "this park does not list it",
        code="unknown_product",
        where=f"product {name}",
        fix=f"Use one of {sorted(pack.product_id for pack in plant.file.packs)}",
    )


async def make_bids(plant: Plant, call: Call[Nothing, BidRequest]) -> bytes:
    try:
        return await trading.answer_bid_request(
            plant,
            call.path["product"],
            call.body,
            digest=request_digest(call.body),
            now=call.now,
        )
    except TradeRefusal as refusal:
        plant.metrics.bid_refused(refusal.code)
        raise


def request_digest(request: BidRequest) -> str:
    """SHA-256 over what was asked, however it was spelled."""
    tree = request.model_dump(mode="json")
    canonical = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


async def list_bid_sets(plant: Plant, call: Call[BidSetsQuery, Nothing]) -> BidSetsView:
    product = trading.product_of(plant, call.path["product"])
    newest = plant.book.newest_sets(product.product_id, call.query.limit)
    return BidSetsView(
        product=product.product_id, bid_sets=[_summary(plant, product, s) for s in newest]
    )


async def show_bid_set(plant: Plant, call: Call[Nothing, Nothing]) -> bytes:
    return trading.show_bid_set(plant, call.path["product"], call.path["bid_set_id"])


async def withdraw_bid_set(plant: Plant, call: Call[Nothing, Nothing]) -> bytes:
    return await trading.withdraw(
        plant, call.path["product"], call.path["bid_set_id"], now=call.now
    )


async def take_award(plant: Plant, call: Call[Nothing, AwardRequest]) -> AwardResponse:
    return await awarding.book_award(plant, call.path["product"], call.body, now=call.now)


async def list_deliveries(plant: Plant, call: Call[DeliveriesQuery, Nothing]) -> DeliveriesView:
    """Intervals in which something is owed or was metered."""
    product_id = activations.listed(plant, call.path["product"]).product_id
    span = _span(call.query, call.now)
    shown = (_delivery(plant, product_id, interval) for interval in span.split(QUARTER))
    return DeliveriesView(product=product_id, deliveries=[one for one in shown if one is not None])


def _delivery(plant: Plant, product_id: ProductId, interval: Interval) -> DeliveryView | None:
    position = plant.book.position()
    trades, delivered = position.trades(interval), plant.deliveries.get(interval)
    step = Horizon(interval.start, QUARTER, 1)
    own_called = float(position.activated_kw(step, {product_id})[0]) * interval.hours
    all_called = float(position.activated_kw(step)[0]) * interval.hours
    if not trades and delivered is None and not all_called:
        return None
    per_kwh = Decimal(1000) * Decimal(str(interval.hours))
    own = sum((t.sold_mw for t in trades if t.product_id == product_id), Decimal(0))
    every = plant.sold_mw(interval)
    return DeliveryView(
        start=interval.start,
        end=interval.end,
        owed_kwh=float(own * per_kwh) + own_called,
        owed_all_kwh=float(every * per_kwh) + all_called,
        activated_kwh=own_called,
        baseline_kwh=_baseline_kwh(plant, product_id, interval),
        delivered_kwh=None if delivered is None else delivered.delivered_kwh,
    )


def _baseline_kwh(plant: Plant, product_id: ProductId, interval: Interval) -> float | None:
    """Net injection that was planned before the product's first call upon the interval."""
    for one in plant.book.calls.standing_in(interval):
        if one.product_id == product_id and interval.start in one.interval and one.quantity_mw:
            kw = activations.baseline_kw(one, interval.start)
            return None if kw is None else kw * interval.hours
    return None


def _span(query: DeliveriesQuery, now: datetime) -> Interval:
    start = latest_boundary(query.start or now - timedelta(days=1), QUARTER)
    end = query.end or start + timedelta(days=3)
    if not start < end <= start + MOST_DELIVERIES * QUARTER:
        raise HttpRefusal(
            f"from {start} to {end}",
            code="invalid_query",
            where="query.end",
            fix=f"Let it lie after `start`, by at most {MOST_DELIVERIES} quarter-hours",
        )
    return Interval(start, end)


def product_views(plant: Plant, now: datetime) -> MarketsView:
    """Every product of the park with its next gate."""
    return MarketsView(products=[_view(plant, pack, now) for pack in plant.file.packs])


def _view(plant: Plant, pack: Pack, now: datetime) -> ProductView:
    calendar, section = pack.calendar(plant.file.calendar), pack.section
    delivery, reason = next_delivery(calendar, now), plant.file.not_biddable(pack.product_id)
    shadow = _shadow(plant, pack)
    price, quantity = section.offer.price, section.offer.quantity
    return ProductView(
        product=section.id,
        version=section.version,
        valid_from=section.valid_from,
        valid_to=section.valid_to,
        kind=section.kind,
        direction=section.direction,
        form=pack.form,
        biddable=reason is None,
        not_biddable=reason,
        market=golive.market_of(plant, shadow),
        shadow_because=shadow,
        currency=section.currency,
        timezone=calendar.timezone.key,
        delivery_interval_s=calendar.delivery_interval // timedelta(seconds=1),
        lot_mw=quantity.step,
        tick_per_mwh=None if price is None else price.step,
        min_price_per_mwh=None if price is None else price.min,
        max_price_per_mwh=None if price is None else price.max,
        price_unit=None if price is None else price.unit,
        max_quantity_mw=quantity.max,
        exclusivity_group=section.exclusivity_group,
        unverified=[field.path for field in pack.open_fields],
        cleared=[
            ClearedView(field=c.field, document=c.document, date=c.date, by=c.by)
            for c in section.cleared
        ],
        waived=[
            WaiverView(fields=w.fields, reason=w.reason, date=w.date, by=w.by)
            for w in plant.file.waivers
            if w.product == section.id
        ],
        sources=[
            SourceView(
                ref=s.ref,
                mark=s.mark,
                confidence=s.confidence,
                fields=s.fields,
                valid_from=s.valid_from or section.valid_from,
                valid_to=s.valid_to or section.valid_to,
            )
            for s in section.sources
        ],
        pack_digest=pack.digest,
        units=[
            unit.unit_id
            for unit in plant.file.park.bidding_units
            if pack.product_id in unit.product_ids
        ],
        schema_url="/openapi.json#/components/schemas/BidSetResponse",
        next_delivery=GateView(
            delivery=Span(start=delivery.start, end=delivery.end),
            opens_at=calendar.gate_opens_at(delivery),
            closes_at=calendar.gate_closes_at(delivery),
        ),
    )


def _shadow(plant: Plant, pack: Pack) -> str | None:
    product = plant.products.get(pack.product_id)
    return None if product is None else golive.shadow_reason(plant, product)


def _summary(plant: Plant, product: MarketProduct, bid_set: BidSet) -> BidSetSummary:
    offered = {Side.BUY: Decimal(0), Side.SELL: Decimal(0)}
    for bid in bid_set.bids:
        offered[bid.side] += bid.most_mwh
    traded = {Side.BUY: Decimal(0), Side.SELL: Decimal(0)}
    proceeds = Decimal(0)
    for trade in plant.book.trades_of(bid_set.bid_set_id):
        energy_mwh = trade.quantity_mw * Decimal(str(trade.interval.hours))
        traded[trade.side] += energy_mwh
        proceeds += energy_mwh * trade.price_per_mwh * trade.side.sign
    return BidSetSummary(
        bid_set_id=bid_set.bid_set_id,
        revision=bid_set.revision,
        unit=bid_set.unit_id,
        delivery=Span(start=bid_set.delivery.start, end=bid_set.delivery.end),
        issued_at=bid_set.issued_at,
        valid_until=bid_set.valid_until,
        status=plant.book.status(bid_set.bid_set_id).value,
        bids=len(bid_set.bids),
        states=plant.book.states(bid_set.bid_set_id),
        offered_sell_mwh=offered[Side.SELL],
        offered_buy_mwh=offered[Side.BUY],
        sold_mwh=traded[Side.SELL],
        bought_mwh=traded[Side.BUY],
        proceeds=proceeds,
        currency=product.currency,
    )


_PRODUCT = "/v1/markets/{product}"

ROUTES: tuple[AnyRoute, ...] = (
    reading("/v1/markets", "The market products of this park", list_markets, gives=MarketsView),
    reading(
        _PRODUCT,
        "One product and its next gate",
        show_market,
        gives=ProductView,
        codes=("unknown_product",),
    ),
    reading(
        f"{_PRODUCT}/bids",
        "The newest bid sets and what came of them",
        list_bid_sets,
        gives=BidSetsView,
        query=BidSetsQuery,
        codes=("unknown_product", "not_biddable"),
    ),
    writing(
        "POST",
        f"{_PRODUCT}/bids",
        "Make the bids for one delivery; the same request_id gives the same bytes",
        make_bids,
        takes=BidRequest,
        gives=BidSetResponse,
        codes=("unknown_product", "conflict", "unavailable", *NO_BIDS),
    ),
    reading(
        f"{_PRODUCT}/bids/{{bid_set_id}}",
        "A bid set as it stands, and why its bids are as they are",
        show_bid_set,
        gives=ShownBidSet,
        codes=("unknown_product", "not_biddable", "unknown_bid_set"),
        tail="bid_set_id",
    ),
    reading(
        f"{_PRODUCT}/bids/{{bid_set_id}}",
        "Take a bid set back before its gate",
        withdraw_bid_set,
        method="DELETE",
        gives=ShownBidSet,
        codes=(
            "unknown_product",
            "not_biddable",
            "unknown_bid_set",
            "conflict",
            "gate_closed",
            "locked",
            "unavailable",
        ),
        tail="bid_set_id",
    ),
    writing(
        "POST",
        f"{_PRODUCT}/awards",
        "Book what a venue cleared; acknowledged when it is on disk",
        take_award,
        takes=AwardRequest,
        gives=AwardResponse,
        codes=("unknown_product", "not_biddable", "conflict", "invalid_data", "unavailable"),
    ),
    reading(
        f"{_PRODUCT}/deliveries",
        "Owed and delivered, by interval",
        list_deliveries,
        gives=DeliveriesView,
        query=DeliveriesQuery,
        codes=("unknown_product",),
    ),
)
