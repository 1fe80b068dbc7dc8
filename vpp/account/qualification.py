"""What a step response proves of a device: the figures of a qualification test, judged from samples.

        P_set ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╭────────────────┄┄┄┄┄┄┄  full at 95 % of the change
                            ╱  │    sustained   │
                          ╱ 90 %                │
        base ────────●──●─10 % ────────────────────────
             baseline  asked  response                released

The stages are those that admission rules of virtual power plants in China have in common (GB/T 44260-2024
resource assessment, provincial access tests): baseline fixed, instruction sent, time to 10 %, time to 90-95 %,
sustained for a required time, accuracy `1 - mean|P_set - P_act| / P_set`, ramp; what is certified is the least
of the repeated runs. Powers count as changes against the baseline, so that a device that runs anyway is judged
by what it adds. A sample stands for the moment it carries: no time is made shorter by interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

RESPONDS_AT, NEARLY_AT, FULL_AT = 0.10, 0.90, 0.95
"""Shares of the asked change."""


class Direction(StrEnum):
    UP = "up"
    """Feeds more, or draws less."""

    DOWN = "down"
    """Feeds less, or draws more."""


class Stage(StrEnum):
    """How far a test came; each stage stands on the one before."""

    CONNECTED = "connected"
    READ = "read"
    BASELINE_FIXED = "baseline_fixed"
    STEPPED = "stepped"
    SUSTAINED = "sustained"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device measured of itself."""

    at: datetime
    power_kw: float
    """Net injection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was asked."""

    direction: Direction
    base_kw: float
    target_kw: float
    asked_at: datetime
    until: datetime
    """When it was released, or stopped."""

    @property
    def change_kw(self) -> float:
        """A size; the direction has the sign."""
        return abs(self.target_kw - self.base_kw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What one step proved."""

    step: Step
    response_s: float | None
    """To 10 % of the change; None where it never came there."""

    nearly_s: float | None
    """To 90 %."""

    full_s: float | None
    """To 95 %."""

    ramp_kw_per_min: float | None
    """From 10 % to 90 %; None where both lie in one sample, faster than anybody looked, or it never came there."""

    accuracy: float | None
    """`1 - mean|P_set - P_act| / P_set` from full on; None where it never came there."""

    sustained_s: float
    """From full on until it fell below 90 % again, or the end."""

    sustained: bool
    """Whether it held at least 90 % for as long as was required."""

    tested_kw: float
    """The mean change from full on, at most what was asked; 0 where it was not sustained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedPower:
    """What a device has proved it can change, as sizes; None where a direction was not tested."""

    __test__ = False

    up_kw: float | None
    down_kw: float | None
    at: datetime
    """When the last run ended."""

    runs: int

    @property
    def tested_kw(self) -> float | None:
        """The least of the directions that were tested."""
        proved = [kw for kw in (self.up_kw, self.down_kw) if kw is not None]
        return min(proved, default=None)


def judge(samples: Sequence[Sample], step: Step, *, sustain: timedelta) -> Response:
    """What `samples`, oldest first, prove of `step`; those outside it count for nothing."""
    within = [s for s in samples if step.asked_at < s.at <= step.until]
    shares = [_share(sample, step) for sample in within]

    def first(least: float) -> int | None:
        return next((i for i, share in enumerate(shares) if share >= least), None)

    responds, nearly, full = first(RESPONDS_AT), first(NEARLY_AT), first(FULL_AT)
    held = _held(shares, full)
    accuracy, sustained_s, mean_share = None, 0.0, 0.0
    if full is not None:
        after = shares[full:held]
        # Overshoot is as wrong as falling short.
        accuracy = 1 - sum(abs(1 - share) for share in shares[full:]) / len(shares[full:])
        mean_share = min(sum(after) / len(after), 1.0)
        sustained_s = (within[held - 1].at - within[full].at).total_seconds()
    sustained = full is not None and sustained_s >= sustain.total_seconds()
    return Response(
        step=step,
        response_s=_after_s(within, responds, step),
        nearly_s=_after_s(within, nearly, step),
        full_s=_after_s(within, full, step),
        ramp_kw_per_min=_ramp(within, responds, nearly, step),
        accuracy=accuracy,
        sustained_s=sustained_s,
        sustained=sustained,
        tested_kw=mean_share * step.change_kw if sustained else 0.0,
    )


def certified(responses: Sequence[Response], at: datetime) -> TestedPower:
    """The least of repeated runs, by direction."""
    by_direction: dict[Direction, list[float]] = {}
    for response in responses:
        by_direction.setdefault(response.step.direction, []).append(response.tested_kw)
    up, down = by_direction.get(Direction.UP), by_direction.get(Direction.DOWN)
    return TestedPower(
        up_kw=None if up is None else min(up),
        down_kw=None if down is None else min(down),
        at=at,
        runs=max(map(len, by_direction.values()), default=0),
    )


def _share(sample: Sample, step: Step) -> float:
    """How much of the change is done."""
    return (sample.power_kw - step.base_kw) / (step.target_kw - step.base_kw)


def _held(shares: Sequence[float], full: int | None) -> int:
    """The first sample after `full` that lies below 90 %, or the end."""
    start = len(shares) if full is None else full
    return next((i for i in range(start, len(shares)) if shares[i] < NEARLY_AT), len(shares))


def _after_s(within: Sequence[Sample], index: int | None, step: Step) -> float | None:
    return None if index is None else (within[index].at - step.asked_at).total_seconds()


def _ramp(
    within: Sequence[Sample], responds: int | None, nearly: int | None, step: Step
) -> float | None:
    if responds is None or nearly is None or responds == nearly:
        return None
    took_min = (within[nearly].at - within[responds].at) / timedelta(minutes=1)
    moved_kw = abs(within[nearly].power_kw - within[responds].power_kw)
    return moved_kw / took_min
