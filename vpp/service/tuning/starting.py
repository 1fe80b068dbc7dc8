"""The desk of a plant that begins: what its file says, and what its journal knows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from vpp.ports import Journal
from vpp.service.park.config import ConfigErrors
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning import record
from vpp.service.tuning.desk import Seen, Shadow, TuningDesk
from vpp.wirestrategies import ShadowDayView, ShadowPlanView


def desk_of(strategies: Strategies, path: Path | None, journal: Journal) -> TuningDesk:
    """A desk on which `strategies` are live: as the version of the record that was live at its end, where it was that text."""
    versions = record.versions_on_record(journal)
    newest = record.live_number(versions)
    goes_on = newest is not None and record.text_of(journal, newest) == strategies.text
    if goes_on and newest is not None and not record.made_its_plan(journal, versions[newest]):
        before = record.live_number({n: one for n, one in versions.items() if n != newest})
    else:
        before = None if goes_on else newest
    desk = TuningDesk(
        shadow=_shadow(strategies, journal),
        path=path,
        seen=Seen(text=strategies.text),
        live_number=newest if goes_on and newest is not None else 0,
        versions=versions,
        before=None if before is None else _read(strategies, journal, before),
    )
    desk.leave_to_the_journal()
    return desk


def _read(live: Strategies, journal: Journal, number: int) -> tuple[int, Strategies] | None:
    """A version of the record, to go back to; None where the park or this release no longer fits it."""
    text = record.text_of(journal, number) or ""
    try:
        read = parse_strategies(text.encode(), live.ground, name="strategies", path=live.path)
    except ConfigErrors:
        return None
    return number, read


def _shadow(live: Strategies, journal: Journal) -> Shadow | None:
    """The candidate that ran last; one whose text can no longer be read does not go on."""
    newest = None
    for entry in journal.entries(record.SHADOW):
        newest = entry
    if newest is None:
        return None
    kept = msgspec.json.decode(newest.body, type=record.ShadowRecord)
    try:
        candidate = parse_strategies(kept.text.encode(), live.ground, name="shadow")
    except ConfigErrors:  # the park or this release has changed: who wants it begins it again
        return None
    shadow = Shadow(
        number=int(newest.key),
        strategies=candidate,
        by=kept.by,
        reason=kept.reason,
        since=newest.recorded_at,
        ended=journal.find(record.SHADOW_END, newest.key) is not None,
    )
    for entry in journal.entries(record.SHADOW_PLAN, record.SHADOW_DAY):
        number, _, what = entry.key.partition("/")
        if number != newest.key:
            continue
        if entry.kind == record.SHADOW_PLAN:
            plan = ShadowPlanView.model_validate_json(entry.body)
            shadow.plans += 1
            shadow.unsolved += plan.shadow_cost is None
            shadow.newest, shadow.compared_with = plan, what
        else:
            day = ShadowDayView.model_validate_json(entry.body)
            shadow.days[day.day] = day
            shadow.scored_on = day.day + timedelta(days=1)
    return shadow
