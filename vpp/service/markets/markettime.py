"""What the short words of a market file's calendar mean: PT15M, D-1T12:00, T-25min."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import TypeAlias

from vpp.model.gate import (
    EVERY_KIND,
    DayAheadGate,
    DayMoment,
    DeliveryDays,
    Gate,
    RollingGate,
)
from vpp.service.markets.schema import CalendarSection

GateMoment: TypeAlias = DayMoment | timedelta
"""A local time of a day relative to the delivery day, or so long before the delivery starts."""

_UNITS = {"D": "days", "H": "hours", "M": "minutes", "S": "seconds"}
_MIDNIGHT = time()


def duration(text: str) -> timedelta:
    """PT15M, PT4H or P1D; `text` keeps the pattern of the schema."""
    number, unit = text.strip("PT")[:-1], text[-1]
    return timedelta(**{_UNITS[unit]: int(number)})


def gate_moment(text: str) -> GateMoment:
    """D-1T12:00 or T-25min; `text` keeps the pattern of the schema."""
    if found := re.fullmatch(r"T-(\d+)min", text):
        return timedelta(minutes=int(found[1]))
    days, at = text.removeprefix("D-").split("T")
    return DayMoment(days_before=int(days), at=time.fromisoformat(at))


def gate_of(section: CalendarSection) -> Gate:
    """The gate as the calendar knows it.

    Bids are taken from `gate_open` on, else from the start of the gate's own local day; of a rolling gate
    from the start of the day before the delivery. Results that are not timed are known at the gate.
    """
    closes = gate_moment(section.gate_close)
    opens = None if section.gate_open is None else gate_moment(section.gate_open)
    results = closes if section.results_at is None else gate_moment(section.results_at)
    if isinstance(closes, timedelta):
        after = closes - results if isinstance(results, timedelta) else timedelta(0)
        return RollingGate(
            lead=closes,
            opens=DayMoment(days_before=1, at=_MIDNIGHT) if opens is None else opens,
            results_after=after,
        )
    if not isinstance(opens, DayMoment):
        opens = DayMoment(days_before=closes.days_before, at=_MIDNIGHT)
    later = wall(results) - wall(closes) if isinstance(results, DayMoment) else timedelta(0)
    return DayAheadGate(
        opens=opens,
        closes=closes,
        results_after=later,
        day_starts=section.day_starts or _MIDNIGHT,
    )


def wall(moment: DayMoment) -> timedelta:
    """Where a moment stands on the wall's calendar, from the start of the delivery day's date on."""
    since_midnight = timedelta(hours=moment.at.hour, minutes=moment.at.minute)
    return since_midnight - timedelta(days=moment.days_before)


def day_kinds(section: CalendarSection) -> frozenset[DeliveryDays]:
    """The days on which the product is delivered."""
    return (
        EVERY_KIND if section.day_types is None else frozenset(map(DeliveryDays, section.day_types))
    )
