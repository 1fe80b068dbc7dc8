"""What demand response remembers: invitations and their stories, what the newest plan knows of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date

from vpp.account.daybaseline import PastDay
from vpp.model.ids import EnterpriseId
from vpp.trade.invitations import InvitationBook


@dataclass(slots=True, kw_only=True)
class ResponseDesk:
    """Filled from the journal by `tradelog.recover`."""

    book: InvitationBook = field(default_factory=InvitationBook)
    planned: frozenset[tuple[str, int]] = frozenset()
    """Invitations, by id and revision, that the newest plan knows."""

    days: dict[tuple[EnterpriseId, date], PastDay] = field(default_factory=dict)
    """Days of members whose every quarter-hour is metered exactly: they do not change any more."""

    moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while stories are moved on: by one cycle at a time, or each would nominate."""

    told: dict[str, str] = field(default_factory=dict)
    """Why no reply could be made, by invitation, as it was said last."""
