"""Regulation and reserve: what is awarded is held in the plan, called by a signal, and settled by its formula.

    award ─▶ ReserveHeadroom in each plan (less what is called) ─▶ signal, every few seconds ─▶ owed at the act cycle
                                                                     └─▶ delivery over ─▶ money, on the journal

A signal is an activation whose quantity moves: each revision holds until the next one. It asks for no new plan,
since the headroom for all of it is in the plan already, and for no more than is awarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import msgspec
import numpy as np

from vpp.account import formulas, regulation
from vpp.errors import DataError, UnavailableError
from vpp.model.activation import Activation
from vpp.model.horizon import Horizon
from vpp.model.ids import EnterpriseId, ProductId, ResourceId
from vpp.model.market import MarketProduct
from vpp.model.money import exact, split_exactly, to_minor
from vpp.model.resource import CurtailableLoad, FlexibleLoad, Generator, Storage
from vpp.model.settlement import StatementLine
from vpp.model.time import QUARTER, Interval, isoformat, parse_utc
from vpp.plan.terms import ReserveHeadroom
from vpp.ports import JournalEntry
from vpp.service import record
from vpp.service.calls.activations import listed
from vpp.service.calls.reservedesk import ReserveResult
from vpp.service.inputs import trading_unit
from vpp.service.instructions import plan as instructionplan
from vpp.service.markets.pack import Pack
from vpp.service.plant import Plant
from vpp.service.strategies import selling
from vpp.trade.position import Trade
from vpp.trade.reservehold import held_kw

KIND = "reserve_settled"
"""Of journal entries."""

SETTLED_BY = frozenset({"capacity_availability", "reserve_energy", "mileage_k", "fcas_enabled"})
ZERO = Decimal(0)


def terms(plant: Plant, horizon: Horizon) -> tuple[ReserveHeadroom, ...]:
    """Headroom for all reserve that is sold and not called yet."""
    able, strategies, position = keepers_of(plant), plant.strategies, plant.book.position()
    nothing = np.zeros(horizon.steps)
    begins: dict[ProductId, list[datetime]] = {}
    for trade in position.all_trades():
        if trade.interval.overlaps(horizon.span):
            begins.setdefault(trade.product_id, []).append(trade.interval.start)
    products = {n: p for n, p in plant.products.items() if not p.by_invitation}
    return tuple(
        ReserveHeadroom(
            product_id=name,
            up=up,
            resource_ids=selling.keepers(strategies, products[name], able, begins.get(name, ())),
            firm_kw=np.maximum(kw, 0.0),
            shortfall_per_kw_h=float(plant.file.trading.reserve_shortfall_per_kw_h),
            open_kw=nothing,
            price_per_kw_h=nothing,
            activation_hours=_call_hours(products[name]),
            survives_largest=_survives(products[name]),
        )
        for (name, up), kw in held_kw(position, products, horizon).items()
    )


def keepers_of(plant: Plant) -> frozenset[ResourceId]:
    """Who may keep reserve: machines of the unit that can be moved at once, and no load that a person turns."""
    unit, by_hand = trading_unit(plant), instructionplan.reached(plant)
    return frozenset(
        r.resource_id
        for r in plant.file.park.resources
        if r.resource_id in unit.resource_ids
        and r.resource_id not in by_hand
        and isinstance(r, Storage | Generator | CurtailableLoad | FlexibleLoad)
        and r.node_id is None
    )


def owed_kw(plant: Plant, interval: Interval, otherwise_kw: float | None) -> float | None:
    """What is owed in a quarter-hour beside what a signal asks: as planned, where no energy is traded.

    Where energy is traded, what is sold and what is called of it are owed already.
    """
    schedule, energy = plant.schedule, plant.energy_products
    if schedule is None or not any(signals(plant, interval)):
        return otherwise_kw
    if any(line.product_id in energy for line in plant.book.position().trades(interval)):
        return otherwise_kw
    if not schedule.horizon.span.covers(interval):
        return otherwise_kw
    return float(schedule.net_kw[schedule.horizon.index(interval.start)])


def signals(plant: Plant, interval: Interval) -> Iterator[Activation]:
    """Signals that are followed in an interval."""
    return (call for call in plant.book.calls.standing_in(interval) if call.signal)


def activated_mwh(plant: Plant, interval: Interval) -> Decimal:
    """Balancing energy that was asked for in a settled interval: it belongs to the schedule, not to imbalance."""
    total = ZERO
    for call in plant.book.calls.standing_in(interval):
        product = plant.products.get(call.product_id)
        if product is not None and product.settled_by in SETTLED_BY:
            total += call.asked_mwh(interval)
    return total


# ---------------------------------------------------------------- money


async def settle_due(plant: Plant, now: datetime) -> None:
    """Settle all reserve whose delivery is over, again where its award was corrected; on disk before it counts."""
    awarded = _awarded(plant)
    for key, trade in awarded.items():
        known = plant.reserve.settled.get(key)
        same = known is not None and (known.quantity_mw, known.price) == (
            trade.quantity_mw,
            trade.price_per_mwh,
        )
        if same or trade.interval.end > now:
            continue
        try:
            result = _settled(plant, listed(plant, trade.product_id), trade, known)
        except DataError as error:
            _tell_once(plant, key, trade.product_id, str(error), now)
            continue
        await _keep(plant, key, result, now)
    for key, known in list(plant.reserve.settled.items()):
        if key not in awarded and known.quantity_mw:
            await _keep(plant, key, _taken_back(known), now)


def _awarded(plant: Plant) -> dict[str, Trade]:
    """All reserve that is awarded, by bid and delivery: what came in several awards is one, at the mean price."""
    found: dict[str, Trade] = {}
    for trade in plant.book.position().all_trades():
        product = plant.products.get(trade.product_id)
        if product is None or product.settled_by not in SETTLED_BY or not trade.quantity_mw:
            continue
        key = f"{trade.bid_id}@{isoformat(trade.interval.start)}"
        if (other := found.get(key)) is not None:
            total = other.quantity_mw + trade.quantity_mw
            worth = (
                other.quantity_mw * other.price_per_mwh + trade.quantity_mw * trade.price_per_mwh
            )
            trade = replace(other, quantity_mw=total, price_per_mwh=worth / total)
        found[key] = trade
    return found


async def _keep(plant: Plant, key: str, result: ReserveResult, now: datetime) -> None:
    with suppress(UnavailableError):  # said and counted there; the next cycle settles it
        body = msgspec.json.encode(result)
        await record.append(plant, KIND, f"{result.revision}/{key}", body, now=now)
        plant.reserve.settled[key] = result
        plant.reserve.told.pop(key, None)
        plant.statements.clear()
        plant.events.emit(
            "reserve_settled",
            f"{result.product} {result.start}: {result.words}",
            at=now,
            product=result.product,
            amount=str(result.amount),
        )


def _taken_back(known: ReserveResult) -> ReserveResult:
    return replace(
        known,
        revision=known.revision + 1,
        quantity_mw=ZERO,
        amount=ZERO,
        words="nothing is awarded any more",
    )


def replay(plant: Plant, entry: JournalEntry) -> None:
    """Take up one result from the record."""
    key = entry.key.partition("/")[2]
    plant.reserve.settled[key] = msgspec.json.decode(entry.body, type=ReserveResult)


def paid(plant: Plant) -> Decimal:
    """All that reserve came to."""
    return sum((one.amount for one in plant.reserve.settled.values()), ZERO)


def statement_lines(plant: Plant, span: Interval) -> dict[EnterpriseId, list[StatementLine]]:
    """Each result whose delivery begins in `span`, split by the weights of the trading result."""
    weights, minor = dict(trading_unit(plant).trading_share), plant.file.park.minor_unit
    lines: dict[EnterpriseId, list[StatementLine]] = {name: [] for name in weights}
    for one in plant.reserve.settled.values():
        start = parse_utc(one.start, where="reserve")
        if start not in span or not one.amount:
            continue
        for name, amount in split_exactly(one.amount, weights, minor).items():
            detail = f"{one.product} {start:%Y-%m-%d %H:%M}Z"
            lines[name].append(
                StatementLine(item="reserve", detail=detail, energy_kwh=ZERO, amount=amount)
            )
    return {name: own for name, own in lines.items() if own}


def _settled(plant: Plant, pack: Pack, trade: Trade, before: ReserveResult | None) -> ReserveResult:
    """By the product's formula; `price_per_mwh` of an award is in the product's own unit.

    What was judged `before` is not judged again: its samples may be gone.
    """
    hours, price = exact(trade.interval.hours), trade.price_per_mwh
    calls = [
        call
        for call in plant.book.calls.standing_in(trade.interval)
        if call.product_id == trade.product_id
    ]
    match pack.section.settlement.formula:
        case "capacity_availability" | "fcas_enabled":
            there, unseen = _availability(plant, trade, calls)
            judged = there if before is None else before.judged
            amount = formulas.capacity_availability(
                awarded_mw=trade.quantity_mw, price_per_mw_h=price, hours=hours, availability=judged
            )
            words = f"{trade.quantity_mw} MW held, {judged:.3f} of it there"
        case "reserve_energy":
            asked = sum((call.asked_mwh(trade.interval) for call in calls), ZERO)
            judged, unseen = Decimal(1), False
            amount = formulas.reserve_energy(activated_mwh=asked, price=price)
            words = f"{asked:.6f} MWh called"
        case _:
            mileage, index = _performance(plant, pack, trade, calls)
            judged = index if before is None else before.judged
            unseen = bool(mileage) and not any(
                one.at in trade.interval for one in plant.reserve.samples
            )
            amount = formulas.mileage_k(
                mileage_mw=mileage,
                price_per_mw=price,
                performance=judged,
                m_factor=pack.section.settlement.params.get("m_factor", Decimal(1)),
            )
            words = f"mileage {mileage} MW, index {judged:.4f}"
    if unseen and before is None:
        words += " (not measured: counted as followed)"
    amount = to_minor(amount, plant.file.park.minor_unit)
    return ReserveResult(
        product=trade.product_id,
        start=isoformat(trade.interval.start),
        revision=1 if before is None else before.revision + 1,
        quantity_mw=trade.quantity_mw,
        price=price,
        judged=judged,
        amount=amount,
        words=f"{words}: {amount} {plant.file.park.currency}",
    )


def _availability(plant: Plant, trade: Trade, calls: Iterable[Activation]) -> tuple[Decimal, bool]:
    """What was delivered of what was asked, each quarter-hour at most whole; 1 where nothing was asked.

    And whether something was asked in a quarter-hour that nobody measured: it does not count.
    """
    asked = delivered = ZERO
    unseen = False
    for quarter in trade.interval.split(QUARTER):
        wanted = sum((call.asked_mwh(quarter) for call in calls), ZERO)
        seen = [one.response_mw for one in plant.reserve.samples if one.at in quarter]
        unseen = unseen or bool(wanted and not seen)
        if not wanted or not seen:
            continue
        sign = 1 if wanted > 0 else -1
        brought = sign * sum(seen, ZERO) / len(seen) * exact(quarter.hours)
        asked += abs(wanted)
        delivered += min(max(brought, ZERO), abs(wanted))
    return (delivered / asked if asked else Decimal(1)), unseen


def _performance(
    plant: Plant, pack: Pack, trade: Trade, calls: Iterable[Activation]
) -> tuple[Decimal, Decimal]:
    """Mileage of the instructions in a delivery, and the index over them."""
    mileage, parts = ZERO, list[regulation.Followed]()
    for call in calls:
        course = [(at, mw) for at, mw in call.followed if at in trade.interval]
        before = [mw for at, mw in call.followed if at < trade.interval.start]
        mileage += regulation.mileage_mw(course, before=before[-1] if before else ZERO)
        parts += regulation.followed(
            course, min(call.interval.end, trade.interval.end), [*plant.reserve.samples]
        )
    section = pack.section.performance
    index = regulation.index_of(
        section.index,
        section.params,
        parts,
        capacity_mw=trade.quantity_mw,
        standard_rate=trade.quantity_mw * plant.file.trading.regulation_rate_share_per_min,
    )
    return mileage, index


def _call_hours(product: MarketProduct) -> float:
    longest = None if product.call is None else product.call.longest
    return (longest or product.delivery_interval).total_seconds() / 3600


def _survives(product: MarketProduct) -> bool:
    return product.call is not None and product.call.survives_largest


def _tell_once(plant: Plant, key: str, product: str, text: str, now: datetime) -> None:
    if plant.reserve.told.get(key) != text:
        plant.reserve.told[key] = text
        plant.events.emit("reserve_settled", text, at=now, product=product)
