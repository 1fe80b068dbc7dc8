"""A regulation signal and how it was followed: mileage, and per instruction rate, delay and error.

    set MW   ┌──────────        response MW = measured − baseline
             │     ╭────        delay   until it has moved by a tenth of the step
    ─────────┘ ╭───╯            rate    of the step's first nine tenths, MW a minute
                                error   mean of |set − response| once it is there, MW

Nothing here knows a province: the index that a market file names turns these numbers into a factor.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from vpp.account.rulebook import INDEXES
from vpp.errors import DataError

ZERO = Decimal(0)
BEGUN, THERE = Decimal("0.1"), Decimal("0.9")
"""Parts of a step: from the one on it moves, from the other on it has arrived."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one moment."""

    at: datetime
    response_mw: Decimal
    """Net injection less the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How one instruction was followed."""

    start: datetime
    from_mw: Decimal
    to_mw: Decimal
    delay_s: Decimal
    rate_mw_per_min: Decimal
    error_mw: Decimal


def mileage_mw(course: Sequence[tuple[datetime, Decimal]], *, before: Decimal = ZERO) -> Decimal:
    """How far the signal moved in all, from where it stood before."""
    values = [before, *(mw for _, mw in course)]
    return sum((abs(b - a) for a, b in pairwise(values)), ZERO)


def followed(
    course: Sequence[tuple[datetime, Decimal]], end: datetime, samples: Sequence[Sample]
) -> tuple[Followed, ...]:
    """Each instruction of a signal that moved it, judged by the samples until the next one.

    An instruction without two samples says nothing and is left out.
    """
    found = []
    ordered = sorted(samples, key=_when)
    ends = [*(at for at, _ in course[1:]), end]
    before = ZERO
    for (start, to_mw), until in zip(course, ends, strict=True):
        if to_mw != before:
            first = bisect_left(ordered, start, key=_when)
            seen = ordered[first : bisect_left(ordered, until, key=_when)]
            found += [] if len(seen) < 2 else [judged(start, before, to_mw, seen)]
        before = to_mw
    return tuple(found)


def _when(sample: Sample) -> datetime:
    return sample.at


def judged(start: datetime, from_mw: Decimal, to_mw: Decimal, seen: Sequence[Sample]) -> Followed:
    """One instruction by at least two samples, oldest first, until the next one."""
    step = to_mw - from_mw
    done = [(one.at, (one.response_mw - from_mw) / step) for one in seen]
    begun = next((at for at, part in done if part >= BEGUN), seen[-1].at)
    there = next((at for at, part in done if part >= THERE), None)
    settled = [one for one in seen if there is not None and one.at >= there] or [seen[-1]]
    moved = abs(step) * min(max(done[-1][1], ZERO), THERE) if there is None else abs(step) * THERE
    took = max((there or seen[-1].at) - start, timedelta(seconds=1))
    errors = [abs(to_mw - one.response_mw) for one in settled]
    return Followed(
        start=start,
        from_mw=from_mw,
        to_mw=to_mw,
        delay_s=Decimal(str((begun - start).total_seconds())),
        rate_mw_per_min=moved / Decimal(str(took.total_seconds())) * 60,
        error_mw=sum(errors, ZERO) / len(errors),
    )


def index_of(
    name: str,
    params: Mapping[str, Decimal],
    parts: Sequence[Followed],
    *,
    capacity_mw: Decimal,
    standard_rate: Decimal,
) -> Decimal:
    """The mean of a named index over all instructions; 1 where none moved, or where the rule has no index.

    Raises:
        DataError: The index judges something else than single instructions.
    """
    if name == "none" or not parts:
        return Decimal(1)
    if name not in ("cn_hunan_k", "cn_south_k", "cn_kp_product"):
        raise DataError(
            f"the index {name} is not one of single instructions",
            where="regulation",
            fix="Use a market file whose index judges rate, delay and error",
        )
    rule: Callable[..., Decimal] = INDEXES[name].call
    known = {key: params[key] for key in INDEXES[name].params}
    values = [
        rule(
            rate=one.rate_mw_per_min,
            standard_rate=standard_rate,
            delay_s=one.delay_s,
            error_mw=one.error_mw,
            capacity_mw=capacity_mw,
            **known,
        )
        for one in parts
    ]
    return sum(values, ZERO) / len(values)
