"""From steps of power and price to offers in a product's form: whole lots, ticks, bounds, so many steps.

It rounds against us. Lots are counted from rest on, more feed and less feed apart, so that no step holds
more than its pieces; a limit is no worse than the price it stands for; what cannot be kept (too few lots,
too many steps, a price out of bounds) is not offered.

    ladder: firm ± pieces ──▶ a sell side above 0, a buy side below ──▶ curve, segments, bands, one quantity …
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from vpp.model import offer as forms
from vpp.model.market import Bid, Direction, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.offer import Offer, PriceUnit
from vpp.model.park import BiddingUnit
from vpp.model.time import Interval
from vpp.trade.limits import most_mw
from vpp.trade.planned import NOISE_DIGITS, limit_of

PricedKw: TypeAlias = tuple[float, float]
"""(price per kWh, how many kW from that price on)."""
PricedLots: TypeAlias = tuple[Decimal, int]
"""(price on the grid, how many lots more), best price first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What may be taken in one interval."""

    interval: Interval
    firm_kw: float
    """To be traded whatever the price; sold above 0."""
    up: Sequence[PricedKw]
    """More feed, cheapest first."""
    down: Sequence[PricedKw]
    """Less feed, dearest first."""
    worth_per_kwh: float = 0.0
    """Of net injection, by the plan."""
    reach_kw: tuple[float, float] = (0.0, 0.0)
    """Net injection of those who may move if all did, downwards and upwards."""


def ladder_bids(
    product: MarketProduct,
    unit: BiddingUnit,
    ladders: Sequence[Ladder],
    *,
    revision: int,
) -> tuple[Bid, ...]:
    """The bids of one delivery in the product's form, at most one buy and one sell in each interval.

    Intervals that start before the unit trades, or where less than one lot is left, get no bid.
    """
    most = int(most_mw(product, unit) / product.lot_mw)
    ladders = [ladder for ladder in ladders if ladder.interval.start >= unit.trades_from]
    bids = []
    for side in _sides(product):
        cut = [_at_most(_lots(product, ladder, side), most) for ladder in ladders]
        if product.prices_per_day:
            cut = _same_prices(product, cut, side)
        for ladder, lots in zip(ladders, cut, strict=True):
            offer = _offer(product, lots, side, ladder)
            if offer is not None:
                at = f"{ladder.interval.start:%Y%m%dT%H%MZ}"
                bids.append(
                    Bid(
                        bid_id=f"{product.product_id}/{unit.unit_id}/{at}/{side}/{revision}",
                        interval=ladder.interval,
                        side=side,
                        offer=offer,
                    )
                )
    return tuple(sorted(bids, key=lambda bid: (bid.interval.start, bid.side)))


def _sides(product: MarketProduct) -> tuple[Side, ...]:
    if product.only_bought:
        return (Side.BUY,)
    return (Side.BUY, Side.SELL) if _bought(product) else (Side.SELL,)


def _bought(product: MarketProduct) -> bool:
    """Whether it is bought as well as sold; a service is sold, whichever way it moves."""
    return product.trades_energy or product.kind == "energy_bm"


# ---------------------------------------------------------------- lots and limits


def _lots(product: MarketProduct, ladder: Ladder, side: Side) -> list[PricedLots]:
    """What is offered on one side, best price first; equal prices are one step."""
    steps: list[tuple[float | None, int]] = (
        _side(product, ladder, side)
        if _bought(product)
        else [(price, lots) for price, lots in _whole(product, _asked(ladder))]
    )
    merged: dict[Decimal, int] = {}
    for price, lots in steps:
        limit = _limit(product, price, side)
        if limit is None:
            break  # and what is dearer still
        merged[limit] = merged.get(limit, 0) + lots
    return list(merged.items())


def _asked(ladder: Ladder) -> list[PricedKw]:
    """What a service costs us: of less feed, what is drawn less what it is worth in the store."""
    return [*ladder.up] or [(ladder.worth_per_kwh - price, kw) for price, kw in ladder.down]


def _side(product: MarketProduct, ladder: Ladder, side: Side) -> list[tuple[float | None, int]]:
    """The part of the ladder that is sold, or bought: (price, lots), None whatever the price."""
    firm = _count(product, abs(ladder.firm_kw)) * (1 if ladder.firm_kw >= 0 else -1)
    up, down = list(_whole(product, ladder.up)), list(_whole(product, ladder.down))
    selling = side is Side.SELL
    levels: list[tuple[float | None, int]]
    if product.kind == "energy_bm":  # from a notified schedule, each way by itself
        levels = [(None, 0), *(up if selling else down)]
    elif selling:
        rising = sorted([*down, *up], key=lambda step: step[0])
        levels = [(None, firm - sum(lots for _, lots in down)), *rising]
    else:
        falling = sorted([*down, *up], key=lambda step: -step[0])
        levels = [(None, -firm - sum(lots for _, lots in up)), *falling]
    total, offered, steps = 0, 0, []
    for price, lots in levels:
        total += lots
        if total > offered:
            steps.append((price, total - offered))
            offered = total
    return steps


def _whole(product: MarketProduct, pieces: Sequence[PricedKw]) -> Iterator[tuple[float, int]]:
    """The same pieces in whole lots, counted together: no more of them up to any piece than there is."""
    total_kw, counted = 0.0, 0
    for price, kw in pieces:
        total_kw += kw
        lots = _count(product, total_kw)
        if lots > counted:
            yield price, lots - counted
            counted = lots


def _count(product: MarketProduct, kw: float) -> int:
    return int(exact(round(kw, NOISE_DIGITS)) / (product.lot_mw * 1000))


def _limit(product: MarketProduct, price_per_kwh: float | None, side: Side) -> Decimal | None:
    """On the grid of what clears it: a service that is not paid by energy asks for the least there is."""
    grid = product.price
    if grid is None:
        return Decimal(0)
    if grid.unit is PriceUnit.ENERGY:
        return limit_of(product, price_per_kwh, side)
    ticks = -(-max(grid.least, Decimal(0)) // grid.tick)
    return (ticks * grid.tick).quantize(grid.tick)


def _at_most(lots: list[PricedLots], most: int) -> list[PricedLots]:
    kept = []
    for price, count in lots:
        count = min(count, most)
        most -= count
        if count:
            kept.append((price, count))
    return kept


def _same_prices(
    product: MarketProduct, found: list[list[PricedLots]], side: Side
) -> list[list[PricedLots]]:
    """One list of prices for all intervals; what stood at a price goes to one that is no better for us.

    Where there are more prices than steps, those that most lots stand at are kept beside the ends.
    """
    weight: dict[Decimal, int] = {}
    for lots in found:
        for price, count in lots:
            weight[price] = weight.get(price, 0) + count
    sign = side.sign
    ordered = sorted(weight, key=lambda price: price * sign)
    most = product.most_steps or len(ordered)
    ends = {*ordered[:1], *ordered[-1:]} if most > 1 else {*ordered[-1:]}
    heavy = sorted(set(ordered) - ends, key=lambda price: (-weight[price], price))
    prices = sorted([*ends, *heavy[: most - len(ends)]], key=lambda price: price * sign)
    result = []
    for lots in found:
        moved: dict[Decimal, int] = {}
        for price, count in lots:
            to = next(p for p in prices if p * sign >= price * sign)
            moved[to] = moved.get(to, 0) + count
        result.append([(price, moved.get(price, 0)) for price in prices] if moved else [])
    if product.form != "price_bands":
        return [[(p, n) for p, n in lots if n] for lots in result]
    return [_filled(product, lots, side) if lots else [] for lots in result]


def _filled(product: MarketProduct, lots: list[PricedLots], side: Side) -> list[PricedLots]:
    """As many bands as there must be, the new ones empty and at prices beside those there are."""
    grid, sign = product.price, side.sign
    assert grid is not None  # bands have prices
    bands = dict(lots)
    price = grid.most if sign > 0 else grid.least
    while len(bands) < product.least_steps:
        bands.setdefault(price, 0)
        price -= sign * grid.tick
    return sorted(bands.items(), key=lambda band: band[0] * sign)


# ---------------------------------------------------------------- forms


def _offer(
    product: MarketProduct, lots: list[PricedLots], side: Side, ladder: Ladder
) -> Offer | None:
    total = sum(count for _, count in lots)
    if not total or total * product.lot_mw < product.least_mw:
        return None
    if product.form in _STEPPED:
        lots = _split(lots, product.least_steps)[: product.most_steps]
        if len(lots) < product.least_steps:
            return None
    steps = [(price, _mw(product, count)) for price, count in lots]
    return _FORMS[product.form](product, steps, side, ladder)


def _split(lots: list[PricedLots], least: int) -> list[PricedLots]:
    """As many steps as there must be, the largest halved until there are."""
    lots = list(lots)
    while len(lots) < least:
        at = max(range(len(lots)), key=lambda n: lots[n][1])
        price, count = lots[at]
        if count < 2:
            break
        lots[at : at + 1] = [(price, count - count // 2), (price, count // 2)]
    return lots


def _mw(product: MarketProduct, lots: int) -> Decimal:
    return (lots * product.lot_mw).quantize(product.lot_mw)


Steps: TypeAlias = list[tuple[Decimal, Decimal]]
"""(price, MW more)."""


def _curve_step(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    return forms.StepCurveOffer(
        steps=tuple(forms.CurveStep(quantity_mw=mw, price_per_mwh=at) for at, mw in steps)
    )


def _curve_linear(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    """The steps drawn as a line: level between two prices, upright at each."""
    points, total = [], _mw(product, 0)
    for price, mw in steps:
        points.append(forms.CurvePoint(price_per_mwh=price, quantity_mw=total))
        total += mw
        points.append(forms.CurvePoint(price_per_mwh=price, quantity_mw=total))
    most = product.most_steps
    return forms.LinearCurveOffer(points=tuple(points[: most - most % 2 if most else None]))


def _stack(steps: Steps, base: Decimal) -> tuple[forms.Segment, ...]:
    found = []
    for price, mw in steps:
        found.append(forms.Segment(from_mw=base, to_mw=base + mw, price_per_mwh=price))
        base += mw
    return tuple(found)


def _segments(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    return forms.SegmentsOffer(segments=_stack(steps, _mw(product, 0)))


def _envelope(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    """What is taken whatever the price is the lower limit."""
    grid, lower = product.price, _mw(product, 0)
    bound = None if grid is None else grid.least if side is Side.SELL else grid.most
    if steps and steps[0][0] == bound:
        lower, steps = steps[0][1], steps[1:]
    upper = lower + sum(mw for _, mw in steps)
    return forms.EnvelopeOffer(lower_mw=lower, upper_mw=upper, segments=_stack(steps, lower))


def _price_bands(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    capacity = product.price is not None and product.price.unit is PriceUnit.CAPACITY_HOUR
    name = PriceUnit.CAPACITY_HOUR if capacity else PriceUnit.ENERGY
    most = sum((mw for _, mw in steps), _mw(product, 0))
    return forms.PriceBandsOffer(
        bands=tuple(_band(name, mw, at) for at, mw in steps),
        trapezium=_trapezium(product, most, ladder) if product.trapezium else None,
    )


def _band(unit: PriceUnit, mw: Decimal, price: Decimal) -> forms.PriceBand:
    if unit is PriceUnit.CAPACITY_HOUR:
        return forms.PriceBand(quantity_mw=mw, capacity_price_per_mw_h=price)
    return forms.PriceBand(quantity_mw=mw, price_per_mwh=price)


def _trapezium(product: MarketProduct, most: Decimal, ladder: Ladder) -> forms.Trapezium:
    """All of it as long as what moves can still move so far, and less towards its end."""
    low, high = (
        _mw(product, _count(product, abs(kw)) * (1 if kw > 0 else -1)) for kw in ladder.reach_kw
    )
    up = product.direction is Direction.UP
    return forms.Trapezium(
        enablement_min_mw=low,
        low_breakpoint_mw=low if up else low + most,
        high_breakpoint_mw=high - most if up else high,
        enablement_max_mw=high,
        max_available_mw=most,
    )


def _pairs(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    """Undone at the price it was taken at: that costs us nothing, and nobody earns by it."""
    return forms.BidOfferPairsOffer(
        pairs=tuple(
            forms.PricePair(
                number=number * side.sign, quantity_mw=mw, price_per_mwh=at, undo_price_per_mwh=at
            )
            for number, (at, mw) in enumerate(steps, start=1)
        )
    )


def _single(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    """All of it at the worst of its prices; what is taken whatever the price stands alone."""
    grid = product.price
    assert grid is not None  # a single offer has one
    bound = grid.least if side is Side.SELL else grid.most
    if product.trades_energy and steps[0][0] == bound:
        steps = steps[:1]
    prices = {str(grid.unit): steps[-1][0]}
    if product.energy_price is not None:  # what is called is paid at no less than the dearest costs
        dearest = max(price for price, _ in _asked(ladder))
        called = limit_of(replace(product, price=product.energy_price), dearest, side)
        prices[str(PriceUnit.ENERGY)] = product.energy_price.most if called is None else called
    return forms.SingleOffer(
        quantity_mw=sum((mw for _, mw in steps), _mw(product, 0)),
        min_share=product.min_share,
        **prices,
    )


def _quantity_only(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    return forms.QuantityOnlyOffer(quantity_mw=sum((mw for _, mw in steps), _mw(product, 0)))


def _self_schedule(product: MarketProduct, steps: Steps, side: Side, ladder: Ladder) -> Offer:
    return forms.SelfScheduleOffer(quantity_mw=sum((mw for _, mw in steps), _mw(product, 0)))


_FORMS: dict[str, Callable[[MarketProduct, Steps, Side, Ladder], Offer]] = {
    "curve_step": _curve_step,
    "curve_linear": _curve_linear,
    "segments": _segments,
    "envelope": _envelope,
    "price_bands": _price_bands,
    "bid_offer_pairs": _pairs,
    "single": _single,
    "quantity_only": _quantity_only,
    "self_schedule": _self_schedule,
}
_STEPPED = {"curve_step", "segments", "envelope", "bid_offer_pairs"}
