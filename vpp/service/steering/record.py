"""Who won each resource, and what bounds each source was left with: for the journal, for people, for the API."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.act.arbitration import Settled, Source
from vpp.act.guard import Guarded, Why
from vpp.act.units import Units
from vpp.model.ids import ResourceId
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.steering.acting import Picture
from vpp.service.steering.steered import Steered

OVER_PLANS = (Source.PROTECTION, Source.GRID, Source.OPERATOR)
"""Sources that decide before award and plan: each such resource is told of."""

MOST_NAMED = 8
"""Of resources in one event."""


def steered(plant: Plant, picture: Picture, settled: Settled, guarded: Guarded) -> Steered:
    """Put together what a cycle decided; tell of resources that another source decides now."""
    newest = Steered(
        settled=settled,
        guarded=guarded,
        narrowed=frozenset(_narrowed(plant.units, picture.units)),
    )
    special = (guarded.reason != Why.GRANTED) | np.isin(settled.winner, OVER_PLANS)
    names = picture.units.names
    winners = {names[at]: newest.won(at) for at in np.flatnonzero(special).tolist()}
    _tell(plant, picture, winners)
    plant.acting.steered, plant.acting.winners = newest, winners
    return newest


def let_go(plant: Plant) -> None:
    """Nobody is steered: nobody decides, nobody waits for his turn, and nothing is asked that finds nobody."""
    desk = plant.acting
    desk.steered, desk.winners, desk.spreading, desk.known = None, {}, None, None
    desk.left_kw = 0.0


def _tell(plant: Plant, picture: Picture, winners: dict[ResourceId, tuple[str, str]]) -> None:
    """One event for each source that took over resources since the last cycle."""
    before = plant.acting.winners
    fresh: dict[str, list[ResourceId]] = {}
    for name, (source, _) in winners.items():
        if before.get(name, ("", ""))[0] != source:
            fresh.setdefault(source, []).append(name)
    for source, names in fresh.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        by = winners[names[0]][1]
        plant.events.emit(
            "arbitration",
            f"{source} decides {', '.join(names[:MOST_NAMED])}{more}: {by}",
            at=picture.now,
            severity=Severity.INFO,
            source=source,
        )


def _narrowed(standing: Units, now: Units) -> Iterator[int]:
    """Numbers of the nodes whose limits are others than the park file says."""
    number = len(standing.tree.groups.names)
    if now is standing:
        return
    by_name: dict[str, tuple[float, float]] = {}
    for level in standing.tree.levels:
        by_name.update(
            zip(
                level.names,
                zip(level.import_kw.tolist(), level.export_kw.tolist(), strict=True),
                strict=True,
            )
        )
    for level in now.tree.levels:
        for name, draw_kw, feed_kw in zip(
            level.names, level.import_kw.tolist(), level.export_kw.tolist(), strict=True
        ):
            if by_name.get(name) != (draw_kw, feed_kw):
                yield number
            number += 1
