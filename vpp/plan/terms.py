"""What a strategy may ask of the planner: a closed list of plain data.

A new kind of term is a new dataclass here, a new `case` in `compile.py`, a line in `validate.py`
and a test. Prices are in the park's currency per kWh; powers are kW, net injection positive;
arrays have one value for each step of the view's horizon, shape (T,).

How positions add up, for each step of the horizon:

    net = committed + sum over open products (sold - bought) - short + long
          Commitment   OpenTrade                              Commitment
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, ProductId


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyPrice:
    """What a kWh costs on its way in, and earns on its way out, at one connection point."""

    connection_point_id: ConnectionPointId
    import_per_kwh: Floats
    export_per_kwh: Floats

    def __post_init__(self) -> None:
        if (self.export_per_kwh > self.import_per_kwh).any():
            raise DataError(
                "exporting earns more than importing costs in some step",
                where=f"EnergyPrice at {self.connection_point_id}",
                fix="Put the market's price into OpenTrade, where both directions meet",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Commitment:
    """What is sold already, with a price for falling short and one for going over."""

    base_kw: Floats
    short_per_kwh: Floats
    """Paid for each kWh less than sold (or more than bought)."""

    long_per_kwh: Floats
    """Got for each kWh more than sold (or less than bought)."""

    def __post_init__(self) -> None:
        if (self.long_per_kwh > self.short_per_kwh).any():
            raise DataError(
                "going over earns more than falling short costs in some step",
                where="Commitment",
                fix="Let long_per_kwh not exceed short_per_kwh",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenTrade:
    """A product that can still be traded: at these expected prices, up to these quantities."""

    product_id: ProductId
    sell_per_kwh: Floats
    buy_per_kwh: Floats
    max_kw: Floats
    """Most that may be sold, and bought; 0 in steps whose gate is closed."""

    def __post_init__(self) -> None:
        if (self.sell_per_kwh > self.buy_per_kwh).any():
            raise DataError(
                "selling earns more than buying costs in some step",
                where=f"OpenTrade {self.product_id}",
                fix="Let the spread between buy_per_kwh and sell_per_kwh not be negative",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakCharge:
    """Pay `price_per_kw` once for the highest import among some steps; up to `free_kw` is paid."""

    connection_point_id: ConnectionPointId
    first_step: int
    last_step: int
    """Exclusive."""

    price_per_kw: float
    free_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnergyValue:
    """What energy left in stores at the end is worth, per kWh of electricity.

    A storage counts what it could still feed; a zone the electricity that its warmth (or cold)
    above freezing point (or below) would cost again: only differences between plans matter.
    """

    price_per_kwh: float


Term: TypeAlias = EnergyPrice | Commitment | OpenTrade | PeakCharge | StoredEnergyValue


def uniform(value: float, steps: int) -> Floats:
    """The same value for each step, shape (steps,)."""
    return np.full(steps, value)
