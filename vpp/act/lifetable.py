"""The states of a set-point and the closed table of how it goes from one to the next.

                    ┌─ unsent ◀──── (it did not leave)
                    │    │
    released ─▶ issued ──┴▶ sent ─▶ acknowledged ─▶ read back ─▶ effective
        ▲          └──────────── any of these ◀──────────┘  ▲        │
        │                 │            │                    ▼        ▼
        └── not wanted    ▼            ▼                   not following
                       expired      refused

A life belongs to a value that a resource is asked for. A refresh is a new command with the same value and
lengthens it; a new value begins a new life, and the old one is superseded: nothing of it is sent again.
Answers may come in any order, twice, or late: each has its place in the table, and what has none there
cannot happen unless somebody errs. It changes nothing and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stage(IntEnum):
    """Where the value that a resource is asked for stands."""

    RELEASED = 0
    """Nothing is asked: the device goes to its own default. After a start everybody is here."""
    ISSUED = 1
    UNSENT = 2
    """It did not leave, or was not confirmed: it will be issued anew if it is still wanted."""
    SENT = 3
    ACKNOWLEDGED = 4
    """The device has answered yes."""
    READ_BACK = 5
    """Its telemetry names the command; its power is on the way."""
    EFFECTIVE = 6
    """Its power is what was asked."""
    NOT_FOLLOWING = 7
    """It has taken the command and its power is not where an obedient device could be."""
    REFUSED = 8
    EXPIRED = 9
    """It ended while it was wanted."""


class Event(IntEnum):
    """What can happen to it."""

    ISSUE = 0
    REFRESH = 1
    SENT = 2
    UNSENT = 3
    ACKNOWLEDGE = 4
    REFUSE = 5
    READ_BACK = 6
    EFFECT = 7
    STRAY = 8
    EXPIRE = 9
    RELEASE = 10


LIVE = (
    *(Stage.ISSUED, Stage.SENT, Stage.ACKNOWLEDGED, Stage.READ_BACK),
    *(Stage.EFFECTIVE, Stage.NOT_FOLLOWING),
)
"""Stages in which a value is asked of a device and may be refreshed."""

REACHED = (Stage.ACKNOWLEDGED, Stage.READ_BACK, Stage.EFFECTIVE, Stage.NOT_FOLLOWING)
"""Stages in which the device has it for certain."""

_ANYWHERE = {Event.ISSUE: Stage.ISSUED, Event.RELEASE: Stage.RELEASED}
_LATE = (Event.SENT, Event.UNSENT, Event.ACKNOWLEDGE, Event.REFUSE)
"""Answers that come after the end change nothing."""

_REACHED: Mapping[Event, Stage] = {
    Event.REFUSE: Stage.REFUSED,
    Event.EFFECT: Stage.EFFECTIVE,
    Event.STRAY: Stage.NOT_FOLLOWING,
    Event.EXPIRE: Stage.EXPIRED,
}
_SAME = (Event.REFRESH, Event.SENT, Event.UNSENT, Event.ACKNOWLEDGE)
"""Of a refresh, or late: what is in force stays so."""

MOVES: Mapping[Stage, Mapping[Event, Stage]] = {
    Stage.RELEASED: {**_ANYWHERE, **dict.fromkeys(_LATE, Stage.RELEASED)},
    Stage.ISSUED: {
        **_ANYWHERE,
        Event.REFRESH: Stage.ISSUED,
        Event.SENT: Stage.SENT,
        Event.UNSENT: Stage.UNSENT,
        Event.ACKNOWLEDGE: Stage.ACKNOWLEDGED,
        Event.REFUSE: Stage.REFUSED,
        Event.READ_BACK: Stage.READ_BACK,
        Event.EXPIRE: Stage.EXPIRED,
    },
    Stage.UNSENT: {  # it may have arrived all the same
        **_ANYWHERE,
        Event.UNSENT: Stage.UNSENT,
        Event.ACKNOWLEDGE: Stage.ACKNOWLEDGED,
        Event.REFUSE: Stage.REFUSED,
        Event.READ_BACK: Stage.READ_BACK,
    },
    Stage.SENT: {
        **_ANYWHERE,
        **dict.fromkeys((Event.REFRESH, Event.SENT, Event.UNSENT), Stage.SENT),
        Event.ACKNOWLEDGE: Stage.ACKNOWLEDGED,
        Event.REFUSE: Stage.REFUSED,
        Event.READ_BACK: Stage.READ_BACK,
        Event.EXPIRE: Stage.EXPIRED,
    },
    Stage.ACKNOWLEDGED: {
        **_ANYWHERE,
        **_REACHED,
        **dict.fromkeys(_SAME, Stage.ACKNOWLEDGED),
        Event.READ_BACK: Stage.READ_BACK,
    },
    Stage.READ_BACK: {**_ANYWHERE, **_REACHED, **dict.fromkeys(_SAME, Stage.READ_BACK)},
    Stage.EFFECTIVE: {**_ANYWHERE, **_REACHED, **dict.fromkeys(_SAME, Stage.EFFECTIVE)},
    Stage.NOT_FOLLOWING: {**_ANYWHERE, **_REACHED, **dict.fromkeys(_SAME, Stage.NOT_FOLLOWING)},
    Stage.REFUSED: {
        **_ANYWHERE,
        **dict.fromkeys((Event.SENT, Event.UNSENT, Event.REFUSE), Stage.REFUSED),
    },
    Stage.EXPIRED: {**_ANYWHERE, **dict.fromkeys(_LATE, Stage.EXPIRED)},
}
"""Where each event leads; an event that a stage does not name is refused there."""

NO_MOVE = -1


def _table() -> NDArray[np.int8]:
    table = np.full((len(Stage), len(Event)), NO_MOVE, dtype=np.int8)
    for stage, moves in MOVES.items():
        for event, to in moves.items():
            table[stage, event] = to
    return table


TABLE = _table()
"""`MOVES` as an array: the next stage by stage and event, `NO_MOVE` where it is refused."""
