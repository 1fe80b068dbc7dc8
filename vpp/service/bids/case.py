"""`vpp bid CASE.yaml --product ID`: the bid that a product would get, and why.

    read ──▶ plan, and its curves where the case names price scenarios ──▶ check ──▶ offer, reasons

The case is that of `vpp plan`. Gates play no part: what is shown is the offer, which goes nowhere.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from rich.console import Console

from vpp.errors import ConfigError, PlanError
from vpp.model.bidcurve import BidCurves
from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidMode, Binding, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule, Unsolved
from vpp.model.time import Interval, isoformat
from vpp.service.bids.curves import curve_ask
from vpp.service.cases.case import CaseProgress, Ran, no_plan, run_case
from vpp.service.cases.casefile import Case, read_case
from vpp.service.solving.executor import ProcessExecutor
from vpp.trade.calendar import deliveries_from
from vpp.trade.expected import curves_for
from vpp.trade.offering import offer_for
from vpp.trade.position import Position, Trade
from vpp.trade.reasonmessages import BidReasons
from vpp.trade.reasons import reasons_for
from vpp.trade.records import bid_to_wire
from vpp.wire import Span, WireBid, WireModel


class CaseBids(WireModel):
    """The bids that a product would get."""

    product: str
    unit: str
    delivery: Span
    pack_digest: str
    not_biddable: str | None
    """Why nothing of it would leave a live park; null where it would."""
    bids: list[WireBid]
    reasons: BidReasons


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BidRan:
    """A case and the bids that came of it."""

    ran: Ran
    schedule: Schedule
    product: MarketProduct
    unit: BiddingUnit
    delivery: Interval
    bids: tuple[Bid, ...]
    reasons: BidReasons

    @property
    def curves(self) -> BidCurves | None:
        """What the bids were made from, where that is curves over scenarios."""
        found = curves_for(self.schedule, self.product.product_id, self.delivery)
        return found if found is not None and found.usable else None

    def document(self) -> CaseBids:
        """All that there is to say."""
        return CaseBids(
            product=self.product.product_id,
            unit=self.unit.unit_id,
            delivery=Span(start=self.delivery.start, end=self.delivery.end),
            pack_digest=self.product.pack_digest,
            not_biddable=self.ran.case.file.not_biddable(self.product.product_id),
            bids=[bid_to_wire(bid) for bid in self.bids],
            reasons=self.reasons,
        )


def bid_case(path: Path, product_id: str, console: Console) -> BidRan:
    """The bids of a case from its file, with progress on `console` where that is a terminal.

    Raises:
        ConfigErrors: Faults of the case file, its series or its park, all at once.
        ConfigError: The park does not trade the product, or the case covers no delivery of it.
        PlanError: No plan was found, or it failed its check.
        TradeRefusal: The plan's steps do not fit the product.
    """
    return asyncio.run(_bid_file(path, product_id, console))


async def _bid_file(path: Path, product_id: str, console: Console) -> BidRan:
    with CaseProgress(console) as progress:
        async with AsyncExitStack() as stack:
            # The child starts while the case is read.
            executor = await stack.enter_async_context(ProcessExecutor())
            progress.told("reading the case")
            case = await asyncio.to_thread(read_case, path)
            product, unit = _product(case, product_id, path), _unit(case, path)
            delivery = _delivery(case, product, path)
            case = await asyncio.to_thread(_with_curves, case, product, delivery, path)
            progress.most(case.hard_s)
            ran = await run_case(case, executor, told=progress.told)
    if isinstance(ran.outcome, Unsolved):
        raise PlanError(
            no_plan(ran.outcome, case.file.park),
            where=str(path),
            fix="Look at the case's states, terms and limits",
        )
    return _bids(ran, ran.outcome.schedule, product, unit, delivery)


def _product(case: Case, product_id: str, path: Path) -> MarketProduct:
    for product in case.file.products:
        if product.product_id == product_id:
            return product
    known = any(pack.product_id == product_id for pack in case.file.packs)
    why = case.file.not_biddable(ProductId(product_id)) if known else None
    raise ConfigError(
        f"{product_id}: {why or 'the park does not trade it'}",
        where=f"{path}: --product",
        fix=f"Use one of {[str(product.product_id) for product in case.file.products]}",
    )


def _unit(case: Case, path: Path) -> BiddingUnit:
    if not case.file.park.bidding_units:
        raise ConfigError(
            "the park has no bidding unit", where=str(path), fix="Name one in `bidding_units`"
        )
    return case.file.park.bidding_units[0]


def _delivery(case: Case, product: MarketProduct, path: Path) -> Interval:
    """The first delivery that the case covers."""
    horizon = case.view.horizon
    delivery = next(
        one for one in deliveries_from(product, horizon.start) if one.start >= horizon.start
    )
    if delivery.end > horizon.end:
        raise ConfigError(
            f"its series cover no whole delivery of {product.product_id}",
            where=str(path),
            fix=f"Let them reach from {isoformat(delivery.start)} to {isoformat(delivery.end)}",
        )
    return delivery


def _with_curves(case: Case, product: MarketProduct, delivery: Interval, path: Path) -> Case:
    """The case, asking for curves where it names scenarios of the product's price."""
    if case.bid is None or product.kind != "energy_da":
        return case
    ask = curve_ask(
        product,
        delivery,
        case.view,
        case.prices_per_kwh,
        case.strategy,
        case.bid,
        np.random.default_rng(case.bid.seed),
        more=case.more,
    )
    if isinstance(ask, str):
        raise ConfigError(ask, where=f"{path}: bid", fix="Give series that fit the product")
    problem = replace(case.problem, curves=(ask,))
    return replace(case, problem=problem, hard_s=case.hard_s + ask.soft_s)


def _bids(
    ran: Ran,
    schedule: Schedule,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
) -> BidRan:
    case = ran.case
    binding = case.file.binding(product.product_id)
    if case.problem.curves:
        binding = Binding(product_id=product.product_id, mode=BidMode.EXPECTED)
    position = _sold_already(schedule, product, unit)
    park = case.file.park
    products = {one.product_id: one for one in case.file.products}
    bids = offer_for(
        product, unit, delivery, schedule, position, park, binding, products, revision=1
    )
    reasons = reasons_for(
        product,
        unit,
        delivery,
        bids,
        schedule,
        position,
        park,
        binding,
        case.view.spot_per_kwh.values,
    )
    return BidRan(
        ran=ran,
        schedule=schedule,
        product=product,
        unit=unit,
        delivery=delivery,
        bids=bids,
        reasons=reasons,
    )


def _sold_already(schedule: Schedule, product: MarketProduct, unit: BiddingUnit) -> Position:
    """What the case says was sold, as one trade for each step."""
    trades = []
    for interval, kw in zip(schedule.horizon.intervals(), schedule.committed_kw, strict=True):
        if kw:
            trades.append(
                Trade(
                    award_id="case",
                    bid_id=isoformat(interval.start),
                    product_id=product.product_id,
                    unit_id=unit.unit_id,
                    interval=interval,
                    side=Side.SELL if kw > 0 else Side.BUY,
                    quantity_mw=exact(abs(kw)) / 1000,
                    price_per_mwh=Decimal(0),
                    quarantined=False,
                )
            )
    return Position(trades)
