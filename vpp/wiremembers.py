"""Messages of the HTTP contract by which a member asks for a window of its own, and an operator decides."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from vpp.wire import Id, Moment, WireModel

WindowKind = Literal["maintenance", "no_steering", "no_calls"]
"""maintenance: not there; no_steering: not steered and not called; no_calls: steered as ever, in no call."""


class WindowRequest(WireModel):
    """A member asks that something of its own is left alone for a while. An operator confirms it or not."""

    kind: WindowKind
    resources: list[Id] = Field(default_factory=list, max_length=200)
    """Of its own; left out: everything it owns. A member is called as a whole: none with `no_calls`."""
    start: Moment
    end: Moment
    """Of `no_steering` and `no_calls` whole local days are meant, those of `start` and `end` included."""
    by: str = Field(min_length=2, max_length=120)
    """Who asks. There are no credentials yet: the record has what was said."""
    reason: str = Field(min_length=3, max_length=300)


class DecisionRequest(WireModel):
    """An operator says what becomes of a request."""

    accept: bool
    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


class WithdrawalRequest(WireModel):
    """A member takes back what it asked for, while nobody has decided."""

    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


class WindowRequestView(WireModel):
    """A request, and what became of it."""

    number: int
    enterprise_id: str
    kind: WindowKind
    resources: list[str]
    start: datetime
    end: datetime
    by: str
    reason: str
    at: datetime
    state: Literal["open", "accepted", "refused", "withdrawn"]
    decided_by: str | None
    decided_because: str | None
    decided_at: datetime | None
    strategy_version: str | None
    """The version of the strategy file that holds it; null where none does."""


class WindowRequestsView(WireModel):
    """The newest first."""

    requests: list[WindowRequestView]
