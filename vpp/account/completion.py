"""How much of a response is paid: completion bands, and whether a response is valid at all.

completion = delivered / cleared
  0 ──── 0.5 ──────── 0.8 ─────────── 1.2 ─────▶
  nothing │ 0.6 of it  │ all of it     │ 1.2 times what was cleared, no more
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from vpp.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What a completion from `start` to below `end` is paid by."""

    start: Decimal
    end: Decimal | None
    """None: without end."""
    factor: Decimal
    by_cleared: bool = False
    """The factor is of what was cleared, not of what was delivered."""
    cap_ratio: Decimal | None = None
    """Of what was cleared, at most so much is counted."""


def paid_quantity(response: Decimal, cleared: Decimal, bands: Sequence[Band]) -> Decimal:
    """What is paid of a response (MW or MWh) to what was cleared; without bands all of it.

    A response against the call counts as none.

    Raises:
        DataError: `cleared` is not above 0, or no band holds the completion.
    """
    if cleared <= 0:
        raise DataError(
            f"cleared {cleared}", where="completion", fix="Give what was cleared, above 0"
        )
    delivered = max(Decimal(0), response)
    if not bands:
        return delivered
    completion = delivered / cleared
    for band in bands:
        if band.start <= completion and (band.end is None or completion < band.end):
            counted = cleared if band.by_cleared else delivered
            if band.cap_ratio is not None:
                counted = min(counted, band.cap_ratio * cleared)
            return band.factor * counted
    raise DataError(
        f"no band holds a completion of {completion:.3f}",
        where="completion",
        fix="Let bands reach on",
    )


def max_load_below_baseline(load_mw: Sequence[Decimal], baseline_mw: Sequence[Decimal]) -> bool:
    """Whether the highest load of a call lies below the highest of its baseline."""
    return max(load_mw) < max(baseline_mw)


def mean_load_below_baseline(load_mw: Sequence[Decimal], baseline_mw: Sequence[Decimal]) -> bool:
    """Whether the mean load of a call lies below the mean of its baseline."""
    return sum(load_mw) / len(load_mw) < sum(baseline_mw) / len(baseline_mw)
