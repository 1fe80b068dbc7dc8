"""Versions on the journal: what was accepted with its text, when it was taken, and what a write replaced.

strategies              000007   version, text, origin, by, reason, based_on    before the file is written
strategies_live         000007/plan-000012   the plan that is the first by it               before that plan is made
strategies_refused      000007   that plan, and why it failed                   after the one before has made it
strategies_overwritten  000007   a text that lay in the file and never was a version
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from vpp.ports import Journal, JournalEntry
from vpp.service.record import PLAN
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning.desk import Version
from vpp.wirestrategies import Origin

ACCEPTED, LIVE, OVERWRITTEN = "strategies", "strategies_live", "strategies_overwritten"
REFUSED = "strategies_refused"
"""Kinds of journal entries, each under the number of the version."""


SHADOW, SHADOW_END = "strategies_shadow", "strategies_shadow_end"
SHADOW_PLAN, SHADOW_DAY = "strategies_shadow_plan", "strategies_shadow_day"
"""The same of candidates, under numbers of their own."""


class ShadowRecord(msgspec.Struct, frozen=True):
    """What the journal keeps of a candidate when it begins."""

    version: str
    text: str
    by: str
    reason: str


class AcceptedRecord(msgspec.Struct, frozen=True):
    """What the journal keeps of a version when it is accepted."""

    version: str
    text: str
    origin: Origin
    by: str
    reason: str
    based_on: str | None


def key_of(number: int) -> str:
    """Sorts as the numbers do."""
    return f"{number:06d}"


def accepted_entry(
    number: int, read: Strategies, origin: Origin, by: str, reason: str, based_on: str | None
) -> tuple[str, str, bytes]:
    """Kind, key and body of a version that is accepted."""
    kept = AcceptedRecord(
        version=read.version,
        text=read.text,
        origin=origin,
        by=by,
        reason=reason,
        based_on=based_on,
    )
    return ACCEPTED, key_of(number), msgspec.json.encode(kept)


def live_entry(number: int, plan_id: str) -> tuple[str, str, bytes]:
    """Kind, key and body of a version that plans go by from now on."""
    return LIVE, f"{key_of(number)}/{plan_id}", msgspec.json.encode({"plan_id": plan_id})


def refused_entry(number: int, plan_id: str, reason: str) -> tuple[str, str, bytes]:
    """Kind, key and body of a version whose first plan failed."""
    body = msgspec.json.encode({"plan_id": plan_id, "reason": reason})
    return REFUSED, key_of(number), body


def overwritten_entry(number: int, text: str) -> tuple[str, str, bytes]:
    """Kind, key and body of the text that version `number` replaced in the file."""
    return OVERWRITTEN, key_of(number), msgspec.json.encode({"text": text})


def text_of(journal: Journal, number: int) -> str | None:
    """The text of a version; None where there is none of that number."""
    entry = journal.find(ACCEPTED, key_of(number))
    return None if entry is None else _accepted(entry).text


def versions_on_record(journal: Journal) -> dict[int, Version]:
    """Every version by its number, with what became of it."""
    found: dict[int, Version] = {}
    for entry in journal.entries(ACCEPTED, LIVE, REFUSED):
        number = int(entry.key.partition("/")[0])
        if entry.kind == ACCEPTED:
            kept = _accepted(entry)
            found[number] = Version(
                number=number,
                version=kept.version,
                origin=kept.origin,
                by=kept.by,
                reason=kept.reason,
                accepted_at=entry.recorded_at,
            )
            continue
        told: dict[str, Any] = msgspec.json.decode(entry.body)
        if entry.kind == REFUSED:
            mark_refused(found, number, str(told["reason"]))
        else:
            before = live_number(found)
            mark_live(found, number, before, entry.recorded_at, str(told["plan_id"]))
    return found


def made_its_plan(journal: Journal, version: Version) -> bool:
    """Whether the first plan by it stood: what ended before that is still to be tried."""
    entry = journal.find(PLAN, version.first_plan_id or "")
    if entry is None:
        return False
    told: dict[str, Any] = msgspec.json.decode(entry.body)
    return bool(told["strategy_version"] == version.version)


def mark_live(
    versions: dict[int, Version], number: int, before: int | None, at: datetime, plan_id: str
) -> None:
    """Let version `number` be live from `at`, and the one `before` it until then."""
    if before is not None:
        versions[before] = replace(versions[before], live_until=at)
    versions[number] = replace(
        versions[number], live_from=at, live_until=None, first_plan_id=plan_id
    )


def refusal(versions: dict[int, Version], version: str) -> str | None:
    """Why a text is not tried again: it is the newest on record, and its first plan failed."""
    newest = versions.get(max(versions, default=0))
    return None if newest is None or newest.version != version else newest.refused_because


def mark_refused(versions: dict[int, Version], number: int, reason: str) -> None:
    """Let version `number` have failed its first plan."""
    mark_not_live(versions, number)
    versions[number] = replace(versions[number], refused_because=reason)


def mark_not_live(versions: dict[int, Version], number: int) -> None:
    """Let version `number` never have been live, and the one before it be so still."""
    versions[number] = replace(
        versions[number], live_from=None, live_until=None, first_plan_id=None
    )
    before = live_number(versions)
    if before is not None:
        versions[before] = replace(versions[before], live_until=None)


def live_number(versions: dict[int, Version]) -> int | None:
    """The version that is live, or was when the record ended; None where none ever was."""
    live = [one for one in versions.values() if one.live_from is not None]
    newest = max(live, key=lambda one: (one.live_until is None, one.number), default=None)
    return None if newest is None else newest.number


def last_live_text(journal: Journal) -> str | None:
    """The text that plans went by when the record ended; None where none ever did."""
    number = live_number(versions_on_record(journal))
    return None if number is None else text_of(journal, number)


def _accepted(entry: JournalEntry) -> AcceptedRecord:
    return msgspec.json.decode(entry.body, type=AcceptedRecord)
