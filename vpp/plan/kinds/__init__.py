"""One module a kind of resource: its arrays, its columns and rows, and what they mean afterwards.

Each has a frozen dataclass that holds the resources of the kind as struct-of-arrays with the columns
they became (shapes (k, T) where k resources share a block), and `add(b)`, which builds them in whole
blocks. Loops run over resources once, never over resources x steps. A resource that nobody knows (no
trustworthy reading) is not the planner's to move: what it does by itself is part of `b.base_kw`.

Words for limits follow one form, `resource: field of the park file`; see `Builder.name`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.kindred import Kind, Kindred
from vpp.model.measurement import Reading
from vpp.model.time import local_date
from vpp.plan.view import PlanningView


def of_kind(view: PlanningView, kind: type[Kind]) -> tuple[Kind, ...]:
    """The park's resources of one kind, in park order."""
    return view.park.kindred(kind).units


def left_alone(view: PlanningView, some: Kindred[Kind]) -> NDArray[np.bool_]:
    """Steps in which each of some resources is left alone, shape (K, T)."""
    alone = np.zeros((len(some), view.horizon.steps), dtype=bool)
    for name, steps in view.left_alone.items():
        if (at := some.place.get(name)) is not None:
            alone[at] = steps
    return alone


def said_on(view: PlanningView, resource_id: ResourceId, day: date) -> Reading | None:
    """The reading of a resource where it was taken on a local day: what it counts is of that day."""
    reading = view.state.reading(resource_id)
    if reading is None or local_date(reading.measured_at, view.park.timezone) != day:
        return None
    return reading


def announced_steps(view: PlanningView, resource_id: ResourceId) -> tuple[int, ...]:
    """Steps of the horizon in which a call begins that was announced before."""
    steps = (view.horizon.index(start) for start in view.announced.get(resource_id, ()))
    return tuple(step for step in steps if 0 <= step < view.horizon.steps)


def column(values: Iterable[float]) -> Floats:
    """Values of one kind as a column, shape (k, 1), to broadcast over steps."""
    return np.array(list(values), dtype=np.float64)[:, None]


def stack(rows: Sequence[Floats], steps: int) -> Floats:
    """Profiles of one kind, shape (k, T)."""
    return np.array(rows) if rows else np.zeros((0, steps))
