"""Money at the doors: `Decimal`, rounded where the rule says, split without losing a cent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TypeVar

from vpp.errors import DataError

Key = TypeVar("Key")


def exact(number: float) -> Decimal:
    """A float as the decimal that people would write down (`str`, since `repr` of a numpy float is none)."""
    return Decimal(str(float(number)))


def to_minor(amount: Decimal, minor_unit: Decimal) -> Decimal:
    """`amount` rounded half to even to whole minor units (`Decimal("0.01")` for cents)."""
    return (amount / minor_unit).to_integral_value(ROUND_HALF_EVEN) * minor_unit


def split_exactly(
    amount: Decimal, weights: Mapping[Key, Decimal], minor_unit: Decimal
) -> dict[Key, Decimal]:
    """Share `amount` by `weights` in whole minor units, by the largest remainder.

    Ties go to the earlier key, so the same input gives the same shares.

    Raises:
        DataError: No positive weight, a negative one, or `amount` not in whole minor units.
    """
    total = sum(weights.values(), Decimal(0))
    if total <= 0 or min(weights.values()) < 0:
        raise DataError(
            f"weights {dict(weights)}",
            where="split_exactly",
            fix="Give weights that are not negative, at least one of them positive",
        )
    units, rest = divmod(amount, minor_unit)
    if rest:
        raise DataError(
            f"{amount} is no whole number of {minor_unit}",
            where="split_exactly",
            fix="Round with to_minor first",
        )
    ideal = {key: units * weight / total for key, weight in weights.items()}
    shares = {key: part.to_integral_value(ROUND_FLOOR) for key, part in ideal.items()}
    left = int(units - sum(shares.values(), Decimal(0)))
    by_remainder = sorted(ideal, key=lambda key: shares[key] - ideal[key])
    for key in by_remainder[:left]:
        shares[key] += 1
    return {key: share * minor_unit for key, share in shares.items()}
