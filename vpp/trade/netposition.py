"""The net position, interval by interval: what is owed beside what is planned and what was metered.

    owed = contracts + day-ahead + intraday + activated
    open = planned − owed                        sold too little above 0, too much below

All in mean MW of net injection, exact; reserve is a size in either direction, held and not owed until it is
called. Financial contracts move money only and stand beside the sum, as does what was traded into products that
the park file does not list any more: it is told, and neither planned for nor settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Direction, MarketProduct
from vpp.model.outside import CONTRACTS
from vpp.model.time import Interval
from vpp.trade.outside import OutsideBook
from vpp.trade.position import Position, TradeLine

NOTHING = Decimal(0)
DAY_AHEAD = "energy_da"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetLine:
    """One interval, mean MW of net injection."""

    interval: Interval
    contracts_mw: Decimal
    """Physical contracts."""
    financial_mw: Decimal
    """Contracts that move money only; not owed."""
    day_ahead_mw: Decimal
    intraday_mw: Decimal
    reserve_up_mw: Decimal
    """Held ready, a size."""
    reserve_down_mw: Decimal
    activated_mw: Decimal
    unlisted_mw: Decimal
    """Traded into products that the park file lost; not owed here."""
    planned_mw: Decimal | None
    metered_mw: Decimal | None

    @property
    def owed_mw(self) -> Decimal:
        """Energy that is sold and called for."""
        return self.contracts_mw + self.day_ahead_mw + self.intraday_mw + self.activated_mw

    @property
    def open_mw(self) -> Decimal | None:
        """What is planned and not sold, above 0; sold and not planned, below. None without a plan."""
        return None if self.planned_mw is None else self.planned_mw - self.owed_mw


def net_position(
    intervals: Iterable[Interval],
    position: Position,
    outside: OutsideBook,
    products: Mapping[ProductId, MarketProduct],
    *,
    unit_id: UnitId | None = None,
    planned_mw: Callable[[Interval], Decimal | None],
    metered_mw: Callable[[Interval], Decimal | None],
) -> tuple[NetLine, ...]:
    """One line for each interval, in their order.

    `position` is that of the unit (None: of all), and `outside` the book that its contracts stand in.
    """
    return tuple(
        _line(
            one,
            position,
            sum((mw for _, mw in outside.swaps(one, unit_id)), NOTHING),
            products,
            planned_mw(one),
            metered_mw(one),
        )
        for one in intervals
    )


@dataclass(slots=True)
class _Sums:
    contracts: Decimal = NOTHING
    day_ahead: Decimal = NOTHING
    intraday: Decimal = NOTHING
    unlisted: Decimal = NOTHING
    reserve_up: Decimal = NOTHING
    reserve_down: Decimal = NOTHING


def _line(
    interval: Interval,
    position: Position,
    financial_mw: Decimal,
    products: Mapping[ProductId, MarketProduct],
    planned_mw: Decimal | None,
    metered_mw: Decimal | None,
) -> NetLine:
    sums = _Sums()
    for line in position.trades(interval):
        _add(sums, line, products.get(line.product_id))
    return NetLine(
        interval=interval,
        contracts_mw=sums.contracts,
        financial_mw=financial_mw,
        day_ahead_mw=sums.day_ahead,
        intraday_mw=sums.intraday,
        reserve_up_mw=sums.reserve_up,
        reserve_down_mw=sums.reserve_down,
        activated_mw=position.activated_mw(interval),
        unlisted_mw=sums.unlisted,
        planned_mw=planned_mw,
        metered_mw=metered_mw,
    )


def _add(sums: _Sums, line: TradeLine, product: MarketProduct | None) -> None:
    if line.product_id == CONTRACTS:
        sums.contracts += line.sold_mw
    elif product is None:
        sums.unlisted += line.sold_mw
    elif product.trades_energy:
        if product.kind == DAY_AHEAD:
            sums.day_ahead += line.sold_mw
        else:
            sums.intraday += line.sold_mw
    else:
        up_mw, down_mw = held_mw(product.direction, line.sold_mw)
        sums.reserve_up += up_mw
        sums.reserve_down += down_mw


def held_mw(direction: Direction, sold_mw: Decimal) -> tuple[Decimal, Decimal]:
    """What a trade of a service holds ready upwards and downwards, as sizes (`rest.py` takes the same)."""
    match direction:
        case Direction.UP:
            return sold_mw, NOTHING
        case Direction.DOWN:
            return NOTHING, sold_mw
        case Direction.SYMMETRIC:
            return sold_mw, sold_mw
        case Direction.BOTH_SEPARATE | Direction.NET:
            return max(sold_mw, NOTHING), max(-sold_mw, NOTHING)
