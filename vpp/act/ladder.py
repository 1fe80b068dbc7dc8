"""The ladder of safe states: one pure function says on which rung we stand, and why.

    NORMAL         commands from a fresh plan, bids
    NO_NEW_BIDS    commands from a fresh plan, no bids: something about trading is in doubt
    HOLD           commands from the last validated plan, for a while, no bids
    RELEASE        no commands: every device goes to its own default, no bids
    KILLED         nothing, until people release it

Any doubt goes down, never up. "All zeros" is no rung: zero is a command like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vpp.model.time import isoformat


class SafeState(StrEnum):
    NORMAL = "normal"
    NO_NEW_BIDS = "no_new_bids"
    HOLD = "hold"
    RELEASE = "release"
    KILLED = "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Where we stand."""

    state: SafeState
    reason: str
    """For people, the API and the log; empty on NORMAL."""

    @property
    def may_command(self) -> bool:
        return self.state in (SafeState.NORMAL, SafeState.NO_NEW_BIDS, SafeState.HOLD)

    @property
    def may_bid(self) -> bool:
        return self.state is SafeState.NORMAL


def decide(
    *,
    now: datetime,
    killed: str | None,
    reconciled: bool,
    plan_issued_at: datetime | None,
    plan_ends_at: datetime | None,
    plan_every: timedelta,
    hold_for: timedelta,
    failure: str | None,
    doubts: Sequence[str],
) -> Rung:
    """The rung at `now`.

    Args:
        now: The moment of the cycle.
        killed: Why the kill switch is on; None where it is off.
        reconciled: Whether, since the start, record and market agree on what is owed.
        plan_issued_at: When the last *validated* plan was made; None where there is none.
        plan_ends_at: Where its horizon ends.
        plan_every: How long a plan is fresh: the planning step and what a solve may take.
        hold_for: How long a plan that should have been replaced is still followed.
        failure: What the newest attempt to plan failed with; None where it succeeded.
        doubts: What forbids new bids: a bid of unknown outcome, missing prices, a full disk, …
    """
    if killed is not None:
        return Rung(state=SafeState.KILLED, reason=f"killed: {killed}")
    if not reconciled:
        return Rung(state=SafeState.RELEASE, reason="record and market are not reconciled yet")
    if plan_issued_at is None or plan_ends_at is None:
        return Rung(state=SafeState.RELEASE, reason=f"no plan: {failure or 'none was made yet'}")
    due = plan_issued_at + plan_every
    until = min(plan_ends_at, due + hold_for)
    if now >= until:
        return Rung(
            state=SafeState.RELEASE,
            reason=f"the plan of {isoformat(plan_issued_at)} was good until {isoformat(until)}"
            + (f"; since then: {failure}" if failure else ""),
        )
    if failure is not None or now >= due:
        return Rung(
            state=SafeState.HOLD,
            reason=f"{failure or 'no newer plan'}; held until {isoformat(until)}",
        )
    if doubts:
        return Rung(state=SafeState.NO_NEW_BIDS, reason="; ".join(doubts))
    return Rung(state=SafeState.NORMAL, reason="")
