"""Performance indices of regulation, each a named formula with parameters from the market file.

    parts   rate ▸ delay ▸ accuracy, each as its rule counts it      `hunan_parts`, `south_parts`, `north_parts`
    index   the parts put together                                   `cn_hunan_k`, `cn_south_k`, `cn_kp_product`

Speeds, delays and errors are those of one instruction; what a rule averages, the caller does. A value is
never below 0. Each function names the rule it is of; the numbers of a province stand in its market file.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)


class Parts(NamedTuple):
    """What an index is put together from: K1, K2, K3 of Hunan, k1, k2, k3 of the south, K1, K3, K2 of the north."""

    rate: Decimal
    delay: Decimal
    accuracy: Decimal


def none() -> Decimal:
    """No index: everything counts in full."""
    return Decimal(1)


def hunan_parts(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
    k1_cap: Decimal,
) -> Parts:
    """Rate against the standard up to a cap; delay and error against what is allowed."""
    return Parts(
        rate=min(rate / standard_rate, k1_cap),
        delay=max(ZERO, 1 - delay_s / t0_s),
        accuracy=max(ZERO, 1 - error_mw / (e0_pct * capacity_mw)),
    )


def south_parts(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
) -> Parts:
    """As in Hunan, without a cap."""
    return Parts(
        rate=rate / standard_rate,
        delay=max(ZERO, 1 - delay_s / t0_s),
        accuracy=max(ZERO, 1 - error_mw / (e0_pct * capacity_mw)),
    )


def north_parts(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
    floor: Decimal,
) -> Parts:
    """Each 1 where it is as allowed and near 2 where it is perfect, none below a floor."""
    return Parts(
        rate=max(floor, 2 - standard_rate / rate) if rate > 0 else floor,
        delay=max(floor, 2 - delay_s / t0_s),
        accuracy=max(floor, 2 - error_mw / (e0_pct * capacity_mw)),
    )


def cn_hunan_k(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    w1: Decimal,
    w2: Decimal,
    w3: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
    k1_cap: Decimal,
    k_cap: Decimal,
) -> Decimal:
    """Rate, delay and accuracy, weighed (Hunan frequency regulation rules of October 2025); rates in MW/min."""
    k1, k2, k3 = hunan_parts(
        rate=rate,
        standard_rate=standard_rate,
        delay_s=delay_s,
        error_mw=error_mw,
        capacity_mw=capacity_mw,
        t0_s=t0_s,
        e0_pct=e0_pct,
        k1_cap=k1_cap,
    )
    return min(w1 * k1 + w2 * k2 + w3 * k3, k_cap)


def cn_south_k(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
) -> Decimal:
    """A quarter of twice the rate, the delay and the accuracy (southern region)."""
    k1, k2, k3 = south_parts(
        rate=rate,
        standard_rate=standard_rate,
        delay_s=delay_s,
        error_mw=error_mw,
        capacity_mw=capacity_mw,
        t0_s=t0_s,
        e0_pct=e0_pct,
    )
    return (2 * k1 + k2 + k3) / 4


def cn_kp_product(
    *,
    rate: Decimal,
    standard_rate: Decimal,
    delay_s: Decimal,
    error_mw: Decimal,
    capacity_mw: Decimal,
    t0_s: Decimal,
    e0_pct: Decimal,
    floor: Decimal,
) -> Decimal:
    """Rate times accuracy times delay, none below a floor (north China, "two detailed rules")."""
    parts = north_parts(
        rate=rate,
        standard_rate=standard_rate,
        delay_s=delay_s,
        error_mw=error_mw,
        capacity_mw=capacity_mw,
        t0_s=t0_s,
        e0_pct=e0_pct,
        floor=floor,
    )
    return parts.rate * parts.accuracy * parts.delay


def shanxi_k(
    *, actual_k: Decimal, highest_actual_k: Decimal, alpha: Decimal, beta: Decimal
) -> Decimal:
    """The settlement index by the best unit of the market (Shanxi 2025)."""
    return beta * max(2 / highest_actual_k, alpha) * actual_k


def pjm_score(*, accuracy: Decimal, delay: Decimal, precision: Decimal) -> Decimal:
    """The mean of three scores of 0 to 1."""
    return (accuracy + delay + precision) / 3


def tolerance_band(
    *, set_mw: Sequence[Decimal], actual_mw: Sequence[Decimal], pct: Decimal, abs_mw: Decimal
) -> Decimal:
    """The share of samples that lie within a band around what was set."""
    kept = [
        abs(actual - wanted) <= max(pct * abs(wanted), abs_mw)
        for wanted, actual in zip(set_mw, actual_mw, strict=True)
    ]
    return Decimal(sum(kept)) / len(kept)
