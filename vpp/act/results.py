"""What became of each instruction: measured, never assumed.

    told at         its ramp should be done        its end, or now
      ├──── not counted ────┼───────── mean power ────────┤
    from_kw                 asked_kw                 measured_kw

An instruction moves a unit from `from_kw` to `asked_kw`; short and over are counted in the direction
of that move, so a load that was to draw 40 kW less and drew 30 less is short by 10, as a battery is.
One that asked for no move counts upwards.

The sums hold whatever happened, tolerance or not:

    asked = delivered + short - excess + unknown

so a part that failed can never be reported as done: it is short, refused or unknown, and missing from
delivered (reliability row C14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.ids import ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What a unit was told; kW of net injection."""

    command_id: str
    resource_id: ResourceId
    from_kw: float
    """What it did, or would have done, without it."""

    asked_kw: float

    @property
    def side(self) -> int:
        """1 where it is to feed more (or draw less), -1 where less."""
        return 1 if self.asked_kw >= self.from_kw else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Within tolerance of what was asked."""

    instruction: Instruction
    measured_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """It moved too little, not at all, or the other way."""

    instruction: Instruction
    measured_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """It moved too far."""

    instruction: Instruction
    measured_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The unit, its link or our guard said no; what it did all the same is counted where measured."""

    instruction: Instruction
    reason: str
    measured_kw: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownResult:
    """Nobody can tell: nothing was measured since its ramp should be done."""

    instruction: Instruction
    reason: str

    @property
    def measured_kw(self) -> None:
        return None


Result: TypeAlias = Delivered | Short | Excess | Refused | UnknownResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far off is still delivered: the larger of both.

    Raises:
        DataError: One is negative or not finite.
    """

    kw: float
    share: float
    """Of the move that was asked for."""

    def __post_init__(self) -> None:
        if not (0 <= self.kw < float("inf") and 0 <= self.share < float("inf")):
            raise DataError(
                f"tolerance {self.kw} kW, {self.share}",
                where="tolerance",
                fix="Give kW and a share of the move, finite and not negative",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The power measured of one instruction since its ramp should be done: a sum over time."""

    kw_seconds: float = 0.0
    seconds: float = 0.0

    def and_then(self, power_kw: float | None, seconds: float) -> Watched:
        """With `seconds` more at `power_kw`; None or NaN: not measured, so not counted."""
        if power_kw is None or not abs(power_kw) < float("inf") or not 0 < seconds < float("inf"):
            return self
        return Watched(
            kw_seconds=self.kw_seconds + power_kw * seconds, seconds=self.seconds + seconds
        )

    @property
    def mean_kw(self) -> float | None:
        """Over the time that was measured; None where there is none."""
        return self.kw_seconds / self.seconds if self.seconds > 0 else None


def result_of(
    instruction: Instruction,
    watched: Watched,
    tolerance: Tolerance,
    *,
    refused: str | None = None,
    least_seconds: float = 0.0,
) -> Result:
    """What became of `instruction`.

    Args:
        instruction: What was told.
        watched: What was measured since its ramp should be done.
        tolerance: How far off is still delivered.
        refused: Why it never took effect; None where nobody said no.
        least_seconds: Less time than this measured says nothing.
    """
    measured_kw = watched.mean_kw
    if refused is not None:
        return Refused(instruction=instruction, reason=refused, measured_kw=measured_kw)
    if measured_kw is None or watched.seconds < least_seconds:
        reason = f"measured for {watched.seconds:g} s since its ramp should be done"
        return UnknownResult(instruction=instruction, reason=reason)
    over_kw = instruction.side * (measured_kw - instruction.asked_kw)
    move_kw = abs(instruction.asked_kw - instruction.from_kw)
    slack_kw = max(tolerance.kw, tolerance.share * move_kw)
    if over_kw < -slack_kw:
        return Short(instruction=instruction, measured_kw=measured_kw)
    if over_kw > slack_kw:
        return Excess(instruction=instruction, measured_kw=measured_kw)
    return Delivered(instruction=instruction, measured_kw=measured_kw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All results of one call, each move counted in its own direction, in kW."""

    asked_kw: float
    delivered_kw: float
    """What was measured, of those that were; may be below 0 where units went the other way."""

    short_kw: float
    excess_kw: float
    unknown_kw: float
    """Asked of those of which nothing is known."""

    counts: dict[str, int]
    """How many ended each way, by the name of the result."""

    @property
    def complete(self) -> bool:
        """Whether every single instruction was delivered (or more)."""
        return not any(self.counts[name] for name in ("short", "refused", "unknown"))


def summary(results: Sequence[Result]) -> Summary:
    """Add up `results`; see the identity above."""
    asked = delivered = short = excess = unknown = 0.0
    counts = dict.fromkeys(("delivered", "short", "excess", "refused", "unknown"), 0)
    for result in results:
        told = result.instruction
        move_kw = abs(told.asked_kw - told.from_kw)
        asked += move_kw
        counts[NAMES[type(result)]] += 1
        if result.measured_kw is None:
            unknown += move_kw
            continue
        moved_kw = told.side * (result.measured_kw - told.from_kw)
        delivered += moved_kw
        short += max(move_kw - moved_kw, 0.0)
        excess += max(moved_kw - move_kw, 0.0)
    return Summary(
        asked_kw=asked,
        delivered_kw=delivered,
        short_kw=short,
        excess_kw=excess,
        unknown_kw=unknown,
        counts=counts,
    )


NAMES: dict[type[Result], str] = {
    Delivered: "delivered",
    Short: "short",
    Excess: "excess",
    Refused: "refused",
    UnknownResult: "unknown",
}
"""Each result as the API, metrics and the page call it."""
