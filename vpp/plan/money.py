"""What terms ask: prices on columns, the market balance, peaks, and rows of their own.

columns   sell, buy (M,T)  short, long (T)     peak (K)
rows      market   Σ (export - import) - Σ (sell - buy) + short - long = committed
peak     peak - import >= 0
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.plan.fleet import Market
from vpp.plan.kinds.storage import Storages, forbid_burning
from vpp.plan.kinds.zone import Zones
from vpp.plan.programme import Builder, Ints, Side
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.tree import Points


def add_market(b: Builder, points: Points, terms: Sequence[Term]) -> Market:
    """Trades, what is committed, and what is left over; no row where nothing can be owed.

    Raises:
        DataError: Trades are open while no `Commitment` prices what is not delivered.
    """
    trades = [term for term in terms if isinstance(term, OpenTrade)]
    positions = [term for term in terms if isinstance(term, Commitment)]
    if trades and not positions:
        raise DataError(
            "trades are open, and falling short of them costs nothing",
            where=", ".join(trade.product_id for trade in trades),
            fix="Add a Commitment, with nothing sold where nothing is",
        )
    shape = (len(trades), b.steps)
    room = np.array([term.max_kw for term in trades]).reshape(shape)
    sell, buy = b.add_columns(shape, upper=room), b.add_columns(shape, upper=room)
    for index, trade in enumerate(trades):
        b.price(sell[index], -trade.sell_per_kwh * b.hours, "market")
        b.price(buy[index], trade.buy_per_kwh * b.hours, "market")
    products = tuple(trade.product_id for trade in trades)
    if not positions:
        return Market(products=products, sell=sell, buy=buy, rows=np.zeros(0, dtype=np.int64))
    short, long = b.add_columns((b.steps,)), b.add_columns((b.steps,))
    for position in positions:
        b.price(short, position.short_per_kwh * b.hours, "imbalance")
        b.price(long, -position.long_per_kwh * b.hours, "imbalance")
    committed = np.sum([position.base_kw for position in positions], axis=0)
    rows = b.add_rows((b.steps,), committed, committed, couples=True)
    for columns, sign in (
        *((points.exports, 1.0), (points.imports, -1.0), (sell, -1.0), (buy, 1.0)),
        *((short, 1.0), (long, -1.0)),
    ):
        b.put(rows, columns, sign)
    return Market(products=products, sell=sell, buy=buy, rows=rows)


def add_terms(
    b: Builder, points: Points, storages: Storages, zones: Zones, terms: Sequence[Term]
) -> None:
    """Everything a strategy asked that is not the market's.

    Raises:
        DataError: A term names a connection point that the park does not have.
    """
    for term in terms:
        match term:
            case OpenTrade() | Commitment():
                pass  # the market balance
            case EnergyPrice():
                point = _known(b, term)
                b.price(points.imports[point], term.import_per_kwh * b.hours, "network energy")
                b.price(points.exports[point], -term.export_per_kwh * b.hours, "network energy")
            case PeakCharge():
                _peak(b, points.imports[_known(b, term)], term)
            case StoredEnergyValue():
                _value_stores(b, storages, zones, term.price_per_kwh)
            case _:
                raise DataError(
                    f"{type(term).__name__} is not planned yet",
                    where="terms",
                    fix="Leave it out",
                )
    forbid_burning(b, storages, _least_worth(b, terms))


def _known(b: Builder, term: EnergyPrice | PeakCharge) -> int:
    if term.connection_point_id not in b.point_of:
        raise DataError(
            f"{type(term).__name__} at {term.connection_point_id}",
            where="terms",
            fix=f"Name one of {sorted(b.point_of)}",
        )
    return b.point_of[term.connection_point_id]


def _value_stores(b: Builder, storages: Storages, zones: Zones, price_per_kwh: float) -> None:
    """Credit what is left at the end: kWh in storages, warmth or cold in zones."""
    kept = np.array([unit.discharge_efficiency for unit in storages.units])
    b.price(storages.stored[:, -1], -price_per_kwh * kept, "stored energy")
    electric_kwh_per_degc = np.array(
        [
            (1.0 if zone.heating else -1.0) * zone.capacity_kwh_per_degc / zone.cop
            for zone in zones.units
        ]
    )
    for part, sign in ((zones.comfort, 1.0), (zones.hot, 1.0), (zones.cold, -1.0)):
        value = -sign * price_per_kwh * electric_kwh_per_degc
        b.price(part[:, -1], value, "stored energy")


def _peak(b: Builder, imports: Ints, term: PeakCharge) -> None:
    """A column for the peak, not below what is paid already; only the increase costs."""
    peak = b.add_columns(())
    b.price(peak, term.price_per_kw, "peak")
    some = imports[term.first_step : term.last_step]
    rows = b.add_rows(some.shape, -term.free_kw, np.inf)
    b.put(rows, peak, 1.0)
    b.put(rows, some, -1.0)
    b.name(
        (f"connection point {term.connection_point_id}: paid peak",),
        Side.ROW_LOWER,
        rows,
        np.arange(term.first_step, term.last_step),
    )


def _least_worth(b: Builder, terms: Sequence[Term]) -> Floats:
    """What one more kWh fed behind each connection point is worth at least, shape (P, T)."""
    least = np.tile(_least_value(b, terms), (len(b.point_of), 1))
    for term in terms:
        if isinstance(term, EnergyPrice):
            least[_known(b, term)] += term.export_per_kwh
    return least


def _least_value(b: Builder, terms: Sequence[Term]) -> Floats:
    """What one more kWh of the park's net is worth at least at the market, shape (T,).

    Any amount can be left over at `long_per_kwh`. Where the products have more room than the park
    can feed, not all of them can be sold out, unless bought back or sold short: then it is worth no
    less than the worst of their prices.
    """
    positions = [term for term in terms if isinstance(term, Commitment)]
    committed, short, long = (
        np.sum([np.zeros(b.steps), *values], axis=0)
        for values in (
            [term.base_kw for term in positions],
            [term.short_per_kwh for term in positions],
            [term.long_per_kwh for term in positions],
        )
    )
    room, worst = np.zeros(b.steps), np.full(b.steps, np.inf)
    for trade in (term for term in terms if isinstance(term, OpenTrade)):
        room += trade.max_kw
        worst = np.where(trade.max_kw > 0, np.minimum(worst, trade.sell_per_kwh), worst)
    points = len(b.point_of)
    most_kw = np.maximum(b.node_base_kw()[:points], 0).sum(axis=0)
    most_kw += b.most_fed_kw[:points].sum(axis=0)
    roomy = committed + room > most_kw
    least: Floats = np.where(roomy, np.maximum(long, np.minimum(worst, short)), long)
    return least


__all__ = ["add_market", "add_terms"]
