"""What a venue says of what was sent to it: closed unions, so that no answer is left without a meaning.

Taken       it has the bids
Declined    it has looked, does not want them, and says why
Later       surely not taken: the same may be sent again
Unknown     it may have them: it is asked before anything else
Foreign     not what was agreed on: nothing more is bid there until a person has looked
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

BidSetWord: TypeAlias = Literal["received", "cleared", "unknown"]
"""What a venue says of a bid set when it is asked."""

AnswerMeaning: TypeAlias = Literal[
    "taken", "declined", "conflict", "gate_closed", "later", "unknown"
]
"""What a mapping may say that a status, or a word of the body, means."""

MAX_RAW_BYTES = 4096
"""Of an answer that is put on record."""

CONFLICT, GATE_CLOSED = "conflict", "gate_closed"
"""Codes of `Declined` that mean something here: other bytes under the same id; too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The venue has these very bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The venue has looked and does not take them."""

    code: str
    """`conflict`, `gate_closed`, or the venue's own word."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Surely not taken; the same may be sent again."""

    retry_at: datetime | None
    """Not before; None where the venue does not say."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nobody here can say whether the venue has them."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """An answer that the mapping does not know; the venue may have them or not."""

    what: str
    raw: bytes
    """The answer, `MAX_RAW_BYTES` of it at most."""


Submission: TypeAlias = Taken | Declined | Later | Unknown | Foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueHealth:
    """What an adapter noticed beside the answers."""

    clock_offset_s: float | None = None
    """The venue's clock less ours at its newest answer; None where it does not tell the time."""

    certificate_ends_at: datetime | None = None
    """Of the certificate that we show; None where none is shown."""

    token_fault: str | None = None
    """Why no new token came when it was last asked for; None where one did."""
