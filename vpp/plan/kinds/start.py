"""One possible start of a run or a call, within the horizon."""

from __future__ import annotations

from dataclasses import dataclass

from vpp.model.ids import ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One possible start of a run or a call."""

    resource_id: ResourceId
    group: int
    """The starts of one resource on one day."""

    must: bool
    """True where exactly one start of the group has to be taken, False where at most `most`."""

    most: int
    """Calls that are left on that day; 1 for a run."""

    step: int
    draw_kw: tuple[float, ...]
    """Added draw in the steps from `step` on; below 0 for a call, which takes draw away."""

    cost: float
    words: str
    """The field of the park file that says how many of the group may be taken."""
