"""Where one bid stands: a closed table of states and of what may happen to it.

Venues ask us, so the words mean this here:

    drafted ──record──▶ journalled ──send──▶ sent ──doubt──▶ unknown        made ▸ on disk ▸ answered ▸ asked about
                            │                 └─────confirm──▶ acknowledged  the venue says it has it
                            └──hold back──▶ shadow                           made and shown, given to nobody

    any of these ──withdraw──▶ withdrawn   ──supersede──▶ superseded (by a newer revision)
                 ──reject, disown, lapse──▶ rejected        the venue took nothing, never had it, never answered
                 ──clear──▶ awarded_in_part | awarded_whole ──activate──▶ activated ──meter──▶ delivered ──settle──▶ settled

What a venue says it cleared is owed whatever we thought of the bid: an award that comes late, to a bid that
was given up, withdrawn or settled already, makes it awarded again. What the table does not hold is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from vpp.errors import ConflictError


class BidState(StrEnum):
    DRAFTED = "drafted"
    JOURNALLED = "journalled"
    SHADOW = "shadow"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    AWARDED_IN_PART = "awarded_in_part"
    AWARDED_WHOLE = "awarded_whole"
    ACTIVATED = "activated"
    DELIVERED = "delivered"
    SETTLED = "settled"


class BidEvent(StrEnum):
    RECORD = "record"
    HOLD_BACK = "hold_back"
    SEND = "send"
    DOUBT = "doubt"
    """Nobody can say whether the answer arrived: we began again, or the gate passed without an award."""
    CONFIRM = "confirm"
    DISOWN = "disown"
    """After the gate the venue says that it never had it."""
    LAPSE = "lapse"
    """The venue has not said a word by the time that its product gives it."""
    SUPERSEDE = "supersede"
    WITHDRAW = "withdraw"
    REJECT = "reject"
    CLEAR_PART = "clear_part"
    CLEAR_WHOLE = "clear_whole"
    REOPEN = "reopen"
    """A correction says that nothing is decided yet."""
    ACTIVATE = "activate"
    METER = "meter"
    SETTLE = "settle"


S, E = BidState, BidEvent

IN_MARKET = frozenset({S.JOURNALLED, S.SENT, S.UNKNOWN, S.ACKNOWLEDGED})
"""The venue has it, or may have it, and has not said what became of it."""

AWARDED = frozenset({S.AWARDED_IN_PART, S.AWARDED_WHOLE, S.ACTIVATED, S.DELIVERED, S.SETTLED})
"""Something is owed of it."""

OVER = frozenset({S.SHADOW, S.SUPERSEDED, S.WITHDRAWN, S.REJECTED})
"""Nothing is owed of it; an award may still say otherwise."""


def _rows() -> Iterator[tuple[BidState, BidEvent, BidState]]:
    yield S.DRAFTED, E.RECORD, S.JOURNALLED
    yield S.JOURNALLED, E.HOLD_BACK, S.SHADOW
    for state in IN_MARKET:
        yield state, E.SEND, S.ACKNOWLEDGED if state is S.ACKNOWLEDGED else S.SENT
        yield state, E.DOUBT, S.ACKNOWLEDGED if state is S.ACKNOWLEDGED else S.UNKNOWN
        yield state, E.CONFIRM, S.ACKNOWLEDGED
        yield state, E.DISOWN, S.REJECTED
        yield state, E.LAPSE, S.REJECTED
    for state in IN_MARKET | {S.SHADOW}:
        yield state, E.SUPERSEDE, S.SUPERSEDED
        yield state, E.WITHDRAW, S.WITHDRAWN
    yield S.WITHDRAWN, E.WITHDRAW, S.WITHDRAWN
    for state in IN_MARKET | AWARDED | OVER:
        yield state, E.CLEAR_PART, S.AWARDED_IN_PART
        yield state, E.CLEAR_WHOLE, S.AWARDED_WHOLE
        gone = state in (S.SHADOW, S.SUPERSEDED, S.WITHDRAWN)
        yield state, E.REJECT, state if gone else S.REJECTED
    for state in AWARDED | {S.REJECTED}:
        yield state, E.REOPEN, S.ACKNOWLEDGED
    for state in (S.AWARDED_IN_PART, S.AWARDED_WHOLE, S.ACTIVATED):
        yield state, E.ACTIVATE, S.ACTIVATED
        yield state, E.METER, S.DELIVERED
    yield S.DELIVERED, E.METER, S.DELIVERED
    yield S.DELIVERED, E.SETTLE, S.SETTLED


TRANSITIONS: Mapping[tuple[BidState, BidEvent], BidState] = MappingProxyType(
    {(state, event): to for state, event, to in _rows()}
)
"""Everything that may happen; what is not here may not."""


def may(state: BidState, event: BidEvent) -> bool:
    """Whether `event` may happen to a bid in `state`."""
    return (state, event) in TRANSITIONS


def after(state: BidState, event: BidEvent, *, where: str) -> BidState:
    """The state after `event`.

    Raises:
        ConflictError: The table does not hold it; `where` says which bid.
    """
    to = TRANSITIONS.get((state, event))
    if to is None:
        raise ConflictError(
            f"it is {state}, so it cannot {event}",
            where=where,
            fix="Look at the bid set; what came before it may have been lost",
        )
    return to
