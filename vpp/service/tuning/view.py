"""Strategies as the HTTP contract shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from time import perf_counter

from vpp.model.time import latest_boundary
from vpp.service.park.config import Fault
from vpp.service.park.schematypes import Section
from vpp.service.plant import Plant
from vpp.service.strategies.strategies import Entry
from vpp.service.tuning.desk import Version
from vpp.service.tuning.previewing import Preview
from vpp.wirestrategies import (
    PreviewView,
    ShadowsView,
    ShadowView,
    StrategiesView,
    StrategyFaultView,
    StrategyFileView,
    StrategyLineView,
    VersionView,
)


def strategies_view(plant: Plant, now: datetime) -> StrategiesView:
    """What plans are made by, what will be, and what the file says."""
    desk, every = plant.tuning, plant.file.planning.every
    live = desk.versions.get(desk.live_number)
    waiting = None if desk.waiting_number is None else desk.versions[desk.waiting_number]
    state = "broken" if desk.seen.faults else "live" if waiting is None else "waiting"
    return StrategiesView(
        live=None if live is None else version_view(plant, live),
        live_version=plant.strategy_version,
        waiting=None if waiting is None else version_view(plant, waiting),
        next_plan_at=latest_boundary(now, every) + every,
        file=StrategyFileView.model_validate(
            {
                "path": None if desk.path is None else str(desk.path),
                "version": desk.seen.version,
                "text": desk.seen.text,
                "state": state,
                "faults": fault_views(desk.seen.faults),
            }
        ),
        strategies=[line_view(entry) for entry in plant.strategies.entries],
    )


def line_view(entry: Entry) -> StrategyLineView:
    """One strategy, in words."""
    section = entry.section
    return StrategyLineView(
        name=entry.name,
        use=entry.use,
        priority=entry.priority,
        scope="the park" if section.scope is None else _said(section.scope),
        schedule=_said(section.schedule) or "always",
    )


def _said(section: Section) -> str:
    """What is written in a section, key by key; empty where nothing is."""
    said = section.model_dump(exclude_defaults=True)
    return "; ".join(
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in said.items()
        if value
    )


def version_view(plant: Plant, version: Version) -> VersionView:
    """A version, and what became of it."""
    desk = plant.tuning
    if version.number == desk.waiting_number:
        state = "waiting"
    elif version.number == desk.live_number:
        state = "live"
    elif version.refused_because is not None:
        state = "refused"
    else:
        state = "never_live" if version.live_from is None else "was_live"
    return VersionView.model_validate(
        {
            "number": version.number,
            "version": version.version,
            "origin": version.origin,
            "by": version.by,
            "reason": version.reason,
            "accepted_at": version.accepted_at,
            "live_from": version.live_from,
            "live_until": version.live_until,
            "state": state,
            "first_plan_id": version.first_plan_id,
            "refused_because": version.refused_because,
        }
    )


def preview_view(preview: Preview) -> PreviewView:
    """A preview as far as it is."""
    took_s = perf_counter() - preview.began_s if preview.took_s is None else preview.took_s
    return PreviewView(
        preview_id=preview.preview_id,
        state=preview.state,
        asked_at=preview.asked_at,
        progress=round(preview.progress, 3),
        doing=preview.doing,
        old_version=preview.old.version,
        new_version=preview.new.version,
        changes=list(preview.changes),
        backtest=preview.backtest,
        no_backtest=preview.no_backtest,
        plan=preview.plan,
        no_plan=preview.no_plan,
        took_s=round(took_s, 2),
    )


def shadows_view(plant: Plant) -> ShadowsView:
    """The candidate that runs or ran last, and its score."""
    one = plant.tuning.shadow
    if one is None:
        return ShadowsView(shadow=None)
    return ShadowsView(
        shadow=ShadowView(
            version=one.strategies.version,
            text=one.strategies.text,
            by=one.by,
            reason=one.reason,
            since=one.since,
            state="ended" if one.ended else "running",
            plans=one.plans,
            unsolved=one.unsolved,
            newest=one.newest,
            days=[one.days[day] for day in sorted(one.days, reverse=True)],
        )
    )


def fault_views(faults: Iterable[Fault]) -> list[StrategyFaultView]:
    """Faults with their places."""
    return [
        StrategyFaultView(line=one.line, column=one.column, path=one.path, what=one.what)
        for one in faults
    ]
