"""Contracts and trades made outside: in by API or by series, on disk before they count.

    POST …/trades ─▶ fits unit, grid, size? ─▶ journal ─▶ book ─▶ acknowledge ─▶ settled again, a new plan
    PUT series ───▶ fits its contract? ─▶ journal (as a series) ─▶ the contract's whole curve ─▶ book

A physical one is owed as an award is: plans, offers, limits and imbalance know it. A financial one (a contract
for difference) moves money only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.money import exact
from vpp.model.outside import CONTRACTS, Obligation, OutsideTrade
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.service import accounting
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading.contractschema import ContractSection
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.outside import changed_from
from vpp.trade.outsiderecords import outside_to_record
from vpp.wire import SeriesUpload
from vpp.wireposition import OutsideTradeRequest

MW = "MW"
LONGEST = timedelta(days=1100)
"""Three years: a wrong year must not fill the memory."""
EVER = datetime(2200, 1, 1, tzinfo=UTC)
"""A curve is what was issued last, whatever moment it was issued for."""


async def take(plant: Plant, request: OutsideTradeRequest, *, now: datetime) -> OutsideTrade:
    """Book a trade made outside; acknowledged when it is on disk. The same again changes nothing.

    Raises:
        TradeRefusal: `unknown_unit` or `off_grid`.
        DataError: A physical one of more than the unit is registered for, or a span of more than three years.
        ConflictError: The same revision came with other content.
        UnavailableError: The journal cannot be written; it must come again.
    """
    async with plant.trading:
        tradelog.settle_unsure(plant)
        trade = _read(plant, request, now)
        if plant.book.outside.is_new(trade):
            _require_sound(plant, trade)
            await _book(plant, trade, now)
    return trade


async def withdraw(
    plant: Plant, trade_id: str, *, reason: str, by: str, now: datetime
) -> OutsideTrade | None:
    """Take a trade back by a revision of 0 MW; again changes nothing. None where there is no such trade.

    Raises:
        UnavailableError: The journal cannot be written: it stays owed.
    """
    async with plant.trading:
        tradelog.settle_unsure(plant)
        standing = plant.book.outside.newest(trade_id)
        if standing is None or not standing.quantity_mw:
            return standing
        gone = replace(
            standing,
            revision=standing.revision + 1,
            quantity_mw=Decimal(0),
            reason=reason,
            by=by,
            received_at=now,
        )
        await _book(plant, gone, now)
    return gone


async def _book(plant: Plant, trade: OutsideTrade, now: datetime) -> None:
    before = plant.book.outside.newest(trade.trade_id)
    key = f"{trade.trade_id}/{trade.revision}"
    plant.reach("outside trade checked")
    await tradelog.append(plant, tradelog.OUTSIDE_TRADE, key, outside_to_record(trade), now=now)
    plant.reach("outside trade journalled")
    plant.book.trade_outside(trade)
    name = f"outside trade {trade.trade_id}"
    if plant.book.outside.newest(trade.trade_id) is not trade:
        text = f"{name}: revision {trade.revision} came late and moves nothing"
    elif not trade.quantity_mw:
        text = f"{name} is taken back by {trade.by}: {trade.reason}"
    else:
        span = f"{isoformat(trade.interval.start)} to {isoformat(trade.interval.end)}"
        verb = "sold to" if trade.side is Side.SELL else "bought from"
        text = (
            f"{name}: {trade.quantity_mw} MW {verb} {trade.counterparty}, {span}, as {trade.name},"
            f" {trade.obligation}, by {trade.by}: {trade.reason}"
        )
        _count_again(plant, () if before is None else (before,), (trade,), text)
    if not trade.quantity_mw and before is not None:
        _count_again(plant, (before,), (), text)
    plant.events.emit(
        "outside_trade",
        text,
        at=now,
        severity=Severity.WARNING,
        trade_id=trade.trade_id,
        revision=trade.revision,
    )
    plant.reach("outside trade booked")


def _count_again(
    plant: Plant, before: Iterable[OutsideTrade], after: Iterable[OutsideTrade], why: str
) -> None:
    """Settle again what is otherwise now, and ask for a plan where it reaches into one."""
    span = changed_from(before, after)
    if span is None:
        return
    accounting.reopen(plant, span.start)
    physical = any(one.obligation is Obligation.PHYSICAL for one in (*before, *after))
    if physical and plant.schedule is not None and span.overlaps(plant.schedule.horizon.span):
        plant.replan = why


def _read(plant: Plant, request: OutsideTradeRequest, now: datetime) -> OutsideTrade:
    units = {unit.unit_id for unit in plant.file.park.bidding_units}
    if not units or (request.unit or next(iter(units))) not in units:
        raise TradeRefusal(
            "this park has no such unit",
            code=Refusal.UNKNOWN_UNIT,
            where=f"unit {request.unit}",
            fix=f"Use one of {sorted(units)}, or leave it out",
        )
    start, end = request.start.astimezone(UTC), request.end.astimezone(UTC)
    if any(latest_boundary(at, QUARTER) != at for at in (start, end)):
        raise TradeRefusal(
            f"{isoformat(start)} to {isoformat(end)} is no span of quarter-hours",
            code=Refusal.OFF_GRID,
            where=f"outside trade {request.trade_id}",
            fix="Begin and end on whole quarter-hours",
        )
    if end - start > LONGEST:
        raise DataError(
            f"{isoformat(start)} to {isoformat(end)} is longer than {LONGEST.days} days",
            where=f"outside trade {request.trade_id}",
            fix="Look for a wrong year, or enter a trade a year",
        )
    product_id = ProductId(request.product)
    return OutsideTrade(
        trade_id=request.trade_id,
        revision=request.revision,
        name=request.product,
        product_id=product_id if product_id in plant.products else CONTRACTS,
        unit_id=UnitId(request.unit or plant.file.park.bidding_units[0].unit_id),
        interval=Interval(start, end),
        side=Side(request.side),
        quantity_mw=request.quantity_mw,
        price_per_mwh=request.price_per_mwh,
        obligation=Obligation(request.obligation),
        reference_series_id=request.reference_series,
        counterparty=request.counterparty,
        reason=request.reason,
        by=request.by,
        received_at=now,
    )


def _require_sound(plant: Plant, trade: OutsideTrade) -> None:
    unit = next(u for u in plant.file.park.bidding_units if u.unit_id == trade.unit_id)
    if (
        trade.obligation is Obligation.PHYSICAL
        and trade.quantity_mw > exact(unit.declared_kw) / 1000
    ):
        raise DataError(
            f"{trade.quantity_mw} MW is more than the {unit.declared_kw / 1000:g} MW of {unit.unit_id}",
            where=f"outside trade {trade.trade_id}",
            fix="Give MW, not kW; or register the unit for more",
        )


# ---------------------------------------------------------------- contracts by series


def require_curve(plant: Plant, series_id: str, upload: SeriesUpload) -> None:
    """Refuse values that no curve of a contract can hold, before they are taken.

    Raises:
        DataError: Not in MW, not in whole quarter-hours, or a quantity below 0.
    """
    for contract in plant.file.contracts:
        if contract.quantity_series != series_id:
            continue
        least = min((v.value for v in upload.values if v.value is not None), default=0.0)
        whole = upload.resolution_s % (QUARTER.total_seconds()) == 0
        if upload.unit != MW or not whole or least < 0:
            raise DataError(
                f"unit {upload.unit}, every {upload.resolution_s} s, least value {least:g}",
                where=f"series {series_id}, the curve of contract {contract.id}",
                fix="Give sizes in MW, in steps of whole quarter-hours; the contract says the side",
            )


def follow(plant: Plant, now: datetime) -> None:
    """Let every contract be what its series says now; what changed is settled and planned again.

    What a series cannot say (it was filled before the contract was named) is told, and the old curve stands.
    A curve is made again only where its series changed: that of a year takes a second.
    """
    for contract in plant.file.contracts:
        said = _said(plant, contract)
        if plant.positions.contracts_said.get(contract.id) == said:
            continue
        plant.positions.contracts_said[contract.id] = said
        before = plant.book.outside.curve(contract.id)
        try:
            curve = curve_of(plant, contract)
        except DataError as error:
            _tell_once(plant, contract, f"its curve cannot be read: {error}", now)
            continue
        if not curve:
            text = f"{contract.quantity_series} has no values: nothing of it is owed"
            _tell_once(plant, contract, text, now)
        if curve == before:
            continue
        plant.book.follow(contract.id, curve)
        why = f"contract {contract.id} follows {contract.quantity_series}"
        _count_again(plant, before, curve, why)
        plant.positions.contracts_told.pop(contract.id, None)
        if curve:
            span = f"{isoformat(curve[0].interval.start)} to {isoformat(curve[-1].interval.end)}"
            plant.events.emit("contract", f"{why}: {span}", at=now, contract_id=contract.id)


def _said(plant: Plant, contract: ContractSection) -> str:
    """SHA-256 of all that the series of a contract say."""
    said = hashlib.sha256()
    for name in (contract.quantity_series, contract.price_series):
        if name is not None and plant.series.has(name):
            course = plant.series.course(name)
            head = f"{name} {plant.series.unit(name)} {course.horizon.start} {course.horizon.step}"
            said.update(f"{head} {course.horizon.steps} ".encode() + course.values.tobytes())
    return said.hexdigest()


def _tell_once(plant: Plant, contract: ContractSection, text: str, now: datetime) -> None:
    if plant.positions.contracts_told.get(contract.id) != text:
        plant.positions.contracts_told[contract.id] = text
        plant.events.emit(
            "contract",
            f"contract {contract.id}: {text}",
            at=now,
            severity=Severity.WARNING,
            contract_id=contract.id,
        )


def curve_of(plant: Plant, contract: ContractSection) -> tuple[OutsideTrade, ...]:
    """What a contract's series say, equal steps in one; () where they say nothing.

    Raises:
        DataError: Not in MW, a quantity below 0, or prices on another grid.
    """
    series, where = plant.series, f"contract {contract.id}"
    if not series.has(contract.quantity_series):
        return ()
    course = series.course(contract.quantity_series)
    step, quantities = course.horizon.step, course.values
    if series.unit(contract.quantity_series) != MW or (quantities < 0).any() or step % QUARTER:
        raise DataError(
            f"{contract.quantity_series} is no course of sizes in MW by quarter-hours",
            where=where,
            fix="Put it into a series of its own, in MW",
        )
    horizon, prices = course.horizon, np.full(course.horizon.steps, np.nan)
    if contract.price_series is not None and series.has(contract.price_series):
        if (finer := series.resolution(contract.price_series)) < step:
            horizon = Horizon.over(horizon.span, finer)
            quantities = np.repeat(quantities, step // finer)
        prices = series.known(contract.price_series, horizon, EVER).values
    held = np.isfinite(quantities) & (quantities != 0)
    if contract.price_per_mwh is None:
        held &= np.isfinite(prices)
    quantities, prices = np.where(held, quantities, 0.0), np.where(held, prices, np.nan)
    same_price = (prices[1:] == prices[:-1]) | (np.isnan(prices[1:]) & np.isnan(prices[:-1]))
    moves = (quantities[1:] != quantities[:-1]) | ~same_price
    firsts = [0, *(np.flatnonzero(moves) + 1).tolist()]
    start, step = horizon.start, horizon.step
    return tuple(
        _part(
            plant,
            contract,
            Interval(start + first * step, start + end * step),
            float(quantities[first]),
            float(prices[first]),
        )
        for first, end in pairwise([*firsts, horizon.steps])
        if held[first]
    )


def _part(
    plant: Plant, contract: ContractSection, interval: Interval, mw: float, price: float
) -> OutsideTrade:
    fixed = contract.price_per_mwh
    return OutsideTrade(
        trade_id=contract.id,
        revision=1,
        name=contract.id,
        product_id=CONTRACTS,
        unit_id=UnitId(contract.unit or plant.file.park.bidding_units[0].unit_id),
        interval=interval,
        side=Side(contract.side),
        quantity_mw=exact(mw),
        price_per_mwh=exact(price) if fixed is None else fixed,
        obligation=Obligation(contract.obligation),
        reference_series_id=contract.reference_series,
        counterparty=contract.counterparty,
        reason=contract.reason,
        by=contract.by,
        received_at=None,
    )
