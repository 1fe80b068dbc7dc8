"""Performance indices of regulation, each a named formula with parameters from the market file.

Speeds, delays and errors are those of one instruction; what a rule averages, the caller does. A value is
never below 0. Each function names the rule it is of; the numbers of a province stand in its market file.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

ZERO = Decimal(0)


def none() -> Decimal:
    """No index: everything counts in full."""
    return Decimal(1)


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
    k1 = min(rate / standard_rate, k1_cap)
    k2 = max(ZERO, 1 - delay_s / t0_s)
    k3 = max(ZERO, 1 - error_mw / (e0_pct * capacity_mw))
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
    k1 = rate / standard_rate
    k2 = max(ZERO, 1 - delay_s / t0_s)
    k3 = max(ZERO, 1 - error_mw / (e0_pct * capacity_mw))
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
    k1 = max(floor, 2 - standard_rate / rate) if rate > 0 else floor
    k2 = max(floor, 2 - error_mw / (e0_pct * capacity_mw))
    k3 = max(floor, 2 - delay_s / t0_s)
    return k1 * k2 * k3


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
