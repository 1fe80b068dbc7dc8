"""Versions on the journal: what was accepted with its text, when it was taken, and what a write replaced.

strategies              000007   version, text, origin, by, reason, based_on    before the file is written
strategies_live         000007   the plan that is the first by it               before that plan is made
strategies_overwritten  000007   a text that lay in the file and never was a version
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from vpp.ports import Journal, JournalEntry
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning.desk import Version
from vpp.wirestrategies import Origin

ACCEPTED, LIVE, OVERWRITTEN = "strategies", "strategies_live", "strategies_overwritten"
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
    return LIVE, key_of(number), msgspec.json.encode({"plan_id": plan_id})


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
    newest: int | None = None
    for entry in journal.entries(ACCEPTED, LIVE):
        number = int(entry.key)
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
        mark_live(found, number, newest, entry.recorded_at, str(told["plan_id"]))
        newest = number
    return found


def mark_live(
    versions: dict[int, Version], number: int, before: int | None, at: datetime, plan_id: str
) -> None:
    """Let version `number` be live from `at`, and the one `before` it until then."""
    if before is not None:
        versions[before] = replace(versions[before], live_until=at)
    versions[number] = replace(
        versions[number], live_from=at, live_until=None, first_plan_id=plan_id
    )


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
