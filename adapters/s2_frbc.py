"""Fill rate based control of S2: a power becomes an operation mode and its factor. Pure.

    power_kw ─▶ modes that can be begun now ─▶ one whose powers hold it ─▶ mode, factor

A mode holds a power where it lies between the ends of its power range at the present fill level; the factor
runs from the first end to the second. The mode that is active is kept where it holds the power, else the
first one is taken that may be begun: there is a transition to it, and no timer blocks that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.s2_wire import ELECTRIC, Actuator, OperationMode, OperationModeElement
from vpp.errors import DataError

W_DRAWN_PER_KW_FED = -1000.0
"""S2 counts what is drawn, in watts."""


@dataclass(frozen=True, slots=True)
class Mode:
    """An operation mode, and how much of it."""

    mode_id: str
    factor: float


def mode_for(
    actuator: Actuator,
    power_kw: float,
    *,
    fill_level: float | None,
    active_mode_id: str | None,
    timers: Mapping[str, datetime],
    now: datetime,
    tolerance_kw: float,
) -> Mode:
    """How an actuator is told to run at a power, kW net injection.

    `timers` tells until when each runs. Powers that lie outside a mode by no more than `tolerance_kw` are
    those of its nearest end.

    Raises:
        DataError: Nothing that can be begun now holds it, or the fill level is needed and not known.
    """
    held: list[str] = []
    nearest: tuple[float, Mode] | None = None
    for mode in sorted(actuator.operation_modes, key=lambda one: one.id != active_mode_id):
        if mode.abnormal_condition_only:
            continue
        first_kw, last_kw = _powers_kw(mode, fill_level)
        factor, off_kw = _factor(power_kw, first_kw, last_kw)
        if not off_kw <= tolerance_kw:  # nor where a range has no end
            held.append(f"{min(first_kw, last_kw):g} to {max(first_kw, last_kw):g} kW")
            continue
        if (blocked := _blocked(actuator, active_mode_id, mode.id, timers, now)) is not None:
            held.append(blocked)
            continue
        if nearest is None or off_kw < nearest[0]:
            nearest = off_kw, Mode(mode.id, factor)
    if nearest is None:
        raise DataError(
            f"no operation mode holds {power_kw:g} kW now: {'; '.join(held[:6]) or 'it tells none'}",
            where=f"actuator {actuator.id}",
            fix="Compare the sizes in the park file with what the device tells",
        )
    return nearest[1]


def is_electric(actuator: Actuator) -> bool:
    """Whether any of its modes draws or feeds electricity."""
    return any(
        power.commodity_quantity in ELECTRIC
        for mode in actuator.operation_modes
        for element in mode.elements
        for power in element.power_ranges
    )


def _powers_kw(mode: OperationMode, fill_level: float | None) -> tuple[float, float]:
    """What it does at a factor of 0 and at one of 1, kW net injection."""
    element = _element(mode, fill_level)
    of = [power for power in element.power_ranges if power.commodity_quantity in ELECTRIC]
    return (
        sum(power.start_of_range for power in of) / W_DRAWN_PER_KW_FED + 0.0,
        sum(power.end_of_range for power in of) / W_DRAWN_PER_KW_FED + 0.0,
    )


def _element(mode: OperationMode, fill_level: float | None) -> OperationModeElement:
    if len(mode.elements) == 1:
        return mode.elements[0]
    if fill_level is None:
        raise DataError(
            "what it can do depends on how full it is, which it has not told",
            where=f"operation mode {mode.id}",
            fix="Let the device tell its fill level",
        )

    def away(element: OperationModeElement) -> float:
        low, high = element.fill_level_range.start_of_range, element.fill_level_range.end_of_range
        return max(low - fill_level, fill_level - high, 0.0)

    return min(mode.elements, key=away)  # of those that it is in, or else is nearest to, the first


def _factor(power_kw: float, first_kw: float, last_kw: float) -> tuple[float, float]:
    """The factor that comes nearest, and by how much that misses; kW."""
    span_kw = last_kw - first_kw
    factor = 0.0 if span_kw == 0 else min(1.0, max(0.0, (power_kw - first_kw) / span_kw))
    return factor, abs(first_kw + factor * span_kw - power_kw)


def _blocked(
    actuator: Actuator,
    active_id: str | None,
    mode_id: str,
    timers: Mapping[str, datetime],
    now: datetime,
) -> str | None:
    """Why a mode cannot be begun from the active one now; None where it can."""
    if active_id is None or active_id == mode_id:
        return None
    ways = [
        way
        for way in actuator.transitions
        if (way.from_id, way.to_id) == (active_id, mode_id) and not way.abnormal_condition_only
    ]
    if not ways:
        return f"nothing leads from {active_id} to {mode_id}"
    until = [
        max((timers.get(timer, now) for timer in way.blocking_timers), default=now) for way in ways
    ]
    return None if min(until) <= now else f"{mode_id} is blocked until {min(until):%H:%M:%S}"


def drawn_kwh_per_level(actuator: Actuator) -> float | None:
    """What a unit of fill level takes where it fills with all it has; None where nothing tells."""
    most: tuple[float, float] | None = None
    for mode in actuator.operation_modes:
        for element in mode.elements:
            rate = element.fill_rate.end_of_range
            drawn_w = sum(
                power.end_of_range
                for power in element.power_ranges
                if power.commodity_quantity in ELECTRIC
            )
            if rate > 0 and drawn_w > 0 and (most is None or drawn_w > most[0]):
                most = drawn_w, drawn_w / 1000 / 3600 / rate
    return None if most is None else most[1]
