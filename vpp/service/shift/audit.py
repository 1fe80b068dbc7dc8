"""Who did what: the journal's entries of what people do, in one list, the newest first.

Every act of a person is on the journal with `by` and a reason before it takes effect; this reads them and keeps
nothing of its own. A kind that is added elsewhere is added to `ACTS` here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from vpp.ports import Journal, JournalEntry
from vpp.service import control
from vpp.service.alarms.alarms import ALARM_ACT
from vpp.service.instructions import instructing
from vpp.service.members import asking
from vpp.service.shift import shift
from vpp.service.steering import overrides
from vpp.service.trading import golive, hands, presubmit
from vpp.service.tuning import record as versions
from vpp.service.venues import log as venuelog
from vpp.wiredesk import AuditEntryView

ACTS: Mapping[str, str] = {
    control.KIND: "kill",
    overrides.OVERRIDE: "override",
    overrides.OVERRIDE_END: "override_end",
    golive.KIND: "go_live",
    presubmit.APPROVAL: "bid_approval",
    venuelog.LATCH: "venue_release",
    instructing.STEP: "instruction",
    hands.HAND: "bid_by_hand",
    hands.HAND_END: "bid_by_hand_end",
    hands.LOCK: "bid_lock",
    versions.ACCEPTED: "strategies",
    versions.SHADOW: "shadow",
    versions.SHADOW_END: "shadow_end",
    asking.ASKED: "member_request",
    asking.DECIDED: "member_decision",
    ALARM_ACT: "alarm",
    shift.HANDOVER: "handover",
}
"""Kinds of journal entries, and the word for each."""

WORDS_OF_KEY = frozenset({overrides.OVERRIDE, overrides.OVERRIDE_END, golive.KIND})
"""Kinds whose key begins with what it is about, before a slash."""

MOST_DETAIL = 300

PAGE = 200
"""Entries that are read at a time."""


async def acts(
    journal: Journal, *, before: int | None, limit: int
) -> tuple[list[AuditEntryView], bool]:
    """At most `limit` acts with a number below `before`, the newest first; and whether there are older ones.

    Read from the newest back, a page at a time: months of record cost no more than a day, and between two
    pages whoever waits has its turn.
    """
    found: list[JournalEntry] = []
    while len(found) <= limit:
        page = journal.newest(*ACTS, before=before, limit=PAGE)
        found += filter(_is_act, page)
        if len(page) < PAGE:
            break
        before = page[-1].number
        await asyncio.sleep(0)
    return [_view(entry) for entry in found[:limit]], len(found) > limit


def _is_act(entry: JournalEntry) -> bool:
    """Whether a person did it: of venues and instructions the record holds more than that."""
    if entry.kind == venuelog.LATCH:
        return _body(entry).get("latched") is False
    return entry.kind != instructing.STEP or _by(_body(entry)) is not None


def _view(entry: JournalEntry) -> AuditEntryView:
    body = _body(entry)
    what, about = ACTS[entry.kind], entry.key.partition("/")[0]
    if entry.kind == control.KIND:
        what = "kill" if body.get("killed") else "release"
        about = str(body.get("market") or body.get("enterprise") or "")
    elif entry.kind == ALARM_ACT:
        what = str(body.get("act", what))
    elif entry.kind not in WORDS_OF_KEY:
        about = entry.key
    return AuditEntryView(
        number=entry.number,
        at=entry.recorded_at,
        what=what,
        about=about[:120],
        by=_by(body),
        reason=str(body.get("reason") or body.get("text") or "")[:500],
        detail=_detail(body),
    )


def _body(entry: JournalEntry) -> dict[str, Any]:
    body = msgspec.json.decode(entry.body)
    return body if isinstance(body, dict) else {}


def _by(body: Mapping[str, Any]) -> str | None:
    """Whom the record names; of an answer it stands one level deeper."""
    if isinstance(name := body.get("by"), str):
        return name
    for inner in body.values():
        if isinstance(inner, dict) and isinstance(name := inner.get("by"), str):
            return name
    return None


def _detail(body: Mapping[str, Any]) -> str:
    """The plain values of the record beside who and why."""
    plain = [
        f"{name} {value}"
        for name, value in body.items()
        if name not in ("by", "reason", "text", "act")
        and isinstance(value, str | int | float | bool)
    ]
    return ", ".join(plain)[:MOST_DETAIL]
