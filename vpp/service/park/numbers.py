"""Arrays and decimals on their way into JSON."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import PlainSerializer

from vpp.model.horizon import Floats
from vpp.model.money import exact


def _plain(number: Decimal) -> str:
    return format(number, "f")


Exact = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
"""A decimal, as text without exponent."""

Numbers: TypeAlias = list[float | None]
"""One number a step; null where nothing is known."""

DIGITS = 4
"""Digits behind the point of what a page draws: a tenth of a watt, a hundredth of a cent a MWh."""


def listed(values: Floats) -> list[float | None]:
    """An array as JSON numbers, null where it is not finite."""
    rounded = np.round(values, DIGITS)
    return [
        x if known else None
        for x, known in zip(rounded.tolist(), np.isfinite(values).tolist(), strict=True)
    ]


def finite(value: float | None) -> float | None:
    """A number JSON can hold; None for what is not known and for what has no limit."""
    return None if value is None or not isfinite(value) else value


def as_exact(value: float) -> Decimal:
    """A sum that the optimiser reckons in floats, as people would write it down."""
    return exact(round(value, DIGITS))
