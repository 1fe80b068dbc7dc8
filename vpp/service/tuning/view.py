"""Strategies as the HTTP contract shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from vpp.model.time import latest_boundary
from vpp.service.park.config import Fault
from vpp.service.plant import Plant
from vpp.service.tuning.desk import Version
from vpp.wirestrategies import (
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
        live_version=desk.live.version,
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
        strategies=[
            StrategyLineView(
                name=line.name,
                use=line.use,
                priority=line.priority,
                scope=line.scope,
                schedule=line.schedule,
            )
            for line in desk.live.lines
        ],
    )


def version_view(plant: Plant, version: Version) -> VersionView:
    """A version, and what became of it."""
    desk = plant.tuning
    if version.number == desk.waiting_number:
        state = "waiting"
    elif version.number == desk.live_number:
        state = "live"
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
        }
    )


def fault_views(faults: Iterable[Fault]) -> list[StrategyFaultView]:
    """Faults with their places."""
    return [
        StrategyFaultView(line=one.line, column=one.column, path=one.path, what=one.what)
        for one in faults
    ]
