"""The last look at a bid set before it may leave: gathers what `vpp/trade/presubmit.py` judges it by.

    kill switch ─▶ rate ─▶ market rules (`vpp/trade/limits.py`) ─▶ money and surprise (`vpp/trade/presubmit.py`)
                    │            │ hard: refused, counted ─▶ too many ─▶ this market is killed
                    ▼            ▼
                 refused      needs a person: refused, on record, until somebody approves

In a simulation nobody can be asked, so what needs a person is a warning on record there, as it is in the
shadow, where nothing leaves.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from vpp.errors import DataError
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import BidSet, MarketProduct
from vpp.model.park import BiddingUnit
from vpp.model.time import Interval, isoformat, parse_utc
from vpp.ports import JournalEntry
from vpp.service import control
from vpp.service.events import Severity as Loudness
from vpp.service.kill import Scope
from vpp.service.plant import MadeOffer, Plant
from vpp.service.record import append
from vpp.service.trading.desk import HeldBid
from vpp.service.trading.facts import content_digest, facts_of, offered_once
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.limits import check_bid_set
from vpp.trade.presubmit import Breach, Profile, RateMeter, RefusalTally, Severity, judge

HELD, APPROVAL, WARNING = "bid_held", "bid_approval", "bid_warning"
"""Kinds of journal entries."""


def require_rate(plant: Plant, product: MarketProduct, now: datetime) -> None:
    """Refuse bid sets that come faster than anybody could mean it.

    Raises:
        TradeRefusal: `rate_exceeded`.
    """
    limits = plant.file.trading.limits
    meter = plant.trade.rates.setdefault(
        product.product_id, RateMeter(burst=limits.burst, per_minute=limits.per_minute)
    )
    if not meter.take(now):
        what = f"more than {limits.per_minute} bid sets a minute after the first {limits.burst}"
        raise _refuse(plant, product, Refusal.RATE_EXCEEDED, what, now)


def require_rules(
    plant: Plant,
    bid_set: BidSet,
    product: MarketProduct,
    unit: BiddingUnit,
    made: MadeOffer,
    now: datetime,
    *,
    counts: bool = True,
) -> None:
    """Refuse what breaks the market's own rules; an offer that kept them once is not looked at again.

    `counts`: bids are to leave; a question that breaks a rule is refused, and is no fault.

    Raises:
        TradeRefusal: `limits_breached`.
    """
    if not made.checked and (wrong := check_bid_set(bid_set, product, unit, plant.file.park)):
        told = "; ".join(wrong)
        if not counts:
            raise _refusal(product, Refusal.LIMITS_BREACHED, told)
        raise _refuse(plant, product, Refusal.LIMITS_BREACHED, told, now)
    made.checked = True


async def check(
    plant: Plant,
    bid_set: BidSet,
    product: MarketProduct,
    unit: BiddingUnit,
    made: MadeOffer,
    now: datetime,
    *,
    leaves: bool,
) -> list[tuple[str, str, bytes]]:
    """Let a bid set pass or refuse it; entries of the journal that go with it where it passes.

    `leaves`: a venue that is no simulation will get it, so what needs a person waits for one.

    Raises:
        TradeRefusal: `limits_breached`, or `needs_approval` once that is on record.
        UnavailableError: What waits for a person could not be put on record.
    """
    require_rules(plant, bid_set, product, unit, made, now)
    offered = offered_once(bid_set, product, made)
    facts = facts_of(plant, bid_set, product, unit, made, now)
    breaches = judge(offered, plant.file.trading.limits.noun(), facts)
    if hard := [breach for breach in breaches if breach.severity is Severity.HARD]:
        told = "; ".join(map(str, hard))
        raise _refuse(plant, product, Refusal.LIMITS_BREACHED, told, now)
    strange = [breach for breach in breaches if breach.severity is Severity.PERSON]
    if strange and leaves:
        content = content_digest(plant, bid_set, made)
        raise await _hold(plant, bid_set, content, offered.profile, strange, now)
    _warn(plant, product, breaches, now)
    body = msgspec.json.encode([str(breach) for breach in strange])
    return [(WARNING, bid_set.bid_set_id, body)] if strange else []


def _refuse(
    plant: Plant, product: MarketProduct, code: Refusal, what: str, now: datetime
) -> TradeRefusal:
    """A hard refusal: said, counted, and too many of them kill the market."""
    limits = plant.file.trading.limits
    plant.events.emit(
        "limits_breached", what, at=now, severity=Loudness.ALARM, product=product.product_id
    )
    tally = plant.trade.refusals.setdefault(
        product.product_id,
        RefusalTally(
            most=limits.most_refusals, within=timedelta(minutes=limits.refusals_within_minutes)
        ),
    )
    if tally.add(now):
        reason = (
            f"{limits.most_refusals} hard refusals in {limits.refusals_within_minutes} min;"
            f" the newest: {what}"
        )
        scope = Scope("market", product.product_id)
        control.latch_by_itself(plant, scope, reason, now=now, by="the limits")
    return _refusal(product, code, what)


def _refusal(product: MarketProduct, code: Refusal, what: str) -> TradeRefusal:
    return TradeRefusal(
        what,
        code=code,
        where=f"product {product.product_id}",
        fix="Find out what made these bids; the limits are in `trading.limits` of the park file",
    )


def _warn(
    plant: Plant, product: MarketProduct, breaches: tuple[Breach, ...], now: datetime
) -> None:
    """Soft limits: counted each time, said when other rules warn than did for the bid set before."""
    rules = frozenset(breach.rule for breach in breaches)
    plant.metrics.bid_warned(rules)
    if rules and rules != plant.trade.warned.get(product.product_id):
        plant.events.emit(
            "bid_warning",
            "; ".join(map(str, breaches)),
            at=now,
            severity=Loudness.WARNING,
            product=product.product_id,
            rules=sorted(rules),
        )
    plant.trade.warned[product.product_id] = rules


# ---------------------------------------------------------------- a person


async def _hold(
    plant: Plant,
    bid_set: BidSet,
    content: str,
    profile: Profile,
    strange: list[Breach],
    now: datetime,
) -> TradeRefusal:
    """Put on record that a bid set waits for a person; the same content again is the same entry."""
    held_id = f"{bid_set.bid_set_id.rpartition('.')[0]}.{content[:12]}"
    why = "; ".join(map(str, strange))
    if held_id in plant.trade.held:
        if (meter := plant.trade.rates.get(bid_set.product_id)) is not None:
            meter.give_back()  # who asks whether a person has looked is no flood
    else:
        held = HeldBid(
            held_id=held_id,
            product_id=bid_set.product_id,
            unit_id=bid_set.unit_id,
            delivery=bid_set.delivery,
            at=now,
            why=why,
            profile=profile,
        )
        await append(plant, HELD, held_id, _held_body(held), now=now)
        plant.trade.held[held_id] = held
        plant.events.emit(
            "bid_held",
            f"{held_id} waits for a person: {why}",
            at=now,
            severity=Loudness.ALARM,
            held_id=held_id,
        )
    return TradeRefusal(
        why,
        code=Refusal.NEEDS_APPROVAL,
        where=f"held bid {held_id}",
        fix=f"Have an operator look at it: POST …/held/{held_id}",
    )


async def approve(
    plant: Plant, product_id: ProductId, held_id: str, *, by: str, reason: str, now: datetime
) -> HeldBid:
    """A person lets bids like the held one leave, for its delivery; again by anyone changes nothing.

    Raises:
        DataError: Nothing of that id waits.
        UnavailableError: It cannot be put on record.
    """
    held = plant.trade.held.get(held_id)
    if held is None or held.product_id != product_id:
        raise DataError(
            "no such bid waits", where=f"held bid {held_id[:200]}", fix="Look at GET …/held"
        )
    if held.approved_by is not None:
        return held
    body = msgspec.json.encode({"by": by, "reason": reason})
    await append(plant, APPROVAL, held_id, body, now=now)
    held = plant.trade.held[held_id] = replace(held, approved_by=by, approved_because=reason)
    plant.events.emit(
        "bid_approved",
        f"{by} approves {held_id}: {reason}",
        at=now,
        severity=Loudness.WARNING,
        held_id=held_id,
    )
    return held


def replay(plant: Plant, entry: JournalEntry) -> None:
    """Take up a held bid, or its approval, from the record."""
    if entry.kind == APPROVAL:
        said = msgspec.json.decode(entry.body, type=dict[str, str])
        held = plant.trade.held[entry.key]
        plant.trade.held[entry.key] = replace(
            held, approved_by=said["by"], approved_because=said["reason"]
        )
        return
    body = msgspec.json.decode(entry.body)
    where = f"held bid {entry.key}"
    plant.trade.held[entry.key] = HeldBid(
        held_id=entry.key,
        product_id=ProductId(body["product"]),
        unit_id=UnitId(body["unit"]),
        delivery=Interval(*(parse_utc(at, where=where) for at in body["delivery"])),
        at=entry.recorded_at,
        why=body["why"],
        profile={
            timedelta(seconds=slot): (Decimal(sell), Decimal(buy))
            for slot, sell, buy in body["profile"]
        },
    )


def _held_body(held: HeldBid) -> bytes:
    return msgspec.json.encode(
        {
            "product": held.product_id,
            "unit": held.unit_id,
            "delivery": [isoformat(held.delivery.start), isoformat(held.delivery.end)],
            "why": held.why,
            "profile": [
                [int(slot.total_seconds()), format(sell, "f"), format(buy, "f")]
                for slot, (sell, buy) in sorted(held.profile.items())
            ],
        }
    )
