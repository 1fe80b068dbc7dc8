"""Whether bids of a product may leave: shadow is the default, going live is somebody's recorded act.

    trading.mode   shadow      nothing leaves, whatever else is on record
                   live        a product leaves once a person has taken *this build* live for it
                   simulated   everything leaves, to a market that is simulated with the park

An act names the build: version of the service and digest of its code (the strategies' own among it), digests of the park
file (its limits are in it) and of the market file. When one of them changes, the product is in the shadow again until
somebody takes the new build live.

The strategy file is no part of it. What it may say is bounded by the code and the park file's limits, and each version
is checked, on the journal with who and why, tried at its first plan and stamped on every bid (`tuning/`); bids that
differ much from those before still wait for a person (`presubmit.py`). Were a version a new build, whoever changes a
comment on Tuesday would have lost the market until Wednesday.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

import msgspec

from vpp import __version__
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.time import isoformat
from vpp.ports import JournalEntry
from vpp.service.build import code_digest
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.trading.desk import LiveAct
from vpp.trade.calendar import Refusal, TradeRefusal

KIND = "go_live"
"""Of journal entries."""


def build_of(plant: Plant, product: MarketProduct) -> str:
    """What would bid, whatever its strategies ask for: version and code, park, market file."""
    return (
        f"vpp {__version__} code {code_digest()}, park {plant.file.digest[:12]},"
        f" rules {product.pack_digest[:12]}"
    )


def shadow_reason(plant: Plant, product: MarketProduct) -> str | None:
    """Why bids of a product stay in the shadow; None where they may leave."""
    mode = plant.file.trading.mode
    if mode == "simulated":
        return None
    if mode == "shadow":
        return "trading.mode of the park file is shadow"
    act = plant.trade.live.get(product.product_id)
    if act is None or not act.live:
        return "nobody has taken it live" if act is None else f"{act.by} took it back: {act.reason}"
    if act.build != (build := build_of(plant, product)):
        return f"{act.by} took another build live ({act.build}), not this one ({build})"
    return None


def market_of(plant: Plant, shadow: str | None) -> Literal["live", "shadow", "simulated"]:
    """Where bids of a product go; `shadow` is its `shadow_reason`."""
    if plant.file.trading.mode == "simulated":
        return "simulated"
    return "live" if shadow is None else "shadow"


def tell_shadow(plant: Plant, product: MarketProduct, now: datetime) -> str | None:
    """`shadow_reason`, with an event when it is another than it was for the bid set before."""
    reason = shadow_reason(plant, product)
    if reason != plant.trade.shadowed.get(product.product_id):
        if reason is None:
            del plant.trade.shadowed[product.product_id]
        else:
            plant.trade.shadowed[product.product_id] = reason
            plant.events.emit(
                "shadow",
                f"bids of {product.product_id} stay in the shadow: {reason}",
                at=now,
                severity=Severity.WARNING,
                product=product.product_id,
            )
    return reason


async def take(
    plant: Plant, product: MarketProduct, *, live: bool, by: str, reason: str, now: datetime
) -> LiveAct:
    """Put on record that somebody takes a product live, or back; it holds from then on.

    Raises:
        TradeRefusal: `not_biddable`: the park file does not allow it, or its rules are unverified and not
            waived.
        UnavailableError: The journal cannot be written: nothing changes.
    """
    if live:
        _require_allowed(plant, product)
    act = LiveAct(
        product_id=product.product_id,
        live=live,
        by=by,
        reason=reason,
        at=now,
        build=build_of(plant, product),
    )
    body = msgspec.json.encode(
        {"live": act.live, "by": act.by, "reason": act.reason, "build": act.build}
    )
    digest = hashlib.sha256(body).hexdigest()[:16]
    await append(plant, KIND, f"{product.product_id}/{isoformat(now)}/{digest}", body, now=now)
    plant.trade.live[product.product_id] = act
    plant.events.emit(
        "go_live",
        f"{act.by} takes {product.product_id} {'live' if act.live else 'into the shadow'}: {act.reason}",
        at=now,
        severity=Severity.WARNING,
        product=product.product_id,
        build=act.build,
    )
    return act


def replay(plant: Plant, entry: JournalEntry) -> None:
    """Take up one act of the record."""
    said = msgspec.json.decode(entry.body)
    product_id = ProductId(entry.key.partition("/")[0])
    plant.trade.live[product_id] = LiveAct(product_id=product_id, at=entry.recorded_at, **said)


def _require_allowed(plant: Plant, product: MarketProduct) -> None:
    where = f"product {product.product_id}"
    if plant.file.trading.mode != "live":
        raise TradeRefusal(
            f"trading.mode of the park file is {plant.file.trading.mode}",
            code=Refusal.NOT_BIDDABLE,
            where=where,
            fix="Set it to live, start the service again, then take the product live",
        )
    if (reason := plant.file.not_biddable(product.product_id)) is not None:
        raise TradeRefusal(
            reason,
            code=Refusal.NOT_BIDDABLE,
            where=where,
            fix="Clear the fields in the market file, or waive them in the park file",
        )
