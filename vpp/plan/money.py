"""The market balance, and which module compiles which term.

    columns   sell, buy (M,T)  short, long (T)
    rows      market   Σ (export - import) - Σ (sell - buy) + short - long = committed

    EnergyPrice, StoredEnergyValue      here: prices on columns
    CarbonPrice, ActivityPrice          priced.py: prices on what others decide
    PeakCharge                          peaks.py
    Cap                                 tree.py
    EnergyTarget, GreenShare,           asks.py: rows of their own, whose shortfall is priced
    ChangePenalty, EqualBurden
    StoredFloor, CarDeadline             keeping.py: what is kept in stores and cars

What all prices together make a kWh worth at least stands in `worth.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

import numpy as np

from vpp.errors import DataError
from vpp.plan import asks, keeping, peaks, priced
from vpp.plan.compiled import Fleet, Market
from vpp.plan.kinds.storage import Storages
from vpp.plan.kinds.zone import Zones
from vpp.plan.programme import Builder
from vpp.plan.terms import (
    ActivityPrice,
    Cap,
    CarbonPrice,
    CarDeadline,
    ChangePenalty,
    Commitment,
    EnergyPrice,
    EnergyTarget,
    EqualBurden,
    GreenShare,
    OpenTrade,
    PeakCharge,
    ReserveHeadroom,
    StoredEnergyValue,
    StoredFloor,
    Term,
)
from vpp.plan.tree import Points, add_cap


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
        none = np.zeros(0, dtype=np.int64)
        return Market(products=products, sell=sell, buy=buy, rows=none, short=none, long=none)
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
    return Market(products=products, sell=sell, buy=buy, rows=rows, short=short, long=long)


def add_terms(b: Builder, fleet: Fleet, terms: Sequence[Term]) -> None:
    """Everything a strategy asked that is not the market's.

    Raises:
        DataError: A term names what the park does not have.
    """
    # Prices and peaks of points follow each other, thousands of them: each run of them is one block.
    for kind, some in groupby(terms, key=type):
        if kind is EnergyPrice:
            _price_energy(b, fleet.points, [term for term in some if isinstance(term, EnergyPrice)])
        elif kind is PeakCharge:
            _price_peaks(b, fleet.points, [term for term in some if isinstance(term, PeakCharge)])
        else:
            for term in some:
                _add_one(b, fleet, term)


def _add_one(b: Builder, fleet: Fleet, term: Term) -> None:
    match term:
        case OpenTrade() | Commitment():
            pass  # the market balance
        case ReserveHeadroom():
            pass  # the reserve's own module
        case EnergyPrice():
            _price_energy(b, fleet.points, [term])
        case PeakCharge():
            _price_peaks(b, fleet.points, [term])
        case CarbonPrice() | ActivityPrice() | StoredEnergyValue():
            _price(b, fleet, term)
        case Cap():
            add_cap(b, fleet.points, term)
        case EnergyTarget() | GreenShare() | ChangePenalty() | EqualBurden():
            asks.add(b, fleet, term)
        case StoredFloor() | CarDeadline():
            keeping.add(b, fleet, term)
        case _:
            assert_never(term)


def _price_energy(b: Builder, points: Points, terms: Sequence[EnergyPrice]) -> None:
    at = [_known(b, term) for term in terms]
    ways = np.stack([points.imports[at], points.exports[at]], axis=1)
    per_kwh = np.array([[term.import_per_kwh, -term.export_per_kwh] for term in terms])
    b.price(ways, per_kwh * b.hours, "network energy")


def _price_peaks(b: Builder, points: Points, terms: Sequence[PeakCharge]) -> None:
    at = [_known(b, term) for term in terms]
    peaks.add(b, points.imports[at], terms)


def _price(b: Builder, fleet: Fleet, term: CarbonPrice | ActivityPrice | StoredEnergyValue) -> None:
    match term:
        case CarbonPrice():
            priced.add_carbon(b, fleet, term)
        case ActivityPrice():
            priced.add_activity(b, fleet, term)
        case StoredEnergyValue():
            _value_stores(b, fleet.storages, fleet.zones, term)
        case _:
            assert_never(term)


def _known(b: Builder, term: EnergyPrice | PeakCharge) -> int:
    if term.connection_point_id not in b.point_of:
        raise DataError(
            f"{type(term).__name__} at {term.connection_point_id}",
            where="terms",
            fix=f"Name one of {sorted(b.point_of)}",
        )
    return b.point_of[term.connection_point_id]


def _value_stores(b: Builder, storages: Storages, zones: Zones, term: StoredEnergyValue) -> None:
    """Credit what is left at the end as the electricity that it stands for, warmth and cold in zones too."""
    price_per_kwh = term.price_per_kwh
    worth = np.array([term.electricity_of(unit.node_id) for unit in storages.units])
    kept = np.array([unit.discharge_efficiency for unit in storages.units]) * worth
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
