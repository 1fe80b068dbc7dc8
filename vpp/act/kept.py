"""What was kept of an instruction, by the meter, and what it says about the next one.

metered quarter-hours ─▶ expected less drawn, a mean ─▶ Kept │ Unverified
what came of the last instructions ─▶ mean of kept over asked, at most whole each ─▶ reliability
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from vpp.model.instruction import (
    Instruction,
    Kept,
    State,
    Unverified,
    Verification,
)
from vpp.model.time import QUARTER

LEAST_METERED = 0.5
"""Share of the window's quarter-hours below which nothing is said."""


def kept_of(instruction: Instruction, drawn_kw: Mapping[datetime, float]) -> Verification:
    """What the meter shows.

    Args:
        instruction: What was asked; its course is what the meter is held against.
        drawn_kw: Mean draw of the load (a size) by the beginning of each quarter-hour that was metered.
    """
    quarters = list(instruction.window.split(QUARTER))
    given_up_kw = [
        expected_kw - drawn_kw[quarter.start]
        for expected_kw, quarter in zip(instruction.course_kw, quarters, strict=True)
        if quarter.start in drawn_kw
    ]
    if len(given_up_kw) < LEAST_METERED * len(quarters):
        return Unverified(
            reason=f"{len(given_up_kw)} of {len(quarters)} quarter-hours were metered"
        )
    return Kept(
        delivered_kw=sum(given_up_kw) / len(given_up_kw),
        metered=len(given_up_kw),
        quarters=len(quarters),
    )


def share_kept(
    instruction: Instruction, state: State, verification: Verification | None
) -> float | None:
    """What part of an instruction came, 0 to 1; None where it tells nothing.

    Who declines, or does not answer, brings nothing of what was asked: that is no reproach, but what is to be
    expected of the next instruction.
    """
    if state in (State.DECLINED, State.UNANSWERED):
        return 0.0
    if state is State.VERIFIED and isinstance(verification, Kept):
        return verification.share_of(instruction.amount_kw)
    return None


def reliability(shares: Iterable[float], *, last: int, least: float) -> float:
    """What part of the next instruction is to be counted on, in [least, 1]: the mean of the `last` shares.

    1 where nothing is known, or `last` is 0.
    """
    known: Sequence[float] = list(shares)[-last:] if last else []
    return max(sum(known) / len(known), least) if known else 1.0
