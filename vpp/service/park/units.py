"""Units that a series may come in, and what they are inside: kW, kWh, currency per kWh, °C, shares.

power.base [MW]      price.day-ahead [EUR/MWh]      outdoor.berlin [degC]      share.battery [%]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """What a column can be asked to be, in the words of a message."""

    POWER = "a power such as kW"
    PRICE = "a price such as EUR/MWh"
    POWER_PRICE = "a price of power such as EUR/kW/h"
    TEMPERATURE = "a temperature such as degC"
    SHARE = "a share such as 1 or %"
    CARBON = "carbon such as kgCO2/kWh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How a number of the file becomes one of ours."""

    text: str
    quantity: Quantity
    factor: float
    currency: str | None = None


_PLAIN: dict[str, tuple[Quantity, float]] = {
    "W": (Quantity.POWER, 1e-3),
    "kW": (Quantity.POWER, 1.0),
    "MW": (Quantity.POWER, 1e3),
    "degC": (Quantity.TEMPERATURE, 1.0),
    "°C": (Quantity.TEMPERATURE, 1.0),
    "1": (Quantity.SHARE, 1.0),
    "%": (Quantity.SHARE, 0.01),
    "gCO2/kWh": (Quantity.CARBON, 1e-3),
    "kgCO2/kWh": (Quantity.CARBON, 1.0),
    "kgCO2/MWh": (Quantity.CARBON, 1e-3),
    "tCO2/MWh": (Quantity.CARBON, 1.0),
}
_PRICES: dict[str, tuple[Quantity, float]] = {
    "kWh": (Quantity.PRICE, 1.0),
    "MWh": (Quantity.PRICE, 1e-3),
    "kW/h": (Quantity.POWER_PRICE, 1.0),
    "MW/h": (Quantity.POWER_PRICE, 1e-3),
}
_PRICE = re.compile(r"^([A-Z]{3})/(.+)$")

KNOWN = "W, kW, MW, degC, 1, %, kgCO2/kWh, gCO2/kWh, or EUR/MWh, EUR/kWh, EUR/kW/h, EUR/MW/h of any currency"


def unit_of(text: str) -> Unit | None:
    """A unit by its text, None where nobody knows it."""
    if (plain := _PLAIN.get(text)) is not None:
        return Unit(text=text, quantity=plain[0], factor=plain[1])
    match = _PRICE.match(text)
    if match is not None and (price := _PRICES.get(match[2])) is not None:
        return Unit(text=text, quantity=price[0], factor=price[1], currency=match[1])
    return None
