"""What members asked for, rebuilt from the journal in its order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import Interval
from vpp.wiremembers import WindowKind


class RequestState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWindow:
    """A window that a member asked for."""

    number: int
    enterprise_id: EnterpriseId
    kind: WindowKind
    resources: tuple[ResourceId, ...]
    """None named: everything the member owns."""

    span: Interval
    by: str
    reason: str
    at: datetime
    state: RequestState = RequestState.OPEN
    decided_by: str | None = None
    decided_because: str | None = None
    decided_at: datetime | None = None
    strategy_version: str | None = None


@dataclass(slots=True, kw_only=True)
class MemberDesk:
    """Filled from the journal by `asking.recover`."""

    asked: dict[int, AskedWindow] = field(default_factory=dict)
    """By number, the oldest first; of those that are decided the newest alone."""

    numbers: int = 0
    """The number of the newest."""

    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while one is decided: one after the other."""
