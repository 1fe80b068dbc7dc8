"""What every builder of offers reads from a plan: its steps, what energy is worth, prices on the grid."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.market import MarketProduct, Side
from vpp.model.money import exact
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.trade.calendar import Refusal, TradeRefusal

NOISE_DIGITS = 6
"""A solver's 499.9999999 kW are 500: below a milliwatt (and 1e-6 a MWh) nothing is counted, or
floor and ceiling would take a whole lot or tick for it."""


def require_finite(schedule: Schedule, steps: slice) -> None:
    """`min` and `max` let a NaN pass or not by the order of their arguments: stop it here."""
    series = [
        *schedule.power_kw,
        schedule.net_kw,
        schedule.net_value_per_kwh,
        *schedule.connection_point_kw.values(),
        *schedule.stored_kwh.values(),
        *schedule.stored_value_per_kwh.values(),
    ]
    if not np.isfinite(np.array(series)[:, steps]).all():
        raise TradeRefusal(
            "it holds numbers that are not finite",
            code=Refusal.NO_PLAN,
            where=f"plan {schedule.plan_id}",
            fix="Ask again after the next plan",
        )


def hedged(
    product: MarketProduct, schedule: Schedule
) -> tuple[Floats, Floats, Mapping[ResourceId, Floats]]:
    """By how much what is to be sold differs from what is expected to be fed, and what a kWh is worth.

    In the grid and in each storage, where what is sold is no choice any more in the schedule itself:
    on the mean of the futures. Shapes (T,); 0 and the plan's own shadow prices in steps that were not
    planned for several futures.
    """
    told, worth, stored = (
        schedule.uncertainty,
        schedule.net_value_per_kwh,
        schedule.stored_value_per_kwh,
    )
    if told is None or product.product_id not in told.bid_kw:
        return np.zeros(len(worth)), worth, stored
    bid_kw = told.bid_kw[product.product_id]
    chosen = np.isfinite(bid_kw)
    differs = np.where(chosen, schedule.committed_kw + bid_kw - schedule.net_kw, 0.0)
    stored = {
        name: np.where(chosen, told.stored_value_per_kwh.get(name, own), own)
        for name, own in stored.items()
    }
    return differs, np.where(chosen, told.net_value_per_kwh, worth), stored


def thresholds_of(store: Storage, value: float) -> tuple[float, float]:
    """Prices per kWh below which `store` charges and above which it discharges."""
    charge = value * store.charge_efficiency - store.wear_cost_per_kwh
    discharge = value / store.discharge_efficiency + store.wear_cost_per_kwh
    if charge > discharge:  # energy worth less than nothing: no gap in which to rest
        charge = discharge = (charge + discharge) / 2
    return charge, discharge


def limit_of(product: MarketProduct, price_per_kwh: float | None, side: Side) -> Decimal | None:
    """The limit on the product's ticks and inside its bounds; None where it can never be met."""
    if (grid := product.price) is None:
        return None
    low, high, tick = grid.least, grid.most, grid.tick
    selling = side is Side.SELL
    if price_per_kwh is None:
        price = low if selling else high
    else:
        price = exact(round(price_per_kwh * 1000, NOISE_DIGITS))
    if (price > high and selling) or (price < low and not selling):
        return None
    ticks = min(max(price, low), high) / tick
    whole = ticks.to_integral_value(ROUND_CEILING if selling else ROUND_FLOOR)
    return (whole * tick).quantize(tick)  # with the tick's own digits: 1.00, never 1E+0
