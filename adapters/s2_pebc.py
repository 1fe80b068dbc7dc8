"""Power envelope based control of S2: a power becomes limits that end by themselves. Pure.

    feed    the most it may feed   lower limit = −power, upper limit as wide as it may be
    draw    the most it may draw   upper limit = −power, lower limit as wide as it may be
    power   exactly that           both limits = −power

An envelope has one element that lasts as long as the command lives: after it the device is free again, also
where nobody tells it so. Where a device counts its phases one by one each gets the same part.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias

from adapters.s2_frbc import W_DRAWN_PER_KW_FED
from adapters.s2_wire import (
    ELECTRIC,
    AllowedRange,
    Envelope,
    EnvelopeElement,
    LimitType,
    PebcPowerConstraints,
)
from vpp.errors import DataError

Limits: TypeAlias = Literal["feed", "draw", "power"]


def envelopes_for(
    constraints: PebcPowerConstraints,
    power_kw: float,
    *,
    limits: Limits,
    now: datetime,
    until: datetime,
    tolerance_kw: float,
    new_id: Callable[[], str],
) -> tuple[Envelope, ...]:
    """The limits that mean a power, kW net injection, from `now` to `until`.

    Raises:
        DataError: The device allows no such limit, or its constraints do not hold now.
    """
    if not constraints.valid_from <= now or (constraints.valid_until or until) < until:
        raise DataError(
            f"its constraints hold from {constraints.valid_from} until {constraints.valid_until}",
            where=f"power constraints {constraints.id}",
            fix="Wait for newer ones",
        )
    quantities = sorted({r.commodity_quantity for r in constraints.allowed_limit_ranges} & ELECTRIC)
    if not quantities:
        raise DataError(
            "it takes no limits of electric power",
            where=f"power constraints {constraints.id}",
            fix="Leave this device read-only",
        )
    each_w = power_kw * W_DRAWN_PER_KW_FED / len(quantities) + 0.0
    most_off_w = tolerance_kw * 1000 / len(quantities)
    lasts_ms = max(0, round((until - now).total_seconds() * 1000))
    found = []
    for quantity in quantities:
        upper = _ranges(constraints, quantity, LimitType.UPPER)
        lower = _ranges(constraints, quantity, LimitType.LOWER)
        low_w, high_w = _ends(each_w, limits, lower, upper, most_off_w, quantity)
        element = EnvelopeElement(duration=lasts_ms, upper_limit=high_w, lower_limit=low_w)
        found.append(
            Envelope(id=new_id(), commodity_quantity=quantity, power_envelope_elements=(element,))
        )
    return tuple(found)


def _ends(
    wanted_w: float,
    limits: Limits,
    lower: list[tuple[float, float]],
    upper: list[tuple[float, float]],
    most_off_w: float,
    quantity: str,
) -> tuple[float, float]:
    """The lower and the upper limit, watts drawn."""
    match limits:
        case "feed":
            # Less than it can feed at all is no limit; more feeding than was allowed never comes of it.
            low = _nearest(wanted_w, lower, least=wanted_w - most_off_w, quantity=quantity)
            return low, max(low, max(high for _, high in upper))
        case "draw":
            high = _nearest(wanted_w, upper, most=wanted_w + most_off_w, quantity=quantity)
            return min(high, min(low for low, _ in lower)), high
        case "power":
            ends = {"least": wanted_w - most_off_w, "most": wanted_w + most_off_w}
            low = _nearest(wanted_w, lower, quantity=quantity, **ends)
            high = _nearest(wanted_w, upper, quantity=quantity, **ends)
            return min(low, high), max(low, high)


def _nearest(
    wanted_w: float,
    ranges: list[tuple[float, float]],
    *,
    quantity: str,
    least: float = float("-inf"),
    most: float = float("inf"),
) -> float:
    """What is allowed and lies nearest.

    Raises:
        DataError: It lies outside `least` and `most`.
    """
    found = min(
        (min(max(wanted_w, low), high) for low, high in ranges), key=lambda w: abs(w - wanted_w)
    )
    if least <= found <= most:
        return found
    allowed = ", ".join(f"{low:g} to {high:g}" for low, high in ranges)
    raise DataError(
        f"{wanted_w:g} W drawn is no limit that it allows: {allowed}",
        where=quantity,
        fix="Compare the sizes in the park file with what the device tells",
    )


def _ranges(
    constraints: PebcPowerConstraints, quantity: str, limit_type: LimitType
) -> list[tuple[float, float]]:
    """Where an end may lie.

    Raises:
        DataError: Nowhere, though the standard asks for one range of each end.
    """
    found = [
        _range(one)
        for one in constraints.allowed_limit_ranges
        if _is_about(one, quantity, limit_type) and not one.abnormal_condition_only
    ]
    if not found:
        raise DataError(
            f"it allows no {limit_type.value}",
            where=quantity,
            fix="The standard asks for a range of each end: ask the maker",
        )
    return found


def _is_about(one: AllowedRange, quantity: str, limit_type: LimitType) -> bool:
    return one.commodity_quantity == quantity and one.limit_type is limit_type


def _range(one: AllowedRange) -> tuple[float, float]:
    ends = one.range_boundary.start_of_range, one.range_boundary.end_of_range
    return min(ends), max(ends)
