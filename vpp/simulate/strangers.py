"""Curves of the other participants: drawn by seed, product and interval, whatever was asked before.

exchange   sellers from `around − spread` to `around + spread`, buyers the other way: they meet near `around`
region     generators of ten bands each, and a demand that pays the cap: it meets the bands near `around`
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

from vpp.simulate.clearing import Step

STEPS = 12
"""Of each side of an exchange."""

GENERATORS, BANDS = 4, 10
"""Of a region, and of each of its generators."""


def exchange(
    dice: Random, around: Decimal, depth_mw: Decimal, spread: Decimal, tick: Decimal
) -> tuple[list[Step], list[Step]]:
    """Supply and demand of an exchange, each about `depth_mw` in all."""
    supply, demand = (
        [
            Step(f"{side}-{n}", _mw(dice, depth_mw / STEPS), _price(dice, around, spread, tick))
            for n in range(STEPS)
        ]
        for side in ("seller", "buyer")
    )
    return supply, demand


def region(
    dice: Random, around: Decimal, depth_mw: Decimal, spread: Decimal, tick: Decimal, cap: Decimal
) -> tuple[list[Step], list[Step]]:
    """Bands of the generators of a region, about `depth_mw` in all, and its demand, about half of that."""
    supply = []
    for number in range(GENERATORS):
        prices = sorted(_price(dice, around, spread, tick) for _ in range(BANDS))
        for band, price in enumerate(prices):
            mw = _mw(dice, depth_mw / (GENERATORS * BANDS))
            supply.append(Step(f"generator-{number}/{band}", mw, price))
    return supply, [Step("region", _mw(dice, depth_mw / 2, least=0.9, most=1.1), cap)]


def dice_of(seed: int, product: str, start: datetime) -> Random:
    """The dice of one interval of one product."""
    return Random(f"{seed}/{product}/{start.isoformat()}")


def _mw(dice: Random, mean_mw: Decimal, least: float = 0.5, most: float = 1.5) -> Decimal:
    drawn = mean_mw * Decimal(str(round(dice.uniform(least, most), 6)))
    return max(drawn.quantize(Decimal("0.001"), ROUND_HALF_EVEN), Decimal("0.001"))


def _price(dice: Random, around: Decimal, spread: Decimal, tick: Decimal) -> Decimal:
    drawn = around + spread * Decimal(str(round(dice.uniform(-1, 1), 6)))
    return ((drawn / tick).to_integral_value(ROUND_HALF_EVEN) * tick).quantize(tick)
