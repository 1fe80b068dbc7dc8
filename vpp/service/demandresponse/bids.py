"""A nomination as bids: one of each quarter-hour of the invited window, past every check that bids pass."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal

from vpp.errors import DataError
from vpp.model.market import BidSet
from vpp.service.demandresponse.reply import invited_product
from vpp.service.inputs import trading_unit
from vpp.service.plant import MadeOffer, Plant
from vpp.service.trading import golive, hands, presubmit
from vpp.service.trading import log as tradelog
from vpp.service.trading.trading import require_ready
from vpp.trade.forms import Ladder, ladder_bids
from vpp.trade.invitations import Story
from vpp.trade.records import bid_set_to_bytes, bid_set_to_record


async def place(
    plant: Plant, story: Story, quantity_mw: Decimal, price_per_mwh: Decimal, *, now: datetime
) -> tuple[str, str | None]:
    """Put the bids of a window on disk and into the book; their id, and why they stay in the shadow.

    `plant.trading` is held.

    Raises:
        TradeRefusal: Killed, locked, in doubt, or beyond a limit.
        DataError: The product cannot express the quantity.
        UnavailableError: The journal cannot be written.
    """
    invitation, schedule = story.invitation, plant.schedule
    product, unit = invited_product(plant, invitation), trading_unit(plant)
    require_ready(plant, product)
    hands.require_unlocked(plant, product.product_id, invitation.window)
    assert schedule is not None  # a capability was read from it
    revision = _revision(plant, story)
    bids = ladder_bids(
        product,
        unit,
        [
            Ladder(
                interval=interval,
                firm_kw=0.0,
                up=((float(price_per_mwh) / 1000, float(quantity_mw) * 1000),),
                down=(),
            )
            for interval in product.intervals(invitation.window)
        ],
        revision=revision,
    )
    if len(bids) != len(product.intervals(invitation.window)):
        raise DataError(
            f"{quantity_mw} MW at {price_per_mwh} is no offer of {product.product_id}",
            where=f"invitation {invitation.invitation_id}",
            fix="Look at its quantity, price and the unit's trades_from",
        )
    request_id = hashlib.sha256(
        f"{invitation.invitation_id}/{invitation.revision}/{revision}".encode()
    ).hexdigest()[:32]
    start = f"{invitation.window.start:%Y%m%dT%H%MZ}"
    bid_set = BidSet(
        bid_set_id=f"{product.product_id}.{unit.unit_id}.{start}.{revision}",
        request_id=f"dr-{request_id}",
        product_id=product.product_id,
        unit_id=unit.unit_id,
        delivery=invitation.window,
        revision=revision,
        issued_at=now,
        valid_until=invitation.reply_by,
        plan_id=schedule.plan_id,
        strategy_version=schedule.strategy_version,
        pack_digest=product.pack_digest,
        bids=bids,
    )
    made = MadeOffer(
        schedule=schedule,
        position=plant.book.position(unit.unit_id),
        bids=bids,
        stems=(),
        json=(),
        reasons=b"",
        reasons_key="",
    )
    reason = golive.tell_shadow(plant, product, now)
    leaves = reason is None and plant.file.trading.mode == "live"
    beside = await presubmit.check(plant, bid_set, product, unit, made, now, leaves=leaves)
    response = bid_set_to_bytes(bid_set, "open" if reason is None else "shadow")
    digest = hashlib.sha256(invitation.invitation_id.encode()).hexdigest()
    entry = bid_set_to_record(response, digest, made.reasons_key)
    await tradelog.append(
        plant, tradelog.BID_SET, bid_set.bid_set_id, entry, now=now, before=beside
    )
    plant.reach("nomination journalled")
    plant.book.add(bid_set, response, digest, shadow=reason is not None)
    plant.metrics.bid_set()
    return bid_set.bid_set_id, reason


def _revision(plant: Plant, story: Story) -> int:
    """Above every one that was used for a window with this start: ids carry no end."""
    start = story.invitation.window.start
    used = [
        one.revision
        for one in plant.book.newest_sets(story.invitation.product_id, 1_000)
        if one.delivery.start == start
    ]
    return 1 + max(used, default=0)
