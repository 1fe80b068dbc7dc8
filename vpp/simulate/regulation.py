"""An AGC signal: where in its awarded band a unit shall stand, every few seconds, drawn by seed.

    share ▲      ╭╮  ╭─╮     a level that holds for the quarter-hour, and a wiggle about it
      +1 ─┤   ╭──╯╰──╯ ╰╮
       0 ─┤───╯          ╰   ─▶ seconds
      −1 ─┤

Each quarter-hour is one activation, and each move of the set-point a revision of it. What is paid is the way that
it went, Σ|ΔP|; the venue does not judge how well it was followed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any, Literal, TypeAlias

from vpp.simulate.auction import utc
from vpp.simulate.ledger import quarters_of

QUARTER = timedelta(minutes=15)
Direction: TypeAlias = Literal["up", "down", "both"]
KW = Decimal("0.001")
WIGGLE = 0.15
"""How far from its level a signal strays, as a share of what is awarded."""

PULL = 0.2
"""Of the way back to its level that a set-point goes with each step."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Set-points of one interval, in MW against the schedule: above 0 feeds more."""

    period_s: int
    setpoints_mw: tuple[Decimal, ...]

    @property
    def moves(self) -> list[tuple[int, Decimal]]:
        """When the set-point moves, in seconds from the beginning, and where to; the first one always."""
        found: list[tuple[int, Decimal]] = []
        for number, setpoint in enumerate(self.setpoints_mw):
            if not found or setpoint != found[-1][1]:
                found.append((number * self.period_s, setpoint))
        return found

    @property
    def mileage_mw(self) -> Decimal:
        """The way that the set-point goes from step to step, from the schedule at the beginning."""
        return mileage_mw(self.setpoints_mw)


def signal(
    dice: Random, awarded_mw: Decimal, direction: Direction, *, seconds: int, period_s: int
) -> Signal:
    """Draw the signal of an interval of so many seconds; no set-point leaves the awarded band."""
    low, high = {"up": (0.0, 1.0), "down": (-1.0, 0.0), "both": (-1.0, 1.0)}[direction]
    level = dice.uniform(low, high)
    share, setpoints = level, []
    for _ in range(max(1, seconds // period_s)):
        share += PULL * (level - share) + dice.gauss(0.0, WIGGLE * PULL)
        share = min(high, max(low, share))
        setpoints.append((awarded_mw * Decimal(str(round(share, 6)))).quantize(KW, ROUND_HALF_EVEN))
    return Signal(period_s, tuple(setpoints))


def mileage_mw(setpoints_mw: Sequence[Decimal]) -> Decimal:
    """Σ|ΔP| over the set-points, beginning at 0."""
    before, way = Decimal(0), Decimal(0)
    for setpoint in setpoints_mw:
        way += abs(setpoint - before)
        before = setpoint
    return way


@dataclass(frozen=True, slots=True)
class Held:
    """What an award holds ready in one quarter-hour."""

    start: datetime
    awarded_mw: Decimal
    """The mean over the quarter-hour."""
    price: Decimal
    """The mean of its lines, by their MW."""


def held(award: Mapping[str, Any]) -> list[Held]:
    """The quarter-hours of an award, in order."""
    mw: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    paid: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for line in award["cleared"]:
        slot = (utc(line["start"]), utc(line["end"]))
        quantity_mw, price = Decimal(line["quantity_mw"]), Decimal(line["price_per_mwh"])
        for start in quarters_of(slot):
            seconds = min(start + QUARTER, slot[1]) - max(start, slot[0])
            share = Decimal(seconds // timedelta(seconds=1)) / 900
            mw[start] += quantity_mw * share
            paid[start] += quantity_mw * share * price
    return [Held(start, mw[start], paid[start] / mw[start]) for start in sorted(mw)]
